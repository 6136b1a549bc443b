package stream

import (
	"fmt"
	"iter"
	"maps"

	"github.com/weftstream/weft/codec"
	"github.com/weftstream/weft/operator"
)

// BroadcastMap is a map that every subtask has a copy of. The copies are the same because only the records of the
// broadcast stream, which every subtask gets, change it. It is made in an open function and used by the methods of the
// function, from their goroutine.
type BroadcastMap[K comparable, V any] struct {
	name   string
	in     *operatorStates
	m      map[K]V
	frozen bool // a view may have m
	key    *codec.Type[K]
	val    *codec.Type[V]
	keyK   keeper[K]
	keep   keeper[V]
}

// BroadcastState makes the broadcast state name of an operator; the name is unique in it. Method Broadcast of a
// BroadcastProcessor reads and changes it; everything else may only read: a change fails the job. A restored subtask
// gets a copy, however many subtasks there are.
func BroadcastState[K comparable, V any](rt *Runtime, name string) *BroadcastMap[K, V] {
	s := &BroadcastMap[K, V]{name: name, m: map[K]V{}}
	if t, err := codec.Of[K](); err == nil {
		s.key, s.keyK = t, keeperOf(t)
	}
	if t, err := codec.Of[V](); err == nil {
		s.val, s.keep = t, keeperOf(t)
	}
	s.in = bindOperator(rt, "BroadcastState", name, encodable[K](), encodable[V]())
	s.in.states = append(s.in.states, s)
	return s
}

// Get returns the value of k, and whether there is one. What it points to must not be changed.
func (s *BroadcastMap[K, V]) Get(k K) (V, bool) {
	v, ok := s.m[k]
	return v, ok
}

// Len is the size of the map.
func (s *BroadcastMap[K, V]) Len() int { return len(s.m) }

// All yields the map, in no particular order.
func (s *BroadcastMap[K, V]) All() iter.Seq2[K, V] { return maps.All(s.m) }

// Set puts v under k.
func (s *BroadcastMap[K, V]) Set(k K, v V) {
	if !s.change("Set") {
		return
	}
	s.keep.keep(&v)
	if _, ok := s.m[k]; !ok {
		s.keyK.keep(&k)
	}
	s.m[k] = v
}

// Delete removes k.
func (s *BroadcastMap[K, V]) Delete(k K) {
	if s.change("Delete") {
		delete(s.m, k)
	}
}

// Clear removes everything.
func (s *BroadcastMap[K, V]) Clear() {
	if s.change("Clear") {
		s.m = map[K]V{}
	}
}

// change makes the map the state's own, and says whether it may be changed now.
func (s *BroadcastMap[K, V]) change(what string) bool {
	if !s.in.writable {
		s.in.fail(fmt.Errorf("%s of broadcast state %q outside of method Broadcast: elsewhere it can only be read, or its copies in the subtasks would differ", what, s.name))
		return false
	}
	if s.frozen {
		s.frozen = false
		if s.in.views.Load() != 0 {
			s.m = maps.Clone(s.m)
		}
	}
	return true
}

func (s *BroadcastMap[K, V]) describe() (operator.StateDescriptor, error) {
	d := operator.StateDescriptor{Name: s.name, Kind: operator.BroadcastState}
	var err error
	if d.Key, err = s.key.Schema().MarshalBinary(); err == nil {
		d.Value, err = s.val.Schema().MarshalBinary()
	}
	return d, err
}

// freeze shares the map until the next change.
func (s *BroadcastMap[K, V]) freeze() func(b *blockWriter) {
	s.frozen = true
	m := s.m
	return func(b *blockWriter) {
		for k, v := range m {
			b.block = s.val.EncodeValue(s.key.EncodeValue(b.block, &k), &v)
			b.added()
		}
	}
}

func (s *BroadcastMap[K, V]) restore(d operator.StateDescriptor, r operator.StateReader) error {
	keys, err := readerOf[K](d.Key)
	if err != nil {
		return fmt.Errorf("its key: %w", err)
	}
	vals, err := readerOf[V](d.Value)
	if err != nil {
		return err
	}
	s.m = map[K]V{}
	for b, err := range r.Blocks(s.name) {
		for data := b.Data; err == nil && len(data) > 0; {
			var k K
			var v V
			if data, err = keys.Read(&k, data); err == nil {
				data, err = vals.Read(&v, data)
			}
			if err == nil {
				s.m[k] = v
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}
