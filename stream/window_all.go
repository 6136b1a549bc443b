package stream

import "github.com/weftstream/weft/codec"

// All is the one key of a stream that is cut into windows as a whole.
type All struct{}

// WindowAll cuts the whole stream into windows, not key by key: one subtask does it.
func (s Stream[T]) WindowAll(a Assigner) Windowed[All, T] {
	at := caller()
	e := s.env.check(at, "WindowAll")
	return windowed(e, at, allOf(e, at, s), windowSpec{at: at, a: a, all: true})
}

func allOf[T any](e *Env, at string, s Stream[T]) Keyed[All, T] {
	kt, err := codec.KeyOf[All]()
	if err != nil {
		e.fail(at, "%v", err)
	}
	return Keyed[All, T]{in: s, key: func(T) All { return All{} }, kt: kt, at: at}
}

// CountWindow are windows of n records of a key each. One that isn't full when the input ends doesn't fire.
func (s Keyed[K, T]) CountWindow(n int) Windowed[K, T] {
	at := caller()
	e := s.in.env.check(at, "CountWindow")
	return windowed(e, at, s, countSpec(e, at, windowSpec{count: n, purge: true}))
}

// SlidingCountWindow fires at every slide-th record of a key with its last size records, at first with fewer.
func (s Keyed[K, T]) SlidingCountWindow(size, slide int) Windowed[K, T] {
	at := caller()
	e := s.in.env.check(at, "SlidingCountWindow")
	return windowed(e, at, s, countSpec(e, at, windowSpec{count: slide, keepN: size}))
}

// CountWindowAll are windows of n records of the whole stream each; one subtask counts.
func (s Stream[T]) CountWindowAll(n int) Windowed[All, T] {
	at := caller()
	e := s.env.check(at, "CountWindowAll")
	return windowed(e, at, allOf(e, at, s), countSpec(e, at, windowSpec{count: n, purge: true, all: true}))
}

// SlidingCountWindowAll fires at every slide-th record of the whole stream with the last size records.
func (s Stream[T]) SlidingCountWindowAll(size, slide int) Windowed[All, T] {
	at := caller()
	e := s.env.check(at, "SlidingCountWindowAll")
	return windowed(e, at, allOf(e, at, s), countSpec(e, at, windowSpec{count: slide, keepN: size, all: true}))
}

// countSpec completes s, a global window that fires by count.
func countSpec(e *Env, at string, s windowSpec) windowSpec {
	s.at, s.a = at, Global()
	if s.count < 1 || !s.purge && s.keepN < 1 {
		e.fail(at, "a count window of %d records every %d: both are at least 1", max(s.keepN, s.count), s.count)
		s.count = 1 // one mistake is enough
	}
	return s
}
