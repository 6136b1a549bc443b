package stream

import (
	"fmt"

	"github.com/weftstream/weft/codec"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/operator"
	"github.com/weftstream/weft/runtime/state"
)

// Processor handles the records of a stream, one instance per subtask; K is NoKey where they have no key. An error fails
// the job.
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
		p.read(&processInput[K, T, O]{p: p, key: s.key, f: f.Element})
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
	if !canCombine(e, at, "CoProcess", r.in.env, open == nil) {
		return Stream[O]{env: e, typ: typ}
	}
	var n *graph.Node
	n = e.node(at, "coprocess", "Keyed Co-Process", asType(typ), func(env *operator.Env) (operator.Operator, error) {
		p := newProcessor[K, O](env, e, n, l.kt)
		f := open(p.rt)
		if err := p.opened(f); err != nil {
			return nil, err
		}
		p.read(&processInput[K, L, O]{p: p, key: l.key, f: f.Left, index: 0}, &processInput[K, R, O]{p: p, key: r.key, f: f.Right, index: 1})
		return p, nil
	})
	connectKeyed(l, n, 0)
	connectKeyed(r, n, 1)
	return streamOf(e, n, typ)
}

// processor is the operator of functions with keys, but for its typed inputs.
type processor[K comparable, O any] struct {
	core[O]
	kt      *codec.Key[K]
	ks      *keyedState
	onTimer func(*Context[K, O], Time) error
	ctx     Context[K, O]
	keys    *state.Table[K, int32] // key to slot
	space   *state.Space           // nil where the state is all in memory
	fresh   bool                   // the current key had nothing
	free    []int32
	sweeper sweeper[K]

	event, processing timers[K]
	closing           bool // the last timers run, and no more are taken
}

// timers are a heap, and the set of what is in it.
type timers[K comparable] struct {
	heap timerHeap[K]
	set  map[timerKey[K]]struct{}
	log  *timerLog[K] // nil until a snapshot asks for changes
}

type timerKey[K comparable] struct {
	at  int64
	key K
}

func newProcessor[K comparable, O any](env *operator.Env, e *Env, n *graph.Node, kt *codec.Key[K]) *processor[K, O] {
	p := &processor[K, O]{kt: kt}
	p.init(env, e, n)
	p.ks = &keyedState{names: p.states.names, now: env.Runtime.Now, fail: p.fail}
	p.event.heap.list.views, p.processing.heap.list.views = &p.ks.views, &p.ks.views
	p.rt.state = p.ks
	p.ctx.p, p.ctx.keyed = &p.core, p
	p.due = func() error {
		if err := p.runTimers(&p.event, p.mark); err != nil || !env.Batch || p.mark != operator.MaxWatermark {
			return err
		}
		p.closing = true
		return p.runTimers(&p.processing, operator.MaxWatermark)
	}
	p.keys = state.NewTable[K, int32](groupsOf(env), cloneOf(kt))
	p.space = state.NewSpace(env.Store)
	p.keys.Spill(p.space, p.format())
	return p
}

// opened looks at what open made.
func (p *processor[K, O]) opened(f any) error {
	p.fn = f
	if h, ok := f.(TimerHandler[K, O]); ok {
		p.onTimer = h.OnTimer
	}
	err := p.rt.opened()
	if err != nil {
		p.space.Close() // nobody closes an operator that wasn't made
	}
	return err
}

// enter makes k the current key.
func (p *processor[K, O]) enter(hash uint32, k K, t int64) {
	p.ks.slot, p.fresh = p.slotOf(hash, k)
	p.ctx.Key, p.ctx.key, p.ctx.hash, p.ctx.time = k, k, hash, t
}

// slotOf is the slot of a key; fresh: it had none, and has one now.
func (p *processor[K, O]) slotOf(hash uint32, k K) (_ int32, fresh bool) {
	slot, fresh := p.keys.Touch(hash, k)
	if fresh {
		*slot = p.newSlot()
	}
	return *slot, fresh
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
	switch {
	case p.ks.live[p.ks.slot] != 0:
	case p.fresh: // no checkpoint has it
		p.keys.Discard(p.ctx.hash, p.ctx.key)
		p.free = append(p.free, p.ks.slot)
	default:
		p.forget(p.ctx.hash, p.ctx.key, p.ks.slot)
	}
}

// forget gives the slot of a key back that has no state.
func (p *processor[K, O]) forget(hash uint32, k K, slot int32) {
	p.keys.Delete(hash, k)
	p.free = append(p.free, slot)
}

func (p *processor[K, O]) setTimer(to *timers[K], at Time) {
	if p.onTimer == nil {
		p.fail(fmt.Errorf("%q set a timer but its function has no OnTimer method with this signature: OnTimer(*stream.Context[%s, %s], stream.Time) error",
			p.env.Name, typeName[K](), typeName[O]()))
		return
	}
	if p.closing {
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
	t := timer[K]{at: int64(at), hash: p.ctx.hash, key: id.key}
	to.heap.push(t)
	to.log.note(&t, false, to.heap.len())
}

// runTimers calls OnTimer for what is due.
func (p *processor[K, O]) runTimers(of *timers[K], now int64) error {
	for of.heap.due(now) {
		t := of.heap.pop()
		delete(of.set, timerKey[K]{t.at, t.key})
		of.log.note(&t, true, of.heap.len())
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

// ProcessingTime runs timers and lets expired state go.
func (p *processor[K, O]) ProcessingTime(now int64) error {
	if err := p.runTimers(&p.processing, now); err != nil {
		return err
	}
	if p.processing.heap.len() != 0 {
		p.env.Runtime.WakeAt(p.processing.heap.first().at)
	}
	p.sweep(now)
	return p.flush()
}

// flush hands on what was emitted, unless keyed state is damaged.
func (p *processor[K, O]) flush() error {
	if err := p.space.Err(); err != nil {
		return err
	}
	return p.core.flush()
}

// Close closes the function if it has a Close method, and gives the memory of the keyed state back.
func (p *processor[K, O]) Close() error {
	p.space.Close()
	return p.core.Close()
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
	if p.ks.ttl > 0 && p.sweeper.at == 0 {
		p.awaitSweep()
	}
	return p.flush()
}
