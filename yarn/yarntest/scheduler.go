package yarntest

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/weftstream/weft/hadoop/records"
	"github.com/weftstream/weft/yarn/webservice"
)

// anyHost is the resource name that matches every node.
const anyHost = "*"

// askKey is what asks are told apart by: as in YARN the capability is not part
// of it, so that a priority has one.
type askKey struct {
	priority int32
	request  int64
	name     string
}

type ask struct {
	capability records.Resource
	count      int32
	relax      bool
}

// heartbeat is what the scheduler does when a node reports.
func (c *Cluster) heartbeat(n *node) {
	if c.down || n.state != records.NodeRunning || c.closed {
		return
	}
	for _, app := range slices.Clone(c.order) {
		c.startMaster(app, n)
	}
	offSwitch := c.cfg.OffSwitch
	for _, app := range c.order {
		if app.state == webservice.StateRunning && app.attempt.registered && !app.attempt.finishing {
			c.assign(app.attempt, n, &offSwitch)
		}
	}
}

// startMaster gives a waiting application the container of its master, if node
// and queue have room for it.
func (c *Cluster) startMaster(app *application, n *node) {
	if app.state != webservice.StateAccepted || app.unmanaged || app.attempt.master != nil {
		return
	}
	q, _ := c.queue(app.queue)
	if !c.amUsed(app.queue).Add(app.amResource).FitsIn(c.amLimit(q)) {
		app.diagnostics = "Application is added to the scheduler and is not yet activated. " +
			"Queue's AM resource limit exceeded."
		return
	}
	app.diagnostics = "AM container is launched, waiting for AM container to Register with RM"
	if !app.amResource.FitsIn(n.available()) {
		app.diagnostics = "Application is Activated, waiting for resources to be assigned for AM."
		return
	}
	ct := c.grant(app.attempt, n, app.amResource, 0, 0)
	ct.master = true
	app.attempt.master = ct
	ct.launch = app.launch
	c.launch(ct)
	c.notify()
}

// assign gives an attempt what it asks for on a node: first by host and rack,
// then to asks for any node, of which a node serves few per heartbeat.
func (c *Cluster) assign(a *attempt, n *node, offSwitch *int) {
	keys := slices.SortedFunc(maps.Keys(a.asks), func(x, y askKey) int {
		return cmp.Or(cmp.Compare(x.priority, y.priority), cmp.Compare(x.request, y.request))
	})
	for _, key := range keys {
		if key.name != anyHost {
			continue
		}
		for a.local(key, n) && c.assignOne(a, key, n, n.id.Host, n.rack) {
		}
		for *offSwitch > 0 && a.maySwitch(key, n, len(c.nodes)) && c.assignOne(a, key, n, n.rack) {
			*offSwitch--
		}
	}
}

// local reports whether an ask names the node.
func (a *attempt) local(key askKey, n *node) bool {
	key.name = n.id.Host
	return a.asks[key] != nil
}

// maySwitch reports whether an ask takes a node that it doesn't name. While it
// names others, they are waited for during two rounds of heartbeats.
func (a *attempt) maySwitch(key askKey, n *node, nodes int) bool {
	if a.asks[key] == nil {
		return false
	}
	for other := range a.asks {
		named := other.priority == key.priority && other.request == key.request &&
			other.name != anyHost && !strings.HasPrefix(other.name, "/")
		if named && a.missed[key.priority] < 2*nodes {
			a.missed[key.priority]++
			return false
		}
	}
	return true
}

// assignOne grants one container for the ask for any node, and lowers the
// counts of the other names that the container serves.
func (c *Cluster) assignOne(a *attempt, key askKey, n *node, names ...string) bool {
	open := a.asks[key]
	if open == nil || !open.capability.FitsIn(n.available()) {
		return false
	}
	ct := c.grant(a, n, open.capability, key.priority, key.request)
	a.allocated = append(a.allocated, ct)
	for _, name := range append(names, anyHost) {
		key.name = name
		if o := a.asks[key]; o != nil {
			if o.count--; o.count <= 0 {
				delete(a.asks, key)
			}
		}
	}
	c.notify()
	return true
}

func (c *Cluster) grant(a *attempt, n *node, r records.Resource, priority int32, request int64) *container {
	ct := newContainer(c, c.nextContainerID(a), c.apps[a.id.Application], n, r)
	ct.priority, ct.request = priority, request
	c.containers[ct.id] = ct
	n.used = n.used.Add(r)
	return ct
}

// normalize rounds memory up to multiples of the minimum allocation. A container gets the least vcores whatever was asked,
// as with the Capacity Scheduler's default resource calculator, which looks at memory alone.
func (c *Cluster) normalize(r records.Resource) records.Resource {
	unit := c.cfg.MinAllocation
	r.MemoryMB = max(unit.MemoryMB, (r.MemoryMB+unit.MemoryMB-1)/unit.MemoryMB*unit.MemoryMB)
	r.VCores = unit.VCores
	return r
}

func (c *Cluster) sortedContainers() []*container {
	return slices.SortedFunc(maps.Values(c.containers), func(x, y *container) int { return x.id.Compare(y.id) })
}
