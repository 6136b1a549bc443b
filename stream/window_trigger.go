package stream

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/weftstream/weft/operator"
)

// TriggerCount fires a global window at every n-th record of a key. The window keeps its contents unless Purge is set.
func (w Windowed[K, T]) TriggerCount(n int) Windowed[K, T] {
	at := caller()
	if n < 1 {
		w.in.in.env.check(at, "TriggerCount").fail(at, "TriggerCount(%d): at least 1", n)
	}
	return w.with(at, "TriggerCount", func(s *windowSpec) { s.count = n }).onGlobal(at, "TriggerCount")
}

// TriggerDelta fires a global window when d of the record that fired last (at first: of the first record) and the new one
// is greater than over.
func (w Windowed[K, T]) TriggerDelta(over float64, d func(last, v T) float64) Windowed[K, T] {
	at := caller()
	w = w.with(at, "TriggerDelta", func(*windowSpec) {})
	if d == nil {
		w.in.in.env.fail(at, "TriggerDelta with a nil function")
	}
	w.over, w.delta = over, d
	return w.onGlobal(at, "TriggerDelta")
}

// TriggerEvery fires all windows that have records whenever the watermark (for windows of processing time: the processing
// time) passes a multiple of d, in addition to what they fire for anyway: early results. At least 1 ms.
func (w Windowed[K, T]) TriggerEvery(d time.Duration) Windowed[K, T] {
	return w.triggerEvery(caller(), "TriggerEvery", d, w.spec.a.proc)
}

// TriggerEveryProcessingTime is TriggerEvery by processing time, also for windows of event time.
func (w Windowed[K, T]) TriggerEveryProcessingTime(d time.Duration) Windowed[K, T] {
	return w.triggerEvery(caller(), "TriggerEveryProcessingTime", d, true)
}

func (w Windowed[K, T]) triggerEvery(at, what string, d time.Duration, processing bool) Windowed[K, T] {
	w = w.with(at, what, func(s *windowSpec) { s.every, s.everyOn = d, processing })
	e := w.in.in.env
	if d < time.Millisecond || d%time.Millisecond != 0 {
		e.fail(at, "%s(%v): whole milliseconds, at least 1", what, d)
	}
	if w.spec.a.kind == atEnd {
		e.fail(at, "%s on an at-end window, which fires once; use stream.Global()", what)
	}
	return w
}

// Purge empties a window after it has fired: TriggerCount(n).Purge() makes windows of n records, TriggerEvery(d).Purge()
// gives what came since the last firing. It is not for session and at-end windows.
func (w Windowed[K, T]) Purge() Windowed[K, T] {
	at := caller()
	w = w.with(at, "Purge", func(s *windowSpec) { s.purge = true })
	if k := w.spec.a.kind; k == session || k == atEnd {
		w.in.in.env.fail(at, "Purge on a %v window: it is for global, tumbling and sliding windows", k)
	}
	return w
}

// EvictTime lets a global window fire with only the records whose event time is less than keep behind the latest one's.
func (w Windowed[K, T]) EvictTime(keep time.Duration) Windowed[K, T] {
	at := caller()
	if keep < time.Millisecond {
		w.in.in.env.check(at, "EvictTime").fail(at, "EvictTime(%v): at least 1 ms", keep)
	}
	return w.with(at, "EvictTime", func(s *windowSpec) { s.keep = keep }).onGlobal(at, "EvictTime")
}

// EvictCount lets a global window fire with only the last n records.
func (w Windowed[K, T]) EvictCount(n int) Windowed[K, T] {
	at := caller()
	if n < 1 {
		w.in.in.env.check(at, "EvictCount").fail(at, "EvictCount(%d): at least 1", n)
	}
	return w.with(at, "EvictCount", func(s *windowSpec) { s.keepN = n }).onGlobal(at, "EvictCount")
}

// everyTrigger tells when early results are due: whenever time passes a multiple of an interval.
type everyTrigger struct {
	ms   int64 // 0: never
	proc bool  // of processing time
	next int64 // the next multiple; NoTime before any time was seen
}

func newEveryTrigger(s windowSpec) everyTrigger {
	return everyTrigger{ms: s.every.Milliseconds(), proc: s.everyOn, next: int64(NoTime)}
}

// passed says that t, which only grows, has passed a multiple since the last call.
func (e *everyTrigger) passed(t int64) bool {
	if e.ms == 0 || t < e.next {
		return false
	}
	e.next = after(t, e.ms)
	return true
}

// triggerState is the state of a trigger of event time: its next time.
const triggerState = "_every"

// snapshot writes when the trigger fires next. Processing time goes on by itself.
func (e everyTrigger) snapshot(w operator.StateWriter) error {
	if e.ms == 0 || e.proc || e.next == operator.NoWatermark {
		return nil
	}
	if err := w.Begin(operator.StateDescriptor{Name: triggerState, Kind: operator.UnionState}); err != nil {
		return err
	}
	return w.Block(-1, binary.LittleEndian.AppendUint64(nil, uint64(e.next)))
}

// restore goes on with the earliest time of all subtasks.
func (e *everyTrigger) restore(r operator.StateReader) error {
	for b, err := range r.Blocks(triggerState) {
		if err == nil && len(b.Data) != 8 {
			err = fmt.Errorf("%d bytes, want 8", len(b.Data))
		}
		if err != nil {
			return fmt.Errorf("restore state %q: %w", triggerState, err)
		}
		if t := int64(binary.LittleEndian.Uint64(b.Data)); e.ms != 0 && !e.proc && (e.next == operator.NoWatermark || t < e.next) {
			e.next = t
		}
	}
	return nil
}

// after is the first multiple of ms behind t.
func after(t, ms int64) int64 {
	rem := t % ms
	if rem < 0 {
		rem += ms
	}
	return later(t-rem, ms)
}
