package task

import (
	"math"
	"sync/atomic"
	"time"
)

// never is the processing time of a timer that isn't set.
const never = math.MaxInt64

// clock is the subtask's one timer, set to the earliest of its deadlines. When it fires it raises due, which the subtask
// looks at once a batch, and wakes the subtask.
type clock struct {
	due   atomic.Bool
	timer *time.Timer
	at    time.Time // what the timer is set to; zero when it isn't set
	wake  func()
}

// set makes due rise at or before at.
func (c *clock) set(at time.Time) {
	if !c.at.IsZero() && !at.Before(c.at) {
		return
	}
	c.at = at
	wait := max(0, time.Until(at))
	if c.timer == nil {
		c.timer = time.AfterFunc(wait, func() {
			c.due.Store(true)
			c.wake()
		})
		return
	}
	c.timer.Reset(wait)
}

// reset takes the risen due back.
func (c *clock) reset() {
	c.due.Store(false)
	c.at = time.Time{}
}

func (c *clock) stop() {
	if c.timer != nil {
		c.timer.Stop()
	}
}
