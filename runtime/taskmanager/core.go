package taskmanager

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"github.com/weftstream/weft/graph"
)

// phase is what a job's task host is doing, as far as the slot table knows.
//
//	(no job) --allocate--> phaseUp --release, last slot freed, disconnected--> phaseStopping --host ended--> (no job)
//	                       phaseUp --host ended--> phaseEnded --release, last slot freed--> (no job)
type phase int

const (
	phaseUp       phase = iota // the host is being started, or runs
	phaseStopping              // it was told to end
	phaseEnded                 // it has ended by itself; the job's slots stay the job's until the JobManager frees them
)

// slot is a task slot; it is free without an allocation.
type slot struct {
	allocation []byte
	job        graph.JobID
	used       bool // the job was given something to run since the allocation
}

// job is a job that has slots here, or a host that still has to end.
type job struct {
	phase   phase
	release bool // JobReleased is due when the host has ended
}

// actionKind is an effect that the core asks for.
type actionKind string

const (
	actStartHost actionKind = "start-host" // of job
	actStopHost  actionKind = "stop-host"  // in good order, then by force
	actKillHost  actionKind = "kill-host"
	actOffer     actionKind = "offer"    // slot to job
	actRefuse    actionKind = "refuse"   // slot to job
	actArm       actionKind = "arm"      // the slot's timeout
	actLimits    actionKind = "limits"   // the number of job's slots has changed
	actReleased  actionKind = "released" // tell the JobManager that nothing of job is left
)

// action is one effect; fields that don't apply are zero.
type action struct {
	kind       actionKind
	job        graph.JobID
	slot       int
	allocation []byte
	reason     string
	slots      int // of actLimits and actStartHost
}

// core is the slot table: what is allocated, and which jobs have a task host. It is deterministic: each method takes one
// event and returns the effects that follow, in order.
type core struct {
	slots []slot
	jobs  map[graph.JobID]*job
}

func newCore(slots int) *core {
	return &core{slots: make([]slot, slots), jobs: map[graph.JobID]*job{}}
}

// allocate gives slot i to a job.
func (c *core) allocate(i int, allocation []byte, id graph.JobID) []action {
	refuse := func(format string, args ...any) []action {
		return []action{{kind: actRefuse, job: id, slot: i, allocation: allocation, reason: fmt.Sprintf(format, args...)}}
	}
	if i < 0 || i >= len(c.slots) {
		return refuse("there is no slot %d among %d", i, len(c.slots))
	}
	if len(allocation) == 0 {
		return refuse("slot %d without an allocation id", i)
	}
	s, j := &c.slots[i], c.jobs[id]
	if j != nil && j.phase == phaseStopping {
		return refuse("the job's task host is being stopped")
	}
	if j != nil && j.phase == phaseEnded {
		return refuse("the job's task host has ended: release the job first")
	}
	again := bytes.Equal(s.allocation, allocation) && s.job == id
	if s.allocation != nil && !again {
		return refuse("slot %d is allocated to job %s", i, s.job)
	}
	if !again {
		*s = slot{allocation: allocation, job: id}
	}
	// The offer goes first: whatever becomes of the host must not be heard of before it.
	out := []action{{kind: actOffer, job: id, slot: i, allocation: allocation}}
	switch {
	case j == nil:
		c.jobs[id] = &job{}
		out = append(out, action{kind: actStartHost, job: id, slots: 1})
	case !again:
		out = append(out, action{kind: actLimits, job: id, slots: c.count(id)})
	}
	if !s.used {
		out = append(out, action{kind: actArm, job: id, slot: i, allocation: allocation})
	}
	return out
}

// deployed says that the job was given something to run: its slots are in use.
func (c *core) deployed(id graph.JobID) {
	for i := range c.slots {
		if c.slots[i].allocation != nil && c.slots[i].job == id {
			c.slots[i].used = true
		}
	}
}

// slotTimeout frees a slot that is still unused.
func (c *core) slotTimeout(i int, allocation []byte, reason string) []action {
	s := &c.slots[i]
	if s.used || !bytes.Equal(s.allocation, allocation) {
		return nil
	}
	id := s.job
	out := []action{{kind: actRefuse, job: id, slot: i, allocation: allocation, reason: reason}}
	*s = slot{}
	return append(out, c.slotFreed(id, reason)...)
}

// free frees one slot of a job; an unknown one is free already.
func (c *core) free(allocation []byte, id graph.JobID, reason string) []action {
	for i := range c.slots {
		s := &c.slots[i]
		if s.allocation != nil && s.job == id && bytes.Equal(s.allocation, allocation) {
			*s = slot{}
			return c.slotFreed(id, reason)
		}
	}
	return nil
}

// slotFreed ends the job's host with its last slot. Limits don't shrink: memory that a host has can't be taken back.
func (c *core) slotFreed(id graph.JobID, reason string) []action {
	j := c.jobs[id]
	if j == nil || c.count(id) > 0 {
		return nil
	}
	switch j.phase {
	case phaseUp:
		j.phase = phaseStopping
		return []action{{kind: actStopHost, job: id, reason: reason}}
	case phaseEnded:
		delete(c.jobs, id)
	}
	return nil
}

// release ends the job's host and frees all its slots.
func (c *core) release(id graph.JobID, reason string) []action {
	j := c.jobs[id]
	if j == nil {
		return []action{{kind: actReleased, job: id}}
	}
	switch j.phase {
	case phaseUp:
		j.phase, j.release = phaseStopping, true
		return []action{{kind: actStopHost, job: id, reason: reason}}
	case phaseStopping:
		j.release = true
		return nil
	}
	c.forget(id)
	return []action{{kind: actReleased, job: id}}
}

// hostEnded says that the job's host is no more, by itself or because it was told to.
func (c *core) hostEnded(id graph.JobID) []action {
	j := c.jobs[id]
	if j == nil {
		return nil
	}
	if j.phase == phaseUp {
		j.phase = phaseEnded
		return nil
	}
	release := j.release
	c.forget(id)
	if release {
		return []action{{kind: actReleased, job: id}}
	}
	return nil
}

// shutdown ends all hosts in good order.
func (c *core) shutdown(reason string) []action { return c.endAll(actStopHost, phaseUp, reason) }

// disconnected kills all hosts: there is no JobManager any more.
func (c *core) disconnected(reason string) []action {
	return c.endAll(actKillHost, phaseStopping, reason)
}

// endAll ends the hosts of the jobs whose phase is at most last, and forgets the jobs whose host has ended.
func (c *core) endAll(kind actionKind, last phase, reason string) []action {
	var out []action
	for _, id := range c.sorted() {
		j := c.jobs[id]
		if j.phase == phaseEnded {
			c.forget(id)
			continue
		}
		if j.phase <= last {
			j.phase = phaseStopping
			out = append(out, action{kind: kind, job: id, reason: reason})
		}
	}
	return out
}

// forget frees all slots of a job and the job itself.
func (c *core) forget(id graph.JobID) {
	for i := range c.slots {
		if c.slots[i].job == id {
			c.slots[i] = slot{}
		}
	}
	delete(c.jobs, id)
}

// count is the number of slots that a job has.
func (c *core) count(id graph.JobID) int {
	n := 0
	for i := range c.slots {
		if c.slots[i].allocation != nil && c.slots[i].job == id {
			n++
		}
	}
	return n
}

// sorted is the jobs in a fixed order.
func (c *core) sorted() []graph.JobID {
	ids := make([]graph.JobID, 0, len(c.jobs))
	for id := range c.jobs {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b graph.JobID) int { return cmp.Compare(string(a[:]), string(b[:])) })
	return ids
}
