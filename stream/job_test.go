package stream_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weftstream/weft/connector/datagen"
	"github.com/weftstream/weft/connector/discard"
	"github.com/weftstream/weft/stream"
	"github.com/weftstream/weft/streamtest"
)

type reading struct {
	Sensor string
	Value  int64
	At     stream.Time
}

// readings are out of order by up to a second.
func readings(seed uint64, n int) []reading {
	r := rand.New(rand.NewPCG(seed, 1))
	out := make([]reading, n)
	for i := range out {
		out[i] = reading{fmt.Sprint("s", r.IntN(20)), r.Int64N(1000), stream.Time(int64(i)*10 + 1000 - r.Int64N(1000))}
	}
	return out
}

func text[T any](s []T) []string {
	out := make([]string, len(s))
	for i := range s {
		out[i] = fmt.Sprintf("%+v", s[i])
	}
	slices.Sort(out)
	return out
}

func same[T any](t *testing.T, got, want []T) {
	t.Helper()
	g, w := text(got), text(want)
	if !slices.Equal(g, w) {
		for i := range min(len(g), len(w)) {
			if g[i] != w[i] {
				t.Fatalf("%d results, want %d; the first that differs: got %s, want %s", len(g), len(w), g[i], w[i])
			}
		}
		t.Fatalf("%d results, want %d", len(g), len(w))
	}
}

type total struct {
	Sensor string
	Start  stream.Time
	Sum    int64
}

func TestWindowedJobAtSeveralParallelisms(t *testing.T) {
	in := readings(1, 5000)
	sums := map[total]int64{}
	for _, r := range in {
		if r.Value%10 != 0 {
			sums[total{Sensor: r.Sensor, Start: r.At / 1000 * 1000}] += r.Value * 2
		}
	}
	var want []total
	for k, n := range sums {
		k.Sum = n
		want = append(want, k)
	}
	for _, p := range []int{1, 2, 3} {
		t.Run(fmt.Sprint(p), func(t *testing.T) {
			out := streamtest.Collect[total]()
			streamtest.Run(t, func(env *stream.Env) {
				s := stream.From(env, streamtest.From(in...)).UID("in").
					Timestamps(func(r reading) stream.Time { return r.At }, stream.OutOfOrder(time.Second)).
					Filter(func(r reading) bool { return r.Value%10 != 0 })
				s = stream.Map(s, func(r reading) reading { r.Value *= 2; return r }).Rebalance()
				k := stream.KeyBy(stream.Map(s, func(r reading) reading { return r }), func(r reading) string { return r.Sensor })
				stream.Aggregate(k.Window(stream.Tumbling(time.Second)), func(a *int64, r reading) { *a += r.Value },
					func(p stream.Pane[string], a *int64) total { return total{p.Key, p.Start, *a} }).UID("sums").To(out).UID("out")
			}, streamtest.Parallelism(p))
			same(t, out.Records(), want)
		})
	}
}

func TestUnionWaitsForTheSlowerWatermarkAndSidesGetTheRest(t *testing.T) {
	a, b := readings(2, 2000), readings(3, 1500)
	late := stream.NewTag[reading]("late")
	out, rest := streamtest.Collect[reading](), streamtest.Collect[reading]()
	r := streamtest.Run(t, func(env *stream.Env) {
		times := func(r reading) stream.Time { return r.At }
		sa := stream.From(env, streamtest.From(a...)).Timestamps(times, stream.OutOfOrder(time.Second))
		sb := stream.From(env, streamtest.From(b...)).Parallelism(1).Timestamps(times, stream.OutOfOrder(time.Second)).Parallelism(1)
		sums := stream.KeyBy(sa.Union(sb), func(r reading) string { return r.Sensor }).
			Window(stream.Sliding(2*time.Second, time.Second)).LateTo(late).
			Reduce(func(a, b reading) reading { a.Value += b.Value; a.At = 0; return a })
		sums.To(out)
		stream.Side(sums, late).To(rest)
	})
	want := map[string]int64{}
	for _, x := range append(slices.Clone(a), b...) {
		for _, start := range []stream.Time{x.At / 1000 * 1000, x.At/1000*1000 - 1000} {
			want[fmt.Sprint(x.Sensor, start)] += x.Value
		}
	}
	got := map[string]int64{}
	for _, x := range out.Timed() {
		if x.At%1000 != 999 {
			t.Fatalf("a result has the time %d, not the last one of its window", x.At)
		}
		got[fmt.Sprint(x.V.Sensor, x.At+1-2000)] += x.V.Value
	}
	if len(rest.Records()) != 0 || len(got) != len(want) {
		t.Fatalf("%d late records and %d windows, want 0 and %d", len(rest.Records()), len(got), len(want))
	}
	for k, n := range want {
		if got[k] != n {
			t.Fatalf("window %s: got %d, want %d", k, got[k], n)
		}
	}
	if r.Status != "FINISHED" || r.Runtime < 0 || r.JobID == (stream.JobID{}) {
		t.Fatalf("result %+v", r)
	}
}

type pair struct {
	Sensor string
	L, R   int64
}

func TestJoinAgainstNestedLoops(t *testing.T) {
	a, b := readings(4, 800), readings(5, 700)
	out := streamtest.Collect[pair]()
	streamtest.Run(t, func(env *stream.Env) {
		times := func(r reading) stream.Time { return r.At }
		sensor := func(r reading) string { return r.Sensor }
		l := stream.KeyBy(stream.From(env, streamtest.From(a...)).Timestamps(times, stream.OutOfOrder(time.Second)), sensor)
		r := stream.KeyBy(stream.From(env, streamtest.From(b...)).Timestamps(times, stream.OutOfOrder(time.Second)), sensor)
		stream.Join(l, r, stream.Tumbling(500*time.Millisecond), func(x, y reading) pair { return pair{x.Sensor, x.Value, y.Value} }).UID("join").To(out)
	})
	var want []pair
	for _, x := range a {
		for _, y := range b {
			if x.Sensor == y.Sensor && x.At/500 == y.At/500 {
				want = append(want, pair{x.Sensor, x.Value, y.Value})
			}
		}
	}
	same(t, out.Records(), want)
}

func TestBroadcastRebalanceAndTwoConsumers(t *testing.T) {
	all, spread := streamtest.Collect[int64](), streamtest.Collect[int64]()
	seen := streamtest.Collect[int]()
	streamtest.Run(t, func(env *stream.Env) {
		s := stream.From(env, streamtest.From[int64](1, 2, 3, 4)).Parallelism(1)
		stream.Map(s.Broadcast(), func(n int64) int64 { return n * 10 }).To(all)
		s.Rebalance().To(spread)
		stream.Map(s, func(n int64) int { return int(n) }).To(seen)
	}, streamtest.Parallelism(3))
	same(t, all.Records(), []int64{10, 10, 10, 20, 20, 20, 30, 30, 30, 40, 40, 40})
	same(t, spread.Records(), []int64{1, 2, 3, 4})
	same(t, seen.Records(), []int{1, 2, 3, 4})
}

// counting counts in every subtask.
type counting struct{ n *stream.Counter }

func (c *counting) Element(x *stream.Context[int64, int64], v int64) error {
	c.n.Add(v)
	return nil
}

func TestCountersAreSummedOverSubtasks(t *testing.T) {
	r := streamtest.Run(t, func(env *stream.Env) {
		s := stream.From(env, datagen.New(1000, func(*stream.Runtime) func(int64) int64 { return func(i int64) int64 { return i } }))
		stream.Process(stream.KeyBy(s, func(n int64) int64 { return n }), func(rt *stream.Runtime) *counting { return &counting{rt.Counter("sum")} }).
			To(discard.Sink[int64]())
	})
	if r.Counter("sum") != 499500 || r.Counters()["sum"] != 499500 || r.Counter("other") != 0 {
		t.Fatalf("counters are %v", r.Counters())
	}
}

func TestPanicInUserCodeFailsTheJobWithItsStack(t *testing.T) {
	_, err := streamtest.Try(t, func(env *stream.Env) {
		s := stream.From(env, streamtest.From(1, 2, 0, 4))
		stream.Map(s, func(n int) int { return 12 / n }).Name("divide").To(discard.Sink[int]())
	})
	var job *stream.JobError
	if !errors.As(err, &job) {
		t.Fatalf("got %v", err)
	}
	if job.Status != "FAILED" || job.Operator != "divide" || !strings.Contains(job.Message, "divide by zero") || !strings.Contains(job.Stack, "job_test.go") {
		t.Fatalf("got %+v", job)
	}
}

func TestErrorOfACoordinatorFailsTheJob(t *testing.T) {
	_, err := streamtest.Try(t, func(env *stream.Env) {
		stream.From(env, datagen.New[int64](-1, func(*stream.Runtime) func(int64) int64 { return func(i int64) int64 { return i } })).To(discard.Sink[int64]())
	})
	if err == nil || !strings.Contains(err.Error(), "-1 events") {
		t.Fatalf("got %v", err)
	}
}

var endless = stream.Define("test-endless", func(env *stream.Env, _ struct{}) error {
	s := stream.From(env, datagen.New(0, func(*stream.Runtime) func(int64) int64 { return func(i int64) int64 { return i } }, datagen.Rate(1000)))
	s.To(discard.Sink[int64]())
	return nil
})

func TestTheEndOfTheContextCancelsTheJob(t *testing.T) {
	d := streamtest.Driver(t)
	reason := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(100*time.Millisecond, func() { cancel(reason) })
	_, err := endless.Run(ctx, d, struct{}{})
	var job *stream.JobError
	if !errors.Is(err, reason) || !errors.As(err, &job) || job.Status != "CANCELED" {
		t.Fatalf("got %v", err)
	}
}

func TestStartedJobIsCancelledByItsClient(t *testing.T) {
	d := streamtest.Driver(t)
	c, err := endless.Start(t.Context(), d, struct{}{})
	if err != nil {
		t.Fatal(err)
	}
	if s := c.Status(); s != "RUNNING" {
		t.Fatalf("status %s", s)
	}
	if err := c.Cancel(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), streamtest.Timeout)
	defer stop()
	_, err = c.Await(ctx)
	var job *stream.JobError
	if !errors.As(err, &job) || job.Status != "CANCELED" || c.Status() != "CANCELED" {
		t.Fatalf("got %v, status %s", err, c.Status())
	}
}

func TestProcessSessionsAndListsTogether(t *testing.T) {
	in := readings(6, 1000)
	out := streamtest.Collect[string]()
	streamtest.Run(t, func(env *stream.Env) {
		s := stream.From(env, streamtest.From(in...)).Timestamps(func(r reading) stream.Time { return r.At }, stream.OutOfOrder(time.Second))
		w := stream.KeyBy(s, func(r reading) string { return r.Sensor }).Window(stream.Session(100 * time.Millisecond))
		stream.Apply(w, func(p stream.Pane[string], in iter.Seq[reading], emit func(string)) {
			n, sum := 0, int64(0)
			for r := range in {
				n, sum = n+1, sum+r.Value
			}
			emit(fmt.Sprint(p.Key, p.Start, p.End, n, sum))
		}).To(out)
	})
	var want []string
	bySensor := map[string][]reading{}
	for _, r := range in {
		bySensor[r.Sensor] = append(bySensor[r.Sensor], r)
	}
	for k, rs := range bySensor {
		slices.SortFunc(rs, func(a, b reading) int { return int(a.At - b.At) })
		for i := 0; i < len(rs); {
			j, sum := i, int64(0)
			for ; j < len(rs) && (j == i || rs[j].At <= rs[j-1].At+100); j++ {
				sum += rs[j].Value
			}
			want = append(want, fmt.Sprint(k, rs[i].At, rs[j-1].At+100, j-i, sum))
			i = j
		}
	}
	same(t, out.Records(), want)
}

// TestIdleSubtaskDoesNotHoldBackTheOthers: one subtask has all the records, the other one, of an endless source, none.
func TestIdleSubtaskDoesNotHoldBackTheOthers(t *testing.T) {
	out := streamtest.Collect[reading]()
	d := streamtest.Driver(t)
	job := stream.Define(fmt.Sprintf("test-idle-%p", out), func(env *stream.Env, _ struct{}) error {
		s := stream.From(env, datagen.New(0, func(*stream.Runtime) func(int64) reading {
			return func(i int64) reading { return reading{"s", 1, stream.Time(i * 100)} }
		}, datagen.Rate(400)))
		s = s.Filter(func(r reading) bool { return r.At%200 == 0 }) // the records of subtask 0
		stream.KeyBy(s.Timestamps(func(r reading) stream.Time { return r.At }, stream.Idle(50*time.Millisecond)), func(r reading) string { return r.Sensor }).
			Window(stream.Tumbling(time.Second)).Reduce(func(a, b reading) reading { a.Value += b.Value; return a }).To(out)
		return nil
	})
	ctx, stop := context.WithTimeout(t.Context(), streamtest.Timeout)
	defer stop()
	c, err := job.Start(ctx, d, struct{}{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := out.Await(ctx, 3)
	if err != nil {
		t.Fatalf("the idle subtask holds the watermark back: %v", err)
	}
	if err := c.Cancel(ctx); err != nil {
		t.Fatal(err)
	}
	for _, r := range got[:3] {
		if r.Value != 5 {
			t.Fatalf("a window of %d records, want 5", r.Value)
		}
	}
}

func TestUnionOfStreamsWithAndWithoutTimes(t *testing.T) {
	in := readings(7, 500)
	out := streamtest.Collect[reading]()
	streamtest.Run(t, func(env *stream.Env) {
		plain := stream.From(env, streamtest.From(in...))
		timed := stream.From(env, streamtest.From(in...)).Timestamps(func(r reading) stream.Time { return r.At }, stream.OutOfOrder(time.Second))
		both := stream.Map(plain.Union(timed), func(r reading) reading { return r })
		stream.KeyBy(both, func(r reading) string { return r.Sensor }).
			Window(stream.AtEnd()).Reduce(func(a, b reading) reading { a.Value += b.Value; a.At = 0; return a }).To(out)
	})
	sums := map[string]int64{}
	for _, r := range in {
		sums[r.Sensor] += 2 * r.Value
	}
	var want []reading
	for k, n := range sums {
		want = append(want, reading{k, n, 0})
	}
	same(t, out.Records(), want)
}
