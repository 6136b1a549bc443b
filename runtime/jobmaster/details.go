package jobmaster

import (
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/operator"
)

// StateCount is the number of execution states and of the entries of what is indexed by them.
const StateCount = 9

// StatusCount is the number of job statuses.
const StatusCount = 11

// TaskCounts counts subtasks by linkpb.ExecutionState.
type TaskCounts [StateCount]int

// Total is the number of subtasks.
func (c TaskCounts) Total() int {
	n := 0
	for _, k := range c {
		n += k
	}
	return n
}

// JobSummary is a job in a list.
type JobSummary struct {
	ID     graph.JobID
	Name   string
	Status linkpb.JobStatus
	// Start, End and LastModified are Unix milliseconds; End is -1 until the job has ended.
	Start, End, LastModified int64
	Tasks                    TaskCounts
}

// Duration is how long the job has run, or ran, in milliseconds; now is in Unix milliseconds.
func (s *JobSummary) Duration(now int64) int64 { return duration(s.Start, s.End, now) }

// JobDetails is a snapshot of a job. It shares nothing with the JobMaster: the holder may keep it.
type JobDetails struct {
	JobSummary
	// Bounded says that the job ends by itself (job-type BATCH).
	Bounded        bool
	MaxParallelism int
	// Timestamps is when each status was entered last, in Unix milliseconds by linkpb.JobStatus; 0: never.
	Timestamps [StatusCount]int64
	// Vertices are in topological order.
	Vertices []VertexDetails
	Edges    []EdgeDetails
	// Failures is the failure history, newest first, at most web.exception-history-size entries.
	Failures []FailureDetails
	// FailuresTruncated says that older failures were dropped.
	FailuresTruncated bool
	// Counters are the user's counters summed over all subtasks.
	Counters map[string]int64
	// Config is the job's own configuration; it may hold secrets.
	Config map[string]string
	// Definition and Key are the job's name and occurrence in its driver.
	Definition, Key string
	// SlotsNeeded and SlotsAssigned count slots; Waiting says why slots are missing, where known.
	SlotsNeeded, SlotsAssigned int
	Waiting                    string
}

// Vertex finds a vertex by id; nil if there is none.
func (d *JobDetails) Vertex(id operator.ID) *VertexDetails {
	for i := range d.Vertices {
		if d.Vertices[i].ID == id {
			return &d.Vertices[i]
		}
	}
	return nil
}

// VertexDetails is a snapshot of a vertex.
type VertexDetails struct {
	ID                          operator.ID
	Name, Description           string
	SlotSharingGroup            string
	Parallelism, MaxParallelism int
	Source                      bool
	Operators                   []OperatorDetails
	// State is Flink's aggregate of the subtasks' states.
	State linkpb.ExecutionState
	// Start is when the first subtask was deployed, End when the last one ended, in Unix milliseconds; -1 before.
	Start, End int64
	Tasks      TaskCounts
	IO         IOMetrics
	Subtasks   []SubtaskDetails
}

// Duration is as that of JobSummary; -1 before the start.
func (v *VertexDetails) Duration(now int64) int64 { return duration(v.Start, v.End, now) }

// OperatorDetails names an operator of a chain.
type OperatorDetails struct {
	ID        operator.ID
	Name, UID string
}

// SubtaskDetails is a snapshot of an execution attempt of a subtask.
type SubtaskDetails struct {
	Subtask, Attempt int
	State            linkpb.ExecutionState
	// ResourceID, Host and Endpoint (host:port of the data port) say where it runs; "" before it has a slot.
	ResourceID, Host, Endpoint string
	// Start is when it was deployed, End when it ended, in Unix milliseconds; -1 before.
	Start, End int64
	// Timestamps is when each state was entered, in Unix milliseconds by linkpb.ExecutionState; 0: never.
	Timestamps [StateCount]int64
	IO         IOMetrics
	Load       Load
	Counters   map[string]int64
	Failure    *FailureDetails
	// Earlier are the attempts before this one, newest first.
	Earlier []SubtaskDetails
}

// Duration is as that of JobSummary; -1 before the start.
func (s *SubtaskDetails) Duration(now int64) int64 { return duration(s.Start, s.End, now) }

// StateDurations returns how long the attempt was in each state it has been in, in milliseconds by state; the current
// state of a running attempt counts up to now, a final state has none.
func (s *SubtaskDetails) StateDurations(now int64) map[linkpb.ExecutionState]int64 {
	return stateDurations(&s.Timestamps, s.State, now)
}

// IOMetrics are Flink's: what a subtask or vertex read, wrote and did with its time.
type IOMetrics struct {
	ReadRecords, WriteRecords, ReadBytes, WriteBytes int64
	BusyMS, IdleMS, BackpressuredMS                  int64
	// Watermark is the lowest of the subtasks; operator.NoWatermark before the first.
	Watermark int64
	// Complete says that every subtask has reported.
	Complete bool
}

// Load is how a subtask spent the time between its last two reports, as shares of 1: all 0 before the second report, and
// once it has ended.
type Load struct{ Busy, Idle, Backpressured float64 }

// loadBetween is the load between two reports.
func loadBetween(from, to *IOMetrics) Load {
	busy, idle, back := to.BusyMS-from.BusyMS, to.IdleMS-from.IdleMS, to.BackpressuredMS-from.BackpressuredMS
	total := float64(busy + idle + back)
	if total <= 0 {
		return Load{}
	}
	return Load{float64(busy) / total, float64(idle) / total, float64(back) / total}
}

// EdgeDetails is an exchange between two vertices.
type EdgeDetails struct {
	ID             int
	Source, Target operator.ID
	Partitioning   graph.Partitioning
	// Input is the input of the target's operator; Tag the side output, "" for the main one.
	Input int
	Tag   string
}

// ShipStrategy is Flink's name for the partitioning.
func (e *EdgeDetails) ShipStrategy() string { return e.Partitioning.String() }

// FailureDetails is one entry of the failure history.
type FailureDetails struct {
	// Message is one line; Stack the Go stack or the tail of stderr.
	Message, Stack string
	// Operator, Vertex and Subtask say whose failure it was; Vertex is "" and Subtask -1 for a failure of no task.
	Operator, Vertex string
	Subtask          int
	// Task is "vertex (1/4)" as Flink writes it; "" for a failure of no task.
	Task string
	// ResourceID, Host and Endpoint say where.
	ResourceID, Host, Endpoint string
	// Time is in Unix milliseconds.
	Time int64
	// Permanent: another attempt would fail as well.
	Permanent bool
	// Concurrent are failures that came while the job was failing for this one.
	Concurrent []FailureDetails
}
