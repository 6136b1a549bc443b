package pebble_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/weftstream/weft/connector/datagen"
	"github.com/weftstream/weft/connector/file"
	"github.com/weftstream/weft/internal/tally"
	_ "github.com/weftstream/weft/statebackend/pebble"
	"github.com/weftstream/weft/stream"
)

// reading is a record of the test jobs; the n-th is made from n.
type reading struct {
	Sensor, Value int64
	At            stream.Time
}

func readingOf(n, sensors int64) reading {
	r := rand.New(rand.NewPCG(uint64(n), 3))
	return reading{r.Int64N(sensors), r.Int64N(1000), stream.Time(n)}
}

type windowParams struct {
	Records, Sensors int64
	Rate             float64
	Output           string
}

var trouble tally.Fuse

type sums struct {
	N, Sum int64
	Values map[int64]int64
}

func (s *sums) add(r reading) {
	if s.Values == nil {
		s.Values = map[int64]int64{}
	}
	s.N++
	s.Sum += r.Value
	s.Values[r.Value%7]++
}

func (s *sums) Merge(o *sums) {
	s.N += o.N
	s.Sum += o.Sum
	for k, v := range o.Values {
		s.Values[k] += v
	}
}

func line(kind string, sensor, start, end int64, s *sums) string {
	return fmt.Sprint(kind, " ", sensor, " ", start, "-", end, " ", s.N, " ", s.Sum, " ", s.Values)
}

const (
	windowSize = 200 * time.Millisecond
	sessionGap = 150 * time.Millisecond
	every      = 5 // records of a global window
)

// windows has a tumbling, a session and a global window, and a process function, over the same records.
var windows = stream.Define("windows", func(env *stream.Env, p windowParams) error {
	in := stream.From(env, datagen.New(p.Records, func(*stream.Runtime) func(int64) reading {
		return func(n int64) reading { return readingOf(n, p.Sensors) }
	}, datagen.Rate(p.Rate))).UID("readings").Parallelism(1).Timestamps(func(r reading) stream.Time { return r.At }).UID("times").Parallelism(1)
	risky := stream.Map(in, func(r reading) reading {
		trouble.Burn(0)
		return r
	}).UID("risky").Parallelism(1)
	keyed := stream.KeyBy(risky, func(r reading) int64 { return r.Sensor })
	add := func(s *sums, r reading) { s.add(r) }
	out := func(kind string) func(stream.Pane[int64], *sums) string {
		return func(p stream.Pane[int64], s *sums) string {
			if kind == "global" {
				p.Start, p.End = 0, 0
			}
			return line(kind, p.Key, int64(p.Start), int64(p.End), s)
		}
	}
	write := func(kind string, w stream.Windowed[int64, reading]) {
		stream.Aggregate(w, add, out(kind)).UID(kind).To(file.Text(filepath.Join(p.Output, kind))).UID(kind + "-out")
	}
	write("tumbling", keyed.Window(stream.Tumbling(windowSize)))
	write("session", keyed.Window(stream.Session(sessionGap)))
	write("global", keyed.Window(stream.Global()).TriggerCount(every))
	stream.Process(keyed, newRunning).UID("running").To(file.Text(filepath.Join(p.Output, "running"))).UID("running-out")
	return nil
})

// running does with states and timers what a tumbling window does, and numbers a sensor's results.
type running struct {
	open   *stream.MapOf[int64, sums]
	values *stream.List[int64]
	number *stream.Value[int64]
}

func newRunning(rt *stream.Runtime) *running {
	return &running{stream.MapState[int64, sums](rt, "open"), stream.ListState[int64](rt, "values"), stream.ValueState[int64](rt, "number")}
}

func (f *running) Element(c *stream.Context[int64, string], r reading) error {
	size := windowSize.Milliseconds()
	end := (int64(r.At)/size+1)*size - 1
	s, _ := f.open.Get(end)
	s.Values = maps.Clone(s.Values)
	s.add(r)
	f.open.Set(end, s)
	f.values.Add(r.Value)
	c.EventTimer(stream.Time(end))
	return nil
}

func (f *running) OnTimer(c *stream.Context[int64, string], at stream.Time) error {
	s, _ := f.open.Get(int64(at))
	n, _ := f.number.Get()
	f.number.Set(n + 1)
	c.Emit(line("running", c.Key, n, int64(at), &s))
	f.open.Delete(int64(at))
	rest := slices.Collect(f.values.All())[s.N:]
	f.values.Set(slices.Values(rest))
	return nil
}

// oracle is what the jobs write, computed by plain loops.
func oracle(p windowParams) map[string]int {
	want := map[string]int{}
	put := func(kind string, sensor, start, end int64, s *sums) { want[line(kind, sensor, start, end, s)]++ }
	bySensor := map[int64][]reading{}
	for n := range p.Records {
		r := readingOf(n, p.Sensors)
		bySensor[r.Sensor] = append(bySensor[r.Sensor], r)
	}
	size, gap := windowSize.Milliseconds(), sessionGap.Milliseconds()
	for sensor, rs := range bySensor {
		var global sums
		var number int64
		for i := 0; i < len(rs); {
			var s sums
			start := int64(rs[i].At) / size * size
			for ; i < len(rs) && int64(rs[i].At) < start+size; i++ {
				s.add(rs[i])
			}
			put("tumbling", sensor, start, start+size, &s)
			put("running", sensor, number, start+size-1, &s)
			number++
		}
		for i := 0; i < len(rs); {
			var s sums
			start, end := int64(rs[i].At), int64(rs[i].At)+gap
			for ; i < len(rs) && int64(rs[i].At) <= end; i++ {
				s.add(rs[i])
				end = int64(rs[i].At) + gap
			}
			put("session", sensor, start, end, &s)
		}
		for i, r := range rs {
			if global.add(r); (i+1)%every == 0 {
				put("global", sensor, 0, 0, &global)
			}
		}
	}
	return want
}

// localDriver runs jobs in this process, on pebble with room for a few keys; its hosts keep their files in temp.
func localDriver(t *testing.T, temp string, incremental bool) *stream.Driver {
	t.Helper()
	t.Setenv("TMPDIR", temp)
	d := stream.NewLocalDriver(stream.LocalOptions{Configuration: map[string]string{
		"execution.checkpointing.incremental": strconv.FormatBool(incremental), "execution.checkpointing.interval": "30ms", "execution.checkpointing.dir": t.TempDir(), "parallelism.default": "2",
		"restart-strategy.type": "fixed-delay", "restart-strategy.fixed-delay.attempts": "1000", "restart-strategy.fixed-delay.delay": "1ms",
		"state.backend.type": "pebble", "state.backend.pebble.memory.fixed-per-host": "4 mb", "state.backend.pebble.memory.cache-ratio": "0.01"}})
	return d
}

func nothingLeft(t *testing.T, d *stream.Driver, temp string) {
	t.Helper()
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	left, err := os.ReadDir(temp)
	if err != nil || len(left) != 0 {
		t.Errorf("%v is left in the hosts' directory (%v)", left, err)
	}
}

// TestExactlyOnce: subtasks panic again and again; what windows and a process function write is what the oracle says, and
// nothing of the store is left.
func TestExactlyOnce(t *testing.T) {
	for name, incremental := range map[string]bool{"whole checkpoints": false, "incremental checkpoints": true} {
		t.Run(name, func(t *testing.T) { exactlyOnce(t, incremental) })
	}
}

func exactlyOnce(t *testing.T, incremental bool) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	temp := t.TempDir()
	d := localDriver(t, temp, incremental)
	p := windowParams{Records: 6000, Sensors: 300, Rate: 6000, Output: filepath.Join(t.TempDir(), "out")}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		trouble.Relight(ctx, 6, func() int64 { return random.Int64N(1500) + 100 })
	}()
	_, err := windows.Run(ctx, d, p)
	cancel()
	<-done
	trouble.Set(-1)
	if err != nil {
		t.Fatal(err)
	}
	got, err := tally.Lines(p.Output)
	if err != nil {
		t.Fatal(err)
	}
	want := oracle(p)
	for l, n := range want {
		if len(got[l]) != n {
			t.Fatalf("%q is there %d times, want %d; %d different lines, want %d", l, len(got[l]), n, len(got), len(want))
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d different lines, want %d", len(got), len(want))
	}
	nothingLeft(t, d, temp)
}

// TestNothingIsLeftOfACancelledJob: while it runs its store is on disk.
func TestNothingIsLeftOfACancelledJob(t *testing.T) {
	temp := t.TempDir()
	d := localDriver(t, temp, true)
	trouble.Set(-1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() {
		_, err := windows.Run(ctx, d, windowParams{Records: 1_000_000, Sensors: 300, Rate: 3000, Output: filepath.Join(t.TempDir(), "out")})
		done <- err
	}()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for stores := 0; stores == 0; {
		select {
		case err := <-done:
			t.Fatalf("the job ended: %v", err)
		case <-tick.C:
		}
		found, err := filepath.Glob(filepath.Join(temp, "*", "state", "MANIFEST*"))
		if err != nil {
			t.Fatal(err)
		}
		stores = len(found)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Fatalf("the cancelled job ended with %v", err)
	}
	nothingLeft(t, d, temp)
}
