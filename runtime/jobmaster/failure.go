package jobmaster

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/runtime/rpc/rpcpb"
)

// maxConcurrent bounds the failures that are kept beside the one that a job fails for.
const maxConcurrent = 16

// failure is one that a host reports. A secondary one follows from something else, such as a peer's end: it waits a
// moment for the cause.
func (c *core) failure(now int64, f FailureDetails, where regionSet, secondary bool) {
	if !secondary || !c.active() || c.status == restarting {
		c.failIn(now, f, where)
		return
	}
	if c.suspect == nil {
		c.suspect, c.suspectIn = &f, regionSet{}
		c.causeBy = now + causeTime
	}
	maps.Copy(c.suspectIn, where)
}

// fail fails the whole job for f.
func (c *core) fail(now int64, f FailureDetails) { c.failIn(now, f, c.allRegions()) }

// failIn fails regions of the job for f: they restart, or if they may not the job fails. While they are failing already f is
// kept beside the cause; while the job is being cancelled, or has ended, f changes nothing.
func (c *core) failIn(now int64, f FailureDetails, where regionSet) {
	switch {
	case c.done || c.status == cancelling || c.stopped:
		return
	case c.status == failing || c.status == restarting && where.within(c.affected) && c.unfinishedIn(c.affected) > 0:
		if root := &c.failures[0]; len(root.Concurrent) < maxConcurrent && f.Message != root.Message {
			root.Concurrent = append(root.Concurrent, f)
		}
		return
	}
	if c.suspect != nil && c.suspect.Message != f.Message {
		f.Concurrent = append(f.Concurrent, *c.suspect)
	}
	if c.suspect != nil {
		where = maps.Clone(where)
		maps.Copy(where, c.suspectIn)
	}
	c.suspect, c.suspectIn, c.causeBy = nil, nil, 0
	c.failures = slices.Insert(c.failures, 0, f)
	if len(c.failures) > c.history {
		c.failures, c.truncated = c.failures[:c.history], true
	}
	if !f.Permanent && c.mayRestart(now) {
		c.beginRestart(now, f.Message, c.widened(where))
		return
	}
	c.note("job fails: %s", f.Message)
	c.setStatus(now, failing)
	c.stopTasks(now)
}

// cancel cancels the job and says whether it will: not if it has ended, or all its tasks have finished and its output is
// being committed.
func (c *core) cancel(now int64) bool {
	if c.done || c.committing() || c.appending != nil {
		return c.status == cancelling
	}
	if c.status == cancelling {
		return true
	}
	c.suspect, c.suspectIn, c.causeBy = nil, nil, 0
	c.cp.Stopped(now, "the job is being cancelled")
	c.checkpointActions(now)
	wasFailing := c.status == failing
	c.setStatus(now, cancelling)
	if !wasFailing {
		c.stopTasks(now)
	}
	c.settle(now)
	return true
}

// stopTasks asks for no more slots and cancels every execution that isn't in a final state.
func (c *core) stopTasks(now int64) {
	c.need, c.slotsBy, c.commitAt, c.restartAt = 0, 0, 0, 0
	c.emit(declareAction{slots: 0})
	c.cp.Stopped(now, "the job's tasks are being stopped")
	c.checkpointActions(now)
	c.cancelTasks(now, c.allRegions())
	c.settle(now)
}

// cancelTasks cancels every execution of regions that isn't in a final state.
func (c *core) cancelTasks(now int64, where regionSet) {
	ids := map[*host][]*linkpb.ExecutionID{}
	c.each(func(e *execution) {
		switch {
		case final(e.state) || e.state == execCanceling || !where[e.v.region]:
		case e.host == nil || e.host.gone:
			c.transition(now, e, execCanceled)
		default:
			c.transition(now, e, execCanceling)
			ids[e.host] = append(ids[e.host], e.id())
		}
	})
	for _, h := range c.hosts {
		if len(ids[h]) > 0 {
			c.command(h, &linkpb.ToHost{Message: &linkpb.ToHost_Cancel{Cancel: &linkpb.CancelTasks{Ids: ids[h]}}})
			if c.cancelTimeout > 0 {
				c.cancelBy = now + c.cancelTimeout
			}
		}
	}
}

// stuck says whether a host's report is of a subtask that ignores its cancellation: that isn't a failure of its own, but stands
// beside the one that the subtask is cancelled for.
func (c *core) stuck(now int64, h *host, f *linkpb.Failure) bool {
	if f.GetVertex() == "" {
		return false
	}
	c.each(func(e *execution) {
		if e.host != h || e.v.name() != f.GetVertex() || e.subtask != int(f.GetSubtask()) || e.state != execCanceling {
			return
		}
		d := c.failureOf(now, h, f)
		d.Task = e.name()
		e.stuck = d.Message
		c.note("%s\n%s", d.Message, d.Stack)
		if len(c.failures) > 0 && c.status != cancelling && len(c.failures[0].Concurrent) < maxConcurrent {
			c.failures[0].Concurrent = append(c.failures[0].Concurrent, d)
		}
	})
	return true
}

// cancellationTimedOut has the hosts killed whose tasks ignore their cancellation.
func (c *core) cancellationTimedOut(now int64) {
	stuck, where := map[*host][]string{}, map[*host]string{}
	c.each(func(e *execution) {
		if e.state == execCanceling {
			stuck[e.host] = append(stuck[e.host], e.name())
			if where[e.host] == "" {
				where[e.host] = e.stuck
			}
		}
	})
	for _, h := range c.hosts {
		if len(stuck[h]) == 0 {
			continue
		}
		reason := fmt.Sprintf("task %s did not react to its cancellation within %s (task.cancellation.timeout)", stuck[h][0],
			time.Duration(c.cancelTimeout)*time.Millisecond)
		if n := len(stuck[h]) - 1; n > 0 {
			reason += fmt.Sprintf(", nor did %d others", n)
		}
		if where[h] != "" {
			reason += ": " + where[h]
		}
		c.emit(sendAction{to: h.loc.ResourceID, m: &rpcpb.ToTaskManager{Message: &rpcpb.ToTaskManager_Release{
			Release: &rpcpb.ReleaseJob{JobId: c.id[:], Reason: reason}}}})
	}
}

// failureOf is a failure that a host reports.
func (c *core) failureOf(now int64, h *host, f *linkpb.Failure) FailureDetails {
	d := c.hostFailure(now, h, f.GetMessage())
	d.Stack, d.Operator, d.Vertex = cut(f.GetStack(), maxStack), f.GetOperator(), f.GetVertex()
	d.Permanent = f.GetPermanent()
	if d.Message == "" {
		d.Message = "the task failed without saying why"
	}
	if f.GetTimeMs() > 0 {
		d.Time = f.GetTimeMs()
	}
	if d.Vertex != "" {
		d.Subtask = int(f.GetSubtask())
	}
	return d
}

// jobFailure is a failure of no task, hostFailure one on a host, taskFailure one of a task.
func (c *core) jobFailure(now int64, message string) FailureDetails {
	return FailureDetails{Message: cut(message, maxText), Subtask: -1, Time: now}
}

func (c *core) hostFailure(now int64, h *host, message string) FailureDetails {
	f := c.jobFailure(now, message)
	f.ResourceID, f.Host, f.Endpoint = h.loc.ResourceID, h.loc.Host, h.loc.DataAddress
	return f
}

func (c *core) taskFailure(now int64, e *execution, message string) FailureDetails {
	f := c.hostFailure(now, e.host, message)
	f.Vertex, f.Subtask, f.Task = e.v.name(), e.subtask, e.name()
	return f
}

// proto is the failure as results carry it.
func (f *FailureDetails) proto() *linkpb.Failure {
	return &linkpb.Failure{Message: f.Message, Stack: f.Stack, Operator: f.Operator, Vertex: f.Vertex, Subtask: int32(f.Subtask),
		Host: f.ResourceID, TimeMs: f.Time}
}

// cut bounds a text, keeping its beginning.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
