package jobmaster

import (
	"errors"
	"fmt"
	"time"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/operator"
	"github.com/weftstream/weft/runtime/checkpoint"
)

// ErrNotScalable is why a job's bounds can't be changed.
var ErrNotScalable = errors.New("the job can't be rescaled")

// rescaleRequest is the id of the request for the checkpoint that begins a rescale; those of users are positive.
const rescaleRequest = -1

// consider plans the rescale of a running job whose slots allow another parallelism. Slots that have come wait for others, and
// the job isn't rescaled too often for them; what was asked for over REST isn't kept waiting by that.
func (c *core) consider(now int64) {
	c.rescaleAt = 0
	if c.status != running || !c.deployed || c.committing() || c.stopped || c.preparing || c.rescaleAfter != 0 {
		return
	}
	p, ok := c.shape.fit(len(c.pool))
	if !ok || c.has(p) {
		return
	}
	at := now
	if len(c.pool) < c.need {
		at = c.changed + c.stabilization
	}
	if !c.asked {
		wait := c.cooldown
		if grows := c.grows(p); grows < c.minIncrease {
			if c.forced == 0 {
				return
			}
			wait = max(wait, c.forced)
		}
		at = max(at, c.scaled+wait)
	}
	c.rescaleAt = max(at, now+1)
}

// grows is by how much the parallelism of all vertices would grow.
func (c *core) grows(p map[operator.ID]int) (n int) {
	for _, v := range c.vertices {
		n += p[v.id] - len(v.subtasks)
	}
	return n
}

// prepareRescale takes a checkpoint, from which the job goes on with its new parallelism, so that little is done twice. Without
// all tasks running there is none: consider is called again when they do.
func (c *core) prepareRescale(now int64) {
	if !c.mayRescale() || !c.cp.Running() {
		return
	}
	if p, ok := c.shape.fit(len(c.pool)); !ok || c.has(p) {
		c.rescaleBy = 0
		return // slots were lost again
	}
	if c.maxDelay == 0 && c.cp.Latest() != nil {
		c.rescale(now)
		return
	}
	if c.rescaleBy == 0 && c.failed == 0 && c.maxDelay > 0 {
		c.rescaleBy = now + c.maxDelay
	}
	c.preparing = true
	c.cp.Trigger(now, checkpoint.Request{ID: rescaleRequest, Tolerated: true})
	c.checkpointActions(now)
}

// mayRescale says that nothing else is about to stop or restart the running job.
func (c *core) mayRescale() bool {
	return c.status == running && c.deployed && !c.committing() && c.stopAt == 0 && !c.cp.Stopping() && c.suspect == nil
}

// rescaleOverdue is the end of the time that a rescale waits for its checkpoint. Without any checkpoint it waits on: what the
// job has done so far would be lost.
func (c *core) rescaleOverdue(now int64) {
	if !c.mayRescale() {
		return
	}
	waited := fmt.Sprintf("%s (%s)", time.Duration(c.maxDelay)*time.Millisecond, conf.AdaptiveSchedulerMaxDelay.Key())
	switch {
	case c.rescaleAfter != 0:
		c.note("the rescale doesn't wait any longer than %s for the commits of checkpoint %d", waited, c.rescaleAfter)
	case c.cp.Latest() == nil:
		c.note("no checkpoint was complete after %s: the job is rescaled when one is", waited)
		return
	default:
		c.note("the checkpoint for a rescale wasn't complete after %s: the latest one has to do", waited)
	}
	c.preparing, c.failed, c.rescaleAt = false, 0, 0
	c.rescale(now)
}

// rescalePrepared is the outcome of that checkpoint. Sinks commit what it holds before the job is rescaled, so that the
// restart interrupts no commit.
func (c *core) rescalePrepared(now int64, a *checkpoint.Answer) {
	err := a.Err
	if !c.preparing {
		return // it wasn't waited for
	}
	c.preparing = false
	if c.status != running || !c.deployed || c.committing() || c.done || !c.cp.Running() {
		return // it restarts or ends anyway
	}
	if err == nil {
		c.failed = 0
		if c.rescaleAfter = a.ID; !c.commits(a.ID) {
			c.rescale(now)
		}
		return
	}
	c.failed++
	c.note("the checkpoint for a rescale failed, attempt %d: %s", c.failed, err)
	switch {
	case c.failed <= c.tolerated && !errors.Is(err, checkpoint.ErrNotRunning):
		c.rescaleAt = now + pause(c.failed)
	case c.cp.Latest() != nil:
		c.failed = 0
		c.rescale(now)
	default:
		c.failed, c.rescaleBy = 0, 0
		c.note("the job isn't rescaled: there is no checkpoint that it could go on from")
	}
}

// rescale restarts the job with the parallelism that its slots allow now, from the latest checkpoint.
func (c *core) rescale(now int64) {
	c.rescaleAfter, c.rescaleBy = 0, 0
	p, ok := c.shape.fit(len(c.pool))
	if !ok || c.has(p) {
		return
	}
	c.asked, c.notBefore = false, 0
	c.planned = c.slotsOf(p)
	c.beginRestart(now, fmt.Sprintf("it is rescaled: %s", c.changes(p)), c.allRegions())
}
