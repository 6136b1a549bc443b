package file_test

import (
	"math/rand/v2"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/weftstream/weft/connector/file"
	"github.com/weftstream/weft/internal/tally"
	"github.com/weftstream/weft/stream"
)

type twoParams struct {
	Events, Keys  int64
	Rate          float64
	Shaky, Steady string
}

// born counts the instances that are made of the steady region's function; panics, those that the other one has left to do.
var born, panics atomic.Int64

var twoRegions = stream.Define("two-regions", func(env *stream.Env, p twoParams) error {
	for _, pipeline := range [][2]string{{"shaky", p.Shaky}, {"steady", p.Steady}} {
		name, out := pipeline[0], pipeline[1]
		numbers := stream.From(env, tally.Numbers(p.Events, p.Rate)).UID(name + "-numbers")
		stream.Process(stream.KeyBy(numbers, func(n int64) int64 { return n % p.Keys }), func(rt *stream.Runtime) *tally.Counter {
			if name == "steady" {
				born.Add(1)
				return tally.NewCounter(rt, nil)
			}
			patience := rand.Int64N(p.Events/20) + 50 // so that all panics come, however late checkpoints are
			return tally.NewCounter(rt, func(int64) {
				if patience--; patience == 0 && panics.Add(-1) >= 0 {
					panic("trouble")
				}
			})
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
