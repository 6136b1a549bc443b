package jobmaster

import (
	"fmt"

	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/operator"
)

// Short names of the execution states.
const (
	execCreated      = linkpb.ExecutionState_EXECUTION_CREATED
	execScheduled    = linkpb.ExecutionState_EXECUTION_SCHEDULED
	execDeploying    = linkpb.ExecutionState_EXECUTION_DEPLOYING
	execInitializing = linkpb.ExecutionState_EXECUTION_INITIALIZING
	execRunning      = linkpb.ExecutionState_EXECUTION_RUNNING
	execFinished     = linkpb.ExecutionState_EXECUTION_FINISHED
	execCanceling    = linkpb.ExecutionState_EXECUTION_CANCELING
	execCanceled     = linkpb.ExecutionState_EXECUTION_CANCELED
	execFailed       = linkpb.ExecutionState_EXECUTION_FAILED
)

// executionTable holds every legal transition of an execution:
//
//	CREATED ─→ SCHEDULED ─→ DEPLOYING ─→ INITIALIZING ─→ RUNNING ─→ FINISHED
//	   │           │            │             │             │
//	   │           │            └─────────────┴─────────────┴─→ CANCELING ─→ CANCELED
//	   └───────────┴──────────────────────────────────────────────────────→ CANCELED
//
// and from every state that isn't final to FAILED. What crosses a cancellation on its way is accepted: a task that was
// told to cancel may report that it runs (which is ignored), has finished or failed. A host that cancels tasks by itself,
// because another one of them failed, reports CANCELED without having been asked.
var executionTable = map[linkpb.ExecutionState][]linkpb.ExecutionState{
	execCreated:      {execScheduled, execFinished, execCanceled, execFailed},
	execScheduled:    {execDeploying, execCanceled, execFailed},
	execDeploying:    {execInitializing, execCanceling, execCanceled, execFailed},
	execInitializing: {execRunning, execCanceling, execCanceled, execFailed},
	execRunning:      {execFinished, execCanceling, execCanceled, execFailed},
	execCanceling:    {execFinished, execCanceled, execFailed},
}

func final(s linkpb.ExecutionState) bool { return len(executionTable[s]) == 0 }

func legalExecution(from, to linkpb.ExecutionState) bool { return contains(executionTable[from], to) }

// stateName is Flink's name: EXECUTION_RUNNING without its prefix.
func stateName(s linkpb.ExecutionState) string { return s.String()[len("EXECUTION_"):] }

// execution is the present attempt of a subtask.
type execution struct {
	v        *vertex
	subtask  int
	attempt  int
	state    linkpb.ExecutionState
	entered  [StateCount]int64
	host     *host // nil before it has a slot
	io       IOMetrics
	load     Load
	counters map[string]int64
	commits  []*linkpb.OperatorCommit
	last     *linkpb.TaskState // in which it finished
	failure  *FailureDetails
	stuck    string           // where it is if it ignores its cancellation
	earlier  []SubtaskDetails // newest first
}

// name is "vertex (1/4)", as Flink writes it.
func (e *execution) name() string {
	return fmt.Sprintf("%s (%d/%d)", e.v.name(), e.subtask+1, len(e.v.subtasks))
}

func (e *execution) id() *linkpb.ExecutionID {
	return &linkpb.ExecutionID{Vertex: e.v.pb.GetId(), Subtask: int32(e.subtask), Attempt: int32(e.attempt)}
}

// transition enters a state and says whether that was legal.
func (c *core) transition(now int64, e *execution, to linkpb.ExecutionState) bool {
	if !legalExecution(e.state, to) {
		return false
	}
	e.v.counts[e.state]--
	e.v.counts[to]++
	if final(to) {
		c.unfinished--
	}
	e.state = to
	e.entered[to] = now
	c.modified = now
	return true
}

// start is when the execution was deployed; -1 before.
func (e *execution) start() int64 {
	if t := e.entered[execDeploying]; t != 0 {
		return t
	}
	return -1
}

// end is when it reached its final state; -1 before.
func (e *execution) end() int64 {
	if final(e.state) {
		return e.entered[e.state]
	}
	return -1
}

func (e *execution) measure(io *linkpb.TaskIO, counters map[string]int64, complete bool) {
	if io != nil {
		before := e.io
		e.io = IOMetrics{ReadRecords: io.GetReadRecords(), WriteRecords: io.GetWriteRecords(), ReadBytes: io.GetReadBytes(),
			WriteBytes: io.GetWriteBytes(), BusyMS: io.GetBusyMs(), IdleMS: io.GetIdleMs(), BackpressuredMS: io.GetBackpressuredMs(),
			Watermark: io.GetWatermark(), Complete: true}
		e.load = Load{}
		if before.Complete && !complete {
			e.load = loadBetween(&before, &e.io)
		}
	}
	if counters != nil || complete {
		e.counters = counters
	}
}

var noIO = IOMetrics{Watermark: operator.NoWatermark}
