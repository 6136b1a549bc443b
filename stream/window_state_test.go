package stream

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/weftstream/weft/codec"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/operator"
)

// sumAcc1 is sumAcc of an earlier version of the program: a narrower count, no name, and something that is gone.
type sumAcc1 struct {
	Count int32
	Gone  string
	N     int64
}

func TestEvolvedAccumulatorIsRestored(t *testing.T) {
	for name, a := range map[string]Assigner{"tumbling": Tumbling(time.Second), "session": Session(time.Second)} {
		t.Run(name, func(t *testing.T) {
			before := keyedNode(func(k Keyed[int64, rec]) Stream[int64] {
				w := k.Window(a)
				return Aggregate(w, func(a *mergedAcc1, r rec) { a.Count++; a.N += r.N; a.Gone = r.Name }, func(Pane[int64], *mergedAcc1) int64 { return 0 })
			})
			r := newRig(t, before, []rigInput{rigKeyed(byKey)}, nil, 2)
			for i := range int64(10) {
				r.play([]rigStep{{rec: rec{Key: i % 2, N: i, Name: "x"}, ts: 100 + i}})
			}
			img := r.checkpoint()
			r.wait(img)
			r.build = keyedNode(func(k Keyed[int64, rec]) Stream[sumResult] { return Aggregate(k.Window(a), addRec, sumOut) })
			r.restore(img, 3)
			r.play([]rigStep{{rec: rec{Key: 0, N: 1000, Name: "b"}, ts: 110}})
			got := strings.Join(r.end(), "\n")
			for _, want := range []string{"Key:0", "N:1020 Count:6", "Key:1", "N:25 Count:5"} {
				if !strings.Contains(got, want) {
					t.Fatalf("%s is missing in\n%s", want, got)
				}
			}
		})
	}
}

// mergedAcc1 is sumAcc1 for sessions.
type mergedAcc1 sumAcc1

func (a *mergedAcc1) Merge(o *mergedAcc1) { a.Count += o.Count; a.N += o.N }

func TestRestoreOfAnotherKeyOrAccumulatorIsRefused(t *testing.T) {
	r := newRig(t, keyedNode(func(k Keyed[int64, rec]) Stream[rec] {
		return k.Window(Tumbling(time.Second)).Reduce(func(a, b rec) rec { return a })
	}), []rigInput{rigKeyed(byKey)}, nil, 1)
	r.play([]rigStep{{rec: rec{Key: 1}, ts: 100}})
	img := r.checkpoint()
	r.wait(img)
	for name, build := range map[string]func(env *Env) *graph.Node{
		"key": func(env *Env) *graph.Node {
			return KeyBy(From(env, fakeSource[rec]{}), func(r rec) string { return r.Name }).Window(Tumbling(time.Second)).
				Reduce(func(a, b rec) rec { return a }).named
		},
		"accumulator": keyedNode(func(k Keyed[int64, rec]) Stream[string] {
			return Aggregate(k.Window(Tumbling(time.Second)), func(*string, rec) {}, func(Pane[int64], *string) string { return "" })
		}),
	} {
		x := newRig(t, build, []rigInput{rigKeyed(byKey)}, nil, 1)
		err := x.ops[0].(operator.Checkpointed).Restore(rigReader{img, 0, 1})
		if err == nil || !strings.Contains(err.Error(), windowState) {
			t.Fatalf("%s: got %v, want an error that names the state", name, err)
		}
	}
}

func TestWindowAllSeesEveryRecordInOneSubtask(t *testing.T) {
	build := func(env *Env) *graph.Node {
		s := From(env, fakeSource[rec]{})
		return Aggregate(s.WindowAll(Tumbling(time.Second)), addRec, func(p Pane[All], a *sumAcc) string { return fmt.Sprint(p.Start, a.Count) }).named
	}
	if n := build(newEnv("x", nil)); n.Parallelism != 1 {
		t.Fatalf("parallelism %d, want 1", n.Parallelism)
	}
	r := newRig(t, build, []rigInput{rigKeyed(func(rec) All { return All{} })}, nil, 1)
	for i := range int64(2500) {
		r.play([]rigStep{{rec: rec{Key: i}, ts: i}})
	}
	if got := strings.Join(r.end(), ","); got != ": 0 1000 @ 999,: 1000 1000 @ 1999,: 2000 500 @ 2999" {
		t.Fatalf("got %s", got)
	}
}

func TestCountWindowOfTheWholeStream(t *testing.T) {
	r := newRig(t, func(env *Env) *graph.Node {
		return From(env, fakeSource[rec]{}).SlidingCountWindowAll(3, 2).Reduce(func(a, b rec) rec { a.N += b.N; return a }).named
	}, []rigInput{rigKeyed(func(rec) All { return All{} })}, nil, 1)
	for i := range int64(6) {
		r.play([]rigStep{{rec: rec{N: i}, ts: operator.NoWatermark}})
	}
	got := strings.Join(r.end(), ",")
	if want := ": {Key:0 N:1 Name:},: {Key:0 N:6 Name:},: {Key:0 N:12 Name:}"; got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
}

// stampedMarks says the watermark where a record is a marker, and every 200 ms the highest time less 1000.
type stampedMarks struct{ high Time }

func (g *stampedMarks) Record(t Time) Time {
	g.high = max(g.high, t)
	if t%100 == 0 {
		return t
	}
	return NoTime
}
func (g *stampedMarks) Periodic(Time) Time { return g.high - 1 }

func TestWatermarksOfAGenerator(t *testing.T) {
	var events []event
	env := newEnv("test", nil)
	s := From(env, fakeSource[rec]{}).TimestampsWith(func(r rec) Time { return Time(r.N) }, func(*Runtime) Watermarks { return &stampedMarks{} })
	rt := &fakeRuntime{outputs: map[string]operator.Input{"": capture[rec]{&events}}, now: 5000}
	op, err := s.named.Factory(&operator.Env{Parallelism: 1, WatermarkInterval: 200, Runtime: rt})
	if err != nil {
		t.Fatal(err)
	}
	batch := func(times ...int64) {
		v := operator.NewVec[rec](0)
		for _, n := range times {
			v.V = append(v.V, rec{N: n})
		}
		if err := op.Input(0).Batch(v); err != nil {
			t.Fatal(err)
		}
	}
	wake := func(now int64) {
		rt.now = now
		if err := op.ProcessingTime(now); err != nil {
			t.Fatal(err)
		}
	}
	batch(7, 100, 3)
	batch(150)
	if rt.wake != 5200 {
		t.Fatalf("asked to be called at %d, want 5200", rt.wake)
	}
	wake(5100)
	wake(5200)
	wake(5400)
	batch(100) // goes back: no watermark
	text := ""
	for _, e := range events {
		if e.mark {
			text += fmt.Sprint("w", e.at, " ")
		} else {
			text += fmt.Sprint(e.at, " ")
		}
	}
	if want := "7 100 3 w100 150 w149 100 "; text != want {
		t.Fatalf("got %s, want %s", text, want)
	}
}

// BenchmarkWindowSnapshot prints the pause that a checkpoint makes with a million keys in a window, and what the first
// batches behind it cost.
func BenchmarkWindowSnapshot(b *testing.B) {
	const keys = 1_000_000
	env := newEnv("bench", nil)
	n := Aggregate(KeyBy(From(env, fakeSource[plain]{}), func(p plain) int64 { return p.Key }).Window(Tumbling(time.Hour)),
		func(a *int64, p plain) { *a += p.Value }, func(p Pane[int64], a *int64) plain { return plain{p.Key, *a} }).named
	op, err := n.Factory(&operator.Env{Parallelism: 1, MaxParallelism: testGroups, BatchSize: allocBatch, Runtime: &fakeRuntime{}})
	if err != nil {
		b.Fatal(err)
	}
	kt, err := codec.KeyOf[int64]()
	if err != nil {
		b.Fatal(err)
	}
	v := operator.NewVec[plain](allocBatch)
	feed := func(from, to int64) {
		for k := from; k < to; k++ {
			v.V, v.TS, v.H = append(v.V, plain{k, 1}), append(v.TS, 1), append(v.H, kt.Hash(k))
			if len(v.V) == allocBatch {
				if err := op.Input(0).Batch(v); err != nil {
					b.Fatal(err)
				}
				v.Reset()
			}
		}
	}
	feed(0, keys)
	pause := time.Duration(0)
	for b.Loop() {
		start := time.Now()
		s, err := op.(operator.Checkpointed).Snapshot(1)
		if err != nil {
			b.Fatal(err)
		}
		pause = max(pause, time.Since(start))
		feed(0, 10_000)
		s.Release()
	}
	b.ReportMetric(float64(pause.Microseconds())/1000, "ms-pause")
}
