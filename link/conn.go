package link

import (
	"context"
	"errors"
	"net"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// maxMessage bounds a message of either link; the largest holds a JobGraph.
const maxMessage = 64 << 20

// endConn is a connection that tells, once, that it has ended otherwise than by Close.
type endConn struct {
	net.Conn
	ended func(error)

	mu   sync.Mutex
	over bool
}

func (c *endConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err != nil && c.finish() && c.ended != nil {
		c.ended(err)
	}
	return n, err
}

func (c *endConn) Close() error {
	c.finish()
	return c.Conn.Close()
}

// expectEnd says that the other side's end of the link is in order from now on.
func (c *endConn) expectEnd() { c.finish() }

// finish says whether this is the first to end c.
func (c *endConn) finish() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	first := !c.over
	c.over = true
	return first
}

// closeConn closes a connection that gRPC may have closed already, or may never have used.
func closeConn(c net.Conn) error {
	if err := c.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// newClient makes a gRPC client that uses conn and never another one.
func newClient(conn net.Conn) (*grpc.ClientConn, error) {
	var once sync.Once
	return grpc.NewClient("passthrough:///link",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) {
			err := errLinkEnded
			once.Do(func() { err = nil })
			if err != nil {
				return nil, err
			}
			return conn, nil
		}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage)),
		grpc.WithIdleTimeout(0), // a driver may compute for hours between two jobs
		grpc.WithDisableServiceConfig(), grpc.WithDisableRetry(), grpc.WithNoProxy(),
	)
}

var errLinkEnded = errors.New("the link has ended")

// oneListener is the listener of one connection that exists already. Accept returns it, and then waits for Close.
type oneListener struct {
	conn   chan net.Conn
	closed chan struct{}
	once   sync.Once
	addr   net.Addr
}

// servedConn closes gone when the server closes it, which it does when the other end has.
type servedConn struct {
	net.Conn
	gone chan struct{}
	once sync.Once
}

func (c *servedConn) Close() error {
	c.once.Do(func() { close(c.gone) })
	return c.Conn.Close()
}

func (l *oneListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conn:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *oneListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *oneListener) Addr() net.Addr { return l.addr }

// serve runs a gRPC server on conn until the other end closes it (nil) or ctx ends (its cause). Everything has ended and
// conn is closed when it returns.
func serve(ctx context.Context, conn net.Conn, register func(*grpc.Server)) error {
	served := &servedConn{Conn: conn, gone: make(chan struct{})}
	l := &oneListener{conn: make(chan net.Conn, 1), closed: make(chan struct{}), addr: conn.LocalAddr()}
	l.conn <- served
	g := grpc.NewServer(grpc.MaxRecvMsgSize(maxMessage), grpc.MaxSendMsgSize(maxMessage), grpc.WaitForHandlers(true))
	register(g)
	done := make(chan error, 1)
	go func() { done <- g.Serve(l) }()
	var err error
	select {
	case <-served.gone:
	case <-ctx.Done():
		err = context.Cause(ctx)
	case err = <-done:
		done <- nil
	}
	g.Stop()
	if serr := <-done; serr != nil && !errors.Is(serr, grpc.ErrServerStopped) && err == nil {
		err = serr
	}
	served.Close()
	return err
}
