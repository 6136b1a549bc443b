package rpc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"github.com/weftstream/weft/runtime/rpc/rpcpb"
)

// Dial is the Connector to the JobManager at address (host:port), with the TaskManager's mutual TLS configuration from
// Leaf.ClientTLS. Every Connect makes a connection of its own; nothing is retried.
func Dial(address string, c *tls.Config) Connector { return &dialer{address, c} }

type dialer struct {
	address string
	tls     *tls.Config
}

// Connect implements Connector.
func (d *dialer) Connect(ctx context.Context, r *rpcpb.Register) (Conn, *rpcpb.Registered, error) {
	cc, err := grpc.NewClient("passthrough:///"+d.address,
		grpc.WithTransportCredentials(credentials.NewTLS(d.tls)),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{
			Time: keepaliveTime, Timeout: keepaliveTimeout, PermitWithoutStream: true,
		}),
		grpc.WithDisableServiceConfig(), grpc.WithDisableRetry(), grpc.WithNoProxy(),
	)
	if err != nil {
		return nil, nil, fmt.Errorf("register with the JobManager at %s: %w", d.address, err)
	}
	client := rpcpb.NewJobManagerClient(cc)
	t := transport{
		open:      func(ctx context.Context) (clientStream, error) { return client.Connect(ctx) },
		artifact:  func(ctx context.Context, sum [32]byte) (io.ReadCloser, error) { return openArtifact(ctx, client, sum) },
		close:     cc.Close,
		translate: fromStatus,
	}
	conn, registered, err := connect(ctx, t, r)
	if err != nil {
		return nil, nil, fmt.Errorf("register with the JobManager at %s: %w", d.address, err)
	}
	return conn, registered, nil
}

// fromStatus gives the sentinel back that the server turned into a code, and drops gRPC's own wording.
func fromStatus(err error) error {
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%w by the JobManager", ErrClosed)
	}
	s, ok := status.FromError(err)
	if !ok {
		return err
	}
	switch s.Code() {
	case codes.Canceled:
		return fmt.Errorf("%w (%s)", context.Canceled, s.Message())
	case codes.NotFound:
		return fmt.Errorf("%w: %s", ErrArtifactNotFound, s.Message())
	case codes.Unavailable:
		return fmt.Errorf("connection to the JobManager lost or refused: %s", s.Message())
	}
	return fmt.Errorf("the JobManager ended the connection: %s", s.Message())
}

// openArtifact waits for the first chunk, so that an unknown artifact is known at once.
func openArtifact(ctx context.Context, client rpcpb.JobManagerClient, sum [32]byte) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancel(ctx)
	st, err := client.Artifact(ctx, &rpcpb.ArtifactRequest{Sha256: sum[:]})
	if err != nil {
		cancel()
		return nil, fmt.Errorf("fetch artifact %x from the JobManager: %w", sum, fromStatus(err))
	}
	r := &artifactReader{stream: st, cancel: cancel, sum: sum}
	if r.fill(); r.err != nil && !errors.Is(r.err, io.EOF) {
		cancel()
		return nil, r.err
	}
	return r, nil
}

// artifactReader reads a stream of chunks.
type artifactReader struct {
	stream rpcpb.JobManager_ArtifactClient
	cancel context.CancelFunc
	sum    [32]byte
	rest   []byte
	err    error
}

// fill waits for the next chunk if the last one is used up.
func (r *artifactReader) fill() {
	for len(r.rest) == 0 && r.err == nil {
		chunk, err := r.stream.Recv()
		switch {
		case errors.Is(err, io.EOF):
			r.err = io.EOF
		case err != nil:
			r.err = fmt.Errorf("fetch artifact %x from the JobManager: %w", r.sum, fromStatus(err))
		default:
			r.rest = chunk.GetData()
		}
	}
}

// Read implements io.Reader.
func (r *artifactReader) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	r.fill()
	if len(r.rest) == 0 {
		return 0, r.err
	}
	n := copy(b, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// Close ends the stream.
func (r *artifactReader) Close() error {
	r.cancel()
	return nil
}
