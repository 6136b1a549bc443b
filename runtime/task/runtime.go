package task

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/operator"
)

// opRuntime is the operator.Runtime of one operator.
type opRuntime struct {
	t      *Task
	link   *link
	at     int
	wakeAt int64 // Unix milliseconds
	asking atomic.Int32
	posted atomic.Bool
	mails  []*opMail // made by the subtask's goroutine
	holds  bool
}

// opMail is a mail of an operator's own.
type opMail struct {
	do     func() error
	posted atomic.Bool
}

var _ operator.Runtime = (*opRuntime)(nil)

func (r *opRuntime) Context() context.Context { return r.t.ctx }

func (r *opRuntime) Output(tag string) operator.Input {
	if in := r.link.outputs[tag]; in != nil {
		return in
	}
	return operator.Drop{}
}

func (r *opRuntime) Now() int64 { return time.Now().UnixMilli() }

func (r *opRuntime) WakeAt(at int64) {
	if at >= r.wakeAt || r.t.job.Settings.Batch {
		return
	}
	r.wakeAt = at
	r.t.clock.set(time.UnixMilli(at))
}

func (r *opRuntime) Wake() {
	r.t.woken.Store(true)
	r.t.waker.Wake()
}

func (r *opRuntime) Ask(request []byte, reply func([]byte, error) error) {
	deliver := func(payload []byte, err error) {
		r.t.mail.put(func() error {
			r.t.current = r.at
			if err := reply(payload, err); err != nil {
				return r.t.blame(r.at, err)
			}
			r.t.current = -1
			return nil
		})
	}
	if r.asking.Load() >= maxRequests {
		deliver(nil, errTooManyRequests)
		return
	}
	r.asking.Add(1)
	id := r.link.node.OperatorID()
	r.t.host.Ask(&linkpb.CoordinatorRequest{Operator: id[:], Subtask: r.t.ID().GetSubtask(), Attempt: r.t.ID().GetAttempt(), Payload: request},
		func(payload []byte, err error) {
			r.asking.Add(-1)
			deliver(payload, err)
		})
}

func (r *opRuntime) Mail(do func() error) (post func()) {
	m := &opMail{do: do}
	r.mails = append(r.mails, m)
	return func() {
		if m.posted.Swap(true) {
			return
		}
		r.posted.Store(true)
		r.t.posted.Store(true)
		r.t.waker.Wake()
	}
}

func (r *opRuntime) Hold(on bool) {
	if on == r.holds {
		return
	}
	if r.holds = on; on {
		r.t.holds++
	} else {
		r.t.holds--
	}
}

func (r *opRuntime) Protect(f func() error) error { return Protect(f) }

// runPosted runs the mails that operators have posted.
func (t *Task) runPosted() error {
	// A flag is taken back before what it stands for is looked at: a post meanwhile is seen now or by the next call.
	t.posted.Store(false)
	for i, l := range t.chain {
		if !l.rt.posted.Swap(false) {
			continue
		}
		t.current = i
		for _, m := range l.rt.mails {
			if !m.posted.Swap(false) {
				continue
			}
			if err := m.do(); err != nil {
				return t.blame(i, err)
			}
		}
		t.current = -1
	}
	return nil
}

func (r *opRuntime) Counter(name string) *operator.Counter { return r.t.meter.counter(r.at, name) }
