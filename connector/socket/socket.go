// Package socket is a source of the lines that a TCP server sends, for trying things out. It can't be replayed: a job that
// starts again from a checkpoint connects anew, and lines that came between the checkpoint and the failure are lost to it,
// whatever the job's guarantees are otherwise.
package socket

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/weftstream/weft/stream"
)

const (
	// queued bounds the lines that wait for the subtask; the connection waits when there are more.
	queued = 1024
	// maxLine bounds a line in bytes.
	maxLine     = 1 << 20
	dialTimeout = 30 * time.Second
)

// Lines connects to a TCP server at host:port and reads lines, without their ends, until the server closes the connection.
// One subtask reads, the others have nothing to do.
func Lines(address string) stream.Source[string] { return source{address} }

type source struct{ address string }

func (s source) String() string { return "Socket" }

// Bounded: nobody knows whether the server will ever close the connection.
func (source) Bounded() bool { return false }

func (s source) Splits(_ *stream.Runtime, snapshot []byte) (stream.Splits, error) {
	if _, _, err := net.SplitHostPort(s.address); err != nil {
		return nil, fmt.Errorf("read lines from a socket: %w; an address is host:port", err)
	}
	return &one{given: len(snapshot) != 0}, nil
}

// connection is the only split, and the snapshot of one that has been given.
const connection = 1

// one gives the connection to the reader that asks first.
type one struct{ given bool }

func (o *one) Next(int) ([]byte, bool, error) {
	if o.given {
		return nil, false, nil
	}
	o.given = true
	return []byte{connection}, true, nil
}

func (o *one) TakeBack(splits [][]byte) {
	if len(splits) != 0 {
		o.given = false
	}
}

func (o *one) Snapshot() ([]byte, error) {
	if o.given {
		return []byte{connection}, nil
	}
	return nil, nil
}

func (s source) Open(rt *stream.Runtime) (stream.SourceReader[string], error) {
	return &reader{rt: rt, address: s.address, lines: make(chan string, queued)}, nil
}

// reader owns one goroutine, which reads the connection and ends with it; Close closes the connection and joins it.
type reader struct {
	rt      *stream.Runtime
	address string
	conn    net.Conn
	lines   chan string // closed by the goroutine
	err     error       // written before lines is closed
	quit    chan struct{}
	done    sync.WaitGroup
	ended   bool // the server closed the connection, and all lines were emitted
	line    string
}

// Add connects.
func (r *reader) Add([]byte) error {
	if r.conn != nil {
		return nil // there is one connection
	}
	ctx, stop := context.WithTimeout(r.rt.Context(), dialTimeout)
	defer stop()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", r.address)
	if err != nil {
		return fmt.Errorf("read lines from a socket: %w", err)
	}
	r.conn, r.quit = conn, make(chan struct{})
	r.done.Go(r.read)
	return nil
}

func (r *reader) read() {
	defer r.rt.Wake()
	defer close(r.lines)
	in := bufio.NewScanner(r.conn)
	in.Buffer(nil, maxLine)
	for in.Scan() {
		select {
		case r.lines <- in.Text():
			r.rt.Wake()
		case <-r.quit:
			return
		}
	}
	if err := in.Err(); err != nil && !errors.Is(err, io.EOF) {
		r.err = fmt.Errorf("read lines from socket %s: %w", r.address, err)
	}
}

func (r *reader) Poll(max int, emit func(v *string, t stream.Time)) (bool, error) {
	for range max {
		select {
		case line, more := <-r.lines:
			if !more {
				r.ended = true
				return false, r.err
			}
			r.line = line
			emit(&r.line, stream.NoTime)
		default:
			return true, nil
		}
	}
	return true, nil
}

// Snapshot is the connection, not what came over it; nothing once it has ended.
func (r *reader) Snapshot() ([][]byte, error) {
	if r.conn == nil || r.ended {
		return nil, nil
	}
	return [][]byte{{connection}}, nil
}

// Close ends the connection.
func (r *reader) Close() error {
	if r.conn == nil {
		return nil
	}
	close(r.quit)
	err := r.conn.Close()
	r.done.Wait()
	r.conn = nil
	return err
}
