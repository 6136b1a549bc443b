package stream

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/weftstream/weft/operator"
)

// Source makes the two halves of reading: Splits runs once per job on the coordinator task, readers run in the subtasks.
//
// A source that never ends says so by a method Bounded() bool that returns false. A method String() string is the name
// shown to people.
type Source[T any] interface {
	// Splits finds what there is to read. snapshot is nil at first, later what Splits.Snapshot returned. What can be known
	// to be wrong (no such file) is an error here, before any record is read.
	Splits(rt *Runtime, snapshot []byte) (Splits, error)
	// Open makes the reader of one subtask.
	Open(rt *Runtime) (SourceReader[T], error)
}

// Splits discovers and assigns work; split descriptions are opaque bytes of the source's own. Its methods are called one
// at a time. If it has a method Close() error, that is called at the end.
type Splits interface {
	// Next is asked for by a reader that has none left. No split but more: ask again soon. No split and no more: the
	// reader has come to its end.
	Next(reader int) (split []byte, more bool, err error)
	// TakeBack gives back what was assigned since the last checkpoint to readers that were lost.
	TakeBack(splits [][]byte)
	// Snapshot is taken before the source barriers of a checkpoint.
	Snapshot() ([]byte, error)
}

// SourceReader reads splits in one subtask; its methods are called by the subtask's goroutine only. If it has a method
// Close() error, that is called at the end; if it has Wait() time.Duration, that is how long to sleep after a Poll that
// found nothing (default 50 ms; Runtime.Wake ends the sleep).
type SourceReader[T any] interface {
	// Add gives the reader a split to read.
	Add(split []byte) error
	// Poll emits up to max records and never blocks for long. t is NoTime for records without an event time. emit copies
	// the record. more is false when every split added so far has been read to its end.
	Poll(max int, emit func(v *T, t Time)) (more bool, err error)
	// Snapshot says where each open split stands, as splits that Add takes: at the barrier of a checkpoint, between two
	// calls of Poll. What Poll emitted before is not read again after a restore, what it has not emitted yet is. The splits
	// may be added to readers of other subtasks, in any order, and Add may follow Add without a Poll between them.
	Snapshot() (splits [][]byte, err error)
}

// From reads a source. Options say what its event time is: EventTime or EventTimeWith.
func From[T any](env *Env, s Source[T], o ...SourceOption[T]) Stream[T] {
	at := caller()
	e := env.check(at, "From")
	name := "Source: " + nameOf(s, "Custom Source")
	typ := typeOf[T](e, at)
	n := e.node(at, "source", name, asType(typ), nil)
	n.Source, n.Bounded = true, bounded(s)
	if s == nil {
		e.fail(at, "From with a nil source")
		return streamOf(e, n, typ)
	}
	e.endless[n] = !n.Bounded
	spec := sourceSpecOf(e, at, o)
	var group *alignment
	if spec.group != "" {
		group = e.alignment(spec.group)
	}
	n.Factory = func(env *operator.Env) (operator.Operator, error) { return openSource(env, e.runtime(env), s, spec) }
	n.Coordinator = func(env *operator.Env) (operator.Coordinator, error) {
		sp, err := s.Splits(e.runtime(env), env.Snapshot)
		if err != nil {
			return nil, err
		}
		c := &splitCoordinator{sp: sp, given: map[int][]givenSplit{}}
		if group == nil {
			return c, nil
		}
		group.join(env.ID, env.Parallelism)
		return &alignedSplits{c, group, env.ID}, nil
	}
	return streamOf(e, n, typ)
}

func sourceSpecOf[T any](e *Env, at string, o []SourceOption[T]) *sourceSpec[T] {
	spec := &sourceSpec[T]{}
	for _, opt := range o {
		if spec.timed {
			e.fail(at, "From with two options for event time: EventTime or EventTimeWith, once")
		}
		if opt.set != nil {
			opt.set(spec)
		}
	}
	spec.check(e, at, spec.what)
	return spec
}

func nameOf(v any, otherwise string) string {
	if s, ok := v.(fmt.Stringer); ok {
		return s.String()
	}
	return otherwise
}

func bounded(v any) bool {
	b, ok := v.(interface{ Bounded() bool })
	return !ok || b.Bounded()
}

// Answers of the split coordinator: one byte, then the split.
const (
	answerSplit = iota
	answerLater
	answerEnd
)

// splitCoordinator keeps account of what it gave to whom until a checkpoint that holds it in the readers' state is
// complete.
type splitCoordinator struct {
	sp    Splits
	given map[int][]givenSplit // by subtask, in order
	taken int64                // the last checkpoint that a snapshot was taken for
}

// givenSplit is a split that a reader got behind the coordinator's snapshot for checkpoint after, 0 for none.
type givenSplit struct {
	after int64
	split []byte
}

func (c *splitCoordinator) Handle(subtask int, _ []byte) ([]byte, error) {
	split, more, err := c.sp.Next(subtask)
	switch {
	case err != nil:
		return nil, err
	case split != nil:
		c.given[subtask] = append(c.given[subtask], givenSplit{c.taken, split})
		return append([]byte{answerSplit}, split...), nil
	case more:
		return []byte{answerLater}, nil
	}
	return []byte{answerEnd}, nil
}

func (c *splitCoordinator) Lost(subtask int) error {
	lost := c.given[subtask]
	if len(lost) == 0 {
		return nil
	}
	splits := make([][]byte, len(lost))
	for i, g := range lost {
		splits[i] = g.split
	}
	delete(c.given, subtask)
	c.sp.TakeBack(splits)
	return nil
}

// Snapshot is behind all answers given so far: what they assigned is in the readers' state of this checkpoint.
func (c *splitCoordinator) Snapshot(checkpoint int64) ([]byte, error) {
	c.taken = checkpoint
	return c.sp.Snapshot()
}

// CheckpointComplete forgets what is in the readers' state for good.
func (c *splitCoordinator) CheckpointComplete(id int64) error {
	for subtask, list := range c.given {
		list = slices.DeleteFunc(list, func(g givenSplit) bool { return g.after < id })
		if c.given[subtask] = list; len(list) == 0 {
			delete(c.given, subtask)
		}
	}
	return nil
}

// CheckpointAborted keeps everything: a later checkpoint holds it, too.
func (c *splitCoordinator) CheckpointAborted(int64) error { return nil }

func (c *splitCoordinator) Commit([][]byte) error { return nil }
func (c *splitCoordinator) Close() error          { return closeIt(c.sp) }

func closeIt(v any) error {
	if c, ok := v.(interface{ Close() error }); ok {
		return c.Close()
	}
	return nil
}

const (
	// sourceWait is how long a source without records sleeps before it is polled again.
	sourceWait = 50 * time.Millisecond
	// splitWait is how long a subtask sleeps for the coordinator's answer; the answer wakes it.
	splitWait = time.Second
)

type sourceOperator[T any] struct {
	env     *operator.Env
	r       SourceReader[T]
	wait    func() time.Duration
	out     collector[T]
	emit    func(*T, Time)
	reading bool // a split is open
	asked   bool // an answer of the coordinator is due
	ended   bool // no split will come any more
	waiting bool // the coordinator had no split to give
	err     error
	askAt   int64           // not before this processing time
	times   *sourceTimes[T] // nil without EventTime
}

func openSource[T any](env *operator.Env, rt *Runtime, s Source[T], spec *sourceSpec[T]) (operator.Operator, error) {
	r, err := s.Open(rt)
	if err != nil {
		return nil, err
	}
	o := &sourceOperator[T]{env: env, r: r, out: newCollector[T](env, "")}
	o.wait = func() time.Duration { return sourceWait }
	if w, ok := r.(interface{ Wait() time.Duration }); ok {
		o.wait = w.Wait
	}
	o.emit = func(v *T, t Time) {
		c := &o.out
		if t != NoTime || len(c.buf.TS) != 0 {
			c.time(int64(t))
		}
		c.buf.V = append(c.buf.V, *v)
	}
	if !spec.timed {
		return o, nil
	}
	if spec.at != nil {
		o.emit = func(v *T, _ Time) { o.out.buf.V = append(o.out.buf.V, *v) }
	}
	o.times, err = spec.times(env, rt, &o.out, r)
	return o, err
}

func (o *sourceOperator[T]) Input(int) operator.Input { return nil }
func (o *sourceOperator[T]) Close() error             { return closeIt(o.r) }

// ProcessingTime asks the generators of watermarks.
func (o *sourceOperator[T]) ProcessingTime(now int64) error {
	if o.times == nil {
		return nil
	}
	return o.times.processingTime(now)
}

// splitState is the state of a source: the open splits of a reader, a block each.
const splitState = "_splits"

// Snapshot keeps the open splits. That a reader has come to its end is not kept: after a restore it asks again, and the
// coordinator, whose own snapshot is as old, says so again. So splits can go to other subtasks.
func (o *sourceOperator[T]) Snapshot(int64) (operator.StateSnapshot, error) {
	if o.err != nil {
		return nil, o.err
	}
	splits, err := o.r.Snapshot()
	if err != nil {
		return nil, fmt.Errorf("snapshot of source %q: %w", o.env.Name, err)
	}
	return listSnapshot(splitState, splits), nil
}

// Restore gives the reader the splits that were open.
func (o *sourceOperator[T]) Restore(r operator.StateReader) error {
	for b, err := range r.Blocks(splitState) {
		if err == nil {
			err = o.r.Add(bytes.Clone(b.Data))
		}
		if err != nil {
			return fmt.Errorf("restore source %q: %w", o.env.Name, err)
		}
		o.reading = true
	}
	return nil
}

// Poll reads a batch, or asks for a split when the reader has none.
func (o *sourceOperator[T]) Poll() (time.Duration, bool, error) {
	switch {
	case o.err != nil:
		return 0, false, o.err
	case o.times == nil:
		return o.read()
	}
	if wait := o.times.begin(!o.reading && o.waiting); wait > 0 {
		return wait, false, nil
	}
	wait, ended, err := o.read()
	if err != nil {
		return 0, false, err
	}
	if ended {
		if o.times.align != nil {
			o.times.align.end(o.env)
		}
		return 0, true, nil
	}
	wait, err = o.times.after(wait)
	return wait, false, err
}

func (o *sourceOperator[T]) read() (time.Duration, bool, error) {
	if !o.reading {
		if o.ended {
			return 0, true, nil
		}
		return o.ask(), false, nil
	}
	more, err := o.r.Poll(o.out.size, o.emit)
	if err != nil {
		return 0, false, err
	}
	o.reading = more
	n := len(o.out.buf.V)
	if o.times != nil {
		if err := o.times.stamp(); err != nil {
			return 0, false, err
		}
	}
	if err := o.out.flush(); err != nil {
		return 0, false, err
	}
	if n == 0 && more {
		return o.wait(), false, nil
	}
	return 0, false, nil
}

func (o *sourceOperator[T]) ask() time.Duration {
	if o.asked {
		return splitWait
	}
	if now := o.env.Runtime.Now(); now < o.askAt {
		return time.Duration(o.askAt-now) * time.Millisecond
	}
	o.asked = true
	o.env.Runtime.Ask(nil, o.answer)
	return splitWait
}

func (o *sourceOperator[T]) answer(b []byte, err error) error {
	o.asked, o.waiting = false, false
	o.env.Runtime.Wake()
	switch {
	case err != nil:
		o.err = fmt.Errorf("ask for a split: %w", err)
	case len(b) == 0 || b[0] > answerEnd:
		o.err = fmt.Errorf("ask for a split: the coordinator's answer of %d bytes is not understood", len(b))
	case b[0] == answerSplit:
		o.reading = true
		o.err = o.r.Add(b[1:])
	case b[0] == answerLater:
		o.waiting = true
		o.askAt = o.env.Runtime.Now() + sourceWait.Milliseconds()
	default:
		o.ended = true
	}
	return o.err
}
