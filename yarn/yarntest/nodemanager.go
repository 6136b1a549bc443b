package yarntest

import (
	"context"
	"fmt"
	"net"
	"strconv"

	"google.golang.org/protobuf/proto"

	"github.com/weftstream/weft/hadoop"
	"github.com/weftstream/weft/hadoop/ipc/ipctest"
	"github.com/weftstream/weft/hadoop/records"
	"github.com/weftstream/weft/yarn/internal/pb"
)

// node is one NodeManager with what the ResourceManager knows of it.
type node struct {
	id         records.NodeID
	rack       string
	capability records.Resource
	used       records.Resource
	state      records.NodeState
	server     *ipctest.Server
}

func (n *node) available() records.Resource { return n.capability.Sub(n.used) }

func (n *node) report() *pb.NodeReport {
	return &pb.NodeReport{
		NodeId: pb.FromNodeID(n.id), RackName: proto.String(n.rack), NodeState: pb.NodeState(n.state).Enum(),
		Capability: pb.FromResource(n.capability), Used: pb.FromResource(n.used),
	}
}

func (c *Cluster) startNode(cfg NodeConfig) error {
	n := &node{rack: cfg.Rack, capability: cfg.Resource, state: records.NodeRunning}
	var err error
	n.server, err = ipctest.Start(ipctest.Config{
		Address:  net.JoinHostPort(cfg.Host, "0"),
		Password: func(id []byte) ([]byte, error) { return c.nmPassword(n, id) },
		Handle:   func(ctx context.Context, r *ipctest.Request) (proto.Message, error) { return c.handleNM(ctx, n, r) },
	})
	if err != nil {
		return err
	}
	c.nodes = append(c.nodes, n)
	_, port, err := net.SplitHostPort(n.server.Address())
	if err != nil {
		return err
	}
	number, err := strconv.ParseInt(port, 10, 32)
	if err != nil {
		return err
	}
	n.id = records.NodeID{Host: cfg.Host, Port: int32(number)}
	return nil
}

// nmPassword checks an NMToken when a connection is opened.
func (c *Cluster) nmPassword(n *node, identifier []byte) ([]byte, error) {
	var id pb.NMTokenIdentifier
	if err := proto.Unmarshal(identifier, &id); err != nil || id.GetNodeId().Record() != n.id {
		return nil, ipctest.Exception(invalidToken, "Given NMToken is not for this NodeManager")
	}
	return sign(c.keys.secret, identifier), nil
}

// handleNM serves the ContainerManagementProtocol.
func (c *Cluster) handleNM(ctx context.Context, n *node, r *ipctest.Request) (proto.Message, error) {
	switch r.Method {
	case "startContainers":
		return rpc(ctx, c, r, &pb.StartContainersRequest{}, func(m *pb.StartContainersRequest) (proto.Message, error) {
			return c.startContainers(n, m), nil
		})
	case "stopContainers":
		return rpc(ctx, c, r, &pb.StopContainersRequest{}, func(m *pb.StopContainersRequest) (proto.Message, error) {
			return c.stopContainers(n, m), nil
		})
	case "getContainerStatuses":
		return rpc(ctx, c, r, &pb.GetContainerStatusesRequest{}, func(m *pb.GetContainerStatusesRequest) (proto.Message, error) {
			return c.containerStatuses(n, m), nil
		})
	case "signalToContainer":
		return rpc(ctx, c, r, &pb.SignalContainerRequest{}, func(m *pb.SignalContainerRequest) (proto.Message, error) {
			return c.signal(n, m)
		})
	}
	return nil, unknownMethod(r)
}

func failed(id *pb.ContainerId, format string, args ...any) *pb.ContainerException {
	return &pb.ContainerException{ContainerId: id, Exception: &pb.SerializedException{
		ClassName: proto.String(yarnException), Message: proto.String(fmt.Sprintf(format, args...)),
		Trace: proto.String("\tat weft.Test.method(Test.java:1)"),
	}}
}

func (c *Cluster) startContainers(n *node, m *pb.StartContainersRequest) proto.Message {
	out := &pb.StartContainersResponse{}
	for _, req := range m.GetStartContainerRequest() {
		id, err := c.startContainer(n, req)
		if err != nil {
			out.FailedRequests = append(out.FailedRequests, failed(id, "%s", err))
		} else {
			out.SucceededRequests = append(out.SucceededRequests, id)
		}
	}
	c.notify()
	return out
}

func (c *Cluster) startContainer(n *node, req *pb.StartContainerRequest) (*pb.ContainerId, error) {
	token := req.GetContainerToken()
	var id pb.ContainerTokenIdentifier
	if err := proto.Unmarshal(token.GetIdentifier(), &id); err != nil || len(token.GetIdentifier()) == 0 {
		return nil, fmt.Errorf("Invalid ContainerToken")
	}
	good := hadoop.Token{Password: sign(c.keys.secret, token.GetIdentifier())}
	if !good.Equal(hadoop.Token{Password: token.GetPassword()}) || id.GetNmHostAddr() != n.id.String() {
		return id.GetContainerId(), fmt.Errorf("Invalid ContainerToken")
	}
	ct := c.containers[id.GetContainerId().Record()]
	switch {
	case ct == nil || ct.node != n:
		return id.GetContainerId(), fmt.Errorf("Container %s is not known", id.GetContainerId().Record())
	case ct.state == containerRunning:
		return id.GetContainerId(), fmt.Errorf("Unauthorized request to start container. \n"+
			"Attempt to relaunch the same container with id %s.", ct.id)
	case ct.state != containerAcquired:
		return id.GetContainerId(), fmt.Errorf("Container %s was released", ct.id)
	}
	var err error
	if ct.launch, err = req.GetContainerLaunchContext().Record(); err != nil {
		return id.GetContainerId(), err
	}
	c.launch(ct)
	return id.GetContainerId(), nil
}

func (c *Cluster) onNode(n *node, id *pb.ContainerId) (*container, *pb.ContainerException) {
	ct := c.containers[id.Record()]
	if ct == nil || ct.node != n || ct.state < containerRunning {
		return nil, failed(id, "Container %s is not handled by this NodeManager", id.Record())
	}
	return ct, nil
}

func (c *Cluster) stopContainers(n *node, m *pb.StopContainersRequest) proto.Message {
	out := &pb.StopContainersResponse{}
	for _, id := range m.GetContainerId() {
		ct, fail := c.onNode(n, id)
		if fail != nil {
			out.FailedRequests = append(out.FailedRequests, fail)
			continue
		}
		ct.kill(records.ExitKilledByAppMaster, "Container killed by the ApplicationMaster.")
		out.SucceededRequests = append(out.SucceededRequests, id)
	}
	return out
}

func (c *Cluster) containerStatuses(n *node, m *pb.GetContainerStatusesRequest) proto.Message {
	out := &pb.GetContainerStatusesResponse{}
	for _, id := range m.GetContainerId() {
		ct, fail := c.onNode(n, id)
		if fail != nil {
			out.FailedRequests = append(out.FailedRequests, fail)
			continue
		}
		out.Status = append(out.Status, ct.status())
	}
	return out
}

func (c *Cluster) signal(n *node, m *pb.SignalContainerRequest) (proto.Message, error) {
	ct, fail := c.onNode(n, m.GetContainerId())
	if fail != nil {
		return nil, ipctest.Exception(yarnException, "%s", fail.GetException().GetMessage())
	}
	select {
	case ct.signals <- Signal(m.GetCommand()):
	default: // nobody listens to this container's signals
	}
	return &pb.SignalContainerResponse{}, nil
}

// NodeConnections counts the connections ever opened to a node.
func (c *Cluster) NodeConnections(id records.NodeID) int {
	for _, n := range c.nodes {
		if n.id == id {
			return n.server.Opened()
		}
	}
	return 0
}

// CutNodeConnections breaks the connections to all NodeManagers.
func (c *Cluster) CutNodeConnections() {
	for _, n := range c.nodes {
		n.server.CloseConnections()
	}
}

// LoseNode makes a node vanish: its port hangs up, its containers are killed,
// and application masters hear that it was lost.
func (c *Cluster) LoseNode(id records.NodeID) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, n := range c.nodes {
		if n.id != id {
			continue
		}
		n.state = records.NodeLost
		n.server.SetRefusing(true)
		for _, ct := range c.sortedContainers() {
			if ct.node == n {
				ct.kill(records.ExitAborted, "Container released on a *lost* node")
			}
		}
		for _, app := range c.order {
			if app.attempt.registered {
				app.attempt.updated = append(app.attempt.updated, n)
			}
		}
		c.notify()
		return nil
	}
	return fmt.Errorf("lose node %s: there is none", id)
}
