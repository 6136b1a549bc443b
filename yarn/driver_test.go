package yarn_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weftstream/weft/hadoop/records"
	"github.com/weftstream/weft/internal/testkit"
	"github.com/weftstream/weft/runtime/resourcemanager"
	"github.com/weftstream/weft/yarn"
	"github.com/weftstream/weft/yarn/amrm"
	"github.com/weftstream/weft/yarn/webservice"
	"github.com/weftstream/weft/yarn/yarntest"
)

var spec = resourcemanager.WorkerSpec{MemoryMB: 256, VCores: 1, Slots: 2}

// recorder is the ResourceManager's end of a driver.
type recorder struct {
	mu      sync.Mutex
	granted []string // ids
	ended   map[string]resourcemanager.WorkerEnd
	waiting string
	fatal   error
}

func (r *recorder) Granted(id, node string, s resourcemanager.WorkerSpec) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s == spec && node != "" {
		r.granted = append(r.granted, id)
	}
}

func (r *recorder) Ended(id string, end resourcemanager.WorkerEnd) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, again := r.ended[id]; again || !slices.Contains(r.granted, id) {
		end.Diagnostics = "reported twice, or without a grant"
	}
	r.ended[id] = end
}

func (r *recorder) Waiting(reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting = reason
}

func (r *recorder) Fatal(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fatal = err
}

func (r *recorder) grants() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.granted)
}

func (r *recorder) end(id string) (resourcemanager.WorkerEnd, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	end, ok := r.ended[id]
	return end, ok
}

func (r *recorder) trouble() (waiting string, fatal error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.waiting, r.fatal
}

// bench is a driver with its cluster.
type bench struct {
	*recorder
	cluster  *yarntest.Cluster
	app      records.ApplicationID
	driver   *yarn.Driver
	cleanups atomic.Int32
	refuse   atomic.Bool // Launch fails
}

func newBench(t *testing.T, cfg yarntest.Config) *bench {
	t.Helper()
	testkit.NoGoroutinesLeft(t)
	if cfg.HeartbeatInterval == 0 {
		cfg.HeartbeatInterval = 5 * time.Millisecond
	}
	c, err := yarntest.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	attempt, token := c.AddApplication("driver")
	b := &bench{cluster: c, app: attempt.Application, recorder: &recorder{ended: map[string]resourcemanager.WorkerEnd{}}}
	var nodes []amrm.NodeHost
	for _, n := range c.Nodes() {
		nodes = append(nodes, amrm.NodeHost{Host: n.Host})
	}
	b.driver, err = yarn.NewDriver(yarn.DriverConfig{
		Client:       amrm.ClientConfig{Addresses: c.SchedulerAddresses(), Token: token},
		Registration: amrm.Registration{Host: "127.0.0.1", RPCPort: 1234, TrackingURL: "http://127.0.0.1:1234"},
		FastInterval: 5 * time.Millisecond, SlowInterval: 20 * time.Millisecond, Nodes: nodes,
		Launch: func(c records.Container, _ resourcemanager.WorkerSpec) (records.LaunchContext, error) {
			if b.refuse.Load() {
				return records.LaunchContext{}, errors.New("no launch on purpose")
			}
			return records.LaunchContext{Command: "exec ./weft " + c.ID.String()}, nil
		},
		Explain: func(_ context.Context, n int, size records.Resource) string { return fmt.Sprintf("%d of %s", n, size) },
		Cleanup: func(context.Context) error { b.cleanups.Add(1); return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.driver.Deregister(within(t), resourcemanager.StatusUndefined, "the test has ended") })
	if err := b.driver.Register(within(t)); err != nil {
		t.Fatal(err)
	}
	if err := b.driver.Start(within(t), b.recorder); err != nil {
		t.Fatal(err)
	}
	return b
}

// bring declares n workers and waits for them.
func (b *bench) bring(t *testing.T, n int) []string {
	t.Helper()
	b.driver.Declare(spec, n)
	testkit.Eventually(t, fmt.Sprint(n, " containers run"), func() bool {
		running := 0
		for _, c := range b.cluster.Containers(b.app) {
			if c.State == "running" {
				running++
			}
		}
		return len(b.grants()) == n && running == n
	})
	return b.grants()
}

func (b *bench) ends(t *testing.T, id string, kind resourcemanager.EndKind, diagnostics string) {
	t.Helper()
	testkit.Eventually(t, id+" ends", func() bool { _, ok := b.end(id); return ok })
	if end, _ := b.end(id); end.Kind != kind || !strings.Contains(end.Diagnostics, diagnostics) {
		t.Errorf("%s ended %q, want %s with %q", id, end, kind, diagnostics)
	}
}

func containerID(t *testing.T, id string) records.ContainerID {
	t.Helper()
	c, err := records.ParseContainerID(id)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestDriverEnds(t *testing.T) {
	b := newBench(t, yarntest.Config{Nodes: []yarntest.NodeConfig{{Host: "127.0.0.1"}, {Host: "127.0.0.2"}}})
	ids := b.bring(t, 6)
	perNode := map[string]int{}
	for _, c := range b.cluster.Containers(b.app) {
		perNode[c.Node.Host]++
		if c.Resource.MemoryMB != spec.MemoryMB {
			t.Errorf("%s has %s, want %d MiB", c.ID, c.Resource, spec.MemoryMB)
		}
	}
	if perNode["127.0.0.1"] != 3 || perNode["127.0.0.2"] != 3 {
		t.Errorf("containers per node %v, want 3 each", perNode)
	}

	for i, end := range []struct {
		exit int32
		kind resourcemanager.EndKind
		text string
	}{
		{3, resourcemanager.EndFailed, "boom"},
		{records.ExitKilledExceededPMem, resourcemanager.EndFailed, "taskmanager.memory.process.size"},
		{records.ExitDisksFailed, resourcemanager.EndNodeLost, ""},
	} {
		if err := b.cluster.Kill(containerID(t, ids[i]), end.exit, "boom"); err != nil {
			t.Fatal(err)
		}
		b.ends(t, ids[i], end.kind, end.text)
	}
	if err := b.cluster.Preempt(containerID(t, ids[3])); err != nil {
		t.Fatal(err)
	}
	b.ends(t, ids[3], resourcemanager.EndPreempted, "")
	b.driver.Stop(ids[4], "not needed")
	b.driver.Stop("nonsense", "unknown ids are ignored")
	b.ends(t, ids[4], resourcemanager.EndReleased, "")
	if err := b.cluster.LoseNode(nodeOf(t, b, ids[5])); err != nil {
		t.Fatal(err)
	}
	b.ends(t, ids[5], resourcemanager.EndNodeLost, "")
}

func nodeOf(t *testing.T, b *bench, id string) records.NodeID {
	t.Helper()
	for _, c := range b.cluster.Containers(b.app) {
		if c.ID.String() == id {
			return c.Node
		}
	}
	t.Fatalf("%s isn't there", id)
	return records.NodeID{}
}

func TestDriverLaunchFails(t *testing.T) {
	b := newBench(t, yarntest.Config{})
	b.refuse.Store(true)
	b.driver.Declare(spec, 1)
	testkit.Eventually(t, "a grant", func() bool { return len(b.grants()) == 1 })
	b.ends(t, b.grants()[0], resourcemanager.EndFailed, "no launch on purpose")
	testkit.Eventually(t, "the container is given back", func() bool { return len(b.cluster.Containers(b.app)) == 0 })
	if got := len(b.grants()); got != 1 {
		t.Errorf("%d grants, want 1: whether to try again is the ResourceManager's business", got)
	}
}

// TestDriverStartRefused: a NodeManager that refuses a container is a failed worker, too.
func TestDriverStartRefused(t *testing.T) {
	b := newBench(t, yarntest.Config{})
	remove := b.cluster.Intercept("startContainers", yarntest.Fail("org.apache.hadoop.yarn.exceptions.YarnException", "not here"))
	defer remove()
	b.driver.Declare(spec, 1)
	testkit.Eventually(t, "a grant", func() bool { return len(b.grants()) == 1 })
	b.ends(t, b.grants()[0], resourcemanager.EndFailed, "not here")
}

func TestDriverDeregister(t *testing.T) {
	b := newBench(t, yarntest.Config{})
	b.bring(t, 3)
	if err := b.driver.Deregister(within(t), resourcemanager.StatusFailed, "why it failed"); err != nil {
		t.Fatal(err)
	}
	if got := b.cleanups.Load(); got != 1 {
		t.Errorf("%d cleanups, want 1", got)
	}
	if got := b.cluster.Containers(b.app); len(got) != 0 {
		testkit.Eventually(t, "no containers", func() bool { return len(b.cluster.Containers(b.app)) == 0 })
	}
	app := b.report(t)
	if app.State != webservice.StateFinished || app.FinalStatus != "FAILED" || app.Diagnostics != "why it failed" {
		t.Errorf("report %+v", app)
	}
	if err := b.driver.Deregister(within(t), resourcemanager.StatusSucceeded, "again"); err != nil || b.cleanups.Load() != 1 {
		t.Errorf("the second call: %v, %d cleanups", err, b.cleanups.Load())
	}
	if _, fatal := b.trouble(); fatal != nil {
		t.Errorf("an expected end was reported as fatal: %v", fatal)
	}
}

func (b *bench) report(t *testing.T) webservice.Application {
	t.Helper()
	web, err := webservice.New(webservice.Config{Addresses: b.cluster.WebAddresses()})
	if err != nil {
		t.Fatal(err)
	}
	defer web.Close()
	app, err := web.Application(within(t), b.app)
	if err != nil {
		t.Fatal(err)
	}
	return app
}

// TestDriverAttemptEnded: YARN has ended the attempt, as when the application is killed.
func TestDriverAttemptEnded(t *testing.T) {
	b := newBench(t, yarntest.Config{})
	web, err := webservice.New(webservice.Config{Addresses: b.cluster.WebAddresses()})
	if err != nil {
		t.Fatal(err)
	}
	defer web.Close()
	if err := web.Kill(within(t), b.app); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "the driver gives up", func() bool { _, fatal := b.trouble(); return fatal != nil })
	if _, fatal := b.trouble(); !errors.Is(fatal, amrm.ErrShutdown) {
		t.Errorf("fatal %v, want ErrShutdown", fatal)
	}
	if err := b.driver.Deregister(within(t), resourcemanager.StatusFailed, ""); !errors.Is(err, amrm.ErrShutdown) {
		t.Errorf("deregister: %v, want ErrShutdown", err)
	}
	if got := b.cleanups.Load(); got != 1 {
		t.Errorf("%d cleanups, want 1: nobody needs the staging of a killed application", got)
	}
}

func TestDriverWaits(t *testing.T) {
	b := newBench(t, yarntest.Config{Nodes: []yarntest.NodeConfig{{Resource: records.Resource{MemoryMB: 256, VCores: 8}}}})
	b.bring(t, 1)
	b.driver.Declare(spec, 2)
	want := "2 of <memory:256, vCores:1>"
	testkit.Eventually(t, "the reason is told", func() bool { waiting, _ := b.trouble(); return waiting == want })
	b.driver.Declare(spec, 0)
	testkit.Eventually(t, "the reason is taken back", func() bool { waiting, _ := b.trouble(); return waiting == "" })
}

func TestDriverRefused(t *testing.T) {
	b := newBench(t, yarntest.Config{MaxAllocation: records.Resource{MemoryMB: 128, VCores: 1}})
	b.driver.Declare(spec, 1)
	testkit.Eventually(t, "the driver gives up", func() bool { _, fatal := b.trouble(); return fatal != nil })
	if _, fatal := b.trouble(); !strings.Contains(fatal.Error(), "taskmanager.memory.process.size") {
		t.Errorf("fatal %v: doesn't say what to do", fatal)
	}
}

// TestDriverLosesYARN: a YARN ResourceManager that restarts finds the asks again, and workers live on.
func TestDriverLosesYARN(t *testing.T) {
	b := newBench(t, yarntest.Config{})
	ids := b.bring(t, 2)
	b.cluster.StopRM()
	b.driver.Declare(spec, 2)
	b.cluster.StartRM()
	testkit.Eventually(t, "two more", func() bool { return len(b.grants()) == 4 })
	for _, id := range ids {
		if end, ended := b.end(id); ended {
			t.Errorf("%s ended %s", id, end)
		}
	}
}
