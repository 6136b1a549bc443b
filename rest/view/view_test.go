package view

import (
	"maps"
	"testing"

	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/rest/api"
	"github.com/weftstream/weft/runtime/jobmaster"
	"github.com/weftstream/weft/runtime/resourcemanager"
)

func TestStatistics(t *testing.T) {
	for _, test := range []struct {
		values []int64
		want   map[string]int64
	}{
		{[]int64{7}, map[string]int64{"min": 7, "max": 7, "sum": 7, "avg": 7, "median": 7, "p25": 7, "p75": 7, "p95": 7}},
		{[]int64{40, 10, 30, 20}, map[string]int64{"min": 10, "max": 40, "sum": 100, "avg": 25, "median": 25, "p25": 12, "p75": 37, "p95": 40}},
	} {
		if got := statistics(test.values); !maps.Equal(got, test.want) {
			t.Errorf("statistics of %v: %v, want %v", test.values, got, test.want)
		}
	}
}

func TestCombinedState(t *testing.T) {
	const (
		created   = linkpb.ExecutionState_EXECUTION_CREATED
		scheduled = linkpb.ExecutionState_EXECUTION_SCHEDULED
		running   = linkpb.ExecutionState_EXECUTION_RUNNING
		finished  = linkpb.ExecutionState_EXECUTION_FINISHED
		failed    = linkpb.ExecutionState_EXECUTION_FAILED
		canceling = linkpb.ExecutionState_EXECUTION_CANCELING
	)
	for _, test := range []struct {
		states []linkpb.ExecutionState
		want   linkpb.ExecutionState
	}{
		{[]linkpb.ExecutionState{finished, running}, running},
		{[]linkpb.ExecutionState{finished, finished}, finished},
		{[]linkpb.ExecutionState{finished, scheduled}, scheduled},
		{[]linkpb.ExecutionState{running, failed, canceling}, failed},
		{[]linkpb.ExecutionState{running, canceling}, canceling},
		{[]linkpb.ExecutionState{created}, created},
	} {
		var counts jobmaster.TaskCounts
		for _, s := range test.states {
			counts[s]++
		}
		if got := combined(counts); got != test.want {
			t.Errorf("combined state of %v: %v, want %v", test.states, got, test.want)
		}
	}
}

func TestVertexTaskManagers(t *testing.T) {
	subtask := func(n int, tm string, start, end int64, state linkpb.ExecutionState) jobmaster.SubtaskDetails {
		s := jobmaster.SubtaskDetails{Subtask: n, ResourceID: tm, State: state, Start: start, End: end,
			IO: jobmaster.IOMetrics{ReadRecords: int64(10 * (n + 1)), Complete: n != 3}}
		if tm != "" {
			s.Endpoint = tm + ":1"
		}
		return s
	}
	const running, finished = linkpb.ExecutionState_EXECUTION_RUNNING, linkpb.ExecutionState_EXECUTION_FINISHED
	got := VertexTaskManagers(&jobmaster.VertexDetails{Subtasks: []jobmaster.SubtaskDetails{
		subtask(0, "b", 100, 150, finished), subtask(1, "a", 120, 130, finished), subtask(2, "b", 90, -1, running),
		subtask(3, "", -1, -1, linkpb.ExecutionState_EXECUTION_SCHEDULED),
	}}, 200).TaskManagers
	type row struct {
		id, endpoint, status string
		start, end, duration int64
		records              int64
		complete             bool
	}
	want := []row{
		{"b", "b:1", "RUNNING", 90, -1, 110, 40, true},
		{"a", "a:1", "FINISHED", 120, 130, 10, 20, true},
		{"(unassigned)", "(unassigned)", "SCHEDULED", -1, -1, -1, 40, false},
	}
	if len(got) != len(want) {
		t.Fatalf("%d TaskManagers: %v", len(got), got)
	}
	for i, g := range got {
		r := row{g.TaskManagerID, g.Endpoint, g.Status, g.StartTime, g.EndTime, g.Duration, g.Metrics.ReadRecords, g.Metrics.ReadRecordsComplete}
		if r != want[i] {
			t.Errorf("TaskManager %d: %v, want %v", i, r, want[i])
		}
	}
	if sum := got[0].Aggregated.Metrics["read-records"]["sum"]; sum != 40 || got[0].StatusCounts["RUNNING"] != 1 {
		t.Errorf("sum %d, counts %v", sum, got[0].StatusCounts)
	}
}

func TestExceptionsOfAJobThatNeverFailed(t *testing.T) {
	got := Exceptions(&jobmaster.JobDetails{}, 0)
	if got.RootException != nil || got.Timestamp != nil || got.All == nil || got.History.Entries == nil || got.Truncated {
		t.Errorf("exceptions %+v", got)
	}
}

func TestTaskManagerResources(t *testing.T) {
	got := TaskManagerDetails(&resourcemanager.TaskManagerInfo{ResourceID: "c", DataAddress: "host:99", Slots: 4, FreeSlots: 3, CPU: 2,
		SlotMemory: 512 << 20, PhysicalMemory: 8 << 30, Resident: 1 << 30, HostsResident: 1 << 30})
	if got.DataPort != 99 || got.TotalResource.CPUCores != 2 || got.FreeResource.CPUCores != 1.5 || got.FreeResource.TaskHeapMemory != 1536 ||
		got.Hardware.FreeMemory != 6<<30 || got.Metrics.HeapUsed != 2<<30 {
		t.Errorf("TaskManager %+v", got)
	}
	if p := dataPort("nonsense"); p != -1 {
		t.Errorf("data port of nonsense is %d", p)
	}
	var _ api.TaskManagerDetails = got
}
