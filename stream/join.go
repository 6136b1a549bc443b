package stream

import (
	"iter"
	"time"
)

// JoinOption changes a Join or a CoGroup.
type JoinOption struct {
	late     bool
	lateness time.Duration
}

// JoinLateness keeps the windows of a Join or CoGroup for d of event time after they have fired: a late record fires its
// window again at once, with everything that is in it. Default 0. What comes later still is dropped and counted
// (numLateRecordsDropped).
func JoinLateness(d time.Duration) JoinOption { return JoinOption{late: true, lateness: d} }

// joinWindow is the window of a join with its options.
func joinWindow[K comparable, L, R any](s Keyed[K, either[L, R]], in Assigner, options []JoinOption) Windowed[K, either[L, R]] {
	w := s.Window(in)
	for _, o := range options {
		if o.late {
			w = w.AllowedLateness(o.lateness)
		}
	}
	return w
}

// canCombine records what keeps a function from reading a stream of e together with one of other; none: there is no function. It
// says whether both are of one graph.
func canCombine(e *Env, at, what string, other *Env, none bool) bool {
	if none {
		e.fail(at, "%s with a nil function", what)
	}
	if other != e {
		e.fail(at, "%s with a stream of another Env: a job is one graph", what)
	}
	return other == e
}

// either is a record of one of the two sides of a join.
type either[L, R any] struct {
	Right bool
	L     L
	R     R
}

// sides makes one keyed stream of two.
func sides[K comparable, L, R any](l Keyed[K, L], r Keyed[K, R], name string) Keyed[K, either[L, R]] {
	lk, rk := l.key, r.key
	return KeyBy(eitherOf(l.in, r.in, name), func(v either[L, R]) K {
		if v.Right {
			return rk(v.R)
		}
		return lk(v.L)
	})
}

// eitherOf makes one stream of two.
func eitherOf[L, R any](l Stream[L], r Stream[R], name string) Stream[either[L, R]] {
	left := MapTo(l, func(v *L, out *either[L, R]) { out.L = *v })
	right := MapTo(r, func(v *R, out *either[L, R]) { out.Right, out.R = true, *v })
	left.named.Name, right.named.Name = name+" Left", name+" Right"
	return left.Union(right)
}

// Join pairs the records of two streams that have the same key and are in the same window, every left one with every right
// one. Results have the last time of the window. Both sides are kept until the window fires, and as long as JoinLateness
// says. Late records are dropped and counted (numLateRecordsDropped).
func Join[K comparable, L, R, O any](l Keyed[K, L], r Keyed[K, R], in Assigner, f func(L, R) O, options ...JoinOption) Stream[O] {
	at := caller()
	e := l.in.env.check(at, "Join")
	if !canCombine(e, at, "Join", r.in.env, f == nil) {
		return Stream[O]{env: e, typ: typeOf[O](e, at)}
	}
	joined := Apply(joinWindow(sides(l, r, "Join"), in, options), func(_ Pane[K], in iter.Seq[either[L, R]], emit func(O)) {
		for a := range in {
			if a.Right {
				continue
			}
			for b := range in {
				if b.Right {
					emit(f(a.L, b.R))
				}
			}
		}
	})
	joined.named.Name = "Join(" + in.kind.String() + ")"
	return joined
}

// CoGroup calls f for every key and window in which at least one of two streams has a record, with those of both, each in
// the order in which they came. Results have the last time of the window. f calls emit only before it returns; left and
// right may be ranged over again and again until then. Both sides are kept until the window fires, and as long as
// JoinLateness says. Late records are dropped and counted (numLateRecordsDropped).
func CoGroup[K comparable, L, R, O any](l Keyed[K, L], r Keyed[K, R], in Assigner, f func(p Pane[K], left iter.Seq[L], right iter.Seq[R], emit func(O)), options ...JoinOption) Stream[O] {
	at := caller()
	e := l.in.env.check(at, "CoGroup")
	if !canCombine(e, at, "CoGroup", r.in.env, f == nil) {
		return Stream[O]{env: e, typ: typeOf[O](e, at)}
	}
	grouped := Apply(joinWindow(sides(l, r, "CoGroup"), in, options), func(p Pane[K], in iter.Seq[either[L, R]], emit func(O)) {
		f(p, func(yield func(L) bool) {
			for v := range in {
				if !v.Right && !yield(v.L) {
					return
				}
			}
		}, func(yield func(R) bool) {
			for v := range in {
				if v.Right && !yield(v.R) {
					return
				}
			}
		}, emit)
	})
	grouped.named.Name = "CoGroup(" + in.kind.String() + ")"
	return grouped
}

// Connected is two streams that one operator reads.
type Connected[L, R any] struct {
	l Stream[L]
	r Stream[R]
}

// Connect has one operator read two streams of different types, each as it is distributed; for streams by key that share
// state see CoProcess.
func Connect[L, R any](l Stream[L], r Stream[R]) Connected[L, R] {
	at := caller()
	e := l.env.check(at, "Connect")
	if r.env != e {
		e.fail(at, "Connect with a stream of another Env: a job is one graph")
		r = Stream[R]{env: e, typ: r.typ}
	}
	return Connected[L, R]{l, r}
}

// CoMap makes one record of every record of either stream.
func CoMap[L, R, O any](c Connected[L, R], left func(L) O, right func(R) O) Stream[O] {
	at := caller()
	e := c.l.env.check(at, "CoMap")
	if left == nil || right == nil {
		e.fail(at, "CoMap with a nil function")
	}
	out := MapTo(eitherOf(c.l, c.r, "CoMap"), func(v *either[L, R], out *O) {
		if v.Right {
			*out = right(v.R)
		} else {
			*out = left(v.L)
		}
	})
	out.named.Name = "CoMap"
	return out
}

// CoFlatMap makes any number of records of every record of either stream. left and right call emit only before they return.
func CoFlatMap[L, R, O any](c Connected[L, R], left func(v L, emit func(O)), right func(v R, emit func(O))) Stream[O] {
	at := caller()
	e := c.l.env.check(at, "CoFlatMap")
	if left == nil || right == nil {
		e.fail(at, "CoFlatMap with a nil function")
	}
	out := FlatMap(eitherOf(c.l, c.r, "CoFlatMap"), func(v either[L, R], emit func(O)) {
		if v.Right {
			right(v.R, emit)
		} else {
			left(v.L, emit)
		}
	})
	out.named.Name = "CoFlatMap"
	return out
}
