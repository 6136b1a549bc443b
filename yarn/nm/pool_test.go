package nm_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weftstream/weft/hadoop"
	"github.com/weftstream/weft/hadoop/records"
	"github.com/weftstream/weft/internal/testkit"
	"github.com/weftstream/weft/yarn/amrm"
	"github.com/weftstream/weft/yarn/nm"
	"github.com/weftstream/weft/yarn/yarntest"
)

const patience = 20 * time.Second

// fixture is a cluster with some granted containers and a pool.
type fixture struct {
	cluster    *yarntest.Cluster
	pool       *nm.Pool
	attempt    records.AttemptID
	containers []records.Container
	tokens     []records.NMToken
}

// grant starts a cluster and gets n containers, by plain calls.
func grant(t *testing.T, n int, cfg yarntest.Config, pool nm.Config) *fixture {
	t.Helper()
	testkit.NoGoroutinesLeft(t)
	cfg.OffSwitch = n
	c, err := yarntest.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	f := &fixture{cluster: c}
	id, token := c.AddApplication("test")
	f.attempt = id
	client, err := amrm.NewClient(amrm.ClientConfig{Addresses: c.SchedulerAddresses(), Token: token})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.Register(t.Context(), amrm.Registration{}); err != nil {
		t.Fatal(err)
	}
	req := amrm.AllocateRequest{Asks: []amrm.Ask{{
		ResourceName: amrm.AnyHost, Capability: records.Resource{MemoryMB: 64, VCores: 1}, Count: n,
	}}}
	for range 2 {
		resp, err := client.Allocate(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		f.containers = append(f.containers, resp.Allocated...)
		f.tokens = append(f.tokens, resp.NMTokens...)
		req = amrm.AllocateRequest{ResponseID: resp.ResponseID}
		c.Tick()
	}
	if len(f.containers) != n || len(f.tokens) != 1 {
		t.Fatalf("%d containers and %d tokens, want %d and 1", len(f.containers), len(f.tokens), n)
	}
	f.pool = nm.NewPool(pool)
	t.Cleanup(func() { f.pool.Close() })
	return f
}

func (f *fixture) requests() []nm.StartRequest {
	var out []nm.StartRequest
	for _, c := range f.containers {
		out = append(out, nm.StartRequest{Container: c, Launch: records.LaunchContext{Command: "run"}})
	}
	return out
}

func (f *fixture) waitState(t *testing.T, id records.ContainerID, want records.ContainerState) records.ContainerStatus {
	t.Helper()
	var last records.ContainerStatus
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err := f.cluster.Wait(ctx, id.String()+" is "+want.String(), func() bool {
		list, err := f.pool.GetContainerStatuses(ctx, f.cluster.Nodes()[0], id)
		if err == nil && len(list) == 1 {
			last = list[0]
		}
		return last.State == want
	})
	if err != nil {
		t.Fatal(err)
	}
	return last
}

func TestContainerLife(t *testing.T) {
	var mu sync.Mutex
	launched := make(map[records.ContainerID]*yarntest.Launch)
	f := grant(t, 3, yarntest.Config{Launcher: func(ctx context.Context, l *yarntest.Launch) (int32, string) {
		mu.Lock()
		launched[l.ID] = l
		mu.Unlock()
		return yarntest.Idle(ctx, l)
	}}, nm.Config{})
	f.pool.SetTokens(f.tokens...)
	reqs := f.requests()
	reqs[0].Launch = records.LaunchContext{
		LocalResources: map[string]records.LocalResource{"bin": {
			URL: "hdfs://nn:8020/app/bin", Size: 10, Timestamp: 1795209512618,
			Type: records.ResourceFile, Visibility: records.VisibilityPublic,
		}},
		Environment: map[string]string{"A": "1", "B": ""},
		Command:     "exec ./bin",
		Credentials: &hadoop.Credentials{Secrets: map[string][]byte{"key": {1, 2}}},
		ACLs:        map[records.AccessType]string{records.ViewApp: "bob"},
	}
	for i, err := range f.pool.StartContainers(t.Context(), reqs) {
		if err != nil {
			t.Errorf("start %d: %v", i, err)
		}
	}
	node := f.cluster.Nodes()[0]
	a, b, c := f.containers[0].ID, f.containers[1].ID, f.containers[2].ID
	f.waitState(t, a, records.ContainerRunning)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err := f.cluster.TickUntil(ctx, func() bool { mu.Lock(); defer mu.Unlock(); return len(launched) == 3 })
	if err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	got := launched[a].Context
	mu.Unlock()
	if got.Command != "exec ./bin" || got.Environment["A"] != "1" || got.ACLs[records.ViewApp] != "bob" ||
		got.LocalResources["bin"] != reqs[0].Launch.LocalResources["bin"] || string(got.Credentials.Secrets["key"]) != "\x01\x02" {
		t.Errorf("launched with %+v", got)
	}

	if err := f.pool.StopContainers(t.Context(), node, a); err != nil {
		t.Fatal(err)
	}
	if s := f.waitState(t, a, records.ContainerComplete); s.ExitStatus != records.ExitKilledByAppMaster {
		t.Errorf("stopped: %v", s)
	}
	if err := f.pool.Signal(t.Context(), node, b, nm.GracefulShutdown); err != nil {
		t.Fatal(err)
	}
	if s := f.waitState(t, b, records.ContainerComplete); s.ExitStatus != 143 {
		t.Errorf("signalled: %v", s)
	}
	if s := f.waitState(t, c, records.ContainerRunning); s.ExitStatus != records.ExitInvalid {
		t.Errorf("still running: %v", s)
	}
	if n := f.cluster.NodeConnections(node); n != 1 {
		t.Errorf("%d connections, want one for all calls", n)
	}
}

func TestRefusals(t *testing.T) {
	f := grant(t, 1, yarntest.Config{}, nm.Config{})
	node := f.cluster.Nodes()[0]
	req := f.requests()[0]
	if err := f.pool.StartContainer(t.Context(), req); !errors.Is(err, nm.ErrNoToken) {
		t.Errorf("without a token: %v", err)
	}
	f.pool.SetTokens(f.tokens...)
	forged := req
	forged.Container.Token.Password = []byte("guess")
	err := f.pool.StartContainer(t.Context(), forged)
	var ce *nm.ContainerError
	if !errors.As(err, &ce) || ce.ID != req.Container.ID || !strings.Contains(ce.Message, "Invalid ContainerToken") {
		t.Errorf("with a forged container token: %v", err)
	}
	unknown := req.Container.ID
	unknown.ID = 99
	if err := f.pool.StopContainers(t.Context(), node, unknown); err != nil {
		t.Errorf("stop what isn't there: %v", err)
	}
	list, err := f.pool.GetContainerStatuses(t.Context(), node, unknown)
	if !errors.As(err, &ce) || len(list) != 0 {
		t.Errorf("status of what isn't there: %v, %v", list, err)
	}
	if err := f.pool.StartContainer(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	if err := f.pool.StartContainer(t.Context(), req); err == nil || !strings.Contains(err.Error(), "Attempt to relaunch the same container") {
		t.Errorf("started twice: %v", err)
	}
}

// TestReconnect loses the reply of a start on a connection that was in use
// before: the repetition finds the container running.
func TestReconnect(t *testing.T) {
	f := grant(t, 2, yarntest.Config{}, nm.Config{})
	f.pool.SetTokens(f.tokens...)
	node := f.cluster.Nodes()[0]
	if err := f.pool.StartContainer(t.Context(), f.requests()[0]); err != nil {
		t.Fatal(err)
	}
	f.cluster.CutNodeConnections()
	f.waitState(t, f.containers[0].ID, records.ContainerRunning)
	f.cluster.Intercept("startContainers", yarntest.Times(1, yarntest.DropReply))
	if err := f.pool.StartContainer(t.Context(), f.requests()[1]); err != nil {
		t.Fatal(err)
	}
	if n := f.cluster.NodeConnections(node); n != 3 {
		t.Errorf("%d connections, want 3", n)
	}
}

func TestNewTokenReplacesConnection(t *testing.T) {
	f := grant(t, 1, yarntest.Config{}, nm.Config{})
	node := f.cluster.Nodes()[0]
	bad := f.tokens[0]
	bad.Token.Password = []byte("stale")
	f.pool.SetTokens(bad)
	if _, err := f.pool.GetContainerStatuses(t.Context(), node, f.containers[0].ID); err == nil {
		t.Error("a stale token should be refused")
	}
	f.pool.SetTokens(f.tokens...)
	if err := f.pool.StartContainer(t.Context(), f.requests()[0]); err != nil {
		t.Fatal(err)
	}
	before := f.cluster.NodeConnections(node)
	f.pool.SetTokens(f.tokens...) // the same again
	f.waitState(t, f.containers[0].ID, records.ContainerRunning)
	if n := f.cluster.NodeConnections(node); n != before {
		t.Errorf("the same token opened another connection")
	}
	f.pool.SetTokens(bad)
	if _, err := f.pool.GetContainerStatuses(t.Context(), node, f.containers[0].ID); err == nil {
		t.Error("the connection of a replaced token is still used")
	}
}

func TestIdleConnectionsAreClosed(t *testing.T) {
	f := grant(t, 1, yarntest.Config{}, nm.Config{IdleTimeout: time.Millisecond})
	f.pool.SetTokens(f.tokens...)
	node := f.cluster.Nodes()[0]
	if err := f.pool.StartContainer(t.Context(), f.requests()[0]); err != nil {
		t.Fatal(err)
	}
	// Each look comes after the idle time, sooner or later on a new connection.
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err := f.cluster.TickUntil(ctx, func() bool {
		f.pool.GetContainerStatuses(ctx, node, f.containers[0].ID)
		return f.cluster.NodeConnections(node) > 1
	})
	if err != nil {
		t.Error("the idle connection was never closed")
	}
}

// TestParallelism holds calls at the server and counts them.
func TestParallelism(t *testing.T) {
	f := grant(t, 6, yarntest.Config{}, nm.Config{Parallelism: 2})
	f.pool.SetTokens(f.tokens...)
	var mu sync.Mutex
	now, most := 0, 0
	two := make(chan struct{})
	f.cluster.Intercept("startContainers", func(ctx context.Context, _ *yarntest.Call, next func() (*yarntest.Reply, error)) (*yarntest.Reply, error) {
		mu.Lock()
		now++
		most = max(most, now)
		if now == 2 {
			select {
			case <-two:
			default:
				close(two)
			}
		}
		mu.Unlock()
		select {
		case <-two: // both slots are taken at least once
		case <-ctx.Done():
		}
		defer func() { mu.Lock(); now--; mu.Unlock() }()
		return next()
	})
	for _, err := range f.pool.StartContainers(t.Context(), f.requests()) {
		if err != nil {
			t.Error(err)
		}
	}
	if most != 2 {
		t.Errorf("%d calls at once, want 2", most)
	}
}

func TestDeadlineAndClose(t *testing.T) {
	f := grant(t, 1, yarntest.Config{}, nm.Config{})
	f.pool.SetTokens(f.tokens...)
	arrived := make(chan struct{}, 2)
	f.cluster.Intercept("stopContainers", func(ctx context.Context, _ *yarntest.Call, _ func() (*yarntest.Reply, error)) (*yarntest.Reply, error) {
		arrived <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	})
	node := f.cluster.Nodes()[0]
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { result <- f.pool.StopContainers(ctx, node, f.containers[0].ID) }()
	<-arrived
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	go func() { result <- f.pool.StopContainers(t.Context(), node, f.containers[0].ID) }()
	<-arrived
	f.pool.Close()
	if err := <-result; err == nil {
		t.Error("a call outlived the pool")
	}
	if err := f.pool.StopContainers(t.Context(), node, f.containers[0].ID); !errors.Is(err, nm.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}
