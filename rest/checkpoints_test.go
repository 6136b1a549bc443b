package rest_test

import (
	"encoding/json"
	"net/http"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/rest/resttest"
	"github.com/weftstream/weft/runtime/checkpoint"
	"github.com/weftstream/weft/runtime/dispatcher"
)

func runningJob(t *testing.T, c *resttest.Cluster) (graph.JobID, string) {
	t.Helper()
	id := graph.NewJobID()
	c.Jobs.Add(dispatcher.JobDetails{JobSummary: dispatcher.JobSummary{ID: id, Name: "x", Status: linkpb.JobStatus_RUNNING, End: -1}})
	return id, c.Direct + "/jobs/" + id.String()
}

// awaitOperation asks until an operation is over and returns it.
func awaitOperation(t *testing.T, url string) map[string]any {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		code, body, _ := do(t, http.MethodGet, url, nil)
		var answer struct {
			Status    struct{ ID string }
			Operation map[string]any
		}
		if err := json.Unmarshal(body, &answer); code != 200 || err != nil {
			t.Fatalf("%s: %d %s", url, code, body)
		}
		switch answer.Status.ID {
		case "COMPLETED":
			return answer.Operation
		case "IN_PROGRESS":
			if answer.Operation != nil {
				t.Fatalf("in progress with an outcome: %s", body)
			}
		default:
			t.Fatalf("status %q", answer.Status.ID)
		}
	}
	t.Fatal("the operation doesn't end")
	return nil
}

func triggered(t *testing.T, method, url, body string, want int) string {
	t.Helper()
	code, text, _ := do(t, method, url, strings.NewReader(body))
	var answer map[string]string
	if err := json.Unmarshal(text, &answer); code != want || err != nil || len(answer["request-id"]) != 32 {
		t.Fatalf("%s %s: %d %s", method, url, code, text)
	}
	return answer["request-id"]
}

func TestSavepoints(t *testing.T) {
	c := resttest.Start(t, nil)
	_, job := runningJob(t, c)
	id := triggered(t, "POST", job+"/savepoints", `{"target-directory":"/sp","cancel-job":false,"formatType":"CANONICAL","triggerId":null}`, 202)
	if op := awaitOperation(t, job+"/savepoints/"+id); op["location"] != "/sp/savepoint-1" || op["failure-cause"] != nil {
		t.Errorf("outcome %v", op)
	}
	trigger := strings.Repeat("ab", 16)
	for range 2 { // the client's repetition after a lost answer
		if got := triggered(t, "POST", job+"/savepoints", `{"target-directory":"/full","triggerId":"`+trigger+`"}`, 202); got != trigger {
			t.Errorf("trigger id %s", got)
		}
	}
	op := awaitOperation(t, job+"/savepoints/"+trigger)
	if cause, ok := op["failure-cause"].(map[string]any); !ok || !strings.Contains(cause["stack-trace"].(string), "no space left") || cause["serialized-throwable"] == "" {
		t.Errorf("outcome %v", op)
	}
	if n := len(c.Jobs.Savepoints()); n != 2 {
		t.Errorf("%d savepoints were triggered, want 2", n)
	}
	if code, body, _ := do(t, "POST", job+"/savepoints", strings.NewReader(`{"target-directory":"/sp","formatType":"AVRO"}`)); code != 400 {
		t.Errorf("unknown format: %d %s", code, body)
	}
	id = triggered(t, "POST", job+"/stop", `{"targetDirectory":"/sp","drain":true,"formatType":"NATIVE","triggerId":null}`, 202)
	awaitOperation(t, job+"/savepoints/"+id)
	if last := c.Jobs.Savepoints()[2]; !last.Stop || !last.Drain || last.Cancel || last.Directory != "/sp" {
		t.Errorf("stop asked for %+v", last)
	}
}

// TestWaitingForASavepoint: a client that wants to wait is answered at the savepoint's end, and not before its time is over.
func TestWaitingForASavepoint(t *testing.T) {
	c := resttest.Start(t, nil)
	c.Jobs.Held = make(chan struct{})
	_, job := runningJob(t, c)
	id := triggered(t, "POST", job+"/savepoints", `{"target-directory":"/held"}`, 202)
	if _, body, _ := do(t, "GET", job+"/savepoints/"+id+"?wait=1ms", nil); !strings.Contains(string(body), "IN_PROGRESS") {
		t.Errorf("before its end: %s", body)
	}
	if code, body, _ := do(t, "GET", job+"/savepoints/"+id+"?wait=soon", nil); code != 400 {
		t.Errorf("wait=soon: %d %s", code, body)
	}
	answer := make(chan string)
	go func() {
		_, body, _ := do(t, "GET", job+"/savepoints/"+id+"?wait=1h", nil)
		answer <- string(body)
	}()
	select {
	case body := <-answer:
		t.Errorf("an answer before the end: %s", body)
	default:
	}
	close(c.Jobs.Held)
	if body := <-answer; !strings.Contains(body, "/held/savepoint-1") {
		t.Errorf("at its end: %s", body)
	}
}

func TestCheckpointStatistics(t *testing.T) {
	c := resttest.Start(t, nil)
	completed := &checkpoint.Record{ID: 3, Status: checkpoint.Completed, Trigger: 1000, LatestAck: 1040, End: 1050, StateSize: 77, Written: 33, Tasks: 4, Acknowledged: 4, Path: "hdfs:///c/chk-3"}
	failed := &checkpoint.Record{ID: 4, Status: checkpoint.Failed, Trigger: 2000, End: 2100, FailedAt: 2100, Failure: "disk full"}
	c.Jobs.Stats = checkpoint.Stats{Counts: checkpoint.Counts{Total: 2, Completed: 1, Failed: 1}, LatestCompleted: completed, LatestFailed: failed,
		History: []*checkpoint.Record{failed, completed}, Restored: &checkpoint.Restored{ID: 2, Time: 900, Path: "hdfs:///c/chk-2"}}
	_, job := runningJob(t, c)
	code, body, _ := do(t, "GET", job+"/checkpoints", nil)
	for _, text := range []string{`"completed":{"className":"completed","id":3`, `"external_path":"hdfs:///c/chk-3"`, `"discarded":false`,
		`"end_to_end_duration":50`, `"failure_message":"disk full"`, `"restored":{"id":2`, `"num_acknowledged_subtasks":4`, `"in_progress":0`, `"checkpointed_size":33,"state_size":77`, `"state_size":{"min":77`, `"checkpointed_size":{"min":33`} {
		if code != 200 || !strings.Contains(string(body), text) {
			t.Errorf("%s isn't in %d %s", text, code, body)
		}
	}
	id := triggered(t, "POST", job+"/checkpoints", `{"checkpointType":"CONFIGURED","triggerId":null}`, 202)
	if op := awaitOperation(t, job+"/checkpoints/"+id); op["checkpointId"] != 7.0 {
		t.Errorf("outcome %v", op)
	}
}

// Where Flink's sample has a number, so have we the same one: the sample's job is in sampleCheckpoints.
func TestCheckpointDetailsAreTheSamples(t *testing.T) {
	c := sampleCluster(t)
	for sample, path := range map[string]string{"checkpoints-config": "/config", "checkpoint": "/details/5", "checkpoint-vertex": "/details/5/subtasks/" + sampleSource} {
		golden, err := os.ReadFile("testdata/flink/" + sample + ".json")
		if err != nil {
			t.Fatal(err)
		}
		_, body, _ := do(t, "GET", c.Direct+"/jobs/"+sampleJob+"/checkpoints"+path, nil)
		var flink, ours map[string]any
		if err1, err2 := json.Unmarshal(golden, &flink), json.Unmarshal(body, &ours); err1 != nil || err2 != nil {
			t.Fatalf("%v, %v: %s", err1, err2, body)
		}
		if sample == "checkpoint-vertex" {
			removePercentiles(flink)
			removePercentiles(ours)
		}
		if !reflect.DeepEqual(flink, ours) {
			t.Errorf("%s: Flink has\n%v, we have\n%v", sample, flink, ours)
		}
	}
}

// removePercentiles removes what Flink doesn't have.
func removePercentiles(v map[string]any) {
	for key, x := range v {
		if strings.HasPrefix(key, "p") && len(key) < 5 {
			delete(v, key)
		}
		if m, ok := x.(map[string]any); ok {
			removePercentiles(m)
		}
	}
}

func TestCheckpointDetails(t *testing.T) {
	c := sampleCluster(t)
	subtasks := []checkpoint.SubtaskRecord{{Index: 0, Acknowledged: 1030, StateSize: 10, Written: 8, Sync: 1, Async: 2, Alignment: 3, Processed: 4, Persisted: 5, StartDelay: 6, Unaligned: true},
		{Index: 1}, {Index: 2, Acknowledged: 1010, StateSize: 30, Written: 12, Sync: 5, Async: 6, Alignment: 1, Processed: 40, Persisted: 7, StartDelay: 2}}
	failed := &checkpoint.Record{ID: 6, Status: checkpoint.Failed, Trigger: 1000, LatestAck: 1030, End: 2000, FailedAt: 2000, Failure: "disk full", StateSize: 40, Tasks: 4, Acknowledged: 2,
		Vertices: []checkpoint.VertexRecord{{ID: sampleSource, Subtasks: subtasks}, {ID: sampleSink, Subtasks: make([]checkpoint.SubtaskRecord, 1)}}}
	begun := &checkpoint.Record{ID: 7, Status: checkpoint.InProgress, Trigger: 3000, Tasks: 2, Savepoint: true}
	c.Jobs.Stats = checkpoint.Stats{LatestFailed: failed, History: []*checkpoint.Record{begun}, Config: checkpoint.Config{Retention: checkpoint.RetainOnCancel, Unaligned: true, AlignedTimeout: 30}}
	base := c.Direct + "/jobs/" + sampleJob + "/checkpoints"
	for path, want := range map[string][]string{
		"/config": {`"mode":"at_least_once"`, `"interval":9223372036854775807`, `"externalization":{"enabled":true,"delete_on_cancellation":false}`,
			`"checkpoint_storage":"JobManagerCheckpointStorage"`, `"unaligned_checkpoints":true`, `"aligned_checkpoint_timeout":30`},
		"/details/6": {`"className":"failed"`, `"failure_message":"disk full"`, `"` + sampleSource + `":{"id":6,"status":"FAILED","latest_ack_timestamp":1030,"checkpointed_size":20,` +
			`"state_size":40,"end_to_end_duration":30,"alignment_buffered":0,"processed_data":44,"persisted_data":12,"num_subtasks":3,"num_acknowledged_subtasks":2}`},
		"/details/6/subtasks/" + sampleSource: {`"num_acknowledged_subtasks":2,"summary":{"checkpointed_size":{"min":8,"max":12,"avg":10,"p50":8,"p90":12,`, `"state_size":{"min":10,"max":30,"avg":20,"p50":10,"p90":30,`,
			`"sync":{"min":1,"max":5,"avg":3,`, `"async":{"min":2,"max":6,`, `"processed":{"min":4,"max":40,`, `"persisted":{"min":5,"max":7,`, `"duration":{"min":1,"max":3,`,
			`"start_delay":{"min":2,"max":6,`, `"end_to_end_duration":{"min":10,"max":30,`, `{"className":"pending","index":1,"status":"pending_or_failed"}`,
			`{"className":"completed","index":0,"ack_timestamp":1030,"end_to_end_duration":30,"checkpointed_size":8,"state_size":10,"checkpoint":{"sync":1,"async":2},` +
				`"alignment":{"buffered":0,"processed":4,"persisted":5,"duration":3},"start_delay":6,"unaligned_checkpoint":true,"aborted":false,"status":"completed"}`},
		// Nothing is acknowledged yet: the vertices are the job's.
		"/details/7": {`"is_savepoint":true,"savepointFormat":"CANONICAL"`, `"latest_ack_timestamp":-1`, `"` + sampleSink + `":{"id":7,"status":"IN_PROGRESS","latest_ack_timestamp":-1,"checkpointed_size":0,"state_size":0,"end_to_end_duration":-1`},
		"/details/7/subtasks/" + sampleSink: {`"num_subtasks":1,"num_acknowledged_subtasks":0,"summary":{"checkpointed_size":{"min":0,"max":0,"avg":0,`,
			`"subtasks":[{"className":"pending","index":0,"status":"pending_or_failed"}]`},
	} {
		code, body, _ := do(t, "GET", base+path, nil)
		for _, text := range want {
			if code != 200 || !strings.Contains(string(body), text) {
				t.Errorf("%s: %s isn't in %d %s", path, text, code, body)
			}
		}
	}
	none := strings.Repeat("00", 16)
	for path, want := range map[string]int{"/details/8": 404, "/details/x": 400, "/details/6/subtasks/" + none: 404, "/details/6/subtasks/x": 400,
		"/details/8/subtasks/" + sampleSink: 404} {
		if code, body, _ := do(t, "GET", base+path, nil); code != want || !strings.Contains(string(body), `"errors":[`) {
			t.Errorf("%s: %d %s, want %d", path, code, body, want)
		}
	}
	for _, path := range []string{"/config", "/details/6", "/details/6/subtasks/" + sampleSink} {
		if code, body, _ := do(t, "GET", c.Direct+"/jobs/"+none+"/checkpoints"+path, nil); code != 404 || !strings.Contains(string(body), "Job "+none+" not found") {
			t.Errorf("%s of no job: %d %s", path, code, body)
		}
	}
}
