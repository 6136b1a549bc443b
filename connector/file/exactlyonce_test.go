package file_test

import (
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/weftstream/weft/connector/datagen"
	"github.com/weftstream/weft/connector/file"
	_ "github.com/weftstream/weft/statebackend/pebble"
	"github.com/weftstream/weft/stream"
)

type countParams struct {
	Events, Keys int64
	Rate         float64
	Output       string
}

type tally struct{ n *stream.Value[int64] }

// trouble is how many records are processed until the next panic; negative: there is none.
var trouble atomic.Int64

func (c *tally) Element(ctx *stream.Context[int64, string], _ int64) error {
	if trouble.Add(-1) == 0 {
		panic("trouble")
	}
	n, _ := c.n.Get()
	c.n.Set(n + 1)
	ctx.Emit(strconv.FormatInt(ctx.Key, 10) + "\t" + strconv.FormatInt(n+1, 10))
	return nil
}

var counted = stream.Define("counted", func(env *stream.Env, p countParams) error {
	numbers := stream.From(env, datagen.New(p.Events, func(*stream.Runtime) func(int64) int64 {
		return func(i int64) int64 { return i }
	}, datagen.Rate(p.Rate))).UID("numbers")
	byRemainder := stream.KeyBy(numbers, func(n int64) int64 { return n % p.Keys })
	stream.Process(byRemainder, func(rt *stream.Runtime) *tally { return &tally{stream.ValueState[int64](rt, "n")} }).UID("tally").
		To(file.Text(p.Output)).UID("output")
	return nil
})

// visibleLines counts the lines that readers of dir see.
func visibleLines(t *testing.T, dir string) map[string]int {
	t.Helper()
	seen := map[string]int{}
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || strings.HasPrefix(e.Name(), ".") {
			return err
		}
		b, err := os.ReadFile(name)
		for line := range strings.Lines(string(b)) {
			seen[strings.TrimSuffix(line, "\n")]++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return seen
}

// everyCountOnce checks that each pair of a key and a count was written once.
func everyCountOnce(t *testing.T, dir string, events, keys int64) {
	t.Helper()
	seen := visibleLines(t, dir)
	for i := range events {
		line := fmt.Sprintf("%d\t%d", i%keys, i/keys+1)
		if seen[line] != 1 {
			t.Fatalf("line %q is there %d times, of %d different lines", line, seen[line], len(seen))
		}
	}
	if len(seen) != int(events) {
		t.Errorf("%d different lines, want %d", len(seen), events)
	}
}

func driver(t *testing.T, more map[string]string) *stream.Driver {
	t.Helper()
	c := map[string]string{"execution.checkpointing.interval": "20ms", "execution.checkpointing.dir": t.TempDir(),
		"restart-strategy.type": "fixed-delay", "restart-strategy.fixed-delay.attempts": "1000", "restart-strategy.fixed-delay.delay": "1ms",
		"parallelism.default": "2"}
	for k, v := range more {
		c[k] = v
	}
	d := stream.NewLocalDriver(stream.LocalOptions{Configuration: c})
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// TestExactlyOnce: subtasks panic again and again while a job writes, and every record is in its output once.
func TestExactlyOnce(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	for name, more := range map[string]map[string]string{
		"files":     {},
		"inline":    {"execution.checkpointing.storage": "jobmanager"},
		"unaligned": {"execution.checkpointing.unaligned.enabled": "true"},
		// Without room in memory: every value goes through the disk.
		"pebble":    {"state.backend.type": "pebble", "state.backend.pebble.memory.fixed-per-host": "4 mb", "state.backend.pebble.memory.cache-ratio": "0"},
		"switching": {"execution.checkpointing.unaligned.enabled": "true", "execution.checkpointing.aligned-checkpoint-timeout": "5 ms"},
	} {
		t.Run(name, func(t *testing.T) {
			p := countParams{Events: 6000, Keys: 37, Rate: 6000, Output: filepath.Join(t.TempDir(), "out")}
			dir := t.TempDir()
			more["execution.checkpointing.dir"] = dir
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			done := make(chan struct{})
			trouble.Store(int64(random.IntN(1500)) + 100)
			go func() { // the next panic is planned once the last one has happened
				defer close(done)
				for plans := 0; plans < 5 && ctx.Err() == nil; {
					if trouble.Load() <= 0 {
						trouble.Store(int64(random.IntN(1500)) + 100)
						plans++
					}
				}
			}()
			_, err := counted.Run(ctx, driver(t, more), p)
			cancel()
			<-done
			trouble.Store(-1)
			if err != nil {
				t.Fatal(err)
			}
			everyCountOnce(t, p.Output, p.Events, p.Keys)
			if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
				t.Errorf("of its checkpoints the job left %v, %v", entries, err)
			}
		})
	}
}
