package rest_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/internal/testkit"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/operator"
	"github.com/weftstream/weft/rest"
	"github.com/weftstream/weft/rest/resttest"
	"github.com/weftstream/weft/runtime/checkpoint"
	"github.com/weftstream/weft/runtime/dispatcher"
	"github.com/weftstream/weft/runtime/jobmaster"
	"github.com/weftstream/weft/runtime/resourcemanager"
)

const (
	sampleJob    = "57937e9c03172f5079032ca5a40accf6"
	sampleSource = "cbc357ccb763df2852fee8c4fc7d55f2"
	sampleSink   = "90bea66de1c231edf33913ecd54406c1"
	sampleTM     = "container_1795209350639_0035_01_000002"
)

func ids(t *testing.T) (graph.JobID, operator.ID, operator.ID) {
	t.Helper()
	job, err1 := graph.ParseJobID(sampleJob)
	source, err2 := operator.ParseID(sampleSource)
	sink, err3 := operator.ParseID(sampleSink)
	if err1 != nil || err2 != nil || err3 != nil {
		t.Fatal(err1, err2, err3)
	}
	return job, source, sink
}

// sampleDetails is the job of Flink's sample answers, in Weft.
func sampleDetails(t *testing.T) dispatcher.JobDetails {
	job, source, sink := ids(t)
	running := linkpb.ExecutionState_EXECUTION_RUNNING
	subtask := jobmaster.SubtaskDetails{State: running, ResourceID: sampleTM, Host: "localhost", Endpoint: "localhost:45857",
		Start: 1795211037593, End: -1, IO: jobmaster.IOMetrics{WriteRecords: 99, WriteBytes: 4113, BusyMS: 126, IdleMS: 9673, Watermark: 1795211037000, Complete: true},
		Load: jobmaster.Load{Busy: .25, Idle: .15, Backpressured: .6}}
	for s := linkpb.ExecutionState_EXECUTION_CREATED; s <= running; s++ {
		subtask.Timestamps[s] = 1795211028331 + int64(s)*1000
	}
	vertex := func(id operator.ID, name string) jobmaster.VertexDetails {
		v := jobmaster.VertexDetails{ID: id, Name: name, Description: name + "<br/>", SlotSharingGroup: "default", Parallelism: 1,
			MaxParallelism: 128, State: running, Start: 1795211037593, End: -1, IO: subtask.IO, Subtasks: []jobmaster.SubtaskDetails{subtask}}
		v.Tasks[running] = 1
		return v
	}
	d := dispatcher.JobDetails{
		JobSummary: dispatcher.JobSummary{ID: job, Name: "CarTopSpeedWindowingExample", Status: linkpb.JobStatus_RUNNING,
			Start: 1795211028135, End: -1, LastModified: 1795211038716},
		MaxParallelism: 128,
		Vertices:       []jobmaster.VertexDetails{vertex(source, "Source: cars"), vertex(sink, "windows -> Sink: print")},
		Edges:          []jobmaster.EdgeDetails{{Source: source, Target: sink, Partitioning: graph.Partitioning_HASH}},
		Counters:       map[string]int64{"cars": 99},
		Config:         map[string]string{"pipeline.name": "cars", "my.password": "hunter2"},
	}
	d.Tasks[running] = 2
	return d
}

func sampleCluster(t *testing.T) *resttest.Cluster {
	dir := t.TempDir()
	for name, text := range map[string]string{"jobmanager.log": "hello\n", "jobmanager.out": "", "launch_container.sh": "export SECRET=1"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := resttest.Start(t, func(c *rest.Config) { c.LogDir, c.LogFile = dir, "jobmanager.log" })
	c.Jobs.Add(sampleDetails(t))
	c.Jobs.Stats = sampleCheckpoints()
	job, _, _ := ids(t)
	c.JobManager.AddTaskManager(resourcemanager.TaskManagerInfo{ResourceID: sampleTM, Host: "localhost", DataAddress: "localhost:45857",
		Slots: 1, Allocated: []graph.JobID{job}, SlotMemory: 1 << 30, PhysicalMemory: 24 << 30, Resident: 40 << 20, CPU: 2,
		LastHeartbeat: 1795211048183})
	return c
}

// sampleCheckpoints are those of Flink's sample answers: 5 is in progress, with all acknowledgements, 4 is complete.
func sampleCheckpoints() checkpoint.Stats {
	done := &checkpoint.Record{ID: 4, Status: checkpoint.Completed, Trigger: 1795211045985, LatestAck: 1795211046007, End: 1795211046007, StateSize: 8794, Written: 8794,
		Tasks: 2, Acknowledged: 2, Path: "hdfs://nn/ck/chk-4"}
	running := &checkpoint.Record{ID: 5, Status: checkpoint.InProgress, Trigger: 1795211047985, LatestAck: 1795211048024, StateSize: 9454, Written: 9454, Tasks: 2, Acknowledged: 2,
		Vertices: []checkpoint.VertexRecord{
			{ID: sampleSource, Subtasks: []checkpoint.SubtaskRecord{{Acknowledged: 1795211048005, StateSize: 265, Written: 265, Async: 4, StartDelay: 8}}},
			{ID: sampleSink, Subtasks: []checkpoint.SubtaskRecord{{Acknowledged: 1795211048024, StateSize: 9189, Written: 9189}}},
		}}
	return checkpoint.Stats{Counts: checkpoint.Counts{Total: 10, InProgress: 1, Completed: 4, Failed: 5}, LatestCompleted: done,
		History: []*checkpoint.Record{running, done}, Config: checkpoint.Config{Interval: 2000, Timeout: 600_000, MaxConcurrent: 1,
			Retention: checkpoint.RetainNone, AfterFinish: true, ExactlyOnce: true, Directory: "hdfs://nn/ck", History: 10}}
}

func do(t *testing.T, method, url string, body io.Reader, header ...string) (int, []byte, http.Header) {
	t.Helper()
	req, err := http.NewRequest(method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+resttest.Token)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
		if header[i+1] == "" {
			req.Header.Del(header[i])
		}
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, data, resp.Header
}

// notOurs are fields of Flink's that only exist there in the sample's job or cluster.
var notOurs = map[string]bool{
	".metrics.garbageCollectors": true, // a list of the JVM's
}

// compare says what Flink's answer has that ours hasn't, or has with another kind of value.
func compare(path string, flink, ours any) (problems []string) {
	if notOurs[path] {
		return nil
	}
	kind := func(v any) string {
		switch v.(type) {
		case map[string]any:
			return "object"
		case []any:
			return "array"
		}
		return fmt.Sprintf("%T", v)
	}
	if flink == nil || flink == "NaN" && kind(ours) == "float64" {
		return nil // Flink writes numbers that it doesn't have as "NaN"
	}
	if kind(flink) != kind(ours) {
		return []string{fmt.Sprintf("%s: Flink has %s, we have %s", path, kind(flink), kind(ours))}
	}
	switch flink := flink.(type) {
	case map[string]any:
		ours := ours.(map[string]any)
		for _, key := range slices.Sorted(maps.Keys(flink)) {
			if v, ok := ours[key]; ok {
				problems = append(problems, compare(path+"."+key, flink[key], v)...)
			} else {
				problems = append(problems, path+"."+key+" is missing")
			}
		}
	case []any:
		ours := ours.([]any)
		if len(flink) > 0 && len(ours) == 0 {
			return []string{path + " is empty"}
		}
		for i := range min(len(flink), len(ours)) {
			problems = append(problems, compare(path, flink[i], ours[i])...)
		}
	}
	return problems
}

func TestAnswersHaveFlinksShapes(t *testing.T) {
	testkit.NoGoroutinesLeft(t)
	c := sampleCluster(t)
	for sample, path := range map[string]string{
		"config": "/config", "overview": "/overview", "datasets": "/datasets", "jobs": "/jobs", "jobs-overview": "/jobs/overview",
		"job": "/jobs/" + sampleJob, "job-status": "/jobs/" + sampleJob + "/status", "job-plan": "/jobs/" + sampleJob + "/plan",
		"job-config": "/jobs/" + sampleJob + "/config", "job-exceptions": "/jobs/" + sampleJob + "/exceptions",
		"job-accumulators":             "/jobs/" + sampleJob + "/accumulators",
		"checkpoints":                  "/jobs/" + sampleJob + "/checkpoints",
		"checkpoints-config":           "/jobs/" + sampleJob + "/checkpoints/config",
		"checkpoint":                   "/jobs/" + sampleJob + "/checkpoints/details/5",
		"checkpoint-vertex":            "/jobs/" + sampleJob + "/checkpoints/details/5/subtasks/" + sampleSource,
		"job-execution-result":         "/jobs/" + sampleJob + "/execution-result",
		"vertex":                       "/jobs/" + sampleJob + "/vertices/" + sampleSource,
		"vertex-subtasktimes":          "/jobs/" + sampleJob + "/vertices/" + sampleSource + "/subtasktimes",
		"vertex-taskmanagers":          "/jobs/" + sampleJob + "/vertices/" + sampleSource + "/taskmanagers",
		"vertex-backpressure":          "/jobs/" + sampleJob + "/vertices/" + sampleSource + "/backpressure",
		"vertex-accumulators":          "/jobs/" + sampleJob + "/vertices/" + sampleSource + "/accumulators",
		"vertex-subtasks-accumulators": "/jobs/" + sampleJob + "/vertices/" + sampleSource + "/subtasks/accumulators",
		"subtask":                      "/jobs/" + sampleJob + "/vertices/" + sampleSource + "/subtasks/0",
		"attempt":                      "/jobs/" + sampleJob + "/vertices/" + sampleSource + "/subtasks/0/attempts/0",
		"taskmanagers":                 "/taskmanagers", "taskmanager": "/taskmanagers/" + sampleTM, "jobmanager-logs": "/jobmanager/logs",
		"404-job": "/jobs/00000000000000000000000000000000", "400-job": "/jobs/xyz",
	} {
		t.Run(sample, func(t *testing.T) {
			golden, err := os.ReadFile("testdata/flink/" + sample + ".json")
			if err != nil {
				t.Fatal(err)
			}
			want := http.StatusOK
			if strings.HasSuffix(sample, "-job") && sample[0] == '4' {
				fmt.Sscan(sample[:3], &want)
			}
			for _, prefix := range []string{"", "/v1"} {
				// Flink's client sends a body with every request.
				status, body, header := do(t, "GET", c.Direct+prefix+path, strings.NewReader("{}"))
				if status != want || header.Get("Content-Type") != "application/json; charset=UTF-8" {
					t.Fatalf("status %d, content type %q: %s", status, header.Get("Content-Type"), body)
				}
				var flink, ours any
				if err := json.Unmarshal(golden, &flink); err != nil {
					t.Fatal(err)
				}
				if err := json.Unmarshal(body, &ours); err != nil {
					t.Fatalf("%v: %s", err, body)
				}
				for _, p := range compare("", flink, ours) {
					t.Error(p)
				}
			}
		})
	}
}

func TestValuesOfAnswers(t *testing.T) {
	c := sampleCluster(t)
	base := c.Direct + "/jobs/" + sampleJob
	for path, want := range map[string][]string{
		base + "/config":                       {`"my.password":"******"`, `"pipeline.name":"cars"`},
		base + "/accumulators":                 {`{"name":"cars","type":"LongCounter","value":"99"}`},
		base + "/plan":                         {`"ship_strategy":"HASH"`, `"inputs":[{"num":0,"id":"` + sampleSource + `"`},
		base:                                   {`"end-time":-1`, `"maxParallelism":128`, `"RECONCILING":0`, `"job-type":"STREAMING"`},
		c.Direct + "/jobs/overview":            {`"running":2`, `"total":2`},
		c.Direct + "/overview":                 {`"taskmanagers":1,"slots-total":1,"slots-available":0`, `"jobs-running":1`},
		base + "/vertices/" + sampleSource:     {`"p95":99`, `"accumulated-busy-time":126`, `"start_time":1795211037593`},
		c.Direct + "/taskmanagers/" + sampleTM: {`"jobId":"` + sampleJob + `"`, `"dataPort":45857`},
		base + "/vertices/" + sampleSource + "/backpressure": {`"backpressureLevel":"high"`, `"ratio":0.6,"idleRatio":0.15,"busyRatio":0.25`},
		base + "/vertices/" + sampleSource + "/watermarks":   {`[{"id":"0.currentInputWatermark","value":"1795211037000"}]`},
		base + "/execution-result":                           {`{"status":{"id":"IN_PROGRESS"}}`},
		c.Direct + "/jobmanager/logs/jobmanager.log":         {"hello\n"},
		c.Direct + "/jobmanager/log":                         {"hello\n"},
		base + "/vertices/" + sampleSink + "/subtasktimes":   {`"SCHEDULED":1795211029331`, `"FAILED":0`},
	} {
		status, body, _ := do(t, "GET", path, nil)
		for _, part := range want {
			if status != http.StatusOK || !strings.Contains(string(body), part) {
				t.Errorf("GET %s: status %d, %q not in %s", path, status, part, body)
			}
		}
	}
}

func TestFailedJob(t *testing.T) {
	c := sampleCluster(t)
	d := sampleDetails(t)
	d.ID = graph.NewJobID()
	d.Failures = []jobmaster.FailureDetails{{Message: "boom", Stack: "goroutine 1 [running]:", Operator: "parse", Vertex: "Source: cars",
		Task: "Source: cars (1/1)", ResourceID: sampleTM, Endpoint: "localhost:45857", Time: 7},
		{Message: "older", Subtask: -1, Time: 3}}
	c.Jobs.Add(d)
	c.Jobs.Finish(d.ID, &linkpb.JobResult{Status: linkpb.JobStatus_FAILED, RuntimeMs: 12,
		Failure: &linkpb.Failure{Message: "boom", Stack: "goroutine 1 [running]:"}})

	var result struct {
		Result struct {
			Status  string `json:"application-status"`
			Runtime int64  `json:"net-runtime"`
			Failure struct {
				Serialized []byte `json:"serialized-throwable"`
				Class      string
			} `json:"failure-cause"`
		} `json:"job-execution-result"`
	}
	_, body, _ := do(t, "GET", c.Direct+"/v1/jobs/"+d.ID.String()+"/execution-result", nil)
	if err := json.Unmarshal(body, &result); err != nil {
		t.Fatal(err)
	}
	r := result.Result
	if r.Status != "FAILED" || r.Runtime != 12 || !strings.HasPrefix(string(r.Failure.Serialized), "\xac\xed\x00\x05") ||
		!strings.Contains(string(r.Failure.Serialized), r.Failure.Class+": boom") {
		t.Errorf("execution result %s", body)
	}
	_, body, _ = do(t, "GET", c.Direct+"/jobs/"+d.ID.String()+"/exceptions?maxExceptions=1", nil)
	for _, part := range []string{`"root-exception":"boom\nin operator parse\ngoroutine 1 [running]:\n"`, `"timestamp":7`, `"truncated":true`,
		`"taskName":"Source: cars (1/1)"`, `"taskManagerId":"` + sampleTM + `"`} {
		if !strings.Contains(string(body), part) {
			t.Errorf("%s not in %s", part, body)
		}
	}
	_, body, _ = do(t, "GET", c.Direct+"/jobs/"+d.ID.String()+"/exceptions", nil)
	if !strings.Contains(string(body), `"exceptionName":"older"`) || !strings.Contains(string(body), `"taskName":null`) {
		t.Errorf("failure of no task: %s", body)
	}
}
