package stream

import (
	"time"

	"github.com/weftstream/weft/operator"
)

// TimeOption says how watermarks follow from timestamps.
type TimeOption struct{ set func(*timeSpec) }

type timeSpec struct{ late, idle time.Duration }

// OutOfOrder lets records be up to d behind the latest: the watermark stays d behind. Default 0.
func OutOfOrder(d time.Duration) TimeOption { return TimeOption{func(s *timeSpec) { s.late = d }} }

// Idle says that a subtask without records for d of processing time doesn't hold back the watermark of the others.
// Default 0: it does, for ever.
func Idle(d time.Duration) TimeOption { return TimeOption{func(s *timeSpec) { s.idle = d }} }

// Timestamps gives records their event time and makes watermarks from it: after each batch, the highest time seen less
// what OutOfOrder allows. Watermarks from before this operator are dropped, except for the one at the end of the input.
func (s Stream[T]) Timestamps(at func(T) Time, o ...TimeOption) Stream[T] {
	line := caller()
	e := s.env.check(line, "Timestamps")
	if at == nil {
		e.fail(line, "Timestamps with a nil function")
	}
	var spec timeSpec
	for _, opt := range o {
		if opt.set != nil {
			opt.set(&spec)
		}
	}
	if spec.late < 0 || spec.idle < 0 {
		e.fail(line, "Timestamps with a negative duration")
	}
	n := e.node(line, "timestamps", "Timestamps/Watermarks", asType(s.typ), func(env *operator.Env) (operator.Operator, error) {
		o := &timestamps[T]{forward: forwardTo(env), at: at, late: spec.late.Milliseconds(), idle: spec.idle.Milliseconds(),
			high: operator.NoWatermark, mark: operator.NoWatermark}
		if o.idle > 0 {
			o.active = env.Runtime.Now()
			env.Runtime.WakeAt(o.active + o.idle)
		}
		return o, nil
	})
	connect(s, n, 0)
	return streamOf(e, n, s.typ)
}

type timestamps[T any] struct {
	forward
	at         func(T) Time
	late, idle int64
	high, mark int64
	active     int64 // when the last records came, where that counts
	asleep     bool  // nobody waits for this subtask
	ts         []int64
}

func (o *timestamps[T]) Input(int) operator.Input { return o }

func (o *timestamps[T]) Batch(b operator.Batch) error {
	v := b.(*operator.Vec[T])
	if len(v.V) == 0 {
		return nil
	}
	if o.idle > 0 {
		if err := o.awake(); err != nil {
			return err
		}
	}
	ts := grown(o.ts, len(v.V))
	high := o.high
	for i, f := 0, o.at; i < len(v.V); i++ {
		t := int64(f(v.V[i]))
		ts[i] = t
		high = max(high, t)
	}
	o.high, o.ts = high, ts
	// The batch keeps its own slice: it goes back to whoever made it.
	own := v.TS
	v.TS, v.H = ts, v.H[:0]
	err := o.out.get().Batch(v)
	v.TS = own[:0]
	if err != nil {
		return err
	}
	if mark := high - o.late - 1; mark > o.mark && high > operator.NoWatermark+o.late {
		o.mark = mark
		return o.out.get().Watermark(mark)
	}
	return nil
}

// awake notes that there are records.
func (o *timestamps[T]) awake() error {
	o.active = o.out.rt.Now()
	if !o.asleep {
		return nil
	}
	o.asleep = false
	o.out.rt.WakeAt(o.active + o.idle)
	if o.mark == operator.NoWatermark {
		return nil
	}
	return o.out.get().Watermark(o.mark)
}

// ProcessingTime declares the subtask idle when there was no record for long enough.
func (o *timestamps[T]) ProcessingTime(now int64) error {
	if o.idle <= 0 || o.asleep {
		return nil
	}
	if due := o.active + o.idle; now < due {
		o.out.rt.WakeAt(due)
		return nil
	}
	o.asleep = true
	return o.out.get().Watermark(operator.IdleWatermark)
}

func (o *timestamps[T]) Watermark(t int64) error {
	if t != operator.MaxWatermark {
		return nil
	}
	o.mark = t
	return o.out.get().Watermark(t)
}
