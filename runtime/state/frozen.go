package state

import (
	"errors"
	"iter"
	"runtime"
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

	since *changes[K] // nil: what has changed isn't known
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
	f.spill = &spill[K, V]{f: t.spill.f, prefix: t.spill.prefix, log: t.spill.log}
	if f.store, f.err = t.spill.space.store.View(); f.err != nil {
		t.spill.space.fail(f.err)
	}
}

// thaw makes g the table's own again, to be changed. Nothing is copied when every view has been released.
func (t *Table[K, V]) thaw(g *group[K, V]) {
	g.frozen, g.touched = false, t.removed.last
	if t.views.Load() == 0 {
		return
	}
	runtime.Gosched() // soon the other groups follow: other subtasks needn't wait for all of them
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
		return t.load(g, hash, k, clean)
	}
	return nil
}

// Err is why less was yielded than there was.
func (f *Frozen[K, V]) Err() error { return f.err }

// Group yields the pairs of key group g, which must be in the table's range. They must not be changed.
func (f *Frozen[K, V]) Group(g int) iter.Seq2[*K, *V] { return f.pairs(g, f.Each) }

// pairs yields what each does of key group g, with values that are read where they aren't in memory.
func (f *Frozen[K, V]) pairs(g int, each func(int, func(*K, *V, []byte) bool)) iter.Seq2[*K, *V] {
	return func(yield func(*K, *V) bool) {
		var read V
		each(g, func(k *K, v *V, stored []byte) bool {
			if v != nil {
				return yield(k, v)
			}
			var zero V
			read = zero
			if f.err = f.spill.f.Read(&read, stored); f.err != nil {
				return false
			}
			return yield(k, &read)
		})
	}
}

// Each yields the pairs of key group g: those that were in memory, and those that were not, with a nil v and the encoding of
// the value.
func (f *Frozen[K, V]) Each(g int, yield func(k *K, v *V, stored []byte) bool) {
	slots := f.groups[g-f.from]
	for i := range slots {
		if s := &slots[i]; s.used && !yield(&s.key, &s.val, nil) {
			return
		}
	}
	if f.err == nil && f.store != nil && f.keep[g-f.from] {
		f.eachStored(g-f.from, yield)
	}
}

// eachStored yields what is in the store only.
func (f *Frozen[K, V]) eachStored(i int, yield func(k *K, v *V, stored []byte) bool) {
	cached := group[K, V]{slots: f.groups[i], n: len(f.groups[i])}
	p := f.spill
	err := f.store.Scan(p.prefixOf(nil, i), p.prefixOf(nil, i+1), func(key, value []byte) error {
		var k K
		if err := p.f.ReadKey(&k, key[storePrefix:]); err != nil {
			return err
		}
		if cached.find(p.f.Hash(k), k) < 0 && !yield(&k, nil, value) {
			return errStop
		}
		return nil
	})
	if err != nil && !errors.Is(err, errStop) {
		f.err = err
	}
}

// errStop ends a scan whose consumer has enough.
var errStop = errors.New("enough")

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
