package stream

import (
	"fmt"

	"github.com/weftstream/weft/codec"
	"github.com/weftstream/weft/operator"
	"github.com/weftstream/weft/runtime/state"
)

// lateRecords is where records go that came too late.
type lateRecords[T any] struct {
	wanted  bool // somebody gets them
	rt      operator.Runtime
	dropped *Counter // made with the first one that nobody gets
	out     collector[T]
}

func newLateRecords[T any](env *operator.Env, s windowSpec, tag Tag[T]) lateRecords[T] {
	return lateRecords[T]{wanted: s.lateTo, rt: env.Runtime, out: newCollector[T](env, tag.name)}
}

func (l *lateRecords[T]) add(v T, t int64) {
	if l.wanted {
		l.out.add(v, t)
		return
	}
	if l.dropped == nil {
		l.dropped = l.rt.Counter("numLateRecordsDropped")
	}
	l.dropped.Add(1)
}

func (l *lateRecords[T]) flush() error { return l.out.flush() }

// watermark and end pass on to the side output what goes to the main one.
func (l *lateRecords[T]) watermark(t int64) error {
	if !l.wanted {
		return nil
	}
	return l.out.out.get().Watermark(t)
}

func (l *lateRecords[T]) end() error {
	if !l.wanted {
		return nil
	}
	return l.out.out.get().End()
}

// windowBase is what the window operators share.
type windowBase[K comparable, T, A, O any] struct {
	env   *operator.Env
	key   func(T) K
	kt    *codec.Key[K]
	fn    windowFunc[K, T, A, O]
	out   collector[O]
	late  lateRecords[T]
	proc  bool // the windows are of processing time
	purge bool
	every everyTrigger
	space *state.Space // nil where the state is all in memory
	// mark is the current watermark; for windows of processing time, which need no watermarks, the time until which they
	// have fired.
	mark int64
}

func newWindowBase[K comparable, T, A, O any](env *operator.Env, w Windowed[K, T], s windowSpec, fn windowFunc[K, T, A, O]) windowBase[K, T, A, O] {
	b := windowBase[K, T, A, O]{env: env, key: w.in.key, kt: w.in.kt, fn: fn, out: newCollector[O](env, ""), late: newLateRecords(env, s, w.late),
		proc: s.a.proc, purge: s.purge, every: newEveryTrigger(s), space: state.NewSpace(env.Store), mark: operator.NoWatermark}
	b.wakeEvery()
	return b
}

func (b *windowBase[K, T, A, O]) Close() error {
	b.space.Close()
	return nil
}

// wakeEvery asks to be called when the processing time passes the next multiple of TriggerEvery.
func (b *windowBase[K, T, A, O]) wakeEvery() {
	if b.every.ms == 0 || !b.every.proc {
		return
	}
	if b.every.next == operator.NoWatermark {
		b.every.passed(b.env.Runtime.Now())
	}
	b.env.Runtime.WakeAt(b.every.next)
}

// endsBatch says that t ends the input of a batch: what waits for a processing time is due.
func (b *windowBase[K, T, A, O]) endsBatch(t int64) bool {
	return b.env.Batch && t == operator.MaxWatermark
}

// now is the processing time as the time of records. It never goes back behind what has fired.
func (b *windowBase[K, T, A, O]) now() int64 { return max(b.env.Runtime.Now(), later(b.mark, 1)) }

// fill gives the records of v the processing time.
func (b *windowBase[K, T, A, O]) fill(v *operator.Vec[T]) {
	t := b.now()
	v.TS = grown(v.TS, len(v.V))
	for i := range v.TS {
		v.TS[i] = t
	}
}

// flush hands on results and late records.
func (b *windowBase[K, T, A, O]) flush() error {
	if err := b.space.Err(); err != nil {
		return err
	}
	if err := b.out.flush(); err != nil {
		return err
	}
	return b.late.flush()
}

// passMark is the end of Watermark: results first, then the watermark behind them.
func (b *windowBase[K, T, A, O]) passMark(t int64) error {
	if err := b.flush(); err != nil {
		return err
	}
	if err := b.out.out.get().Watermark(t); err != nil {
		return err
	}
	return b.late.watermark(t)
}

// End is passed on: the watermark before it has fired everything.
func (b *windowBase[K, T, A, O]) End() error {
	if err := b.flush(); err != nil {
		return err
	}
	if err := b.out.out.get().End(); err != nil {
		return err
	}
	return b.late.end()
}

// untimed is the error for input without event time.
func (b *windowBase[K, T, A, O]) untimed() error {
	return fmt.Errorf("window %q works in event time, but a record without a timestamp came in: call Timestamps on the stream before KeyBy (or use stream.AtEnd, or windows of ProcessingTime)", b.env.Name)
}

// earlier is t - d without overflow; d isn't negative.
func earlier(t, d int64) int64 {
	if s := t - d; s <= t {
		return s
	}
	return operator.NoWatermark
}

// later is t + d without overflow; d isn't negative.
func later(t, d int64) int64 {
	if s := t + d; s >= t {
		return s
	}
	return operator.MaxWatermark
}
