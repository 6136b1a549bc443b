package resourcemanager

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/runtime/rpc/rpcpb"
)

// slowDriver takes as long to start as the test wants, and notes its calls.
type slowDriver struct {
	StaticDriver
	start chan error

	mu    sync.Mutex
	calls []string
}

func (d *slowDriver) note(s string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls = append(d.calls, s)
}

func (d *slowDriver) Start(ctx context.Context, events WorkerEvents) error {
	events.Granted("left", "node", WorkerSpec{Slots: 1})
	select {
	case err := <-d.start:
		d.note("started")
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (d *slowDriver) Declare(_ WorkerSpec, n int) { d.note("declare " + strings.Repeat("i", n)) }
func (d *slowDriver) Stop(id, reason string)      { d.note("stop " + id) }
func (d *slowDriver) Deregister(_ context.Context, s FinalStatus, diagnostics string) error {
	d.note("deregister " + s.String())
	return errors.New("connection refused")
}

// silent is TaskManagers and jobs that nobody listens to.
type silent struct{}

func (silent) Send(string, *rpcpb.ToTaskManager) error { return nil }
func (silent) Close(string, string)                    {}
func (silent) TaskManagerLost(string, string)          {}
func (silent) SlotShortage(graph.JobID, string, bool)  {}

func newManager(t *testing.T, d WorkerDriver) *ResourceManager {
	t.Helper()
	m, err := New(Config{Conf: conf.Configuration{}, Driver: d, Spec: WorkerSpec{Slots: 1}, TaskManagers: silent{}, Jobs: silent{}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestDriverStartsSlowly: TaskManagers may register meanwhile; the driver is told nothing before it has started.
func TestDriverStartsSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &slowDriver{start: make(chan error)}
		m := newManager(t, d)
		ended := make(chan error, 1)
		go func() { ended <- m.Run(t.Context()) }()
		if err := m.Register(&rpcpb.Register{ResourceId: "left", Slots: 1}); err != nil {
			t.Fatal(err)
		}
		id := graph.NewJobID()
		m.Declare(&rpcpb.JobInfo{Graph: &graph.JobGraph{JobId: id[:]}}, 3, 3)
		m.Disconnected("left", errors.New("connection reset"))
		synctest.Wait()
		if len(d.calls) != 0 {
			t.Errorf("calls %v before the driver has started", d.calls)
		}
		d.start <- nil
		synctest.Wait()
		if want := []string{"started", "stop left", "declare iii"}; !slices.Equal(d.calls, want) {
			t.Errorf("calls %v, want %v", d.calls, want)
		}
		if o := m.Overview(); o.SlotsMissing != 3 || o.WorkersDeclared != 3 {
			t.Errorf("overview %+v", o)
		}
		if err := m.Deregister(t.Context(), StatusKilled, ""); err == nil || d.calls[len(d.calls)-1] != "deregister KILLED" {
			t.Errorf("Deregister: %v, calls %v; want the driver's error", err, d.calls)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
		// After the end everything returns at once.
		if err := m.Register(&rpcpb.Register{ResourceId: "late", Slots: 1}); err == nil {
			t.Error("a ResourceManager that has ended takes TaskManagers")
		}
		if m.TaskManagers() != nil || m.Deregister(t.Context(), StatusKilled, "") != nil {
			t.Error("a ResourceManager that has ended answers")
		}
	})
}

// TestEndBeforeDriverStarted: neither a failing start nor one that hangs leaves anything behind.
func TestEndBeforeDriverStarted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &slowDriver{start: make(chan error, 1)}
		d.start <- errors.New("the queue doesn't exist")
		if err := newManager(t, d).Run(t.Context()); err == nil || !strings.Contains(err.Error(), "the queue doesn't exist") {
			t.Errorf("Run: %v", err)
		}
		d = &slowDriver{start: make(chan error)}
		m := newManager(t, d)
		ended := make(chan error, 1)
		go func() { ended <- m.Run(t.Context()) }()
		synctest.Wait()
		if err := m.Deregister(t.Context(), StatusFailed, ""); err == nil {
			t.Error("Deregister: nil, want the driver's error")
		}
		<-ended
		m = newManager(t, &slowDriver{start: make(chan error)})
		ctx, cancel := context.WithCancel(t.Context())
		go func() { ended <- m.Run(ctx) }()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestWorkerText(t *testing.T) {
	for _, test := range []struct {
		end  WorkerEnd
		want string
	}{
		{WorkerEnd{Kind: EndPreempted}, "preempted"},
		{WorkerEnd{ExitCode: -104, Diagnostics: "Container is running\n  beyond physical memory limits"},
			"failed with exit code -104: Container is running beyond physical memory limits"},
	} {
		if got := test.end.String(); got != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
	}
	c, err := conf.FromMap(map[string]string{"taskmanager.numberOfTaskSlots": "3", "taskmanager.memory.process.size": "1025k", "taskmanager.cpu.cores": "1.5"})
	if err != nil {
		t.Fatal(err)
	}
	if s := WorkerSpecOf(c); s != (WorkerSpec{MemoryMB: 2, VCores: 2, Slots: 3}) {
		t.Errorf("spec %v", s)
	}
}
