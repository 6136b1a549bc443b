package yarntest

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/weftstream/weft/hadoop"
	"github.com/weftstream/weft/hadoop/records"
	"github.com/weftstream/weft/yarn/internal/pb"
)

type containerState int

// The states in the order they are passed.
const (
	containerGranted  containerState = iota // by the scheduler, the master doesn't know
	containerAcquired                       // handed to the master
	containerRunning                        // started on the node
	containerDone
)

// container is one container. Its fields are guarded by the cluster's mutex.
type container struct {
	cluster  *Cluster
	id       records.ContainerID
	app      *application
	node     *node
	resource records.Resource
	priority int32
	request  int64
	master   bool
	state    containerState
	launch   records.LaunchContext
	signals  chan Signal
	cancel   context.CancelFunc // of the launcher; nil until it runs
	killed   bool               // exit and diagnostics are decided
	exit     int32

	diagnostics string
}

func newContainer(c *Cluster, id records.ContainerID, app *application, n *node, r records.Resource) *container {
	return &container{
		cluster: c, id: id, app: app, node: n, resource: r, exit: records.ExitInvalid,
		signals: make(chan Signal, 16),
	}
}

func (ct *container) live() bool { return ct.state != containerDone }

// kill ends a container with that exit status. The launcher of a running one
// gets time to end; the status is told when it has.
func (ct *container) kill(exit int32, diagnostics string) {
	if ct.state == containerDone || ct.killed {
		return
	}
	ct.killed, ct.exit, ct.diagnostics = true, exit, diagnostics
	if ct.state != containerRunning {
		ct.done()
		return
	}
	ct.cancel()
}

// done frees the container's resources and tells the application's master.
func (ct *container) done() {
	ct.state = containerDone
	ct.node.used = ct.node.used.Sub(ct.resource)
	if ct.master {
		ct.cluster.masterEnded(ct)
	} else if a := ct.app.attempt; a != nil {
		a.completed = append(a.completed, ct)
	}
	ct.cluster.notify()
}

// launch starts a container on its node. The mutex is held.
func (c *Cluster) launch(ct *container) {
	ct.state = containerRunning
	l := &Launch{
		ID: ct.id, Node: ct.node.id, Resource: ct.resource, Master: ct.master, User: ct.app.user,
		Context: ct.launch, Signals: ct.signals,
	}
	creds := &hadoop.Credentials{}
	if l.Context.Credentials != nil {
		creds = l.Context.Credentials.Without(hadoop.KindAMRMToken)
	}
	if ct.master {
		if creds.Tokens == nil {
			creds.Tokens = make(map[string]hadoop.Token)
		}
		creds.Tokens[""] = c.keys.amrmToken(ct.id.Attempt, c.keys.current)
	}
	l.Context.Credentials = creds
	var ctx context.Context
	ctx, ct.cancel = context.WithCancel(context.Background())
	if c.closed {
		ct.cancel() // too late for Close to do it
	}
	c.wg.Go(func() {
		defer ct.cancel()
		exit, diagnostics := c.cfg.Launcher(ctx, l)
		c.mu.Lock()
		defer c.mu.Unlock()
		if ct.state == containerDone {
			return // its node was lost meanwhile
		}
		if !ct.killed {
			ct.exit, ct.diagnostics = exit, diagnostics
		}
		c.cfg.Log.Debug("container ended", "container", ct.id, "exit", ct.exit, "diagnostics", ct.diagnostics)
		ct.done()
	})
}

func (ct *container) wire() *pb.Container {
	out := &pb.Container{
		Id: pb.FromContainerID(ct.id), NodeId: pb.FromNodeID(ct.node.id),
		NodeHttpAddress: proto.String(ct.node.id.Host + ":8042"), Resource: pb.FromResource(ct.resource),
		Priority:       &pb.Priority{Priority: proto.Int32(ct.priority)},
		ContainerToken: pb.FromToken(ct.cluster.keys.containerToken(ct)),
		ExecutionType:  pb.ExecutionType_GUARANTEED.Enum(),
	}
	if ct.request > 0 {
		out.AllocationRequestId = proto.Int64(ct.request)
	}
	return out
}

func (ct *container) status() *pb.ContainerStatus {
	state := pb.ContainerState_C_RUNNING
	if ct.state == containerDone {
		state = pb.ContainerState_C_COMPLETE
	}
	return &pb.ContainerStatus{
		ContainerId: pb.FromContainerID(ct.id), State: state.Enum(), ExitStatus: proto.Int32(ct.exit),
		Diagnostics: proto.String(ct.diagnostics), Capability: pb.FromResource(ct.resource),
		ExecutionType: pb.ExecutionType_GUARANTEED.Enum(),
	}
}

// ContainerInfo is a look at one container.
type ContainerInfo struct {
	ID       records.ContainerID
	Node     records.NodeID
	Resource records.Resource
	Priority int32
	Master   bool
	// State is granted, acquired, running or done.
	State string
	Exit  int32
}

// Containers lists the containers of an application that have not ended, in the
// order of their ids.
func (c *Cluster) Containers(id records.ApplicationID) []ContainerInfo {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []ContainerInfo
	for _, ct := range c.sortedContainers() {
		if ct.id.Attempt.Application == id && ct.live() {
			out = append(out, ContainerInfo{
				ID: ct.id, Node: ct.node.id, Resource: ct.resource, Priority: ct.priority, Master: ct.master,
				State: [...]string{"granted", "acquired", "running", "done"}[ct.state], Exit: ct.exit,
			})
		}
	}
	return out
}

// Preempt takes a container away, as the scheduler does for another queue.
func (c *Cluster) Preempt(id records.ContainerID) error {
	return c.Kill(id, records.ExitPreempted, "Container preempted by scheduler")
}

// Kill ends a container with that exit status.
func (c *Cluster) Kill(id records.ContainerID, exit int32, diagnostics string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	ct := c.containers[id]
	if ct == nil || !ct.live() {
		return fmt.Errorf("kill %s: it is not running", id)
	}
	ct.kill(exit, diagnostics)
	return nil
}
