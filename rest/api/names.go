package api

import (
	"fmt"
	"strings"

	"github.com/weftstream/weft/link/linkpb"
)

// reconciling is a state of Flink's that no subtask of Weft is ever in; Flink's clients expect it in every count.
const reconciling = "RECONCILING"

// JobStatusName is Flink's name of a job's status.
func JobStatusName(s linkpb.JobStatus) string { return s.String() }

// ParseJobStatus reads what JobStatusName wrote.
func ParseJobStatus(name string) (linkpb.JobStatus, error) {
	s, ok := linkpb.JobStatus_value[name]
	if !ok {
		return 0, fmt.Errorf("parse job status %q: no such status", name)
	}
	return linkpb.JobStatus(s), nil
}

// JobEnded says that a job in status s has ended for good.
func JobEnded(s linkpb.JobStatus) bool {
	return s == linkpb.JobStatus_FINISHED || s == linkpb.JobStatus_FAILED || s == linkpb.JobStatus_CANCELED
}

// StateName is Flink's name of a subtask's state.
func StateName(s linkpb.ExecutionState) string { return strings.TrimPrefix(s.String(), "EXECUTION_") }

// StateCounts names counts, which are indexed by linkpb.ExecutionState, as Flink does: every state is there.
func StateCounts(counts []int) map[string]int {
	named := map[string]int{reconciling: 0}
	for s := range linkpb.ExecutionState_name {
		n := 0
		if int(s) < len(counts) {
			n = counts[s]
		}
		named[StateName(linkpb.ExecutionState(s))] = n
	}
	return named
}

// TaskCounts is StateCounts in the form of the overview: in lower case, with the total.
func TaskCounts(counts []int) map[string]int {
	named := map[string]int{"total": 0}
	for state, n := range StateCounts(counts) {
		named[strings.ToLower(state)] = n
		named["total"] += n
	}
	return named
}

// StateTimes names times, which are indexed by linkpb.ExecutionState; every state is there, 0 for never.
func StateTimes(times []int64) map[string]int64 {
	named := map[string]int64{reconciling: 0}
	for s := range linkpb.ExecutionState_name {
		t := int64(0)
		if int(s) < len(times) {
			t = times[s]
		}
		named[StateName(linkpb.ExecutionState(s))] = t
	}
	return named
}

// StatusTimes names times, which are indexed by linkpb.JobStatus; every status is there, 0 for never.
func StatusTimes(times []int64) map[string]int64 {
	named := map[string]int64{}
	for s, name := range linkpb.JobStatus_name {
		named[name] = 0
		if int(s) < len(times) {
			named[name] = times[s]
		}
	}
	return named
}
