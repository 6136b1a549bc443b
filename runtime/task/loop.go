package task

import (
	"errors"
	"time"

	"github.com/weftstream/weft/operator"
)

// loop is the life of a running subtask: mails, then due timers, then one batch, until the input has ended.
func (t *Task) loop() error {
	timeout := t.job.Settings.BufferTimeout
	var flushAt time.Time
	for {
		if t.cancelled.Load() {
			return operator.ErrCancelled
		}
		if t.mail.some.Load() {
			if err := t.runMails(); err != nil {
				return err
			}
		}
		if t.clock.due.Load() {
			if err := t.runTimers(&flushAt); err != nil {
				return err
			}
		}
		worked, ended, err := t.step()
		if err != nil || ended {
			return err
		}
		// Partial batches wait until the timer flushes them, also while the subtask sleeps.
		switch {
		case timeout == 0 && t.producer.Ready():
			if err := t.flush(); err != nil {
				return err
			}
		case timeout > 0 && flushAt.IsZero() && t.pending():
			flushAt = time.Now().Add(timeout)
			t.clock.set(flushAt)
		}
		if !worked {
			t.sleep()
		}
	}
}

// step handles one batch or event, or polls the source once.
func (t *Task) step() (worked, ended bool, err error) {
	if err := t.announced(); err != nil {
		return true, false, err
	}
	if t.held = !t.producer.Ready(); t.held {
		return false, false, nil
	}
	if t.posted.Load() {
		return true, false, t.runPosted()
	}
	if t.holds > 0 {
		return false, false, nil
	}
	if t.source != nil {
		return t.poll()
	}
	if t.replay != nil {
		return true, false, t.replayNext()
	}
	e, ok, err := t.gate.Next()
	if err != nil || !ok {
		return false, len(t.inputs) == 0, err
	}
	p := t.ports[e.Channel]
	if e.Batch != nil {
		return true, false, t.deliver(p, e.Batch)
	}
	if e.Event.Kind != operator.EndOfInput {
		return true, false, t.barrier(e.Channel, e.Event.ID)
	}
	inputEnded, err := p.end()
	if err == nil {
		err = t.channelEnded(e.Channel)
	}
	if err != nil || !inputEnded {
		return true, false, err
	}
	for _, in := range t.inputs {
		if in.ended < len(in.valve.marks) {
			return true, false, nil
		}
	}
	return true, true, nil
}

// deliver hands a batch to the operator and passes its watermark on.
func (t *Task) deliver(p port, b operator.Batch) error {
	t.meter.read.Add(int64(b.Len()))
	// The callee may change the batch, its watermark included.
	mark := b.Mark()
	if b.Len() > 0 {
		if err := p.in.in.Batch(b); err != nil {
			return err
		}
	}
	if mark == operator.NoWatermark {
		return nil
	}
	low, grown, err := p.mark(mark)
	if grown {
		t.meter.watermark.Store(low)
	}
	return err
}

func (t *Task) poll() (worked, ended bool, err error) {
	if t.cp.stopped != 0 {
		return false, false, nil
	}
	if t.cp.drained {
		return t.endSource()
	}
	if !t.resume.IsZero() {
		if !t.woken.Load() && time.Now().Before(t.resume) {
			return false, false, nil
		}
		t.resume = time.Time{}
	}
	t.woken.Store(false)
	t.current = 0
	wait, ended, err := t.source.Poll()
	if err != nil {
		return true, false, t.blame(0, err)
	}
	t.current = -1
	if ended {
		return t.endSource()
	}
	if wait > 0 {
		t.resume = time.Now().Add(wait)
		t.clock.set(t.resume)
		return false, false, nil
	}
	return true, false, nil
}

// endSource passes the end of the source on.
func (t *Task) endSource() (worked, ended bool, err error) {
	out := t.chain[0].outputs[""]
	if err := out.Watermark(operator.MaxWatermark); err != nil {
		return true, false, err
	}
	return true, true, out.End()
}

// sleep returns when there is something to do.
func (t *Task) sleep() {
	t.waker.Prepare()
	if t.cancelled.Load() || t.mail.some.Load() || t.clock.due.Load() || t.inputReady() {
		t.waker.Abandon()
		return
	}
	watch := t.meter.idle
	if t.held {
		watch = t.producer.Backpressured
	} else if t.holds > 0 {
		// An operator that takes no more is busy.
		<-t.waker.C()
		return
	}
	watch.Start()
	<-t.waker.C() // Cancel wakes, too
	watch.Stop()
}

func (t *Task) inputReady() bool {
	announcing := func() bool { return t.gate != nil && t.replay == nil && t.gate.Announcing() }
	switch {
	case t.held:
		return t.producer.Ready() || announcing()
	case t.posted.Load():
		return true
	case t.holds > 0:
		return announcing()
	}
	if t.source != nil {
		return t.woken.Load() && t.cp.stopped == 0
	}
	return t.gate.Ready()
}

func (t *Task) runMails() error {
	for _, mail := range t.mail.take() {
		if err := mail(); err != nil {
			return err
		}
	}
	// What a source waited for may be in what it was told.
	t.woken.Store(true)
	return nil
}

// runTimers flushes when that is due, calls the operators whose time has come, and sets the clock to what comes next.
func (t *Task) runTimers(flushAt *time.Time) error {
	t.clock.reset()
	now := time.Now()
	if !flushAt.IsZero() && !now.Before(*flushAt) {
		*flushAt = time.Time{}
		if t.producer.Ready() {
			if err := t.flush(); err != nil {
				return err
			}
		}
	}
	if err := t.overtake(); err != nil {
		return err
	}
	if !t.resume.IsZero() && !now.Before(t.resume) {
		t.resume = time.Time{}
	}
	for i, l := range t.chain {
		if l.rt.wakeAt > now.UnixMilli() {
			continue
		}
		l.rt.wakeAt = never
		t.current = i
		if err := l.op.ProcessingTime(now.UnixMilli()); err != nil {
			return t.blame(i, err)
		}
		t.current = -1
	}
	for _, at := range []time.Time{*flushAt, t.resume} {
		if !at.IsZero() {
			t.clock.set(at)
		}
	}
	for _, l := range t.chain {
		if l.rt.wakeAt != never {
			t.clock.set(time.UnixMilli(l.rt.wakeAt))
		}
	}
	return nil
}

func (t *Task) pending() bool {
	for _, o := range t.outlets {
		if o.router.Pending() {
			return true
		}
	}
	return false
}

func (t *Task) flush() error {
	for _, o := range t.outlets {
		if !o.router.Pending() {
			continue
		}
		if err := o.unblamed(o.router.Flush()); err != nil {
			return err
		}
	}
	return nil
}

// errTooManyRequests answers a request above maxRequests.
var errTooManyRequests = errors.New("too many requests to the coordinator wait for an answer")
