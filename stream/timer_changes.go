package stream

import (
	"slices"

	"github.com/weftstream/weft/codec"
	"github.com/weftstream/weft/operator"
	"github.com/weftstream/weft/runtime/state"
)

// timerChange is a timer that was set, or that is gone.
type timerChange[K comparable] struct {
	group int // of the operator's groups, from 0
	at    int64
	key   K
	gone  bool
}

// timerLog is what timers know of their changes, once snapshots ask for them.
type timerLog[K comparable] struct {
	state.Log[timerChange[K]]
	r      state.Range
	counts []int // of timers, by group
}

// group is the key group of a hash, counted from the first of the operator.
func (l *timerLog[K]) group(hash uint32) int { return operator.KeyGroup(hash, l.r.Max) - l.r.From }

// note keeps that a timer was set, or is gone; live is how many there are.
func (l *timerLog[K]) note(t *timer[K], gone bool, live int) {
	if l == nil {
		return
	}
	c := timerChange[K]{group: l.group(t.hash), at: t.at, key: t.key, gone: gone}
	if l.counts[c.group]++; gone {
		l.counts[c.group] -= 2
	}
	l.Add(c, live)
}

// timersView is what timers were at a barrier.
type timersView[K comparable] struct {
	name    string
	r       state.Range
	pages   [][]timer[K]
	changes []timerChange[K] // since the base, where they are known
	known   bool
	counts  []int // by group; nil where they don't matter

	groups [][]*timer[K] // of pages, once they are needed
	sorted bool          // changes are a copy, by group
}

// freeze takes a view of the timers. With the first increment they begin to keep track of what changes.
func (t *timers[K]) freeze(name string, r state.Range, inc increment) *timersView[K] {
	v := &timersView[K]{name: name, r: r, pages: t.heap.list.freeze()}
	if inc.checkpoint == 0 {
		return v
	}
	if t.log == nil {
		t.log = &timerLog[K]{r: r, counts: make([]int, r.To-r.From)}
		for _, page := range v.pages {
			for i := range page {
				t.log.counts[t.log.group(page[i].hash)]++
			}
		}
	}
	v.changes, v.known = t.log.Since(inc.checkpoint, inc.base)
	v.counts = slices.Clone(t.log.counts)
	return v
}

// Known says that what has changed since the base is known.
func (v *timersView[K]) Known() bool { return v.known }

// Empty says that key group g has no timers.
func (v *timersView[K]) Empty(g int) bool { return v.counts[g-v.r.From] == 0 }

// write writes the timers, or their changes. A timer is its key and its time, and known by both.
func (v *timersView[K]) write(p *pairWriter, kt *codec.Key[K], r state.Range) error {
	return p.part(r, nil, v, func(group int) {
		if !p.changes {
			for _, t := range v.group(group) {
				p.pair = appendInt64(kt.EncodeValue(p.pair[:0], &t.key), t.at)
				p.put(len(p.pair))
			}
			return
		}
		for _, c := range v.changed(group) {
			p.pair = appendInt64(kt.EncodeValue(p.pair[:0], &c.key), c.at)
			p.putOrRemove(len(p.pair), !c.gone)
		}
	})
}

// group are the timers of a key group. The first call sorts all of them.
func (v *timersView[K]) group(g int) []*timer[K] {
	if v.groups == nil {
		v.groups = make([][]*timer[K], v.r.To-v.r.From)
		for _, page := range v.pages {
			for i := range page {
				at := operator.KeyGroup(page[i].hash, v.r.Max) - v.r.From
				v.groups[at] = append(v.groups[at], &page[i])
			}
		}
	}
	return v.groups[g-v.r.From]
}

// changed are the changes of a key group, in order.
func (v *timersView[K]) changed(g int) []timerChange[K] {
	of := func(c timerChange[K], group int) int { return c.group - group }
	if !v.sorted {
		v.changes, v.sorted = slices.Clone(v.changes), true
		slices.SortStableFunc(v.changes, func(a, b timerChange[K]) int { return of(a, b.group) })
	}
	from, _ := slices.BinarySearchFunc(v.changes, g-v.r.From, of)
	to, _ := slices.BinarySearchFunc(v.changes, g-v.r.From+1, of)
	return v.changes[from:to]
}
