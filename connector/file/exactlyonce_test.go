package file_test

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/weftstream/weft/connector/file"
	"github.com/weftstream/weft/internal/tally"
	_ "github.com/weftstream/weft/statebackend/pebble"
	"github.com/weftstream/weft/stream"
)

type countParams struct {
	Events, Keys int64
	Rate         float64
	Output       string
}

var trouble tally.Fuse

var counted = stream.Define("counted", func(env *stream.Env, p countParams) error {
	numbers := stream.From(env, tally.Numbers(p.Events, p.Rate)).UID("numbers")
	byRemainder := stream.KeyBy(numbers, func(n int64) int64 { return n % p.Keys })
	stream.Process(byRemainder, func(rt *stream.Runtime) *tally.Counter { return tally.NewCounter(rt, trouble.Burn) }).UID("tally").
		To(file.Text(p.Output)).UID("output")
	return nil
})

// everyCountOnce checks that each pair of a key and a count was written once.
func everyCountOnce(t *testing.T, dir string, events, keys int64) {
	t.Helper()
	if err := tally.EveryCountOnce(dir, events, keys); err != nil {
		t.Error(err)
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
			go func() {
				defer close(done)
				trouble.Relight(ctx, 6, func() int64 { return random.Int64N(1500) + 100 })
			}()
			_, err := counted.Run(ctx, driver(t, more), p)
			cancel()
			<-done
			trouble.Set(-1)
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
