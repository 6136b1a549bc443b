package stream

import (
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/operator"
)

// BroadcastProcessor handles the records of a stream, and with them those of another that every subtask gets: rules,
// settings, a small table. K is NoKey where the records have no key. What Broadcast does to broadcast state must depend
// on its records and that state only, as it happens in every subtask. Which record of one input comes before which of the
// other isn't said.
type BroadcastProcessor[K comparable, T, B, O any] interface {
	// Element handles a record of the stream. It may read broadcast state.
	Element(c *Context[K, O], v T) error
	// Broadcast handles a record of the broadcast stream, in every subtask. It may change broadcast state; it has no key
	// and so neither keyed state nor timers.
	Broadcast(c *Context[NoKey, O], v B) error
}

// BroadcastProcess runs a function with state and timers on a keyed stream, and gives every record of b to every subtask
// of it, however b is distributed otherwise. open makes one instance per subtask, binding its states. Event time is the
// lower one of both inputs.
func BroadcastProcess[K comparable, T, B, O any, P BroadcastProcessor[K, T, B, O]](s Keyed[K, T], b Stream[B], open func(*Runtime) P) Stream[O] {
	at := caller()
	e := s.in.env.check(at, "BroadcastProcess")
	typ := typeOf[O](e, at)
	if !canCombine(e, at, "BroadcastProcess", b.env, open == nil) {
		return Stream[O]{env: e, typ: typ}
	}
	var n *graph.Node
	n = e.node(at, "broadcast-process", "Keyed Broadcast Process", asType(typ), func(env *operator.Env) (operator.Operator, error) {
		p := newProcessor[K, O](env, e, n, s.kt)
		f := open(p.rt)
		if err := p.opened(f); err != nil {
			return nil, err
		}
		side := eachInput[B, O]{p: &p.core, ctx: Context[NoKey, O]{p: &p.core}, f: f.Broadcast, index: 1}
		p.read(&processInput[K, T, O]{p: p, key: s.key, f: f.Element}, &broadcastInput[B, O]{side, p.ks, p.newSlot()})
		return p, nil
	})
	connectKeyed(s, n, 0)
	connect(b.redistribute(at, "BroadcastProcess", graph.Partitioning_BROADCAST), n, 1)
	return streamOf(e, n, typ)
}

// BroadcastProcessEach is BroadcastProcess for a stream without keys.
func BroadcastProcessEach[T, B, O any, P BroadcastProcessor[NoKey, T, B, O]](s Stream[T], b Stream[B], open func(*Runtime) P) Stream[O] {
	at := caller()
	e := s.env.check(at, "BroadcastProcessEach")
	typ := typeOf[O](e, at)
	if !canCombine(e, at, "BroadcastProcessEach", b.env, open == nil) {
		return Stream[O]{env: e, typ: typ}
	}
	var n *graph.Node
	n = e.node(at, "broadcast-process", "Broadcast Process", asType(typ), func(env *operator.Env) (operator.Operator, error) {
		p := newEach[O](env, e, n)
		f := open(p.rt)
		p.fn = f
		side := eachInput[B, O]{p: &p.core, ctx: Context[NoKey, O]{p: &p.core}, f: f.Broadcast, index: 1}
		p.read(&eachInput[T, O]{p: &p.core, ctx: Context[NoKey, O]{p: &p.core}, f: f.Element}, &broadcastInput[B, O]{eachInput: side})
		if err := p.rt.opened(); err != nil {
			return nil, err
		}
		return p, nil
	})
	connect(s, n, 0)
	connect(b.redistribute(at, "BroadcastProcessEach", graph.Partitioning_BROADCAST), n, 1)
	return streamOf(e, n, typ)
}

// broadcastInput is the input of the broadcast stream.
type broadcastInput[B, O any] struct {
	eachInput[B, O]
	ks   *keyedState // nil without keys
	slot int32       // no key's
}

func (i *broadcastInput[B, O]) Batch(b operator.Batch) error {
	states := &i.p.states
	states.writable = true
	if i.ks != nil {
		i.ks.slot, i.ks.keyless = i.slot, true
	}
	err := i.eachInput.Batch(b)
	states.writable = false
	if i.ks != nil {
		i.ks.keyless = false
	}
	return err
}
