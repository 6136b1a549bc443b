package stream

import (
	"context"
	"fmt"
)

// Context is what the methods of a process function are given. It is valid during the call.
type Context[K comparable, O any] struct {
	// Key is the key of the record or timer.
	Key K

	p     *core[O]
	keyed *processor[K, O] // nil where records have no key
	key   K                // as Key, which the user could overwrite
	hash  uint32
	time  int64
}

// Context ends when the subtask is cancelled.
func (c *Context[K, O]) Context() context.Context { return c.p.env.Runtime.Context() }

// Emit emits v with the event time of the record or timer.
func (c *Context[K, O]) Emit(v O) { c.p.out.add(v, c.time) }

// Time is the event time of the record (NoTime when it has none), or the time of the timer.
func (c *Context[K, O]) Time() Time { return Time(c.time) }

// Watermark is the current event time: NoTime before the first watermark.
func (c *Context[K, O]) Watermark() Time { return Time(c.p.mark) }

// Now is the processing time.
func (c *Context[K, O]) Now() Time { return Time(c.p.env.Runtime.Now()) }

// EventTimer has OnTimer called for the current key when the watermark reaches t. A timer of one key and time is set once
// however often it is asked for. Where records have no key the job fails.
func (c *Context[K, O]) EventTimer(t Time) {
	if c.canTime() {
		c.keyed.setTimer(&c.keyed.event, t)
	}
}

// ProcessingTimer has OnTimer called for the current key at or soon after the processing time t. It is not called any
// more when the input has ended, except in a batch (execution.runtime-mode), where it is called at the end of the input,
// behind the timers of event time, and then sets no further timers. Where records have no key the job fails.
func (c *Context[K, O]) ProcessingTimer(t Time) {
	if c.canTime() {
		c.keyed.setTimer(&c.keyed.processing, t)
		c.p.env.Runtime.WakeAt(int64(t))
	}
}

// canTime says that timers can be set; if they can't the job fails.
func (c *Context[K, O]) canTime() bool {
	if c.keyed == nil {
		c.p.fail(fmt.Errorf("%q set a timer for a record without a key: timers belong to a key; set them for the records of a keyed stream (KeyBy, then Process, CoProcess or BroadcastProcess)",
			c.p.env.Name))
	}
	return c.keyed != nil
}

// EmitSide emits v to the side output tag. With a tag that NewTag hasn't made the job fails.
func EmitSide[K comparable, O, S any](c *Context[K, O], tag Tag[S], v S) {
	p := c.p
	if tag.name == "" {
		p.fail(fmt.Errorf("%q emitted to a side output without a name: make its tag with stream.NewTag", p.env.Name))
		return
	}
	for i := range p.sides {
		if p.sides[i].tag != tag.name {
			continue
		}
		out, ok := p.sides[i].out.(*collector[S])
		if !ok {
			p.fail(fmt.Errorf("side output %q of %q is used with two types; one of them is %s", tag.name, p.env.Name, typeName[S]()))
			return
		}
		out.add(v, c.time)
		return
	}
	out := newCollector[S](p.env, tag.name)
	out.add(v, c.time)
	p.sides = append(p.sides, sideOutput{tag.name, &out})
}
