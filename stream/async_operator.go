package stream

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/weftstream/weft/codec"
	"github.com/weftstream/weft/operator"
)

// asyncRecord is a record under way, as it is in the state.
type asyncRecord[T any] struct {
	V  T
	TS int64 // NoWatermark without an event time
}

// asyncCall is a record whose result is not out yet, or a watermark behind such records.
type asyncCall[T, R any] struct {
	rec        asyncRecord[T] // of a watermark TS only
	mark       bool
	segment    int // counts the watermarks before it
	done       bool
	res        R
	err        error
	prev, next *asyncCall[T, R]
}

// async is the operator behind AsyncMap. All calls are in one list, in the order of the input: those under way, then those
// that wait for room. The subtask's goroutine owns the list; the goroutines of calls hand their results in through settled.
type async[T, R, U any] struct {
	env   *operator.Env
	spec  *asyncSpec[T, R]
	state *codec.Type[asyncRecord[T]]
	emit  func(*collector[U], R, int64)
	out   collector[U]
	room  int // so many records have to wait for Batch to block before it takes more

	first, last *asyncCall[T, R]
	unstarted   *asyncCall[T, R] // the first that waits
	waiting     int              // records that wait
	live        int              // records under way
	front, back int              // segments of the first and of the next call

	ctx     context.Context
	cancel  context.CancelFunc
	calls   sync.WaitGroup
	running atomic.Int32  // calls that haven't returned, those that timed out included
	news    chan struct{} // something was settled or returned; never closed
	post    func()

	mu      sync.Mutex
	settled []*asyncCall[T, R] // at most Capacity
}

func newAsync[T, R, U any](env *operator.Env, spec *asyncSpec[T, R], state *codec.Type[asyncRecord[T]], emit func(*collector[U], R, int64)) *async[T, R, U] {
	o := &async[T, R, U]{env: env, spec: spec, state: state, emit: emit, out: newCollector[U](env, ""), room: max(1, env.BatchSize),
		news: make(chan struct{}, 1)}
	o.ctx, o.cancel = context.WithCancel(env.Runtime.Context())
	o.post = env.Runtime.Mail(o.progress)
	return o
}

func (o *async[T, R, U]) Input(int) operator.Input   { return o }
func (o *async[T, R, U]) ProcessingTime(int64) error { return nil }

// Batch takes all records, those that find no room for a call, too: they wait in the operator, where a checkpoint finds
// them, and barriers go on meanwhile. A batch is in memory anyway, so that its size bounds nothing here. Only an operator before
// this one that emits batch after batch in one go makes it block.
func (o *async[T, R, U]) Batch(b operator.Batch) error {
	v := b.(*operator.Vec[T])
	for o.waiting >= o.room {
		if err := o.await(); err != nil {
			return err
		}
	}
	for i := range v.V {
		ts := operator.NoWatermark
		if len(v.TS) != 0 {
			ts = v.TS[i]
		}
		o.take(asyncRecord[T]{v.V[i], ts})
	}
	return o.progress()
}

// take puts a record at the end of the list.
func (o *async[T, R, U]) take(rec asyncRecord[T]) {
	c := &asyncCall[T, R]{rec: rec, segment: o.back}
	o.push(c)
	if o.waiting++; o.unstarted == nil {
		o.unstarted = c
	}
	o.start()
}

// start begins calls while there is room.
func (o *async[T, R, U]) start() {
	for o.unstarted != nil && o.live < o.spec.Capacity && int(o.running.Load()) < o.spec.Capacity {
		c := o.unstarted
		for o.unstarted = c.next; o.unstarted != nil && o.unstarted.mark; {
			o.unstarted = o.unstarted.next
		}
		o.waiting--
		o.live++
		o.running.Add(1)
		o.calls.Go(func() { o.run(c) })
	}
}

// Watermark puts t behind the records that came before it.
func (o *async[T, R, U]) Watermark(t int64) error {
	// Of watermarks with no record between them the last one says it all; idleness says nothing about the watermark itself.
	for o.last != nil && o.last.mark && (t != operator.IdleWatermark || o.last.rec.TS == t) {
		o.unlink(o.last)
		o.back--
	}
	o.push(&asyncCall[T, R]{rec: asyncRecord[T]{TS: t}, mark: true, segment: o.back})
	o.back++
	return o.progress()
}

// End waits for the results of all records.
func (o *async[T, R, U]) End() error {
	for o.first != nil {
		if err := o.await(); err != nil {
			return err
		}
	}
	return o.out.out.get().End()
}

// Close ends the calls and waits for them.
func (o *async[T, R, U]) Close() error {
	o.cancel()
	o.calls.Wait()
	return nil
}

// await sleeps until calls have returned, and deals with them.
func (o *async[T, R, U]) await() error {
	select {
	case <-o.news:
		return o.progress()
	case <-o.ctx.Done():
		return operator.ErrCancelled
	}
}

// progress takes what was settled, emits what may go out, and begins what there is room for.
func (o *async[T, R, U]) progress() error {
	o.mu.Lock()
	settled := o.settled
	o.settled = nil
	o.mu.Unlock()
	for _, c := range settled {
		if c.err != nil {
			return c.err
		}
		if c.done = true; o.spec.Unordered && c.segment == o.front {
			o.yield(c)
		}
	}
	if err := o.release(); err != nil {
		return err
	}
	o.start()
	o.env.Runtime.Hold(o.waiting > 0)
	return o.out.flush()
}

// release emits from the head of the list what waits for nothing any more.
func (o *async[T, R, U]) release() error {
	for c := o.first; c != nil; c = o.first {
		switch {
		case c.mark:
			if err := o.out.flush(); err != nil {
				return err
			}
			o.unlink(c)
			o.front++
			if err := o.out.out.get().Watermark(c.rec.TS); err != nil {
				return err
			}
			if o.spec.Unordered {
				o.releaseSegment()
			}
		case c.done:
			o.yield(c)
		default:
			return nil
		}
	}
	return nil
}

// releaseSegment emits what is done of the segment that has come to the front.
func (o *async[T, R, U]) releaseSegment() {
	for c := o.first; c != nil && !c.mark; {
		next := c.next
		if c.done {
			o.yield(c)
		}
		c = next
	}
}

// yield emits the result of c.
func (o *async[T, R, U]) yield(c *asyncCall[T, R]) {
	o.unlink(c)
	o.live--
	o.emit(&o.out, c.res, c.rec.TS)
}

func (o *async[T, R, U]) push(c *asyncCall[T, R]) {
	if c.prev = o.last; c.prev == nil {
		o.first = c
	} else {
		c.prev.next = c
	}
	o.last = c
}

func (o *async[T, R, U]) unlink(c *asyncCall[T, R]) {
	if c.prev == nil {
		o.first = c.next
	} else {
		c.prev.next = c.next
	}
	if c.next == nil {
		o.last = c.prev
	} else {
		c.next.prev = c.prev
	}
}

// asyncStateName is the state of AsyncMap: the records under way, a block each, so that they spread over other subtasks.
const asyncStateName = "_async"

// Snapshot keeps the records whose results are not out, in order. Watermarks come again after a restore.
func (o *async[T, R, U]) Snapshot(int64) (operator.StateSnapshot, error) {
	if o.live+o.waiting == 0 {
		return nil, nil
	}
	recs := make([]asyncRecord[T], 0, o.live+o.waiting)
	for c := o.first; c != nil; c = c.next {
		if !c.mark {
			recs = append(recs, c.rec)
		}
	}
	return &snapshotOf{write: func(w operator.StateWriter) error {
		d := operator.StateDescriptor{Name: asyncStateName, Kind: operator.ListState}
		var err error
		if d.Value, err = o.state.Schema().MarshalBinary(); err != nil {
			return fmt.Errorf("describe state %q: %w", asyncStateName, err)
		}
		if err := w.Begin(d); err != nil {
			return err
		}
		var block []byte
		for i := range recs {
			block = o.state.EncodeValue(block[:0], &recs[i])
			if err := w.Block(-1, block); err != nil {
				return err
			}
		}
		return nil
	}}, nil
}

// Restore begins with the records that were under way.
func (o *async[T, R, U]) Restore(r operator.StateReader) error {
	for _, d := range r.States() {
		if d.Name != asyncStateName {
			continue
		}
		vals, err := readerOf[asyncRecord[T]](d.Value)
		if err != nil {
			return fmt.Errorf("restore state %q: %w", asyncStateName, err)
		}
		for b, err := range r.Blocks(asyncStateName) {
			var rec asyncRecord[T]
			if err == nil {
				_, err = vals.Read(&rec, b.Data)
			}
			if err != nil {
				return fmt.Errorf("restore state %q: %w", asyncStateName, err)
			}
			o.take(rec)
		}
		break
	}
	o.env.Runtime.Hold(o.waiting > 0)
	return nil
}
