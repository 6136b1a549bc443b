package api

import (
	"fmt"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/link/linkpb"
)

// ExecutionResult is GET /jobs/:jobid/execution-result.
type ExecutionResult struct {
	Status AsyncStatus `json:"status"`
	// Result is left out until the job has ended.
	Result *ExecutionJobResult `json:"job-execution-result,omitempty"`
}

// ExecutionJobResult is a job's result in the form that Flink's client reads.
type ExecutionJobResult struct {
	ID string `json:"id"`
	// ApplicationStatus is SUCCEEDED, FAILED or CANCELED.
	ApplicationStatus string `json:"application-status"`
	// Accumulators would be Java objects; it is always empty. Counters are in JobResult and JobAccumulators.
	Accumulators map[string]string `json:"accumulator-results"`
	// NetRuntime is in milliseconds.
	NetRuntime int64      `json:"net-runtime"`
	Failure    *Throwable `json:"failure-cause,omitempty"`
}

// FailureClass stands where Flink names the class of an exception.
const FailureClass = "weft.JobFailure"

// ExecutionResultOf is the answer for r; nil: the job runs.
func ExecutionResultOf(r *linkpb.JobResult) ExecutionResult {
	if r == nil {
		return ExecutionResult{Status: AsyncStatus{InProgress}}
	}
	e := &ExecutionJobResult{ID: jobID(r.GetJobId()), ApplicationStatus: "SUCCEEDED", Accumulators: map[string]string{},
		NetRuntime: r.GetRuntimeMs()}
	switch r.GetStatus() {
	case linkpb.JobStatus_FAILED:
		e.ApplicationStatus = "FAILED"
		message, stack := r.GetFailure().GetMessage(), r.GetFailure().GetStack()
		if message == "" {
			message = "the job failed for an unknown reason"
		}
		e.Failure = NewThrowable(FailureClass, message, stack)
	case linkpb.JobStatus_CANCELED:
		e.ApplicationStatus = "CANCELED"
	}
	return ExecutionResult{Status: AsyncStatus{Completed}, Result: e}
}

// JobResultAnswer is GET /weft/jobs/:jobid/result. With ?wait=30s the server answers when the job has ended, or after that
// time.
type JobResultAnswer struct {
	Status AsyncStatus `json:"status"`
	// State is the job's status.
	State string `json:"state"`
	// Result is left out until the job has ended.
	Result *JobResult `json:"result,omitempty"`
}

// JobResult is linkpb.JobResult.
type JobResult struct {
	ID        string           `json:"jid"`
	Name      string           `json:"name"`
	State     string           `json:"state"`
	StartTime int64            `json:"start-time"`
	EndTime   int64            `json:"end-time"`
	Runtime   int64            `json:"runtime"`
	Counters  map[string]int64 `json:"counters"`
	Failure   *Failure         `json:"failure,omitempty"`
}

// Failure is linkpb.Failure.
type Failure struct {
	Message       string `json:"message"`
	Stack         string `json:"stack"`
	Operator      string `json:"operator"`
	Vertex        string `json:"vertex"`
	Subtask       int32  `json:"subtask"`
	TaskManagerID string `json:"taskmanager-id"`
	Secondary     bool   `json:"secondary"`
	LostPeer      string `json:"lost-peer"`
	Timestamp     int64  `json:"timestamp"`
}

// JobResultOf turns r into JSON's form.
func JobResultOf(r *linkpb.JobResult) *JobResult {
	j := &JobResult{ID: jobID(r.GetJobId()), Name: r.GetName(), State: JobStatusName(r.GetStatus()), StartTime: r.GetStartMs(),
		EndTime: r.GetEndMs(), Runtime: r.GetRuntimeMs(), Counters: r.GetCounters()}
	if j.Counters == nil {
		j.Counters = map[string]int64{}
	}
	if f := r.GetFailure(); f != nil {
		j.Failure = &Failure{Message: f.GetMessage(), Stack: f.GetStack(), Operator: f.GetOperator(), Vertex: f.GetVertex(),
			Subtask: f.GetSubtask(), TaskManagerID: f.GetHost(), Secondary: f.GetSecondary(), LostPeer: f.GetLostPeer(),
			Timestamp: f.GetTimeMs()}
	}
	return j
}

// Proto is the inverse of JobResultOf.
func (j *JobResult) Proto() (*linkpb.JobResult, error) {
	id, err := graph.ParseJobID(j.ID)
	if err != nil {
		return nil, err
	}
	status, err := ParseJobStatus(j.State)
	if err != nil {
		return nil, fmt.Errorf("read result of job %s: %w", j.ID, err)
	}
	r := &linkpb.JobResult{JobId: id[:], Name: j.Name, Status: status, StartMs: j.StartTime, EndMs: j.EndTime,
		RuntimeMs: j.Runtime, Counters: j.Counters}
	if f := j.Failure; f != nil {
		r.Failure = &linkpb.Failure{Message: f.Message, Stack: f.Stack, Operator: f.Operator, Vertex: f.Vertex,
			Subtask: f.Subtask, Host: f.TaskManagerID, Secondary: f.Secondary, LostPeer: f.LostPeer, TimeMs: f.Timestamp}
	}
	return r, nil
}

func jobID(b []byte) string {
	var id graph.JobID
	copy(id[:], b)
	return id.String()
}
