// Package rpc connects TaskManagers with their JobManager: one long-lived stream for each TaskManager, whose end is the
// end of the registration, and a second call that streams executables and cached files.
//
// The JobManager makes a Server with a Handler; for each registered TaskManager the Handler gets a Peer. A TaskManager
// has a Connector, which registers it and returns a Conn. There are two Connectors: Dial's (gRPC with mutual TLS, from
// certificates that an Authority of the cluster issued) and Pipe's (both ends in one process, for the MiniCluster).
// Both run the same session code, so that versions, order, bounds and heartbeats are the same.
//
// Goroutines: a Server has one reader and one writer for each Peer, a Conn has one reader and one writer; Server.Close
// and Conn.Close stop and join them. Nothing here reconnects: that is the TaskManager's policy.
package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/weftstream/weft/runtime/rpc/rpcpb"
)

var (
	// ErrClosed is returned by Send and Recv after Close, and for a connection whose other side said goodbye.
	ErrClosed = errors.New("connection closed")

	// ErrHeartbeat ends a connection whose other side was silent for the heartbeat timeout.
	ErrHeartbeat = errors.New("no heartbeat within the heartbeat timeout")

	// ErrSlowPeer ends a connection whose other side doesn't take messages, so that the bounded send queue is full.
	ErrSlowPeer = errors.New("peer is too slow: send queue is full")

	// ErrReplaced ends a connection whose TaskManager has registered again over a newer one.
	ErrReplaced = errors.New("replaced by a newer registration of the same TaskManager")

	// ErrArtifactNotFound is returned by Conn.Artifact if the JobManager doesn't have the file.
	ErrArtifactNotFound = errors.New("artifact not found")
)

// RejectedError says that the JobManager refused a registration. Registering again with the same data is no use.
type RejectedError struct{ Reason string }

func (e *RejectedError) Error() string {
	return fmt.Sprintf("the JobManager rejected the registration: %s", e.Reason)
}

// Defaults of the heartbeat, as in Flink (heartbeat.interval, heartbeat.timeout).
const (
	DefaultHeartbeatInterval = 10 * time.Second
	DefaultHeartbeatTimeout  = 50 * time.Second
)

// Peer is the JobManager's view of a registered TaskManager. It is safe for concurrent use.
type Peer interface {
	// ResourceID is the id that the TaskManager registered with: the container's on YARN.
	ResourceID() string
	// Send queues a message and never blocks. Messages arrive in the order of Send, after Registered. If the queue is
	// full the peer is given up: the result wraps ErrSlowPeer and Disconnected follows. The message must not be changed
	// afterwards.
	Send(*rpcpb.ToTaskManager) error
	// Close ends the registration without waiting; Disconnected follows. Messages still queued may be lost.
	Close(reason string)
}

// Handler is what the JobManager does with its TaskManagers. For one Peer the calls come in order from one goroutine:
// Connected, then Messages, then Disconnected exactly once. Calls for different Peers are concurrent. A call that
// blocks holds up its own Peer only.
type Handler interface {
	// Connected accepts a TaskManager, or rejects it with an error that the TaskManager gets to read. The Handler may
	// Send to the Peer from here on. Of two registrations with the same resource id the older one has been
	// Disconnected before the newer is Connected.
	Connected(Peer, *rpcpb.Register) error
	// Message delivers what the TaskManager sent, heartbeats included.
	Message(Peer, *rpcpb.FromTaskManager)
	// Disconnected says that the registration has ended, and why. It is not called for a rejected TaskManager.
	Disconnected(Peer, error)
}

// Artifacts opens the executables and cached files that a JobManager serves, by their SHA-256. An unknown one is an error that wraps
// ErrArtifactNotFound.
type Artifacts func(ctx context.Context, sha256 [32]byte) (io.ReadCloser, error)

// Connector registers a TaskManager with its JobManager.
type Connector interface {
	// Connect registers and returns the connection, which lives until Close or until either side ends it; ctx bounds
	// the registration only. A registration that the JobManager refused is a *RejectedError.
	Connect(ctx context.Context, r *rpcpb.Register) (Conn, *rpcpb.Registered, error)
}

// Conn is the TaskManager's end of its registration. Send is safe for concurrent use; Recv is for one goroutine.
type Conn interface {
	// Send queues a message; it waits while the bounded queue is full and returns an error once the connection has
	// ended. The message must not be changed afterwards.
	Send(*rpcpb.FromTaskManager) error
	// Recv waits for the next message. Pings are not delivered. After the end it returns why.
	Recv() (*rpcpb.ToTaskManager, error)
	// Artifact streams an executable or cached file by its SHA-256; the content is not checked here. The caller closes the reader.
	Artifact(ctx context.Context, sha256 [32]byte) (io.ReadCloser, error)
	// Close ends the registration and waits for the connection's goroutines.
	Close() error
}
