package task

import (
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/operator"
)

// valve holds the watermarks of the channels of one input and lets the smallest pass. Idle channels don't count, and those
// that have ended (MaxWatermark) only once none is idle: time has not come to its end for who is expected back.
type valve struct {
	marks  []int64
	idle   []bool
	low    int64
	asleep bool // all channels are idle or have ended
}

// add adds a channel and returns its number.
func (v *valve) add() int {
	v.low = operator.NoWatermark
	v.marks, v.idle = append(v.marks, operator.NoWatermark), append(v.idle, false)
	return len(v.marks) - 1
}

// advance notes that a channel has reached w, or is idle. It returns the input's watermark and whether that is to be
// passed on: it has grown, or all channels are idle (IdleWatermark), or one of them isn't any more. With IdleWatermark low
// may have grown, too, and is passed on before.
func (v *valve) advance(channel int, w int64) (int64, bool) {
	if w == operator.IdleWatermark {
		return v.sleep(channel)
	}
	before, woke := v.marks[channel], v.asleep
	wasIdle := v.idle[channel]
	v.idle[channel] = false
	if w <= before {
		v.asleep = v.asleep && before == operator.MaxWatermark
		return v.low, woke && !v.asleep && v.low != operator.NoWatermark
	}
	v.marks[channel] = w
	if before > v.low && !wasIdle && !woke {
		return v.low, false // another channel holds it back
	}
	return v.settle(woke)
}

func (v *valve) sleep(channel int) (int64, bool) {
	if v.idle[channel] {
		return v.low, false
	}
	v.idle[channel] = true
	return v.settle(false)
}

// settle finds the smallest watermark of the channels that aren't idle, or the largest once all are: which of them became
// idle last doesn't matter. The input's never falls.
func (v *valve) settle(woke bool) (int64, bool) {
	low, high, idle := operator.MaxWatermark, operator.NoWatermark, false
	for i, m := range v.marks {
		if v.idle[i] {
			idle = true
		} else {
			low = min(low, m)
		}
		if m < operator.MaxWatermark {
			high = max(high, m)
		}
	}
	v.asleep = idle && low == operator.MaxWatermark
	if v.asleep {
		v.low = max(v.low, high)
		return operator.IdleWatermark, !woke
	}
	grown := low > v.low
	v.low = max(v.low, low)
	return v.low, grown || woke && v.low != operator.NoWatermark
}

// input is one input of the head operator: all channels of all edges that lead to it.
type input struct {
	in    operator.Input
	valve valve
	ended int
}

// port says where a channel of the gate leads.
type port struct {
	in       *input
	index    int // in the valve
	edge     *graph.Edge
	producer int32
}

// mark passes a channel's watermark on where it counts.
func (p port) mark(w int64) (low int64, grown bool, err error) {
	before := p.in.valve.low
	low, pass := p.in.valve.advance(p.index, w)
	grown = p.in.valve.low > before
	if pass && grown && low == operator.IdleWatermark {
		if err := p.in.in.Watermark(p.in.valve.low); err != nil {
			return p.in.valve.low, true, err
		}
	}
	if pass {
		err = p.in.in.Watermark(low)
	}
	return p.in.valve.low, grown, err
}

// end notes the end of a channel, which counts as MaxWatermark; the last one ends the input.
func (p port) end() (inputEnded bool, err error) {
	p.in.ended++
	if _, _, err := p.mark(operator.MaxWatermark); err != nil {
		return false, err
	}
	if p.in.ended < len(p.in.valve.marks) {
		return false, nil
	}
	return true, p.in.in.End()
}

// guarded is an operator's input that notes that the operator runs. It costs one call per batch and is what names the
// operator in a panic or an error.
type guarded struct {
	in operator.Input
	t  *Task
	at int
}

func (t *Task) guard(at int, in operator.Input) operator.Input { return &guarded{in, t, at} }

func (g *guarded) Batch(b operator.Batch) error {
	before := g.t.current
	g.t.current = g.at
	if err := g.in.Batch(b); err != nil {
		return g.t.blame(g.at, err)
	}
	g.t.current = before
	return nil
}

func (g *guarded) Watermark(w int64) error {
	before := g.t.current
	g.t.current = g.at
	if err := g.in.Watermark(w); err != nil {
		return g.t.blame(g.at, err)
	}
	g.t.current = before
	return nil
}

func (g *guarded) End() error {
	before := g.t.current
	g.t.current = g.at
	if err := g.in.End(); err != nil {
		return g.t.blame(g.at, err)
	}
	g.t.current = before
	return nil
}

// outlet is the router of an edge out of the vertex, counted, and ended once.
type outlet struct {
	t      *Task
	router operator.Router
	ended  bool
}

func (o *outlet) Batch(b operator.Batch) error {
	o.t.meter.written.Add(int64(b.Len()))
	return o.unblamed(o.router.Batch(b))
}

func (o *outlet) Watermark(w int64) error { return o.unblamed(o.router.Watermark(w)) }

// End ends the exchange. Operators pass their end on, and the task does so where one doesn't.
func (o *outlet) End() error {
	if o.ended {
		return nil
	}
	o.ended = true
	return o.unblamed(o.router.End())
}

// unblamed keeps an error of the exchange from being called the operator's that emitted.
func (o *outlet) unblamed(err error) error {
	if err != nil {
		_ = o.t.blame(len(o.t.chain), err)
	}
	return err
}

// side is a side output. Watermarks and the end reach it with those of the main output, and an operator may pass them on
// itself, too.
type side struct {
	in    operator.Input
	mark  int64
	ended bool
}

func (s *side) Batch(b operator.Batch) error { return s.in.Batch(b) }

func (s *side) Watermark(w int64) error {
	if w == s.mark || w < s.mark && w != operator.IdleWatermark {
		return nil
	}
	s.mark = w
	return s.in.Watermark(w)
}

func (s *side) End() error {
	if s.ended {
		return nil
	}
	s.ended = true
	return s.in.End()
}

// spread is a main output beside side outputs.
type spread struct {
	operator.Input
	sides []*side
}

func (s *spread) Watermark(w int64) error {
	for _, o := range s.sides {
		if err := o.Watermark(w); err != nil {
			return err
		}
	}
	return s.Input.Watermark(w)
}

func (s *spread) End() error {
	for _, o := range s.sides {
		if err := o.End(); err != nil {
			return err
		}
	}
	return s.Input.End()
}
