package file_test

import (
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/weftstream/weft/connector/datagen"
	"github.com/weftstream/weft/connector/file"
	"github.com/weftstream/weft/stream"
)

type twoParams struct {
	Events, Keys  int64
	Rate          float64
	Shaky, Steady string
}

// born counts the instances that are made of the steady region's function; panics, those that the other one has left to do.
var born, panics atomic.Int64

// fragile panics after some records, as often as panics says.
type fragile struct {
	n        *stream.Value[int64]
	patience int64
}

func (f *fragile) Element(ctx *stream.Context[int64, string], _ int64) error {
	if f.patience--; f.patience == 0 && panics.Add(-1) >= 0 {
		panic("trouble")
	}
	n, _ := f.n.Get()
	f.n.Set(n + 1)
	ctx.Emit(strconv.FormatInt(ctx.Key, 10) + "\t" + strconv.FormatInt(n+1, 10))
	return nil
}

var twoRegions = stream.Define("two-regions", func(env *stream.Env, p twoParams) error {
	for _, pipeline := range [][2]string{{"shaky", p.Shaky}, {"steady", p.Steady}} {
		name, out := pipeline[0], pipeline[1]
		numbers := stream.From(env, datagen.New(p.Events, func(*stream.Runtime) func(int64) int64 {
			return func(i int64) int64 { return i }
		}, datagen.Rate(p.Rate))).UID(name + "-numbers")
		stream.Process(stream.KeyBy(numbers, func(n int64) int64 { return n % p.Keys }), func(rt *stream.Runtime) *fragile {
			f := &fragile{n: stream.ValueState[int64](rt, "n")}
			if name == "shaky" {
				f.patience = rand.Int64N(p.Events/20) + 50 // so that all panics come, however late checkpoints are
			} else {
				born.Add(1)
			}
			return f
		}).UID(name + "-tally").To(file.Text(out)).UID(name + "-output")
	}
	return nil
})

// TestRegionsRestartAlone: one pipeline of a job panics again and again, the other one isn't restarted for it; with the strategy
// "full" it is. Both write every record once.
func TestRegionsRestartAlone(t *testing.T) {
	for strategy, alone := range map[string]bool{"region": true, "full": false} {
		t.Run(strategy, func(t *testing.T) {
			born.Store(0)
			panics.Store(6)
			dir := t.TempDir()
			p := twoParams{Events: 4000, Keys: 31, Rate: 4000, Shaky: filepath.Join(dir, "shaky"), Steady: filepath.Join(dir, "steady")}
			d := driver(t, map[string]string{"jobmanager.execution.failover-strategy": strategy})
			if _, err := twoRegions.Run(t.Context(), d, p); err != nil {
				t.Fatal(err)
			}
			if panics.Load() > 0 {
				t.Errorf("%d panics are left: nothing was tested", panics.Load())
			}
			if n := born.Load(); (n == 2) != alone {
				t.Errorf("%d instances were made in the region that didn't fail, whose parallelism is 2", n)
			}
			everyCountOnce(t, p.Shaky, p.Events, p.Keys)
			everyCountOnce(t, p.Steady, p.Events, p.Keys)
		})
	}
}
