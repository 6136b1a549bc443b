package stream

import (
	"testing"
	"time"

	"github.com/weftstream/weft/codec"
	"github.com/weftstream/weft/operator"
)

type plain struct {
	Key   int64
	Value int64
}

const allocBatch = 512

// chainOf opens the operators that build adds behind a source, connected by calls, and ends them with a Drop.
func chainOf(tb testing.TB, build func(s Stream[plain])) operator.Input {
	tb.Helper()
	env := newEnv("alloc", nil)
	build(From(env, fakeSource[plain]{}))
	env.sinks++
	env.finish()
	if err := env.g.Check(); err != nil {
		tb.Fatal(err)
	}
	var next operator.Input = operator.Drop{}
	for i := len(env.g.Nodes) - 1; i > 0; i-- {
		rt := &fakeRuntime{outputs: map[string]operator.Input{"": next}, counters: map[string]*operator.Counter{}}
		op, err := env.g.Nodes[i].Factory(&operator.Env{Parallelism: 1, MaxParallelism: testGroups, BatchSize: allocBatch, Runtime: rt})
		if err != nil {
			tb.Fatal(err)
		}
		next = op.Input(0)
	}
	return next
}

var allocCases = map[string]func(s Stream[plain]){
	"stateless": func(s Stream[plain]) {
		m := Map(s, func(p plain) plain { p.Value++; return p }).Filter(func(p plain) bool { return p.Value%3 != 0 })
		f := FlatMap(m, func(p plain, emit func(int64)) { emit(p.Key); emit(p.Value) })
		MapTo(f, func(in *int64, out *plain) { out.Key = *in }).Timestamps(func(p plain) Time { return Time(p.Value) })
	},
	"tumbling aggregate": func(s Stream[plain]) {
		Aggregate(KeyBy(s, func(p plain) int64 { return p.Key }).Window(Tumbling(time.Second)),
			func(a *int64, p plain) { *a += p.Value }, func(p Pane[int64], a *int64) plain { return plain{p.Key, *a} })
	},
	"sliding reduce": func(s Stream[plain]) {
		KeyBy(s, func(p plain) int64 { return p.Key }).Window(Sliding(time.Second, 500*time.Millisecond)).
			Reduce(func(a, b plain) plain { a.Value += b.Value; return a })
	},
	"session": func(s Stream[plain]) {
		KeyBy(s, func(p plain) int64 { return p.Key }).Window(Session(100 * time.Millisecond)).
			Reduce(func(a, b plain) plain { a.Value += b.Value; return a })
	},
	"rolling reduce": func(s Stream[plain]) {
		KeyBy(s, func(p plain) int64 { return p.Key }).Reduce(func(a, b plain) plain { a.Value += b.Value; return a })
	},
	"global count": func(s Stream[plain]) {
		KeyBy(s, func(p plain) int64 { return p.Key }).Window(Global()).TriggerCount(10).Purge().
			Reduce(func(a, b plain) plain { a.Value += b.Value; return a })
	},
	"processing time": func(s Stream[plain]) {
		KeyBy(s, func(p plain) int64 { return p.Key }).Window(Tumbling(time.Second).ProcessingTime()).
			Reduce(func(a, b plain) plain { a.Value += b.Value; return a })
	},
	"processing session": func(s Stream[plain]) {
		KeyBy(s, func(p plain) int64 { return p.Key }).Window(Session(time.Second).ProcessingTime()).
			Reduce(func(a, b plain) plain { a.Value += b.Value; return a })
	},
	"window all": func(s Stream[plain]) {
		s.WindowAll(Tumbling(time.Second)).Reduce(func(a, b plain) plain { a.Value += b.Value; return a })
	},
	"process": func(s Stream[plain]) {
		Process(KeyBy(s, func(p plain) int64 { return p.Key }), func(rt *Runtime) *summing { return &summing{ValueState[int64](rt, "sum")} })
	},
}

type summing struct{ sum *Value[int64] }

func (s *summing) Element(c *Context[int64, plain], p plain) error {
	n, _ := s.sum.Get()
	s.sum.Set(n + p.Value)
	c.Emit(plain{c.Key, n})
	return nil
}

// feeder sends the same batch again and again, 1 ms of event time per record, 1000 keys, a watermark after each batch.
type feeder struct {
	in operator.Input
	v  *operator.Vec[plain]
	kt *codec.Key[int64]
	ts int64
}

func newFeeder(tb testing.TB, build func(s Stream[plain])) *feeder {
	kt, err := codec.KeyOf[int64]()
	if err != nil {
		tb.Fatal(err)
	}
	return &feeder{in: chainOf(tb, build), v: operator.NewVec[plain](allocBatch), kt: kt}
}

func (f *feeder) batch(tb testing.TB) {
	v := f.v
	v.Reset()
	for range allocBatch {
		f.ts++
		k := f.ts * 7 % 1000
		v.V, v.TS, v.H = append(v.V, plain{k, f.ts}), append(v.TS, f.ts), append(v.H, f.kt.Hash(k))
	}
	if err := f.in.Batch(v); err != nil {
		tb.Fatal(err)
	}
	if err := f.in.Watermark(f.ts - 100); err != nil {
		tb.Fatal(err)
	}
}

// TestNoAllocationPerRecord allows what firing windows costs: far less than one allocation per record.
func TestNoAllocationPerRecord(t *testing.T) {
	for name, build := range allocCases {
		t.Run(name, func(t *testing.T) {
			f := newFeeder(t, build)
			for range 50 {
				f.batch(t)
			}
			if n := testing.AllocsPerRun(100, func() { f.batch(t) }) / allocBatch; n > 0.01 {
				t.Fatalf("%.3f allocations per record", n)
			}
		})
	}
}

func BenchmarkOperators(b *testing.B) {
	for name, build := range allocCases {
		b.Run(name, func(b *testing.B) {
			f := newFeeder(b, build)
			b.ReportAllocs()
			b.ResetTimer()
			for n := 0; n < b.N; n += allocBatch {
				f.batch(b)
			}
		})
	}
}
