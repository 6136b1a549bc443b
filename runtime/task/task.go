package task

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/pprof"
	"strconv"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/weftstream/weft/filesystem"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/operator"
	"github.com/weftstream/weft/runtime/checkpoint"
	"github.com/weftstream/weft/runtime/network"
)

// DefaultBatchSize is the number of records after which a batch is handed on.
const DefaultBatchSize = 512

// Settings are the parts of the configuration that tasks look at.
type Settings struct {
	// BatchSize is the number of records after which a batch is handed on; DefaultBatchSize when 0.
	BatchSize int
	// BufferTimeout is how long records may wait in a partial batch: 0 sends what there is after every batch of input,
	// below 0 only full batches are sent (execution.buffer-timeout.enabled: false).
	BufferTimeout time.Duration
	// WatermarkInterval is how often operators are to make watermarks that don't follow from records; 0: never.
	WatermarkInterval time.Duration
	// Batch says that the job is executed as a batch (operator.Env.Batch).
	Batch bool
	// Checkpoints says that the job takes checkpoints, so that a subtask that ends leaves its state.
	Checkpoints bool
	// AtLeastOnce says that barriers are counted and hold nothing back: a checkpoint may hold records that came behind its
	// barrier on one channel while another's was awaited, and a restart repeats those.
	AtLeastOnce bool
	// Unaligned says that checkpoints may be unaligned: a subtask begins with no more input than its receivers have room
	// for, so that it can pass a barrier on while they stand still, and its barriers overtake what is queued.
	Unaligned bool
	// SharedDirectory is where such a state goes that is too large for a message; "": nowhere.
	SharedDirectory string
	// LocalBackup says that copies of state files are kept in Job.Local, LocalRecovery that state is read from there if it can be.
	LocalBackup, LocalRecovery bool
}

// Job is what the subtasks of one job in one host share. It isn't changed once tasks are made.
type Job struct {
	Graph *graph.JobGraph
	// Nodes are the operators of the StreamGraph, by id; Stream is that graph.
	Nodes  map[operator.ID]*graph.Node
	Stream *graph.StreamGraph
	// Exchange connects the subtasks.
	Exchange *network.Exchange
	// Resource is the resource id of the host's TaskManager.
	Resource string
	// Epoch is the JobManager's.
	Epoch    uint64
	Settings Settings
	// Store is where keyed state goes that doesn't fit into memory; nil for the hashmap backend.
	Store operator.StateStore
	// Files are the file systems that checkpoints are written to and read from; may be nil without any.
	Files *filesystem.Set
	// CachedFiles are the paths of the job's cached files, by name.
	CachedFiles map[string]string
	// Local keeps copies of state files on the TaskManager's disk; nil where there is no room for them.
	Local *checkpoint.LocalCopies
	// Log has the job bound.
	Log *slog.Logger
}

// Host is what a task reports to. Its methods are safe for concurrent use.
type Host interface {
	// Update reports a change of state. It may block while the link to the TaskManager is slow.
	Update(*linkpb.TaskUpdate)
	// Ask sends a request to the coordinator of an operator. reply is called once, from any goroutine, and doesn't block.
	// The host chooses the request's seq.
	Ask(req *linkpb.CoordinatorRequest, reply func(payload []byte, err error))
	// Acknowledge and Decline end the task's part in a checkpoint.
	Acknowledge(*linkpb.CheckpointAck)
	Decline(*linkpb.CheckpointDecline)
}

// Task is one execution attempt of a subtask.
type Task struct {
	job    *Job
	host   Host
	spec   *linkpb.Task
	vertex *graph.JobVertex
	log    *slog.Logger

	ctx       context.Context // ends with the task: operator.Runtime hands it to user code
	stop      context.CancelFunc
	cancelled atomic.Bool
	// For Stuck: when it was cancelled (Unix nanoseconds), the newest checkpoint taken, and the goroutine of Run.
	cancelledAt, taken atomic.Int64
	goroutine          atomic.Pointer[string]
	waker              *network.Waker
	mail               mailbox
	clock              clock

	producer *network.Producer
	outputs  []*network.Output
	outlets  []*outlet
	gate     *network.Gate
	ports    []port // by channel of the gate
	inputs   []*input
	chain    []*link         // by position in vertex.Operators
	source   operator.Source // the head, where it is one
	resume   time.Time       // until when the source waits; zero when it doesn't
	woken    atomic.Bool     // the source's wait is over

	current int // position in chain of the operator that runs, -1 for none
	blamed  int // position of the operator whose error ends the task, -1 for none

	meter meter
	cp    checkpoints

	held   bool        // nothing is taken in until the receivers have room
	holds  int         // operators that take no more input (operator.Runtime.Hold)
	posted atomic.Bool // an operator posted a mail
	replay *replay     // the records that were in flight and come before new input; nil once they have
}

// New makes a task for spec. Nothing runs and nothing is held until Run.
func New(job *Job, spec *linkpb.Task, host Host) (*Task, error) {
	var vertex *graph.JobVertex
	for _, v := range job.Graph.GetVertices() {
		if string(v.GetId()) == string(spec.GetId().GetVertex()) {
			vertex = v
		}
	}
	if vertex == nil {
		return nil, fmt.Errorf("deploy a subtask of vertex %x: the job has no such vertex", spec.GetId().GetVertex())
	}
	if n := spec.GetParallelism(); n != 0 && n != vertex.GetParallelism() { // the job was rescaled since the host began
		vertex = proto.CloneOf(vertex)
		vertex.Parallelism = n
	}
	t := &Task{job: job, host: host, spec: spec, vertex: vertex, waker: network.NewWaker(), current: -1, blamed: -1,
		log: job.Log.With("vertex", vertex.GetName(), "subtask", spec.GetId().GetSubtask(), "attempt", spec.GetId().GetAttempt())}
	t.ctx, t.stop = context.WithCancel(context.Background())
	t.producer = network.NewProducer(t.ctx.Done())
	if job.Settings.Unaligned {
		t.producer.Reserve, t.producer.Notify = reserve, t.waker.Wake
	}
	t.mail.waker = t.waker
	t.clock.wake = t.waker.Wake
	t.meter.init()
	t.cp.options, t.cp.aborted, t.cp.cancel = map[int64]*linkpb.CheckpointOptions{}, map[int64]bool{}, map[int64]context.CancelFunc{}
	return t, nil
}

// ID is the execution's id.
func (t *Task) ID() *linkpb.ExecutionID { return t.spec.GetId() }

// Cancel makes the task end soon, wherever it is; it doesn't wait. Safe for concurrent use and before Run.
func (t *Task) Cancel() {
	t.cancelledAt.CompareAndSwap(0, time.Now().UnixNano())
	t.cancelled.Store(true)
	t.stop()
	t.waker.Wake()
}

// Run runs the subtask to its end, which it reports to the host before it returns.
func (t *Task) Run() {
	name, subtask := t.vertex.GetName(), strconv.Itoa(int(t.ID().GetSubtask()))
	pprof.SetGoroutineLabels(pprof.WithLabels(context.Background(), pprof.Labels("operator", name, "subtask", subtask)))
	header := goroutineHeader()
	t.goroutine.Store(&header)
	defer t.goroutine.Store(nil)
	var commits []*linkpb.OperatorCommit
	var final *linkpb.TaskState
	var err error
	ended := false
	end := func() {
		if ended {
			return
		}
		ended = true
		if errors.Is(err, errGoexit) && t.current >= 0 {
			_ = t.blame(t.current, err)
		}
		if closeErr := t.close(); err == nil {
			err = closeErr
		}
		t.report(commits, final, err)
	}
	defer end() // for user code that calls runtime.Goexit
	run := func(f func() error) bool {
		err = errGoexit
		err = t.protect(f)
		return err == nil
	}
	t.update(&linkpb.TaskUpdate{State: linkpb.ExecutionState_EXECUTION_INITIALIZING})
	if run(t.build) && run(t.restore) {
		t.update(&linkpb.TaskUpdate{State: linkpb.ExecutionState_EXECUTION_RUNNING})
		t.meter.running.Start()
		if run(t.loop) {
			run(func() (err error) {
				commits, final, err = t.finish()
				return err
			})
		}
	}
	end()
}

// finish runs after the last record: routers are flushed and ended, what operators want committed is collected, and their
// state.
func (t *Task) finish() (commits []*linkpb.OperatorCommit, final *linkpb.TaskState, err error) {
	if t.job.Settings.Checkpoints || t.cp.drain != "" {
		commits, final, err = t.finalState()
	} else {
		commits, err = t.committables()
	}
	if err != nil {
		return nil, nil, err
	}
	for _, o := range t.outlets {
		if err := o.End(); err != nil {
			return nil, nil, err
		}
	}
	// A checkpoint that the task took before its last records must not be completed with its final state: whoever got
	// those records got them behind the barrier.
	t.cp.uploads.Wait()
	return commits, final, nil
}

// committables is what the operators of a job without checkpoints want committed at its end.
func (t *Task) committables() ([]*linkpb.OperatorCommit, error) {
	for i, l := range t.chain {
		c, ok := l.op.(operator.Committer)
		if !ok {
			continue
		}
		t.current = i
		what, err := c.Committables()
		if err != nil {
			return nil, t.blame(i, fmt.Errorf("collect what is to be committed: %w", err))
		}
		t.cp.held = append(t.cp.held, heldCommit{at: i, what: what})
	}
	t.current = -1
	return t.heldCommits(), nil
}

// close ends the task's context, closes the operators and gives the channels up. It returns the first error.
func (t *Task) close() error {
	t.meter.stop()
	t.stop()
	t.clock.stop()
	t.cp.uploads.Wait()
	t.dropOvertaking()
	t.replay.close()
	var first error
	for i, l := range t.chain {
		if l == nil || l.op == nil {
			continue
		}
		t.current = i
		if err := t.protect(l.op.Close); err != nil && first == nil {
			first = t.blame(i, err)
		}
	}
	t.current = -1
	t.mail.close()
	t.job.Exchange.ReleaseOutputs(t.outputs)
	if t.gate != nil {
		t.job.Exchange.ReleaseGate(t.gate)
	}
	return first
}

func (t *Task) report(commits []*linkpb.OperatorCommit, final *linkpb.TaskState, err error) {
	u := &linkpb.TaskUpdate{Counters: t.counters(), Io: t.io()}
	switch {
	case err == nil:
		u.State, u.Commits = linkpb.ExecutionState_EXECUTION_FINISHED, commits
		u.FinalState = final
	case t.cancelled.Load():
		u.State = linkpb.ExecutionState_EXECUTION_CANCELED
		if !errors.Is(err, operator.ErrCancelled) && !errors.Is(err, context.Canceled) {
			t.log.Warn("subtask failed while it was cancelled", "error", err)
		}
	default:
		u.State, u.Failure = linkpb.ExecutionState_EXECUTION_FAILED, t.failure(err)
	}
	t.update(u)
}

func (t *Task) update(u *linkpb.TaskUpdate) {
	u.Id = t.ID()
	t.host.Update(u)
}
