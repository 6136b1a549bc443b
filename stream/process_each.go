package stream

import (
	"fmt"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/operator"
)

// NoKey is the type of the key in the Context of a record that belongs to no key: there are no timers and no keyed state.
type NoKey struct{}

// ProcessEach is Process for a stream without keys: a function for the records of a subtask, in the order in which they
// come, with side outputs, watermarks and operator state. open makes one instance per subtask.
func ProcessEach[T, O any, P Processor[NoKey, T, O]](s Stream[T], open func(*Runtime) P) Stream[O] {
	at := caller()
	e := s.env.check(at, "ProcessEach")
	if open == nil {
		e.fail(at, "ProcessEach with a nil function")
	}
	typ := typeOf[O](e, at)
	var n *graph.Node
	n = e.node(at, "process", "Process", asType(typ), func(env *operator.Env) (operator.Operator, error) {
		p := newEach[O](env, e, n)
		f := open(p.rt)
		p.fn = f
		p.read(&eachInput[T, O]{p: &p.core, ctx: Context[NoKey, O]{p: &p.core}, f: f.Element})
		if err := p.rt.opened(); err != nil {
			return nil, err
		}
		return p, nil
	})
	connect(s, n, 0)
	return streamOf(e, n, typ)
}

// each is the operator of functions without keys, but for its typed inputs.
type each[O any] struct{ core[O] }

func newEach[O any](env *operator.Env, e *Env, n *graph.Node) *each[O] {
	p := &each[O]{}
	p.init(env, e, n)
	return p
}

func (p *each[O]) ProcessingTime(int64) error { return nil }

// Snapshot takes the operator states, without copying them.
func (p *each[O]) Snapshot(int64) (operator.StateSnapshot, error) {
	v, err := p.states.freeze()
	if v == nil {
		return nil, err
	}
	return v, nil
}

// Restore takes over the subtask's share of the operator states.
func (p *each[O]) Restore(r operator.StateReader) error {
	for _, d := range r.States() {
		if d.Kind == operator.KeyedState {
			return fmt.Errorf("state %q of %q in the checkpoint belongs to keys, which the operator doesn't have now: give it another UID and leave its state out", d.Name, p.env.Name)
		}
	}
	return p.states.restore(r)
}

// eachInput is one typed input whose records have no key.
type eachInput[T, O any] struct {
	p     *core[O]
	ctx   Context[NoKey, O]
	f     func(*Context[NoKey, O], T) error
	index int
}

func (i *eachInput[T, O]) Watermark(t int64) error { return i.p.watermark(i.index, t) }
func (i *eachInput[T, O]) End() error              { return i.p.end() }

func (i *eachInput[T, O]) Batch(b operator.Batch) error {
	v := b.(*operator.Vec[T])
	i.ctx.time = operator.NoWatermark
	for n := range v.V {
		if len(v.TS) != 0 {
			i.ctx.time = v.TS[n]
		}
		if err := i.f(&i.ctx, v.V[n]); err != nil {
			return err
		}
	}
	return i.p.flush()
}
