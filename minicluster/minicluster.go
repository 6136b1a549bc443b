// Package minicluster runs the roles of a cluster in one process: a JobManager and TaskManagers whose task hosts are
// goroutines, connected by pipes. It is what a program uses that is started with `go run .`, and what tests use.
//
// With Config.TaskManagers the TaskManagers are fixed, as in a standalone cluster. Without, they are made as jobs need
// slots, and idle ones end after resourcemanager.taskmanager-timeout.
//
// A MiniCluster owns the goroutine of its JobManager and one for each TaskManager; Close stops and joins them all.
package minicluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/filesystem"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/runtime/artifact"
	"github.com/weftstream/weft/runtime/cachedfile"
	"github.com/weftstream/weft/runtime/dispatcher"
	"github.com/weftstream/weft/runtime/ha"
	"github.com/weftstream/weft/runtime/host"
	"github.com/weftstream/weft/runtime/jobmanager"
	"github.com/weftstream/weft/runtime/resourcemanager"
	"github.com/weftstream/weft/runtime/rpc"
)

// Config makes a MiniCluster.
type Config struct {
	Conf conf.Configuration
	// TaskManagers is the number of TaskManagers started at once; 0: none, slots are made as jobs need them.
	TaskManagers int
	// SlotsPerTaskManager is the number of slots of each; 0: taskmanager.numberOfTaskSlots.
	SlotsPerTaskManager int
	// Build makes a job's StreamGraph again, as in a task host. Required.
	Build host.Build
	// Files are the file systems of checkpoints; may be nil.
	Files *filesystem.Set
	// Log may be nil: nothing is logged.
	Log *slog.Logger
	// TempDir is where directories of the cluster and of task hosts are made; "": the system's.
	TempDir string
}

// MiniCluster is a cluster in this process. Its methods are safe for concurrent use.
type MiniCluster struct {
	jm     *jobmanager.JobManager
	server *rpc.Server
	local  *taskManagers
	dir    string     // the cluster's own
	run    chan error // yields the JobManager's end
	close  sync.Once
	err    error // of Close
}

// DefaultParallelism is parallelism.default where it is set, else the number of processors this process may use.
func DefaultParallelism(c conf.Configuration) int {
	if p, ok := conf.Lookup(c, conf.ParallelismDefault); ok {
		return p
	}
	return runtime.GOMAXPROCS(0)
}

// New starts a MiniCluster; Close ends it.
func New(c Config) (*MiniCluster, error) {
	if c.Build == nil {
		return nil, errors.New("start a MiniCluster: no build function")
	}
	if c.TaskManagers < 0 || c.SlotsPerTaskManager < 0 {
		return nil, fmt.Errorf("start a MiniCluster: %d TaskManagers of %d slots", c.TaskManagers, c.SlotsPerTaskManager)
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.SlotsPerTaskManager == 0 {
		c.SlotsPerTaskManager = conf.Get(c.Conf, conf.TaskManagerNumberOfTaskSlots)
	}
	dir, err := os.MkdirTemp(c.TempDir, "weft-minicluster-")
	if err != nil {
		return nil, fmt.Errorf("start a MiniCluster: %w", err)
	}
	m, err := newCluster(c, dir)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start a MiniCluster: %w", err), os.RemoveAll(dir))
	}
	for range c.TaskManagers {
		if _, err := m.local.start(c.SlotsPerTaskManager); err != nil {
			return nil, errors.Join(fmt.Errorf("start a MiniCluster: %w", err), m.Close())
		}
	}
	return m, nil
}

// newCluster starts the JobManager.
func newCluster(c Config, dir string) (*MiniCluster, error) {
	epoch, _, err := ha.NewMemory().Acquire(context.Background())
	if err != nil {
		return nil, err
	}
	m := &MiniCluster{local: newTaskManagers(c, dir), dir: dir, run: make(chan error, 1)}
	config := jobmanager.Config{Name: "minicluster", Conf: c.Conf, Driver: m.local, Log: epoch, Files: c.Files, Logger: c.Log,
		Spec: resourcemanager.WorkerSpec{Slots: 1}}
	if c.TaskManagers > 0 {
		config.Driver, config.Spec.Slots = resourcemanager.StaticDriver{}, c.SlotsPerTaskManager
	}
	if m.jm, err = jobmanager.New(config); err != nil {
		return nil, err
	}
	m.server, err = rpc.NewServer(rpc.ServerConfig{Handler: m.jm, Artifacts: m.jm.OpenArtifact, JobManager: config.Name, Log: c.Log,
		HeartbeatInterval: conf.Get(c.Conf, conf.HeartbeatInterval), HeartbeatTimeout: conf.Get(c.Conf, conf.HeartbeatTimeout)})
	if err != nil {
		return nil, err
	}
	m.local.connector = rpc.Pipe(m.server)
	go func() { m.run <- m.jm.Run(context.Background()) }()
	return m, nil
}

// Submit starts a job. Its cached files are those of this moment.
func (m *MiniCluster) Submit(ctx context.Context, g *graph.JobGraph) (graph.JobID, error) {
	if !cachedfile.Staged(g.GetCachedFiles()) {
		g = proto.CloneOf(g)
		cache := artifact.NewCache(artifact.CacheConfig{FS: filesystem.Local{}, Staging: m.dir})
		if err := cachedfile.Stage(ctx, g.GetCachedFiles(), cachedfile.ToCache(cache)); err != nil {
			return graph.JobID{}, err
		}
	}
	return m.jm.Dispatcher().Submit(ctx, g)
}

// Await returns the job's result when it has ended.
func (m *MiniCluster) Await(ctx context.Context, id graph.JobID) (*linkpb.JobResult, error) {
	return m.jm.Dispatcher().Await(ctx, id)
}

// Cancel asks for the job's cancellation.
func (m *MiniCluster) Cancel(ctx context.Context, id graph.JobID) error {
	return m.jm.Dispatcher().Cancel(ctx, id)
}

// Dispatcher gives snapshots of jobs.
func (m *MiniCluster) Dispatcher() *dispatcher.Dispatcher { return m.jm.Dispatcher() }

// JobManager gives snapshots of the cluster.
func (m *MiniCluster) JobManager() *jobmanager.JobManager { return m.jm }

// StopTaskManager kills a TaskManager and its task hosts, as if its process had died, and waits for it. It is for tests.
func (m *MiniCluster) StopTaskManager(resourceID string) { m.local.kill(resourceID) }

// StartTaskManager adds a TaskManager to those that are fixed and returns its resource id. It is for tests.
func (m *MiniCluster) StartTaskManager() (resourceID string, err error) {
	return m.local.start(m.local.c.SlotsPerTaskManager)
}

// Close cancels what still runs, stops everything and waits for it.
func (m *MiniCluster) Close() error {
	m.close.Do(func() {
		m.jm.RequestShutdown(resourcemanager.StatusSucceeded, "the MiniCluster is closed")
		m.err = <-m.run
		m.local.close()
		m.server.Close()
		m.err = errors.Join(m.err, os.RemoveAll(m.dir))
	})
	return m.err
}
