package stream

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weftstream/weft/operator"
)

// everyState uses all kinds of state and timers; its output is compared with a model.
type everyState struct {
	sum   *Value[rec]
	list  *List[string]
	words *MapOf[string, int64]
}

func newEveryState(rt *Runtime) *everyState {
	return &everyState{ValueState[rec](rt, "sum"), ListState[string](rt, "list"), MapState[string, int64](rt, "words")}
}

func (p *everyState) Element(c *Context[int64, string], r rec) error {
	p.sum.Update(func(s *rec) { s.N += r.N; s.Name = r.Name })
	p.list.Add(r.Name)
	n, _ := p.words.Get(r.Name[:2])
	p.words.Set(r.Name[:2], n+1)
	c.EventTimer(c.Time().Add(100*time.Millisecond) / 1000 * 1000)
	if r.N%50 == 0 {
		p.list.Clear()
	}
	if r.N%70 == 0 {
		p.sum.Clear()
		p.words.Clear()
	}
	return nil
}

func (p *everyState) OnTimer(c *Context[int64, string], at Time) error {
	s, ok := p.sum.Get()
	c.Emit(line(c.Key, int64(at), s, ok, slices.Collect(p.list.All()), p.words.All()))
	return nil
}

func line(key, at int64, s rec, ok bool, list []string, words iter.Seq2[string, int64]) string {
	var w []string
	for k, n := range words {
		w = append(w, fmt.Sprint(k, "=", n))
	}
	slices.Sort(w)
	return fmt.Sprint(key, " ", at, " ", s.N, s.Name, ok, len(list), strings.Join(list, ","), w)
}

func TestProcessAgainstModel(t *testing.T) {
	type model struct {
		sum    rec
		ok     bool
		list   []string
		words  map[string]int64
		timers map[int64]bool
	}
	steps := randomSteps(11, 3000, 6, 300)
	keys := map[int64]*model{}
	var want []string
	for _, s := range append(slices.Clone(steps), step{mark: true, ts: operator.MaxWatermark}) {
		if s.mark {
			for k, m := range keys {
				for at := range m.timers {
					if at <= s.ts {
						delete(m.timers, at)
						want = append(want, line(k, at, m.sum, m.ok, m.list, func(y func(string, int64) bool) {
							for w, n := range m.words {
								y(w, n)
							}
						}))
					}
				}
			}
			continue
		}
		m := keys[s.r.Key]
		if m == nil {
			m = &model{words: map[string]int64{}, timers: map[int64]bool{}}
			keys[s.r.Key] = m
		}
		m.sum.N, m.sum.Name, m.ok = m.sum.N+s.r.N, s.r.Name, true
		m.list = append(m.list, s.r.Name)
		m.words[s.r.Name[:2]]++
		m.timers[(s.ts+100)/1000*1000] = true
		if s.r.N%50 == 0 {
			m.list = nil
		}
		if s.r.N%70 == 0 {
			m.sum, m.ok, m.words = rec{}, false, map[string]int64{}
		}
	}
	for _, subtasks := range []int{1, 2} {
		got := play(newBench(t, subtasks, byKey, func(k Keyed[int64, rec]) Stream[string] { return Process(k, newEveryState) }), steps)
		sameSet(t, got, want)
	}
}

// forgetful sets state and clears it at once.
type forgetful struct{ v *Value[int64] }

func (p *forgetful) Element(c *Context[int64, rec], r rec) error {
	p.v.Set(1)
	if r.N%2 == 0 {
		p.v.Clear()
	}
	return nil
}

func TestKeysWithoutStateAreForgotten(t *testing.T) {
	b := newBench(t, 1, byKey, func(k Keyed[int64, rec]) Stream[rec] {
		return Process(k, func(rt *Runtime) *forgetful { return &forgetful{ValueState[int64](rt, "v")} })
	})
	for i := range int64(1000) {
		b.add(rec{Key: i, N: i}, i)
	}
	b.mark(1)
	p := b.ops[0].(*processor[int64, rec])
	if n := p.keys.Len(); n != 500 {
		t.Fatalf("%d keys are kept, want the 500 with state", n)
	}
	if n := len(p.ks.live); n > 501 {
		t.Fatalf("%d slots for 500 keys: slots aren't reused", n)
	}
}

// clockwork uses processing time and a time to live.
type clockwork struct{ v *Value[int64] }

func (p *clockwork) Element(c *Context[int64, string], r rec) error {
	n, ok := p.v.Get()
	c.Emit(fmt.Sprint("had ", n, ok))
	p.v.Set(r.N)
	c.ProcessingTimer(c.Now().Add(50 * time.Millisecond))
	return nil
}

func (p *clockwork) OnTimer(c *Context[int64, string], at Time) error {
	n, ok := p.v.Get()
	c.Emit(fmt.Sprint("timer ", at, " ", n, ok))
	return nil
}

func TestProcessingTimersAndTimeToLive(t *testing.T) {
	b := newBench(t, 1, byKey, func(k Keyed[int64, rec]) Stream[string] {
		return Process(k, func(rt *Runtime) *clockwork { return &clockwork{ValueState[int64](rt, "v", TTL(100*time.Millisecond))} })
	})
	rt := b.rts[0]
	put := func(now, n int64) {
		rt.now = now
		b.add(rec{Key: 1, N: n}, 0)
		b.flush(0)
	}
	at := func(now int64) {
		rt.now = now
		if err := b.ops[0].ProcessingTime(now); err != nil {
			t.Fatal(err)
		}
	}
	put(1000, 7)
	at(1049)
	at(1051)
	put(1090, 8)
	put(1300, 9)
	at(1360)
	at(9000)
	if n := b.ops[0].(*processor[int64, string]).keys.Len(); n != 0 {
		t.Fatalf("%d keys outlived their state", n)
	}
	var got []string
	for _, e := range b.events[0] {
		got = append(got, e.rec.(string))
	}
	want := "had 0 false;timer 1050 7 true;had 7 true;had 0 false;timer 1140 9 true;timer 1350 9 true"
	if strings.Join(got, ";") != want {
		t.Fatalf("got %s\nwant %s", strings.Join(got, ";"), want)
	}
}

// matcher is the sketch's stateful join, shortened.
type matcher struct{ left, right *Value[int64] }

func (m *matcher) Left(c *Context[int64, string], r rec) error {
	if n, ok := m.right.Get(); ok {
		m.right.Clear()
		c.Emit(fmt.Sprint(r.N, "-", n))
		return nil
	}
	m.left.Set(r.N)
	c.EventTimer(c.Time() + 500)
	return nil
}

func (m *matcher) Right(c *Context[int64, string], r int64) error {
	if n, ok := m.left.Get(); ok {
		m.left.Clear()
		c.Emit(fmt.Sprint(n, "-", r))
		return nil
	}
	m.right.Set(r)
	return nil
}

var alone = NewTag[rec]("late")

func (m *matcher) OnTimer(c *Context[int64, string], at Time) error {
	if n, ok := m.left.Get(); ok {
		m.left.Clear()
		EmitSide(c, alone, rec{Key: c.Key, N: n})
	}
	return nil
}

func TestCoProcessTakesTheLowerWatermarkAndEndsWithBothInputs(t *testing.T) {
	env := newEnv("test", nil)
	l := KeyBy(From(env, fakeSource[rec]{}), byKey)
	r := KeyBy(From(env, fakeSource[int64]{}), func(n int64) int64 { return n % 10 })
	out := CoProcess(l, r, func(rt *Runtime) *matcher { return &matcher{ValueState[int64](rt, "l"), ValueState[int64](rt, "r")} })
	Side(out, alone)
	b := openBench(t, 1, byKey, env, out)
	right := b.ops[0].Input(1)
	putRight := func(n int64) {
		v := operator.NewVec[int64](1)
		v.V, v.H, v.TS = append(v.V, n), append(v.H, b.kt.Hash(n%10)), append(v.TS, 0)
		if err := right.Batch(v); err != nil {
			t.Fatal(err)
		}
	}
	b.add(rec{Key: 1, N: 100}, 1000)
	b.add(rec{Key: 2, N: 200}, 1000)
	b.flush(0)
	putRight(31)
	putRight(42 + 1000)
	b.add(rec{Key: 3, N: 300}, 1000)
	b.mark(5000) // the right input is behind: nothing fires
	if len(b.side) != 0 {
		t.Fatalf("fired on one input's watermark: %v", b.side)
	}
	if err := right.Watermark(1600); err != nil {
		t.Fatal(err)
	}
	if len(b.side) != 2 || b.side[0].rec != (rec{Key: 3, N: 300}) || !b.side[1].mark || b.side[1].at != 1600 {
		t.Fatalf("side output got %v", b.side)
	}
	if err := right.Watermark(operator.MaxWatermark); err != nil {
		t.Fatal(err)
	}
	if err := right.End(); err != nil {
		t.Fatal(err)
	}
	for _, e := range b.events[0] {
		if e.end {
			t.Fatal("ended with one of two inputs")
		}
	}
	sameSet(t, b.end(), []string{"100-31", "200-1042"})
}

func TestOpenReportsMistakesWithState(t *testing.T) {
	env := newEnv("test", nil)
	k := KeyBy(From(env, fakeSource[rec]{}), byKey)
	out := Process(k, func(rt *Runtime) *forgetful {
		ValueState[int64](rt, "v")
		ListState[func()](rt, "f")
		return &forgetful{ValueState[int64](rt, "v")}
	})
	_, err := out.named.Factory(&operator.Env{Name: "p", Parallelism: 1, MaxParallelism: 1, Runtime: &fakeRuntime{}})
	if err == nil || !strings.Contains(err.Error(), `ValueState("v"): the operator already has`) || !strings.Contains(err.Error(), `ListState("f")`) {
		t.Fatalf("got %v", err)
	}
}

// timid sets a timer and can't be called.
type timid struct{}

func (timid) Element(c *Context[int64, rec], r rec) error { c.EventTimer(1); return nil }

func TestTimerWithoutOnTimerIsAnError(t *testing.T) {
	b := newBench(t, 1, byKey, func(k Keyed[int64, rec]) Stream[rec] { return Process(k, func(*Runtime) timid { return timid{} }) })
	v := operator.NewVec[rec](1)
	v.V, v.H = append(v.V, rec{}), append(v.H, 0)
	if err := b.ops[0].Input(0).Batch(v); err == nil || !strings.Contains(err.Error(), "OnTimer(*stream.Context[int64, stream.rec], stream.Time) error") {
		t.Fatalf("got %v", err)
	}
}

func TestTimersComeInOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	var h timerHeap[int]
	var want []int64
	for range 500 {
		at := r.Int64N(50)
		h.push(timer[int]{at: at})
		want = append(want, at)
	}
	slices.Sort(want)
	var seq uint64
	for i, at := range want {
		got := h.pop()
		if got.at != at || i > 0 && want[i-1] == at && got.seq < seq {
			t.Fatalf("timer %d is %d (%d after %d), want %d", i, got.at, got.seq, seq, at)
		}
		seq = got.seq
	}
}
