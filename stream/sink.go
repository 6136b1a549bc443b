package stream

import (
	"github.com/weftstream/weft/operator"
)

// Sink writes in the subtasks and commits once per checkpoint (or once at the end of a bounded job without checkpoints).
//
// Three more methods are used if a sink has them. Prepare(*Runtime) error is called on the coordinator task when it
// starts: what can be known to be wrong before writing (the output is already there) is an error there; it may be called
// again for a job that has committed a part already. Release(*Runtime) error is called when the coordinator ends, unless a
// Commit failed. Commits() bool that returns false says that nothing is ever committed, and saves the coordinator. A
// method String() string is the name shown to people.
type Sink[T any] interface {
	// Open makes the writer of one subtask.
	Open(rt *Runtime) (SinkWriter[T], error)
	// Commit makes what the writers flushed visible. It is idempotent: it is called after the commit has been recorded,
	// and again after a failure.
	Commit(rt *Runtime, committables [][]byte) error
}

// SinkWriter writes in one subtask, called by the subtask's goroutine only. If it has a method Close() error, that is
// called at the end, whether or not the subtask came to its end: what was not flushed is then removed. If it has a method
// EndBatch() error, that is called after each batch of records.
type SinkWriter[T any] interface {
	// Write takes one record; t is NoTime where it has no event time. v is not kept beyond the call.
	Write(v *T, t Time) error
	// Flush makes everything written durable and describes it for Commit: at a barrier, or at the end.
	Flush() (committables [][]byte, err error)
}

// To gives every record to a sink. The result is the same stream, except that UID, Name, Parallelism and SlotGroup apply
// to the sink.
func (s Stream[T]) To(k Sink[T]) Stream[T] {
	at := caller()
	e := s.env.check(at, "To")
	e.sinks++
	n := e.node(at, "sink", "Sink: "+nameOf(k, "Unnamed"), nil, nil)
	connect(s, n, 0)
	s.named = n
	if k == nil {
		e.fail(at, "To with a nil sink")
		return s
	}
	c, ok := k.(interface{ Commits() bool })
	n.Commits = !ok || c.Commits()
	prepare, prepares := k.(interface{ Prepare(*Runtime) error })
	n.Factory = func(env *operator.Env) (operator.Operator, error) {
		w, err := k.Open(e.runtime(env))
		if err != nil {
			return nil, err
		}
		o := &sinkOperator[T]{w: w}
		if b, ok := w.(interface{ EndBatch() error }); ok {
			o.endBatch = b.EndBatch
		}
		if n.Commits {
			return &committingSink[T]{o}, nil
		}
		return o, nil
	}
	if !n.Commits && !prepares {
		return s
	}
	n.Coordinator = func(env *operator.Env) (operator.Coordinator, error) {
		rt := e.runtime(env)
		if prepares {
			if err := prepare.Prepare(rt); err != nil {
				return nil, err
			}
		}
		return &committer[T]{k: k, rt: rt}, nil
	}
	return s
}

// committer is the coordinator of a sink.
type committer[T any] struct {
	k      Sink[T]
	rt     *Runtime
	failed bool // the last Commit did
}

func (c *committer[T]) Handle(int, []byte) ([]byte, error) { return nil, nil }
func (c *committer[T]) Lost(int) error                     { return nil }
func (c *committer[T]) Snapshot(int64) ([]byte, error)     { return nil, nil }

func (c *committer[T]) Commit(what [][]byte) error {
	err := c.k.Commit(c.rt, what)
	c.failed = err != nil
	return err
}

func (c *committer[T]) Close() error {
	if r, ok := c.k.(interface{ Release(*Runtime) error }); ok && !c.failed {
		return r.Release(c.rt)
	}
	return nil
}

// sinkOperator is the operator of a sink that commits nothing.
type sinkOperator[T any] struct {
	w        SinkWriter[T]
	endBatch func() error // may be nil
}

func (o *sinkOperator[T]) Input(int) operator.Input   { return o }
func (o *sinkOperator[T]) Watermark(int64) error      { return nil }
func (o *sinkOperator[T]) ProcessingTime(int64) error { return nil }
func (o *sinkOperator[T]) Close() error               { return closeIt(o.w) }

func (o *sinkOperator[T]) Batch(b operator.Batch) error {
	v := b.(*operator.Vec[T])
	t := NoTime
	for i := range v.V {
		if len(v.TS) != 0 {
			t = Time(v.TS[i])
		}
		if err := o.w.Write(&v.V[i], t); err != nil {
			return err
		}
	}
	if o.endBatch != nil {
		return o.endBatch()
	}
	return nil
}

// End lets the writer finish. It has nothing to commit.
func (o *sinkOperator[T]) End() error {
	_, err := o.w.Flush()
	return err
}

// committingSink is the operator of a sink that commits.
type committingSink[T any] struct{ *sinkOperator[T] }

func (o *committingSink[T]) Input(int) operator.Input { return o }

// End leaves the writer to Committables.
func (o *committingSink[T]) End() error { return nil }

// Committables ends the writing.
func (o *committingSink[T]) Committables() ([][]byte, error) { return o.w.Flush() }
