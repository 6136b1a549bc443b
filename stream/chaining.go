package stream

import (
	"time"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/operator"
)

// StartNewChain keeps the operator from being chained to the one before it. Those behind it may be chained to it.
func (s Stream[T]) StartNewChain() Stream[T] {
	if n := s.own(caller(), "StartNewChain"); n != nil {
		n.NoChain = true
	}
	return s
}

// DisableChaining makes the operator a task of its own: it is chained neither to the one before it nor to those behind.
func (s Stream[T]) DisableChaining() Stream[T] {
	if n := s.own(caller(), "DisableChaining"); n != nil {
		n.NoChain, n.EndsChain = true, true
	}
	return s
}

// DisableOperatorChaining makes every operator a task of its own, whatever pipeline.operator-chaining.enabled says.
func (e *Env) DisableOperatorChaining() { e.g.NoChaining = true }

// MaxParallelism sets the number of key groups of the operator: the highest parallelism that its keyed state can be
// spread over, 1 to 32768. A restore keeps the number that the checkpoint was made with. In a chain that of the first
// operator counts.
func (s Stream[T]) MaxParallelism(n int) Stream[T] {
	at := caller()
	if o := s.own(at, "MaxParallelism"); o != nil && s.env.maxParallelism(at, n) {
		o.MaxParallelism = n
	}
	return s
}

// MaxParallelism sets the max parallelism of all operators that have none of their own, 1 to 32768. Without it
// pipeline.max-parallelism decides, and without that it is derived from the parallelism.
func (e *Env) MaxParallelism(n int) {
	if e.maxParallelism(caller(), n) {
		e.g.MaxParallelism = n
	}
}

func (e *Env) maxParallelism(at string, n int) bool {
	if n < 1 || n > operator.MaxKeyGroups {
		e.fail(at, "max parallelism %d: want 1 to %d", n, operator.MaxKeyGroups)
		return false
	}
	return true
}

// BufferTimeout sets how long a record may wait in the job for others to be sent with it, above the configuration's
// execution.buffer-timeout.interval (default 100 ms): 0 sends at once, below 0 only full batches are sent.
func (e *Env) BufferTimeout(d time.Duration) {
	if d < 0 {
		e.g.Set(conf.ExecutionBufferTimeoutEnabled.Key(), "false")
		return
	}
	e.g.Set(conf.ExecutionBufferTimeoutEnabled.Key(), "true")
	e.g.Set(conf.ExecutionBufferTimeoutInterval.Key(), conf.FormatDuration(d))
}
