package host

import (
	"context"
	"io"
	"sync"

	"github.com/weftstream/weft/link/linkpb"
)

// pipeDepth is how many messages each direction of a Pipe holds.
const pipeDepth = 64

// Pipe is a link within a process. The host's side is the Link; the other side sends with Tell and receives with Events.
type Pipe struct {
	ctx      context.Context // ends both directions
	commands chan *linkpb.ToHost
	events   chan *linkpb.FromHost
	closing  sync.Once
	closed   chan struct{}
}

var _ Link = (*Pipe)(nil)

// NewPipe makes a link that ends with ctx at the latest; give Run the same one.
func NewPipe(ctx context.Context) *Pipe {
	return &Pipe{ctx: ctx, commands: make(chan *linkpb.ToHost, pipeDepth), events: make(chan *linkpb.FromHost, pipeDepth), closed: make(chan struct{})}
}

// Send is the host's: it blocks while the other side doesn't take its events.
func (p *Pipe) Send(m *linkpb.FromHost) error {
	select {
	case p.events <- m:
		return nil
	case <-p.closed:
		return io.EOF
	case <-p.ctx.Done():
		return p.ctx.Err()
	}
}

// Recv is the host's: it returns io.EOF after Close, once what had been told is read.
func (p *Pipe) Recv() (*linkpb.ToHost, error) {
	select {
	case m := <-p.commands:
		return m, nil
	default:
	}
	select {
	case m := <-p.commands:
		return m, nil
	case <-p.closed:
		return nil, io.EOF
	case <-p.ctx.Done():
		return nil, p.ctx.Err()
	}
}

// Tell sends m to the host. It blocks while the host is behind and returns an error once the pipe is closed. Messages are
// shared between both sides: neither changes one that it has sent or received.
func (p *Pipe) Tell(m *linkpb.ToHost) error {
	select {
	case p.commands <- m:
		return nil
	case <-p.closed:
		return io.ErrClosedPipe
	case <-p.ctx.Done():
		return p.ctx.Err()
	}
}

// Events yields what the host sends. It is to be read until Run returns or the pipe is closed, as the host waits for its
// reader; it is never closed itself.
func (p *Pipe) Events() <-chan *linkpb.FromHost { return p.events }

// Close ends the link: the host ends its tasks and returns. It may be called more than once.
func (p *Pipe) Close() { p.closing.Do(func() { close(p.closed) }) }
