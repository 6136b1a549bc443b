package resourcemanager

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/weftstream/weft/runtime/rpc/rpcpb"
)

const minute = 60_000

// driverStarted says that the driver takes declarations from now on.
func (c *core) driverStarted(now int64) {
	c.started, c.recovering = true, false
	c.reconcile(now)
}

// granted is a worker that is being started. One beyond what was declared is stopped, unless it is left from before.
func (c *core) granted(now int64, id, node string, spec WorkerSpec) {
	c.grants = c.started
	if c.byTM[id] != nil {
		c.declared = max(0, c.declared-1) // it was quicker to register than its grant to arrive
	}
	if c.byTM[id] != nil || c.workers[id] != nil || c.gone[id] {
		return
	}
	if !c.recovering && c.declared <= 0 {
		c.forget(id)
		c.emit(stopAction{id: id, reason: "it was granted after it was no longer needed"})
		return
	}
	slots := max(1, spec.Slots)
	if !c.recovering {
		c.declared = max(0, c.declared-max(1, slots/c.spec.Slots))
	}
	c.workers[id] = &worker{id: id, node: node, slots: slots, by: now + c.registrationTimeout}
	c.reconcile(now)
}

// ended is the end of a worker.
func (c *core) ended(now int64, id string, end WorkerEnd) {
	t, w := c.byTM[id], c.workers[id]
	switch {
	case t != nil:
		reason := "its worker ended: " + end.String()
		c.remove(now, t, reason)
		c.emit(closeAction{id: id, reason: reason})
	case w != nil:
		delete(c.workers, id)
		c.startFailed(now, fmt.Sprintf("%s on %s: %s", id, w.node, end), end.Kind)
	case c.gone[id]:
		if end.Kind == EndReleased {
			return // as it was told to
		}
		c.emit(noteAction{fmt.Sprintf("worker %s ended: %s", id, end)})
		return
	default:
		c.startFailed(now, fmt.Sprintf("%s: %s", id, end), end.Kind)
	}
	c.forget(id)
	c.reconcile(now)
}

// startFailed counts a failed start. More of them in a minute than resourcemanager.start-worker.max-failure-rate make
// the next request wait.
func (c *core) startFailed(now int64, what string, kind EndKind) {
	if kind == EndReleased {
		return
	}
	c.failure, c.failedAt = what, now
	c.emit(noteAction{"start of worker failed: " + what})
	if kind != EndFailed {
		return
	}
	c.forgetFailures(now)
	c.failures = append(c.failures, now)
	if float64(len(c.failures)) > c.maxFailuresPerMinute {
		c.pauseUntil = now + max(1, c.retryInterval)
		c.emit(noteAction{fmt.Sprintf("the next request for workers waits %d ms (resourcemanager.start-worker.retry-interval): "+
			"%d starts have failed within a minute", max(1, c.retryInterval), len(c.failures))})
	}
}

func (c *core) forgetFailures(now int64) {
	c.failures = slices.DeleteFunc(c.failures, func(t int64) bool { return t <= now-minute })
}

// driverWaiting is the driver's reason why nothing has been granted.
func (c *core) driverWaiting(now int64, reason string) {
	if reason = oneLine(reason, 1000); reason != c.waiting {
		c.waiting = reason
		c.reconcile(now)
	}
}

// tick does what has become due.
func (c *core) tick(now int64) {
	if now >= c.pauseUntil {
		c.pauseUntil = 0
	}
	for _, t := range c.tms {
		for i := range t.slots {
			if s := &t.slots[i]; now >= s.expected {
				s.expected = 0
			}
		}
	}
	for _, j := range c.jobs {
		maps.DeleteFunc(j.avoid, func(_ string, until int64) bool { return now >= until })
	}
	for _, w := range c.workersByID() {
		if now >= w.by {
			delete(c.workers, w.id)
			c.forget(w.id)
			reason := fmt.Sprintf("its TaskManager did not register within %d ms (resourcemanager.taskmanager-registration.timeout)",
				c.registrationTimeout)
			c.emit(stopAction{id: w.id, reason: reason})
			c.startFailed(now, fmt.Sprintf("%s on %s: %s", w.id, w.node, reason), EndFailed)
		}
	}
	for _, t := range c.idleDue(now) {
		c.send(t, &rpcpb.ToTaskManager{Message: &rpcpb.ToTaskManager_Shutdown{Shutdown: &rpcpb.Shutdown{Reason: "idle"}}})
		c.dismiss(now, t, "it was idle for resourcemanager.taskmanager-timeout")
	}
	c.reconcile(now)
}

func (c *core) workersByID() []*worker {
	all := make([]*worker, 0, len(c.workers))
	for _, w := range c.workers {
		all = append(all, w)
	}
	slices.SortFunc(all, func(a, b *worker) int { return cmp.Compare(a.id, b.id) })
	return all
}

// releasable lists idle TaskManagers that may go, whenever their time comes: as many as leave
// slotmanager.number-of-slots.min slots and, while jobs run, the spare TaskManagers. The longest idle go first.
func (c *core) releasable() []*taskManager {
	n := c.totals()
	if c.static || n.missing > 0 {
		return nil
	}
	var idle []*taskManager
	for _, t := range c.tms {
		if t.idle() {
			idle = append(idle, t)
		}
	}
	slices.SortStableFunc(idle, func(a, b *taskManager) int { return cmp.Compare(a.idleSince, b.idleSince) })
	spare := 0
	if c.working() {
		spare = c.redundant * c.spec.Slots
	}
	var may []*taskManager
	for _, t := range idle {
		k := len(t.slots)
		if n.slots-k < c.minSlots || n.free-k < spare {
			continue
		}
		n.slots -= k
		n.free -= k
		may = append(may, t)
	}
	return may
}

func (c *core) idleDue(now int64) []*taskManager {
	return slices.DeleteFunc(c.releasable(), func(t *taskManager) bool { return now-t.idleSince < c.idleTimeout })
}

// next is when tick has something to do; ok is false while nothing is.
func (c *core) next() (at int64, ok bool) {
	consider := func(t int64) {
		if !ok || t < at {
			at, ok = t, true
		}
	}
	for _, w := range c.workers {
		consider(w.by)
	}
	for _, t := range c.releasable() {
		consider(t.idleSince + c.idleTimeout)
	}
	for _, j := range c.jobs {
		for _, until := range j.avoid {
			consider(until)
		}
	}
	if c.pauseUntil > 0 {
		consider(c.pauseUntil)
	}
	for _, t := range c.tms {
		for i := range t.slots {
			if s := &t.slots[i]; s.expected != 0 {
				consider(s.expected)
			}
		}
	}
	return at, ok
}
