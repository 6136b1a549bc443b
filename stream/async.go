package stream

import (
	"context"
	"time"

	"github.com/weftstream/weft/codec"
	"github.com/weftstream/weft/operator"
)

// DefaultAsyncCapacity is AsyncOptions.Capacity where it is 0.
const DefaultAsyncCapacity = 100

// AsyncOptions say how AsyncMap and AsyncFlatMap call their function. The zero value is good: ordered, 100 records at a time,
// no timeout, no retries.
type AsyncOptions struct {
	// Unordered lets results out as they come. A watermark is not overtaken: the results of records before it are out before
	// it, and those of records behind it come after it. Without it results keep the order of their records.
	Unordered bool
	// Capacity is how many records of a subtask may be under way, those whose results wait for others' included; default
	// DefaultAsyncCapacity. Beyond it no input is taken.
	Capacity int
	// Timeout is how long a record may take, all its attempts included; 0 is for ever. A record that takes longer fails the
	// job, unless OnTimeout has a result for it.
	Timeout time.Duration
	// Retry calls the function again for a record that it failed on.
	Retry AsyncRetry
}

// AsyncRetry says how often a record is tried and how long to wait before another attempt. The zero value tries once.
type AsyncRetry struct {
	// Attempts is how often the function is called for one record at most; 0 is 1.
	Attempts int
	// Delay is the wait before the second attempt.
	Delay time.Duration
	// Multiplier makes each further wait that much longer; 0 is 1, a fixed delay. It can't be below 1.
	Multiplier float64
	// MaxDelay bounds the wait; 0: no bound.
	MaxDelay time.Duration
	// If says which errors are worth another attempt; nil: all. Safe for concurrent use.
	If func(error) bool
}

// AsyncOption is a function that AsyncMap or AsyncFlatMap with results R may be given.
type AsyncOption[T, R any] struct{ set func(*asyncSpec[T, R]) }

// OnTimeout gives the result of a record that took longer than AsyncOptions.Timeout; an error of it fails the job. It runs
// in a goroutine of its own, possibly while the function hasn't returned yet.
func OnTimeout[T, R any](f func(v T) (R, error)) AsyncOption[T, R] {
	return AsyncOption[T, R]{func(s *asyncSpec[T, R]) { s.late = f }}
}

// RetryResult says which results are worth another attempt, as AsyncRetry.If does for errors. The last attempt's result
// counts, whatever it is. T can't be inferred: write RetryResult[Order](func(p Price) bool { … }).
func RetryResult[T, R any](f func(R) bool) AsyncOption[T, R] {
	return AsyncOption[T, R]{func(s *asyncSpec[T, R]) { s.again = f }}
}

// AsyncMap makes one record of every record by a function that waits for something outside, a database for instance: up to
// AsyncOptions.Capacity calls are under way at a time in each subtask.
//
// f is called from many goroutines and must be safe for that; it must not change what v points to. It has to return soon
// after ctx ends: at the record's timeout and when the subtask ends. An error that is not retried, and a panic, fails the
// job. Results get the event time of their record. Records under way are in checkpoints: after a restore f is called for
// them again.
func AsyncMap[T, U any](s Stream[T], o AsyncOptions, f func(ctx context.Context, v T) (U, error), more ...AsyncOption[T, U]) Stream[U] {
	one := func(c *collector[U], r U, t int64) { c.add(r, t) }
	return addAsync(s, caller(), "AsyncMap", o, f, more, one)
}

// AsyncFlatMap is AsyncMap for any number of results.
func AsyncFlatMap[T, U any](s Stream[T], o AsyncOptions, f func(ctx context.Context, v T) ([]U, error), more ...AsyncOption[T, []U]) Stream[U] {
	all := func(c *collector[U], r []U, t int64) {
		for _, u := range r {
			c.add(u, t)
		}
	}
	return addAsync(s, caller(), "AsyncFlatMap", o, f, more, all)
}

// asyncSpec is what an async operator does.
type asyncSpec[T, R any] struct {
	AsyncOptions
	f     func(context.Context, T) (R, error)
	late  func(T) (R, error)
	again func(R) bool
}

func addAsync[T, R, U any](s Stream[T], at, what string, o AsyncOptions, f func(context.Context, T) (R, error),
	more []AsyncOption[T, R], emit func(*collector[U], R, int64)) Stream[U] {
	e := s.env.check(at, what)
	spec := &asyncSpec[T, R]{AsyncOptions: o, f: f}
	for _, m := range more {
		if m.set != nil {
			m.set(spec)
		}
	}
	spec.check(e, at, what)
	typ := typeOf[U](e, at)
	state, err := codec.Of[asyncRecord[T]]()
	if err != nil {
		e.fail(at, "%s: %v", what, err)
	}
	n := e.node(at, "async", "Async Map", asType(typ), func(env *operator.Env) (operator.Operator, error) {
		return newAsync(env, spec, state, emit), nil
	})
	connect(s, n, 0)
	return streamOf(e, n, typ)
}

// check records mistakes and fills defaults in.
func (s *asyncSpec[T, R]) check(e *Env, at, what string) {
	r := &s.Retry
	switch {
	case s.f == nil:
		e.fail(at, "%s with a nil function", what)
	case s.Capacity < 0:
		e.fail(at, "%s with capacity %d: at least 1 record must be under way", what, s.Capacity)
	case s.Timeout < 0 || r.Delay < 0 || r.MaxDelay < 0:
		e.fail(at, "%s with a negative duration", what)
	case r.Attempts < 0:
		e.fail(at, "%s with %d attempts: at least 1 is needed", what, r.Attempts)
	case r.Multiplier != 0 && !(r.Multiplier >= 1):
		e.fail(at, "%s with a retry multiplier of %v: waits can't get shorter, give 1 or more", what, r.Multiplier)
	case s.late != nil && s.Timeout == 0:
		e.fail(at, "%s with OnTimeout but without a Timeout", what)
	case s.again != nil && r.Attempts <= 1:
		e.fail(at, "%s with RetryResult but without attempts to retry: set Retry.Attempts", what)
	}
	if s.Capacity == 0 {
		s.Capacity = DefaultAsyncCapacity
	}
	r.Attempts, r.Multiplier = max(1, r.Attempts), max(1, r.Multiplier)
}
