package stream

import (
	"context"
	"fmt"

	"github.com/weftstream/weft/codec"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/operator"
	"github.com/weftstream/weft/runtime/state"
)

// Processor handles the records of a keyed stream, one instance per subtask. An error fails the job.
type Processor[K comparable, T, O any] interface {
	Element(c *Context[K, O], v T) error
}

// TimerHandler is what a Processor or CoProcessor that sets timers also is.
type TimerHandler[K comparable, O any] interface {
	OnTimer(c *Context[K, O], at Time) error
}

// CoProcessor handles the records of two streams with the same keys, which share state.
type CoProcessor[K comparable, L, R, O any] interface {
	Left(c *Context[K, O], v L) error
	Right(c *Context[K, O], v R) error
}

// Context is what a Processor's methods are given. It is valid during the call.
type Context[K comparable, O any] struct {
	// Key is the key of the record or timer.
	Key K

	p    *processor[K, O]
	key  K // as Key, which the user could overwrite
	hash uint32
	time int64
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
// however often it is asked for.
func (c *Context[K, O]) EventTimer(t Time) { c.p.setTimer(&c.p.event, t) }

// ProcessingTimer has OnTimer called for the current key at or soon after the processing time t. It is not called any
// more when the input has ended.
func (c *Context[K, O]) ProcessingTimer(t Time) {
	c.p.setTimer(&c.p.processing, t)
	c.p.env.Runtime.WakeAt(int64(t))
}

// EmitSide emits v to the side output tag.
func EmitSide[K comparable, O, S any](c *Context[K, O], tag Tag[S], v S) {
	p := c.p
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

// Process runs a function with state and timers. open makes one instance per subtask, binding its states; the type of
// what it emits follows from its Element method.
func Process[K comparable, T, O any, P Processor[K, T, O]](s Keyed[K, T], open func(*Runtime) P) Stream[O] {
	at := caller()
	e := s.in.env.check(at, "Process")
	if open == nil {
		e.fail(at, "Process with a nil function")
	}
	typ := typeOf[O](e, at)
	var n *graph.Node
	n = e.node(at, "process", "Keyed Process", asType(typ), func(env *operator.Env) (operator.Operator, error) {
		p := newProcessor[K, O](env, e, n, s.kt)
		f := open(p.rt)
		if err := p.opened(f); err != nil {
			return nil, err
		}
		p.inputs = []operator.Input{&processInput[K, T, O]{p: p, key: s.key, f: f.Element}}
		p.marks, p.idle = []int64{operator.NoWatermark}, make([]bool, 1)
		return p, nil
	})
	connectKeyed(s, n, 0)
	return streamOf(e, n, typ)
}

// CoProcess is Process for two streams with the same keys.
func CoProcess[K comparable, L, R, O any, P CoProcessor[K, L, R, O]](l Keyed[K, L], r Keyed[K, R], open func(*Runtime) P) Stream[O] {
	at := caller()
	e := l.in.env.check(at, "CoProcess")
	typ := typeOf[O](e, at)
	if open == nil {
		e.fail(at, "CoProcess with a nil function")
	}
	if r.in.env != e {
		e.fail(at, "CoProcess with a stream of another Env: a job is one graph")
		return Stream[O]{env: e, typ: typ}
	}
	var n *graph.Node
	n = e.node(at, "coprocess", "Keyed Co-Process", asType(typ), func(env *operator.Env) (operator.Operator, error) {
		p := newProcessor[K, O](env, e, n, l.kt)
		f := open(p.rt)
		if err := p.opened(f); err != nil {
			return nil, err
		}
		p.inputs = []operator.Input{
			&processInput[K, L, O]{p: p, key: l.key, f: f.Left, index: 0},
			&processInput[K, R, O]{p: p, key: r.key, f: f.Right, index: 1}}
		p.marks, p.idle = []int64{operator.NoWatermark, operator.NoWatermark}, make([]bool, 2)
		return p, nil
	})
	connectKeyed(l, n, 0)
	connectKeyed(r, n, 1)
	return streamOf(e, n, typ)
}

// processor is the operator of Process and CoProcess, but for its typed inputs.
type processor[K comparable, O any] struct {
	env     *operator.Env
	rt      *Runtime
	kt      *codec.Key[K]
	ks      *keyedState
	onTimer func(*Context[K, O], Time) error
	ctx     Context[K, O]
	keys    *state.Table[K, int32] // key to slot
	space   *state.Space           // nil where the state is all in memory
	free    []int32
	out     collector[O]
	sides   []sideOutput // those emitted to
	tags    []output     // those somebody reads
	fn      any          // the user's
	inputs  []operator.Input
	marks   []int64 // by input
	idle    []bool  // by input
	asleep  bool    // all inputs are idle
	ended   int
	mark    int64
	sweepAt int64

	event, processing timers[K]
}

type sideOutput struct {
	tag string
	out sideCollector
}

type sideCollector interface {
	flush() error
}

// timers are a heap, and the set of what is in it.
type timers[K comparable] struct {
	heap timerHeap[K]
	set  map[timerKey[K]]struct{}
}

type timerKey[K comparable] struct {
	at  int64
	key K
}

func newProcessor[K comparable, O any](env *operator.Env, e *Env, n *graph.Node, kt *codec.Key[K]) *processor[K, O] {
	p := &processor[K, O]{env: env, rt: e.runtime(env), kt: kt, out: newCollector[O](env, ""), mark: operator.NoWatermark}
	p.ks = &keyedState{names: map[string]bool{}, now: env.Runtime.Now}
	p.event.heap.list.views, p.processing.heap.list.views = &p.ks.views, &p.ks.views
	p.rt.state = p.ks
	p.ctx.p = p
	p.keys = state.NewTable[K, int32](groupsOf(env), cloneOf(kt))
	p.space = state.NewSpace(env.Store)
	p.keys.Spill(p.space, p.format())
	for _, tag := range e.tagsOf(n) {
		p.tags = append(p.tags, output{rt: env.Runtime, tag: tag})
	}
	return p
}

// opened looks at what open made.
func (p *processor[K, O]) opened(f any) error {
	p.fn = f
	if h, ok := f.(TimerHandler[K, O]); ok {
		p.onTimer = h.OnTimer
	}
	return p.rt.opened()
}

func (p *processor[K, O]) fail(err error) {
	if p.out.err == nil {
		p.out.err = err
	}
}

// enter makes k the current key.
func (p *processor[K, O]) enter(hash uint32, k K, t int64) {
	slot, fresh := p.keys.At(hash, k)
	if fresh {
		*slot = p.newSlot()
	}
	p.ks.slot = *slot
	p.ctx.Key, p.ctx.key, p.ctx.hash, p.ctx.time = k, k, hash, t
}

func (p *processor[K, O]) newSlot() int32 {
	if n := len(p.free); n != 0 {
		s := p.free[n-1]
		p.free = p.free[:n-1]
		return s
	}
	p.ks.live = append(p.ks.live, 0)
	for _, s := range p.ks.states {
		s.grow(len(p.ks.live))
	}
	return int32(len(p.ks.live) - 1)
}

// leave forgets the current key when it has no state.
func (p *processor[K, O]) leave() {
	if p.ks.live[p.ks.slot] == 0 {
		p.keys.Delete(p.ctx.hash, p.ctx.key)
		p.free = append(p.free, p.ks.slot)
	}
}

func (p *processor[K, O]) setTimer(to *timers[K], at Time) {
	if p.onTimer == nil {
		p.fail(fmt.Errorf("%q set a timer but its function has no OnTimer method with this signature: OnTimer(*stream.Context[%s, %s], stream.Time) error",
			p.env.Name, typeName[K](), typeName[O]()))
		return
	}
	id := timerKey[K]{int64(at), p.ctx.key}
	if _, ok := to.set[id]; ok {
		return
	}
	if p.kt.Pins() {
		id.key = p.kt.Clone(id.key)
	}
	if to.set == nil {
		to.set = map[timerKey[K]]struct{}{}
	}
	to.set[id] = struct{}{}
	to.heap.push(timer[K]{at: int64(at), hash: p.ctx.hash, key: id.key})
}

// runTimers calls OnTimer for what is due.
func (p *processor[K, O]) runTimers(of *timers[K], now int64) error {
	for of.heap.due(now) {
		t := of.heap.pop()
		delete(of.set, timerKey[K]{t.at, t.key})
		p.enter(t.hash, t.key, t.at)
		if err := p.onTimer(&p.ctx, Time(t.at)); err != nil {
			return err
		}
		p.leave()
		if p.out.err != nil {
			return p.out.err
		}
	}
	return nil
}

func (p *processor[K, O]) Input(i int) operator.Input { return p.inputs[i] }

// ProcessingTime runs timers and lets expired state go.
func (p *processor[K, O]) ProcessingTime(now int64) error {
	if err := p.runTimers(&p.processing, now); err != nil {
		return err
	}
	if p.processing.heap.len() != 0 {
		p.env.Runtime.WakeAt(p.processing.heap.first().at)
	}
	if p.sweepAt != 0 {
		if now >= p.sweepAt {
			p.sweep(now)
		}
		if p.sweepAt != 0 {
			p.env.Runtime.WakeAt(p.sweepAt)
		}
	}
	return p.flush()
}

// sweep clears what has expired and forgets the keys that have nothing left.
func (p *processor[K, O]) sweep(now int64) {
	type dead struct {
		hash uint32
		key  K
	}
	var gone []dead
	p.keys.All(func(h uint32, k *K, slot *int32) bool {
		for _, s := range p.ks.states {
			s.expire(*slot, now)
		}
		if p.ks.live[*slot] == 0 {
			gone = append(gone, dead{h, *k})
		}
		return true
	})
	for _, d := range gone {
		if slot := p.keys.Cached(d.hash, d.key); slot != nil { // else its slot went when it was evicted
			p.free = append(p.free, *slot)
		}
		p.keys.Delete(d.hash, d.key)
	}
	p.sweepAt = 0
	if p.keys.Len() != 0 {
		p.sweepAt = now + p.sweepEvery()
	}
}

// sweepEvery is how often state with a time to live is looked through, in ms.
func (p *processor[K, O]) sweepEvery() int64 { return max(1000, p.ks.ttl) }

func (p *processor[K, O]) flush() error {
	if err := p.space.Err(); err != nil {
		return err
	}
	if err := p.out.flush(); err != nil {
		return err
	}
	for _, s := range p.sides {
		if err := s.out.flush(); err != nil {
			return err
		}
	}
	return nil
}

// watermark fires timers when the lowest watermark of all inputs that aren't idle has moved.
func (p *processor[K, O]) watermark(input int, t int64) error {
	p.idle[input] = t == operator.IdleWatermark
	if !p.idle[input] {
		p.marks[input] = t
	}
	low, active := operator.MaxWatermark, false
	for i, m := range p.marks {
		if !p.idle[i] {
			low, active = min(low, m), true
		}
	}
	switch {
	case !active:
		p.asleep = true
		return p.each(func(in operator.Input) error { return in.Watermark(operator.IdleWatermark) })
	case low <= p.mark && !p.asleep:
		return nil
	}
	p.asleep = false
	p.mark = max(p.mark, low)
	if err := p.runTimers(&p.event, p.mark); err != nil {
		return err
	}
	if err := p.flush(); err != nil {
		return err
	}
	if p.mark == operator.NoWatermark {
		return nil
	}
	return p.each(func(in operator.Input) error { return in.Watermark(p.mark) })
}

// each calls f for the main output and every side output that is read.
func (p *processor[K, O]) each(f func(operator.Input) error) error {
	if err := f(p.out.out.get()); err != nil {
		return err
	}
	for i := range p.tags {
		if err := f(p.tags[i].get()); err != nil {
			return err
		}
	}
	return nil
}

func (p *processor[K, O]) end() error {
	if p.ended++; p.ended < len(p.inputs) {
		return nil
	}
	if err := p.flush(); err != nil {
		return err
	}
	return p.each(func(in operator.Input) error { return in.End() })
}

// Close closes the function if it has a Close method.
func (p *processor[K, O]) Close() error {
	p.space.Close()
	return closeIt(p.fn)
}

// processInput is one typed input.
type processInput[K comparable, T, O any] struct {
	p     *processor[K, O]
	key   func(T) K
	f     func(*Context[K, O], T) error
	index int
}

func (i *processInput[K, T, O]) Watermark(t int64) error { return i.p.watermark(i.index, t) }
func (i *processInput[K, T, O]) End() error              { return i.p.end() }

func (i *processInput[K, T, O]) Batch(b operator.Batch) error {
	v := b.(*operator.Vec[T])
	p := i.p
	t := operator.NoWatermark
	for n := range v.V {
		if len(v.TS) != 0 {
			t = v.TS[n]
		}
		p.enter(v.H[n], i.key(v.V[n]), t)
		if err := i.f(&p.ctx, v.V[n]); err != nil {
			return err
		}
		p.leave()
	}
	if p.ks.ttl > 0 && p.sweepAt == 0 && p.keys.Len() != 0 {
		p.sweepAt = p.env.Runtime.Now() + p.sweepEvery()
		p.env.Runtime.WakeAt(p.sweepAt)
	}
	return p.flush()
}
