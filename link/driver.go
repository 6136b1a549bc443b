package link

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/link/linkpb"
)

// DriverService is what serves an application in the driver role; package executor implements it by target. Its methods
// are called concurrently. Their ctx ends with the link. An error's text reaches the application, which puts before it
// what it asked for and of which job: so neither is in it.
type DriverService interface {
	// Welcome gives the driver its configuration and says whether jobs run detached (Run returns after the submission).
	Welcome(ctx context.Context) (config map[string]string, detached bool, err error)
	// Submit hands a JobGraph over and returns its job id; for a definition and key that ran already, the earlier id.
	Submit(ctx context.Context, g *graph.JobGraph) (graph.JobID, error)
	// Await returns when the job has ended.
	Await(ctx context.Context, id graph.JobID) (*linkpb.JobResult, error)
	// Cancel asks for the job's cancellation.
	Cancel(ctx context.Context, id graph.JobID) error
}

// RemoteError is what the other end of a driver link answered: its own error's text.
type RemoteError struct {
	// Op is what was asked for; "" where the caller says that: of a job.
	Op      string
	Message string
}

func (e *RemoteError) Error() string {
	if e.Op == "" {
		return e.Message
	}
	return e.Op + ": " + e.Message
}

// ServeDriver serves the application at the other end of conn and returns nil when that has closed its end, or the cause
// of ctx's end. It closes conn.
func ServeDriver(ctx context.Context, conn net.Conn, s DriverService) error {
	return serve(ctx, conn, func(g *grpc.Server) {
		linkpb.RegisterDriverLinkServer(g, &driverServer{s: s})
	})
}

type driverServer struct {
	linkpb.UnimplementedDriverLinkServer
	s       DriverService
	greeted atomic.Bool
}

func (d *driverServer) Hello(ctx context.Context, h *linkpb.DriverHello) (*linkpb.DriverWelcome, error) {
	if err := CheckVersion("application", h.GetVersion()); err != nil {
		return nil, status.Error(codes.FailedPrecondition, err.Error())
	}
	config, detached, err := d.s.Welcome(ctx)
	if err != nil {
		return nil, toStatus(err)
	}
	d.greeted.Store(true)
	return &linkpb.DriverWelcome{Version: ThisVersion(), Config: config, Detached: detached}, nil
}

// ready refuses a call before Hello, and a malformed job id.
func (d *driverServer) ready(id []byte) (graph.JobID, error) {
	var job graph.JobID
	if !d.greeted.Load() {
		return job, status.Error(codes.FailedPrecondition, "the first call on the link has to be Hello")
	}
	if len(id) != len(job) {
		return job, status.Errorf(codes.InvalidArgument, "a job id has %d bytes, got %d", len(job), len(id))
	}
	copy(job[:], id)
	return job, nil
}

func (d *driverServer) Submit(ctx context.Context, r *linkpb.SubmitRequest) (*linkpb.SubmitResponse, error) {
	if _, err := d.ready(r.GetGraph().GetJobId()); err != nil {
		return nil, err
	}
	id, err := d.s.Submit(ctx, r.GetGraph())
	if err != nil {
		return nil, toStatus(err)
	}
	return &linkpb.SubmitResponse{JobId: id[:]}, nil
}

func (d *driverServer) Await(ctx context.Context, r *linkpb.AwaitRequest) (*linkpb.JobResult, error) {
	id, err := d.ready(r.GetJobId())
	if err != nil {
		return nil, err
	}
	result, err := d.s.Await(ctx, id)
	if err != nil {
		return nil, toStatus(err)
	}
	return result, nil
}

func (d *driverServer) Cancel(ctx context.Context, r *linkpb.CancelRequest) (*linkpb.CancelResponse, error) {
	id, err := d.ready(r.GetJobId())
	if err != nil {
		return nil, err
	}
	if err := d.s.Cancel(ctx, id); err != nil {
		return nil, toStatus(err)
	}
	return &linkpb.CancelResponse{}, nil
}

// toStatus carries an error's text over the link, and whether it was only a context's end.
func toStatus(err error) error {
	switch {
	case errors.Is(err, context.Canceled):
		return status.Error(codes.Canceled, err.Error())
	case errors.Is(err, context.DeadlineExceeded):
		return status.Error(codes.DeadlineExceeded, err.Error())
	}
	return status.Error(codes.Unknown, err.Error())
}

// fromStatus makes the client's error; ctx is the call's.
func fromStatus(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	s := status.Convert(err)
	if s.Code() == codes.Unavailable {
		return errLinkEnded
	}
	return &RemoteError{Message: s.Message()}
}

// DriverClient is the application's end of the driver link. It is safe for concurrent use.
type DriverClient struct {
	cc      *grpc.ClientConn
	conn    *endConn
	client  linkpb.DriverLinkClient
	welcome *linkpb.DriverWelcome
}

// ConnectDriver uses the inherited link of a process in the Driver role and exchanges versions (Hello). When the link
// ends other than by Close, the process exits: the driver must not outlive its `weft`.
func ConnectDriver(ctx context.Context) (*DriverClient, error) {
	conn, err := inheritedLink(Driver)
	if err != nil {
		return nil, err
	}
	return NewDriverClient(ctx, conn, linkEnded("weft process"))
}

// NewDriverClient is ConnectDriver over a given connection; ended is called once when the link ends other than by
// Close, and may be nil. It closes conn on an error.
func NewDriverClient(ctx context.Context, conn net.Conn, ended func(error)) (*DriverClient, error) {
	ec := &endConn{Conn: conn, ended: ended}
	cc, err := newClient(ec)
	if err != nil {
		ec.Close()
		return nil, fmt.Errorf("open the driver link: %w", err)
	}
	c := &DriverClient{cc: cc, conn: ec, client: linkpb.NewDriverLinkClient(cc)}
	c.welcome, err = c.client.Hello(ctx, &linkpb.DriverHello{Version: ThisVersion(), Platform: platform()})
	if err == nil {
		err = CheckVersion("weft process", c.welcome.GetVersion())
	} else {
		err = fmt.Errorf("open the driver link: %w", fromStatus(ctx, err))
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func platform() string { return runtime.GOOS + "/" + runtime.GOARCH }

// Config is the configuration that the driver got in Hello. It must not be changed.
func (c *DriverClient) Config() map[string]string { return c.welcome.GetConfig() }

// Detached says that Run is to return after the submission.
func (c *DriverClient) Detached() bool { return c.welcome.GetDetached() }

// Submit hands a JobGraph over. The id that comes back is the earlier run's if the cluster knows the graph's definition
// and key. What the other side refuses is a *RemoteError. Errors of Submit, Await and Cancel don't name the job.
func (c *DriverClient) Submit(ctx context.Context, g *graph.JobGraph) (graph.JobID, error) {
	var id graph.JobID
	r, err := c.client.Submit(ctx, &linkpb.SubmitRequest{Graph: g})
	if err != nil {
		return id, fromStatus(ctx, err)
	}
	if len(r.GetJobId()) != len(id) {
		return id, fmt.Errorf("the answer's job id has %d bytes", len(r.GetJobId()))
	}
	copy(id[:], r.GetJobId())
	return id, nil
}

// Await returns when the job has ended, whatever its status.
func (c *DriverClient) Await(ctx context.Context, id graph.JobID) (*linkpb.JobResult, error) {
	r, err := c.client.Await(ctx, &linkpb.AwaitRequest{JobId: id[:]})
	if err != nil {
		return nil, fromStatus(ctx, err)
	}
	return r, nil
}

// Cancel asks for the job's cancellation.
func (c *DriverClient) Cancel(ctx context.Context, id graph.JobID) error {
	_, err := c.client.Cancel(ctx, &linkpb.CancelRequest{JobId: id[:]})
	return fromStatus(ctx, err)
}

// Close ends the link; the process goes on.
func (c *DriverClient) Close() error {
	c.conn.expectEnd()
	return errors.Join(c.cc.Close(), closeConn(c.conn))
}
