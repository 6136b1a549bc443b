package rest_test

import (
	"strings"
	"testing"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/runtime/jobmaster"
)

// Counters and attempts of subtasks: those of a vertex are summed over the current attempts, an earlier one keeps its own.
func TestSubtasks(t *testing.T) {
	c := sampleCluster(t)
	d := sampleDetails(t)
	d.ID = graph.NewJobID()
	v := &d.Vertices[0]
	first := v.Subtasks[0]
	first.Counters, first.State, first.Failure = map[string]int64{"cars": 1000}, linkpb.ExecutionState_EXECUTION_FAILED, nil
	second := v.Subtasks[0]
	second.Attempt, second.Counters, second.Earlier = 1, map[string]int64{"cars": 7, "bad": 2}, []jobmaster.SubtaskDetails{first}
	waiting := jobmaster.SubtaskDetails{Subtask: 1, State: linkpb.ExecutionState_EXECUTION_SCHEDULED, Start: -1, End: -1, Counters: map[string]int64{"cars": 30}}
	v.Parallelism, v.Subtasks = 2, []jobmaster.SubtaskDetails{second, waiting}
	c.Jobs.Add(d)
	base := c.Direct + "/jobs/" + d.ID.String() + "/vertices/" + sampleSource
	for path, want := range map[string]string{
		"/accumulators": `{"id":"` + sampleSource + `","user-accumulators":[{"name":"bad","type":"LongCounter","value":"2"},{"name":"cars","type":"LongCounter","value":"37"}]}`,
		"/subtasks/accumulators": `{"id":"` + sampleSource + `","parallelism":2,"subtasks":[{"subtask":0,"attempt":1,"host":"localhost","endpoint":"localhost:45857",` +
			`"user-accumulators":[{"name":"bad","type":"LongCounter","value":"2"},{"name":"cars","type":"LongCounter","value":"7"}]},` +
			`{"subtask":1,"attempt":0,"host":"(unassigned)","endpoint":"(unassigned)","user-accumulators":[{"name":"cars","type":"LongCounter","value":"30"}]}]}`,
		"/subtasks/0":            `{"subtask":0,"status":"RUNNING","attempt":1,"host":"localhost",`,
		"/subtasks/1":            `{"subtask":1,"status":"SCHEDULED","attempt":0,"host":"(unassigned)",`,
		"/subtasks/0/attempts/1": `{"subtask":0,"status":"RUNNING","attempt":1,`,
		"/subtasks/0/attempts/0": `{"subtask":0,"status":"FAILED","attempt":0,`,
		"/subtasks/0/attempts/0/accumulators": `{"subtask":0,"attempt":0,"id":"` + sampleSource + `_0_0","user-accumulators":[` +
			`{"name":"cars","type":"LongCounter","value":"1000"}]}`,
	} {
		if code, body, _ := do(t, "GET", base+path, nil); code != 200 || !strings.HasPrefix(string(body), want) {
			t.Errorf("%s: %d %s, want %s", path, code, body, want)
		}
	}
}
