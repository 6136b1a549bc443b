package stream

import (
	"unsafe"

	"github.com/weftstream/weft/operator"
)

// Map makes one record of every record.
func Map[T, U any](s Stream[T], f func(T) U) Stream[U] {
	at := caller()
	e := s.env.check(at, "Map")
	if f == nil {
		e.fail(at, "Map with a nil function")
	}
	typ := typeOf[U](e, at)
	n := e.node(at, "map", "Map", asType(typ), func(env *operator.Env) (operator.Operator, error) {
		if same, ok := any(f).(func(T) T); ok {
			return &mapInPlace[T]{forward: forwardTo(env), f: same}, nil
		}
		return &mapper[T, U]{forward: forwardTo(env), f: f}, nil
	})
	connect(s, n, 0)
	return streamOf(e, n, typ)
}

// MapTo is Map by pointer, faster for large structs: f fills out, which is zero, and keeps neither pointer.
func MapTo[T, U any](s Stream[T], f func(in *T, out *U)) Stream[U] {
	at := caller()
	e := s.env.check(at, "MapTo")
	if f == nil {
		e.fail(at, "MapTo with a nil function")
	}
	typ := typeOf[U](e, at)
	n := e.node(at, "map", "Map", asType(typ), func(env *operator.Env) (operator.Operator, error) {
		return &mapperTo[T, U]{forward: forwardTo(env), f: f}, nil
	})
	connect(s, n, 0)
	return streamOf(e, n, typ)
}

// Filter keeps the records for which f is true.
func (s Stream[T]) Filter(f func(T) bool) Stream[T] {
	at := caller()
	e := s.env.check(at, "Filter")
	if f == nil {
		e.fail(at, "Filter with a nil function")
	}
	n := e.node(at, "filter", "Filter", asType(s.typ), func(env *operator.Env) (operator.Operator, error) {
		return &filter[T]{forward: forwardTo(env), f: f}, nil
	})
	connect(s, n, 0)
	return streamOf(e, n, s.typ)
}

// FlatMap makes any number of records of every record. f calls emit only before it returns, and from its own goroutine.
func FlatMap[T, U any](s Stream[T], f func(v T, emit func(U))) Stream[U] {
	at := caller()
	e := s.env.check(at, "FlatMap")
	if f == nil {
		e.fail(at, "FlatMap with a nil function")
	}
	typ := typeOf[U](e, at)
	n := e.node(at, "flatmap", "Flat Map", asType(typ), func(env *operator.Env) (operator.Operator, error) {
		o := &flatMap[T, U]{f: f, out: newCollector[U](env, ""), at: operator.NoWatermark}
		o.emit = func(v U) { o.out.add(v, o.at) }
		return o, nil
	})
	connect(s, n, 0)
	return streamOf(e, n, typ)
}

type mapInPlace[T any] struct {
	forward
	f func(T) T
}

func (o *mapInPlace[T]) Input(int) operator.Input { return o }

func (o *mapInPlace[T]) Batch(b operator.Batch) error {
	v := b.(*operator.Vec[T])
	for i, f := 0, o.f; i < len(v.V); i++ {
		v.V[i] = f(v.V[i])
	}
	v.H = v.H[:0]
	return o.out.get().Batch(v)
}

type mapper[T, U any] struct {
	forward
	f   func(T) U
	buf operator.Vec[U]
}

func (o *mapper[T, U]) Input(int) operator.Input { return o }

func (o *mapper[T, U]) Batch(b operator.Batch) error {
	v := b.(*operator.Vec[T])
	out := grown(o.buf.V, len(v.V))
	for i, f := 0, o.f; i < len(v.V); i++ {
		out[i] = f(v.V[i])
	}
	return send(&o.buf, out, v.TS, &o.out)
}

type mapperTo[T, U any] struct {
	forward
	f   func(*T, *U)
	buf operator.Vec[U]
}

func (o *mapperTo[T, U]) Input(int) operator.Input { return o }

func (o *mapperTo[T, U]) Batch(b operator.Batch) error {
	v := b.(*operator.Vec[T])
	out := grown(o.buf.V, len(v.V))
	clear(out)
	for i, f := 0, o.f; i < len(v.V); i++ {
		f(&v.V[i], &out[i])
	}
	return send(&o.buf, out, v.TS, &o.out)
}

// send hands on the records of out with the times of the batch they were made of. The times are shared, not copied: a
// batch's contents are its consumer's to change until the call returns.
func send[U any](buf *operator.Vec[U], out []U, ts []int64, to *output) error {
	buf.V, buf.TS, buf.H, buf.WM = out, ts, buf.H[:0], operator.NoWatermark
	err := to.get().Batch(buf)
	buf.V, buf.TS = out, nil
	return err
}

type filter[T any] struct {
	forward
	f func(T) bool
}

func (o *filter[T]) Input(int) operator.Input { return o }

func (o *filter[T]) Batch(b operator.Batch) error {
	v := b.(*operator.Vec[T])
	var n int
	if len(v.TS) == 0 && unsafe.Sizeof(v.V[0]) <= smallRecord {
		n = o.compactSmall(v.V)
	} else {
		n = o.compact(v)
	}
	v.V, v.H = v.V[:n], v.H[:0]
	if len(v.TS) != 0 {
		v.TS = v.TS[:n]
	}
	if n == 0 {
		return nil
	}
	return o.out.get().Batch(v)
}

// smallRecord is the size up to which moving a record in vain costs less than a wrong guess about a branch.
const smallRecord = 16

// compactSmall moves the records to keep to the front without a branch that depends on them.
func (o *filter[T]) compactSmall(v []T) (n int) {
	for i, f := 0, o.f; i < len(v); i++ {
		keep := f(v[i])
		v[n] = v[i]
		if keep {
			n++
		}
	}
	return n
}

// compact moves the records to keep to the front, with their times.
func (o *filter[T]) compact(v *operator.Vec[T]) (n int) {
	timed := len(v.TS) != 0
	for i, f := 0, o.f; i < len(v.V); i++ {
		if !f(v.V[i]) {
			continue
		}
		if n != i {
			v.V[n] = v.V[i]
			if timed {
				v.TS[n] = v.TS[i]
			}
		}
		n++
	}
	return n
}

type flatMap[T, U any] struct {
	f    func(T, func(U))
	emit func(U)
	at   int64 // time of the record being mapped
	out  collector[U]
}

func (o *flatMap[T, U]) Input(int) operator.Input   { return o }
func (o *flatMap[T, U]) Watermark(t int64) error    { return o.out.out.get().Watermark(t) }
func (o *flatMap[T, U]) End() error                 { return o.out.out.get().End() }
func (o *flatMap[T, U]) ProcessingTime(int64) error { return nil }
func (o *flatMap[T, U]) Close() error               { return nil }

func (o *flatMap[T, U]) Batch(b operator.Batch) error {
	v := b.(*operator.Vec[T])
	timed := len(v.TS) != 0
	for i, f := 0, o.f; i < len(v.V); i++ {
		if timed {
			o.at = v.TS[i]
		}
		f(v.V[i], o.emit)
	}
	o.at = operator.NoWatermark
	return o.out.flush()
}
