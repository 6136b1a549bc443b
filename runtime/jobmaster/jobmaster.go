package jobmaster

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/filesystem"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/runtime/checkpoint"
	"github.com/weftstream/weft/runtime/checkpoint/checkpointpb"
	"github.com/weftstream/weft/runtime/ha"
	"github.com/weftstream/weft/runtime/jobmanager/mailbox"
	"github.com/weftstream/weft/runtime/rpc/rpcpb"
)

// TaskManagers sends to TaskManagers by resource id. It doesn't wait for the TaskManager; an error means that it is gone
// or its connection broken, which is reported by JobMaster.TaskManagerLost too.
type TaskManagers interface {
	Send(resourceID string, m *rpcpb.ToTaskManager) error
}

// Slots is what a JobMaster asks of the ResourceManager. The methods don't wait.
type Slots interface {
	// Declare says how many slots the job wants in all, and without how many it can't run; absolute. Slots come as offers of
	// TaskManagers.
	Declare(job *rpcpb.JobInfo, slots, least int)
	// Release ends the job everywhere: task hosts are shut down and slots freed, also those not yet offered.
	Release(job graph.JobID, reason string)
	// Return frees one slot that was offered and isn't needed.
	Return(job graph.JobID, resourceID string, allocation []byte)
}

// EpochLog is where a JobManager records what must survive; *ha.Epoch is one, which says what the methods do.
type EpochLog interface {
	Append(ctx context.Context, r ha.Record) error
	Check(ctx context.Context) error
	Number() uint64
}

// Location says where a TaskManager is.
type Location struct {
	ResourceID string
	// Host is for people, DataAddress (host:port) for task hosts.
	Host, DataAddress string
}

// Config makes a JobMaster.
type Config struct {
	// Graph is the job; it isn't changed and must not be changed by others.
	Graph *graph.JobGraph
	// Conf is the cluster's configuration with the job's above it.
	Conf         conf.Configuration
	TaskManagers TaskManagers
	Slots        Slots
	Log          EpochLog
	// Files are the file systems of checkpoints; may be nil for a job that takes none.
	Files *filesystem.Set
	// Checkpoint is the checkpoint record of an earlier JobMaster of the job, nil if there is none: then the job starts from
	// it.
	Checkpoint *checkpointpb.Pointer
	// Again says that the job ran under an earlier JobMaster.
	Again bool
	// Requirements are the bounds of vertices that an earlier JobMaster of the job has recorded, nil if none were.
	Requirements *graph.ResourceRequirements
	// Committed is the committed-output record of an earlier JobMaster of the job, nil if there is none: then the job
	// isn't run again, its output is committed and its result recorded.
	Committed *linkpb.TaskUpdate
	// Logger has the job bound.
	Logger *slog.Logger
}

// ErrStopped is why a job was suspended whose JobManager is stopping.
var ErrStopped = errors.New("the JobManager is stopping")

// Outcome is how a job ended.
type Outcome struct {
	// Result is nil when the job was suspended: Err says why (it wraps ha.ErrFenced if another JobManager leads).
	Result  *linkpb.JobResult
	Details JobDetails
	Err     error
}

// JobMaster runs one job. Its methods are safe for concurrent use.
type JobMaster struct {
	c       Config
	info    *rpcpb.JobInfo
	box     *mailbox.Mailbox[event]
	ended   chan struct{} // closed when Run has returned
	core    *core         // owned by Run's goroutine
	summary atomic.Pointer[JobSummary]
	outcome Outcome // set before ended is closed
	appends sync.WaitGroup
	storage *checkpoint.Storage // nil without Files
	// cleaning is what the end of the job removes; owned by Run's goroutine.
	cleaning *checkpoint.Clean
	asked    requestsForCheckpoints
	// requiring is held while requirements are recorded: the order of records is that in which they hold.
	requiring sync.Mutex
}

// event is a message to the actor.
type event func(c *core, now int64)

// New checks the job's graph and makes its JobMaster; Run starts it.
func New(c Config) (*JobMaster, error) {
	if c.TaskManagers == nil || c.Slots == nil || c.Log == nil || c.Logger == nil {
		return nil, errors.New("make JobMaster: TaskManagers, slots, epoch log and logger are required")
	}
	c.Graph = proto.CloneOf(c.Graph)
	s := settingsOf(c.Conf, c.Graph.GetBounded())
	if c.Again {
		var b [3]byte
		rand.Read(b[:]) // never fails (crypto/rand)
		s.run = hex.EncodeToString(b[:])
	}
	k, err := newCore(c.Graph, s, c.Committed, time.Now().UnixMilli())
	if err != nil {
		return nil, err
	}
	if c.Requirements != nil {
		k.before = RequirementsOf(c.Requirements)
	}
	key := make([]byte, 32)
	rand.Read(key) // never fails (crypto/rand)
	m := &JobMaster{c: c, core: k, box: mailbox.New[event](), ended: make(chan struct{}),
		info: &rpcpb.JobInfo{Graph: c.Graph, Config: c.Conf.Map(), JobKey: key, Epoch: c.Log.Number()}}
	if c.Files != nil {
		m.storage = checkpoint.NewStorage(c.Files)
	}
	m.publish()
	return m, nil
}

// ID is the job's id.
func (m *JobMaster) ID() graph.JobID { return m.c.Graph.ID() }

// Run runs the job to its end, or until stop is closed: then the job is suspended. It is called once.
func (m *JobMaster) Run(stop <-chan struct{}) Outcome {
	ctx, cancel := context.WithCancel(context.Background())
	m.outcome = m.run(ctx, stop)
	cancel()
	m.box.Close()
	m.appends.Wait()
	m.clean()
	m.asked.close()
	m.outcome.Details = m.core.details()
	m.publish()
	close(m.ended)
	return m.outcome
}

// Discard ends a JobMaster whose job can't be started, instead of Run.
func (m *JobMaster) Discard(err error) {
	m.box.Close()
	m.outcome = Outcome{Err: err, Details: m.core.details()}
	close(m.ended)
}

func (m *JobMaster) run(ctx context.Context, stop <-chan struct{}) Outcome {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	m.begin(ctx)
	for {
		if end := m.execute(ctx, m.core.take()); end != nil {
			return Outcome{Result: end.result, Err: end.err}
		}
		m.publish()
		var due <-chan time.Time
		if at, ok := m.core.next(); ok {
			timer.Reset(max(0, time.Until(time.UnixMilli(at))))
			due = timer.C
		}
		select {
		case <-stop:
			m.core.suspend(time.Now().UnixMilli(), ErrStopped)
			stop = nil
		case <-due:
			m.core.tick(time.Now().UnixMilli())
		case <-m.box.Ready():
			now := time.Now().UnixMilli()
			for _, e := range m.box.Take() {
				e(m.core, now)
			}
		}
	}
}

// execute does what the core wants; it returns the action that ends the job.
func (m *JobMaster) execute(ctx context.Context, acts []action) *endAction {
	var end *endAction
	for _, a := range acts {
		switch a := a.(type) {
		case sendAction:
			_ = m.c.TaskManagers.Send(a.to, a.m) // a TaskManager that is gone is reported by its end
		case declareAction:
			m.c.Slots.Declare(m.info, a.slots, a.least)
		case releaseAction:
			m.c.Slots.Release(m.core.id, a.reason)
		case returnAction:
			m.c.Slots.Return(m.core.id, a.resourceID, a.allocation)
		case appendAction:
			m.appends.Go(func() {
				err := m.append(ctx, a.record)
				m.box.Post(func(c *core, now int64) { c.appended(now, err) })
			})
		case cleanAction:
			m.cleaning = &a.Clean
		case checkpointAction:
			m.checkpointIO(ctx, a.Action)
		case answerAction:
			m.asked.answer(a.Answer)
		case endAction:
			end = &a
		case noteAction:
			m.c.Logger.Info(a.text)
		}
	}
	return end
}

// append runs aside: the epoch log is remote as a rule. A panic of it must not take the JobManager along.
func (m *JobMaster) append(ctx context.Context, r ha.Record) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("append to the epoch log: %v", p)
		}
	}()
	return m.c.Log.Append(ctx, r)
}

func (m *JobMaster) publish() {
	s := m.core.summary()
	m.summary.Store(&s)
}

// Offer delivers a slot.
func (m *JobMaster) Offer(from Location, o *rpcpb.SlotOffer) {
	if !m.box.PostWait(func(c *core, now int64) { c.offered(now, from, o) }) {
		m.c.Slots.Return(m.core.id, from.ResourceID, o.GetAllocation())
	}
}

// Refused delivers a TaskManager's refusal of a slot.
func (m *JobMaster) Refused(from Location, r *rpcpb.SlotRefused) {
	m.box.PostWait(func(c *core, now int64) { c.refused(now, from.ResourceID, r) })
}

// HostEvent delivers what the job's task host on a TaskManager reports. It waits while very much is queued.
func (m *JobMaster) HostEvent(from Location, ev *linkpb.FromHost) {
	m.box.PostWait(func(c *core, now int64) { c.hostEvent(now, from, ev) })
}

// Released says that a TaskManager has released the job.
func (m *JobMaster) Released(from Location) {
	m.box.PostWait(func(c *core, now int64) { c.jobReleased(now, from.ResourceID) })
}

// TaskManagerLost says that a TaskManager is gone; one that the job doesn't use is ignored.
func (m *JobMaster) TaskManagerLost(resourceID, reason string) {
	m.box.Post(func(c *core, now int64) { c.taskManagerLost(now, resourceID, reason) })
}

// SlotShortage says why slots are missing; fatal: they never come.
func (m *JobMaster) SlotShortage(reason string, fatal bool) {
	m.box.Post(func(c *core, now int64) { c.slotShortage(now, reason, fatal) })
}

// Cancel cancels the job without waiting for its end. accepted is false if the job has ended, or its output is being
// committed.
func (m *JobMaster) Cancel() (accepted bool) {
	m.ask(func(c *core, now int64) { accepted = c.cancel(now) })
	return accepted
}

// Summary is the job's present state; it waits for nobody.
func (m *JobMaster) Summary() JobSummary { return *m.summary.Load() }

// Details copies the job's state; it waits for the JobMaster's goroutine.
func (m *JobMaster) Details() (d JobDetails) {
	if !m.ask(func(c *core, now int64) { d = c.details() }) {
		<-m.ended
		return m.outcome.Details
	}
	return d
}

// ask runs f on the actor's goroutine and waits for it; false: the job has ended and f wasn't run.
func (m *JobMaster) ask(f event) bool {
	done := make(chan struct{})
	if !m.box.Post(func(c *core, now int64) { f(c, now); close(done) }) {
		return false
	}
	select {
	case <-done:
		return true
	case <-m.ended:
		select {
		case <-done:
			return true
		default:
			return false
		}
	}
}
