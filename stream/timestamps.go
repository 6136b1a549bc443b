package stream

import (
	"fmt"
	"time"

	"github.com/weftstream/weft/operator"
)

// TimeOption says how watermarks follow from timestamps.
type TimeOption struct{ set func(*timeSpec) }

type timeSpec struct {
	late, idle   time.Duration
	aligned      bool
	group        string
	drift, every time.Duration
}

// timesOf is what o says.
func timesOf(o []TimeOption) timeSpec {
	s := timeSpec{every: defaultAlignEvery}
	for _, opt := range o {
		if opt.set != nil {
			opt.set(&s)
		}
	}
	return s
}

// check records what is wrong with s.
func (s *timeSpec) check(e *Env, at, what string) {
	switch {
	case s.late < 0 || s.idle < 0:
		e.fail(at, "%s with a negative duration", what)
	case !s.aligned:
	case s.group == "":
		e.fail(at, "%s with Align: the group needs a name", what)
	case s.drift < 0:
		e.fail(at, "%s with Align: the drift of %v is negative", what, s.drift)
	case s.every < time.Millisecond:
		e.fail(at, "%s with AlignEvery(%v): the interval is at least 1ms", what, s.every)
	}
}

// OutOfOrder lets records be up to d behind the latest: the watermark stays d behind. Default 0.
func OutOfOrder(d time.Duration) TimeOption { return TimeOption{func(s *timeSpec) { s.late = d }} }

// Monotonous says that timestamps never go back in a subtask; it is OutOfOrder(0), the default.
func Monotonous() TimeOption { return OutOfOrder(0) }

// Idle says that a subtask (with EventTime: a split) without records for d of processing time doesn't hold back the
// watermark of the others. Default 0: it does, for ever.
func Idle(d time.Duration) TimeOption { return TimeOption{func(s *timeSpec) { s.idle = d }} }

// Timestamps gives records their event time and makes watermarks from it: after each batch, the highest time seen less
// what OutOfOrder allows. Watermarks from before this operator are dropped, except for the one at the end of the input.
// Where the times can be told from what a source reads, EventTime is better: here all splits of a subtask share a watermark.
func (s Stream[T]) Timestamps(at func(T) Time, o ...TimeOption) Stream[T] {
	return s.timestamps(caller(), "Timestamps", at, nil, o)
}

// Watermarks makes the watermarks of one subtask, or of one split of a source, from the records that it sees. The watermark
// that an operator has after a batch is the highest that was returned.
type Watermarks interface {
	// Record is called for every record, with its event time. It returns the watermark that holds behind the record, or
	// NoTime where there is nothing new to say; what it returns may take effect a few records later.
	Record(t Time) Time
	// Periodic is called once in pipeline.auto-watermark-interval of processing time (default 200 ms; 0: never), also when
	// there are no records. It returns like Record.
	Periodic(now Time) Time
}

// TimestampsWith is Timestamps with watermarks of the program's own making; open makes the generator of a subtask.
// OutOfOrder doesn't apply.
func (s Stream[T]) TimestampsWith(at func(T) Time, open func(rt *Runtime) Watermarks, o ...TimeOption) Stream[T] {
	line := caller()
	if open == nil {
		s.env.check(line, "TimestampsWith").fail(line, "TimestampsWith with a nil generator")
	}
	return s.timestamps(line, "TimestampsWith", at, open, o)
}

func (s Stream[T]) timestamps(line, what string, at func(T) Time, open func(rt *Runtime) Watermarks, o []TimeOption) Stream[T] {
	e := s.env.check(line, what)
	if at == nil {
		e.fail(line, "%s with a nil function", what)
	}
	spec := timesOf(o)
	spec.check(e, line, what)
	if spec.aligned {
		e.fail(line, "%s with Align: only a source can wait for others; give it to From with EventTime", what)
	}
	n := e.node(line, "timestamps", "Timestamps/Watermarks", asType(s.typ), func(env *operator.Env) (operator.Operator, error) {
		o := &timestamps[T]{forward: forwardTo(env), at: at, late: spec.late.Milliseconds(), idle: spec.idle.Milliseconds(),
			high: operator.NoWatermark, mark: operator.NoWatermark, batch: env.Batch}
		if o.batch {
			o.idle = 0
			return o, nil
		}
		if o.idle > 0 {
			o.active = env.Runtime.Now()
			env.Runtime.WakeAt(o.active + o.idle)
		}
		if open == nil {
			return o, nil
		}
		rt := e.runtime(env)
		g := &generated[T]{timestamps: o, gen: open(rt)}
		if err := rt.opened(); err != nil {
			return nil, err
		}
		if g.gen == nil {
			return nil, fmt.Errorf("open %q: the function given to TimestampsWith returned no generator", env.Name)
		}
		if g.interval = env.WatermarkInterval; g.interval > 0 {
			g.due = env.Runtime.Now() + g.interval
			env.Runtime.WakeAt(g.due)
		}
		return g, nil
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
	batch      bool  // the only watermark is that of the end
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
	if err := o.pass(v, ts); err != nil {
		return err
	}
	if mark := high - o.late - 1; mark > o.mark && !o.batch && high > operator.NoWatermark+o.late {
		o.mark = mark
		return o.out.get().Watermark(mark)
	}
	return nil
}

// pass hands on the records of v with the times ts. The batch keeps its own slice: it goes back to whoever made it.
func (o *timestamps[T]) pass(v *operator.Vec[T], ts []int64) error {
	own := v.TS
	v.TS, v.H = ts, v.H[:0]
	err := o.out.get().Batch(v)
	v.TS = own[:0]
	return err
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

// generated makes watermarks by a generator of the program's.
type generated[T any] struct {
	*timestamps[T]
	gen Watermarks
	// Periodic is called at the processing time due, and then once in an interval.
	interval, due int64
}

func (o *generated[T]) Input(int) operator.Input { return o }

func (o *generated[T]) Batch(b operator.Batch) error {
	v := b.(*operator.Vec[T])
	if len(v.V) == 0 {
		return nil
	}
	if o.idle > 0 {
		if err := o.awake(); err != nil {
			return err
		}
	}
	mark := NoTime
	o.ts = grown(o.ts, len(v.V))
	for i := range v.V {
		t := o.at(v.V[i])
		o.ts[i] = int64(t)
		mark = max(mark, o.gen.Record(t))
	}
	if err := o.pass(v, o.ts); err != nil {
		return err
	}
	return o.reach(mark)
}

// reach passes a generator's watermark on if it is higher than the last.
func (o *generated[T]) reach(t Time) error {
	if mark := int64(t); mark > o.mark && mark > operator.IdleWatermark {
		o.mark = mark
		return o.out.get().Watermark(mark)
	}
	return nil
}

func (o *generated[T]) ProcessingTime(now int64) error {
	if err := o.timestamps.ProcessingTime(now); err != nil {
		return err
	}
	if o.mark == operator.MaxWatermark || o.interval <= 0 {
		return nil
	}
	if now >= o.due {
		if mark := o.gen.Periodic(Time(now)); int64(mark) > o.mark {
			// A watermark says that this subtask is not idle.
			o.asleep, o.active = false, now
			if err := o.reach(mark); err != nil {
				return err
			}
		}
		o.due = now + o.interval
	}
	o.out.rt.WakeAt(o.due)
	return nil
}
