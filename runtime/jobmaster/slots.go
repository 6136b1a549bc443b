package jobmaster

import (
	"cmp"
	"fmt"
	"slices"
	"time"

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
	// position is its place in the pool, from 1, once subtasks were deployed to it; 0 before.
	position int
}

// maxRefusals is how many refused slots a job takes before it fails: a cause that lasts would only be met again.
const maxRefusals = 10

// slotPool is the part of the core that holds slots.
type slotPool struct {
	hosts  []*host
	byHost map[string]*host
	// need is the number of slots declared; pool what was offered.
	need     int
	pool     []slot
	homes    []string // by position: the TaskManager of the slot that is there, or was there last
	deployed bool
	refusals int
	// shortage is what the ResourceManager says about missing slots.
	shortage string
}

// require declares the job's need and gives it slot.request.timeout.
func (c *core) require(now int64, slots int) {
	c.need = slots
	c.slotsBy = now + max(1, c.slotTimeout)
	c.emit(declareAction{slots: slots})
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
	if !c.waitsForSlots() || len(c.pool) >= c.need {
		c.emit(returnAction{resourceID: loc.ResourceID, allocation: o.GetAllocation()})
		return
	}
	h := c.hostOf(loc)
	c.pool = append(c.pool, slot{host: h, number: o.GetSlot(), allocation: string(o.GetAllocation())})
	c.modified = now
	if len(c.pool) == c.need {
		c.slotsBy = 0
		c.allSlots(now)
	}
}

// allSlots puts the slots in order and deploys.
func (c *core) allSlots(now int64) {
	c.arrange()
	if c.status == restarting {
		c.redeploy(now)
		return
	}
	c.deployed = true
	if c.committing() {
		c.deployCoordinators(now, c.pool[0].host)
		return
	}
	whole := c.wholeJob()
	c.deploy(now)
	if whole {
		c.recommit(now)
	}
}

// arrange puts the slots in order: by host, then number, so that neighbouring subtasks share a host. When the job, or a part
// of it, restarts, slots stay where they are and new ones take the places of those lost, on the same TaskManager if there are
// any: it may have copies of their subtasks' state.
func (c *core) arrange() {
	slices.SortFunc(c.pool, func(a, b slot) int {
		return cmp.Or(cmp.Compare(a.host.index, b.host.index), cmp.Compare(a.number, b.number))
	})
	placed := make([]*slot, len(c.pool))
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
	pool, homes := make([]slot, len(placed)), make([]string, len(placed))
	for i := range placed {
		take(i, func(*slot) bool { return true })
		pool[i] = *placed[i]
		pool[i].position, homes[i] = i+1, pool[i].host.loc.ResourceID
	}
	c.pool, c.homes = pool, homes
}

// refused is a slot that a TaskManager can't give, or takes back before it is used.
func (c *core) refused(now int64, resourceID string, r *rpcpb.SlotRefused) {
	if c.done || !c.active() {
		return
	}
	i := slices.IndexFunc(c.pool, func(s slot) bool { return s.allocation == string(r.GetAllocation()) })
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

// dropSlots forgets the slots on a host that is gone and says whether there were any.
func (c *core) dropSlots(h *host) bool {
	n := len(c.pool)
	c.pool = slices.DeleteFunc(c.pool, func(s slot) bool { return s.host == h })
	return len(c.pool) < n
}

// slotShortage is the ResourceManager's explanation for missing slots; fatal: they will never come.
func (c *core) slotShortage(now int64, reason string, fatal bool) {
	c.shortage = reason
	if fatal && c.waitsForSlots() {
		c.failIn(now, c.jobFailure(now, reason), c.waiting())
	}
}

// slotsTimedOut fails a job that hasn't got its slots in time.
func (c *core) slotsTimedOut(now int64) {
	if !c.waitsForSlots() {
		return
	}
	text := fmt.Sprintf("the job needs %d slots, has %d and misses %d after %s (slot.request.timeout)", c.need, len(c.pool),
		c.need-len(c.pool), time.Duration(c.slotTimeout)*time.Millisecond)
	if c.shortage != "" {
		text += ": " + c.shortage
	}
	if c.committing() {
		text += incomplete
	}
	c.failIn(now, c.jobFailure(now, text), c.waiting())
}
