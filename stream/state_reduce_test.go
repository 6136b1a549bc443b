package stream

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/weftstream/weft/operator"
)

// folding emits what its two states hold after each record.
type folding struct {
	longest *Reducing[rec]
	words   *Aggregating[rec, history, string]
	brief   *Reducing[int64]
}

func newFolding(rt *Runtime) *folding {
	return &folding{
		longest: ReducingState(rt, "longest", func(a, b rec) rec {
			if len(b.Name) > len(a.Name) {
				a.Name = b.Name
			}
			a.N += b.N
			return a
		}),
		words: AggregatingState(rt, "words", func(h *history, r rec) {
			if h.N == nil {
				h.N = map[string]int64{}
			}
			h.N[r.Name[:2]]++
			if len(h.Last) == 2 {
				h.Last[0], h.Last[1] = h.Last[1], r.N
			} else {
				h.Last = append(h.Last, r.N)
			}
		}, func(h *history) string { return fmt.Sprintf("%v%v", h.Last, h.N) }),
		brief: ReducingState(rt, "brief", func(a, b int64) int64 { return a*1000 + b }, TTL(400*time.Millisecond)),
	}
}

func (p *folding) Element(c *Context[int64, string], r rec) error {
	if r.N%31 == 0 {
		p.longest.Clear()
		p.words.Clear()
	}
	p.longest.Add(r)
	p.words.Add(r)
	p.brief.Add(r.N % 7)
	l, _ := p.longest.Get()
	w, _ := p.words.Get()
	b, ok := p.brief.Get()
	c.Emit(fmt.Sprintf("%d %d %v %s %d %v", c.Key, r.N, l, w, b, ok))
	return nil
}

func foldingSteps() []rigStep {
	var steps []rigStep
	for i, s := range rigSteps(randomSteps(21, 3000, 9, 300)) {
		steps = append(steps, s)
		if i%25 == 0 {
			steps = append(steps, rigStep{now: true, ts: 1_000_000 + int64(i)*9})
		}
	}
	return steps
}

// TestFoldingStatesAgainstModel compares them with plain maps, including what expires.
func TestFoldingStatesAgainstModel(t *testing.T) {
	type model struct {
		sum, brief, due int64
		name            string
		last            []int64
		words           map[string]int64
	}
	keys := map[int64]*model{}
	now := int64(1_000_000)
	var want []string
	steps := foldingSteps()
	for _, s := range steps {
		if s.now {
			now = s.ts
		}
		if s.rec == nil {
			continue
		}
		r := s.rec.(rec)
		m := keys[r.Key]
		if m == nil || r.N%31 == 0 {
			fresh := &model{words: map[string]int64{}}
			if m != nil {
				fresh.brief, fresh.due = m.brief, m.due
			}
			m, keys[r.Key] = fresh, fresh
		}
		if now >= m.due {
			m.brief = 0
		}
		m.brief, m.due = m.brief*1000+r.N%7, now+400
		m.sum += r.N
		if len(r.Name) > len(m.name) {
			m.name = r.Name
		}
		m.words[r.Name[:2]]++
		if m.last = append(m.last, r.N); len(m.last) > 2 {
			m.last = m.last[1:]
		}
		want = append(want, fmt.Sprintf("%d %d %v %v%v %d true", r.Key, r.N, rec{0, m.sum, m.name}, m.last, m.words, m.brief))
	}
	r := newRig(t, keyedNode(func(k Keyed[int64, rec]) Stream[string] { return Process(k, newFolding) }), []rigInput{rigKeyed(byKey)}, nil, 2)
	r.play(steps)
	var got []string
	for _, l := range r.end() {
		l, _, _ = strings.Cut(strings.TrimPrefix(l, ": "), " @ ")
		// The record's own key is the first one that was reduced, which is the key.
		got = append(got, strings.Replace(l, "{"+strings.Fields(l)[0]+" ", "{0 ", 1))
	}
	sameSet(t, got, want)
}

func TestFoldingStatesAreRestored(t *testing.T) {
	checkRestore(t, rigCase{in: []rigInput{rigKeyed(byKey)}, steps: append(foldingSteps(), rigStep{ts: operator.MaxWatermark}),
		build: keyedNode(func(k Keyed[int64, rec]) Stream[string] { return Process(k, newFolding) })})
}

type badFolding struct{}

func (*badFolding) Element(*Context[int64, string], rec) error { return nil }

func TestMistakesOfFoldingStates(t *testing.T) {
	env := newEnv("test", nil)
	n := Process(KeyBy(From(env, fakeSource[rec]{}), byKey), func(rt *Runtime) *badFolding {
		ReducingState[int64](rt, "a", nil)
		AggregatingState[int64, int64, int64](rt, "b", nil, nil)
		ReducingState(rt, "_c", func(a, _ func()) func() { return a })
		return &badFolding{}
	}).named
	_, err := n.Factory(&operator.Env{Name: "p", Parallelism: 1, MaxParallelism: testGroups, BatchSize: 8, Runtime: &fakeRuntime{}})
	for _, want := range []string{`ReducingState("a") with a nil`, `AggregatingState("b") with a nil`, `"_c"): names that begin`, `ReducingState("_c"): `} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v doesn't say %s", err, want)
		}
	}
}

// TestFoldingStatesDoNotAllocate: adding a plain value to a key that has one.
func TestFoldingStatesDoNotAllocate(t *testing.T) {
	rt := &Runtime{state: &keyedState{live: make([]int32, 1), names: map[string]bool{}}}
	sum := ReducingState(rt, "sum", func(a, b [2]int64) [2]int64 { return [2]int64{a[0] + b[0], a[1] + b[1]} })
	high := AggregatingState(rt, "high", func(a *int64, v [2]int64) { *a = max(*a, v[0]) }, func(a *int64) int64 { return *a })
	sum.c.grow(1)
	high.c.grow(1)
	if n := testing.AllocsPerRun(100, func() { sum.Add([2]int64{1, 2}); high.Add([2]int64{3, 4}) }); n != 0 {
		t.Errorf("%v allocations for each record", n)
	}
	if v, _ := sum.Get(); v[1] != 2*v[0] || v[0] < 100 {
		t.Errorf("the sum is %v", v)
	}
}
