package stream

import (
	"fmt"
	"strings"
	"testing"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/operator"
)

// splitter emits what it sees, and odd records aside.
type splitter struct{ closed *int }

var odd = NewTag[rec]("late")

func (p *splitter) Element(c *Context[NoKey, string], r rec) error {
	switch {
	case r.N < 0:
		return fmt.Errorf("record %d", r.N)
	case r.N%2 == 1:
		EmitSide(c, odd, r)
	default:
		c.Emit(fmt.Sprintf("%d at %d behind %d", r.N, c.Time(), c.Watermark()))
	}
	return nil
}

func (p *splitter) Close() error { *p.closed++; return nil }

// eachNode is an un-keyed operator on a stream of records.
func eachNode[O any](f func(s Stream[rec]) Stream[O]) func(env *Env) *graph.Node {
	return func(env *Env) *graph.Node { return f(From(env, fakeSource[rec]{})).named }
}

func TestProcessEachAgainstModel(t *testing.T) {
	steps := rigSteps(randomSteps(31, 500, 5, 300))
	mark := operator.NoWatermark
	var want []string
	for _, s := range steps {
		switch r, ok := s.rec.(rec); {
		case !ok:
			mark = s.ts
		case r.N%2 == 1:
			want = append(want, fmt.Sprintf("late: %+v @ %d", r, s.ts))
		default:
			want = append(want, fmt.Sprintf(": %d at %d behind %d @ %d", r.N, s.ts, mark, s.ts))
		}
	}
	for _, subtasks := range []int{1, 3} {
		closed := 0
		r := newRig(t, func(env *Env) *graph.Node {
			out := ProcessEach(From(env, fakeSource[rec]{}), func(*Runtime) *splitter { return &splitter{&closed} })
			Side(out, odd)
			return out.named
		}, []rigInput{rigSpread[rec]()}, []string{"late"}, subtasks)
		r.play(steps)
		sameSet(t, r.end(), want)
		if closed != subtasks {
			t.Errorf("%d of %d functions were closed", closed, subtasks)
		}
	}
}

func TestProcessEachPassesMarksAndTheEndOn(t *testing.T) {
	env := newEnv("test", nil)
	closed := 0
	out := ProcessEach(From(env, fakeSource[rec]{}), func(*Runtime) *splitter { return &splitter{&closed} })
	Side(out, odd)
	b := openBench(t, 1, byKey, env, out)
	b.add(rec{N: 2}, 5)
	b.mark(10)
	b.mark(operator.IdleWatermark)
	got := fmt.Sprint(b.events[0], b.side)
	if want := "[{2 at 5 behind -9223372036854775808 5 false false} {<nil> 10 true false} {<nil> " +
		fmt.Sprint(operator.IdleWatermark) + " true false}] [{<nil> 10 true false} {<nil> " + fmt.Sprint(operator.IdleWatermark) + " true false}]"; got != want {
		t.Fatalf("got %s\nwant %s", got, want)
	}
	if err := b.ops[0].Input(0).End(); err != nil || !b.events[0][3].end || !b.side[2].end {
		t.Fatalf("%v; the end is not passed on: %v %v", err, b.events, b.side)
	}
}

// ticking sets a timer without a key to set it for.
type ticking struct{ processing bool }

func (p ticking) Element(c *Context[NoKey, string], r rec) error {
	if p.processing {
		c.ProcessingTimer(5)
	} else {
		c.EventTimer(5)
	}
	return nil
}
func (ticking) OnTimer(*Context[NoKey, string], Time) error { return nil }

func feed[T any](op operator.Operator, input int, v ...T) error {
	b := operator.NewVec[T](len(v))
	b.V = append(b.V, v...)
	return op.Input(input).Batch(b)
}

func openOne(t *testing.T, f func(env *Env) *graph.Node) (operator.Operator, error) {
	t.Helper()
	n := f(newEnv("test", nil))
	return n.Factory(&operator.Env{Name: n.Name, Parallelism: 1, MaxParallelism: testGroups, BatchSize: 8, Runtime: &fakeRuntime{}})
}

func TestMistakesInProcessEach(t *testing.T) {
	for _, processing := range []bool{false, true} {
		op, err := openOne(t, eachNode(func(s Stream[rec]) Stream[string] {
			return ProcessEach(s, func(*Runtime) ticking { return ticking{processing} })
		}))
		if err != nil {
			t.Fatal(err)
		}
		if err := feed(op, 0, rec{}); err == nil || !strings.Contains(err.Error(), "timers belong to a key") {
			t.Errorf("a timer without a key: %v", err)
		}
	}
	op, err := openOne(t, eachNode(func(s Stream[rec]) Stream[string] {
		return ProcessEach(s, func(*Runtime) *splitter { return &splitter{} })
	}))
	if err != nil {
		t.Fatal(err)
	}
	if err := feed(op, 0, rec{N: -1}); err == nil || err.Error() != "record -1" {
		t.Errorf("the function's error: %v", err)
	}
	_, err = openOne(t, eachNode(func(s Stream[rec]) Stream[string] {
		return ProcessEach(s, func(rt *Runtime) ticking {
			ValueState[int64](rt, "v")
			return ticking{}
		})
	}))
	if err == nil || !strings.Contains(err.Error(), `ValueState("v"): state belongs to a key`) {
		t.Errorf("keyed state without keys: %v", err)
	}
}

// astray emits to a side output whose tag was never made.
type astray struct{ tag Tag[int] }

func (p astray) Element(c *Context[NoKey, string], r rec) error { EmitSide(c, p.tag, 1); return nil }

func TestSideOutputWithoutANameIsAnError(t *testing.T) {
	r := newRig(t, eachNode(func(s Stream[rec]) Stream[string] { return ProcessEach(s, func(*Runtime) astray { return astray{} }) }), []rigInput{rigSpread[rec]()}, nil, 1)
	v := operator.NewVec[rec](1)
	v.V = append(v.V, rec{})
	if err := r.ops[0].Input(0).Batch(v); err == nil || !strings.Contains(err.Error(), "stream.NewTag") {
		t.Fatalf("got %v, and the main output %q", err, r.out)
	}
}
