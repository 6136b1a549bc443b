package stream

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"
)

// errAsyncGoexit is the failure of a call that ended its goroutine.
var errAsyncGoexit = errors.New("asynchronous call: the function called runtime.Goexit; return an error instead")

// run calls the function for c, in a goroutine of c's own.
func (o *async[T, R, U]) run(c *asyncCall[T, R]) {
	ctx, cancel := o.ctx, context.CancelFunc(func() {})
	intime := func() bool { return true }
	if o.spec.Timeout > 0 {
		ctx, cancel = context.WithTimeout(o.ctx, o.spec.Timeout)
		intime = o.watch(ctx, c)
	}
	var res R
	err := errAsyncGoexit
	defer func() { // also behind runtime.Goexit
		settles := intime()
		cancel()
		o.running.Add(-1)
		if settles {
			o.settle(c, res, err)
		} else {
			o.notify() // there is room for another call
		}
	}()
	err = o.env.Runtime.Protect(func() (err error) {
		res, err = o.spec.attempts(ctx, c.rec.V)
		return err
	})
}

// watch settles c when ctx ends. intime ends the watch; false says that c is settled by it.
func (o *async[T, R, U]) watch(ctx context.Context, c *asyncCall[T, R]) (intime func() bool) {
	o.calls.Add(1)
	stop := context.AfterFunc(ctx, func() {
		defer o.calls.Done()
		var res R
		err := errAsyncGoexit
		defer func() { o.settle(c, res, err) }()
		err = o.env.Runtime.Protect(func() (err error) {
			if o.spec.late == nil || o.ctx.Err() != nil {
				return fmt.Errorf("asynchronous call: no result within %v; raise AsyncOptions.Timeout, or give such records a result with OnTimeout", o.spec.Timeout)
			}
			res, err = o.spec.late(c.rec.V)
			return err
		})
	})
	return func() bool {
		if ctx.Err() != nil { // a function that heeds its context may be back before the watch has begun
			return false
		}
		stopped := stop()
		if stopped {
			o.calls.Done()
		}
		return stopped
	}
}

// settle hands the result of c to the subtask's goroutine.
func (o *async[T, R, U]) settle(c *asyncCall[T, R], res R, err error) {
	c.res, c.err = res, err
	o.mu.Lock()
	o.settled = append(o.settled, c)
	o.mu.Unlock()
	o.notify()
}

// notify has the subtask's goroutine look at what has changed.
func (o *async[T, R, U]) notify() {
	select {
	case o.news <- struct{}{}:
	default:
	}
	o.post()
}

// attempts calls the function until it gives a result, or an error that isn't retried.
func (s *asyncSpec[T, R]) attempts(ctx context.Context, v T) (R, error) {
	delay := s.Retry.Delay
	for n := 1; ; n++ {
		res, err := s.f(ctx, v)
		if n >= s.Retry.Attempts || ctx.Err() != nil || !s.retriable(res, err) {
			return res, err
		}
		if s.Retry.MaxDelay > 0 {
			delay = min(delay, s.Retry.MaxDelay)
		}
		wait := time.NewTimer(delay)
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return res, context.Cause(ctx)
		}
		// The product of a long row of waits can exceed what a Duration holds.
		delay = time.Duration(min(float64(delay)*s.Retry.Multiplier, math.MaxInt64/2))
	}
}

func (s *asyncSpec[T, R]) retriable(res R, err error) bool {
	if err != nil {
		return s.Retry.If == nil || s.Retry.If(err)
	}
	return s.again != nil && s.again(res)
}
