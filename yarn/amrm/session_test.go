package amrm_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/weftstream/weft/hadoop"
	"github.com/weftstream/weft/hadoop/ipc"
	"github.com/weftstream/weft/hadoop/records"
	"github.com/weftstream/weft/internal/testkit"
	"github.com/weftstream/weft/yarn/amrm"
	"github.com/weftstream/weft/yarn/internal/pb"
	"github.com/weftstream/weft/yarn/yarntest"
)

// patience bounds every wait of these tests.
const patience = 20 * time.Second

// master is an application master under test.
type master struct {
	*amrm.Session
	cluster *yarntest.Cluster
	id      records.AttemptID
	cancel  context.CancelFunc
	result  chan error

	mu     sync.Mutex
	cond   *sync.Cond
	events []amrm.Event
}

func startCluster(t *testing.T, cfg yarntest.Config) *yarntest.Cluster {
	t.Helper()
	testkit.NoGoroutinesLeft(t)
	c, err := yarntest.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func startMaster(t *testing.T, c *yarntest.Cluster) *master {
	t.Helper()
	id, token := c.AddApplication("test")
	return runMaster(t, c, id, token)
}

func runMaster(t *testing.T, c *yarntest.Cluster, id records.AttemptID, token hadoop.Token) *master {
	t.Helper()
	client, err := amrm.NewClient(amrm.ClientConfig{Addresses: c.SchedulerAddresses(), Token: token})
	if err != nil {
		t.Fatal(err)
	}
	m := &master{cluster: c, id: id, result: make(chan error, 1)}
	m.cond = sync.NewCond(&m.mu)
	m.Session, err = amrm.NewSession(amrm.SessionConfig{
		Client: client, Registration: amrm.Registration{Host: "here", RPCPort: 4711, TrackingURL: "http://here:4711"},
		FastInterval: 2 * time.Millisecond, SlowInterval: 5 * time.Millisecond,
		MinBackoff: time.Millisecond, MaxBackoff: 5 * time.Millisecond,
		OnEvent: func(e amrm.Event) {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.events = append(m.events, e)
			m.cond.Broadcast()
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	var ctx context.Context
	ctx, m.cancel = context.WithCancel(context.Background())
	go func() { m.result <- m.Run(ctx) }()
	t.Cleanup(func() {
		m.cancel()
		<-m.result
		client.Close()
	})
	return m
}

// end waits for Run's result and leaves it for the clean-up.
func (m *master) end(t *testing.T) error {
	t.Helper()
	select {
	case err := <-m.result:
		m.result <- err
		return err
	case <-time.After(patience):
		t.Fatal("Run doesn't return")
		return nil
	}
}

// await waits until pick is true of the events so far.
func (m *master) await(t *testing.T, what string, pick func([]amrm.Event) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	stop := context.AfterFunc(ctx, m.cond.Broadcast)
	defer stop()
	m.mu.Lock()
	defer m.mu.Unlock()
	for !pick(m.events) {
		if ctx.Err() != nil {
			t.Fatalf("%s did not happen; events: %v", what, m.events)
		}
		m.cond.Wait()
	}
}

func count[E amrm.Event](events []amrm.Event, n func(E) int) int {
	sum := 0
	for _, e := range events {
		if e, ok := e.(E); ok {
			sum += n(e)
		}
	}
	return sum
}

func registrations(n int) func([]amrm.Event) bool {
	return func(events []amrm.Event) bool {
		return count(events, func(amrm.Registered) int { return 1 }) >= n
	}
}

func allocated(n int) func([]amrm.Event) bool {
	return func(events []amrm.Event) bool {
		return count(events, func(e amrm.Allocated) int { return len(e.Containers) }) >= n
	}
}

func completed(n int) func([]amrm.Event) bool {
	return func(events []amrm.Event) bool {
		return count(events, func(e amrm.Completed) int { return len(e.Statuses) }) >= n
	}
}

// snapshot returns the events so far.
func (m *master) snapshot() []amrm.Event {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.events)
}

// containers returns what was allocated so far.
func (m *master) containers() []records.Container {
	var out []records.Container
	for _, e := range m.snapshot() {
		if a, ok := e.(amrm.Allocated); ok {
			out = append(out, a.Containers...)
		}
	}
	return out
}

func (m *master) want(t *testing.T, n int, spread ...amrm.NodeHost) {
	t.Helper()
	err := m.SetWants([]amrm.Want{{
		Priority: 1, Capability: records.Resource{MemoryMB: 1000, VCores: 1}, Count: n, Spread: spread,
	}})
	if err != nil {
		t.Fatal(err)
	}
}

// tickUntil lets the nodes heartbeat until the cluster has n live containers.
func (m *master) tickUntil(t *testing.T, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err := m.cluster.TickUntil(ctx, func() bool { return len(m.cluster.Containers(m.id.Application)) >= n })
	if err != nil {
		t.Fatal(err)
	}
}

func TestSessionLife(t *testing.T) {
	c := startCluster(t, yarntest.Config{})
	m := startMaster(t, c)
	m.await(t, "registration", registrations(1))
	r := m.snapshot()[0].(amrm.Registered)
	if r.Queue != "default" || r.MaximumCapability.MemoryMB != 8192 || r.Resync || r.ReplyLost {
		t.Errorf("got %v", r)
	}
	m.want(t, 2)
	m.tickUntil(t, 2)
	m.await(t, "allocation", allocated(2))
	events := m.snapshot()
	i := slices.IndexFunc(events, func(e amrm.Event) bool { _, ok := e.(amrm.NMTokensReceived); return ok })
	j := slices.IndexFunc(events, func(e amrm.Event) bool { _, ok := e.(amrm.Allocated); return ok })
	if i < 0 || i > j {
		t.Errorf("the NMToken must come before the container: %v", events)
	}
	got := m.containers()[0]
	if got.Resource.MemoryMB != 1024 || got.Priority != 1 || got.Node != c.Nodes()[0] || got.Token.Kind != hadoop.KindContainerToken {
		t.Errorf("got %v, %v", got, got.Token)
	}

	m.Release(got.ID)
	m.await(t, "completion", completed(1))
	events = m.snapshot()
	status := events[len(events)-1].(amrm.Completed).Statuses[0]
	if status.ID != got.ID || status.ExitStatus != records.ExitAborted {
		t.Errorf("got %v", status)
	}

	if err := m.Finish(t.Context(), records.FinalSucceeded, "well done", ""); err != nil {
		t.Fatal(err)
	}
	if err := m.end(t); err != nil {
		t.Errorf("Run: %v", err)
	}
	if err := m.Finish(t.Context(), records.FinalSucceeded, "", ""); err != nil {
		t.Errorf("a second Finish: %v", err)
	}
}

// TestHurry: without anything asked for, heartbeats come as seldom as configured, but for the time of a Hurry.
func TestHurry(t *testing.T) {
	c := startCluster(t, yarntest.Config{})
	id, token := c.AddApplication("test")
	client, err := amrm.NewClient(amrm.ClientConfig{Addresses: c.SchedulerAddresses(), Token: token})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	s, err := amrm.NewSession(amrm.SessionConfig{Client: client, Registration: amrm.Registration{Host: "here"},
		FastInterval: time.Millisecond, SlowInterval: time.Hour, OnEvent: func(amrm.Event) {}})
	if err != nil {
		t.Fatal(err)
	}
	beats := make(chan struct{}, 1000)
	c.Intercept("allocate", func(_ context.Context, _ *yarntest.Call, next func() (*yarntest.Reply, error)) (*yarntest.Reply, error) {
		select {
		case beats <- struct{}{}:
		default:
		}
		return next()
	})
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { result <- s.Run(ctx) }()
	s.Hurry(time.Hour)
	for range 5 {
		select {
		case <-beats:
		case <-time.After(patience):
			t.Fatalf("no heartbeats of %s although in a hurry", id)
		}
	}
	cancel()
	<-result
}

// TestDroppedCalls loses calls on either side of the wire; the containers still
// are as many as wanted.
func TestDroppedCalls(t *testing.T) {
	for _, tt := range []struct {
		name string
		fn   yarntest.Interceptor
	}{{"requests", yarntest.DropRequest}, {"replies", yarntest.DropReply}} {
		t.Run(tt.name, func(t *testing.T) {
			c := startCluster(t, yarntest.Config{})
			for _, method := range []string{"registerApplicationMaster", "allocate", "finishApplicationMaster"} {
				c.Intercept(method, yarntest.Times(2, tt.fn))
			}
			m := startMaster(t, c)
			m.want(t, 3)
			m.await(t, "registration", registrations(1))
			m.tickUntil(t, 3)
			remove := c.Intercept("allocate", yarntest.Times(2, tt.fn))
			m.await(t, "allocation", allocated(3))
			remove()
			for range 10 {
				c.Tick()
			}
			if n := len(c.Containers(m.id.Application)); n != 3 {
				t.Errorf("%d containers, want 3", n)
			}
			if err := m.Finish(t.Context(), records.FinalFailed, "", ""); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestResourceManagerRestart(t *testing.T) {
	c := startCluster(t, yarntest.Config{Nodes: []yarntest.NodeConfig{{Resource: records.Resource{MemoryMB: 4096, VCores: 3}}}})
	m := startMaster(t, c)
	m.want(t, 5) // two more than there is room for
	m.await(t, "registration", registrations(1))
	m.tickUntil(t, 3)
	m.await(t, "allocation", allocated(3))

	c.StopRM()
	m.await(t, "failure", func(events []amrm.Event) bool {
		return count(events, func(amrm.CallFailed) int { return 1 }) > 0
	})
	victim := m.containers()[0].ID
	m.Release(victim) // while nobody listens
	c.StartRM()
	m.await(t, "registration", registrations(2))
	m.await(t, "completion", completed(1))
	// The ask that was open is asked again; ids are of the next epoch.
	m.tickUntil(t, 3)
	m.await(t, "allocation", allocated(4))
	fourth := m.containers()[3]
	if fourth.ID.Epoch() != 1 {
		t.Errorf("got %s, want epoch 1", fourth.ID)
	}
}

func TestResyncCommand(t *testing.T) {
	c := startCluster(t, yarntest.Config{})
	m := startMaster(t, c)
	m.await(t, "registration", registrations(1))
	c.Intercept("allocate", yarntest.Times(1, func(context.Context, *yarntest.Call, func() (*yarntest.Reply, error)) (*yarntest.Reply, error) {
		return &yarntest.Reply{Message: &pb.AllocateResponse{AmCommand: pb.AMCommand_AM_RESYNC.Enum()}}, nil
	}))
	m.await(t, "registration", registrations(2))
	m.want(t, 1)
	m.tickUntil(t, 1)
	m.await(t, "allocation", allocated(1))
}

func TestFailover(t *testing.T) {
	c := startCluster(t, yarntest.Config{ResourceManagers: 2})
	c.FailOver() // the second one from the start: the first address is standby
	m := startMaster(t, c)
	m.await(t, "registration", registrations(1))
	m.want(t, 1)
	c.FailOver()
	m.await(t, "registration", registrations(2))
	m.tickUntil(t, 1)
	m.await(t, "allocation", allocated(1))
}

// TestTokenRollover needs the session to reconnect with the new token during
// the window, and to dial with it after the old one is dead.
func TestTokenRollover(t *testing.T) {
	c := startCluster(t, yarntest.Config{})
	m := startMaster(t, c)
	m.await(t, "registration", registrations(1))
	before := c.SchedulerConnections()
	c.RollMasterKey()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := c.Wait(ctx, "the session has reconnected", func() bool { return c.SchedulerConnections() > before }); err != nil {
		t.Fatal(err)
	}
	c.ActivateMasterKey()
	c.CutSchedulerConnections()
	m.want(t, 1)
	m.tickUntil(t, 1)
	m.await(t, "allocation", allocated(1))
	if n := count(m.snapshot(), func(amrm.Registered) int { return 1 }); n != 1 {
		t.Errorf("%d registrations, a new token needs none", n)
	}
	if n := c.SchedulerConnections() - before; n > 4 {
		t.Errorf("%d connections for one rollover and one cut", n)
	}
}

// TestStaleToken misses the rollover: the attempt is over.
func TestStaleToken(t *testing.T) {
	c := startCluster(t, yarntest.Config{})
	c.RollMasterKey()
	id, token := c.AddApplication("late")
	c.ActivateMasterKey()
	c.RollMasterKey()
	c.ActivateMasterKey()
	m := runMaster(t, c, id, token)
	if err := m.end(t); !errors.Is(err, amrm.ErrShutdown) || !errors.Is(err, ipc.ErrInvalidToken) {
		t.Errorf("got %v", err)
	}
	if err := m.Finish(t.Context(), records.FinalFailed, "", ""); !errors.Is(err, amrm.ErrNotRunning) {
		t.Errorf("Finish: got %v", err)
	}
}

// TestSurplus grants more than was asked: the excess goes back unseen.
func TestSurplus(t *testing.T) {
	c := startCluster(t, yarntest.Config{OffSwitch: 10})
	m := startMaster(t, c)
	m.await(t, "registration", registrations(1))
	c.Intercept("allocate", yarntest.Times(50, func(_ context.Context, call *yarntest.Call, next func() (*yarntest.Reply, error)) (*yarntest.Reply, error) {
		for _, a := range call.Request.(*pb.AllocateRequest).GetAsk() {
			if n := a.GetNumContainers(); n > 0 {
				*a.NumContainers = n + 3
			}
		}
		return next()
	}))
	m.want(t, 2)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err := c.TickUntil(ctx, func() bool {
		return count(m.snapshot(), func(e amrm.SurplusReleased) int { return len(e.Containers) }) == 3
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(ctx, "the surplus is gone", func() bool { return len(c.Containers(m.id.Application)) == 2 }); err != nil {
		t.Fatal(err)
	}
	if n := len(m.containers()); n != 2 {
		t.Errorf("%d containers handed out, want 2", n)
	}
}

// TestSpread asks by host: one round of heartbeats is enough for all.
func TestSpread(t *testing.T) {
	var nodes []yarntest.NodeConfig
	var spread []amrm.NodeHost
	for i := range 3 {
		host := fmt.Sprintf("127.0.0.%d", 11+i)
		nodes = append(nodes, yarntest.NodeConfig{Host: host})
		spread = append(spread, amrm.NodeHost{Host: host})
	}
	c := startCluster(t, yarntest.Config{Nodes: nodes})
	m := startMaster(t, c)
	m.await(t, "registration", registrations(1))
	asked := make(chan struct{})
	remove := c.Intercept("allocate", func(_ context.Context, call *yarntest.Call, next func() (*yarntest.Reply, error)) (*yarntest.Reply, error) {
		reply, err := next()
		if len(call.Request.(*pb.AllocateRequest).GetAsk()) > 0 {
			close(asked)
		}
		return reply, err
	})
	m.want(t, 12, spread...)
	<-asked
	remove()
	c.Tick()
	m.await(t, "allocation", allocated(12))
	perNode := make(map[string]int)
	for _, ct := range m.containers() {
		perNode[ct.Node.Host]++
	}
	for _, n := range spread {
		if perNode[n.Host] != 4 {
			t.Errorf("got %v, want 4 on each node", perNode)
		}
	}
	for range 10 {
		c.Tick()
	}
	if n := len(c.Containers(m.id.Application)); n != 12 {
		t.Errorf("%d containers, want 12: an ask was left behind", n)
	}
}

func TestRefusedWant(t *testing.T) {
	c := startCluster(t, yarntest.Config{})
	m := startMaster(t, c)
	m.await(t, "registration", registrations(1))
	err := m.SetWants([]amrm.Want{
		{Priority: 2, Capability: records.Resource{MemoryMB: 1 << 20, VCores: 1}, Count: 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	m.await(t, "refusal", func(events []amrm.Event) bool {
		return count(events, func(e amrm.WantsRefused) int {
			if !errors.Is(e.Err, ipc.ErrInvalidResourceRequest) {
				t.Errorf("got %v", e.Err)
			}
			return len(e.Wants)
		}) == 1
	})
	m.want(t, 1)
	m.tickUntil(t, 1)
	m.await(t, "allocation", allocated(1))
}

func TestPreviousAttempt(t *testing.T) {
	c := startCluster(t, yarntest.Config{})
	m := startMaster(t, c)
	m.want(t, 1)
	m.await(t, "registration", registrations(1))
	m.tickUntil(t, 1)
	m.await(t, "allocation", allocated(1))
	old := m.containers()[0]
	m.cancel()
	m.end(t)

	id, token := c.AddAttempt(m.id.Application)
	second := runMaster(t, c, id, token)
	second.await(t, "registration", registrations(1))
	events := second.snapshot()
	if _, ok := events[0].(amrm.NMTokensReceived); !ok {
		t.Fatalf("the NMToken must come first: %v", events)
	}
	r := events[1].(amrm.Registered)
	if len(r.Containers) != 1 || r.Containers[0].ID != old.ID {
		t.Errorf("got %v, want %s", r.Containers, old.ID)
	}
}

func TestLostNodeAndPreemption(t *testing.T) {
	c := startCluster(t, yarntest.Config{Nodes: []yarntest.NodeConfig{{}, {}}})
	m := startMaster(t, c)
	m.want(t, 2)
	m.await(t, "registration", registrations(1))
	m.tickUntil(t, 2)
	m.await(t, "allocation", allocated(2))
	first, second := m.containers()[0], m.containers()[1]
	if err := c.Preempt(first.ID); err != nil {
		t.Fatal(err)
	}
	m.await(t, "completion", completed(1))
	if err := c.LoseNode(second.Node); err != nil {
		t.Fatal(err)
	}
	m.await(t, "completion", completed(2))
	m.await(t, "node report", func(events []amrm.Event) bool {
		return count(events, func(e amrm.NodesUpdated) int {
			if e.Nodes[0].Node != second.Node || e.Nodes[0].State != records.NodeLost {
				t.Errorf("got %v", e)
			}
			return 1
		}) == 1
	})
	exits := make(map[records.ContainerID]int32)
	for _, e := range m.snapshot() {
		if e, ok := e.(amrm.Completed); ok {
			for _, s := range e.Statuses {
				exits[s.ID] = s.ExitStatus
			}
		}
	}
	if exits[first.ID] != records.ExitPreempted || exits[second.ID] != records.ExitAborted {
		t.Errorf("got %v", exits)
	}
}

func TestShutdownCommand(t *testing.T) {
	c := startCluster(t, yarntest.Config{})
	m := startMaster(t, c)
	m.await(t, "registration", registrations(1))
	c.Intercept("allocate", yarntest.Fail(
		"org.apache.hadoop.yarn.exceptions.ApplicationAttemptNotFoundException", "gone"))
	if err := m.end(t); !errors.Is(err, amrm.ErrShutdown) {
		t.Errorf("got %v", err)
	}
	m.await(t, "event", func(events []amrm.Event) bool {
		return count(events, func(amrm.ShutdownRequested) int { return 1 }) == 1
	})
}
