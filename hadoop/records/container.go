package records

import (
	"fmt"

	"github.com/weftstream/weft/hadoop"
)

// ExecutionType is how firmly a container holds its resources.
type ExecutionType int32

// The execution types; the numbers are YARN's.
const (
	Guaranteed    ExecutionType = 1 // the default
	Opportunistic ExecutionType = 2 // may be preempted by guaranteed ones
)

// Container is a grant of resources on one node.
type Container struct {
	ID          ContainerID
	Node        NodeID
	HTTPAddress string
	// Resource is what was granted, at least what was asked for.
	Resource      Resource
	Priority      int32
	ExecutionType ExecutionType
	// AllocationRequestID repeats that of the ask; -1 if it had none.
	AllocationRequestID int64
	// Token is the proof of the grant. It is opaque and goes back to the
	// NodeManager unchanged.
	Token hadoop.Token
}

// String names the container, its node and size.
func (c Container) String() string {
	return fmt.Sprintf("%s on %s %s priority %d", c.ID, c.Node, c.Resource, c.Priority)
}

// ContainerState is the coarse state of a container.
type ContainerState int32

// The container states in the order they are passed; the numbers are YARN's.
const (
	ContainerNew      ContainerState = 1
	ContainerRunning  ContainerState = 2 // also while it is queued or localised
	ContainerComplete ContainerState = 3
)

// String is YARN's name of the state.
func (s ContainerState) String() string {
	switch s {
	case ContainerNew:
		return "NEW"
	case ContainerRunning:
		return "RUNNING"
	case ContainerComplete:
		return "COMPLETE"
	}
	return fmt.Sprintf("ContainerState(%d)", int32(s))
}

// Exit statuses that YARN itself gives; others are the process's own. A
// process killed by a signal has 128 plus the signal's number.
const (
	ExitSuccess                    int32 = 0
	ExitInvalid                    int32 = -1000 // not ended yet, or localisation failed
	ExitAborted                    int32 = -100  // released by the application, or its node was lost
	ExitDisksFailed                int32 = -101
	ExitPreempted                  int32 = -102
	ExitKilledExceededVMem         int32 = -103
	ExitKilledExceededPMem         int32 = -104
	ExitKilledByAppMaster          int32 = -105
	ExitKilledByResourceManager    int32 = -106
	ExitKilledAfterAppCompletion   int32 = -107
	ExitKilledByContainerScheduler int32 = -108
	ExitKilledForExcessLogs        int32 = -109
)

// ContainerStatus is a NodeManager's or YARN ResourceManager's word on a
// container.
type ContainerStatus struct {
	ID            ContainerID
	State         ContainerState
	ExitStatus    int32
	Diagnostics   string
	Resource      Resource
	ExecutionType ExecutionType
	// Attributes holds HOST and IPS when the NodeManager knows them.
	Attributes map[string]string
}

// String names the container, its state and exit status.
func (s ContainerStatus) String() string {
	return fmt.Sprintf("%s %s exit %d", s.ID, s.State, s.ExitStatus)
}

// NodeState is the state of a NodeManager in the YARN ResourceManager's eyes.
type NodeState int32

// The node states; the numbers are YARN's.
const (
	NodeNew             NodeState = 1
	NodeRunning         NodeState = 2
	NodeUnhealthy       NodeState = 3
	NodeDecommissioned  NodeState = 4
	NodeLost            NodeState = 5
	NodeRebooted        NodeState = 6
	NodeDecommissioning NodeState = 7
	NodeShutdown        NodeState = 8
)

var nodeStateNames = map[NodeState]string{
	NodeNew: "NEW", NodeRunning: "RUNNING", NodeUnhealthy: "UNHEALTHY",
	NodeDecommissioned: "DECOMMISSIONED", NodeLost: "LOST", NodeRebooted: "REBOOTED",
	NodeDecommissioning: "DECOMMISSIONING", NodeShutdown: "SHUTDOWN",
}

// String is YARN's name of the state.
func (s NodeState) String() string {
	if name, ok := nodeStateNames[s]; ok {
		return name
	}
	return fmt.Sprintf("NodeState(%d)", int32(s))
}

// Usable reports whether containers on the node go on living.
func (s NodeState) Usable() bool {
	return s == NodeNew || s == NodeRunning || s == NodeDecommissioning || s == NodeUnhealthy
}

// NodeReport says that a node's state changed.
type NodeReport struct {
	Node         NodeID
	HTTPAddress  string
	Rack         string
	State        NodeState
	Capability   Resource
	Used         Resource
	HealthReport string
}

// NMToken allows one application attempt to talk to one NodeManager.
type NMToken struct {
	Node  NodeID
	Token hadoop.Token
}

// FinalStatus is an application's own verdict on how it ended.
type FinalStatus int32

// The final statuses; the numbers are YARN's.
const (
	FinalUndefined FinalStatus = 0 // not ended, or the application can't say
	FinalSucceeded FinalStatus = 1
	FinalFailed    FinalStatus = 2
	FinalKilled    FinalStatus = 3
	FinalEnded     FinalStatus = 4
)

// String is YARN's name of the status.
func (s FinalStatus) String() string {
	names := [...]string{"UNDEFINED", "SUCCEEDED", "FAILED", "KILLED", "ENDED"}
	if s >= 0 && int(s) < len(names) {
		return names[s]
	}
	return fmt.Sprintf("FinalStatus(%d)", int32(s))
}
