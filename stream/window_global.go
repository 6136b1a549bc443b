package stream

import (
	"fmt"
	"math"
	"slices"

	"github.com/weftstream/weft/operator"
	"github.com/weftstream/weft/runtime/state"
)

// globalWindow is the operator of global windows: one window per key, fired by triggers. Without an evictor the
// accumulator is kept; with one the records are, and what remains of them is added up when it fires.
type globalWindow[K comparable, T, A, O any] struct {
	windowBase[K, T, A, O]
	spec    windowSpec
	keepMS  int64
	over    float64
	delta   func(last, v T) float64
	record  keeper[T]
	evict   bool
	windows *state.Table[K, globalPane[T, A]]
	scratch A
	groups  state.Range
	pairs   pairCodec[K, globalPaneState[T, A]]
}

// globalPane is the window of one key.
type globalPane[T, A any] struct {
	acc     A
	started bool // acc holds a record
	count   int  // since TriggerCount fired last
	hasLast bool
	last    T // TriggerDelta's
	// records are those that came, and times when; the first from of them are evicted, and zero. They are apart because a
	// window that fires reads all of its records, and hardly any of their times.
	records []T
	times   []int64
	from    int
	high    int64 // the latest event time
	// disorder is how much earlier than one before it a record can be, at most; 0: they are in the order of their times.
	disorder int64
}

// live are the records that nothing has evicted.
func (p *globalPane[T, A]) live() []T { return p.records[p.from:] }

func newGlobalWindow[K comparable, T, A, O any](env *operator.Env, w Windowed[K, T], s windowSpec, fn windowFunc[K, T, A, O]) (operator.Operator, error) {
	pairs, err := newPairCodec[K, globalPaneState[T, A]](globalState, w.in.kt)
	if err != nil {
		return nil, err
	}
	o := &globalWindow[K, T, A, O]{windowBase: newWindowBase(env, w, s, fn), spec: s, keepMS: s.keep.Milliseconds(), over: w.over, delta: w.delta,
		record: keeperOf(w.in.in.typ), evict: s.keep > 0 || s.keepN > 0, groups: groupsOf(env), pairs: pairs}
	o.windows = newTable(o.groups, cloneOf(w.in.kt), copyGlobal[T](fn.copy, o.evict))
	o.windows.Spill(o.space, globalFormat(pairs))
	return o, nil
}

// copyGlobal makes a window own what is changed in place; nil where nothing is.
func copyGlobal[T, A any](copy func(*A), evict bool) func(*globalPane[T, A]) {
	if copy == nil && !evict {
		return nil
	}
	return func(p *globalPane[T, A]) {
		p.records, p.times = slices.Clone(p.records), slices.Clone(p.times)
		if copy != nil {
			copy(&p.acc)
		}
	}
}

func (o *globalWindow[K, T, A, O]) Input(int) operator.Input { return o }

func (o *globalWindow[K, T, A, O]) Batch(b operator.Batch) error {
	v := b.(*operator.Vec[T])
	t := operator.NoWatermark
	for i := range v.V {
		if len(v.TS) != 0 {
			t = v.TS[i]
		}
		if t == operator.NoWatermark && o.keepMS > 0 {
			return o.untimed()
		}
		k := o.key(v.V[i])
		p, fresh := o.windows.At(v.H[i], k)
		if fresh {
			p.high = operator.NoWatermark
		}
		o.add(p, &v.V[i], t)
		if o.fires(p, &v.V[i]) {
			o.fire(p, k, t)
		}
	}
	return o.flush()
}

func (o *globalWindow[K, T, A, O]) add(p *globalPane[T, A], v *T, t int64) {
	if !o.evict {
		o.fn.fold.add(&p.acc, v, !p.started)
		p.started, p.high = true, max(p.high, t)
		return
	}
	p.append(v, t)
	o.record.keep(&p.records[len(p.records)-1])
	// What eviction would take when the window fires next can go now: the bounds only move forward. Doing it when the
	// slice is about to grow keeps it as long as what fires, and costs no time otherwise. With both evictors only the time's: of
	// the last n now some may be too old then, and others take their place.
	if len(p.records) == cap(p.records) {
		o.evictFrom(p, o.keepMS == 0)
		p.moveUp()
	}
}

func (p *globalPane[T, A]) append(v *T, t int64) {
	p.ordered(t)
	p.records, p.times = append(p.records, *v), append(p.times, t)
}

// ordered keeps the account of the times, of which t is next.
func (p *globalPane[T, A]) ordered(t int64) {
	if t < p.high {
		d := p.high - t
		if d < 0 { // it is more than there are numbers
			d = math.MaxInt64
		}
		p.disorder = max(p.disorder, d)
	}
	p.high = max(p.high, t)
}

// moveUp uses the place of evicted records again where it is at least a fifth of all: no record is moved more than four times
// on average, and the slice grows to at most 2.5 times what it has to hold.
func (p *globalPane[T, A]) moveUp() {
	if p.from < len(p.records)/5 {
		return
	}
	copy(p.times, p.times[p.from:])
	n := copy(p.records, p.live())
	clear(p.records[n:])
	p.records, p.times, p.from = p.records[:n], p.times[:n], 0
	if p.disorder > 0 { // the record that came so late may be gone
		high := p.high
		p.disorder, p.high = 0, operator.NoWatermark
		for _, t := range p.times {
			p.ordered(t)
		}
		p.high = high
	}
}

// evictFrom drops the records that EvictTime and, if count is set, those that EvictCount take.
func (o *globalWindow[K, T, A, O]) evictFrom(p *globalPane[T, A], count bool) {
	was := p.from
	if o.keepMS > 0 {
		p.evictUntil(earlier(p.high, o.keepMS))
	}
	if n := o.spec.keepN; n > 0 && count {
		p.from = max(p.from, len(p.records)-n)
	}
	clear(p.records[was:p.from])
}

// evictUntil drops the records whose time is t or earlier. They are among the first: where a record's time is later than t by
// more than the disorder, so are those of all behind it. What stays of these few moves up to the others, in its order.
func (p *globalPane[T, A]) evictUntil(t int64) {
	end, gone, late := p.from, 0, later(t, p.disorder) // end: behind the last that goes
	for i := p.from; i < len(p.times) && p.times[i] <= late; i++ {
		if p.times[i] <= t {
			end = i + 1
			gone++
		}
	}
	first := p.from + gone
	if first < end {
		to := end
		for i := end - 1; to > first; i-- {
			if p.times[i] > t {
				to--
				p.records[to], p.times[to] = p.records[i], p.times[i]
			}
		}
	}
	p.from = first
}

// fires asks the triggers; each keeps its own account.
func (o *globalWindow[K, T, A, O]) fires(p *globalPane[T, A], v *T) bool {
	fire := false
	if o.spec.count > 0 {
		if p.count++; p.count >= o.spec.count {
			p.count, fire = 0, true
		}
	}
	if o.delta != nil {
		if !p.hasLast {
			p.last, p.hasLast = *v, true
			o.record.keep(&p.last)
		} else if o.delta(p.last, *v) > o.over {
			p.last, fire = *v, true
			o.record.keep(&p.last)
		}
	}
	return fire
}

// fire emits the window's result with the time t: as a rule that of the record that fired it.
func (o *globalWindow[K, T, A, O]) fire(p *globalPane[T, A], k K, t int64) {
	pane := Pane[K]{k, NoTime, MaxTime}
	if !o.evict {
		o.fn.fire(pane, &p.acc, &o.out, t)
		if o.spec.purge {
			var zero A
			p.acc, p.started, p.high = zero, false, operator.NoWatermark
		}
		return
	}
	o.evictFrom(p, true)
	var zero A
	o.scratch = zero
	o.fn.fold.addAll(&o.scratch, p.live())
	if len(p.live()) != 0 {
		o.fn.fire(pane, &o.scratch, &o.out, t)
	}
	o.scratch = zero
	if o.spec.purge {
		clear(p.records)
		p.records, p.times, p.from, p.disorder, p.high = p.records[:0], p.times[:0], 0, 0, operator.NoWatermark
	}
}

func (o *globalWindow[K, T, A, O]) Watermark(t int64) error {
	if t == operator.IdleWatermark {
		return o.passMark(t)
	}
	if (!o.every.proc || o.endsBatch(t)) && o.every.passed(t) {
		o.early(t)
	}
	o.mark = t
	return o.passMark(t)
}

// ProcessingTime fires all windows when TriggerEvery asks for it.
func (o *globalWindow[K, T, A, O]) ProcessingTime(now int64) error {
	if o.every.proc && o.every.passed(now) {
		o.early(operator.MaxWatermark)
	}
	o.wakeEvery()
	return o.flush()
}

// early fires all windows that have records, with the time t. MaxWatermark stands for none: neither the end of the input nor
// the processing time is an event time, and what is behind this operator may need one.
func (o *globalWindow[K, T, A, O]) early(t int64) {
	walk := o.windows.All
	if !o.evict && !o.spec.purge {
		walk = o.windows.PeekAll // nothing changes
	}
	walk(func(_ uint32, k *K, p *globalPane[T, A]) bool {
		if p.started || len(p.live()) != 0 {
			at := t
			if t == operator.MaxWatermark {
				at = o.timeOf(p)
			}
			o.fire(p, *k, at)
		}
		return o.out.err == nil
	})
}

// timeOf is the time of a result that no event time fires: that of the window's latest record, or of the next record that
// would not be late, if that is later. Without event times it is none.
func (o *globalWindow[K, T, A, O]) timeOf(p *globalPane[T, A]) int64 {
	if p.high == operator.NoWatermark || o.mark == operator.NoWatermark || o.mark == operator.MaxWatermark {
		return p.high
	}
	return max(p.high, later(o.mark, 1))
}

// save makes s what is kept of p. Its records are room that is used again.
func (s *globalPaneState[T, A]) save(p *globalPane[T, A]) {
	s.Acc, s.Started, s.Count, s.HasLast, s.Last, s.High = p.acc, p.started, int64(p.count), p.hasLast, p.last, p.high
	s.Records = s.Records[:0]
	for i := p.from; i < len(p.records); i++ {
		s.Records = append(s.Records, timedState[T]{p.records[i], p.times[i]})
	}
}

// pane is the window that s was saved of.
func (s *globalPaneState[T, A]) pane() globalPane[T, A] {
	p := globalPane[T, A]{acc: s.Acc, started: s.Started, count: int(s.Count), hasLast: s.HasLast, last: s.Last, high: operator.NoWatermark}
	for i := range s.Records {
		p.append(&s.Records[i].V, s.Records[i].T)
	}
	p.high = s.High
	return p
}

// globalFormat is how a window is stored that doesn't fit into memory: as in a checkpoint.
func globalFormat[K comparable, T, A any](c pairCodec[K, globalPaneState[T, A]]) state.Format[K, globalPane[T, A]] {
	var scratch globalPaneState[T, A]
	read := ownedReader(c.val)
	return state.Format[K, globalPane[T, A]]{
		Hash: c.key.Hash, AppendKey: c.key.EncodeValue, ReadKey: ownedReader(c.key.Type),
		Append: func(dst []byte, p *globalPane[T, A]) []byte {
			scratch.save(p)
			return c.val.EncodeValue(dst, &scratch)
		},
		Read: func(p *globalPane[T, A], src []byte) error {
			var s globalPaneState[T, A]
			err := read(&s, src)
			*p = s.pane()
			return err
		},
		Extra: func(n int) int64 { return int64(n) + entryOverhead },
	}
}

// Snapshot freezes the windows of all keys.
func (o *globalWindow[K, T, A, O]) Snapshot(int64) (operator.StateSnapshot, error) {
	return o.snapshot(increment{})
}

// SnapshotSince is Snapshot that writes what has changed since base.
func (o *globalWindow[K, T, A, O]) SnapshotSince(checkpoint, base int64) (operator.StateSnapshot, error) {
	return o.snapshot(increment{checkpoint, base})
}

func (o *globalWindow[K, T, A, O]) snapshot(inc increment) (operator.StateSnapshot, error) {
	if err := o.space.Err(); err != nil {
		return nil, err
	}
	var s globalPaneState[T, A]
	return tableSnapshot(inc, o.pairs, o.groups, o.windows, o.every, func(p *globalPane[T, A], put func(*globalPaneState[T, A])) {
		s.save(p)
		put(&s)
	}), nil
}

// Restore puts the windows back.
func (o *globalWindow[K, T, A, O]) Restore(r operator.StateReader) error {
	err := o.pairs.read(r, func(h uint32, k K, s *globalPaneState[T, A]) error {
		p, _ := o.windows.At(h, k)
		*p = s.pane()
		return nil
	})
	if err != nil {
		return fmt.Errorf("window %q: %w", o.env.Name, err)
	}
	return o.every.restore(r)
}
