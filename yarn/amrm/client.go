package amrm

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/weftstream/weft/hadoop"
	"github.com/weftstream/weft/hadoop/ipc"
	"github.com/weftstream/weft/hadoop/records"
	"github.com/weftstream/weft/yarn/internal/pb"
)

// Protocol is the name that YARN knows the protocol by.
const Protocol = "org.apache.hadoop.yarn.api.ApplicationMasterProtocolPB"

// Client makes single calls to the active YARN ResourceManager. It holds one
// connection, opened by the first call that needs it; a call that fails to
// reach an active YARN ResourceManager returns its error and the next one tries
// the next address. Methods may be called concurrently and run one after the
// other, as the protocol demands.
type Client struct {
	cfg  ClientConfig
	busy chan struct{} // holds one element while no call is under way

	// The rest belongs to whoever took the element from busy.
	conn      *ipc.Conn
	connToken hadoop.Token // the one conn was opened with
	address   int          // index of the address to use
	closed    bool

	mu    sync.Mutex // guards token; taken alone
	token hadoop.Token
}

// NewClient checks the configuration. It connects to nothing.
func NewClient(cfg ClientConfig) (*Client, error) {
	if len(cfg.Addresses) == 0 {
		return nil, errors.New("create AMRM client: no scheduler address of a YARN ResourceManager given")
	}
	if cfg.Token.IsZero() {
		return nil, errors.New("create AMRM client: no AMRMToken given (it is in the file that HADOOP_TOKEN_FILE_LOCATION names)")
	}
	if cfg.CallTimeout <= 0 {
		cfg.CallTimeout = 30 * time.Second
	}
	c := &Client{cfg: cfg, busy: make(chan struct{}, 1), token: cfg.Token}
	c.busy <- struct{}{}
	return c, nil
}

// SetToken replaces the AMRMToken. The next call opens a new connection with
// it; should that fail, the old one is used on.
func (c *Client) SetToken(token hadoop.Token) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.token = token
}

func (c *Client) currentToken() hadoop.Token {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.token
}

// Close waits for the call under way and closes the connection.
func (c *Client) Close() error {
	<-c.busy
	defer func() { c.busy <- struct{}{} }()
	c.closed = true
	c.disconnect()
	return nil
}

// Register introduces the application master. A second registration of one
// attempt is refused with ipc.ErrInvalidApplicationMasterRequest.
func (c *Client) Register(ctx context.Context, r Registration) (*RegisterResponse, error) {
	var reply pb.RegisterApplicationMasterResponse
	err := c.call(ctx, "registerApplicationMaster", &pb.RegisterApplicationMasterRequest{
		Host: proto.String(r.Host), RpcPort: proto.Int32(int32(r.RPCPort)), TrackingUrl: proto.String(r.TrackingURL),
	}, &reply)
	if err != nil {
		return nil, err
	}
	return &RegisterResponse{
		MaximumCapability: reply.GetMaximumCapability().Record(), Queue: reply.GetQueue(),
		Containers: pb.Records(reply.GetContainersFromPreviousAttempts()),
		NMTokens:   pb.Records(reply.GetNmTokensFromPreviousAttempts()),
	}, nil
}

// Allocate is the heartbeat. A new AMRMToken in the reply is adopted.
func (c *Client) Allocate(ctx context.Context, r AllocateRequest) (*AllocateResponse, error) {
	var reply pb.AllocateResponse
	if err := c.call(ctx, "allocate", r.wire(), &reply); err != nil {
		return nil, err
	}
	resp := allocateResponse(&reply)
	if !resp.AMRMToken.IsZero() && !resp.AMRMToken.Equal(c.currentToken()) {
		c.SetToken(resp.AMRMToken)
	}
	return resp, nil
}

// Finish reports the end of the application. It must be repeated until it
// returns true; only then may the process exit, or YARN may start another
// attempt.
func (c *Client) Finish(ctx context.Context, status records.FinalStatus, diagnostics, trackingURL string) (unregistered bool, err error) {
	var reply pb.FinishApplicationMasterResponse
	err = c.call(ctx, "finishApplicationMaster", &pb.FinishApplicationMasterRequest{
		Diagnostics: proto.String(diagnostics), TrackingUrl: proto.String(trackingURL),
		FinalApplicationStatus: pb.FinalApplicationStatus(status).Enum(),
	}, &reply)
	return reply.GetIsUnregistered(), err
}

func (c *Client) call(ctx context.Context, method string, req, resp proto.Message) error {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.CallTimeout)
	defer cancel()
	select {
	case <-c.busy:
		defer func() { c.busy <- struct{}{} }()
	case <-ctx.Done():
		return fmt.Errorf("%s: wait for another call: %w", method, ctx.Err())
	}
	if c.closed {
		return fmt.Errorf("%s: the client is closed", method)
	}
	if err := c.connect(ctx); err != nil {
		c.nextAddress()
		return fmt.Errorf("%s: %w", method, err)
	}
	err := c.conn.Call(ctx, method, req, resp)
	if err != nil && !answered(err) {
		c.disconnect()
		c.nextAddress()
	}
	return err
}

// answered reports whether err is an active YARN ResourceManager's own answer,
// which another connection wouldn't change.
func answered(err error) bool {
	var remote *ipc.RemoteError
	return errors.As(err, &remote) && !remote.Fatal && !errors.Is(err, ipc.ErrStandby)
}

// connect makes sure of a connection, if possible one with the newest token.
func (c *Client) connect(ctx context.Context) error {
	token := c.currentToken()
	if c.conn != nil {
		select {
		case <-c.conn.Done():
			c.disconnect() // it broke between the calls
		default:
			if c.connToken.Equal(token) {
				return nil
			}
		}
	}
	conn, err := ipc.Dial(ctx, ipc.Config{
		Address: c.cfg.Addresses[c.address], Protocol: Protocol, Token: &token,
		CallTimeout: c.cfg.CallTimeout, Dial: c.cfg.Dial,
	})
	if err != nil && c.conn != nil {
		// A connection outlives the token it was opened with.
		return nil
	}
	if err != nil {
		return err
	}
	c.disconnect()
	c.conn, c.connToken = conn, token
	return nil
}

func (c *Client) disconnect() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

func (c *Client) nextAddress() { c.address = (c.address + 1) % len(c.cfg.Addresses) }
