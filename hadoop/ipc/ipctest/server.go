// Package ipctest is a server of Hadoop IPC for tests: the real wire with SASL
// token login, and a handler that may fail, drop or delay any call. The
// in-memory YARN of package yarntest is built on it.
//
// Server owns one goroutine that accepts, one per connection and one per call;
// Close ends and joins them all.
package ipctest

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/weftstream/weft/hadoop/internal/pb"
	"github.com/weftstream/weft/hadoop/internal/wire"
	"github.com/weftstream/weft/hadoop/ipc"
)

var (
	// ErrDrop returned by a handler closes the connection without a reply, as
	// if the server had died after executing the call.
	ErrDrop = errors.New("drop the connection")
	// ErrSilence returned by a handler sends no reply and keeps the connection.
	ErrSilence = errors.New("send no reply")
)

// Request is one call.
type Request struct {
	Method, Protocol string
	// Identifier is that of the token the connection was opened with, nil
	// without one. User is the name such a connection gave.
	Identifier []byte
	User       string
	Body       []byte
}

// Decode decodes the call's message.
func (r *Request) Decode(m proto.Message) error { return proto.Unmarshal(r.Body, m) }

// Config configures a Server.
type Config struct {
	// Address to listen on. Default 127.0.0.1:0.
	Address string
	// Password returns the password of a token identifier; an error is sent as
	// the exception it holds (see Exception). Nil lets anybody in by user name.
	Password func(identifier []byte) ([]byte, error)
	// Handle executes a call. Calls of one connection run concurrently. An
	// *ipc.RemoteError is sent as it is, another error as an IOException.
	Handle func(ctx context.Context, r *Request) (proto.Message, error)
}

// Exception is an error that reaches the client as that Java class.
func Exception(class, format string, args ...any) *ipc.RemoteError {
	return &ipc.RemoteError{Class: class, Message: fmt.Sprintf(format, args...), Detail: ipc.DetailApplication}
}

// Server is a running server.
type Server struct {
	cfg    Config
	ln     net.Listener
	cancel context.CancelFunc // ends the handlers
	wg     sync.WaitGroup

	mu     sync.Mutex // guards what follows
	conns  map[net.Conn]struct{}
	opened int
	closed bool
	refuse bool
}

// Start listens and serves.
func Start(cfg Config) (*Server, error) {
	if cfg.Address == "" {
		cfg.Address = "127.0.0.1:0"
	}
	ln, err := net.Listen("tcp", cfg.Address)
	if err != nil {
		return nil, fmt.Errorf("start test server: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &Server{cfg: cfg, ln: ln, cancel: cancel, conns: make(map[net.Conn]struct{})}
	s.wg.Go(func() { s.accept(ctx) })
	return s, nil
}

// Address is host:port of the server.
func (s *Server) Address() string { return s.ln.Addr().String() }

// Opened counts the connections that were ever accepted.
func (s *Server) Opened() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.opened
}

// CloseConnections cuts all connections and goes on accepting new ones.
func (s *Server) CloseConnections() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for nc := range s.conns {
		nc.Close()
	}
}

// SetRefusing makes the server hang up on new connections and cuts the open
// ones, as a standby or a stopped server does; or serve again.
func (s *Server) SetRefusing(refuse bool) {
	s.mu.Lock()
	s.refuse = refuse
	s.mu.Unlock()
	if refuse {
		s.CloseConnections()
	}
}

// Close stops the server and waits for its goroutines.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.ln.Close()
	s.cancel()
	s.CloseConnections()
	s.wg.Wait()
}

func (s *Server) accept(ctx context.Context) {
	for {
		nc, err := s.ln.Accept()
		if err != nil {
			return
		}
		if !s.track(nc) {
			nc.Close()
			continue // a closed server's next Accept fails
		}
		s.wg.Go(func() {
			defer s.untrack(nc)
			c := &conn{server: s, nc: nc}
			c.serve(ctx)
		})
	}
}

func (s *Server) track(nc net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.refuse {
		return false
	}
	s.conns[nc] = struct{}{}
	s.opened++
	return true
}

func (s *Server) untrack(nc net.Conn) {
	nc.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, nc)
}

// newNonce makes the random part of a challenge.
func newNonce() string { return base64.StdEncoding.EncodeToString([]byte(rand.Text())) }

// fatal and ordinary failures as a response header.
func failure(callID int32, err error, fatal bool) *pb.RpcResponseHeader {
	status, detail := pb.RpcStatus_ERROR, pb.RpcErrorCode_ERROR_APPLICATION
	class, message := "java.io.IOException", err.Error()
	var remote *ipc.RemoteError
	if errors.As(err, &remote) {
		class, message = remote.Class, remote.Message
		fatal = fatal || remote.Fatal
		if remote.Detail != 0 {
			detail = pb.RpcErrorCode(remote.Detail)
		}
	}
	if fatal {
		status, detail = pb.RpcStatus_FATAL, pb.RpcErrorCode_FATAL_UNAUTHORIZED
	}
	return &pb.RpcResponseHeader{
		CallId: proto.Uint32(uint32(callID)), Status: status.Enum(), ServerIpcVersionNum: proto.Uint32(wire.Version),
		ExceptionClassName: proto.String(class), ErrorMsg: proto.String(message + "\n\tat weft.Test.method(Test.java:1)"),
		ErrorDetail: detail.Enum(), ClientId: []byte{}, RetryCount: proto.Int32(-1),
	}
}
