package jobmaster

import (
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/runtime/rpc/rpcpb"
)

// deploy assigns the subtasks of the regions that are to run to slots and sends one Deploy to each TaskManager. Coordinators go
// to that of slot 0, or to where those of other regions are.
func (c *core) deploy(now int64) {
	c.each(func(e *execution) {
		if !c.restarts(e.v) {
			return
		}
		e.host = c.pool[e.v.firstSlot+e.subtask].host
		c.transition(now, e, execDeploying)
	})
	plans := map[*host]*linkpb.Deploy{}
	c.each(func(e *execution) {
		if !c.restarts(e.v) {
			return
		}
		if plans[e.host] == nil {
			plans[e.host] = &linkpb.Deploy{}
		}
		t := taskOf(e)
		if restore := c.restore.Tasks[e.v.id]; e.subtask < len(restore) {
			t.Restore = restore[e.subtask]
		}
		plans[e.host].Tasks = append(plans[e.host].Tasks, t)
	})
	if c.coordinator == nil || c.coordinator.gone || c.wholeJob() {
		c.coordinator = c.pool[0].host
	}
	if all := c.coordinatorTasks(false); len(all) > 0 || c.wholeJob() {
		if plans[c.coordinator] == nil {
			plans[c.coordinator] = &linkpb.Deploy{}
		}
		plans[c.coordinator].Coordinators = all
	}
	for _, h := range c.hosts {
		if p := plans[h]; p != nil {
			c.command(h, &linkpb.ToHost{Message: &linkpb.ToHost_Deploy{Deploy: p}})
		}
	}
}

func taskOf(e *execution) *linkpb.Task {
	t := &linkpb.Task{Id: e.id(), Parallelism: int32(len(e.v.subtasks))}
	for _, in := range e.v.in {
		g := &linkpb.InputGate{Edge: in.pb.GetId()}
		for _, p := range in.from(e.subtask) {
			g.Channels = append(g.Channels, &linkpb.Channel{Subtask: int32(p.subtask), Attempt: int32(p.attempt),
				ResourceId: p.host.loc.ResourceID, DataAddress: p.host.loc.DataAddress})
		}
		t.Inputs = append(t.Inputs, g)
	}
	for _, out := range e.v.out {
		o := &linkpb.OutputEdge{Edge: out.pb.GetId()}
		for _, n := range out.to(e.subtask) {
			o.Subtasks = append(o.Subtasks, int32(n.subtask))
			o.Attempts = append(o.Attempts, int32(n.attempt))
		}
		t.Outputs = append(t.Outputs, o)
	}
	return t
}

// coordinatorTasks lists the coordinators to deploy; for a commit alone, those that commit.
func (c *core) coordinatorTasks(committers bool) []*linkpb.Coordinator {
	var all []*linkpb.Coordinator
	for _, k := range c.coordinators {
		if committers && !k.commits || !c.restarts(k.v) {
			continue
		}
		all = append(all, &linkpb.Coordinator{Operator: k.id[:], Snapshot: c.restore.Coordinators[k.id], CommitsOnly: committers,
			Parallelism: k.v.pb.GetParallelism(), MaxParallelism: k.v.pb.GetMaxParallelism()})
	}
	return all
}

// command sends to a task host.
func (c *core) command(h *host, m *linkpb.ToHost) {
	c.emit(sendAction{to: h.loc.ResourceID, m: &rpcpb.ToTaskManager{Message: &rpcpb.ToTaskManager_Host{
		Host: &rpcpb.HostCommand{JobId: c.id[:], Command: m}}}})
}
