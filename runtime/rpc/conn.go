package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/weftstream/weft/runtime/rpc/rpcpb"
)

// outgoing bounds the messages that a TaskManager has queued for its JobManager; Send waits beyond it.
const outgoing = 256

// connectTimeout bounds the establishment of a connection and the wait for the answer to Register.
const connectTimeout = 30 * time.Second

// clientStream is the TaskManager's end of one stream: gRPC's or the pipe's.
type clientStream interface {
	Send(*rpcpb.FromTaskManager) error
	Recv() (*rpcpb.ToTaskManager, error)
	CloseSend() error
}

// transport is what a Conn runs on.
type transport struct {
	// open opens the stream; ctx is the stream's life.
	open func(ctx context.Context) (clientStream, error)
	// artifact streams an executable.
	artifact Artifacts
	// close ends what open needed, after the stream has ended.
	close func() error
	// translate turns an error of the stream into one for callers.
	translate func(error) error
}

// conn implements Conn over a transport.
type conn struct {
	t      transport
	stream clientStream
	cancel context.CancelFunc // of the stream

	out      chan *rpcpb.FromTaskManager
	in       chan *rpcpb.ToTaskManager
	ended    chan struct{} // closed by end
	closing  chan struct{} // closed by Close
	received chan struct{} // closed when the reader has ended
	wg       sync.WaitGroup
	once     sync.Once

	mu    sync.Mutex
	cause error
}

// connect registers over t and starts the connection's goroutines.
func connect(ctx context.Context, t transport, r *rpcpb.Register) (Conn, *rpcpb.Registered, error) {
	ctx, stopTimeout := context.WithTimeoutCause(ctx, connectTimeout,
		fmt.Errorf("no answer within %s", connectTimeout))
	defer stopTimeout()
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	detach := context.AfterFunc(ctx, cancel)
	c, answer, err := register(life, t, r)
	if err == nil && !detach() { // ctx ended in the last moment
		err = context.Cause(ctx)
	}
	if err != nil {
		if ctx.Err() != nil && errors.Is(err, context.Canceled) {
			err = context.Cause(ctx)
		}
		cancel()
		return nil, nil, errors.Join(err, t.close())
	}
	c.cancel = cancel
	c.start(time.Duration(answer.GetHeartbeatTimeoutMs()) * time.Millisecond)
	return c, answer, nil
}

func register(life context.Context, t transport, r *rpcpb.Register) (*conn, *rpcpb.Registered, error) {
	st, err := t.open(life)
	if err != nil {
		return nil, nil, t.translate(err)
	}
	// io.EOF says that the stream has ended; Recv knows why.
	err = st.Send(&rpcpb.FromTaskManager{Message: &rpcpb.FromTaskManager_Register{Register: r}})
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, nil, t.translate(err)
	}
	m, err := st.Recv()
	if err != nil {
		return nil, nil, t.translate(err)
	}
	if x := m.GetRejected(); x != nil {
		return nil, nil, &RejectedError{x.GetReason()}
	}
	if m.GetRegistered() == nil {
		return nil, nil, fmt.Errorf("the JobManager answered the registration with %T", m.GetMessage())
	}
	return &conn{
		t: t, stream: st,
		out: make(chan *rpcpb.FromTaskManager, outgoing), in: make(chan *rpcpb.ToTaskManager),
		ended: make(chan struct{}), closing: make(chan struct{}), received: make(chan struct{}),
	}, m.GetRegistered(), nil
}

func (c *conn) start(timeout time.Duration) {
	if timeout <= 0 {
		timeout = DefaultHeartbeatTimeout
	}
	c.wg.Add(2)
	go func() {
		defer c.wg.Done()
		defer close(c.received)
		c.read(timeout)
	}()
	go func() {
		defer c.wg.Done()
		c.write()
	}()
}

// read is the reader's goroutine.
func (c *conn) read(timeout time.Duration) {
	silence := time.AfterFunc(timeout, func() {
		c.end(fmt.Errorf("%w of %s from the JobManager", ErrHeartbeat, timeout))
	})
	defer silence.Stop()
	for {
		m, err := c.stream.Recv()
		if err != nil {
			c.end(c.t.translate(err))
			return
		}
		silence.Stop() // the time that Recv's caller takes is not the JobManager's silence
		if m.GetPing() == nil {
			select {
			case c.in <- m:
			case <-c.ended:
				return
			}
		}
		silence.Reset(timeout)
	}
}

// write is the writer's goroutine. After Close it writes what is queued.
func (c *conn) write() {
	for {
		select {
		case m := <-c.out:
			if !c.send(m) {
				return
			}
			continue
		case <-c.ended:
			return
		case <-c.closing:
		}
		for {
			select {
			case m := <-c.out:
				if !c.send(m) {
					return
				}
				continue
			default:
			}
			if err := c.stream.CloseSend(); err != nil {
				c.end(c.t.translate(err))
			}
			return
		}
	}
}

// send writes one message; false: the stream has ended, and the reader learns why.
func (c *conn) send(m *rpcpb.FromTaskManager) bool {
	err := c.stream.Send(m)
	if err != nil && !errors.Is(err, io.EOF) {
		c.end(c.t.translate(err))
	}
	return err == nil
}

// Send implements Conn.
func (c *conn) Send(m *rpcpb.FromTaskManager) error {
	select {
	case <-c.ended:
		return fmt.Errorf("send to the JobManager: %w", c.why())
	case <-c.closing:
		return fmt.Errorf("send to the JobManager: %w", ErrClosed)
	default:
	}
	select {
	case c.out <- m:
		return nil
	case <-c.ended:
		return fmt.Errorf("send to the JobManager: %w", c.why())
	case <-c.closing:
		return fmt.Errorf("send to the JobManager: %w", ErrClosed)
	}
}

// Recv implements Conn.
func (c *conn) Recv() (*rpcpb.ToTaskManager, error) {
	select {
	case m := <-c.in:
		return m, nil
	case <-c.ended:
		return nil, fmt.Errorf("receive from the JobManager: %w", c.why())
	}
}

// Artifact implements Conn.
func (c *conn) Artifact(ctx context.Context, sha256 [32]byte) (io.ReadCloser, error) {
	return c.t.artifact(ctx, sha256)
}

// Close implements Conn.
func (c *conn) Close() error {
	var err error
	c.once.Do(func() {
		close(c.closing)
		// In good order the JobManager ends the stream once it has read everything up to our end of it.
		select {
		case <-c.received:
		case <-c.ended:
		case <-time.After(flushTimeout):
		}
		c.end(ErrClosed)
		c.cancel()
		c.wg.Wait()
		err = c.t.close()
	})
	return err
}

// end ends the connection; the first cause stays.
func (c *conn) end(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause == nil {
		c.cause = cause
		close(c.ended)
		c.cancel()
	}
}

func (c *conn) why() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cause
}
