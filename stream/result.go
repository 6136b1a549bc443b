package stream

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/link"
	"github.com/weftstream/weft/link/linkpb"
)

// JobID identifies a job: 16 bytes, shown as 32 hex digits.
type JobID = graph.JobID

// Result is what is known of a job that has ended well.
type Result struct {
	// JobID is the job's id.
	JobID JobID
	// Status is FINISHED; RUNNING when the program was submitted detached, so that Run didn't wait.
	Status string
	// Runtime is how long the job took; 0 when it wasn't waited for.
	Runtime time.Duration

	counters map[string]int64
	detached *Driver
}

// Counter is the sum of the counters of that name over all operators and subtasks; 0 when there is none. Of a detached
// job nothing is known: to ask is a mistake, which fails the program's next Run, or its end.
func (r *Result) Counter(name string) int64 {
	r.known()
	return r.counters[name]
}

// Counters are all counters of the job by name.
func (r *Result) Counters() map[string]int64 {
	r.known()
	return maps.Clone(r.counters)
}

func (r *Result) known() {
	if r.detached != nil {
		r.detached.misused(fmt.Errorf("%s: the counters of job %s were asked for, but the program was submitted detached and didn't wait for the job; submit it attached (without -d), or in application mode",
			caller(), r.JobID))
	}
}

// JobError is why a job did not finish.
type JobError struct {
	// JobID and Name of the job.
	JobID JobID
	Name  string
	// Status is FAILED or CANCELED.
	Status string
	// Message is the cause in one line. Operator and Subtask say where, if it was in user code or a task; Host is the
	// TaskManager.
	Message  string
	Operator string
	Subtask  int
	Host     string
	// Stack is the Go stack of a panic, or the last lines of a task host's stderr.
	Stack string
}

// Error is one line.
func (e *JobError) Error() string {
	text := fmt.Sprintf("job %q (%s) %s", e.Name, e.JobID, map[string]string{"CANCELED": "was cancelled"}[e.Status])
	if e.Status != linkpb.JobStatus_CANCELED.String() {
		text = fmt.Sprintf("job %q (%s) failed", e.Name, e.JobID)
	}
	if failure := link.FailureText(e.Message, e.Operator, e.Subtask); failure != "" {
		text += ": " + failure
	}
	return text
}

// resultOf makes the result, or the error, of a job that has ended.
func resultOf(name string, id JobID, r *linkpb.JobResult) (*Result, error) {
	if r.GetStatus() == linkpb.JobStatus_FINISHED {
		return &Result{JobID: id, Status: r.GetStatus().String(), Runtime: time.Duration(r.GetRuntimeMs()) * time.Millisecond,
			counters: r.GetCounters()}, nil
	}
	f := r.GetFailure()
	e := &JobError{JobID: id, Name: name, Status: r.GetStatus().String(), Message: f.GetMessage(), Operator: f.GetOperator(),
		Subtask: int(f.GetSubtask()), Host: f.GetHost(), Stack: f.GetStack()}
	if e.Operator == "" {
		e.Operator = f.GetVertex()
	}
	return nil, e
}

// summary is what Flink's client prints of a job that has ended well.
func (r *Result) summary() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Program execution finished\nJob with JobID %s has finished.\nJob Runtime: %d ms\n\n", r.JobID, r.Runtime.Milliseconds())
	if len(r.counters) != 0 {
		b.WriteString("Accumulator Results: \n")
		for _, name := range slices.Sorted(maps.Keys(r.counters)) {
			fmt.Fprintf(&b, "- %s (int64): %d\n", name, r.counters[name])
		}
	}
	return b.String()
}
