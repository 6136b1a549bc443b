package rpc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weftstream/weft/internal/testkit"
	"github.com/weftstream/weft/link"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/runtime/rpc/rpcpb"
)

const patience = 20 * time.Second

// recorder is a Handler that writes down what it is told.
type recorder struct {
	peers  chan Peer
	events chan string
	reject error
	block  chan struct{} // Message of the peer "blocked" waits for it
}

func newRecorder() *recorder {
	return &recorder{peers: make(chan Peer, 100), events: make(chan string, 10000), block: make(chan struct{})}
}

func (r *recorder) Connected(p Peer, m *rpcpb.Register) error {
	if r.reject != nil {
		return r.reject
	}
	r.events <- "connected " + p.ResourceID()
	r.peers <- p
	return nil
}

func (r *recorder) Message(p Peer, m *rpcpb.FromTaskManager) {
	if p.ResourceID() == "blocked" {
		<-r.block
	}
	if h := m.GetHeartbeat(); h != nil {
		r.events <- fmt.Sprint("message ", p.ResourceID(), " ", h.GetResident())
	}
}

func (r *recorder) Disconnected(p Peer, err error) {
	r.events <- "disconnected " + p.ResourceID() + " " + err.Error()
}

func (r *recorder) expect(t *testing.T, prefix string) {
	t.Helper()
	select {
	case got := <-r.events:
		if !strings.HasPrefix(got, prefix) {
			t.Fatalf("got event %q, want %q", got, prefix)
		}
	case <-time.After(patience):
		t.Fatalf("no event %q", prefix)
	}
}

func (r *recorder) peer(t *testing.T) Peer {
	t.Helper()
	select {
	case p := <-r.peers:
		return p
	case <-time.After(patience):
		t.Fatal("no peer")
		return nil
	}
}

func registration(id string) *rpcpb.Register {
	return &rpcpb.Register{Version: link.ThisVersion(), ResourceId: id, Slots: 2}
}

func beat(n int64) *rpcpb.FromTaskManager {
	return &rpcpb.FromTaskManager{Message: &rpcpb.FromTaskManager_Heartbeat{Heartbeat: &rpcpb.Heartbeat{Resident: n}}}
}

func release(n int) *rpcpb.ToTaskManager {
	return &rpcpb.ToTaskManager{Message: &rpcpb.ToTaskManager_Release{
		Release: &rpcpb.ReleaseJob{JobId: []byte{byte(n), byte(n >> 8)}}}}
}

func authority(t *testing.T) *Authority {
	t.Helper()
	a, err := NewAuthority("test", 0)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func leaf(t *testing.T, a *Authority, r Role) *Leaf {
	t.Helper()
	l, err := a.Issue(r, "a "+string(r))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// listen serves s on loopback with a's certificate and returns the address.
func listen(t *testing.T, a *Authority, c ServerConfig) (*Server, string) {
	t.Helper()
	c.TLS = leaf(t, a, RoleJobManager).ServerTLS()
	c.Log = slog.New(slog.DiscardHandler)
	s, err := NewServer(c)
	if err != nil {
		t.Fatal(err)
	}
	return s, serveOn(t, s)
}

// serveOn serves s on loopback until the test ends and returns the address.
func serveOn(t *testing.T, s *Server) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// each runs a test over both transports.
func each(t *testing.T, c ServerConfig, test func(t *testing.T, r *recorder, s *Server, connect Connector)) {
	t.Run("tls", func(t *testing.T) {
		testkit.NoGoroutinesLeft(t)
		r, a, c := newRecorder(), authority(t), c
		c.Handler = r
		s, address := listen(t, a, c)
		test(t, r, s, Dial(address, leaf(t, a, RoleTaskManager).ClientTLS()))
	})
	t.Run("pipe", func(t *testing.T) {
		testkit.NoGoroutinesLeft(t)
		r, c := newRecorder(), c
		c.Handler = r
		s, err := NewServer(c)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		test(t, r, s, Pipe(s))
	})
}

func mustConnect(t *testing.T, c Connector, id string) Conn {
	t.Helper()
	conn, _, err := c.Connect(t.Context(), registration(id))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func TestConversation(t *testing.T) {
	each(t, ServerConfig{JobManager: "jm:1"}, func(t *testing.T, r *recorder, s *Server, connect Connector) {
		conn, registered, err := connect.Connect(t.Context(), registration("tm1"))
		if err != nil {
			t.Fatal(err)
		}
		if registered.GetJobmanager() != "jm:1" || registered.GetHeartbeatIntervalMs() != 10000 {
			t.Errorf("got %v", registered)
		}
		p := r.peer(t)
		r.expect(t, "connected tm1")
		const n = 2000
		go func() {
			for i := range n {
				p.Send(release(i))
			}
		}()
		for i := range n {
			m, err := conn.Recv()
			if err != nil {
				t.Fatal(err)
			}
			if id := m.GetRelease().GetJobId(); len(id) != 2 || int(id[0])+int(id[1])<<8 != i {
				t.Fatalf("message %d is %v", i, m)
			}
		}
		for i := range n {
			if err := conn.Send(beat(int64(i))); err != nil {
				t.Fatal(err)
			}
		}
		// What was sent before Close arrives.
		if err := conn.Close(); err != nil {
			t.Fatal(err)
		}
		for i := range n {
			r.expect(t, fmt.Sprint("message tm1 ", i))
		}
		r.expect(t, "disconnected tm1 connection closed by the other side")
		if err := conn.Send(beat(0)); !errors.Is(err, ErrClosed) {
			t.Errorf("Send after Close: %v", err)
		}
		if _, err := conn.Recv(); !errors.Is(err, ErrClosed) {
			t.Errorf("Recv after Close: %v", err)
		}
		if err := p.Send(release(0)); !errors.Is(err, ErrClosed) {
			t.Errorf("the Peer's Send after Close: %v", err)
		}
	})
}

// Messages that the JobManager sent before it closed the connection arrive, and then the end is told.
func TestServerCloses(t *testing.T) {
	for _, how := range []string{"peer", "server"} {
		t.Run(how, func(t *testing.T) {
			each(t, ServerConfig{}, func(t *testing.T, r *recorder, s *Server, connect Connector) {
				conn := mustConnect(t, connect, "tm1")
				r.expect(t, "connected tm1")
				p := r.peer(t)
				if err := p.Send(&rpcpb.ToTaskManager{Message: &rpcpb.ToTaskManager_Shutdown{Shutdown: &rpcpb.Shutdown{}}}); err != nil {
					t.Fatal(err)
				}
				closed := make(chan struct{})
				go func() {
					defer close(closed)
					if how == "server" {
						s.Close()
					} else {
						p.Close("enough")
					}
				}()
				if m, err := conn.Recv(); err != nil || m.GetShutdown() == nil {
					t.Fatalf("got %v, %v, want Shutdown", m, err)
				}
				if _, err := conn.Recv(); !errors.Is(err, ErrClosed) {
					t.Errorf("got %v, want the end", err)
				}
				r.expect(t, "disconnected tm1 connection closed by the JobManager")
				<-closed
			})
		})
	}
}

func TestRejections(t *testing.T) {
	each(t, ServerConfig{}, func(t *testing.T, r *recorder, s *Server, connect Connector) {
		other := &linkpb.Version{Version: "0.0.7", ProtocolMin: 1, ProtocolMax: 1}
		for _, test := range []struct {
			name     string
			register *rpcpb.Register
			reject   error
			want     []string
		}{
			{"version", &rpcpb.Register{Version: other, ResourceId: "tm"}, nil, []string{"TaskManager has Weft 0.0.7", link.Version}},
			{"protocol", &rpcpb.Register{Version: &linkpb.Version{Version: link.Version, ProtocolMin: 1, ProtocolMax: 2}, ResourceId: "tm"},
				nil, []string{"protocol 1-2", "protocol 1-1"}},
			{"no version", &rpcpb.Register{ResourceId: "tm"}, nil, []string{"unknown version"}},
			{"no id", registration(""), nil, []string{"resource id"}},
			{"long id", registration(strings.Repeat("x", 300)), nil, []string{"300 bytes"}},
			{"handler", registration("tm"), errors.New("container unknown"), []string{"container unknown"}},
		} {
			r.reject = test.reject
			_, _, err := connect.Connect(t.Context(), test.register)
			var rejected *RejectedError
			if !errors.As(err, &rejected) {
				t.Errorf("%s: got %v, want a RejectedError", test.name, err)
				continue
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%s: %q doesn't say %q", test.name, err, want)
				}
			}
		}
		if len(r.events) > 0 {
			t.Errorf("the handler was told of a rejected TaskManager: %s", <-r.events)
		}
		// The id isn't taken.
		r.reject = nil
		mustConnect(t, connect, "tm")
	})
}

func TestReplaced(t *testing.T) {
	each(t, ServerConfig{}, func(t *testing.T, r *recorder, s *Server, connect Connector) {
		first := mustConnect(t, connect, "tm1")
		r.expect(t, "connected tm1")
		r.peer(t)
		second := mustConnect(t, connect, "tm1")
		r.expect(t, "disconnected tm1 replaced by a newer registration")
		r.expect(t, "connected tm1")
		if _, err := first.Recv(); err == nil || !strings.Contains(err.Error(), "replaced") {
			t.Errorf("the older connection ended with %v", err)
		}
		if err := r.peer(t).Send(release(1)); err != nil {
			t.Fatal(err)
		}
		if m, err := second.Recv(); err != nil || m.GetRelease() == nil {
			t.Errorf("the newer connection got %v, %v", m, err)
		}
	})
}

// A TaskManager that takes nothing is given up when its bounded queue is full, and others aren't held up meanwhile.
func TestSlowPeer(t *testing.T) {
	each(t, ServerConfig{}, func(t *testing.T, r *recorder, s *Server, connect Connector) {
		mustConnect(t, connect, "slow")
		slow := r.peer(t)
		r.expect(t, "connected slow")
		quick := mustConnect(t, connect, "quick")
		quickPeer := r.peer(t)
		r.expect(t, "connected quick")
		big := &rpcpb.ToTaskManager{Message: &rpcpb.ToTaskManager_Release{
			Release: &rpcpb.ReleaseJob{Reason: strings.Repeat("x", 1<<20)}}}
		var err error
		for i := 0; err == nil && i < 10000; i++ {
			err = slow.Send(big)
		}
		if !errors.Is(err, ErrSlowPeer) {
			t.Fatalf("got %v, want ErrSlowPeer", err)
		}
		r.expect(t, "disconnected slow peer is too slow")
		if err := quickPeer.Send(release(1)); err != nil {
			t.Fatal(err)
		}
		if m, err := quick.Recv(); err != nil || m.GetRelease() == nil {
			t.Errorf("got %v, %v", m, err)
		}
	})
}

// A Handler that is busy with one TaskManager neither holds up another, nor takes its own delay for silence.
func TestBlockedHandler(t *testing.T) {
	c := ServerConfig{HeartbeatInterval: 10 * time.Millisecond, HeartbeatTimeout: 300 * time.Millisecond}
	each(t, c, func(t *testing.T, r *recorder, s *Server, connect Connector) {
		blocked := mustConnect(t, connect, "blocked")
		r.expect(t, "connected blocked")
		if err := blocked.Send(beat(1)); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			other := mustConnect(t, connect, "other")
			r.expect(t, "connected other")
			if err := other.Send(beat(7)); err != nil {
				t.Fatal(err)
			}
			r.expect(t, "message other 7")
			r.expect(t, "disconnected other no heartbeat within the heartbeat timeout") // 300 ms in which blocked stays
		}
		close(r.block)
		r.expect(t, "message blocked 1")
	})
}

// Either side notices the other's silence.
func TestHeartbeatTimeout(t *testing.T) {
	c := ServerConfig{HeartbeatInterval: 10 * time.Millisecond, HeartbeatTimeout: 200 * time.Millisecond}
	each(t, c, func(t *testing.T, r *recorder, s *Server, connect Connector) {
		silent := mustConnect(t, connect, "silent")
		r.expect(t, "connected silent")
		r.expect(t, "disconnected silent no heartbeat")
		if _, err := silent.Recv(); err == nil || !strings.Contains(err.Error(), "heartbeat") {
			t.Errorf("the TaskManager's end says %v", err)
		}
	})
	t.Run("silent JobManager", func(t *testing.T) {
		testkit.NoGoroutinesLeft(t)
		conn, _, err := connect(t.Context(), transport{
			open:  func(ctx context.Context) (clientStream, error) { return &silentStream{ctx: ctx}, nil },
			close: func() error { return nil }, translate: func(err error) error { return err },
		}, registration("tm"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.Recv(); !errors.Is(err, ErrHeartbeat) {
			t.Errorf("got %v, want ErrHeartbeat", err)
		}
		if err := conn.Send(beat(1)); !errors.Is(err, ErrHeartbeat) {
			t.Errorf("got %v, want ErrHeartbeat", err)
		}
	})
}

// silentStream registers and then says nothing.
type silentStream struct {
	ctx  context.Context
	once sync.Once
}

func (s *silentStream) Send(*rpcpb.FromTaskManager) error { return nil }
func (s *silentStream) CloseSend() error                  { return nil }
func (s *silentStream) Recv() (m *rpcpb.ToTaskManager, err error) {
	s.once.Do(func() {
		m = &rpcpb.ToTaskManager{Message: &rpcpb.ToTaskManager_Registered{
			Registered: &rpcpb.Registered{HeartbeatTimeoutMs: 100}}}
	})
	if m != nil {
		return m, nil
	}
	<-s.ctx.Done()
	return nil, s.ctx.Err()
}

func TestArtifact(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789abcdef"), 100_000) // several chunks and a bit
	broken := errors.New("disk on fire")
	c := ServerConfig{Artifacts: func(_ context.Context, sum [32]byte) (io.ReadCloser, error) {
		switch sum[0] {
		case 1:
			return io.NopCloser(bytes.NewReader(content)), nil
		case 2:
			return io.NopCloser(io.MultiReader(bytes.NewReader(content), &failing{broken})), nil
		case 3:
			return io.NopCloser(strings.NewReader("")), nil
		}
		return nil, fmt.Errorf("%w: nobody submitted it", ErrArtifactNotFound)
	}}
	each(t, c, func(t *testing.T, r *recorder, s *Server, connect Connector) {
		conn := mustConnect(t, connect, "tm")
		for sum, want := range map[byte][]byte{1: content, 3: {}} {
			f, err := conn.Artifact(t.Context(), [32]byte{sum})
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(f)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("artifact %d: %d bytes, %v", sum, len(got), err)
			}
			f.Close()
		}
		f, err := conn.Artifact(t.Context(), [32]byte{2})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(f); err == nil || !strings.Contains(err.Error(), broken.Error()) {
			t.Errorf("a broken artifact: %v", err)
		}
		f.Close()
		if _, err := conn.Artifact(t.Context(), [32]byte{9}); !errors.Is(err, ErrArtifactNotFound) {
			t.Errorf("an unknown artifact: %v", err)
		}
		// Given up half-way: Close must not wait for the rest.
		f, err = conn.Artifact(t.Context(), [32]byte{1})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(f, make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
		f.Close()
	})
}

type failing struct{ err error }

func (f *failing) Read([]byte) (int, error) { return 0, f.err }

func TestConnectGivesUp(t *testing.T) {
	testkit.NoGoroutinesLeft(t)
	l, err := net.Listen("tcp", "127.0.0.1:0") // accepts and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	connector := Dial(l.Addr().String(), leaf(t, authority(t), RoleTaskManager).ClientTLS())
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, _, err := connector.Connect(ctx, registration("tm")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	l.Close()
	if _, _, err := connector.Connect(t.Context(), registration("tm")); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("got %v, want connection refused", err)
	}
}

func TestServerConfig(t *testing.T) {
	for _, c := range []ServerConfig{
		{},
		{Handler: newRecorder(), HeartbeatInterval: time.Second, HeartbeatTimeout: time.Second},
		{Handler: newRecorder(), HeartbeatInterval: -1},
	} {
		if _, err := NewServer(c); err == nil {
			t.Errorf("%+v was accepted", c)
		}
	}
	s, err := NewServer(ServerConfig{Handler: newRecorder()})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	if _, _, err := Pipe(s).Connect(t.Context(), registration("tm")); !errors.Is(err, ErrClosed) {
		t.Errorf("connecting to a closed server: %v", err)
	}
}
