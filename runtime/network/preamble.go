package network

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
)

// Dialer connects to the data port of a TaskManager.
type Dialer func(ctx context.Context, address string) (net.Conn, error)

// Version is the version of the data connection's protocol.
const Version = 1

// MaxResourceID is the number of bytes a resource id may have on the wire.
const MaxResourceID = 255

const magic = "WEFT"

// ErrPreamble is wrapped by the errors of ReadPreamble about what was read: the connection isn't from a task host, or is
// from one of another version.
var ErrPreamble = errors.New("not a data connection of this version")

// Preamble is what a dialling host sends first, in plain: enough for a TaskManager to find the job's task host. It proves
// nothing; the handshake that follows does.
//
//	magic "WEFT" | version 1 | job id 16 | length of resource id 1 | resource id
type Preamble struct {
	// Job is the job's id.
	Job [16]byte
	// Resource is the resource id of the dialling host's TaskManager.
	Resource string
}

// WritePreamble sends p with one Write.
func WritePreamble(w io.Writer, p Preamble) error {
	if len(p.Resource) == 0 || len(p.Resource) > MaxResourceID {
		return fmt.Errorf("write preamble: resource id %q has %d bytes, want 1 to %d", p.Resource, len(p.Resource), MaxResourceID)
	}
	b := append(make([]byte, 0, 22+len(p.Resource)), magic...)
	b = append(b, Version)
	b = append(b, p.Job[:]...)
	b = append(b, byte(len(p.Resource)))
	b = append(b, p.Resource...)
	if _, err := w.Write(b); err != nil {
		return fmt.Errorf("write preamble: %w", err)
	}
	return nil
}

// ReadPreamble reads a preamble and not a byte more. The caller sets the deadline on the connection.
func ReadPreamble(r io.Reader) (Preamble, error) {
	var p Preamble
	var head [22]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return p, fmt.Errorf("read preamble: %w", err)
	}
	if string(head[:4]) != magic {
		return p, fmt.Errorf("read preamble: begins with %q: %w", head[:4], ErrPreamble)
	}
	if head[4] != Version {
		return p, fmt.Errorf("read preamble: version %d, this side has %d: %w", head[4], Version, ErrPreamble)
	}
	copy(p.Job[:], head[5:21])
	resource, err := readText(r, head[21])
	if err != nil {
		return p, fmt.Errorf("read preamble: resource id: %w", err)
	}
	p.Resource = resource
	return p, nil
}

// readText reads a text of n bytes, at least one.
func readText(r io.Reader, n byte) (string, error) {
	if n == 0 {
		return "", fmt.Errorf("empty: %w", ErrPreamble)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		return "", err
	}
	return string(b), nil
}
