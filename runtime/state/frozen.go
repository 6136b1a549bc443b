package state

import (
	"iter"
	"slices"
	"sync/atomic"
)

// Frozen is what a Table held when Snapshot was called. Any one goroutine may read it while the table changes.
type Frozen[K comparable, V any] struct {
	from     int
	groups   [][]slot[K, V]
	views    *atomic.Int32
	released atomic.Bool
}

// CopyValues sets what makes a value, copied bit by bit, own what it points to. A table whose values are changed through
// pointers, slices or maps inside them needs it before its first Snapshot.
func (t *Table[K, V]) CopyValues(own func(*V)) { t.own = own }

// Snapshot freezes what the table holds, in time that grows with the number of key groups only. Afterwards the first
// change to a group copies that group. Several views may exist at once.
func (t *Table[K, V]) Snapshot() *Frozen[K, V] {
	f := &Frozen[K, V]{from: t.r.From, groups: make([][]slot[K, V], len(t.groups)), views: &t.views}
	for i := range t.groups {
		if g := &t.groups[i]; g.n != 0 {
			f.groups[i], g.frozen = g.slots, true
		}
	}
	t.views.Add(1)
	return f
}

// thaw makes g the table's own again. Nothing is copied when every view has been released.
func (t *Table[K, V]) thaw(g *group[K, V]) {
	g.frozen = false
	if t.views.Load() == 0 {
		return
	}
	g.slots = slices.Clone(g.slots)
	if t.own == nil {
		return
	}
	for i := range g.slots {
		if s := &g.slots[i]; s.used {
			t.own(&s.val)
		}
	}
}

// Peek returns the value of k to read only, or nil; it copies nothing.
func (t *Table[K, V]) Peek(hash uint32, k K) *V {
	g := t.group(hash)
	if i := g.find(hash, k); i >= 0 {
		return &g.slots[i].val
	}
	return nil
}

// Group yields the pairs of key group g, which must be in the table's range. They must not be changed.
func (f *Frozen[K, V]) Group(g int) iter.Seq2[*K, *V] {
	return func(yield func(*K, *V) bool) {
		slots := f.groups[g-f.from]
		for i := range slots {
			if s := &slots[i]; s.used && !yield(&s.key, &s.val) {
				return
			}
		}
	}
}

// Release drops the view, which must not be read afterwards. More than one call is one.
func (f *Frozen[K, V]) Release() {
	if f.released.CompareAndSwap(false, true) {
		f.groups = nil
		f.views.Add(-1)
	}
}
