package rpc

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/weftstream/weft/link"
	"github.com/weftstream/weft/runtime/rpc/rpcpb"
)

// flushTimeout bounds how long a session that is closed in good order waits for its last messages to be written.
const flushTimeout = time.Second

// registerTimeout bounds how long a TaskManager may take from connecting to its Register.
const registerTimeout = 10 * time.Second

// maxResourceID bounds the resource id that a TaskManager gives itself.
const maxResourceID = 255

// serverStream is the JobManager's end of one stream: gRPC's or the pipe's. After the session has returned, Send and Recv
// fail soon.
type serverStream interface {
	Send(*rpcpb.ToTaskManager) error
	Recv() (*rpcpb.FromTaskManager, error)
}

// session serves one stream and returns why it ended. Its reader and its writer may outlive it shortly, because only the
// stream's end, which follows this return, gets them out of Recv and Send; Server.Close joins them.
func (s *Server) session(st serverStream) error {
	p := newPeer()
	if !s.begin(p) {
		return ErrClosed
	}
	written := make(chan struct{})
	go func() {
		defer s.goroutines.Done()
		s.read(p, st)
	}()
	go func() {
		defer s.goroutines.Done()
		defer close(written)
		s.write(p, st)
	}()
	<-p.ended
	if cause := p.why(); errors.Is(cause, ErrClosed) || isRejection(cause) {
		select {
		case <-written:
		case <-time.After(flushTimeout):
		}
	}
	return p.why()
}

// read is the reader's goroutine: the only one that calls the Handler for this peer.
func (s *Server) read(p *peer, st serverStream) {
	defer close(p.done)
	defer s.finish(p)
	silence := time.AfterFunc(registerTimeout, func() {
		p.end(fmt.Errorf("the TaskManager did not register within %s", registerTimeout))
	})
	defer silence.Stop()
	first, err := st.Recv()
	silence.Stop()
	if err != nil {
		p.end(ended(err))
		return
	}
	r := first.GetRegister()
	if err := s.admit(p, r); err != nil {
		p.reject(err.Error())
		p.end(&RejectedError{err.Error()})
		return
	}
	p.open(&rpcpb.ToTaskManager{Message: &rpcpb.ToTaskManager_Registered{Registered: &rpcpb.Registered{
		Jobmanager:          s.c.JobManager,
		HeartbeatIntervalMs: s.c.HeartbeatInterval.Milliseconds(),
		HeartbeatTimeoutMs:  s.c.HeartbeatTimeout.Milliseconds(),
	}}})
	silence = time.AfterFunc(s.c.HeartbeatTimeout, func() {
		p.end(fmt.Errorf("%w of %s", ErrHeartbeat, s.c.HeartbeatTimeout))
	})
	defer func() { silence.Stop() }()
	for {
		m, err := st.Recv()
		if err != nil {
			p.end(ended(err))
			break
		}
		if p.why() != nil { // what comes after the end was never said
			break
		}
		silence.Stop() // a Handler that takes its time is not the peer's silence
		s.c.Handler.Message(p, m)
		silence.Reset(s.c.HeartbeatTimeout)
	}
	s.c.Handler.Disconnected(p, p.why())
}

// admit checks a registration and asks the Handler, once an older registration of the same TaskManager has ended.
func (s *Server) admit(p *peer, r *rpcpb.Register) error {
	if r == nil {
		return errors.New("the first message has to be Register")
	}
	if err := link.CheckVersion("TaskManager", r.GetVersion()); err != nil {
		return err
	}
	if id := r.GetResourceId(); id == "" || len(id) > maxResourceID {
		return fmt.Errorf("resource id %.40q has %d bytes, want 1 to %d", id, len(id), maxResourceID)
	}
	p.named(r.GetResourceId())
	for older := s.enter(p); older != nil; older = s.enter(p) {
		older.end(ErrReplaced)
		select {
		case <-older.done:
		case <-p.ended:
			return p.why()
		}
	}
	err := s.c.Handler.Connected(p, r)
	if err != nil {
		s.leave(p)
	}
	return err
}

// write is the writer's goroutine.
func (s *Server) write(p *peer, st serverStream) {
	ping := time.NewTicker(s.c.HeartbeatInterval)
	defer ping.Stop()
	for {
		for _, m := range p.take() {
			if err := st.Send(m); err != nil {
				p.end(ended(err))
				return
			}
		}
		select {
		case <-p.wake:
		case <-ping.C:
			_ = p.Send(&rpcpb.ToTaskManager{Message: &rpcpb.ToTaskManager_Ping{Ping: &rpcpb.Ping{}}}) // an error is p's end
		case <-p.ended:
			for _, m := range p.take() {
				if err := st.Send(m); err != nil {
					return
				}
			}
			return
		}
	}
}

// ended describes the error of a stream.
func ended(err error) error {
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%w by the other side", ErrClosed)
	}
	if status.Code(err) == codes.Canceled { // what gRPC makes of a connection that ended without a word
		return errors.New("its connection broke: the process was killed, or its machine is gone")
	}
	return fmt.Errorf("connection lost: %w", err)
}

func isRejection(err error) bool {
	var r *RejectedError
	return errors.As(err, &r)
}

// peers is the set of sessions that are open, and of registrations by resource id.
type peers struct {
	mu     sync.Mutex
	closed bool
	all    map[*peer]struct{}
	byID   map[string]*peer
}

// begin enters a session and counts its two goroutines, unless the server is closed.
func (s *Server) begin(p *peer) bool {
	s.peers.mu.Lock()
	defer s.peers.mu.Unlock()
	if s.peers.closed {
		return false
	}
	s.peers.all[p] = struct{}{}
	s.goroutines.Add(2) // the reader and the writer; under the lock, so that Close can't miss them
	return true
}

// enter makes p the registration of its resource id, or returns the one that has to end before.
func (s *Server) enter(p *peer) *peer {
	s.peers.mu.Lock()
	defer s.peers.mu.Unlock()
	if older, ok := s.peers.byID[p.ResourceID()]; ok && older != p {
		return older
	}
	s.peers.byID[p.ResourceID()] = p
	return nil
}

func (s *Server) leave(p *peer) {
	s.peers.mu.Lock()
	defer s.peers.mu.Unlock()
	if s.peers.byID[p.ResourceID()] == p {
		delete(s.peers.byID, p.ResourceID())
	}
}

// finish removes an ended session.
func (s *Server) finish(p *peer) {
	s.leave(p)
	s.peers.mu.Lock()
	defer s.peers.mu.Unlock()
	delete(s.peers.all, p)
}
