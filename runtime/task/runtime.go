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
	if at >= r.wakeAt {
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

func (r *opRuntime) Counter(name string) *operator.Counter { return r.t.meter.counter(r.at, name) }
