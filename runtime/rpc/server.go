package rpc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"github.com/weftstream/weft/runtime/rpc/rpcpb"
)

const (
	// maxMessage bounds a message of the stream; the largest one holds a JobGraph.
	maxMessage = 64 << 20

	// chunkSize is the size of the messages that carry an executable.
	chunkSize = 256 << 10

	// keepaliveTime and keepaliveTimeout are how long a silent connection is left alone, and how long it may then take
	// to prove that it lives. They find a dead node well before the heartbeat timeout.
	keepaliveTime    = 10 * time.Second
	keepaliveTimeout = 10 * time.Second
)

// ServerConfig is what a Server needs.
type ServerConfig struct {
	// Handler gets the TaskManagers; required.
	Handler Handler
	// TLS is the JobManager's mutual TLS configuration, from Authority.Issue and Leaf.ServerTLS; required by Serve,
	// unused by Pipe.
	TLS *tls.Config
	// Artifacts opens executables for TaskManagers; nil: there are none.
	Artifacts Artifacts
	// JobManager names this JobManager in logs of TaskManagers, usually host:port.
	JobManager string
	// HeartbeatInterval and HeartbeatTimeout hold for both directions; zero means the defaults.
	HeartbeatInterval, HeartbeatTimeout time.Duration
	// Log is where the server logs refused connections; slog.Default when nil.
	Log *slog.Logger
}

// Server is the JobManager's end of all its TaskManagers' registrations. It is safe for concurrent use.
type Server struct {
	c          ServerConfig
	peers      peers
	goroutines sync.WaitGroup // of the sessions

	mu     sync.Mutex
	grpc   *grpc.Server // of Serve
	closed bool
}

// NewServer checks c; it starts nothing.
func NewServer(c ServerConfig) (*Server, error) {
	if c.Handler == nil {
		return nil, errors.New("make the JobManager's rpc server: no handler")
	}
	if c.HeartbeatInterval == 0 {
		c.HeartbeatInterval = DefaultHeartbeatInterval
	}
	if c.HeartbeatTimeout == 0 {
		c.HeartbeatTimeout = DefaultHeartbeatTimeout
	}
	if c.HeartbeatInterval < time.Millisecond || c.HeartbeatTimeout <= c.HeartbeatInterval {
		return nil, fmt.Errorf("make the JobManager's rpc server: heartbeat.timeout (%s) has to be longer than "+
			"heartbeat.interval (%s), which has to be positive", c.HeartbeatTimeout, c.HeartbeatInterval)
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return &Server{c: c, peers: peers{all: map[*peer]struct{}{}, byID: map[string]*peer{}}}, nil
}

// Serve accepts TaskManagers on l with mutual TLS until Close, and then returns nil. It closes l. It is called at most
// once.
func (s *Server) Serve(l net.Listener) error {
	g, err := s.newGRPC()
	if err != nil {
		return errors.Join(err, l.Close())
	}
	if g == nil {
		return l.Close()
	}
	if err := g.Serve(l); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return fmt.Errorf("serve TaskManagers on %s: %w", l.Addr(), err)
	}
	return nil
}

// newGRPC makes the gRPC server; nil after Close.
func (s *Server) newGRPC() (*grpc.Server, error) {
	if s.c.TLS == nil {
		return nil, errors.New("serve TaskManagers: no TLS configuration")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.grpc != nil {
		return nil, errors.New("serve TaskManagers: already serving")
	}
	if s.closed {
		return nil, nil
	}
	s.grpc = grpc.NewServer(
		grpc.Creds(loggedTLS{credentials.NewTLS(s.c.TLS), s.c.Log}),
		grpc.MaxRecvMsgSize(maxMessage), grpc.MaxSendMsgSize(maxMessage),
		grpc.ConnectionTimeout(registerTimeout),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: keepaliveTime, Timeout: keepaliveTimeout}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: keepaliveTime / 2, PermitWithoutStream: true}),
		grpc.WaitForHandlers(true),
	)
	rpcpb.RegisterJobManagerServer(s.grpc, &service{s: s})
	return s.grpc, nil
}

// Close ends all registrations, tells the Handler, and waits for everything the server started.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	g := s.grpc
	s.mu.Unlock()

	s.peers.mu.Lock()
	s.peers.closed = true
	for p := range s.peers.all {
		p.Close("it shuts down")
	}
	s.peers.mu.Unlock()

	if g != nil {
		// Graceful, so that the last messages reach the sockets; artifacts that are being streamed may not hold it up.
		hard := time.AfterFunc(2*flushTimeout, g.Stop)
		g.GracefulStop()
		hard.Stop()
	}
	s.goroutines.Wait()
}

// openArtifact is the Artifacts of the configuration, which may be nil.
func (s *Server) openArtifact(ctx context.Context, sha256 [32]byte) (io.ReadCloser, error) {
	if s.c.Artifacts == nil {
		return nil, fmt.Errorf("%w: this JobManager serves none", ErrArtifactNotFound)
	}
	return s.c.Artifacts(ctx, sha256)
}

// service is the gRPC face of a Server.
type service struct {
	rpcpb.UnimplementedJobManagerServer
	s *Server
}

// Connect serves one TaskManager's stream.
func (v *service) Connect(st rpcpb.JobManager_ConnectServer) error {
	err := v.s.session(st)
	switch {
	case errors.Is(err, ErrClosed) || isRejection(err):
		return nil
	case errors.Is(err, ErrHeartbeat):
		return status.Error(codes.DeadlineExceeded, err.Error())
	case errors.Is(err, ErrReplaced), errors.Is(err, ErrSlowPeer):
		return status.Error(codes.Aborted, err.Error())
	}
	return status.Error(codes.Unavailable, err.Error())
}

// Artifact streams an executable.
func (v *service) Artifact(r *rpcpb.ArtifactRequest, st rpcpb.JobManager_ArtifactServer) error {
	var sum [32]byte
	if len(r.GetSha256()) != len(sum) {
		return status.Errorf(codes.InvalidArgument, "an artifact's SHA-256 has 32 bytes, got %d", len(r.GetSha256()))
	}
	copy(sum[:], r.GetSha256())
	f, err := v.s.openArtifact(st.Context(), sum)
	if errors.Is(err, ErrArtifactNotFound) {
		return status.Error(codes.NotFound, err.Error())
	}
	if err != nil {
		return status.Error(codes.Internal, err.Error())
	}
	defer f.Close()
	buffer := make([]byte, chunkSize)
	for {
		n, err := io.ReadFull(f, buffer)
		if n > 0 {
			if err := st.Send(&rpcpb.ArtifactChunk{Data: buffer[:n]}); err != nil {
				return err
			}
		}
		switch {
		case err == io.EOF || err == io.ErrUnexpectedEOF:
			return nil
		case err != nil:
			return status.Errorf(codes.Internal, "read artifact %x: %s", sum, err)
		}
	}
}

// loggedTLS logs the handshakes that fail, for whoever wonders why a TaskManager can't register.
type loggedTLS struct {
	credentials.TransportCredentials
	log *slog.Logger
}

func (l loggedTLS) ServerHandshake(c net.Conn) (net.Conn, credentials.AuthInfo, error) {
	secured, info, err := l.TransportCredentials.ServerHandshake(c)
	if err != nil {
		l.log.Warn("refused a connection to the JobManager", "remote", c.RemoteAddr().String(), "error", err)
	}
	return secured, info, err
}

func (l loggedTLS) Clone() credentials.TransportCredentials {
	return loggedTLS{l.TransportCredentials.Clone(), l.log}
}
