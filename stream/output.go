package stream

import (
	"github.com/weftstream/weft/operator"
)

// output is an operator's way to its consumers. It looks the consumer up at the first use: when the operator is made, the
// chain behind it may not be there yet.
type output struct {
	rt  operator.Runtime
	tag string
	in  operator.Input
}

func (o *output) get() operator.Input {
	if o.in == nil {
		o.in = o.rt.Output(o.tag)
	}
	return o.in
}

// forward is embedded by operators that pass watermarks and the end on as they come.
type forward struct{ out output }

func (f *forward) Watermark(t int64) error    { return f.out.get().Watermark(t) }
func (f *forward) End() error                 { return f.out.get().End() }
func (f *forward) ProcessingTime(int64) error { return nil }
func (f *forward) Close() error               { return nil }

func forwardTo(env *operator.Env) forward { return forward{output{rt: env.Runtime}} }

// collector gathers what an operator emits into batches.
type collector[O any] struct {
	out  output
	buf  operator.Vec[O]
	size int
	err  error
}

func newCollector[O any](env *operator.Env, tag string) collector[O] {
	return collector[O]{out: output{rt: env.Runtime, tag: tag}, size: max(1, env.BatchSize), buf: operator.Vec[O]{WM: operator.NoWatermark}}
}

// add emits v at time t; without a time when t is NoTime.
func (c *collector[O]) add(v O, t int64) {
	if t != operator.NoWatermark || len(c.buf.TS) != 0 {
		c.time(t)
	}
	c.buf.V = append(c.buf.V, v)
	if len(c.buf.V) >= c.size {
		c.flush()
	}
}

// time appends t. Records before it that have none are given NoTime, so that TS is as long as V or empty.
func (c *collector[O]) time(t int64) {
	for len(c.buf.TS) < len(c.buf.V) {
		c.buf.TS = append(c.buf.TS, operator.NoWatermark)
	}
	c.buf.TS = append(c.buf.TS, t)
}

// flush hands on what is there. The first error is kept, and nothing is emitted after it.
func (c *collector[O]) flush() error {
	if len(c.buf.V) != 0 {
		if c.err == nil {
			c.err = c.out.get().Batch(&c.buf)
		}
		c.buf.Reset()
	}
	return c.err
}

// grown returns s with length n, its contents undefined.
func grown[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n, max(n, 2*cap(s)))
	}
	return s[:n]
}
