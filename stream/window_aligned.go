package stream

import (
	"slices"

	"github.com/weftstream/weft/operator"
	"github.com/weftstream/weft/runtime/state"
)

// alignedWindow is the operator of tumbling, sliding and at-end windows, whose bounds are the same for all keys. Each open
// window has a table of its own and fires by a walk over it: no key has a timer.
type alignedWindow[K comparable, T, A, O any] struct {
	windowBase[K, T, A, O]
	kind                          windowKind
	size, slide, offset, lateness int64
	open                          []*paneTable[K, A] // by start
	last                          *paneTable[K, A]   // the one used last
	free                          []*paneTable[K, A]
	table                         func() *state.Table[K, A]
}

// paneTable is one open window.
type paneTable[K comparable, A any] struct {
	start, end int64 // [start, end)
	fired      bool
	accs       *state.Table[K, A]
}

// maxFree bounds the tables kept for reuse.
const maxFree = 8

func newAlignedWindow[K comparable, T, A, O any](env *operator.Env, w Windowed[K, T], s windowSpec, fn windowFunc[K, T, A, O]) operator.Operator {
	o := &alignedWindow[K, T, A, O]{windowBase: newWindowBase(env, w, s, fn), kind: s.a.kind, size: s.a.size.Milliseconds(),
		slide: s.a.slide.Milliseconds(), offset: s.a.offset.Milliseconds(), lateness: s.lateness.Milliseconds()}
	groups, clone := groupsOf(env), cloneOf(w.in.kt)
	o.table = func() *state.Table[K, A] { return state.NewTable[K, A](groups, clone) }
	if o.kind == atEnd {
		o.last = o.add(operator.NoWatermark, operator.MaxWatermark)
	}
	return o
}

func (o *alignedWindow[K, T, A, O]) Input(int) operator.Input { return o }

func (o *alignedWindow[K, T, A, O]) Batch(b operator.Batch) error {
	v := b.(*operator.Vec[T])
	if len(v.V) == 0 {
		return nil
	}
	if o.kind == atEnd {
		o.all(v)
		return nil
	}
	if len(v.TS) == 0 {
		return o.untimed()
	}
	for i, t := range v.TS {
		if t == operator.NoWatermark {
			return o.untimed()
		}
		if w := o.last; o.kind == tumbling && w != nil && w.start <= t && t < w.end && !w.fired {
			acc, fresh := w.accs.At(v.H[i], o.key(v.V[i]))
			o.fn.fold.add(acc, &v.V[i], fresh)
			continue
		}
		o.assign(v, i, t)
	}
	return o.flush()
}

// all adds a batch to the one window of AtEnd.
func (o *alignedWindow[K, T, A, O]) all(v *operator.Vec[T]) {
	accs, key, add := o.last.accs, o.key, o.fn.fold.add
	for i := range v.V {
		acc, fresh := accs.At(v.H[i], key(v.V[i]))
		add(acc, &v.V[i], fresh)
	}
}

// assign adds record i to every window that it is in.
func (o *alignedWindow[K, T, A, O]) assign(v *operator.Vec[T], i int, t int64) {
	// Flink's TimeWindow.getWindowStartWithOffset: also right for times before the epoch.
	rem := (t - o.offset) % o.slide
	if rem < 0 {
		rem += o.slide
	}
	late := true
	for start := t - rem; start > t-o.size; start -= o.slide {
		end := start + o.size
		if later(end-1, o.lateness) <= o.mark {
			continue
		}
		late = false
		w := o.at(start, end)
		k := o.key(v.V[i])
		acc, fresh := w.accs.At(v.H[i], k)
		o.fn.fold.add(acc, &v.V[i], fresh)
		if end-1 <= o.mark {
			o.fn.fire(Pane[K]{k, Time(start), Time(end)}, acc, &o.out, end-1)
		}
	}
	if late {
		o.late.add(v.V[i], t)
	}
}

// at finds or opens a window.
func (o *alignedWindow[K, T, A, O]) at(start, end int64) *paneTable[K, A] {
	if o.last != nil && o.last.start == start {
		return o.last
	}
	i, ok := slices.BinarySearchFunc(o.open, start, func(w *paneTable[K, A], s int64) int {
		switch {
		case w.start < s:
			return -1
		case w.start > s:
			return 1
		}
		return 0
	})
	if !ok {
		w := o.add(start, end)
		w.fired = end-1 <= o.mark
		o.open = slices.Insert(o.open, i, w)
	}
	o.last = o.open[i]
	return o.last
}

// add makes a window, of a used table where there is one.
func (o *alignedWindow[K, T, A, O]) add(start, end int64) *paneTable[K, A] {
	if n := len(o.free); n != 0 {
		w := o.free[n-1]
		o.free = o.free[:n-1]
		w.start, w.end, w.fired = start, end, false
		return w
	}
	return &paneTable[K, A]{start: start, end: end, accs: o.table()}
}

// Watermark fires the windows that are complete, in the order of their ends, and drops those that no record can join.
func (o *alignedWindow[K, T, A, O]) Watermark(t int64) error {
	if t == operator.IdleWatermark {
		return o.passMark(t)
	}
	o.mark = t
	if o.kind == atEnd {
		if t == operator.MaxWatermark && o.last.accs != nil {
			o.fire(o.last, operator.NoWatermark)
			o.last.accs = nil
		}
		return o.passMark(t)
	}
	gone := 0
	for _, w := range o.open {
		if w.end-1 > t {
			break
		}
		if !w.fired {
			w.fired = true
			o.fire(w, w.end-1)
		}
		if later(w.end-1, o.lateness) <= t {
			gone++
			o.recycle(w)
		}
	}
	o.open = slices.Delete(o.open, 0, gone)
	return o.passMark(t)
}

func (o *alignedWindow[K, T, A, O]) recycle(w *paneTable[K, A]) {
	if o.last == w {
		o.last = nil
	}
	if len(o.free) < maxFree {
		w.accs.Clear()
		o.free = append(o.free, w)
	}
}

// fire emits the result of every key.
func (o *alignedWindow[K, T, A, O]) fire(w *paneTable[K, A], at int64) {
	w.accs.All(func(_ uint32, k *K, a *A) bool {
		o.fn.fire(Pane[K]{*k, Time(w.start), Time(w.end)}, a, &o.out, at)
		return o.out.err == nil
	})
}
