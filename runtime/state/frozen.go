package state

import (
	"errors"
	"iter"
	"slices"
	"sync/atomic"

	"github.com/weftstream/weft/operator"
)

// Frozen is what a Table held when Snapshot was called. Any one goroutine may read it while the table changes.
type Frozen[K comparable, V any] struct {
	from     int
	groups   [][]slot[K, V]
	views    *atomic.Int32
	released atomic.Bool

	spill *spill[K, V] // nil: everything was in memory
	keep  []bool       // by group: the store may hold keys of it
	store operator.StateView
	err   error
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
	if t.spill != nil {
		f.freezeStored(t)
	}
	return f
}

// freezeStored takes a view of the store, if the table has something there.
func (f *Frozen[K, V]) freezeStored(t *Table[K, V]) {
	f.keep = make([]bool, len(t.groups))
	stored := false
	for i := range t.groups {
		f.keep[i] = t.groups[i].stored
		stored = stored || f.keep[i]
	}
	if !stored {
		return
	}
	f.spill = &spill[K, V]{f: t.spill.f, prefix: t.spill.prefix}
	if f.store, f.err = t.spill.space.store.View(); f.err != nil {
		t.spill.space.fail(f.err)
	}
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
	if g.stored {
		return t.load(g, hash, k)
	}
	return nil
}

// Err is why Group or Stored yielded less than there was.
func (f *Frozen[K, V]) Err() error { return f.err }

// Group yields the pairs of key group g, which must be in the table's range. They must not be changed.
func (f *Frozen[K, V]) Group(g int) iter.Seq2[*K, *V] {
	return func(yield func(*K, *V) bool) {
		for k, v := range f.Cached(g) {
			if !yield(k, v) {
				return
			}
		}
		var v V
		for k, b := range f.Stored(g) {
			var zero V
			v = zero
			if err := f.spill.f.Read(&v, b); err != nil {
				f.err = err
				return
			}
			if !yield(k, &v) {
				return
			}
		}
	}
}

// Stored yields those pairs of key group g that were not in memory, with the encoding of the value.
func (f *Frozen[K, V]) Stored(g int) iter.Seq2[*K, []byte] {
	return func(yield func(*K, []byte) bool) {
		if f.err != nil || f.store == nil || !f.keep[g-f.from] {
			return
		}
		cached := group[K, V]{slots: f.groups[g-f.from]}
		cached.n = len(cached.slots)
		p := f.spill
		err := f.store.Scan(p.prefixOf(nil, g-f.from), p.prefixOf(nil, g-f.from+1), func(key, value []byte) error {
			var k K
			if err := p.f.ReadKey(&k, key[storePrefix:]); err != nil {
				return err
			}
			if cached.find(p.f.Hash(k), k) < 0 && !yield(&k, value) {
				return errStop
			}
			return nil
		})
		if err != nil && !errors.Is(err, errStop) {
			f.err = err
		}
	}
}

// errStop ends a scan whose consumer has enough.
var errStop = errors.New("enough")

// Cached yields those pairs of key group g that were in memory.
func (f *Frozen[K, V]) Cached(g int) iter.Seq2[*K, *V] {
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
		if f.store != nil {
			_ = f.store.Close() // a view that was only read
		}
		f.views.Add(-1)
	}
}
