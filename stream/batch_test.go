package stream_test

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weftstream/weft/connector/datagen"
	"github.com/weftstream/weft/stream"
	"github.com/weftstream/weft/streamtest"
)

var batch = streamtest.Set("execution.runtime-mode", "BATCH")

// batchPrograms are programs over readings, whose final results don't depend on when something fires.
var batchPrograms = map[string]func(s stream.Stream[reading], k stream.Keyed[string, reading]) stream.Stream[string]{
	"tumbling": func(_ stream.Stream[reading], k stream.Keyed[string, reading]) stream.Stream[string] {
		return stream.Aggregate(k.Window(stream.Tumbling(700*time.Millisecond)), sumValue, paneText)
	},
	"sliding": func(_ stream.Stream[reading], k stream.Keyed[string, reading]) stream.Stream[string] {
		return stream.Aggregate(k.Window(stream.Sliding(2*time.Second, 500*time.Millisecond)), sumValue, paneText)
	},
	"session": func(_ stream.Stream[reading], k stream.Keyed[string, reading]) stream.Stream[string] {
		return stream.Aggregate(k.Window(stream.Session(60*time.Millisecond)), sumValue, paneText)
	},
	"two stages": func(_ stream.Stream[reading], k stream.Keyed[string, reading]) stream.Stream[string] {
		sums := stream.Aggregate(k.Window(stream.Tumbling(time.Second)), sumValue, func(p stream.Pane[string], a *valueSum) reading {
			return reading{Sensor: p.Key[:1], Value: a.N}
		})
		return stream.Aggregate(stream.KeyBy(sums, func(r reading) string { return r.Sensor }).Window(stream.Tumbling(3*time.Second)), sumValue, paneText)
	},
	"join": func(s stream.Stream[reading], k stream.Keyed[string, reading]) stream.Stream[string] {
		odd := stream.KeyBy(s.Filter(func(r reading) bool { return r.Value%7 == 0 }), func(r reading) string { return r.Sensor })
		return stream.Join(k, odd, stream.Tumbling(500*time.Millisecond), func(a, b reading) string { return fmt.Sprint(a, b) })
	},
	"interval join": func(s stream.Stream[reading], k stream.Keyed[string, reading]) stream.Stream[string] {
		odd := stream.KeyBy(s.Filter(func(r reading) bool { return r.Value%7 == 0 }), func(r reading) string { return r.Sensor })
		return stream.IntervalJoin(k, odd, -50*time.Millisecond, 80*time.Millisecond, func(a, b reading) string { return fmt.Sprint(a, b) })
	},
	"timers": func(_ stream.Stream[reading], k stream.Keyed[string, reading]) stream.Stream[string] {
		return stream.Process(k, func(rt *stream.Runtime) *lastOfSecond {
			return &lastOfSecond{stream.MapState[stream.Time, int64](rt, "sums")}
		})
	},
	"at end": func(_ stream.Stream[reading], k stream.Keyed[string, reading]) stream.Stream[string] {
		return stream.Apply(k.Window(stream.AtEnd()), func(p stream.Pane[string], in iter.Seq[reading], emit func(string)) {
			n := int64(0)
			for r := range in {
				n += r.Value
			}
			emit(fmt.Sprint(p.Key, n))
		})
	},
}

type valueSum struct{ N int64 }

func (a *valueSum) Merge(o *valueSum) { a.N += o.N }

func sumValue(a *valueSum, r reading) { a.N += r.Value }

func paneText(p stream.Pane[string], a *valueSum) string { return fmt.Sprint(p, a.N) }

// lastOfSecond sums up seconds by state and timers.
type lastOfSecond struct {
	sums *stream.MapOf[stream.Time, int64]
}

func (f *lastOfSecond) Element(c *stream.Context[string, string], r reading) error {
	end := (c.Time()/1000+1)*1000 - 1
	n, _ := f.sums.Get(end)
	f.sums.Set(end, n+r.Value)
	c.EventTimer(end)
	return nil
}

func (f *lastOfSecond) OnTimer(c *stream.Context[string, string], at stream.Time) error {
	n, _ := f.sums.Get(at)
	c.Emit(fmt.Sprint(c.Key, at, n))
	return nil
}

// A batch has the final results of a stream, also where the stream's watermark would make records late.
func TestBatchHasTheResultsOfAStream(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	for name, program := range batchPrograms {
		t.Run(name, func(t *testing.T) {
			in := readings(r.Uint64(), 500+r.IntN(1500))
			run := func(late time.Duration, o ...streamtest.Option) []string {
				out := streamtest.Collect[string]()
				streamtest.Run(t, func(env *stream.Env) {
					at := func(r reading) stream.Time { return r.At }
					s := stream.From(env, streamtest.From(in...)).Timestamps(at, stream.OutOfOrder(late))
					program(s, stream.KeyBy(s, func(r reading) string { return r.Sensor })).To(out)
				}, append(o, streamtest.Parallelism(1+r.IntN(3)))...)
				return out.Records()
			}
			want := run(2 * time.Second)
			if len(want) == 0 {
				t.Fatal("the program has no results")
			}
			same(t, run(0, batch), want)
		})
	}
}

// Of a rolling reduce a batch emits what a stream emits last.
func TestBatchEmitsTheLastResultOfEachKey(t *testing.T) {
	in := readings(7, 2000)
	last := map[string]reading{}
	for _, r := range in {
		r.Value += last[r.Sensor].Value
		last[r.Sensor] = r
	}
	var want []streamtest.Timed[reading]
	for _, r := range last {
		want = append(want, streamtest.Timed[reading]{V: r, At: r.At})
	}
	out := streamtest.Collect[reading]()
	streamtest.Run(t, func(env *stream.Env) {
		s := stream.From(env, streamtest.From(in...), stream.EventTime(func(r reading) stream.Time { return r.At }))
		stream.KeyBy(s, func(r reading) string { return r.Sensor }).Reduce(func(a, b reading) reading {
			b.Value += a.Value
			return b
		}).To(out)
	}, batch, streamtest.Parallelism(1))
	same(t, out.Timed(), want)
}

// clockwork sets a timer of processing time far ahead, and another one with each that it is called for.
type clockwork struct{ early *atomic.Int64 }

func (f clockwork) Element(c *stream.Context[string, string], r reading) error {
	if c.Watermark() != stream.NoTime {
		f.early.Add(1)
	}
	c.ProcessingTimer(1 << 53)
	c.EventTimer(1)
	return nil
}

func (f clockwork) OnTimer(c *stream.Context[string, string], at stream.Time) error {
	c.Emit(fmt.Sprint(c.Key, " ", at > 1))
	if at > 1 {
		c.ProcessingTimer(at + 1)
	}
	return nil
}

func TestBatchRunsTimersOfProcessingTimeAtTheEnd(t *testing.T) {
	out := streamtest.Collect[string]()
	counts := streamtest.Collect[string]()
	var early atomic.Int64
	in := readings(3, 300)
	streamtest.Run(t, func(env *stream.Env) {
		k := stream.KeyBy(stream.From(env, streamtest.From(in...), stream.EventTime(func(r reading) stream.Time { return r.At })),
			func(r reading) string { return r.Sensor })
		stream.Process(k, func(*stream.Runtime) clockwork { return clockwork{&early} }).To(out)
		stream.Aggregate(k.Window(stream.Session(time.Hour).ProcessingTime()), sumValue,
			func(p stream.Pane[string], a *valueSum) string { return fmt.Sprint(p.Key, a.N) }).To(counts)
	}, batch, streamtest.Parallelism(1))
	if early.Load() != 0 {
		t.Errorf("%d records saw a watermark", early.Load())
	}
	sums := map[string]int64{}
	for _, r := range in {
		sums[r.Sensor] += r.Value
	}
	var timers, windows []string
	for s, n := range sums {
		timers, windows = append(timers, s+" true", s+" false"), append(windows, fmt.Sprint(s, n))
	}
	same(t, out.Records(), timers)
	same(t, counts.Records(), windows)
	got := out.Records()
	if first := slices.IndexFunc(got, func(s string) bool { return strings.HasSuffix(s, "true") }); first != len(sums) {
		t.Errorf("the first timer of processing time is result %d, want it behind the %d of event time", first, len(sums))
	}
}

func TestBatchOfAnEndlessSourceIsRefused(t *testing.T) {
	build := func(env *stream.Env) {
		s := stream.From(env, datagen.New(0, func(*stream.Runtime) func(int64) int64 { return func(i int64) int64 { return i } }))
		s.To(streamtest.Collect[int64]())
	}
	_, err := streamtest.Try(t, build, batch)
	if err == nil || !strings.Contains(err.Error(), "batch_test.go:") || !strings.Contains(err.Error(), "never ends, and execution.runtime-mode is BATCH") {
		t.Errorf("got %v", err)
	}
	_, err = streamtest.Try(t, func(env *stream.Env) {
		stream.From(env, streamtest.From(1)).To(streamtest.Collect[int]())
	}, streamtest.Set("execution.runtime-mode", "AUTOMATIC"), streamtest.Set("execution.state-recovery.path", "/savepoint"))
	if err == nil || !strings.Contains(err.Error(), "a batch starts from nothing") {
		t.Errorf("got %v", err)
	}
}

// watermarks emits for every record whether there was a watermark.
type watermarks struct{}

func (watermarks) Element(c *stream.Context[stream.NoKey, bool], _ int64) error {
	c.Emit(c.Watermark() != stream.NoTime)
	return nil
}

func TestAutomaticModeGoesByTheSources(t *testing.T) {
	for _, bounded := range []bool{true, false} {
		out := streamtest.Collect[bool]()
		j := stream.Define(fmt.Sprint("automatic mode ", bounded), func(env *stream.Env, _ struct{}) error {
			events := int64(0)
			if bounded {
				events = 5000
			}
			s := stream.From(env, datagen.New(events, func(*stream.Runtime) func(int64) int64 { return func(i int64) int64 { return i } }, datagen.Rate(1e6)),
				stream.EventTime(func(i int64) stream.Time { return stream.Time(i) }))
			stream.ProcessEach(s, func(*stream.Runtime) watermarks { return watermarks{} }).To(out)
			return nil
		})
		d := streamtest.Driver(t, streamtest.Set("execution.runtime-mode", "AUTOMATIC"), streamtest.Parallelism(1))
		c, err := j.Start(t.Context(), d, struct{}{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := out.Await(t.Context(), 5000)
		if err != nil {
			t.Fatal(err)
		}
		if streaming := slices.Contains(got, true); streaming == bounded {
			t.Errorf("bounded %v: watermarks before the end %v", bounded, streaming)
		}
		if !bounded {
			if err := c.Cancel(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
}
