package network

import (
	"bufio"
	"errors"
	"io"
	"net"
	"sync"
)

// maxQueued bounds the bytes that wait for a connection's writer; whoever sends more waits.
const maxQueued = 1 << 20

// readBuffer is the size of the buffer that a connection is read through.
const readBuffer = 64 << 10

// conn is what both kinds of connection share. mu guards what the embedding type says it guards; changed is signalled
// when the writer has something to do.
type conn struct {
	peer string

	mu      sync.Mutex
	changed sync.Cond
	net     net.Conn // nil until the dial has succeeded
	err     error    // set once: why the connection is over
}

func (c *conn) init(peer string) {
	c.peer = peer
	c.changed.L = &c.mu
}

// end makes err the connection's end and says whether it was the first; mu is held.
func (c *conn) end(err error) bool {
	if c.err != nil {
		return false
	}
	c.err = err
	if c.net != nil {
		c.net.Close()
	}
	c.changed.Broadcast()
	return true
}

func (c *conn) lost(err error) error {
	if errors.Is(err, ErrClosed) {
		return err
	}
	if err == io.EOF { //nolint:errorlint // a wrapped one is an error of its own: a handshake cut short, for instance
		err = errors.New("closed by the peer")
	}
	return &PeerLostError{Peer: c.peer, Cause: err}
}

// readHeader reads a header into buf; io.EOF means that the connection ended between two frames.
func readHeader(r *bufio.Reader, buf []byte) (header, error) {
	if _, err := io.ReadFull(r, buf); err != nil {
		return header{}, err
	}
	return parseHeader(buf)
}
