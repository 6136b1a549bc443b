package jobmaster

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/runtime/rpc/rpcpb"
)

// host is the job's task host on a TaskManager, as far as the JobMaster knows it.
type host struct {
	loc Location
	// index is the order of first appearance.
	index int
	// gone: the host has exited or its TaskManager is lost.
	gone bool
}

func (h *host) String() string {
	if h.loc.Host == "" {
		return h.loc.ResourceID
	}
	return h.loc.ResourceID + " (" + h.loc.Host + ")"
}

// slot is one that a TaskManager has offered.
type slot struct {
	host       *host
	number     int32
	allocation string
	// position is its place in the pool, from 1, once subtasks were deployed to it; 0 before, and while there is none for it.
	position int
}

// maxRefusals is how many refused slots a job takes before it fails: a cause that lasts would only be met again.
const maxRefusals = 10

// slotsAgain is the time in milliseconds after which a job that is out of time for its slots, but still cancels tasks, is looked
// at again.
const slotsAgain = 1000

// slotPool is the part of the core that holds slots.
type slotPool struct {
	hosts  []*host
	byHost map[string]*host
	// need is the number of slots declared; pool what was offered. A job that runs with less may have more of them than its
	// subtasks take.
	need     int
	pool     []slot
	homes    []string // by position: the TaskManager of the slot that is there, or was there last
	deployed bool
	refusals int
	// shortage is what the ResourceManager says about missing slots.
	shortage string
}

// waitsForSlots says that offers are taken.
func (c *core) waitsForSlots() bool {
	return (c.status == running || c.status == restarting) && !c.deployed && c.need > 0
}

// hostOf finds or makes the host on a TaskManager. One that is gone is replaced: its TaskManager has started another.
func (c *core) hostOf(loc Location) *host {
	h := c.byHost[loc.ResourceID]
	if h == nil || h.gone {
		h = &host{loc: loc, index: len(c.hosts)}
		c.hosts = append(c.hosts, h)
		c.byHost[loc.ResourceID] = h
	}
	return h
}

// offered is a slot from a TaskManager.
func (c *core) offered(now int64, loc Location, o *rpcpb.SlotOffer) {
	if c.done {
		return
	}
	if slices.ContainsFunc(c.pool, func(s slot) bool { return s.allocation == string(o.GetAllocation()) }) {
		return
	}
	if !c.waitsForSlots() && (c.status != running || c.committing()) || len(c.pool) >= c.need {
		c.emit(returnAction{resourceID: loc.ResourceID, allocation: o.GetAllocation()})
		return
	}
	h := c.hostOf(loc)
	c.pool = append(c.pool, slot{host: h, number: o.GetSlot(), allocation: string(o.GetAllocation())})
	c.modified, c.changed = now, now
	if !c.committing() && (c.deployed || c.shape.least < c.need) {
		c.keep(h)
	}
	c.proceed(now)
	c.consider(now)
}

// keep has a TaskManager keep the slots that the job has for a while before it deploys anything to them: a deployment of
// nothing says that they are used.
func (c *core) keep(h *host) {
	c.command(h, &linkpb.ToHost{Message: &linkpb.ToHost_Deploy{Deploy: &linkpb.Deploy{}}})
}

// allSlots puts the slots in order and deploys.
func (c *core) allSlots(now int64) {
	c.slotsBy, c.stableAt, c.stable, c.planned = 0, 0, false, 0
	if c.committing() {
		c.arrange()
		c.deployed = true
		c.deployCoordinators(now, c.pool[0].host)
		return
	}
	whole := c.wholeJob()
	if whole && c.affected == nil {
		if err := c.firstFit(now); err != nil {
			c.defect(now, err)
			return
		}
	}
	c.arrange()
	c.deployed = true
	if whole {
		c.scaled = now
	}
	c.deploy(now)
	if whole {
		c.recommit(now)
	}
}

// firstFit fits a job that hasn't run to the slots it has.
func (c *core) firstFit(now int64) error {
	changed, err := c.refit(now)
	if err != nil || !changed {
		return err
	}
	c.each(func(e *execution) { c.transition(now, e, execScheduled) })
	return c.spread()
}

// arrange puts the slots in order: by host, then number, so that neighbouring subtasks share a host. When the job, or a part
// of it, restarts, slots stay where they are and new ones take the places of those lost, on the same TaskManager if there are
// any: it may have copies of their subtasks' state. What is beyond the job's need is given back.
func (c *core) arrange() {
	slices.SortFunc(c.pool, func(a, b slot) int {
		return cmp.Or(cmp.Compare(a.host.index, b.host.index), cmp.Compare(a.number, b.number))
	})
	placed := make([]*slot, min(c.slots, len(c.pool)))
	var fresh []*slot
	for i := range c.pool {
		if s := &c.pool[i]; s.position > 0 && s.position <= len(placed) {
			placed[s.position-1] = s
		} else {
			fresh = append(fresh, s)
		}
	}
	take := func(i int, which func(*slot) bool) {
		if at := slices.IndexFunc(fresh, which); placed[i] == nil && at >= 0 {
			placed[i] = fresh[at]
			fresh = slices.Delete(fresh, at, at+1)
		}
	}
	for i := range min(len(placed), len(c.homes)) {
		take(i, func(s *slot) bool { return s.host.loc.ResourceID == c.homes[i] })
	}
	pool, homes := make([]slot, 0, len(c.pool)), make([]string, len(placed))
	for i := range placed {
		take(i, func(*slot) bool { return true })
		pool = append(pool, *placed[i])
		pool[i].position, homes[i] = i+1, pool[i].host.loc.ResourceID
	}
	for _, s := range fresh {
		pool = append(pool, *s)
		pool[len(pool)-1].position = 0
	}
	c.pool, c.homes = pool, homes
	c.returnSpares()
}

// returnSpares gives slots back that the job neither uses nor wants, the last ones first.
func (c *core) returnSpares() {
	for i := len(c.pool) - 1; i >= 0 && len(c.pool) > c.need; i-- {
		if s := c.pool[i]; s.position == 0 {
			c.emit(returnAction{resourceID: s.host.loc.ResourceID, allocation: []byte(s.allocation)})
			c.pool = slices.Delete(c.pool, i, i+1)
		}
	}
}

// refused is a slot that a TaskManager can't give, or takes back before it is used.
func (c *core) refused(now int64, resourceID string, r *rpcpb.SlotRefused) {
	if c.done || !c.active() {
		return
	}
	i := slices.IndexFunc(c.pool, func(s slot) bool { return s.allocation == string(r.GetAllocation()) })
	if i >= 0 && c.deployed && c.pool[i].position == 0 {
		c.pool = slices.Delete(c.pool, i, i+1)
		c.spareLost(now)
		return
	}
	if c.deployed {
		if i >= 0 {
			f := c.hostFailure(now, c.pool[i].host, fmt.Sprintf("TaskManager %s took a slot back: %s", c.pool[i].host, r.GetReason()))
			c.failIn(now, f, c.regionsOn(c.pool[i].host))
		}
		return
	}
	if i >= 0 {
		c.pool = slices.Delete(c.pool, i, i+1)
		c.modified = now
		return
	}
	c.refusals++
	if c.refusals >= maxRefusals {
		c.failIn(now, c.jobFailure(now, fmt.Sprintf("%d slots were refused, the last one by TaskManager %s: %s", c.refusals, resourceID, r.GetReason())), c.waiting())
	}
}

// spareLost counts slots that were lost before the job could use them while it runs. When there are too many, no more are
// asked for until it restarts or its bounds are changed.
func (c *core) spareLost(now int64) {
	c.modified = now
	c.consider(now)
	if c.refusals++; c.refusals == maxRefusals {
		c.note("%d slots were lost before they could be used: no more are asked for until the job restarts", c.refusals)
		c.need = max(c.slots, len(c.pool))
		c.declare()
	}
}

// uses says that something of the job was deployed to a host.
func (c *core) uses(h *host) bool {
	found := h == c.coordinator
	c.each(func(e *execution) { found = found || e.host == h })
	return found
}

// idleHostGone is the end of a host that nothing of the job needs: slots on it that wait for their use are given back.
func (c *core) idleHostGone(now int64, h *host, f FailureDetails) {
	n := len(c.pool)
	c.pool = slices.DeleteFunc(c.pool, func(s slot) bool {
		spare := s.host == h && s.position == 0
		if spare {
			c.emit(returnAction{resourceID: h.loc.ResourceID, allocation: []byte(s.allocation)})
		}
		return spare
	})
	switch {
	case len(c.pool) < n:
		c.note("%s, before the job could use it", f.Message)
		c.spareLost(now)
	case c.uses(h):
		c.note("%s; all that ran on it has finished", f.Message)
	}
}

// dropSlots forgets the slots on a host that is gone and says whether there were any.
func (c *core) dropSlots(h *host) bool {
	n := len(c.pool)
	c.pool = slices.DeleteFunc(c.pool, func(s slot) bool { return s.host == h })
	return len(c.pool) < n
}

// slotShortage is the ResourceManager's explanation for missing slots; fatal: they will never come.
func (c *core) slotShortage(now int64, reason string, fatal bool) {
	c.shortage = reason
	switch {
	case fatal && c.waitsForSlots():
		c.failIn(now, c.jobFailure(now, reason), c.waiting())
	case fatal && c.deployed:
		c.note("the job goes on as it is: %s", reason)
	}
}

// slotsTimedOut fails a job that hasn't got its slots in time. With the adaptive scheduler it isn't restarted for that, as with
// Flink: it would only wait again.
func (c *core) slotsTimedOut(now int64) {
	if !c.waitsForSlots() {
		return
	}
	if c.status == restarting && c.unfinishedIn(c.affected) > 0 { // it waits for more than slots
		c.slotsBy = now + slotsAgain
		return
	}
	if !c.committing() && len(c.pool) >= c.shape.least {
		c.stabilized(now)
		return
	}
	timeout, key := c.slotWait()
	least := c.need
	if !c.committing() {
		least = c.shape.least
	}
	text := fmt.Sprintf("the job needs %d slots, has %d and misses %d after %s (%s)", least, len(c.pool),
		least-len(c.pool), time.Duration(timeout)*time.Millisecond, key)
	if c.shortage != "" {
		text += ": " + c.shortage
	}
	if c.committing() {
		text += incomplete
	}
	f := c.jobFailure(now, text)
	if c.adaptive && !c.committing() {
		f.Message += c.slotsAdvice()
		f.Permanent = true
	}
	c.failIn(now, f, c.waiting())
}

// slotsAdvice says what can be done for a job whose lower bounds take more slots than there are.
func (c *core) slotsAdvice() string {
	for _, v := range c.vertices {
		if b := c.required[v.id]; b.Lower > 1 {
			return fmt.Sprintf("; give the cluster more slots or the job lower bounds: %s has %d to %d subtasks", v.name(), b.Lower, b.Upper)
		}
	}
	if n := len(c.shape.groups); n > 1 {
		return fmt.Sprintf("; give the cluster more slots or the job fewer than its %d slot sharing groups", n)
	}
	return "; give the cluster more slots"
}
