package state

import (
	"encoding/binary"
	"math"
	"slices"
	"unsafe"

	"github.com/weftstream/weft/operator"
)

// Space is the memory that the tables of one operator instance share as a cache before a store. It and its tables belong to
// the subtask's goroutine. A nil Space is that of tables that are all in memory.
type Space struct {
	store  operator.StateStore
	used   int64
	tables []evictor
	hand   int // which table is next to give room
	err    error
	joined bool // it has a share of the store's memory
}

// evictor is a Table, whatever its types.
type evictor interface {
	// evictNext moves the next key group that holds something to the store and says whether there was one.
	evictNext() bool
	// forget removes everything from the store.
	forget()
}

// NewSpace makes the space of an operator instance; it is nil when store is. It takes no memory before its first table.
func NewSpace(store operator.StateStore) *Space {
	if store == nil {
		return nil
	}
	return &Space{store: store}
}

// Err is the first error of the store. After it the tables hold less than they should: what was made of them must not
// get into a checkpoint.
func (s *Space) Err() error {
	if s == nil {
		return nil
	}
	return s.err
}

// Close gives the memory back, and the disk space: the store may live on for other operators. The tables must not be used
// afterwards; views of them may be. More than one call is one.
func (s *Space) Close() {
	if s == nil || !s.joined {
		return
	}
	for _, t := range s.tables {
		t.forget()
	}
	s.joined, s.tables = false, nil
	s.store.Leave()
}

func (s *Space) fail(err error) {
	if s.err == nil {
		s.err = err
	}
}

// room evicts until need more bytes fit, as far as there is something to evict.
func (s *Space) room(need int64) {
	limit := s.store.Share()
	for idle := 0; s.used+need > limit && idle < len(s.tables) && s.err == nil; {
		if s.tables[s.hand%len(s.tables)].evictNext() {
			idle = 0
			continue
		}
		s.hand++
		idle++
	}
}

// Format is how the pairs of a table are stored.
type Format[K comparable, V any] struct {
	// Hash is that of the key.
	Hash func(k K) uint32
	// AppendKey and ReadKey are the key's encoding; what is read owns its memory.
	AppendKey func(dst []byte, k *K) []byte
	ReadKey   func(k *K, src []byte) error
	// Append and Read are the value's encoding; what is read owns its memory.
	Append func(dst []byte, v *V) []byte
	Read   func(v *V, src []byte) error
	// Evicted is called with a value that has been stored and leaves the table; may be nil.
	Evicted func(v *V)
	// Extra is about how many bytes an entry has beyond its slot, when its encoding has n.
	Extra func(n int) int64
}

// spill is what a Table before a store has besides.
type spill[K comparable, V any] struct {
	space  *Space
	f      Format[K, V]
	prefix uint32
	hand   int   // which group is next to be evicted
	extra  int64 // of an entry, estimated
	key    []byte
	val    []byte

	log     uint32 // the prefix of the log of changes; 0: there is none yet
	trimmed int64  // the log has nothing of times before that checkpoint
}

// Spill makes s bound the memory of the table, which is empty still: what doesn't fit is in the store of s. Without a
// Space it does nothing.
func (t *Table[K, V]) Spill(s *Space, f Format[K, V]) {
	if s == nil {
		return
	}
	t.spill = &spill[K, V]{space: s, f: f, prefix: s.store.Prefix()}
	if !s.joined {
		s.joined = true
		s.store.Join()
	}
	s.tables = append(s.tables, t)
}

// Drop removes everything; the table must not be used afterwards.
func (t *Table[K, V]) Drop() {
	if t.spill == nil {
		return
	}
	t.Clear()
	s := t.spill.space
	for i := range t.groups {
		s.used -= int64(len(t.groups[i].slots)) * t.slotSize()
		t.groups[i].slots = nil
	}
	s.tables = slices.DeleteFunc(s.tables, func(e evictor) bool { return e == evictor(t) })
}

// slotSize is the size of a slot in bytes.
func (t *Table[K, V]) slotSize() int64 { return int64(unsafe.Sizeof(slot[K, V]{})) }

// size is about how many bytes g takes.
func (t *Table[K, V]) size(g *group[K, V]) int64 {
	return int64(len(g.slots))*t.slotSize() + int64(g.n)*t.spill.extra
}

// prefixOf is where the keys of key group i, counted from the first of the table, begin; the end of a group is the
// beginning of the next.
func (p *spill[K, V]) prefixOf(dst []byte, group int) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(dst, p.prefix), uint32(group))
}

func (t *Table[K, V]) storeKey(g *group[K, V], k *K) []byte {
	p := t.spill
	p.key = p.f.AppendKey(p.prefixOf(p.key[:0], t.indexOf(g)), k)
	return p.key
}

func (t *Table[K, V]) indexOf(g *group[K, V]) int {
	return int((uintptr(unsafe.Pointer(g)) - uintptr(unsafe.Pointer(&t.groups[0]))) / unsafe.Sizeof(*g))
}

// miss is insert of a table before a store: it looks there first.
func (t *Table[K, V]) miss(g *group[K, V], hash uint32, k K) (v *V, inserted bool) {
	if v := t.load(g, hash, k, t.stamp); v != nil {
		return v, false
	}
	t.n++
	return t.cache(g, hash, k, t.stamp), true
}

// load brings k back from the store, if it is there.
func (t *Table[K, V]) load(g *group[K, V], hash uint32, k K, stamp uint16) *V {
	p := t.spill
	if !g.stored {
		return nil
	}
	var val V
	found, err := p.space.store.Get(t.storeKey(g, &k), func(b []byte) error { return p.f.Read(&val, b) })
	if err != nil {
		p.space.fail(err)
	}
	if !found || err != nil {
		return nil
	}
	v := t.cache(g, hash, k, stamp)
	*v = val
	return v
}

// cache makes a slot for k, which has none, and room for it where needed.
func (t *Table[K, V]) cache(g *group[K, V], hash uint32, k K, stamp uint16) *V {
	p := t.spill
	need := p.extra
	if g.full() {
		need += int64(max(firstSlots, len(g.slots))) * t.slotSize()
	}
	if p.space.used+need > p.space.store.Share() {
		p.space.room(need)
	}
	if g.frozen {
		t.thaw(g)
	}
	if g.full() {
		t.measure(g)
	}
	before := t.size(g)
	v := t.insert(g, hash, k, stamp)
	p.space.used += t.size(g) - before
	return v
}

// measure learns from an entry of g how large entries are.
func (t *Table[K, V]) measure(g *group[K, V]) {
	if t.spill.f.Extra == nil {
		return
	}
	for i := range g.slots {
		if s := &g.slots[i]; s.used {
			t.spill.val = t.spill.f.Append(t.spill.val[:0], &s.val)
			t.learn(len(t.spill.val))
			return
		}
	}
}

// learn moves the estimate towards an entry whose encoding has n bytes.
func (t *Table[K, V]) learn(n int) {
	p := t.spill
	d := (p.f.Extra(n) - p.extra) / 8
	p.extra += d
	cached := 0
	for i := range t.groups {
		cached += t.groups[i].n
	}
	p.space.used += d * int64(cached)
}

func (t *Table[K, V]) evictNext() bool {
	p := t.spill
	for range t.groups {
		g := &t.groups[p.hand]
		p.hand = (p.hand + 1) % len(t.groups)
		switch {
		case g.n != 0:
			t.evict(g)
			return true
		case len(g.slots) != 0: // cleared
			p.space.used -= t.size(g)
			g.slots = nil
			return true
		}
	}
	return false
}

// evict moves what g holds to the store, where what hasn't changed since it was read is already.
func (t *Table[K, V]) evict(g *group[K, V]) {
	p, i := t.spill, t.indexOf(g)
	before, total, n := t.size(g), 0, 0
	err := p.space.store.Apply(func(b operator.StateBatch) error {
		for j := range g.slots {
			s := &g.slots[j]
			if !s.used || s.stamp == clean {
				continue
			}
			p.val = p.f.Append(p.val[:0], &s.val)
			total += len(p.val)
			n++
			if err := b.Set(t.storeKey(g, &s.key), p.val); err != nil {
				return err
			}
			if err := t.logEvicted(b, g, i, s); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		p.space.fail(err)
		return
	}
	if p.f.Evicted != nil {
		for i := range g.slots {
			if s := &g.slots[i]; s.used {
				p.f.Evicted(&s.val)
			}
		}
	}
	g.slots, g.n, g.stored = nil, 0, true
	p.space.used -= before
	if p.f.Extra != nil && n > 0 {
		t.learn(total / n)
	}
}

// loadGroup brings all of g into memory.
func (t *Table[K, V]) loadGroup(g *group[K, V]) {
	p := t.spill
	i := t.indexOf(g)
	view, err := p.space.store.View()
	if err == nil {
		err = t.scan(view, i, func(hash uint32, k K, value []byte) error {
			before := t.size(g)
			v := g.put(hash, k, clean)
			p.space.used += t.size(g) - before
			return p.f.Read(v, value)
		})
		if e := view.Close(); err == nil {
			err = e
		}
	}
	if err != nil {
		p.space.fail(err)
	}
}

// scan yields what of group i is in the store and not in memory, with the encoding of the value.
func (t *Table[K, V]) scan(view operator.StateView, i int, yield func(hash uint32, k K, value []byte) error) error {
	p, g := t.spill, &t.groups[i]
	return view.Scan(p.prefixOf(nil, i), p.prefixOf(nil, i+1), func(key, value []byte) error {
		var k K
		if err := p.f.ReadKey(&k, key[storePrefix:]); err != nil {
			return err
		}
		hash := p.f.Hash(k)
		if g.find(hash, k) >= 0 {
			return nil
		}
		return yield(hash, k, value)
	})
}

// storePrefix is the length of what stands before the key's encoding.
const storePrefix = 8

// deleteStored removes k, which isn't in memory or was, from the store and says whether it was there.
func (t *Table[K, V]) deleteStored(g *group[K, V], k K, cached bool) bool {
	p := t.spill
	key := t.storeKey(g, &k)
	found, err := cached, error(nil)
	if !cached {
		found, err = p.space.store.Get(key, func([]byte) error { return nil })
	}
	if err == nil && found {
		err = p.space.store.Apply(func(b operator.StateBatch) error { return b.Delete(key) })
	}
	if err != nil {
		p.space.fail(err)
	}
	return found
}

// clearStored is what Clear does beside emptying the slots.
func (t *Table[K, V]) clearStored() {
	for i := range t.groups {
		t.spill.space.used -= int64(t.groups[i].n) * t.spill.extra
	}
	t.forget()
}

func (t *Table[K, V]) forget() {
	p := t.spill
	stored := false
	for i := range t.groups {
		stored = stored || t.groups[i].stored
		t.groups[i].stored = false
	}
	if !stored {
		return
	}
	if err := p.space.store.DeleteRange(p.prefixOf(nil, 0), p.prefixOf(nil, len(t.groups))); err != nil {
		p.space.fail(err)
	}
	t.deleteLog(math.MaxInt64)
}
