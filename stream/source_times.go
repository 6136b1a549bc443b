package stream

import (
	"fmt"
	"time"

	"github.com/weftstream/weft/operator"
)

// SourceOption says how From reads a source.
type SourceOption[T any] struct{ set func(*sourceSpec[T]) }

type sourceSpec[T any] struct {
	timed bool
	what  string
	at    func(T) Time
	open  func(rt *Runtime) Watermarks
	timeSpec
}

// EventTime gives the records of a source their event time and makes watermarks from it, like Stream.Timestamps. Here at
// the source each split has a watermark of its own (if the reader is a SplitReader), so that splits which are read at
// different speeds don't make each other's records late, and Idle applies to each split. A nil function keeps the times that
// the source gives.
func EventTime[T any](at func(T) Time, o ...TimeOption) SourceOption[T] {
	return eventTime("EventTime", at, nil, o)
}

// EventTimeWith is EventTime with watermarks of the program's own making; open makes the generator of a split. OutOfOrder
// doesn't apply.
func EventTimeWith[T any](at func(T) Time, open func(rt *Runtime) Watermarks, o ...TimeOption) SourceOption[T] {
	if open == nil {
		open = func(*Runtime) Watermarks { return nil }
	}
	return eventTime("EventTimeWith", at, open, o)
}

func eventTime[T any](what string, at func(T) Time, open func(rt *Runtime) Watermarks, o []TimeOption) SourceOption[T] {
	return SourceOption[T]{func(s *sourceSpec[T]) {
		s.timed, s.what, s.at, s.open = true, what, at, open
		s.timeSpec = timesOf(o)
	}}
}

// sourceTimes is the event time of a source's records, and the watermarks of its splits.
type sourceTimes[T any] struct {
	env        *operator.Env
	out        *collector[T]
	at         func(T) Time
	late, idle int64
	tracker    SplitTracker
	err        error // of a generator
	mark       int64 // the source's watermark, which never goes back
	asleep     bool  // nobody waits for this source
	batch      bool  // the only watermark is that of the end
	align      *sourceAlign

	// For idleness: the processing time of the last Poll, the wait that it asked for, and the time on the tracker's clock
	// since which there is no split, -1 while there are any.
	polled, waited, bare int64

	interval, due int64 // of Watermarks.Periodic
}

func (s *sourceSpec[T]) times(env *operator.Env, rt *Runtime, out *collector[T], r SourceReader[T]) (*sourceTimes[T], error) {
	o := &sourceTimes[T]{env: env, out: out, at: s.at, late: s.late.Milliseconds(), idle: s.idle.Milliseconds(), mark: operator.NoWatermark, bare: -1}
	o.tracker = SplitTracker{current: -1, emitted: func() int { return len(out.buf.V) }, limit: operator.MaxWatermark}
	if o.batch = env.Batch; o.batch {
		o.idle = 0
	}
	if s.open != nil && !o.batch {
		o.tracker.generator = func() Watermarks {
			g := s.open(rt)
			if g == nil {
				o.err = fmt.Errorf("the function given to %s returned no generator", s.what)
			}
			return g
		}
		if o.interval = env.WatermarkInterval; o.interval > 0 {
			o.due = env.Runtime.Now() + o.interval
			env.Runtime.WakeAt(o.due)
		}
	}
	if s.group != "" && !o.batch {
		o.align = &sourceAlign{drift: s.drift.Milliseconds(), every: s.every.Milliseconds(), told: operator.NoWatermark}
		o.tracker.limit = operator.NoWatermark // until the coordinator has answered
	}
	if sr, ok := r.(SplitReader); ok {
		sr.Track(&o.tracker)
	} else {
		o.tracker.Select(o.tracker.Open())
	}
	if err := rt.opened(); err != nil {
		return nil, err
	}
	return o, o.err
}

// begin is called before a Poll. A wait says that nothing may be read now.
func (o *sourceTimes[T]) begin(idle bool) (wait time.Duration) {
	o.tracker.begin()
	if o.idle <= 0 && o.align == nil {
		return 0
	}
	now := o.env.Runtime.Now()
	if o.align != nil {
		o.align.report(o.env, &o.tracker, now, o.reached(idle))
		if o.tracker.paused() {
			o.polled = now // what is paused isn't idle
			return max(time.Millisecond, time.Duration(o.align.due-now)*time.Millisecond)
		}
	}
	// Time without room for output says nothing of the splits: what counts is the time that was slept, and of the rest so
	// little at once that every split has had its turn before it is called idle.
	if o.polled != 0 {
		o.tracker.clock += min(now-o.polled, max(o.waited, o.idle/8))
	}
	o.polled = now
	return 0
}

// reached is what the others of an alignment group are told.
func (o *sourceTimes[T]) reached(idle bool) int64 {
	if idle || o.asleep {
		return operator.IdleWatermark
	}
	return o.mark
}

// stamp gives the records that are to be emitted their times and notes what they say of their splits.
func (o *sourceTimes[T]) stamp() error {
	n := len(o.out.buf.V)
	if o.err != nil || n == 0 {
		return o.err
	}
	t := &o.tracker
	if len(t.runs) == 0 || t.runs[0].from > 0 {
		return errNoSplit
	}
	if o.at != nil {
		o.out.buf.TS = grown(o.out.buf.TS, n)
	} else {
		for len(o.out.buf.TS) < n {
			o.out.buf.TS = append(o.out.buf.TS, operator.NoWatermark)
		}
	}
	for i, r := range t.runs {
		to := n
		if i+1 < len(t.runs) {
			to = t.runs[i+1].from
		}
		if r.from < to {
			s := &t.splits[r.split]
			t.wake(s)
			o.observe(s, o.out.buf.V[r.from:to], o.out.buf.TS[r.from:to])
		}
	}
	if !o.asleep {
		return nil
	}
	o.asleep = false
	if o.mark == operator.NoWatermark {
		return nil
	}
	return o.out.out.get().Watermark(o.mark)
}

// observe stamps records of one split and moves its watermark.
func (o *sourceTimes[T]) observe(s *splitTime, v []T, ts []int64) {
	if f := o.at; f != nil {
		for i := range v {
			ts[i] = int64(f(v[i]))
		}
	}
	if s.gen != nil {
		mark := NoTime
		for _, t := range ts {
			mark = max(mark, s.gen.Record(Time(t)))
		}
		s.reach(mark)
		return
	}
	high := s.high
	for _, t := range ts {
		high = max(high, t)
	}
	if s.high = high; high > operator.NoWatermark+o.late {
		s.mark = max(s.mark, high-o.late-1)
	}
}

// reach takes a generator's watermark if it is higher than the last, and says whether it is.
func (s *splitTime) reach(t Time) bool {
	mark := int64(t)
	if mark <= s.mark || mark <= operator.IdleWatermark {
		return false
	}
	s.mark = mark
	return true
}

// after is called when what a Poll read has been emitted; wait is until the next one.
func (o *sourceTimes[T]) after(wait time.Duration) (time.Duration, error) {
	if o.batch {
		o.tracker.release()
		return wait, nil
	}
	if o.idle > 0 {
		if next := time.Duration(o.tracker.doze(o.idle)) * time.Millisecond; next > 0 && wait > 0 {
			wait = min(wait, next)
		}
		o.waited = wait.Milliseconds()
	}
	return wait, o.settle()
}

// settle emits the lowest watermark of the open splits that aren't idle, if it has moved.
func (o *sourceTimes[T]) settle() error {
	// Splits that ended with this batch count once more: what they say holds as long as no other split is opened.
	mark, none, awake := o.tracker.low()
	if o.tracker.release() {
		var low int64
		low, none, awake = o.tracker.low()
		mark = max(mark, low)
	}
	if none {
		awake = o.expecting()
	} else {
		o.bare = -1
	}
	rose := mark > o.mark
	o.mark = max(o.mark, mark)
	if rose || awake && o.asleep {
		o.asleep = false
		if o.mark != operator.NoWatermark {
			if err := o.out.out.get().Watermark(o.mark); err != nil {
				return err
			}
		}
	}
	if awake || o.asleep {
		return nil
	}
	o.asleep = true
	return o.out.out.get().Watermark(operator.IdleWatermark)
}

// expecting says that a source without a split isn't idle yet.
func (o *sourceTimes[T]) expecting() bool {
	if o.bare < 0 {
		o.bare = o.tracker.clock
	}
	return o.idle <= 0 || o.tracker.clock-o.bare < o.idle
}

// processingTime asks the generators.
func (o *sourceTimes[T]) processingTime(now int64) error {
	if o.interval <= 0 {
		return nil
	}
	if now >= o.due {
		o.due = now + o.interval
		t := &o.tracker
		for i := range t.splits {
			// A watermark says that the split is not idle.
			if s := &t.splits[i]; s.open && s.gen != nil && s.reach(s.gen.Periodic(Time(now))) {
				t.wake(s)
			}
		}
		if err := o.settle(); err != nil {
			return err
		}
	}
	o.env.Runtime.WakeAt(o.due)
	return nil
}
