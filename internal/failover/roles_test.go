//go:build linux

package failover

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/runtime/ha"
	"github.com/weftstream/weft/runtime/jobmanager"
	"github.com/weftstream/weft/runtime/resourcemanager"
	"github.com/weftstream/weft/runtime/rpc"
	"github.com/weftstream/weft/runtime/rpc/rpcpb"
	"github.com/weftstream/weft/runtime/taskmanager"
)

// logDir and checkpointDir are in the cluster's directory.
const (
	logDir        = "log"
	checkpointDir = "checkpoints"
	localState    = "local-state" // in a TaskManager's
)

// end is what a JobManager says of its job.
type end struct {
	Status string
	// Attempt is the highest of a subtask's.
	Attempt int
	Steps   map[string]int
}

// runJobManager is a JobManager with everything but a REST endpoint. Like one in application mode it submits its job.
func runJobManager(a *assignment, log *slog.Logger) (int, error) {
	ctx := context.Background()
	c, err := conf.FromMap(a.Config)
	if err != nil {
		return exitBroken, err
	}
	s := newSteps(a)
	files, err := s.files()
	if err != nil {
		return exitBroken, err
	}
	defer files.Close()
	fsys, dir, err := files.Resolve(a.path(logDir))
	if err != nil {
		return exitBroken, err
	}
	epoch, records, err := ha.Open(fsys, dir).Acquire(ctx)
	if err != nil {
		return exitBroken, err
	}
	ended := false
	for _, r := range records {
		ended = ended || r.Kind == ha.KindJobResult
	}
	say("acquired", ended)
	s.on.Store(true)
	m, err := jobmanager.New(jobmanager.Config{Name: a.Name, Conf: c, Driver: resourcemanager.StaticDriver{}, Log: epoch, Records: records,
		Reattach: true, Files: files, Logger: log})
	if err != nil {
		return exitBroken, err
	}
	server, err := listen(a, c, &handler{Handler: m, s: s, peers: map[rpc.Peer]*counted{}}, log)
	if err != nil {
		return exitBroken, err
	}
	run := make(chan error, 1)
	go func() { run <- m.Run(ctx) }()
	e, err := job(ctx, a, m)
	m.RequestShutdown(resourcemanager.StatusSucceeded, "")
	if err := errors.Join(err, <-run); err != nil {
		server.Close()
		return exitFatal, err
	}
	server.Close()
	e.Steps = s.counts()
	say("ended", e)
	return exitOK, nil
}

// job submits the job and waits for its end.
func job(ctx context.Context, a *assignment, m *jobmanager.JobManager) (e end, err error) {
	g, err := jobGraph(a.Job)
	if err != nil {
		return e, err
	}
	id, err := m.Dispatcher().Submit(ctx, g)
	if err != nil {
		return e, err
	}
	var watcher sync.WaitGroup
	over := make(chan struct{})
	watcher.Go(func() { progress(m, id, over) })
	r, err := m.Dispatcher().Await(ctx, id)
	close(over)
	watcher.Wait()
	if err != nil {
		return e, err
	}
	e.Status = r.GetStatus().String()
	d, _ := m.Dispatcher().Job(id)
	for _, v := range d.Vertices {
		for _, sub := range v.Subtasks {
			e.Attempt = max(e.Attempt, sub.Attempt)
		}
	}
	if f := r.GetFailure(); f != nil {
		return e, fmt.Errorf("the job failed: %s", f.GetMessage())
	}
	return e, nil
}

// progress says when all tasks run, and when the first checkpoint is complete.
func progress(m *jobmanager.JobManager, id graph.JobID, over <-chan struct{}) {
	running := false
	tick := time.NewTicker(2 * poll)
	defer tick.Stop()
	for {
		select {
		case <-over:
			return
		case <-tick.C:
		}
		if !running {
			d, ok := m.Dispatcher().Job(id)
			n := d.Tasks[linkpb.ExecutionState_EXECUTION_RUNNING]
			if running = ok && n > 0 && n == d.Tasks.Total(); running {
				say("running", nil)
			}
			continue
		}
		if stats, ok := m.Dispatcher().Checkpoints(id); ok && stats.Counts.Completed > 0 {
			say("checkpoint", stats.LatestCompleted.ID)
			return
		}
	}
}

// listen serves TaskManagers, and says where.
func listen(a *assignment, c conf.Configuration, h rpc.Handler, log *slog.Logger) (*rpc.Server, error) {
	leaf, err := a.leaf(rpc.RoleJobManager)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	server, err := rpc.NewServer(rpc.ServerConfig{Handler: h, TLS: leaf.ServerTLS(), JobManager: a.Name,
		HeartbeatInterval: conf.Get(c, conf.HeartbeatInterval), HeartbeatTimeout: conf.Get(c, conf.HeartbeatTimeout), Log: log})
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	go func() {
		if err := server.Serve(l); err != nil {
			log.Error("no TaskManagers any more", "error", err)
		}
	}()
	return server, publish(a.path(a.Address), l.Addr().String())
}

// publish writes a file that others read: all of it or nothing is seen.
func publish(path, text string) error {
	temporary := fmt.Sprintf("%s.%d", path, os.Getpid())
	if err := os.WriteFile(temporary, []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}

// runTaskManager is a TaskManager with one slot.
func runTaskManager(a *assignment, log *slog.Logger) (int, error) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	leaf, err := a.leaf(rpc.RoleTaskManager)
	if err != nil {
		return exitBroken, err
	}
	temp := a.path(a.Name)
	if err := os.MkdirAll(temp, 0o700); err != nil {
		return exitBroken, err
	}
	starter, err := taskmanager.NewProcessStarter(taskmanager.ProcessConfig{TempDir: temp, LogDir: temp, Subreaper: true, Log: log})
	if err != nil {
		return exitBroken, err
	}
	defer starter.Close()
	data, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return exitBroken, err
	}
	t, err := taskmanager.New(taskmanager.Config{ResourceID: a.Name, Hostname: "localhost", JobManager: &retrieval{a.path(a.Address), leaf},
		Starter: starter, Artifacts: itself{}, Slots: 1, Data: data, DataAddress: data.Addr().String(), ExitOnDisconnect: a.Bound,
		LocalStateDir: a.path(a.Name, localState), Log: log})
	if err != nil {
		return exitBroken, err
	}
	err = t.Run(ctx)
	if errors.Is(err, taskmanager.ErrJobManagerLost) {
		err = nil
	}
	return exitOK, err
}

// retrieval finds the JobManager that leads in a file.
type retrieval struct {
	file string
	leaf *rpc.Leaf
}

func (r *retrieval) Connect(ctx context.Context, m *rpcpb.Register) (rpc.Conn, *rpcpb.Registered, error) {
	address, err := os.ReadFile(r.file)
	if err != nil || len(address) == 0 {
		return nil, nil, fmt.Errorf("no JobManager leads: %w", err)
	}
	return rpc.Dial(string(address), r.leaf.ClientTLS()).Connect(ctx, m)
}

// itself has task hosts run this executable.
type itself struct{}

func (itself) Fetch(context.Context, *graph.Artifact, rpc.Artifacts) (string, error) {
	return os.Executable()
}
