package stream

import "github.com/weftstream/weft/codec"

// Reducing is one value per key, into which every value that is added is combined at once.
type Reducing[V any] struct {
	c    *cells[V]
	fold fold[V, V]
	in   V // what is being added; here, so that it needs no allocation
}

// ReducingState makes the state name of an operator, whose name is unique in the operator. f combines the value so far with
// one that is added; it may change and return the former. It is not called for a key's first value.
func ReducingState[V any](rt *Runtime, name string, f func(a, b V) V, o ...StateOption) *Reducing[V] {
	s := &Reducing[V]{c: bind[V](rt, "ReducingState", name, o, encodable[V]())}
	if f == nil {
		rt.fail("ReducingState(%q) with a nil function", name)
	}
	if t, err := codec.Of[V](); err == nil {
		s.fold, s.c.own = reduceFold(f, t), copierOf(t)
	}
	return s
}

// Add combines v into the current key's value, and its time to live begins again.
func (s *Reducing[V]) Add(v V) {
	to, fresh := s.c.accumulate()
	s.in = v
	s.fold.add(to, &s.in, fresh)
	var zero V
	s.in = zero
}

// Get returns the current key's value, and whether anything was added to it.
func (s *Reducing[V]) Get() (V, bool) {
	if v := s.c.get(); v != nil {
		return *v, true
	}
	var zero V
	return zero, false
}

// Clear removes the current key's value.
func (s *Reducing[V]) Clear() { s.c.clear(s.c.ks.slot) }

// Aggregating is one accumulator A per key, to which values T are added and from which the result O is made.
type Aggregating[T, A, O any] struct {
	c      *cells[A]
	fold   fold[T, A]
	result func(*A) O
	in     T // as in Reducing
}

// AggregatingState makes the state name of an operator, whose name is unique in the operator. add adds a value to the
// accumulator, which is the zero value at first. result makes the result of an accumulator and leaves it as it is.
func AggregatingState[T, A, O any](rt *Runtime, name string, add func(*A, T), result func(*A) O, o ...StateOption) *Aggregating[T, A, O] {
	s := &Aggregating[T, A, O]{c: bind[A](rt, "AggregatingState", name, o, encodable[T](), encodable[A]()), result: result}
	if add == nil || result == nil {
		rt.fail("AggregatingState(%q) with a nil function", name)
	}
	in, errIn := codec.Of[T]()
	acc, err := codec.Of[A]()
	if errIn == nil && err == nil {
		s.fold, s.c.own = aggregateFold(add, in, acc), copierOf(acc)
	}
	return s
}

// Add adds v to the current key's accumulator, and its time to live begins again.
func (s *Aggregating[T, A, O]) Add(v T) {
	to, fresh := s.c.accumulate()
	s.in = v
	s.fold.add(to, &s.in, fresh)
	var zero T
	s.in = zero
}

// Get returns the result of what was added for the current key, and whether anything was.
func (s *Aggregating[T, A, O]) Get() (O, bool) {
	if a := s.c.get(); a != nil {
		return s.result(a), true
	}
	var zero O
	return zero, false
}

// Clear removes the current key's accumulator.
func (s *Aggregating[T, A, O]) Clear() { s.c.clear(s.c.ks.slot) }
