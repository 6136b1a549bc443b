package jobmaster

import (
	"maps"
	"slices"
)

// maxEarlier bounds the earlier attempts that are remembered of a subtask.
const maxEarlier = 16

// restartPlan is the part of the core that runs regions of a job again after a failure: all their tasks and coordinators, from
// the latest checkpoint, on the slots the job still has and new ones for those it lost. Other regions go on meanwhile, but for
// checkpoints, which need all tasks.
type restartPlan struct {
	// affected are the regions that restart; nil at any other time.
	affected regionSet
	// notBefore is when the restart strategy lets the tasks be deployed again.
	notBefore int64
}

// mayRestart asks the restart strategy. A job whose output is being committed is past that.
func (c *core) mayRestart(now int64) bool {
	if c.status != running && c.status != restarting || c.committing() {
		return false
	}
	delay, again, why := c.restart.Failed(now)
	if !again {
		if why != "" {
			c.note("no restart: %s", why)
		}
		return false
	}
	c.notBefore = now + delay
	return true
}

// beginRestart cancels what runs in the regions and asks for the slots that are missing. While the job restarts already the
// regions are added to the others.
func (c *core) beginRestart(now int64, why string, where regionSet) {
	if c.affected == nil {
		c.affected = regionSet{}
	}
	maps.Copy(c.affected, where)
	if c.wholeJob() {
		c.note("job restarts: %s", why)
	} else {
		c.note("%d of the job's %d regions restart: %s", len(c.affected), c.regions, why)
	}
	if c.status != restarting {
		c.setStatus(now, restarting)
	}
	c.cp.Stopped(now, "the job is restarted")
	c.checkpointActions(now)
	c.tellStopped("it is restarted: " + why)
	if c.deployed {
		c.planned = max(c.planned, c.slots)
	}
	c.deployed, c.refusals, c.stopAt, c.rescaleAt, c.rescaleAfter, c.rescaleBy = false, 0, 0, 0, 0, 0
	c.closeCoordinators()
	if c.wholeJob() {
		c.coordinator, c.checkpointCommits, c.commitAt = nil, nil, 0
	}
	c.cancelTasks(now, c.affected)
	for _, h := range c.hosts {
		if h.gone {
			c.giveBack(h)
		}
	}
	c.require(now)
	c.redeploy(now)
}

// giveBack returns the slots on a host that has ended, also while the job waits for its first ones: its TaskManager, if it
// lives, can start another for them.
func (c *core) giveBack(h *host) {
	for _, s := range c.pool {
		if s.host == h && c.active() { // a job that ends releases all of them
			c.emit(returnAction{resourceID: h.loc.ResourceID, allocation: []byte(s.allocation)})
		}
	}
	c.dropSlots(h)
}

// redeploy deploys the next attempts once the old ones have ended, the delay is over and all slots are there.
func (c *core) redeploy(now int64) {
	if c.status != restarting || c.unfinishedIn(c.affected) > 0 || c.cp.Storing() {
		return
	}
	if now < c.notBefore {
		c.restartAt = c.notBefore
		return
	}
	if !c.enough(now) {
		return
	}
	c.slotsBy, c.restartAt, c.cancelBy = 0, 0, 0
	reshaped := false
	if c.wholeJob() {
		var err error
		if reshaped, err = c.refit(now); err != nil {
			c.defect(now, err)
			return
		}
	}
	if err := c.assign(now); err != nil {
		c.refuse(now, err)
		return
	}
	c.each(func(e *execution) {
		switch {
		case reshaped:
			c.transition(now, e, execScheduled)
		case c.restarts(e.v):
			c.again(now, e)
		}
	})
	c.setStatus(now, running)
	c.allSlots(now)
	if !c.wholeJob() {
		c.sendCheckpointCommitsOf(func(op *coordinated) bool { return c.restarts(op.v) })
	}
	c.affected = nil
}

// recommit has sinks commit what the checkpoint holds from which the tasks started: whether they had done so is unknown. That
// includes what a checkpoint holds that became complete while the job was restarting.
func (c *core) recommit(now int64) {
	c.checkpointCommits, c.commitAt = nil, 0
	if id, commits := c.cp.Recommit(); c.state() != nil {
		c.commitCheckpoint(now, id, commits)
	}
}

// history are the execution's attempts, newest first.
func (e *execution) history() []SubtaskDetails {
	all := slices.Insert(e.earlier, 0, e.details())
	all[0].Earlier = nil
	if len(all) > maxEarlier {
		all = all[:maxEarlier]
	}
	return all
}

// again makes an execution's next attempt.
func (c *core) again(now int64, e *execution) {
	e.earlier = e.history()
	e.v.counts[e.state]--
	e.v.counts[execCreated]++
	c.unfinished++
	*e = execution{v: e.v, subtask: e.subtask, attempt: e.attempt + 1, state: execCreated, io: noIO, earlier: e.earlier}
	e.entered[execCreated] = now
	c.transition(now, e, execScheduled)
}
