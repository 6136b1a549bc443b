package jobmaster

import (
	"maps"

	"github.com/weftstream/weft/link/linkpb"
)

// regionSet is a set of pipelined regions. Subtasks that exchange records fail and restart together: a region is a connected
// component of the JobGraph, with the coordinators of its operators.
type regionSet map[int]bool

func (s regionSet) within(t regionSet) bool {
	for r := range s {
		if !t[r] {
			return false
		}
	}
	return true
}

// numberRegions numbers the regions in the order of their first vertices.
func (x *executionGraph) numberRegions() {
	for _, v := range x.vertices {
		v.region = -1
	}
	for _, v := range x.vertices {
		if v.region < 0 {
			v.spread(x.regions)
			x.regions++
		}
	}
}

// spread gives a vertex, and all that are connected with it, to a region.
func (v *vertex) spread(region int) {
	open := []*vertex{v}
	v.region = region
	take := func(n *vertex) {
		if n.region < 0 {
			n.region = region
			open = append(open, n)
		}
	}
	for len(open) > 0 {
		v = open[len(open)-1]
		open = open[:len(open)-1]
		for _, e := range v.in {
			take(e.source)
		}
		for _, e := range v.out {
			take(e.target)
		}
	}
}

// allRegions are those of the whole job.
func (x *executionGraph) allRegions() regionSet {
	all := regionSet{}
	for r := range x.regions {
		all[r] = true
	}
	return all
}

// unfinishedIn counts the executions of regions that aren't in a final state.
func (x *executionGraph) unfinishedIn(s regionSet) (n int) {
	x.each(func(e *execution) {
		if s[e.v.region] && !final(e.state) {
			n++
		}
	})
	return n
}

// regionsOn are those that the end of a host takes along: with a subtask on it, unless all of the region has finished, and
// with a coordinator on it. Before the first deployment nobody knows who would have run there: all.
func (c *core) regionsOn(h *host) regionSet {
	if !c.deployed && c.status != restarting {
		return c.allRegions()
	}
	open := regionSet{}
	c.each(func(e *execution) {
		if e.state != execFinished {
			open[e.v.region] = true
		}
	})
	s := regionSet{}
	c.each(func(e *execution) {
		if e.host == h && open[e.v.region] {
			s[e.v.region] = true
		}
	})
	if h == c.coordinator {
		for _, k := range c.coordinators {
			s[k.v.region] = true
		}
	}
	return s
}

// regionsOf are those that a failure belongs to which a host reports of no task: the region of the coordinator that it names, or
// all.
func (c *core) regionsOf(f *linkpb.Failure) regionSet {
	s := regionSet{}
	for _, k := range c.coordinators {
		if f.GetSubtask() < 0 && f.GetOperator() == k.name {
			s[k.v.region] = true
		}
	}
	if len(s) == 0 {
		return c.allRegions()
	}
	return s
}

// waiting are the regions that wait for slots.
func (c *core) waiting() regionSet {
	if c.status == restarting {
		return maps.Clone(c.affected)
	}
	return c.allRegions()
}

// widened are the regions that restart when these have failed: all of them with the strategy "full". Sources that have stopped
// for a savepoint go on only in another attempt, so an end that failed restarts all, too.
func (c *core) widened(s regionSet) regionSet {
	if c.failover != failoverRegion || c.stopAt != 0 || c.cp.Stopping() {
		return c.allRegions()
	}
	return s
}

// restarts says that a vertex is deployed with the next deployment.
func (c *core) restarts(v *vertex) bool { return c.affected == nil || c.affected[v.region] }

// wholeJob says that the next deployment is one of the whole job.
func (c *core) wholeJob() bool { return c.affected == nil || len(c.affected) == c.regions }

// runsOn says that there are executions on a host that haven't ended.
func (c *core) runsOn(h *host) bool {
	found := false
	c.each(func(e *execution) { found = found || e.host == h && !final(e.state) })
	return found
}
