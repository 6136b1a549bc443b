package stream

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/weftstream/weft/codec"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/operator"
)

// fakeSource is a source that is never opened: tests put records into operators themselves.
type fakeSource[T any] struct{}

func (fakeSource[T]) Splits(*Runtime, []byte) (Splits, error) { return nil, nil }
func (fakeSource[T]) Open(*Runtime) (SourceReader[T], error)  { return nil, nil }

// event is one thing that reached an output.
type event struct {
	rec  any
	at   int64
	mark bool
	end  bool
}

// capture is an output that writes down what reaches it.
type capture[T any] struct{ events *[]event }

func (c capture[T]) Batch(b operator.Batch) error {
	v := b.(*operator.Vec[T])
	if len(v.V) == 0 {
		return fmt.Errorf("an empty batch was emitted")
	}
	if len(v.TS) != 0 && len(v.TS) != len(v.V) || len(v.H) != 0 && len(v.H) != len(v.V) {
		return fmt.Errorf("batch of %d records with %d times and %d hashes", len(v.V), len(v.TS), len(v.H))
	}
	for i := range v.V {
		e := event{rec: v.V[i], at: operator.NoWatermark}
		if len(v.TS) != 0 {
			e.at = v.TS[i]
		}
		*c.events = append(*c.events, e)
	}
	return nil
}

func (c capture[T]) Watermark(t int64) error {
	*c.events = append(*c.events, event{mark: true, at: t})
	return nil
}

func (c capture[T]) End() error {
	*c.events = append(*c.events, event{end: true})
	return nil
}

// fakeRuntime is the Runtime of one operator instance under test.
type fakeRuntime struct {
	outputs  map[string]operator.Input
	counters map[string]*operator.Counter
	now      int64
	wake     int64
	mails    []func() error
	posted   atomic.Bool
	holds    bool
}

func (r *fakeRuntime) Context() context.Context { return context.Background() }
func (r *fakeRuntime) Output(tag string) operator.Input {
	if o := r.outputs[tag]; o != nil {
		return o
	}
	return operator.Drop{}
}
func (r *fakeRuntime) Now() int64 { return r.now }
func (r *fakeRuntime) WakeAt(t int64) {
	if r.wake == 0 || t < r.wake {
		r.wake = t
	}
}
func (r *fakeRuntime) Wake()                                              {}
func (r *fakeRuntime) Ask([]byte, func(response []byte, err error) error) {}
func (r *fakeRuntime) Mail(do func() error) (post func()) {
	r.mails = append(r.mails, do)
	return func() { r.posted.Store(true) }
}
func (r *fakeRuntime) Hold(on bool)                 { r.holds = on }
func (r *fakeRuntime) Protect(f func() error) error { return f() }

// runMails does what a subtask does between two batches.
func (r *fakeRuntime) runMails() error {
	if !r.posted.Swap(false) {
		return nil
	}
	for _, do := range r.mails {
		if err := do(); err != nil {
			return err
		}
	}
	return nil
}

func (r *fakeRuntime) Counter(name string) *operator.Counter {
	if r.counters[name] == nil {
		r.counters[name] = &operator.Counter{}
	}
	return r.counters[name]
}

// bench is one operator in several subtasks, to be driven by hand.
type bench[K comparable, T, O any] struct {
	t      testing.TB
	key    func(T) K
	kt     *codec.Key[K]
	ops    []operator.Operator
	rts    []*fakeRuntime
	events [][]event // of the main output, by subtask
	side   []event
	pend   []*operator.Vec[T]
	size   int
}

const testGroups = 128

// newBench builds a graph of one keyed operator and opens its subtasks. side, if not nil, is added as a capture.
func newBench[K comparable, T, O any](t testing.TB, subtasks int, key func(T) K, make func(Keyed[K, T]) Stream[O]) *bench[K, T, O] {
	t.Helper()
	env := newEnv("test", nil)
	out := make(KeyBy(From(env, fakeSource[T]{}), key))
	return openBench(t, subtasks, key, env, out)
}

func openBench[K comparable, T, O any](t testing.TB, subtasks int, key func(T) K, env *Env, out Stream[O]) *bench[K, T, O] {
	t.Helper()
	env.sinks++
	env.finish()
	if err := env.g.Check(); err != nil {
		t.Fatal(err)
	}
	kt, err := codec.KeyOf[K]()
	if err != nil {
		t.Fatal(err)
	}
	b := &bench[K, T, O]{t: t, key: key, kt: kt, events: make([][]event, subtasks), size: 16}
	for i := range subtasks {
		rt := &fakeRuntime{outputs: map[string]operator.Input{"": capture[O]{&b.events[i]}, "late": capture[T]{&b.side}}, counters: map[string]*operator.Counter{}}
		op, err := out.named.Factory(&operator.Env{Name: out.named.Name, Subtask: i, Parallelism: subtasks, MaxParallelism: testGroups, BatchSize: 8, Runtime: rt})
		if err != nil {
			t.Fatal(err)
		}
		b.ops, b.rts, b.pend = append(b.ops, op), append(b.rts, rt), append(b.pend, operator.NewVec[T](0))
	}
	return b
}

// add sends a record to the subtask of its key, in batches.
func (b *bench[K, T, O]) add(v T, ts int64) {
	h := b.kt.Hash(b.key(v))
	i := operator.SubtaskFor(operator.KeyGroup(h, testGroups), testGroups, len(b.ops))
	p := b.pend[i]
	p.V, p.H = append(p.V, v), append(p.H, h)
	if ts != operator.NoWatermark {
		p.TS = append(p.TS, ts)
	}
	if len(p.V) == b.size {
		b.flush(i)
	}
}

func (b *bench[K, T, O]) flush(i int) {
	b.t.Helper()
	if len(b.pend[i].V) == 0 {
		return
	}
	if err := b.ops[i].Input(0).Batch(b.pend[i]); err != nil {
		b.t.Fatal(err)
	}
	clear(b.pend[i].V[:cap(b.pend[i].V)]) // what was kept of the batch would change
	b.pend[i].Reset()
}

// mark sends a watermark to all subtasks.
func (b *bench[K, T, O]) mark(t int64) {
	b.t.Helper()
	for i := range b.ops {
		b.flush(i)
		if err := b.ops[i].Input(0).Watermark(t); err != nil {
			b.t.Fatal(err)
		}
	}
}

// end ends the input and returns all records of the main output.
func (b *bench[K, T, O]) end() []O {
	b.t.Helper()
	b.mark(operator.MaxWatermark)
	for _, op := range b.ops {
		if err := op.Input(0).End(); err != nil {
			b.t.Fatal(err)
		}
		if err := op.Close(); err != nil {
			b.t.Fatal(err)
		}
	}
	var out []O
	for i, es := range b.events {
		if n := len(es); n == 0 || !es[n-1].end {
			b.t.Fatalf("subtask %d did not pass the end on", i)
		}
		low := operator.NoWatermark
		for _, e := range es {
			switch {
			case e.mark:
				if e.at <= low {
					b.t.Fatalf("watermark %d after %d", e.at, low)
				}
				low = e.at
			case !e.end:
				out = append(out, e.rec.(O))
			}
		}
	}
	return out
}

func sorted[T any](s []T) []string {
	out := make([]string, len(s))
	for i := range s {
		out[i] = fmt.Sprintf("%v", s[i])
	}
	slices.Sort(out)
	return out
}

func sameSet[T, U any](t testing.TB, got []T, want []U) {
	t.Helper()
	g, w := sorted(got), sorted(want)
	for i := range max(len(g), len(w)) {
		switch {
		case i >= len(g):
			t.Fatalf("got %d results, want %d; missing %s", len(g), len(w), w[i])
		case i >= len(w):
			t.Fatalf("got %d results, want %d; too many %s", len(g), len(w), g[i])
		case g[i] != w[i]:
			t.Fatalf("result %d of %d (want %d): got %s, want %s", i, len(g), len(w), g[i], w[i])
		}
	}
}

// rec is the record of the tests. Name makes it pin its frame.
type rec struct {
	Key  int64
	N    int64
	Name string
}

type step struct {
	r    rec
	ts   int64
	mark bool
}

// randomSteps are records out of order by up to spread ms, with watermarks that let some of them be late.
func randomSteps(seed uint64, n, keys int, spread int64) []step {
	r := rand.New(rand.NewPCG(seed, 77))
	var steps []step
	high := int64(-20_000)
	mark := operator.NoWatermark
	for i := range n {
		high += r.Int64N(30)
		ts := high - r.Int64N(spread)
		steps = append(steps, step{r: rec{int64(r.IntN(keys)), int64(i), fmt.Sprint("n", i)}, ts: ts})
		if r.IntN(20) == 0 {
			if m := high - spread/2; m > mark {
				mark = m
				steps = append(steps, step{mark: true, ts: m})
			}
		}
	}
	return steps
}

func play[K comparable, O any](b *bench[K, rec, O], steps []step) []O {
	b.t.Helper()
	for _, s := range steps {
		if s.mark {
			b.mark(s.ts)
		} else {
			b.add(s.r, s.ts)
		}
	}
	return b.end()
}

func byKey(r rec) int64 { return r.Key }

var _ = graph.DefaultSlotGroup
