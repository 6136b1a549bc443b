//go:build linux

package taskmanager

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/internal/testkit"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/runtime/network"
	"github.com/weftstream/weft/runtime/rpc"
	"github.com/weftstream/weft/runtime/rpc/rpcpb"
)

// jobManager is a JobManager whose decisions the test makes, on the real wire.
type jobManager struct {
	t        *testing.T
	server   *rpc.Server
	peers    chan rpc.Peer
	register chan *rpcpb.Register
	messages chan *rpcpb.FromTaskManager // without heartbeats
	beats    chan *rpcpb.Heartbeat
	gone     chan error
	peer     rpc.Peer

	mu     sync.Mutex
	reject error
}

func (j *jobManager) Connected(p rpc.Peer, r *rpcpb.Register) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.reject != nil {
		return j.reject
	}
	j.register <- r
	j.peers <- p
	return nil
}

func (j *jobManager) Message(_ rpc.Peer, m *rpcpb.FromTaskManager) {
	if b := m.GetHeartbeat(); b != nil {
		select {
		case j.beats <- b:
		default:
		}
		return
	}
	j.messages <- m
}

func (j *jobManager) Disconnected(_ rpc.Peer, err error) { j.gone <- err }

// newJobManager starts a JobManager and returns it with the way to it, over TLS or in this process.
func newJobManager(t *testing.T, tls bool) (*jobManager, rpc.Connector) {
	t.Helper()
	j := &jobManager{t: t, peers: make(chan rpc.Peer, 10), register: make(chan *rpcpb.Register, 10),
		messages: make(chan *rpcpb.FromTaskManager, 10000), beats: make(chan *rpcpb.Heartbeat, 1), gone: make(chan error, 10)}
	c := rpc.ServerConfig{Handler: j, JobManager: "jm", HeartbeatInterval: 20 * time.Millisecond, HeartbeatTimeout: patience}
	if !tls {
		s, err := rpc.NewServer(c)
		if err != nil {
			t.Fatal(err)
		}
		j.server = s
		t.Cleanup(s.Close)
		return j, rpc.Pipe(s)
	}
	a, err := rpc.NewAuthority("test", 0)
	if err != nil {
		t.Fatal(err)
	}
	server, err := a.Issue(rpc.RoleJobManager, "jm")
	if err != nil {
		t.Fatal(err)
	}
	client, err := a.Issue(rpc.RoleTaskManager, "tm")
	if err != nil {
		t.Fatal(err)
	}
	c.TLS = server.ServerTLS()
	if j.server, err = rpc.NewServer(c); err != nil {
		t.Fatal(err)
	}
	l := listen(t)
	served := make(chan error, 1)
	go func() { served <- j.server.Serve(l) }()
	t.Cleanup(func() {
		j.server.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return j, rpc.Dial(l.Addr().String(), client.ClientTLS())
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func receive[T any](t *testing.T, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("no %s", what)
		panic("unreachable")
	}
}

func (j *jobManager) connected() *rpcpb.Register {
	j.t.Helper()
	j.peer = receive(j.t, j.peers, "registration")
	return <-j.register
}

func (j *jobManager) send(m *rpcpb.ToTaskManager) {
	j.t.Helper()
	if err := j.peer.Send(m); err != nil {
		j.t.Fatal(err)
	}
}

func (j *jobManager) next() *rpcpb.FromTaskManager {
	j.t.Helper()
	return receive(j.t, j.messages, "message")
}

// expect waits for the next message and compares its text.
func (j *jobManager) expect(want string) {
	j.t.Helper()
	if got := describe(j.next()); !strings.HasPrefix(got, want) {
		j.t.Fatalf("got %q, want %q", got, want)
	}
}

func describe(m *rpcpb.FromTaskManager) string {
	switch m := m.GetMessage().(type) {
	case *rpcpb.FromTaskManager_Offer:
		return fmt.Sprintf("offer %c %s slot %d", m.Offer.GetJobId()[0], m.Offer.GetAllocation(), m.Offer.GetSlot())
	case *rpcpb.FromTaskManager_Refused:
		return fmt.Sprintf("refused %c %s slot %d: %s", m.Refused.GetJobId()[0], m.Refused.GetAllocation(), m.Refused.GetSlot(), m.Refused.GetReason())
	case *rpcpb.FromTaskManager_Released:
		return fmt.Sprintf("released %c", m.Released.GetJobId()[0])
	case *rpcpb.FromTaskManager_Host:
		job := m.Host.GetJobId()[0]
		switch e := m.Host.GetEvent().GetMessage().(type) {
		case *linkpb.FromHost_Exit:
			return fmt.Sprintf("exit %c expected=%v %s", job, e.Exit.GetExpected(), e.Exit.GetReason())
		case *linkpb.FromHost_CoordinatorResponse:
			return fmt.Sprintf("said %c %d %s", job, e.CoordinatorResponse.GetSeq(), e.CoordinatorResponse.GetPayload())
		case *linkpb.FromHost_Ready:
			return fmt.Sprintf("ready %c", job)
		case *linkpb.FromHost_Failed:
			return fmt.Sprintf("failed %c %s", job, e.Failed.GetMessage())
		}
	}
	return fmt.Sprint(m)
}

func idOf(job byte) []byte { return append([]byte{job}, make([]byte, 15)...) }

func (j *jobManager) allocate(slot int, allocation string, job byte, config map[string]string) {
	j.t.Helper()
	j.send(&rpcpb.ToTaskManager{Message: &rpcpb.ToTaskManager_Allocate{Allocate: &rpcpb.AllocateSlot{
		Slot: int32(slot), Allocation: []byte(allocation), Job: &rpcpb.JobInfo{JobKey: []byte("key"), Config: config,
			Graph: &graph.JobGraph{JobId: idOf(job), Name: "job", Artifact: &graph.Artifact{Name: "app"}}}}}})
}

func (j *jobManager) command(job byte, m *linkpb.ToHost) {
	j.t.Helper()
	j.send(&rpcpb.ToTaskManager{Message: &rpcpb.ToTaskManager_Host{Host: &rpcpb.HostCommand{JobId: idOf(job), Command: m}}})
}

func (j *jobManager) ask(job byte, seq int, text string) {
	j.t.Helper()
	j.command(job, &linkpb.ToHost{Message: &linkpb.ToHost_CoordinatorRequest{
		CoordinatorRequest: &linkpb.CoordinatorRequest{Seq: int64(seq), Payload: []byte(text)}}})
}

func (j *jobManager) release(job byte) {
	j.t.Helper()
	j.send(&rpcpb.ToTaskManager{Message: &rpcpb.ToTaskManager_Release{Release: &rpcpb.ReleaseJob{JobId: idOf(job)}}})
}

func (j *jobManager) free(job byte, allocation string) {
	j.t.Helper()
	j.send(&rpcpb.ToTaskManager{Message: &rpcpb.ToTaskManager_Free{Free: &rpcpb.FreeSlot{
		JobId: idOf(job), Allocation: []byte(allocation), Reason: "returned"}}})
}

// fakeStarter starts fakeHosts.
type fakeStarter struct {
	hosts chan *fakeHost
	fail  error
	hang  bool // Start waits for ctx
}

func newFakeStarter() *fakeStarter { return &fakeStarter{hosts: make(chan *fakeHost, 100)} }

func (f *fakeStarter) Start(ctx context.Context, spec HostSpec) (Host, error) {
	if f.hang {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if f.fail != nil {
		return nil, f.fail
	}
	h := &fakeHost{spec: spec, events: make(chan *linkpb.FromHost), replies: make(chan *linkpb.FromHost),
		end: make(chan *linkpb.HostExit, 1), ended: make(chan struct{}), grown: make(chan Limits, 100), told: make(chan *linkpb.HostLimits, 100)}
	f.hosts <- h
	go h.run()
	return h, nil
}

// fakeHost echoes requests. It ends by Shutdown, unless stubborn, by Kill, or when the test says so.
type fakeHost struct {
	spec    HostSpec
	events  chan *linkpb.FromHost
	replies chan *linkpb.FromHost
	end     chan *linkpb.HostExit
	ended   chan struct{}
	grown   chan Limits
	told    chan *linkpb.HostLimits
	once    sync.Once

	mu       sync.Mutex
	stubborn bool
	stopped  string // reason of Shutdown
	blocked  chan struct{}
}

func (h *fakeHost) run() {
	var exit *linkpb.HostExit
	for exit == nil {
		select {
		case m := <-h.replies:
			h.events <- m
		case exit = <-h.end:
		}
	}
	close(h.ended)
	h.events <- &linkpb.FromHost{Message: &linkpb.FromHost_Exit{Exit: exit}}
	close(h.events)
}

func (h *fakeHost) finish(x *linkpb.HostExit) { h.once.Do(func() { h.end <- x }) }

func (h *fakeHost) Send(m *linkpb.ToHost) error {
	h.mu.Lock()
	blocked, stubborn := h.blocked, h.stubborn
	h.mu.Unlock()
	if blocked != nil {
		select {
		case <-blocked:
		case <-h.ended:
			return errHostEnded
		}
	}
	if m.GetShutdown() != nil && !stubborn {
		h.mu.Lock()
		h.stopped = m.GetShutdown().GetReason()
		h.mu.Unlock()
		h.finish(&linkpb.HostExit{Reason: "exit status 0"})
		return nil
	}
	if l := m.GetLimits(); l != nil {
		h.told <- l
	}
	if r := m.GetCoordinatorRequest(); r != nil {
		reply := &linkpb.FromHost{Message: &linkpb.FromHost_CoordinatorResponse{
			CoordinatorResponse: &linkpb.CoordinatorResponse{Seq: r.GetSeq(), Payload: r.GetPayload()}}}
		select {
		case h.replies <- reply:
		case <-h.ended:
			return errHostEnded
		}
	}
	return nil
}

func (h *fakeHost) Events() <-chan *linkpb.FromHost { return h.events }
func (h *fakeHost) SetLimits(l Limits)              { h.grown <- l }
func (h *fakeHost) Resident() int64                 { return 1000 }
func (h *fakeHost) Kill() {
	h.finish(&linkpb.HostExit{ExitCode: -1, Signal: "killed", Reason: "killed by the TaskManager"})
}

func (h *fakeHost) PassConn(conn net.Conn, preamble []byte) error {
	p, err := network.ReadPreamble(bytes.NewReader(preamble))
	fmt.Fprintf(conn, "%s %v\n", p.Resource, err)
	return conn.Close()
}

// testArtifacts gives every job the test binary.
type testArtifacts struct{ err error }

func (a testArtifacts) Fetch(context.Context, *graph.Artifact, rpc.Artifacts) (string, error) {
	if a.err != nil {
		return "", a.err
	}
	return os.Executable()
}

// tm is a running TaskManager.
type tm struct {
	cancel context.CancelFunc
	result chan error
	data   net.Listener
}

func start(t *testing.T, connect rpc.Connector, starter HostStarter, change func(*Config)) *tm {
	t.Helper()
	c := Config{ResourceID: "tm1", Hostname: "node1", JobManager: connect, Starter: starter, Slots: 2, SlotMemory: 100,
		CPU: 3, Log: quiet(t), SlotTimeout: -1, Data: listen(t), Artifacts: testArtifacts{}, ShutdownGrace: patience}
	c.DataAddress = c.Data.Addr().String()
	if change != nil {
		change(&c)
	}
	m, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	x := &tm{cancel: cancel, result: make(chan error, 1), data: c.Data}
	done := make(chan struct{})
	go func() {
		defer close(done)
		x.result <- m.Run(ctx)
	}()
	t.Cleanup(func() { cancel(); <-done })
	return x
}

// each runs a test over both transports.
func each(t *testing.T, test func(t *testing.T, j *jobManager, connect rpc.Connector)) {
	for _, name := range []string{"tls", "pipe"} {
		t.Run(name, func(t *testing.T) {
			testkit.NoGoroutinesLeft(t)
			j, connect := newJobManager(t, name == "tls")
			test(t, j, connect)
		})
	}
}
