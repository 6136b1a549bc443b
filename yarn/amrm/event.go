package amrm

import (
	"fmt"

	"github.com/weftstream/weft/hadoop/records"
)

// Event is one of Registered, Allocated, Recovered, Completed, NodesUpdated,
// NMTokensReceived, SurplusReleased, WantsRefused, CallFailed and ShutdownRequested.
type Event interface {
	fmt.Stringer
	event()
}

// Registered is sent after each successful registration: the first one, and
// again after the YARN ResourceManager restarted or failed over.
type Registered struct {
	// Resync is true from the second registration on.
	Resync            bool
	Queue             string
	MaximumCapability records.Resource
	// Containers run since an earlier attempt of the application. Their
	// NMTokens were announced by NMTokensReceived just before.
	Containers []records.Container
	// ReplyLost tells that YARN had registered this attempt already and its
	// reply didn't arrive: the other fields are empty, whatever they should be.
	ReplyLost bool
}

// Allocated brings containers that a Want asked for, each once. The Want's
// count has been lowered by them already.
type Allocated struct {
	Containers []records.Container
}

// Recovered brings containers of an earlier attempt that YARN reported only
// after the registration.
type Recovered struct {
	Containers []records.Container
}

// Completed brings containers that ended, for whatever reason, including those
// that were released. A container may be reported more than once after the YARN
// ResourceManager restarted.
type Completed struct {
	Statuses []records.ContainerStatus
}

// NodesUpdated brings nodes whose state changed.
type NodesUpdated struct {
	Nodes []records.NodeReport
}

// NMTokensReceived brings tokens for NodeManagers, always before the containers
// that need them.
type NMTokensReceived struct {
	Tokens []records.NMToken
}

// SurplusReleased tells of containers that nobody wanted any more when they
// came. They have been released and never show up in Allocated or Completed.
type SurplusReleased struct {
	Containers []records.Container
}

// WantsRefused tells that YARN will never grant what these wants ask for, such
// as a capability above the cluster's maximum. They are not asked for any more.
type WantsRefused struct {
	Wants []Want
	Err   error
}

// CallFailed tells that a call failed and will be repeated.
type CallFailed struct {
	Err error
	// Failures counts the failed calls since the last one that succeeded.
	Failures int
}

// ShutdownRequested tells that YARN has ended the attempt: Run returns
// ErrShutdown next, and the process should exit.
type ShutdownRequested struct {
	Err error
}

func (Registered) event()        {}
func (Allocated) event()         {}
func (Recovered) event()         {}
func (Completed) event()         {}
func (NodesUpdated) event()      {}
func (NMTokensReceived) event()  {}
func (SurplusReleased) event()   {}
func (WantsRefused) event()      {}
func (CallFailed) event()        {}
func (ShutdownRequested) event() {}

func (e Registered) String() string {
	return fmt.Sprintf("registered in queue %s, maximum %s, resync %t, %d containers from previous attempts",
		e.Queue, e.MaximumCapability, e.Resync, len(e.Containers))
}
func (e Allocated) String() string       { return fmt.Sprintf("allocated %v", e.Containers) }
func (e Recovered) String() string       { return fmt.Sprintf("recovered %v", e.Containers) }
func (e Completed) String() string       { return fmt.Sprintf("completed %v", e.Statuses) }
func (e SurplusReleased) String() string { return fmt.Sprintf("released surplus %v", e.Containers) }

func (e NodesUpdated) String() string {
	s := "nodes updated"
	for _, n := range e.Nodes {
		s += fmt.Sprintf(" %s=%s", n.Node, n.State)
	}
	return s
}

func (e NMTokensReceived) String() string {
	s := "NMTokens for"
	for _, t := range e.Tokens {
		s += " " + t.Node.String()
	}
	return s
}

func (e WantsRefused) String() string { return fmt.Sprintf("refused %v: %v", e.Wants, e.Err) }

func (e CallFailed) String() string {
	return fmt.Sprintf("call failed %d times: %v", e.Failures, e.Err)
}

func (e ShutdownRequested) String() string { return fmt.Sprintf("shutdown requested: %v", e.Err) }
