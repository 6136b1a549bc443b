package stream

import (
	"bytes"
	"fmt"

	"github.com/weftstream/weft/operator"
)

// Sink writes in the subtasks and commits once per checkpoint (or once at the end of a bounded job without checkpoints).
//
// Three more methods are used if a sink has them. Prepare(*Runtime) error is called on the coordinator task when it
// starts: what can be known to be wrong before writing (the output is already there) is an error there; it may be called
// again for a job that has committed a part already, and for one that starts from a savepoint (Runtime.Restored).
// Release(*Runtime) error is called behind the last Commit of a job that has finished, and again after a failure. Commits() bool that returns false
// says that nothing is ever committed, and saves the coordinator. A method String() string is the name shown to people.
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
//
// A writer that must remember something from one checkpoint to the next (a transaction it has open) has two methods more:
// Snapshot() ([][]byte, error), called after each Flush at a barrier, and Restore([][]byte) error, called before the first
// Write with the parts that this subtask has to take over: when the parallelism changed it may be none, or those of others.
type SinkWriter[T any] interface {
	// Write takes one record; t is NoTime where it has no event time. v is not kept beyond the call.
	Write(v *T, t Time) error
	// Flush makes everything written durable and describes it for Commit: at a barrier, or at the end. A sink's committables are
	// told apart by their bytes: one that is the same as an earlier one, of any subtask, is taken for that and not committed again.
	Flush() (committables [][]byte, err error)
}

// To gives every record to a sink. The result is the same stream, except that what sets an operator's properties applies
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
		o := &sinkOperator[T]{env: env, w: w}
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
		if prepares && !env.CommitsOnly {
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
	k  Sink[T]
	rt *Runtime
}

func (c *committer[T]) Handle(int, []byte) ([]byte, error) { return nil, nil }
func (c *committer[T]) Lost(int) error                     { return nil }

// Snapshot says no more than that the job has a checkpoint: Runtime.Restored is true for who starts from it.
func (c *committer[T]) Snapshot(int64) ([]byte, error) { return []byte{1}, nil }

func (c *committer[T]) Commit(what [][]byte) error {
	return c.k.Commit(c.rt, what)
}

// Finish tells the sink that it has nothing more to commit.
func (c *committer[T]) Finish() error {
	if r, ok := c.k.(interface{ Release(*Runtime) error }); ok {
		return r.Release(c.rt)
	}
	return nil
}

func (c *committer[T]) Close() error { return nil }

// rememberer is a SinkWriter with state.
type rememberer interface {
	Snapshot() ([][]byte, error)
	Restore([][]byte) error
}

// sinkOperator is the operator of a sink that commits nothing.
type sinkOperator[T any] struct {
	env      *operator.Env
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

// writerState is the state of a sink: what its writers remember, a block for each part.
const writerState = "_writer"

// Snapshot makes what was written durable: it isn't written again after a restore.
func (o *sinkOperator[T]) Snapshot(int64) (operator.StateSnapshot, error) {
	if _, err := o.w.Flush(); err != nil {
		return nil, fmt.Errorf("flush sink %q: %w", o.env.Name, err)
	}
	return o.remember()
}

func (o *sinkOperator[T]) remember() (operator.StateSnapshot, error) {
	m, ok := o.w.(rememberer)
	if !ok {
		return nil, nil
	}
	parts, err := m.Snapshot()
	if err != nil {
		return nil, fmt.Errorf("snapshot of sink %q: %w", o.env.Name, err)
	}
	return listSnapshot(writerState, parts), nil
}

// Restore gives the writer what is its to remember.
func (o *sinkOperator[T]) Restore(r operator.StateReader) error {
	var parts [][]byte
	for b, err := range r.Blocks(writerState) {
		if err != nil {
			return fmt.Errorf("restore sink %q: %w", o.env.Name, err)
		}
		parts = append(parts, bytes.Clone(b.Data))
	}
	m, ok := o.w.(rememberer)
	if !ok {
		if len(parts) != 0 {
			return fmt.Errorf("restore sink %q: the checkpoint has state of its writer, and %T takes none: it needs a method Restore([][]byte) error", o.env.Name, o.w)
		}
		return nil
	}
	if err := m.Restore(parts); err != nil {
		return fmt.Errorf("restore sink %q: %w", o.env.Name, err)
	}
	return nil
}

// committingSink is the operator of a sink that commits.
type committingSink[T any] struct{ *sinkOperator[T] }

func (o *committingSink[T]) Input(int) operator.Input { return o }

// End leaves the writer to Committables.
func (o *committingSink[T]) End() error { return nil }

// Snapshot comes behind Committables, which flushed.
func (o *committingSink[T]) Snapshot(int64) (operator.StateSnapshot, error) { return o.remember() }

// Committables ends what was written so far: at a barrier, or at the end.
func (o *committingSink[T]) Committables() ([][]byte, error) { return o.w.Flush() }
