package state

import (
	"sync/atomic"
	"unsafe"
)

// Range is the key groups From <= g < To that a subtask owns, of Max in the whole job.
type Range struct{ From, To, Max int }

// Table maps keys to values for the key groups of one subtask. The hash of a key comes from codec.Key and decides its
// group; equal keys have equal hashes.
type Table[K comparable, V any] struct {
	r      Range
	clone  func(K) K
	groups []group[K, V]
	n      int
	own    func(*V)     // see CopyValues
	views  atomic.Int32 // frozen views not yet released
	spill  *spill[K, V] // nil: everything is in memory

	stamp   uint16          // of what changes now
	removed Log[removal[K]] // the keys that were deleted
}

type group[K comparable, V any] struct {
	slots []slot[K, V] // length is a power of two, or 0
	n     int
	// frozen says that a view may be reading slots: they are copied before the first change, which is noted.
	frozen bool
	// stored says that the store may hold keys of the group; a slot, where there is one, is newer.
	stored bool
	// touched and logged are the checkpoints behind which something changed last, and something that was evicted then.
	touched, logged int64
}

type slot[K comparable, V any] struct {
	hash  uint32
	used  bool
	stamp uint16 // when val may have changed last; it takes no room
	key   K
	val   V
}

const firstSlots = 8

// NewTable makes an empty table. clone copies a key that is inserted, so that it owns its strings; nil keeps it as it is.
func NewTable[K comparable, V any](r Range, clone func(K) K) *Table[K, V] {
	return &Table[K, V]{r: r, clone: clone, groups: make([]group[K, V], r.To-r.From), stamp: untracked}
}

// Len is the number of keys.
func (t *Table[K, V]) Len() int { return t.n }

func (t *Table[K, V]) group(hash uint32) *group[K, V] {
	return &t.groups[int(uint64(hash)*uint64(t.r.Max)>>32)-t.r.From]
}

// At finds the value of k, or inserts the zero value and says so. The pointer is good until the next At, Delete, Clear or
// Snapshot.
func (t *Table[K, V]) At(hash uint32, k K) (v *V, inserted bool) {
	g := t.group(hash)
	if g.frozen {
		t.thaw(g)
	}
	mask := uint32(len(g.slots) - 1)
	if len(g.slots) != 0 {
		for i := hash & mask; ; i = (i + 1) & mask {
			s := &g.slots[i]
			if !s.used {
				break
			}
			if s.hash == hash && s.key == k {
				s.stamp = t.stamp
				return &s.val, false
			}
		}
	}
	if t.spill != nil {
		return t.miss(g, hash, k)
	}
	t.n++
	return t.insert(g, hash, k, t.stamp), true
}

// Touch is At for a value that stays as it was first set, while what it stands for elsewhere changes: a group that is frozen is
// copied only for a new key, or where a change isn't noted yet.
func (t *Table[K, V]) Touch(hash uint32, k K) (v *V, inserted bool) {
	g := t.group(hash)
	// A stamp alone may be one of long ago: they go round.
	if i := g.find(hash, k); i >= 0 && g.slots[i].stamp == t.stamp && (!g.frozen || g.touched == t.removed.last) {
		return &g.slots[i].val, false
	}
	return t.At(hash, k)
}

// insert makes a slot for k, which has none; it doesn't count it in t.n.
func (t *Table[K, V]) insert(g *group[K, V], hash uint32, k K, stamp uint16) *V {
	if t.clone != nil {
		k = t.clone(k)
	}
	return g.put(hash, k, stamp)
}

// full says that one more key needs more room.
func (g *group[K, V]) full() bool { return (g.n+1)*10 > len(g.slots)*7 }

// put makes a slot for k, which has none and owns its memory.
func (g *group[K, V]) put(hash uint32, k K, stamp uint16) *V {
	if g.full() {
		g.grow()
	}
	s := g.free(hash)
	s.hash, s.used, s.stamp, s.key = hash, true, stamp, k
	g.n++
	return &s.val
}

// free is the first empty slot of hash's probe sequence.
func (g *group[K, V]) free(hash uint32) *slot[K, V] {
	mask := uint32(len(g.slots) - 1)
	i := hash & mask
	for g.slots[i].used {
		i = (i + 1) & mask
	}
	return &g.slots[i]
}

func (g *group[K, V]) grow() {
	old := g.slots
	g.slots = newSlots[K, V](max(firstSlots, 2*len(old)))
	for i := range old {
		if old[i].used {
			*g.free(old[i].hash) = old[i]
		}
	}
}

// newSlots are empty slots in memory that has been written to. A page of new memory that is read first has two faults, for the
// shared page of zeros and for its own, and the second interrupts all processors that run this program.
func newSlots[K comparable, V any](n int) []slot[K, V] {
	all := make([]slot[K, V], n)
	const page = 4096
	for i := 0; i < n; i += max(1, page/int(unsafe.Sizeof(all[0]))) {
		all[i].used = false
	}
	return all
}

func (g *group[K, V]) find(hash uint32, k K) int {
	if g.n == 0 {
		return -1
	}
	mask := uint32(len(g.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		s := &g.slots[i]
		if !s.used {
			return -1
		}
		if s.hash == hash && s.key == k {
			return int(i)
		}
	}
}

// Find returns the value of k to change, or nil. The pointer is good until the next At, Delete, Clear or Snapshot.
func (t *Table[K, V]) Find(hash uint32, k K) *V {
	g := t.group(hash)
	if i := g.find(hash, k); i >= 0 {
		if g.frozen {
			t.thaw(g) // keeps every slot's place
		}
		g.slots[i].stamp = t.stamp
		return &g.slots[i].val
	}
	if g.stored {
		return t.load(g, hash, k, t.stamp)
	}
	return nil
}

// Delete removes k and says whether it was there.
func (t *Table[K, V]) Delete(hash uint32, k K) bool {
	g := t.group(hash)
	at := g.find(hash, k)
	if at < 0 {
		if !g.stored || !t.deleteStored(g, k, false) {
			return false
		}
		t.n--
		if t.removed.On() {
			if t.clone != nil {
				k = t.clone(k)
			}
			t.deleted(t.indexOf(g), k)
		}
		return true
	}
	if t.removed.On() {
		t.deleted(t.indexOf(g), g.slots[at].key)
	}
	t.remove(g, at, k)
	return true
}

// Discard is Delete for a key that At has just inserted: there has been no Snapshot since, and so no view had it.
func (t *Table[K, V]) Discard(hash uint32, k K) {
	g := t.group(hash)
	if at := g.find(hash, k); at >= 0 {
		t.remove(g, at, k)
	}
}

// remove deletes k, which is in slot at.
func (t *Table[K, V]) remove(g *group[K, V], at int, k K) {
	if g.stored {
		t.deleteStored(g, k, true)
	}
	if g.frozen {
		t.thaw(g)
	}
	// Close the gap: move back every later slot of the run that may stand in it, so that no tombstones are needed.
	mask := uint32(len(g.slots) - 1)
	gap := uint32(at)
	for i := (gap + 1) & mask; g.slots[i].used; i = (i + 1) & mask {
		if home := g.slots[i].hash & mask; (i-home)&mask >= (i-gap)&mask {
			g.slots[gap] = g.slots[i]
			gap = i
		}
	}
	g.slots[gap] = slot[K, V]{}
	g.n--
	t.n--
	if t.spill != nil {
		t.spill.space.used -= t.spill.extra
	}
}

// Clear removes all keys and keeps the room.
func (t *Table[K, V]) Clear() {
	t.removed.Forget()
	if t.spill != nil {
		t.clearStored()
	}
	for i := range t.groups {
		g := &t.groups[i]
		if g.frozen {
			if t.spill != nil {
				t.spill.space.used -= int64(len(g.slots)) * t.slotSize()
			}
			g.slots, g.n, g.frozen = nil, 0, false
		} else if g.n != 0 {
			clear(g.slots)
			g.n = 0
		}
	}
	t.n = 0
}

// Cursor is a place in a walk through a Table. The zero value is the beginning.
type Cursor struct {
	group int
	size  int // of the group's slots when it was begun; -1: it isn't begun
	left  int // slots that are still to be looked at
}

// Walk goes on from c, looks at not many more than n places, and yields the keys there, of a table before a store those in
// memory. It says whether it has come to the end; then c is at the beginning again. The values, and the table during a call,
// must not be changed. Between two calls it may be: a key that was there all the time is yielded once, or sometimes twice, but
// one whose place moved because another was deleted may, rarely, be left to the next walk. What a view shares is not copied.
func (t *Table[K, V]) Walk(c *Cursor, n int, yield func(hash uint32, k K, v V)) (end bool) {
	for ; n > 0 && c.group < len(t.groups); n-- {
		slots := t.groups[c.group].slots
		if c.size != len(slots) { // or it has grown since, and everything is elsewhere
			c.size, c.left = len(slots), len(slots)
		}
		// Downwards, since a deletion moves keys down: into what is still to be looked at, unless they move across the end.
		for ; c.left > 0 && n > 0; n-- {
			c.left--
			if s := &slots[c.left]; s.used {
				yield(s.hash, s.key, s.val)
			}
		}
		if c.left == 0 {
			c.group++
			c.size = -1
		}
	}
	if c.group < len(t.groups) {
		return false
	}
	*c = Cursor{}
	return true
}

// All yields every key, in the order of key groups. The table must not be changed meanwhile; the values may be.
func (t *Table[K, V]) All(yield func(hash uint32, k *K, v *V) bool) {
	t.each(func(s *slot[K, V]) bool {
		s.stamp = t.stamp
		return yield(s.hash, &s.key, &s.val)
	})
}

// PeekAll is All for values that are only read.
func (t *Table[K, V]) PeekAll(yield func(hash uint32, k *K, v *V) bool) {
	t.each(func(s *slot[K, V]) bool { return yield(s.hash, &s.key, &s.val) })
}

func (t *Table[K, V]) each(yield func(s *slot[K, V]) bool) {
	for i := range t.groups {
		if t.groups[i].frozen {
			t.thaw(&t.groups[i])
		}
		if t.groups[i].stored {
			t.spill.space.room(0)
			t.loadGroup(&t.groups[i])
		}
		slots := t.groups[i].slots
		for j := range slots {
			if s := &slots[j]; s.used && !yield(s) {
				return
			}
		}
	}
}
