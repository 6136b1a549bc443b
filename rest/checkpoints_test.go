package rest_test

import (
	"encoding/json"
	"net/http"
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

func TestCheckpointStatistics(t *testing.T) {
	c := resttest.Start(t, nil)
	completed := &checkpoint.Record{ID: 3, Status: checkpoint.Completed, Trigger: 1000, LatestAck: 1040, End: 1050, StateSize: 77, Tasks: 4, Acknowledged: 4, Path: "hdfs:///c/chk-3"}
	failed := &checkpoint.Record{ID: 4, Status: checkpoint.Failed, Trigger: 2000, End: 2100, FailedAt: 2100, Failure: "disk full"}
	c.Jobs.Stats = checkpoint.Stats{Counts: checkpoint.Counts{Total: 2, Completed: 1, Failed: 1}, LatestCompleted: completed, LatestFailed: failed,
		History: []*checkpoint.Record{failed, completed}, Restored: &checkpoint.Restored{ID: 2, Time: 900, Path: "hdfs:///c/chk-2"}}
	_, job := runningJob(t, c)
	code, body, _ := do(t, "GET", job+"/checkpoints", nil)
	for _, text := range []string{`"completed":{"className":"completed","id":3`, `"external_path":"hdfs:///c/chk-3"`, `"discarded":false`,
		`"end_to_end_duration":50`, `"failure_message":"disk full"`, `"restored":{"id":2`, `"num_acknowledged_subtasks":4`, `"in_progress":0`, `"p50":77`} {
		if code != 200 || !strings.Contains(string(body), text) {
			t.Errorf("%s isn't in %d %s", text, code, body)
		}
	}
	id := triggered(t, "POST", job+"/checkpoints", `{"checkpointType":"CONFIGURED","triggerId":null}`, 202)
	if op := awaitOperation(t, job+"/checkpoints/"+id); op["checkpointId"] != 7.0 {
		t.Errorf("outcome %v", op)
	}
}
