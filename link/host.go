package link

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/weftstream/weft/link/linkpb"
)

// HostClient is a task host's end of the host link: it satisfies runtime/host's Link. Send and Recv may be called by one
// goroutine each.
type HostClient struct {
	cc     *grpc.ClientConn
	conn   *endConn
	stream linkpb.HostLink_AttachClient
	cancel context.CancelFunc
}

// AttachHost uses the inherited link of a process in the TaskHost role. When the link ends other than by Close, the
// process exits. The stream ends with ctx. The first message has to be HostHello.
func AttachHost(ctx context.Context) (*HostClient, error) {
	conn, err := inheritedLink(TaskHost)
	if err != nil {
		return nil, err
	}
	return NewHostClient(ctx, conn, linkEnded("TaskManager"))
}

// NewHostClient is AttachHost over a given connection; ended is called once when the link ends other than by Close, and
// may be nil. It closes conn on an error.
func NewHostClient(ctx context.Context, conn net.Conn, ended func(error)) (*HostClient, error) {
	ec := &endConn{Conn: conn, ended: ended}
	cc, err := newClient(ec)
	if err != nil {
		ec.Close()
		return nil, fmt.Errorf("attach to the TaskManager: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	stream, err := linkpb.NewHostLinkClient(cc).Attach(ctx)
	if err != nil {
		cancel()
		ec.expectEnd()
		return nil, errors.Join(fmt.Errorf("attach to the TaskManager: %w", err), cc.Close(), closeConn(ec))
	}
	return &HostClient{cc: cc, conn: ec, stream: stream, cancel: cancel}, nil
}

// Send sends to the TaskManager; io.EOF says that the stream has ended and Recv knows why.
func (c *HostClient) Send(m *linkpb.FromHost) error { return c.stream.Send(m) }

// Recv waits for the next message; io.EOF when the TaskManager ended the stream.
func (c *HostClient) Recv() (*linkpb.ToHost, error) {
	m, err := c.stream.Recv()
	if err == nil || errors.Is(err, io.EOF) {
		return m, err
	}
	if s := status.Convert(err); s.Code() == codes.FailedPrecondition {
		return nil, &RemoteError{Op: "attach to the TaskManager", Message: s.Message()}
	}
	return nil, fmt.Errorf("receive from the TaskManager: %w", err)
}

// Close ends the link; the process goes on.
func (c *HostClient) Close() error {
	c.conn.expectEnd()
	c.cancel()
	return errors.Join(c.cc.Close(), closeConn(c.conn))
}

// HostStream is the TaskManager's end of an attached task host. Send and Recv may be called by one goroutine each.
type HostStream struct {
	stream linkpb.HostLink_AttachServer
	hello  *linkpb.HostHello
}

// Hello is what the host said of itself. Its version was checked.
func (s *HostStream) Hello() *linkpb.HostHello { return s.hello }

// Send sends to the host. It waits while the host doesn't take messages and returns an error once the host is gone.
func (s *HostStream) Send(m *linkpb.ToHost) error { return s.stream.Send(m) }

// Recv waits for the next message; io.EOF when the host ended its stream.
func (s *HostStream) Recv() (*linkpb.FromHost, error) { return s.stream.Recv() }

// ServeHost serves the task host at the other end of conn: once it has attached and its version was checked, serve is
// called, and the stream ends when that returns. ServeHost returns when the host has closed its end of conn (nil), with
// the cause of ctx's end, or with a *VersionError. It closes conn.
func ServeHost(ctx context.Context, conn net.Conn, attached func(*HostStream) error) error {
	h := &hostServer{attached: attached}
	err := serve(ctx, conn, func(g *grpc.Server) { linkpb.RegisterHostLinkServer(g, h) })
	h.mu.Lock()
	defer h.mu.Unlock()
	return errors.Join(h.refused, err)
}

type hostServer struct {
	linkpb.UnimplementedHostLinkServer
	attached func(*HostStream) error

	mu      sync.Mutex
	used    bool
	refused error
}

func (h *hostServer) Attach(st linkpb.HostLink_AttachServer) error {
	h.mu.Lock()
	again := h.used
	h.used = true
	h.mu.Unlock()
	if again {
		return status.Error(codes.FailedPrecondition, "a task host attaches once")
	}
	first, err := st.Recv()
	if err != nil {
		return err
	}
	hello := first.GetHello()
	if hello == nil {
		return status.Error(codes.FailedPrecondition, "the first message on the link has to be HostHello")
	}
	if err := CheckVersion("application", hello.GetVersion()); err != nil {
		h.mu.Lock()
		h.refused = err
		h.mu.Unlock()
		return status.Error(codes.FailedPrecondition, err.Error())
	}
	return h.attached(&HostStream{stream: st, hello: hello})
}
