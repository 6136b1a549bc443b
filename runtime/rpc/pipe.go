package rpc

import (
	"context"
	"fmt"
	"io"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/weftstream/weft/runtime/rpc/rpcpb"
)

// Pipe is the Connector to a Server in the same process, without TLS or TCP. Messages are copied.
func Pipe(s *Server) Connector { return pipeConnector{s} }

type pipeConnector struct{ s *Server }

// Connect implements Connector.
func (p pipeConnector) Connect(ctx context.Context, r *rpcpb.Register) (Conn, *rpcpb.Registered, error) {
	var session sync.WaitGroup
	t := transport{
		open: func(ctx context.Context) (clientStream, error) {
			return p.open(ctx, &session), nil
		},
		artifact:  p.s.openArtifact,
		close:     func() error { session.Wait(); return nil },
		translate: func(err error) error { return err },
	}
	conn, registered, err := connect(ctx, t, r)
	if err != nil {
		return nil, nil, fmt.Errorf("register with the JobManager in this process: %w", err)
	}
	return conn, registered, nil
}

// open starts the Server's session of a new stream.
func (p pipeConnector) open(ctx context.Context, session *sync.WaitGroup) clientStream {
	x := &pipe{
		up: make(chan *rpcpb.FromTaskManager), down: make(chan *rpcpb.ToTaskManager),
		upEnd: make(chan struct{}), gone: ctx.Done(), over: make(chan struct{}),
	}
	session.Go(func() {
		x.err = ended(io.EOF)
		if err := p.s.session(pipeServer{x}); err != nil && !isRejection(err) {
			x.err = err
		}
		close(x.over)
	})
	return pipeClient{x}
}

// pipe is one stream in memory. Nothing is buffered: a Send returns when the other side has the message.
type pipe struct {
	up    chan *rpcpb.FromTaskManager
	down  chan *rpcpb.ToTaskManager
	upEnd chan struct{}   // closed by CloseSend
	gone  <-chan struct{} // the TaskManager's end of the stream is given up
	over  chan struct{}   // closed when the session has returned
	err   error           // why; set before over is closed
}

type pipeServer struct{ *pipe }

func (p pipeServer) Send(m *rpcpb.ToTaskManager) error {
	select {
	case p.down <- proto.CloneOf(m):
		return nil
	case <-p.gone:
		return context.Canceled
	case <-p.over:
		return ErrClosed
	}
}

func (p pipeServer) Recv() (*rpcpb.FromTaskManager, error) {
	select {
	case m := <-p.up:
		return m, nil
	case <-p.upEnd:
		return nil, io.EOF
	case <-p.gone:
		return nil, context.Canceled
	case <-p.over:
		return nil, ErrClosed
	}
}

type pipeClient struct{ *pipe }

func (p pipeClient) Send(m *rpcpb.FromTaskManager) error {
	select {
	case p.up <- proto.CloneOf(m):
		return nil
	case <-p.gone:
		return context.Canceled
	case <-p.over:
		return io.EOF
	}
}

func (p pipeClient) Recv() (*rpcpb.ToTaskManager, error) {
	select {
	case m := <-p.down:
		return m, nil
	case <-p.gone:
		return nil, context.Canceled
	case <-p.over:
		return nil, p.err
	}
}

func (p pipeClient) CloseSend() error {
	close(p.upEnd)
	return nil
}
