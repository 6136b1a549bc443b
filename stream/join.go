package stream

import "iter"

// either is a record of one of the two sides of a join.
type either[L, R any] struct {
	Right bool
	L     L
	R     R
}

// Join pairs the records of two streams that have the same key and are in the same window, every left one with every right
// one. Results have the last time of the window. Both sides are kept until the window fires.
func Join[K comparable, L, R, O any](l Keyed[K, L], r Keyed[K, R], in Assigner, f func(L, R) O) Stream[O] {
	at := caller()
	e := l.in.env.check(at, "Join")
	if f == nil {
		e.fail(at, "Join with a nil function")
	}
	if r.in.env != e {
		e.fail(at, "Join with a stream of another Env: a job is one graph")
		return Stream[O]{env: e, typ: typeOf[O](e, at)}
	}
	left := MapTo(l.in, func(v *L, out *either[L, R]) { out.L = *v })
	right := MapTo(r.in, func(v *R, out *either[L, R]) { out.Right, out.R = true, *v })
	left.named.Name, right.named.Name = "Join Left", "Join Right"
	lk, rk := l.key, r.key
	both := KeyBy(left.Union(right), func(v either[L, R]) K {
		if v.Right {
			return rk(v.R)
		}
		return lk(v.L)
	})
	joined := Apply(both.Window(in), func(_ Pane[K], in iter.Seq[either[L, R]], emit func(O)) {
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
