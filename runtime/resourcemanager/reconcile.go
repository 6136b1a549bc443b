package resourcemanager

import (
	"fmt"
	"strings"

	"github.com/weftstream/weft/runtime/rpc/rpcpb"
)

// reconcile compares what is wanted with what is there and gives free slots to jobs. It ends every event; flush does the
// rest once for all events that came together.
func (c *core) reconcile(now int64) {
	for _, j := range c.jobs {
		c.serve(now, j)
	}
}

// flush declares the workers that are missing, and explains to every job that lacks slots why. It is called when no event
// is left: a grant that the driver has reported must have been counted before the next declaration is made. One that it
// reports just then is counted twice at the driver, which is why the number is declared again after grants even if it is
// what the core thinks the driver knows.
func (c *core) flush(now int64) {
	if c.started && !c.static {
		if n := c.wanted(now); n != c.declared || c.grants {
			c.declared, c.grants = n, false
			c.emit(declareAction{n: n})
		}
	}
	for _, j := range c.jobs {
		c.explain(now, j)
	}
}

// serve allocates free slots to a job until it has what it needs.
func (c *core) serve(now int64, j *jobNeed) {
	for missing := j.missing(); missing > 0; {
		t := c.choose(now, j)
		if t == nil {
			return
		}
		n := 1
		if !c.spread {
			n = min(missing, t.free)
		}
		for i := range t.slots {
			if n == 0 {
				break
			}
			if t.slots[i].taken {
				continue
			}
			c.allocate(j, t, i)
			n--
			missing--
		}
	}
}

// choose returns the TaskManager for a job's next slot. As a rule a job gets as few TaskManagers as possible (each is a
// task host, and what stays in one needs no connection): one where it has slots, then the one with the most free slots.
// With taskmanager.load-balance.mode SLOTS it is the least used one. The earliest registered wins a tie.
func (c *core) choose(now int64, j *jobNeed) *taskManager {
	var best *taskManager
	var bestOwn, bestFree float64
	for _, t := range c.tms {
		if t.free == 0 || j.avoid[t.id()] > now {
			continue
		}
		var own, free float64
		if c.spread {
			free = float64(t.free) / float64(len(t.slots))
		} else {
			own, free = float64(t.of(j.id)), float64(t.free)
		}
		if best == nil || own > bestOwn || own == bestOwn && free > bestFree {
			best, bestOwn, bestFree = t, own, free
		}
	}
	return best
}

func (c *core) allocate(j *jobNeed, t *taskManager, i int) {
	a := c.allocation()
	t.slots[i] = slot{taken: true, job: j.id, allocation: string(a)}
	t.free--
	j.has++
	c.send(t, &rpcpb.ToTaskManager{Message: &rpcpb.ToTaskManager_Allocate{
		Allocate: &rpcpb.AllocateSlot{Slot: int32(i), Allocation: a, Job: j.info}}})
}

// totals are the numbers that decisions are made of: slots of registered TaskManagers, of them free and about to be free,
// slots of workers that are starting, and slots that jobs miss.
type totals struct{ slots, free, freeing, starting, missing int }

func (c *core) totals() totals {
	var n totals
	for _, t := range c.tms {
		n.slots += len(t.slots)
		n.free += t.free
		for i := range t.slots {
			if s := &t.slots[i]; s.expected != 0 {
				n.freeing++
			}
		}
	}
	for _, w := range c.workers {
		n.starting += w.slots
	}
	for _, j := range c.jobs {
		n.missing += j.missing()
	}
	return n
}

// wanted is the number of workers to declare: for missing slots, for slotmanager.number-of-slots.min and for spare
// TaskManagers, less those being started, and never beyond slotmanager.number-of-slots.max.
func (c *core) wanted(now int64) int {
	n := c.totals()
	per := c.spec.Slots
	workers := ceilDiv(max(0, n.missing-n.starting-n.freeing), per)
	have := func() int { return n.slots + n.starting + workers*per }
	workers += ceilDiv(max(0, min(c.minSlots, c.maxSlots)-have()), per)
	if c.working() {
		spare := n.free + n.freeing + n.starting + workers*per - n.missing
		workers += ceilDiv(max(0, c.redundant*per-spare), per)
	}
	workers = min(workers, max(0, c.maxSlots-n.slots-n.starting)/per)
	if now < c.pauseUntil {
		workers = min(workers, c.declared)
	}
	return workers
}

// working says that a job needs slots or has some.
func (c *core) working() bool {
	for _, j := range c.jobs {
		if j.need > 0 || j.has > 0 {
			return true
		}
	}
	return false
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }

// explain tells a job why slots are missing, whenever the explanation changes.
func (c *core) explain(now int64, j *jobNeed) {
	why := ""
	switch {
	case j.impossible:
		why = fmt.Sprintf("the job needs %d slots and the cluster may have at most %d; lower the parallelism or raise slotmanager.number-of-slots.max",
			j.least, c.maxSlots)
	case j.missing() > 0:
		why = c.shortage(now, j)
	}
	if why != j.told {
		j.told = why
		c.emit(shortageAction{job: j.id, reason: why, fatal: j.impossible})
	}
}

func (c *core) shortage(now int64, j *jobNeed) string {
	n := c.totals()
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	add("%d of %d slots of %d TaskManagers are free", n.free, n.slots, len(c.tms))
	switch {
	case c.static:
		add("a standalone cluster gets no TaskManagers by itself: start more with `weft taskmanager`")
	case !c.started:
		add("the connection to the resource provider is being made")
	case n.slots+n.starting+c.spec.Slots > c.maxSlots:
		add("slotmanager.number-of-slots.max (%d) allows no further TaskManager", c.maxSlots)
	default:
		if len(c.workers) > 0 {
			add("%d TaskManagers are starting", len(c.workers))
		}
		if c.declared > 0 {
			add("%d TaskManagers (%s each) are requested and not granted yet", c.declared, c.spec)
		}
		if now < c.pauseUntil {
			add("after %d failed starts within a minute the next request waits (resourcemanager.start-worker.retry-interval)", len(c.failures))
		}
	}
	if c.waiting != "" {
		parts = append(parts, c.waiting)
	}
	if c.failure != "" {
		parts = append(parts, "last failed start: "+c.failure)
	}
	if j.refusal != "" {
		parts = append(parts, j.refusal)
	}
	return strings.Join(parts, "; ")
}
