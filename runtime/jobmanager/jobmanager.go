// Package jobmanager ties the roles of a JobManager together: Dispatcher, ResourceManager and the TaskManagers'
// connections. Entrypoints and minicluster make one; REST reads it.
//
// JobManager implements rpc.Handler: what TaskManagers say goes to the ResourceManager (registrations, heartbeats, freed
// slots) and through the Dispatcher to the JobMasters (slot offers, events of task hosts). No lock is held during a call
// into another role, and roles never wait for each other: only a TaskManager's own connection may wait, for the job whose
// mailbox is full.
package jobmanager

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/filesystem"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/runtime/dispatcher"
	"github.com/weftstream/weft/runtime/ha"
	"github.com/weftstream/weft/runtime/jobmaster"
	"github.com/weftstream/weft/runtime/resourcemanager"
	"github.com/weftstream/weft/runtime/rpc"
	"github.com/weftstream/weft/runtime/rpc/rpcpb"
)

// Bounds of the end of a JobManager: how long jobs may take to be cancelled before they are suspended, and how long the
// driver may take to deregister.
const (
	cancelTimeout     = 30 * time.Second
	deregisterTimeout = 30 * time.Second
)

// Artifacts gives out executables and cached files by their SHA-256 where TaskManagers can't reach them in a file system.
type Artifacts interface {
	// Open opens one; an unknown one is an error that wraps rpc.ErrArtifactNotFound.
	Open(ctx context.Context, sha256 []byte) (io.ReadCloser, error)
}

// Config makes a JobManager.
type Config struct {
	// Name is what logs call the JobManager.
	Name string
	Conf conf.Configuration
	// Driver brings workers; Spec is what is asked of it, the zero value is resourcemanager.WorkerSpecOf(Conf).
	Driver resourcemanager.WorkerDriver
	Spec   resourcemanager.WorkerSpec
	// Log is the epoch log and Records what Acquire returned with it.
	Log     jobmaster.EpochLog
	Records []ha.Record
	// Reattach: the driver runs again in this JobManager (application mode) and submits the jobs in Records by definition
	// and key. Otherwise those without a result are started again at once.
	Reattach bool
	// Archive and Artifacts may be nil.
	Archive   dispatcher.Archive
	Artifacts Artifacts
	// Files are the file systems of checkpoints.
	Files *filesystem.Set
	// Logger may be nil: nothing is logged.
	Logger *slog.Logger
}

// Overview is what REST's /overview shows.
type Overview struct {
	resourcemanager.Overview
	JobsRunning, JobsFinished, JobsCancelled, JobsFailed int
}

// JobManager is the roles of a JobManager process. Its methods are safe for concurrent use.
type JobManager struct {
	c    Config
	disp *dispatcher.Dispatcher
	rm   *resourcemanager.ResourceManager

	peers    peers
	request  chan shutdown // holds the first RequestShutdown
	fatal    chan error    // holds the first fatal error
	requests sync.Once
}

type shutdown struct {
	status      resourcemanager.FinalStatus
	diagnostics string
}

var _ rpc.Handler = (*JobManager)(nil)

// New checks the configuration and makes a JobManager; Run starts it.
func New(c Config) (*JobManager, error) {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Spec == (resourcemanager.WorkerSpec{}) {
		c.Spec = resourcemanager.WorkerSpecOf(c.Conf)
	}
	if _, reactive := conf.Lookup(c.Conf, conf.SchedulerMode); reactive && !resourcemanager.IsStatic(c.Driver) {
		return nil, errReactive
	}
	m := &JobManager{c: c, request: make(chan shutdown, 1), fatal: make(chan error, 1)}
	m.peers.byID = map[string]peer{}
	var err error
	m.rm, err = resourcemanager.New(resourcemanager.Config{Conf: c.Conf, Driver: c.Driver, Spec: c.Spec, TaskManagers: &m.peers,
		Jobs: jobs{m}, Log: c.Logger.With("role", "resourcemanager")})
	if err != nil {
		return nil, err
	}
	m.disp, err = dispatcher.New(dispatcher.Config{Conf: c.Conf, Slots: m.rm, TaskManagers: &m.peers, Log: c.Log, Records: c.Records, Files: c.Files,
		Reattach: c.Reattach, Archive: c.Archive, Logger: c.Logger.With("role", "jobmaster"), Fatal: m.giveUp})
	return m, err
}

var errReactive = errors.New("start a JobManager: scheduler-mode is REACTIVE, which is for standalone clusters, whose TaskManagers " +
	"come and go by themselves: here set jobmanager.scheduler to Adaptive, and ask for another parallelism with " +
	"PUT /jobs/:jobid/resource-requirements")

// jobs routes the ResourceManager's news to the Dispatcher, which is made after it.
type jobs struct{ m *JobManager }

func (j jobs) TaskManagerLost(resourceID, reason string) {
	j.m.disp.TaskManagerLost(resourceID, reason)
}

func (j jobs) SlotShortage(id jobID, reason string, fatal bool) {
	j.m.disp.SlotShortage(id, reason, fatal)
}

func (m *JobManager) giveUp(err error) {
	select {
	case m.fatal <- err:
	default: // the first one is the cause
	}
}

// Run starts the roles and returns when they have ended: after RequestShutdown or the end of ctx (nil), or an error from
// which the JobManager can't recover (ha.ErrFenced, a driver's fatal error). After RequestShutdown jobs that still run are
// cancelled; otherwise they are suspended, without a result, so that another JobManager can go on with them. It is called
// once.
func (m *JobManager) Run(ctx context.Context) error {
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	rm := make(chan error, 1)
	go func() { rm <- m.rm.Run(life) }()
	var watch sync.WaitGroup
	watch.Go(func() { m.watch(life) })
	defer watch.Wait()
	defer cancel()
	var err error
	end := shutdown{}
	rmEnded := false
	if err = m.disp.Recover(ctx); err == nil {
		select {
		case <-ctx.Done():
			end.diagnostics = "the JobManager was stopped"
		case end = <-m.request:
		case err = <-m.fatal:
		case err = <-rm:
			rmEnded = true
		}
	}
	m.c.Logger.Info("JobManager ends", "status", end.status.String(), "diagnostics", end.diagnostics, "error", err)
	return errors.Join(err, m.end(end, err, rm, rmEnded, cancel))
}

// watch notices that another JobManager leads even while there is nothing to record: this one would go on for ever otherwise,
// waiting for TaskManagers that are no longer its own, for instance.
func (m *JobManager) watch(ctx context.Context) {
	tick := time.NewTicker(conf.Get(m.c.Conf, conf.HeartbeatInterval))
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		// Another error is for whoever records something: the log may recover before.
		if err := m.c.Log.Check(ctx); errors.Is(err, ha.ErrFenced) {
			m.giveUp(err)
			return
		}
	}
}

// end stops the roles in reverse order.
func (m *JobManager) end(s shutdown, cause error, rm <-chan error, rmEnded bool, cancel context.CancelFunc) error {
	if cause != nil {
		s = shutdown{status: resourcemanager.StatusUndefined, diagnostics: cause.Error()}
		if !errors.Is(cause, ha.ErrFenced) {
			s.status = resourcemanager.StatusFailed
		}
	}
	jobsEnd := s.status
	if cause != nil {
		jobsEnd = resourcemanager.StatusUndefined
	}
	ctx, stop := context.WithTimeout(context.Background(), cancelTimeout)
	m.disp.Shutdown(ctx, jobsEnd)
	stop()
	if s.status != resourcemanager.StatusUndefined && !resourcemanager.IsStatic(m.c.Driver) { // else TaskManagers wait for another JobManager
		m.peers.shutdown("the cluster is shutting down")
	}
	var err error
	if !rmEnded {
		ctx, stop := context.WithTimeout(context.Background(), deregisterTimeout)
		if err = m.rm.Deregister(ctx, s.status, s.diagnostics); err != nil {
			err = fmt.Errorf("deregister the cluster: %w", err)
		}
		stop()
		cancel()
		err = errors.Join(err, <-rm)
	}
	return err
}

// RequestShutdown has Run cancel what still runs, stop the driver's TaskManagers, deregister with status and return. It doesn't wait.
// The first call counts. StatusUndefined suspends jobs instead of cancelling them.
func (m *JobManager) RequestShutdown(status resourcemanager.FinalStatus, diagnostics string) {
	m.requests.Do(func() { m.request <- shutdown{status, diagnostics} })
}

// Dispatcher is where jobs are submitted.
func (m *JobManager) Dispatcher() *dispatcher.Dispatcher { return m.disp }

// ResourceManager knows slots and workers.
func (m *JobManager) ResourceManager() *resourcemanager.ResourceManager { return m.rm }

// TaskManagers returns the registered TaskManagers in the order of registration.
func (m *JobManager) TaskManagers() []resourcemanager.TaskManagerInfo { return m.rm.TaskManagers() }

// TaskManager returns one TaskManager.
func (m *JobManager) TaskManager(resourceID string) (resourcemanager.TaskManagerInfo, bool) {
	return m.rm.TaskManager(resourceID)
}

// Overview counts jobs, TaskManagers and slots. A job that is neither finished, cancelled nor failed counts as running, as
// in Flink; a suspended one doesn't count.
func (m *JobManager) Overview() Overview {
	o := Overview{Overview: m.rm.Overview()}
	for _, j := range m.disp.Jobs() {
		switch j.Status {
		case linkpb.JobStatus_FINISHED:
			o.JobsFinished++
		case linkpb.JobStatus_CANCELED:
			o.JobsCancelled++
		case linkpb.JobStatus_FAILED:
			o.JobsFailed++
		case linkpb.JobStatus_SUSPENDED:
		default:
			o.JobsRunning++
		}
	}
	return o
}

// OpenArtifact opens an executable or cached file by its SHA-256; it is an rpc.Artifacts.
func (m *JobManager) OpenArtifact(ctx context.Context, sha256 [32]byte) (io.ReadCloser, error) {
	if m.c.Artifacts == nil {
		return nil, fmt.Errorf("%w: this JobManager serves none", rpc.ErrArtifactNotFound)
	}
	return m.c.Artifacts.Open(ctx, sha256[:])
}

// Connected implements rpc.Handler.
func (m *JobManager) Connected(p rpc.Peer, r *rpcpb.Register) error {
	loc := jobmaster.Location{ResourceID: r.GetResourceId(), Host: r.GetHost(), DataAddress: r.GetDataAddress()}
	m.peers.add(p, loc) // before the ResourceManager allocates its slots
	if err := m.rm.Register(r); err != nil {
		m.peers.remove(p)
		return err
	}
	return nil
}

// Message implements rpc.Handler.
func (m *JobManager) Message(p rpc.Peer, msg *rpcpb.FromTaskManager) {
	loc, ok := m.peers.location(p)
	if !ok {
		return
	}
	switch msg.GetMessage().(type) {
	case *rpcpb.FromTaskManager_Offer, *rpcpb.FromTaskManager_Host:
		m.disp.Message(loc, msg)
	case *rpcpb.FromTaskManager_Refused, *rpcpb.FromTaskManager_Released:
		m.disp.Message(loc, msg)
		m.rm.Message(loc.ResourceID, msg)
	default:
		m.rm.Message(loc.ResourceID, msg)
	}
}

// Disconnected implements rpc.Handler.
func (m *JobManager) Disconnected(p rpc.Peer, err error) {
	if m.peers.remove(p) {
		m.rm.Disconnected(p.ResourceID(), err)
	}
}
