package stream

import (
	"cmp"
	"slices"

	"github.com/weftstream/weft/codec"
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
	groups                        state.Range
	pairs                         pairCodec[K, paneState[A]]
}

// paneTable is one open window.
type paneTable[K comparable, A any] struct {
	start, end int64 // [start, end)
	// fired says that all keys have fired with what they held then, except those in again.
	fired bool
	accs  *state.Table[K, A]
	// again holds, with their hashes, the keys of a fired window whose results are to come when the watermark gets to the
	// window's end: after a restore it starts from the beginning. Nil otherwise.
	again map[K]uint32
	// waiting says, while the state is restored, that some keys have not fired.
	waiting bool
}

// maxFree bounds the tables kept for reuse.
const maxFree = 8

func newAlignedWindow[K comparable, T, A, O any](env *operator.Env, w Windowed[K, T], s windowSpec, fn windowFunc[K, T, A, O]) (operator.Operator, error) {
	pairs, err := newPairCodec[K, paneState[A]](windowState, w.in.kt)
	if err != nil {
		return nil, err
	}
	o := &alignedWindow[K, T, A, O]{windowBase: newWindowBase(env, w, s, fn), kind: s.a.kind, size: s.a.size.Milliseconds(),
		slide: s.a.slide.Milliseconds(), lateness: s.lateness.Milliseconds(), groups: groupsOf(env), pairs: pairs}
	if o.slide > 0 { // not of AtEnd
		o.offset = (s.a.offset.Milliseconds()%o.slide + o.slide) % o.slide
	}
	clone := cloneOf(w.in.kt)
	acc, err := codec.Of[A]()
	if err != nil {
		return nil, err
	}
	format := formatOf(w.in.kt, acc)
	o.table = func() *state.Table[K, A] {
		t := newTable(o.groups, clone, fn.copy)
		t.Spill(o.space, format)
		return t
	}
	if o.kind == atEnd {
		o.last = o.add(operator.NoWatermark, operator.MaxWatermark)
	}
	return o, nil
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
	if o.proc {
		o.fill(v)
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
	rem := t%o.slide - o.offset
	for rem < 0 {
		rem += o.slide
	}
	taken := false
	for ; rem < o.size; rem += o.slide {
		start, end := earlier(t, rem), later(t, o.size-rem)
		if later(end-1, o.lateness) <= o.mark {
			continue
		}
		taken = true
		w := o.at(start, end)
		k := o.key(v.V[i])
		acc, fresh := w.accs.At(v.H[i], k)
		o.fn.fold.add(acc, &v.V[i], fresh)
		if w.fired {
			o.fireLate(w, v.H[i], k, acc)
		}
	}
	// Where windows have gaps between them a record may be in none and is not late for that.
	if !taken && later(t, o.lateness) <= o.mark {
		o.late.add(v.V[i], t)
	}
}

// fireLate fires a window again for one key: at once, or in a restored window when the watermark is there.
func (o *alignedWindow[K, T, A, O]) fireLate(w *paneTable[K, A], h uint32, k K, acc *A) {
	if w.end-1 > o.mark {
		w.fireAgain(h, o.kt.Clone(k))
		return
	}
	o.fn.fire(Pane[K]{k, Time(w.start), Time(w.end)}, acc, &o.out, w.end-1)
	if o.purge {
		w.accs.Delete(h, k)
	}
}

// fireAgain notes a key, which owns its strings, of a fired window.
func (w *paneTable[K, A]) fireAgain(h uint32, k K) {
	if w.again == nil {
		w.again = map[K]uint32{}
	}
	w.again[k] = h
}

// at finds or opens a window.
func (o *alignedWindow[K, T, A, O]) at(start, end int64) *paneTable[K, A] {
	if o.last != nil && o.last.start == start && o.last.end == end {
		return o.last
	}
	o.last = o.find(start, end)
	return o.last
}

// find is at for a window that isn't the last one. Windows are in the order of their ends; a restored program may have
// other sizes than the one that began them.
func (o *alignedWindow[K, T, A, O]) find(start, end int64) *paneTable[K, A] {
	i, ok := slices.BinarySearchFunc(o.open, start, func(w *paneTable[K, A], s int64) int {
		return cmp.Or(cmp.Compare(w.end, end), cmp.Compare(w.start, s))
	})
	if !ok {
		w := o.add(start, end)
		w.fired = end-1 <= o.mark
		o.open = slices.Insert(o.open, i, w)
		if o.proc {
			o.env.Runtime.WakeAt(end)
		}
	}
	return o.open[i]
}

// add makes a window, of a used table where there is one.
func (o *alignedWindow[K, T, A, O]) add(start, end int64) *paneTable[K, A] {
	if n := len(o.free); n != 0 {
		w := o.free[n-1]
		o.free = o.free[:n-1]
		w.start, w.end, w.fired, w.again, w.waiting = start, end, false, nil, false
		return w
	}
	return &paneTable[K, A]{start: start, end: end, accs: o.table()}
}

// Watermark fires the windows that are complete, in the order of their ends, and drops those that no record can join.
func (o *alignedWindow[K, T, A, O]) Watermark(t int64) error {
	if t == operator.IdleWatermark || o.proc {
		if o.endsBatch(t) {
			o.advance(t)
		}
		return o.passMark(t)
	}
	o.mark = t
	if o.kind == atEnd {
		if t == operator.MaxWatermark && o.last.accs != nil {
			o.fire(o.last, operator.NoWatermark, true)
			o.last.accs.Drop()
			o.last.accs = nil
		}
		return o.passMark(t)
	}
	o.advance(t)
	if !o.every.proc && o.every.passed(t) {
		o.early()
	}
	return o.passMark(t)
}

// ProcessingTime does what is due by the clock.
func (o *alignedWindow[K, T, A, O]) ProcessingTime(now int64) error {
	if o.proc {
		o.mark = max(o.mark, now-1)
		o.advance(o.mark)
		if len(o.open) != 0 {
			o.env.Runtime.WakeAt(o.open[0].end)
		}
	}
	if o.every.proc && o.every.passed(now) {
		o.early()
	}
	o.wakeEvery()
	return o.flush()
}

// advance fires what is complete at time t.
func (o *alignedWindow[K, T, A, O]) advance(t int64) {
	gone := 0
	for _, w := range o.open {
		if w.end-1 > t {
			break
		}
		over := later(w.end-1, o.lateness) <= t
		o.complete(w, over)
		if over {
			gone++
			o.recycle(w)
		}
	}
	o.open = slices.Delete(o.open, 0, gone)
}

// complete fires a window whose end has come, for the keys that have not fired. over says that no record can join it.
func (o *alignedWindow[K, T, A, O]) complete(w *paneTable[K, A], over bool) {
	switch {
	case !w.fired:
		w.fired = true
		o.fire(w, w.end-1, over || o.purge)
		w.accs.Forget() // all pairs say that they haven't fired
	case w.again != nil:
		again := w.again
		w.again = nil
		for k, h := range again {
			if acc := w.accs.Find(h, k); acc != nil {
				o.fireLate(w, h, k, acc)
			}
		}
	}
}

// early fires the windows whose end has not come.
func (o *alignedWindow[K, T, A, O]) early() {
	for _, w := range o.open {
		if w.fired {
			continue
		}
		o.fire(w, w.end-1, o.purge)
	}
}

func (o *alignedWindow[K, T, A, O]) recycle(w *paneTable[K, A]) {
	if o.last == w {
		o.last = nil
	}
	if len(o.free) < maxFree {
		w.accs.Clear()
		o.free = append(o.free, w)
		return
	}
	w.accs.Drop()
}

// fire emits the result of every key, and removes them where that is asked for.
func (o *alignedWindow[K, T, A, O]) fire(w *paneTable[K, A], at int64, remove bool) {
	walk := w.accs.PeekAll
	if remove {
		walk = w.accs.Drain
	}
	walk(func(_ uint32, k *K, a *A) bool {
		o.fn.fire(Pane[K]{*k, Time(w.start), Time(w.end)}, a, &o.out, at)
		return o.out.err == nil
	})
}
