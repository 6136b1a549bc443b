package taskmanager

import (
	"context"
	"net"

	"google.golang.org/protobuf/proto"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/link/linkpb"
)

// Limits bound a task host.
type Limits struct {
	// Memory is the budget in bytes; 0 = unlimited.
	Memory int64
	// Processors is GOMAXPROCS; 0 = all.
	Processors int
}

// HostSpec says which task host to start.
type HostSpec struct {
	// JobID and JobName name the job.
	JobID   graph.JobID
	JobName string
	// Executable is the application's path; "" for an in-process host.
	Executable string
	// Start is the first message to the host. The starter sends a copy that has the host's memory, processors and
	// temporary directory.
	Start *linkpb.HostStart
	// Limits returns the present limits: they grow while slots are being allocated, so a starter asks as late as it can.
	Limits func() Limits
}

// start is the first message to a host.
func (s HostSpec) start(l Limits, tempDir string) *linkpb.ToHost {
	m := proto.CloneOf(s.Start)
	m.Memory, m.Processors, m.TempDir = l.Memory, int32(l.Processors), tempDir
	return &linkpb.ToHost{Message: &linkpb.ToHost_Start{Start: m}}
}

// HostStarter starts the task host of a job: a process, or in-process for the MiniCluster. It is safe for concurrent use.
type HostStarter interface {
	// Start returns when the host has been started; it need not be attached yet. The host outlives ctx, which bounds the
	// start only.
	Start(ctx context.Context, spec HostSpec) (Host, error)
}

// Host is a running task host. Its methods are safe for concurrent use; Send is called by one goroutine.
type Host interface {
	// Send sends to the host, in order, after HostStart. It waits until the host has attached and takes the message, and
	// returns an error once the host has ended.
	Send(*linkpb.ToHost) error
	// Events yields what the host reports, in order. The last one is HostExit; then the channel is closed. It has to be
	// read until then.
	Events() <-chan *linkpb.FromHost
	// PassConn hands a data connection over with the bytes that were read from it; conn belongs to the Host then, even
	// on an error. It may wait for a host that is busy, for seconds at most.
	PassConn(conn net.Conn, preamble []byte) error
	// SetLimits raises the limits that the host can't pass; those of its Go runtime travel by Send, as HostLimits. It
	// doesn't block.
	SetLimits(Limits)
	// Resident is the host's resident memory in bytes; 0 if it has no process of its own. It doesn't block.
	Resident() int64
	// Kill ends the host without waiting for it; HostExit follows.
	Kill()
}
