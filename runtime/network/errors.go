package network

import (
	"errors"
	"fmt"
)

// Errors of this package that callers branch on.
var (
	// ErrClosed is returned by calls on an Exchange or a connection that this side has closed.
	ErrClosed = errors.New("exchange closed")
	// ErrHandshake is wrapped when the other side of a data connection could not prove the job key, or isn't the host
	// that was dialled. It isn't retried.
	ErrHandshake = errors.New("data connection refused")
	// ErrFrame is wrapped when a frame breaks the protocol: an unknown kind, a length out of bounds, a channel that isn't
	// open, more frames than were granted.
	ErrFrame = errors.New("malformed frame")
)

// PeerLostError says that the connection to another task host of the job broke, could not be made, or was closed by that
// host. It is a consequence: what happened to the peer is the cause.
type PeerLostError struct {
	// Peer is the resource id of the peer's TaskManager.
	Peer string
	// Cause is what the connection reported.
	Cause error
}

// Error names the peer and the cause.
func (e *PeerLostError) Error() string {
	return fmt.Sprintf("lost the data connection to task host %s: %v", e.Peer, e.Cause)
}

// Unwrap returns the cause.
func (e *PeerLostError) Unwrap() error { return e.Cause }
