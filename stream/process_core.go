package stream

import (
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/operator"
)

// core is what the operators of all process functions have in common: outputs, watermarks and the end of several inputs.
type core[O any] struct {
	env    *operator.Env
	rt     *Runtime
	states operatorStates
	out    collector[O]
	sides  []sideOutput // those emitted to
	tags   []output     // those somebody reads
	fn     any          // the user's
	inputs []operator.Input
	marks  []int64 // by input
	idle   []bool  // by input
	asleep bool    // all inputs are idle
	ended  int
	mark   int64
	due    func() error // runs the timers up to mark; nil without timers
}

type sideOutput struct {
	tag string
	out sideCollector
}

type sideCollector interface {
	flush() error
}

// init prepares c for an operator of e's graph, before the function is opened.
func (c *core[O]) init(env *operator.Env, e *Env, n *graph.Node) {
	c.env, c.rt, c.out, c.mark = env, e.runtime(env), newCollector[O](env, ""), operator.NoWatermark
	c.states.names, c.states.fail = map[string]bool{}, c.fail
	c.rt.operator = &c.states
	for _, tag := range e.tagsOf(n) {
		c.tags = append(c.tags, output{rt: env.Runtime, tag: tag})
	}
}

// read makes the inputs those of the operator.
func (p *core[O]) read(inputs ...operator.Input) {
	p.inputs, p.marks, p.idle = inputs, make([]int64, len(inputs)), make([]bool, len(inputs))
	for i := range p.marks {
		p.marks[i] = operator.NoWatermark
	}
}

func (p *core[O]) Input(i int) operator.Input { return p.inputs[i] }

// fail makes the current batch fail with the first error.
func (p *core[O]) fail(err error) {
	if p.out.err == nil {
		p.out.err = err
	}
}

func (p *core[O]) flush() error {
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

// watermark runs what is due when the lowest watermark of all inputs that aren't idle has moved. One that has ended doesn't
// end time for others that are idle.
func (p *core[O]) watermark(input int, t int64) error {
	p.idle[input] = t == operator.IdleWatermark
	if !p.idle[input] {
		p.marks[input] = t
	}
	low, idle := operator.MaxWatermark, false
	for i, m := range p.marks {
		if p.idle[i] {
			idle = true
		} else {
			low = min(low, m)
		}
	}
	switch {
	case idle && low == operator.MaxWatermark:
		if p.asleep {
			return nil
		}
		p.asleep = true
		return p.each(func(in operator.Input) error { return in.Watermark(operator.IdleWatermark) })
	case low <= p.mark && !p.asleep:
		return nil
	}
	p.asleep = false
	p.mark = max(p.mark, low)
	if p.due != nil {
		if err := p.due(); err != nil {
			return err
		}
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
func (p *core[O]) each(f func(operator.Input) error) error {
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

func (p *core[O]) end() error {
	if p.ended++; p.ended < len(p.inputs) {
		return nil
	}
	if err := p.flush(); err != nil {
		return err
	}
	return p.each(func(in operator.Input) error { return in.End() })
}

// Close closes the function if it has a Close method.
func (p *core[O]) Close() error { return closeIt(p.fn) }
