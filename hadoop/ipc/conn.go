package ipc

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/weftstream/weft/hadoop"
	"github.com/weftstream/weft/hadoop/internal/pb"
	"github.com/weftstream/weft/hadoop/internal/wire"
)

// Defaults of Config.
const (
	DefaultCallTimeout = time.Minute
	DefaultMaxFrame    = 64 << 20
)

// Config says whom to call and as whom.
type Config struct {
	// Address is host:port of the server.
	Address string
	// Protocol is the full Java name of the protocol, such as
	// org.apache.hadoop.yarn.api.ApplicationMasterProtocolPB.
	Protocol string
	// Token authenticates the connection. Nil sends User unauthenticated.
	Token *hadoop.Token
	// User is the effective user of a connection without a token.
	User string
	// CallTimeout bounds Dial, and each call whose context has no nearer
	// deadline. Default a minute.
	CallTimeout time.Duration
	// MaxFrame bounds a reply in bytes. Default 64 MiB.
	MaxFrame int
	// Dial opens the connection. Default a plain net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Conn is one connection. It is safe for concurrent use.
type Conn struct {
	cfg      Config
	nc       net.Conn
	reader   *bufio.Reader
	clientID []byte
	done     chan struct{} // closed by the read loop when it has ended

	writeMu sync.Mutex // held over one frame

	mu    sync.Mutex // guards what follows; never held over I/O
	next  int32
	calls map[int32]chan<- reply
	err   error // why the connection is unusable
}

// reply is what the read loop hands to a waiting call: the encoded response, or
// why there is none.
type reply struct {
	body []byte
	err  error
}

// Dial connects and authenticates. The whole of it is bounded by ctx and
// Config.CallTimeout.
func Dial(ctx context.Context, cfg Config) (*Conn, error) {
	if cfg.CallTimeout <= 0 {
		cfg.CallTimeout = DefaultCallTimeout
	}
	if cfg.MaxFrame <= 0 {
		cfg.MaxFrame = DefaultMaxFrame
	}
	if cfg.Dial == nil {
		cfg.Dial = (&net.Dialer{}).DialContext
	}
	ctx, cancel := context.WithTimeout(ctx, cfg.CallTimeout)
	defer cancel()
	nc, err := cfg.Dial(ctx, "tcp", cfg.Address)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", cfg.Address, err)
	}
	c := &Conn{
		cfg: cfg, nc: nc, reader: bufio.NewReader(nc), clientID: make([]byte, 16),
		done: make(chan struct{}), calls: make(map[int32]chan<- reply),
	}
	rand.Read(c.clientID) // never fails
	// Ends a handshake that waits for the server.
	stop := context.AfterFunc(ctx, func() { nc.SetDeadline(time.Unix(1, 0)) })
	err = c.handshake()
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		nc.Close()
		if ctx.Err() != nil {
			err = fmt.Errorf("%w (%w)", ctx.Err(), err)
		}
		return nil, fmt.Errorf("connect to %s: %w", cfg.Address, err)
	}
	go c.readLoop()
	return c, nil
}

// Done is closed when the connection has ended and can't be used any more.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Close ends the connection and the calls under way, and waits for the reading
// goroutine. It may be called more than once.
func (c *Conn) Close() error {
	c.fail(net.ErrClosed)
	<-c.done
	return nil
}

// fail makes the connection unusable and ends the calls under way.
func (c *Conn) fail(cause error) {
	c.mu.Lock()
	calls := c.calls
	c.calls = nil
	if c.err == nil {
		c.err = cause
	}
	c.mu.Unlock()
	c.nc.Close()
	for _, ch := range calls {
		ch <- reply{err: lost(cause)}
	}
}

// lost wraps why a connection ended; what the server said of it stays as it is.
func lost(cause error) error {
	var remote *RemoteError
	if errors.As(cause, &remote) {
		return cause
	}
	return fmt.Errorf("%w: %w", ErrConnectionLost, cause)
}

// Call invokes a method and decodes its response into resp. It returns a
// *RemoteError if the server refused, ErrConnectionLost if the connection broke,
// and the context's error if it ended first; in the last two cases the server
// may have executed the call.
func (c *Conn) Call(ctx context.Context, method string, req, resp proto.Message) error {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.CallTimeout)
	defer cancel()
	id, ch, err := c.register()
	if err != nil {
		return fmt.Errorf("%s on %s: %w", method, c.cfg.Address, err)
	}
	if err := c.send(ctx, id, method, req); err != nil {
		c.forget(id)
		return fmt.Errorf("%s on %s: %w", method, c.cfg.Address, err)
	}
	select {
	case r := <-ch:
		return c.finish(method, r, resp)
	case <-ctx.Done():
		c.forget(id)
		return fmt.Errorf("%s on %s: wait for the reply: %w", method, c.cfg.Address, ctx.Err())
	}
}

func (c *Conn) finish(method string, r reply, resp proto.Message) error {
	var remote *RemoteError
	switch {
	case errors.As(r.err, &remote):
		own := *remote // several calls may share a fatal one
		own.Method = method
		return &own
	case r.err != nil:
		return fmt.Errorf("%s on %s: %w", method, c.cfg.Address, r.err)
	}
	if _, err := wire.Consume(r.body, resp); err != nil {
		return fmt.Errorf("%s on %s: %w", method, c.cfg.Address, err)
	}
	return nil
}

// register opens a call. The channel has room for its one reply, so that the
// read loop never waits for a caller.
func (c *Conn) register() (int32, <-chan reply, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return 0, nil, lost(c.err)
	}
	id := c.next
	c.next = (c.next + 1) & (1<<31 - 1) // negative ids are the connection's own
	ch := make(chan reply, 1)
	c.calls[id] = ch
	return id, ch, nil
}

func (c *Conn) forget(id int32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.calls, id)
}

// take removes a call that gets its reply now.
func (c *Conn) take(id int32) chan<- reply {
	c.mu.Lock()
	defer c.mu.Unlock()
	ch := c.calls[id]
	delete(c.calls, id)
	return ch
}

func (c *Conn) send(ctx context.Context, id int32, method string, req proto.Message) error {
	frame, err := wire.AppendFrame(nil, c.requestHeader(id, 0), &pb.RequestHeader{
		MethodName:                 proto.String(method),
		DeclaringClassProtocolName: proto.String(c.cfg.Protocol),
		ClientProtocolVersion:      proto.Uint64(1),
	}, req)
	if err != nil {
		return err
	}
	c.writeMu.Lock()
	defer c.writeMu.Unlock()
	if err := ctx.Err(); err != nil {
		return err // nothing was written, the connection stays good
	}
	deadline, _ := ctx.Deadline() // Call always sets one
	c.nc.SetWriteDeadline(deadline)
	if _, err := c.nc.Write(frame); err != nil {
		// Part of the frame may be out: nothing can follow it.
		c.fail(err)
		return lost(err)
	}
	return nil
}

func (c *Conn) requestHeader(id, retry int32) *pb.RpcRequestHeader {
	return &pb.RpcRequestHeader{
		RpcKind:    pb.RpcKind_RPC_PROTOCOL_BUFFER.Enum(),
		RpcOp:      pb.RpcOp_RPC_FINAL_PACKET.Enum(),
		CallId:     proto.Int32(id),
		ClientId:   c.clientID,
		RetryCount: proto.Int32(retry),
	}
}

// readLoop hands each reply to its call until the connection ends.
func (c *Conn) readLoop() {
	defer close(c.done)
	for {
		header, body, err := c.readReply()
		if err != nil {
			c.fail(err)
			return
		}
		remote := c.remoteError(header)
		if remote != nil && remote.Fatal {
			c.fail(remote)
			return
		}
		ch := c.take(int32(header.GetCallId()))
		switch {
		case ch == nil: // its caller has given up
		case remote != nil:
			ch <- reply{err: remote}
		default:
			ch <- reply{body: body}
		}
	}
}

func (c *Conn) readReply() (*pb.RpcResponseHeader, []byte, error) {
	frame, err := wire.ReadFrame(c.reader, c.cfg.MaxFrame)
	if err != nil {
		return nil, nil, err
	}
	header := &pb.RpcResponseHeader{}
	body, err := wire.Consume(frame, header)
	return header, body, err
}

// remoteError returns the failure in a reply's header, or nil.
func (c *Conn) remoteError(h *pb.RpcResponseHeader) *RemoteError {
	if h.GetStatus() == pb.RpcStatus_SUCCESS {
		return nil
	}
	e := &RemoteError{
		Address: c.cfg.Address, Method: "connect", Class: h.GetExceptionClassName(),
		Fatal: h.GetStatus() == pb.RpcStatus_FATAL, Detail: Detail(h.GetErrorDetail()),
	}
	e.Message, e.Stack = splitMessage(h.GetErrorMsg())
	return e
}
