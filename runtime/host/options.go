package host

import (
	"context"
	"log/slog"
	"net"

	"github.com/weftstream/weft/filesystem"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/runtime/network"
)

// Build makes the StreamGraph of the job definition of that name; params are the JSON of the JobGraph. Package stream
// provides it.
type Build func(definition string, params []byte) (*graph.StreamGraph, error)

// Link is the stream between a task host and its TaskManager, seen from the host: the client's side of
// linkpb.HostLink.Attach, or an in-process Pipe. Send and Recv are each called by one goroutine at a time, possibly both
// at once. Recv returns io.EOF when the TaskManager ends the stream, and it must return an error once the context given
// to Run has ended.
type Link interface {
	Send(*linkpb.FromHost) error
	Recv() (*linkpb.ToHost, error)
}

// DataListener yields the data connections that other hosts of the job dialled to this host's TaskManager. The preamble
// has been read from the connection and nothing else. Accept returns net.ErrClosed after Close.
type DataListener interface {
	Accept() (net.Conn, network.Preamble, error)
	Close() error
}

// Dialer connects to the data port of another TaskManager.
type Dialer = network.Dialer

// Options is what a task host is given besides its link.
type Options struct {
	// Build makes the job's graph; required.
	Build Build
	// Files returns the file systems that checkpoints go to; it is called after Build. Without it a checkpoint that has a
	// directory is declined.
	Files func() *filesystem.Set
	// Log is where the host logs; slog.Default when nil.
	Log *slog.Logger
	// Version goes into the host's hello.
	Version *linkpb.Version
	// Data yields data connections; nil when no other host will ever connect.
	Data DataListener
	// Dial connects to other hosts; nil for TCP.
	Dial Dialer
	// Process says that the host is a process of its own: the memory and processors of HostStart and HostLimits
	// are applied to the Go runtime.
	Process bool
}

// Run is the life of a task host. It returns nil after HostShutdown or the end of the link, and an error when the link
// broke, ctx ended, or the job could not be started (which was reported over the link, too). Everything the host started
// has ended when it returns; o.Data is closed, the link is not. User code that ignores its context keeps Run from
// returning: a TaskManager kills the process then, after task.cancellation.timeout.
func Run(ctx context.Context, link Link, o Options) error {
	return run(ctx, link, o)
}
