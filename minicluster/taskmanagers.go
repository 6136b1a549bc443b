package minicluster

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/weftstream/weft/filesystem"
	"github.com/weftstream/weft/runtime/host"
	"github.com/weftstream/weft/runtime/resourcemanager"
	"github.com/weftstream/weft/runtime/rpc"
	"github.com/weftstream/weft/runtime/taskmanager"
)

// taskManagers runs the TaskManagers. It is also the WorkerDriver where they are made as needed: what is missing is
// granted at once, as one TaskManager, so that a job runs in one task host.
type taskManagers struct {
	c         Config
	dir       string // of the cluster
	connector rpc.Connector
	running   sync.WaitGroup

	mu     sync.Mutex
	closed bool
	events resourcemanager.WorkerEvents // set by Start, which is called before Declare and Stop
	next   int
	byID   map[string]*running
}

type running struct {
	cancel context.CancelFunc
	ended  chan struct{}
}

func newTaskManagers(c Config, dir string) *taskManagers {
	return &taskManagers{c: c, dir: dir, byID: map[string]*running{}}
}

// start runs another TaskManager.
func (t *taskManagers) start(slots int) (id string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return "", fmt.Errorf("start a TaskManager: the MiniCluster is closed")
	}
	t.next++
	id = fmt.Sprintf("taskmanager-%d", t.next)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return id, fmt.Errorf("start %s: open its data port: %w", id, err)
	}
	log := t.c.Log.With("role", "taskmanager")
	tm, err := taskmanager.New(taskmanager.Config{
		ResourceID: id, Hostname: "localhost", JobManager: t.connector, Slots: slots, CPU: float64(runtime.GOMAXPROCS(0)),
		Data: l, DataAddress: l.Addr().String(), Log: log, ExitOnDisconnect: true,
		CachedFileDir: filepath.Join(t.dir, id), Files: t.c.Files,
		SlotTimeout: -1, // slot.request.timeout is what ends the wait for slots
		Starter: &taskmanager.InProcess{TempDir: t.c.TempDir, Options: func(taskmanager.HostSpec) host.Options {
			return host.Options{Build: t.c.Build, Files: func() *filesystem.Set { return t.c.Files }, Log: log}
		}},
	})
	if err != nil {
		l.Close()
		return id, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{cancel: cancel, ended: make(chan struct{})}
	t.byID[id] = r
	t.running.Go(func() {
		defer close(r.ended)
		defer cancel()
		t.ended(id, tm.Run(ctx))
	})
	return id, nil
}

// ended forgets a TaskManager.
func (t *taskManagers) ended(id string, err error) {
	t.mu.Lock()
	delete(t.byID, id)
	events := t.events
	t.mu.Unlock()
	end := resourcemanager.WorkerEnd{Kind: resourcemanager.EndReleased}
	if err != nil {
		end = resourcemanager.WorkerEnd{Kind: resourcemanager.EndFailed, Diagnostics: err.Error()}
	}
	if events != nil {
		events.Ended(id, end)
	}
}

// kill ends a TaskManager and waits for it.
func (t *taskManagers) kill(id string) {
	t.mu.Lock()
	r := t.byID[id]
	t.mu.Unlock()
	if r != nil {
		r.cancel()
		<-r.ended
	}
}

// close ends all TaskManagers and waits for them.
func (t *taskManagers) close() {
	t.mu.Lock()
	t.closed = true
	for _, r := range t.byID {
		r.cancel()
	}
	t.mu.Unlock()
	t.running.Wait()
}

// Start implements resourcemanager.WorkerDriver.
func (t *taskManagers) Start(_ context.Context, events resourcemanager.WorkerEvents) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.events = events
	return nil
}

// Declare implements resourcemanager.WorkerDriver.
func (t *taskManagers) Declare(spec resourcemanager.WorkerSpec, n int) {
	if n == 0 {
		return
	}
	spec.Slots *= n
	id, err := t.start(spec.Slots)
	if err != nil {
		t.events.Ended(id, resourcemanager.WorkerEnd{Kind: resourcemanager.EndFailed, Diagnostics: err.Error()})
		return
	}
	t.events.Granted(id, "localhost", spec)
}

// Stop implements resourcemanager.WorkerDriver.
func (t *taskManagers) Stop(id, _ string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r := t.byID[id]; r != nil {
		r.cancel()
	}
}

// Deregister implements resourcemanager.WorkerDriver; the MiniCluster ends the TaskManagers itself.
func (t *taskManagers) Deregister(context.Context, resourcemanager.FinalStatus, string) error {
	return nil
}
