package stream

import (
	"fmt"
	"iter"
	"maps"
	"reflect"
	"sync/atomic"
	"time"

	"github.com/weftstream/weft/codec"
)

// keyedState is what the states of one operator instance share: the current key, as a slot number. Every key that has
// state has a slot; a state is a slice indexed by slot, so that a key is looked up once per record, not once per state.
type keyedState struct {
	slot   int32
	live   []int32 // by slot: how many states hold something
	states []slotState
	names  map[string]bool
	now    func() int64
	ttl    int64        // the shortest time to live of a state in ms, 0 for none
	views  atomic.Int32 // snapshots that are still read

	keyless bool        // there is no current key; slot is nobody's
	fail    func(error) // fails the job
}

// slotState is one state, whatever its type.
type slotState interface {
	// grow makes room for n slots.
	grow(n int)
	// expire clears slot when its time to live is over at now.
	expire(slot int32, now int64)
	// label is the state's name.
	label() string
	// schemas are those of the values and, with a time to live, says that there are times of expiry.
	schema() (value []byte, expires bool, err error)
	// freeze makes a view of what the state holds now.
	freeze() stateView
	// reader makes what fills slots from values of a schema; setExpiry follows for each.
	reader(schema []byte) (func(slot int32, src []byte) (rest []byte, err error), error)
	setExpiry(slot int32, at int64)
	storable
}

// stateView is what a state held when a snapshot was taken. Any one goroutine may read it while the state changes.
type stateView interface {
	// encode appends the value of slot, if there is one.
	encode(dst []byte, slot int32) ([]byte, bool)
	// encodeExpiry appends when the value of slot expires, if there is one.
	encodeExpiry(dst []byte, slot int32) ([]byte, bool)
	// touch looks at all these slots, so that they are in the processor's cache, and counts those with a value.
	touch(slots []int32) (set int)
}

// StateOption changes a state.
type StateOption struct{ ttl time.Duration }

// TTL clears a key's state d of processing time after it was last written. At least 1 ms. It is gone then for everybody who
// looks, and for checkpoints; its memory is given back by and by, as a rule within another d, or a second if that is longer.
func TTL(d time.Duration) StateOption { return StateOption{ttl: d} }

// cells holds a state's values by slot.
type cells[V any] struct {
	column[V]
	ks   *keyedState
	name string
	typ  *codec.Type[V] // nil if V has no codec, which is an error that stops the task
	ttl  int64
	// stored is a value's encoding while it is written; here, so that it needs no allocation.
	stored []byte
}

// bind registers a state with its operator. A mistake is kept in rt and stops the task before its first record.
func bind[V any](rt *Runtime, what, name string, opts []StateOption, kept ...func() error) *cells[V] {
	c := &cells[V]{ks: rt.state, name: name}
	c.typ, _ = codec.Of[V]()
	c.timed = len(opts) > 0
	if c.ks == nil {
		rt.fail("%s(%q): state belongs to a key; it can be had in the open function of Process, CoProcess and BroadcastProcess only", what, name)
		c.ks = &keyedState{live: make([]int32, 1), names: map[string]bool{}, now: func() int64 { return 0 }}
		c.grow(1)
	}
	c.views = &c.ks.views
	bindName(rt, c.ks.names, what, name, kept)
	for _, o := range opts {
		if c.ttl = o.ttl.Milliseconds(); c.ttl < 1 {
			rt.fail("%s(%q): TTL(%v) is less than 1 ms", what, name, o.ttl)
			c.ttl = 1
		}
		if c.ks.ttl == 0 || c.ttl < c.ks.ttl {
			c.ks.ttl = c.ttl
		}
	}
	c.ks.states = append(c.ks.states, c)
	return c
}

// bindName checks the name of a new state, and what it keeps.
func bindName(rt *Runtime, names map[string]bool, what, name string, kept []func() error) {
	switch {
	case name == "":
		rt.fail("%s without a name", what)
	case name[0] == '_':
		rt.fail("%s(%q): names that begin with _ are the engine's own", what, name)
	case names[name]:
		rt.fail("%s(%q): the operator already has a state of that name", what, name)
	}
	names[name] = true
	for _, check := range kept {
		if err := check(); err != nil {
			rt.fail("%s(%q): %w", what, name, err)
		}
	}
}

func encodable[V any]() func() error {
	return func() error {
		_, err := codec.Of[V]()
		return err
	}
}

func (c *cells[V]) expire(slot int32, now int64) {
	if c.ttl > 0 && c.at(slot).set && now >= c.expires[slot>>pageBits][slot&pageMask] {
		c.clear(slot)
	}
}

// get is the current key's value to read, nil when there is none.
func (c *cells[V]) get() *V {
	s := c.ks.slot
	if c.ttl > 0 {
		c.expire(s, c.ks.now())
	}
	if e := c.at(s); e.set {
		return &e.val
	}
	if c.ks.keyless {
		c.misused()
	}
	return nil
}

// misused fails the job: the state was used where there is no key.
func (c *cells[V]) misused() {
	c.ks.fail(fmt.Errorf("state %q, which belongs to a key, was used in method Broadcast: its records have no key; use it in Element and OnTimer, or a BroadcastState", c.name))
}

// touch is the current key's value to change, made when there is none.
func (c *cells[V]) touch() *V {
	v, _ := c.accumulate()
	return v
}

// accumulate is touch that also says whether the value was made.
func (c *cells[V]) accumulate() (v *V, fresh bool) {
	v, fresh = c.present()
	if c.own != nil {
		c.unshare(c.ks.slot, v)
	}
	return v, fresh
}

// change is touch for a value that is there, whose time to live goes on.
func (c *cells[V]) change() *V {
	v := &c.edit(c.ks.slot).val
	if c.own != nil {
		c.unshare(c.ks.slot, v)
	}
	return v
}

// renew is the current key's value to replace, made when there is none.
func (c *cells[V]) renew() *V {
	v, _ := c.present()
	if c.own != nil {
		c.renewed(c.ks.slot)
	}
	return v
}

// present makes the current key's value be there, and its time to live begin. It says whether there was none.
func (c *cells[V]) present() (v *V, fresh bool) {
	s := c.ks.slot
	e := c.edit(s)
	if c.ttl > 0 {
		now := c.ks.now()
		c.expire(s, now)
		c.expires[s>>pageBits][s&pageMask] = now + c.ttl
	}
	if fresh = !e.set; fresh {
		e.set = true
		c.ks.live[s]++
		if c.ks.keyless {
			c.misused()
		}
	}
	return &e.val, fresh
}

func (c *cells[V]) clear(slot int32) {
	if !c.at(slot).set {
		return
	}
	*c.edit(slot) = cell[V]{}
	if c.own != nil {
		c.renewed(slot)
	}
	c.ks.live[slot]--
}

// Value is one value per key. It is made in an open function and used while the operator processes a key's record or timer.
type Value[V any] struct {
	c    *cells[V]
	keep keeper[V]
}

// ValueState makes the state name of an operator. The name is unique in the operator.
func ValueState[V any](rt *Runtime, name string, o ...StateOption) *Value[V] {
	s := &Value[V]{c: bind[V](rt, "ValueState", name, o, encodable[V]())}
	if t, err := codec.Of[V](); err == nil {
		s.keep, s.c.own = keeperOf(t), copierOf(t)
	}
	return s
}

// Get returns the current key's value, and whether there is one.
func (s *Value[V]) Get() (V, bool) {
	if v := s.c.get(); v != nil {
		return *v, true
	}
	var zero V
	return zero, false
}

// Set replaces the current key's value.
func (s *Value[V]) Set(v V) {
	to := s.c.renew()
	*to = v
	s.keep.keep(to)
}

// Update changes the current key's value in place, from the zero value when there is none. The pointer is dead when f
// returns.
func (s *Value[V]) Update(f func(*V)) {
	v := s.c.touch()
	switch s.keep.kind {
	case keepPlain:
		f(v)
	case keepFlat:
		old := *v
		f(v)
		s.keep.changed(&old, v)
	default:
		f(v)
		s.keep.clone(v)
	}
}

// Clear removes the current key's value.
func (s *Value[V]) Clear() { s.c.clear(s.c.ks.slot) }

// List is a list of values per key.
type List[V any] struct {
	c    *cells[[]V]
	keep keeper[V]
}

// ListState makes the list name of an operator. The name is unique in the operator.
func ListState[V any](rt *Runtime, name string, o ...StateOption) *List[V] {
	s := &List[V]{c: bind[[]V](rt, "ListState", name, o, encodable[V]())}
	if t, err := codec.Of[V](); err == nil {
		s.keep = keeperOf(t)
	}
	return s
}

// Add appends v to the current key's list.
func (s *List[V]) Add(v V) {
	l := s.c.touch()
	*l = append(*l, v)
	s.keep.keep(&(*l)[len(*l)-1])
}

// Len is the length of the current key's list.
func (s *List[V]) Len() int {
	if l := s.c.get(); l != nil {
		return len(*l)
	}
	return 0
}

// All yields the current key's list in order. The list must not be changed meanwhile.
func (s *List[V]) All() iter.Seq[V] {
	return func(yield func(V) bool) {
		l := s.c.get()
		if l == nil {
			return
		}
		for _, v := range *l {
			if !yield(v) {
				return
			}
		}
	}
}

// Set replaces the current key's list by what seq yields; an empty one clears it.
func (s *List[V]) Set(seq iter.Seq[V]) {
	var l []V
	for v := range seq {
		s.keep.keep(&v)
		l = append(l, v)
	}
	if len(l) == 0 {
		s.Clear()
		return
	}
	*s.c.renew() = l
}

// Clear removes the current key's list.
func (s *List[V]) Clear() { s.c.clear(s.c.ks.slot) }

// MapOf is a map per key.
type MapOf[K comparable, V any] struct {
	c    *cells[map[K]V]
	keyK keeper[K]
	keep keeper[V]
}

// MapState makes the map name of an operator. The name is unique in the operator.
func MapState[K comparable, V any](rt *Runtime, name string, o ...StateOption) *MapOf[K, V] {
	s := &MapOf[K, V]{c: bind[map[K]V](rt, "MapState", name, o, encodable[K](), encodable[V]())}
	s.c.own = func(m *map[K]V) { *m = maps.Clone(*m) }
	if t, err := codec.Of[K](); err == nil {
		s.keyK = keeperOf(t)
	}
	if t, err := codec.Of[V](); err == nil {
		s.keep = keeperOf(t)
	}
	return s
}

// Get returns the value of k in the current key's map, and whether there is one.
func (s *MapOf[K, V]) Get(k K) (V, bool) {
	if m := s.c.get(); m != nil {
		v, ok := (*m)[k]
		return v, ok
	}
	var zero V
	return zero, false
}

// Set puts v under k into the current key's map.
func (s *MapOf[K, V]) Set(k K, v V) {
	m := s.c.touch()
	if *m == nil {
		*m = map[K]V{}
	}
	s.keep.keep(&v)
	if _, ok := (*m)[k]; !ok {
		s.keyK.keep(&k)
	}
	(*m)[k] = v
}

// Delete removes k from the current key's map.
func (s *MapOf[K, V]) Delete(k K) {
	m := s.c.get()
	if m == nil {
		return
	}
	if _, ok := (*m)[k]; !ok {
		return
	}
	m = s.c.change()
	if delete(*m, k); len(*m) == 0 {
		s.Clear()
	}
}

// Len is the size of the current key's map.
func (s *MapOf[K, V]) Len() int {
	if m := s.c.get(); m != nil {
		return len(*m)
	}
	return 0
}

// All yields the current key's map, in no particular order.
func (s *MapOf[K, V]) All() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		m := s.c.get()
		if m == nil {
			return
		}
		for k, v := range *m {
			if !yield(k, v) {
				return
			}
		}
	}
}

// Clear removes the current key's map.
func (s *MapOf[K, V]) Clear() { s.c.clear(s.c.ks.slot) }

// typeName is how a type is called in messages.
func typeName[T any]() string { return reflect.TypeFor[T]().String() }
