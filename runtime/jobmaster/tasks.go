package jobmaster

import (
	"fmt"

	"github.com/weftstream/weft/link/linkpb"
)

// hostEvent is what a task host reports.
func (c *core) hostEvent(now int64, loc Location, ev *linkpb.FromHost) {
	if c.done {
		return
	}
	h := c.byHost[loc.ResourceID]
	if h == nil || h.gone {
		if !c.active() || c.deployed {
			return // of a host that was given up
		}
		h = c.hostOf(loc)
	}
	switch m := ev.GetMessage().(type) {
	case *linkpb.FromHost_Task:
		c.taskUpdate(now, h, m.Task)
	case *linkpb.FromHost_CoordinatorRequest:
		c.coordinatorRequest(h, m.CoordinatorRequest)
	case *linkpb.FromHost_CoordinatorResponse:
		c.coordinatorResponse(h, m.CoordinatorResponse)
	case *linkpb.FromHost_CheckpointAck:
		c.cp.Acknowledged(now, m.CheckpointAck)
		c.checkpointActions(now)
	case *linkpb.FromHost_CheckpointDecline:
		c.cp.Declined(now, m.CheckpointDecline)
		c.checkpointActions(now)
	case *linkpb.FromHost_CoordinatorSnapshots:
		if h == c.coordinator {
			c.cp.CoordinatorsSnapshot(now, m.CoordinatorSnapshots)
			c.checkpointActions(now)
		}
	case *linkpb.FromHost_CommitDone:
		c.commitDone(now, h, m.CommitDone)
	case *linkpb.FromHost_Failed:
		if c.stuck(now, h, m.Failed) {
			return
		}
		if c.deployed && !c.uses(h) {
			c.note("task host on %s, which runs nothing yet: %s", h, m.Failed.GetMessage())
			return // its end follows
		}
		c.failure(now, c.failureOf(now, h, m.Failed), c.regionsOf(m.Failed), m.Failed.GetSecondary())
	case *linkpb.FromHost_Metrics:
		c.metrics(h, m.Metrics)
	case *linkpb.FromHost_Exit:
		c.hostExit(now, h, m.Exit)
	}
}

// executionOf finds the present execution that id names, if it runs on h.
func (c *core) executionOf(h *host, id *linkpb.ExecutionID) *execution {
	v := c.byID[idOf(id.GetVertex())]
	i := int(id.GetSubtask())
	if v == nil || i < 0 || i >= len(v.subtasks) {
		return nil
	}
	e := v.subtasks[i]
	if e.attempt != int(id.GetAttempt()) || e.host != h {
		return nil
	}
	return e
}

// taskUpdate is a task's new state.
func (c *core) taskUpdate(now int64, h *host, u *linkpb.TaskUpdate) {
	e := c.executionOf(h, u.GetId())
	if e == nil || final(e.state) {
		return // of an earlier attempt, or after its host was given up
	}
	state := u.GetState()
	if final(state) {
		e.measure(u.GetIo(), u.GetCounters(), true)
	}
	if e.state == execCanceling && (state == execInitializing || state == execRunning) {
		return // on its way when the task was told to cancel
	}
	was, where := e.state, regionSet{e.v.region: true}
	if !c.transition(now, e, state) {
		c.failIn(now, c.taskFailure(now, e, fmt.Sprintf("task %s reported %s while it was %s", e.name(), stateName(state), stateName(was))), where)
		return
	}
	switch state {
	case execRunning:
		c.allRunning(now)
	case execFinished:
		e.last = u.GetFinalState()
		for _, o := range u.GetCommits() {
			if k := c.byOperator[idOf(o.GetOperator())]; k != nil && k.commits {
				e.commits = append(e.commits, o)
			} else if len(o.GetCommittables()) > 0 {
				c.failIn(now, c.taskFailure(now, e, fmt.Sprintf("task %s has output of %s to commit, which has nothing to commit it with",
					e.name(), c.operatorOf(idOf(o.GetOperator())))), where)
			}
		}
	case execFailed:
		f := c.failureOf(now, h, u.GetFailure())
		f.Vertex, f.Subtask, f.Task = e.v.name(), e.subtask, e.name()
		e.failure = &f
		c.failure(now, f, where, u.GetFailure().GetSecondary())
	case execCanceled:
		if c.active() && !(c.status == restarting && c.restarts(e.v)) && !c.stopped {
			c.failure(now, c.taskFailure(now, e, fmt.Sprintf("task %s was canceled by its task host", e.name())), where, true)
		}
	}
	if state == execFinished {
		c.taskFinished(now, e)
	}
	c.settle(now)
}

// settle goes on when no execution is left running, or none of the regions that restart.
func (c *core) settle(now int64) {
	if c.status == restarting && !c.done {
		c.redeploy(now) // while other regions go on
		return
	}
	if c.unfinished > 0 || c.done || c.appending != nil || c.cp.Storing() { // what is being stored may outlive the job
		return
	}
	switch c.status {
	case running:
		switch {
		case c.stopped:
			c.end(now, finished)
		case c.suspect == nil && !c.committing() && len(c.checkpointCommits) == 0:
			c.allFinished(now)
		}
	case failing:
		c.end(now, failed)
	case cancelling:
		c.end(now, canceled)
	}
}

// metrics are the running tasks' numbers.
func (c *core) metrics(h *host, m *linkpb.TaskMetrics) {
	for _, t := range m.GetTasks() {
		if e := c.executionOf(h, t.GetId()); e != nil && !final(e.state) {
			e.measure(t.GetIo(), t.GetCounters(), false)
		}
	}
}

// hostExit is the end of a task host.
func (c *core) hostExit(now int64, h *host, x *linkpb.HostExit) {
	reason := exitReason(x)
	c.note("task host on %s ended: %s", h, reason)
	if !c.deployed && x.GetExpected() && !c.runsOn(h) {
		return // its TaskManager took the slots back, and says so of each
	}
	h.gone = true
	if !c.deployed {
		c.giveBack(h)
	}
	f := c.hostFailure(now, h, fmt.Sprintf("the task host on TaskManager %s ended: %s", h, reason))
	f.Stack = cut(x.GetStderrTail(), maxStack)
	c.hostGone(now, h, f)
}

// jobReleased says that a TaskManager has nothing left of the job: the answer to a release, also where no task host was.
func (c *core) jobReleased(now int64, resourceID string) {
	h := c.byHost[resourceID]
	if c.done || h == nil || h.gone || !c.deployed && !c.runsOn(h) {
		return
	}
	h.gone = true
	c.hostGone(now, h, c.hostFailure(now, h, fmt.Sprintf("TaskManager %s has ended the job's task host", h)))
}

// exitReason says in one line how a task host ended.
func exitReason(x *linkpb.HostExit) string {
	switch {
	case x.GetReason() != "":
		return x.GetReason()
	case x.GetSignal() != "":
		return "killed by " + x.GetSignal()
	}
	return fmt.Sprintf("exit status %d", x.GetExitCode())
}

// taskManagerLost is the end of a TaskManager with all that ran on it.
func (c *core) taskManagerLost(now int64, resourceID, reason string) {
	h := c.byHost[resourceID]
	if c.done || h == nil || h.gone {
		return
	}
	h.gone = true
	c.dropSlots(h)
	if c.waitsForSlots() && c.status != restarting {
		return // the ResourceManager knows the need and finds others
	}
	c.hostGone(now, h, c.hostFailure(now, h, fmt.Sprintf("TaskManager %s was lost: %s", h, reason)))
}

// hostGone deals with what ran on a host that is gone: its executions have failed, or are canceled where they were to be.
func (c *core) hostGone(now int64, h *host, f FailureDetails) {
	where := c.regionsOn(h)
	c.forgetRequests(h)
	c.each(func(e *execution) {
		if e.host != h || final(e.state) {
			return
		}
		if e.state == execCanceling {
			c.transition(now, e, execCanceled)
			return
		}
		own := f
		own.Vertex, own.Subtask, own.Task = e.v.name(), e.subtask, e.name()
		e.failure = &own
		c.transition(now, e, execFailed)
	})
	switch {
	case c.committing() && c.status == running:
		c.committerGone(now, h, f)
	case c.status == restarting && where.within(c.affected): // what was to be cancelled has ended
	case c.active() && len(where) == 0:
		c.idleHostGone(now, h, f)
	case c.active():
		c.failIn(now, f, where)
	}
	c.settle(now)
}
