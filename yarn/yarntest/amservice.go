package yarntest

import (
	"context"

	"google.golang.org/protobuf/proto"

	"github.com/weftstream/weft/hadoop/ipc/ipctest"
	"github.com/weftstream/weft/hadoop/records"
	"github.com/weftstream/weft/yarn/internal/pb"
	"github.com/weftstream/weft/yarn/webservice"
)

// The Java classes of YARN's own exceptions.
const (
	yarnExceptions = "org.apache.hadoop.yarn.exceptions."
	notRegistered  = yarnExceptions + "ApplicationMasterNotRegisteredException"
	invalidRequest = yarnExceptions + "InvalidApplicationMasterRequestException"
	attemptGone    = yarnExceptions + "ApplicationAttemptNotFoundException"
	invalidAsk     = yarnExceptions + "InvalidResourceRequestException"
	yarnException  = yarnExceptions + "YarnException"
)

// handleAM serves the ApplicationMasterProtocol.
func (c *Cluster) handleAM(ctx context.Context, r *ipctest.Request) (proto.Message, error) {
	var id pb.AMRMTokenIdentifier
	if err := proto.Unmarshal(r.Identifier, &id); err != nil {
		return nil, err
	}
	attempt := id.GetAppAttemptId().Record()
	switch r.Method {
	case "registerApplicationMaster":
		return rpc(ctx, c, r, &pb.RegisterApplicationMasterRequest{}, func(m *pb.RegisterApplicationMasterRequest) (proto.Message, error) {
			return c.register(attempt, m)
		})
	case "allocate":
		return rpc(ctx, c, r, &pb.AllocateRequest{}, func(m *pb.AllocateRequest) (proto.Message, error) {
			return c.allocate(attempt, id.GetKeyId(), m)
		})
	case "finishApplicationMaster":
		return rpc(ctx, c, r, &pb.FinishApplicationMasterRequest{}, func(m *pb.FinishApplicationMasterRequest) (proto.Message, error) {
			return c.finish(attempt, m)
		})
	}
	return nil, unknownMethod(r)
}

func unknownMethod(r *ipctest.Request) error {
	e := ipctest.Exception("org.apache.hadoop.ipc.RpcNoSuchMethodException",
		"Unknown method %s called on %s protocol.", r.Method, r.Protocol)
	e.Detail = 2
	return e
}

// rpc decodes a request and passes it through the interceptors. Execution holds
// the cluster's mutex.
func rpc[M proto.Message](ctx context.Context, c *Cluster, r *ipctest.Request, m M, execute func(M) (proto.Message, error)) (proto.Message, error) {
	if err := r.Decode(m); err != nil {
		return nil, err
	}
	call := &Call{Method: r.Method, Request: m}
	reply, err := c.run(ctx, call, func() (*Reply, error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		out, err := execute(call.Request.(M))
		return &Reply{Message: out}, err
	})
	if err != nil {
		return nil, err
	}
	return reply.Message, nil
}

// current finds the attempt that calls.
func (c *Cluster) current(id records.AttemptID) (*application, *attempt, error) {
	app := c.apps[id.Application]
	if app == nil || app.state.Ended() || app.attempt.id != id {
		return nil, nil, ipctest.Exception(attemptGone,
			"Application attempt %s doesn't exist in ApplicationMasterService cache.", id)
	}
	return app, app.attempt, nil
}

func (c *Cluster) register(id records.AttemptID, m *pb.RegisterApplicationMasterRequest) (proto.Message, error) {
	app, a, err := c.current(id)
	if err != nil {
		return nil, err
	}
	if a.registered {
		return nil, ipctest.Exception(invalidRequest, "Application Master is already registered : %s", app.id)
	}
	a.registered, a.host, a.rpcPort = true, m.GetHost(), m.GetRpcPort()
	app.state, app.tracking, app.diagnostics = webservice.StateRunning, m.GetTrackingUrl(), ""
	out := &pb.RegisterApplicationMasterResponse{
		MaximumCapability: pb.FromResource(c.cfg.MaxAllocation), Queue: proto.String(app.queue),
	}
	for _, ct := range a.recovered {
		if ct.live() {
			out.ContainersFromPreviousAttempts = append(out.ContainersFromPreviousAttempts, ct.wire())
			out.NmTokensFromPreviousAttempts = append(out.NmTokensFromPreviousAttempts, c.nmTokens(a, ct)...)
		}
	}
	c.notify()
	return out, nil
}

// nmTokens is the token for a container's node, unless the attempt has it.
func (c *Cluster) nmTokens(a *attempt, ct *container) []*pb.NMToken {
	if a.told[ct.node.id] {
		return nil
	}
	a.told[ct.node.id] = true
	return []*pb.NMToken{{
		NodeId: pb.FromNodeID(ct.node.id), Token: pb.FromToken(c.keys.nmToken(a.id, ct.node.id, ct.app.user)),
	}}
}

func (c *Cluster) allocate(id records.AttemptID, keyID int32, m *pb.AllocateRequest) (proto.Message, error) {
	app, a, err := c.current(id)
	if err != nil {
		return nil, err
	}
	switch {
	case !a.registered:
		return nil, ipctest.Exception(notRegistered, "AM is not registered for known application attempt: %s "+
			"or RM had restarted after AM registered. AM should re-register.", id)
	case a.last != nil && m.GetResponseId() == a.responseID-1:
		// A repetition: it is answered from memory and not read.
		return a.last.Message, nil
	case m.GetResponseId() != a.responseID:
		return nil, ipctest.Exception(invalidRequest, "Invalid responseId in AllocateRequest from application attempt: %s, "+
			"expect responseId to be %d, but get %d", id, a.responseID, m.GetResponseId())
	}
	if err := c.updateAsks(a, m.GetAsk()); err != nil {
		return nil, err
	}
	for _, id := range m.GetRelease() {
		if ct := c.containers[id.Record()]; ct != nil && ct.app == app {
			ct.kill(records.ExitAborted, "Container released by application")
		}
	}
	app.progress = m.GetProgress()
	a.responseID++
	out := c.collect(a)
	out.ResponseId = proto.Int32(a.responseID)
	if c.keys.next != 0 && keyID != c.keys.next {
		out.AmRmToken = pb.FromToken(c.keys.amrmToken(a.id, c.keys.next))
	}
	a.last = &Reply{Message: out}
	c.notify()
	return out, nil
}

// updateAsks replaces what the attempt asks for. Nothing is changed if one ask
// can't ever be granted.
func (c *Cluster) updateAsks(a *attempt, asks []*pb.ResourceRequest) error {
	for _, m := range asks {
		if want := m.GetCapability().Record(); !want.FitsIn(c.cfg.MaxAllocation) {
			return ipctest.Exception(invalidAsk, "Invalid resource request! Cannot allocate containers as requested "+
				"resource is greater than maximum allowed allocation. Requested resource=[%s], maximum allowed allocation=[%s]",
				want, c.cfg.MaxAllocation)
		}
	}
	for _, m := range asks {
		key := askKey{m.GetPriority().GetPriority(), m.GetAllocationRequestId(), m.GetResourceName()}
		delete(a.asks, key)
		if m.GetNumContainers() > 0 {
			a.asks[key] = &ask{c.normalize(m.GetCapability().Record()), m.GetNumContainers(), m.GetRelaxLocality()}
			a.missed[key.priority] = 0
		}
	}
	return nil
}

// collect hands out what has happened since the last heartbeat.
func (c *Cluster) collect(a *attempt) *pb.AllocateResponse {
	out := &pb.AllocateResponse{
		NumClusterNodes: proto.Int32(int32(len(c.nodes))), Limit: pb.FromResource(c.headroom()),
	}
	for _, ct := range a.allocated {
		if ct.state == containerGranted {
			ct.state = containerAcquired
			out.AllocatedContainers = append(out.AllocatedContainers, ct.wire())
			out.NmTokens = append(out.NmTokens, c.nmTokens(a, ct)...)
		}
	}
	for _, ct := range a.completed {
		out.CompletedContainerStatuses = append(out.CompletedContainerStatuses, ct.status())
	}
	for _, n := range a.updated {
		out.UpdatedNodes = append(out.UpdatedNodes, n.report())
	}
	a.allocated, a.completed, a.updated = nil, nil, nil
	return out
}

func (c *Cluster) headroom() records.Resource {
	var sum records.Resource
	for _, n := range c.nodes {
		if n.state == records.NodeRunning {
			sum = sum.Add(n.available())
		}
	}
	return sum
}

// finish unregisters. As in YARN the first call only begins it.
func (c *Cluster) finish(id records.AttemptID, m *pb.FinishApplicationMasterRequest) (proto.Message, error) {
	app := c.apps[id.Application]
	if app != nil && app.attempt.id == id && app.state.Ended() && app.attempt.finishing {
		return &pb.FinishApplicationMasterResponse{IsUnregistered: proto.Bool(true)}, nil
	}
	app, a, err := c.current(id)
	if err != nil {
		return nil, err
	}
	if !a.registered {
		return nil, ipctest.Exception(notRegistered, "Application Master is trying to unregister before registering for: %s", app.id)
	}
	if !a.finishing {
		a.finishing = true
		app.final = records.FinalStatus(m.GetFinalApplicationStatus())
		app.diagnostics = m.GetDiagnostics()
		if url := m.GetTrackingUrl(); url != "" {
			app.tracking = url
		}
		return &pb.FinishApplicationMasterResponse{IsUnregistered: proto.Bool(false)}, nil
	}
	if app.unmanaged {
		c.endApplication(app, webservice.StateFinished, app.final, app.diagnostics)
	}
	return &pb.FinishApplicationMasterResponse{IsUnregistered: proto.Bool(true)}, nil
}
