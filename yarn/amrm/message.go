package amrm

import (
	"google.golang.org/protobuf/proto"

	"github.com/weftstream/weft/hadoop"
	"github.com/weftstream/weft/hadoop/records"
	"github.com/weftstream/weft/yarn/internal/pb"
)

// AnyHost is the resource name that matches every node.
const AnyHost = "*"

// Ask is one resource request. It is absolute: it replaces what was asked
// before for the same priority, resource name, capability and request id.
type Ask struct {
	Priority int
	// ResourceName is a host, a rack (with a leading slash) or AnyHost.
	ResourceName string
	Capability   records.Resource
	Count        int
	NodeLabel    string
	// StrictLocality demands this very host or rack.
	StrictLocality bool
	// AllocationRequestID comes back in the containers; 0 is none.
	AllocationRequestID int64
}

// AllocateRequest is one heartbeat.
type AllocateRequest struct {
	Asks                          []Ask
	Release                       []records.ContainerID
	BlacklistAdd, BlacklistRemove []string
	ResponseID                    int32
	Progress                      float32
}

// Command is an order of the YARN ResourceManager.
type Command int32

// The commands; the numbers are YARN's.
const (
	CommandNone     Command = 0
	CommandResync   Command = 1 // register again
	CommandShutdown Command = 2 // the attempt has ended
)

// AllocateResponse is the reply to a heartbeat.
type AllocateResponse struct {
	Command    Command
	ResponseID int32
	Allocated  []records.Container
	Completed  []records.ContainerStatus
	Nodes      []records.NodeReport
	NMTokens   []records.NMToken
	// AMRMToken replaces the client's; zero if there is no new one.
	AMRMToken hadoop.Token
	// Headroom is what the application may still get.
	Headroom records.Resource
	// ClusterNodes counts the NodeManagers.
	ClusterNodes int
	// Recovered are containers of an earlier attempt, reported late.
	Recovered []records.Container
}

// RegisterResponse is the reply to a registration.
type RegisterResponse struct {
	MaximumCapability records.Resource
	Queue             string
	// Containers and NMTokens are those of earlier attempts.
	Containers []records.Container
	NMTokens   []records.NMToken
}

func (r AllocateRequest) wire() *pb.AllocateRequest {
	out := &pb.AllocateRequest{
		Release: pb.FromContainerIDs(r.Release), ResponseId: proto.Int32(r.ResponseID),
		Progress: proto.Float32(r.Progress),
	}
	for _, a := range r.Asks {
		out.Ask = append(out.Ask, a.wire())
	}
	if len(r.BlacklistAdd)+len(r.BlacklistRemove) > 0 {
		out.BlacklistRequest = &pb.ResourceBlacklistRequest{
			BlacklistAdditions: r.BlacklistAdd, BlacklistRemovals: r.BlacklistRemove,
		}
	}
	return out
}

func (a Ask) wire() *pb.ResourceRequest {
	out := &pb.ResourceRequest{
		Priority:      &pb.Priority{Priority: proto.Int32(int32(a.Priority))},
		ResourceName:  proto.String(a.ResourceName),
		Capability:    pb.FromResource(a.Capability),
		NumContainers: proto.Int32(int32(a.Count)),
		RelaxLocality: proto.Bool(!a.StrictLocality),
	}
	if a.NodeLabel != "" {
		out.NodeLabelExpression = proto.String(a.NodeLabel)
	}
	if a.AllocationRequestID != 0 {
		out.AllocationRequestId = proto.Int64(a.AllocationRequestID)
	}
	return out
}

func allocateResponse(m *pb.AllocateResponse) *AllocateResponse {
	out := &AllocateResponse{
		Command: Command(m.GetAmCommand()), ResponseID: m.GetResponseId(),
		Allocated: pb.Records(m.GetAllocatedContainers()),
		Completed: pb.Records(m.GetCompletedContainerStatuses()),
		Nodes:     pb.Records(m.GetUpdatedNodes()),
		NMTokens:  pb.Records(m.GetNmTokens()),
		Headroom:  m.GetLimit().Record(), ClusterNodes: int(m.GetNumClusterNodes()),
		Recovered: pb.Records(m.GetContainersFromPreviousAttempts()),
	}
	if t := m.GetAmRmToken(); t != nil {
		out.AMRMToken = t.Record()
	}
	return out
}
