package stream

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/weftstream/weft/operator"
)

// remembering has a value with a slice that is changed in place beside the states of everyState, one of which expires.
type remembering struct {
	everyState
	deep  *Value[history]
	brief *Value[int64]
}

type history struct {
	Last []int64
	N    map[string]int64
}

func newRemembering(rt *Runtime) *remembering {
	return &remembering{*newEveryState(rt), ValueState[history](rt, "deep"), ValueState[int64](rt, "brief", TTL(400*time.Millisecond))}
}

func (p *remembering) Element(c *Context[int64, string], r rec) error {
	p.deep.Update(func(h *history) {
		if h.N == nil {
			h.N = map[string]int64{}
		}
		h.N[r.Name[:2]]++
		if len(h.Last) == 3 {
			copy(h.Last, h.Last[1:])
			h.Last[2] = r.N
		} else {
			h.Last = append(h.Last, r.N)
		}
	})
	if r.N%60 == 0 {
		p.deep.Clear()
	}
	n, _ := p.brief.Get()
	p.brief.Set(n + 1)
	d, _ := p.deep.Get()
	c.Emit(fmt.Sprint(c.Key, " ", r.N, d, n))
	if r.N%9 == 0 {
		c.ProcessingTimer(c.Now().Add(200 * time.Millisecond))
	}
	if r.N%13 == 0 {
		p.words.Delete(r.Name[:2])
	}
	// A timer of a time that has passed comes with the next watermark, and a restored subtask gets one at once.
	if (c.Time()+100)/1000*1000 <= c.Watermark() {
		return nil
	}
	return p.everyState.Element(c, r)
}

// TestProcessIsRestored: few keys, whose state changes often, and so many that their states fill several pages.
func TestProcessIsRestored(t *testing.T) {
	for _, c := range []struct{ records, keys int }{{3000, 7}, {4000, 1800}} {
		t.Run(fmt.Sprint(c.keys, " keys"), func(t *testing.T) {
			var steps []rigStep
			for i, s := range rigSteps(randomSteps(12, c.records, c.keys, 300)) {
				steps = append(steps, s)
				if i%40 == 0 {
					steps = append(steps, rigStep{now: true, ts: 1_000_000 + int64(i)*5})
				}
			}
			steps = append(steps, rigStep{now: true, ts: 2_000_000}, rigStep{ts: operator.MaxWatermark})
			checkRestore(t, rigCase{in: []rigInput{rigKeyed(byKey)}, steps: steps,
				build: keyedNode(func(k Keyed[int64, rec]) Stream[string] { return Process(k, newRemembering) })})
		})
	}
}

// pageOf is how many entries a page has.
const pageOf = pageMask + 1

// TestSeveralSnapshotsOfAColumn: each view keeps what it saw, whatever is changed, added and released around it.
func TestSeveralSnapshotsOfAColumn(t *testing.T) {
	rt := &Runtime{state: &keyedState{live: make([]int32, 3*pageOf), names: map[string]bool{}}}
	s := MapState[int64, int64](rt, "m")
	s.c.grow(2 * pageOf)
	put := func(slot int, k, v int64) {
		s.c.ks.slot = int32(slot)
		s.Set(k, v)
	}
	read := func(v stateView, slot int) string {
		b, ok := v.encode(nil, int32(slot))
		return fmt.Sprint(ok, " ") + string(b)
	}
	put(1, 1, 10)
	put(pageOf+1, 1, 20)
	first := s.c.freeze()
	s.c.ks.views.Add(1)
	before := []string{read(first, 0), read(first, 1), read(first, pageOf+1)}
	put(1, 2, 11)
	put(0, 1, 1)
	second := s.c.freeze()
	s.c.ks.views.Add(1)
	between := []string{read(second, 0), read(second, 1), read(second, pageOf+1)}
	put(1, 1, 12)
	s.c.ks.slot = pageOf + 1
	s.Delete(1)
	s.c.grow(3 * pageOf)
	put(3*pageOf-1, 5, 5)
	if now := []string{read(first, 0), read(first, 1), read(first, pageOf+1)}; !slices.Equal(now, before) {
		t.Errorf("the first view changed from %v to %v", before, now)
	}
	if now := []string{read(second, 0), read(second, 1), read(second, pageOf+1)}; !slices.Equal(now, between) || slices.Equal(now, before) {
		t.Errorf("the second view changed from %v to %v; the first is %v", between, now, before)
	}
	s.c.ks.views.Add(-2)
	s.c.ks.slot = 1
	if a, _ := s.Get(1); a != 12 {
		t.Errorf("the state itself holds %d", a)
	}
}

// BenchmarkProcessSnapshot is the pause of a snapshot of a value per key.
func BenchmarkProcessSnapshot(b *testing.B) {
	const keys = 500_000
	bench := newBench(b, 1, byKey, func(k Keyed[int64, rec]) Stream[rec] {
		return Process(k, func(rt *Runtime) *forgetful { return &forgetful{ValueState[int64](rt, "v")} })
	})
	for i := range int64(keys) {
		bench.add(rec{Key: i, N: 1}, i)
	}
	bench.mark(1)
	op := bench.ops[0].(operator.Checkpointed)
	for b.Loop() {
		s, err := op.Snapshot(1)
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		s.Release()
		b.StartTimer()
	}
}
