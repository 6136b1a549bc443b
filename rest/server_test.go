package rest_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/internal/testkit"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/rest"
	"github.com/weftstream/weft/rest/api"
	"github.com/weftstream/weft/rest/resttest"
)

func configuration(t *testing.T, pairs ...string) conf.Configuration {
	t.Helper()
	m := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	c, err := conf.FromMap(m)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func errorsOf(t *testing.T, body []byte) []string {
	t.Helper()
	fields := map[string][]string{}
	if err := json.Unmarshal(body, &fields); err != nil || len(fields) != 1 || len(fields["errors"]) == 0 {
		t.Fatalf("not an error as Flink's client recognises it: %s (%v)", body, err)
	}
	return fields["errors"]
}

func TestAuthentication(t *testing.T) {
	if _, err := rest.New(rest.Config{}); err == nil {
		t.Error("a server with token authentication but no token was made")
	}
	c := sampleCluster(t)
	for header, want := range map[string]int{
		"":                               http.StatusUnauthorized,
		"Bearer":                         http.StatusUnauthorized,
		"Bearer ":                        http.StatusUnauthorized,
		"Bearer wrong":                   http.StatusUnauthorized,
		"Bearer " + resttest.Token + "x": http.StatusUnauthorized,
		"Basic " + resttest.Token:        http.StatusUnauthorized,
		"Bearer " + resttest.Token:       http.StatusOK,
		"bearer " + resttest.Token:       http.StatusOK,
	} {
		for _, path := range []string{"/config", "/v1/jobs/overview"} {
			status, body, h := do(t, "GET", c.Direct+path, nil, "Authorization", header)
			if status != want {
				t.Errorf("GET %s with %q: status %d, want %d", path, header, status, want)
			}
			if want == http.StatusUnauthorized && (!strings.Contains(errorsOf(t, body)[0], "token") || h.Get("WWW-Authenticate") == "") {
				t.Errorf("with %q: %s", header, body)
			}
		}
	}
	// What doesn't exist is not told to strangers either.
	if status, _, _ := do(t, "GET", c.Direct+"/nosuch", nil, "Authorization", ""); status != http.StatusUnauthorized {
		t.Errorf("unknown path without a token: status %d", status)
	}
	open := resttest.Start(t, func(rc *rest.Config) {
		rc.Conf, rc.Token = configuration(t, "security.rest.authentication", "none"), ""
	})
	if status, body, _ := do(t, "GET", open.Direct+"/v1/jobs/overview", nil, "Authorization", ""); status != http.StatusOK {
		t.Errorf("open cluster: status %d: %s", status, body)
	}
}

func TestStartingUp(t *testing.T) {
	c := resttest.New(t, nil)
	status, body, _ := do(t, "GET", c.Direct+"/v1/jobs/overview", nil)
	if status != http.StatusServiceUnavailable || !strings.Contains(errorsOf(t, body)[0], "starting up") {
		t.Errorf("status %d: %s", status, body)
	}
	c.Server.SetBackend(rest.Backend{Jobs: c.Jobs, Cluster: c.JobManager})
	if status, body, _ = do(t, "GET", c.Direct+"/v1/jobs/overview", nil); status != http.StatusOK {
		t.Errorf("status %d: %s", status, body)
	}
}

func TestErrors(t *testing.T) {
	c := sampleCluster(t)
	unknown := "/jobs/" + strings.Repeat("0", 32)
	job := "/jobs/" + sampleJob
	for _, test := range []struct {
		method, path string
		status       int
		text         string
	}{
		{"GET", "/nosuch", 404, "Unable to load requested file /nosuch."},
		{"GET", "/v1/nosuch", 404, "/nosuch"},
		{"GET", "/v1", 404, ""},
		{"GET", "/jobs/", 404, ""},
		{"POST", "/overview", 405, "takes GET"},
		{"GET", job + "/vertices/" + strings.Repeat("0", 32), 404, "JobVertex"},
		{"GET", job + "/vertices/xyz", 400, "vertexid"},
		{"GET", job + "/vertices/" + sampleSource + "/subtasks/1", 404, "Invalid subtask index 1"},
		{"GET", job + "/vertices/" + sampleSource + "/subtasks/-1", 400, "subtaskindex"},
		{"GET", job + "/vertices/" + sampleSource + "/subtasks/x", 400, "subtaskindex"},
		{"GET", job + "/vertices/" + sampleSource + "/subtasks/0/attempts/1", 404, "Attempt 1 of subtask 0"},
		{"GET", job + "/vertices/" + sampleSource + "/subtasks/0/attempts/x/accumulators", 400, "attempt"},
		{"GET", job + "/vertices/" + strings.Repeat("0", 32) + "/subtasks/0", 404, "JobVertex"},
		{"GET", unknown + "/vertices/" + sampleSource + "/subtasks/accumulators", 404, "not found"},
		{"GET", job + "/vertices/" + sampleSource + "/subtasks/0/metrics", 404, "metrics"},
		{"GET", "/taskmanagers/nosuch", 404, "nosuch"},
		{"GET", unknown + "/execution-result", 404, "not found"},
		{"GET", "/weft" + unknown + "/result", 404, "not found"},
		{"PATCH", unknown + "?mode=cancel", 404, "unknown job"},
		{"PATCH", job + "?mode=stop", 400, "mode=cancel"},
		{"PATCH", unknown + "/clientHeartbeat", 404, "not found"},
		{"GET", job + "/exceptions?maxExceptions=no", 400, "maxExceptions"},
		{"GET", "/weft" + job + "/result?wait=long", 400, "duration"},
		{"POST", job + "/stop", 400, "[execution.checkpointing.savepoint-dir] is not set"},
		{"POST", job + "/savepoints", 400, "Property [target-directory] must be provided"},
		{"POST", unknown + "/savepoints", 404, "not found"},
		{"GET", job + "/savepoints/" + strings.Repeat("0", 32), 404, "Operation not found"},
		{"GET", unknown + "/checkpoints", 404, "not found"},
		{"GET", job + "/checkpoints/details/1", 404, "Could not find checkpointing statistics for checkpoint 1."},
		{"POST", "/savepoint-disposal", 400, "savepoint-path"},
		{"GET", "/jars", 404, "weft run"},
		{"GET", "/", 404, "dashboard"},
		{"GET", "/jobmanager/logs/nosuch.log", 404, "nosuch.log"},
		{"GET", "/jobmanager/logs/launch_container.sh", 404, ""},
		{"GET", "/jobmanager/logs/..%2f..%2fetc%2fpasswd", 404, ""},
		{"GET", "/jobmanager/stdout", 404, ""},
	} {
		status, body, _ := do(t, test.method, c.Direct+test.path, strings.NewReader("{}"))
		if status != test.status {
			t.Errorf("%s %s: status %d, want %d: %s", test.method, test.path, status, test.status, body)
			continue
		}
		if text := errorsOf(t, body)[0]; !strings.Contains(text, test.text) {
			t.Errorf("%s %s: %q not in %q", test.method, test.path, test.text, text)
		}
	}
}

func TestCancel(t *testing.T) {
	c := sampleCluster(t)
	job, _, _ := ids(t)
	c.Jobs.Stubborn = true
	for _, call := range []string{"PATCH /v1/jobs/%s?mode=cancel", "PATCH /jobs/%s", "GET /jobs/%s/yarn-cancel", "PUT /jobs/%s/yarn-cancel"} {
		method, path, _ := strings.Cut(fmt.Sprintf(call, sampleJob), " ")
		status, body, _ := do(t, method, c.Direct+path, strings.NewReader("{}"))
		if status != http.StatusAccepted || string(body) != "{}" {
			t.Errorf("%s: status %d: %s", call, status, body)
		}
	}
	if n := c.Jobs.Cancels(job); n != 4 {
		t.Errorf("%d cancellations, want 4", n)
	}
	c.Jobs.Finish(job, &linkpb.JobResult{Status: linkpb.JobStatus_FINISHED})
	status, body, _ := do(t, "PATCH", c.Direct+"/v1/jobs/"+sampleJob+"?mode=cancel", nil)
	if status != http.StatusConflict {
		t.Errorf("job that ended: status %d: %s", status, body)
	}
}

func TestShutdownOfTheCluster(t *testing.T) {
	c := sampleCluster(t)
	if status, body, _ := do(t, "DELETE", c.Direct+"/v1/cluster", strings.NewReader("{}")); status != 200 || string(body) != "{}" {
		t.Errorf("status %d: %s", status, body)
	}
	select {
	case <-c.JobManager.Shutdown():
	default:
		t.Error("no shutdown was requested")
	}
}

func TestConfigurationIsMasked(t *testing.T) {
	c := resttest.Start(t, func(rc *rest.Config) {
		rc.Conf = configuration(t, "rest.port", "0", "fs.azure.account.key.x", "s3cret")
	})
	_, body, _ := do(t, "GET", c.Direct+"/jobmanager/config", nil)
	want := `[{"key":"fs.azure.account.key.x","value":"******"},{"key":"rest.port","value":"0"}]`
	if string(body) != want {
		t.Errorf("got %s, want %s", body, want)
	}
}

func TestOrigins(t *testing.T) {
	c := sampleCluster(t)
	if _, _, h := do(t, "GET", c.Direct+"/config", nil); h.Get("Access-Control-Allow-Origin") != "" {
		t.Error("another site may read answers though none was named")
	}
	c = resttest.Start(t, func(rc *rest.Config) {
		rc.Conf = configuration(t, "web.access-control-allow-origin", "https://ui.example")
	})
	for _, method := range []string{"GET", "OPTIONS"} {
		status, _, h := do(t, method, c.Direct+"/config", nil, "Authorization", map[string]string{"GET": "Bearer " + resttest.Token}[method])
		if status >= 300 || h.Get("Access-Control-Allow-Origin") != "https://ui.example" {
			t.Errorf("%s: status %d, origin %q", method, status, h.Get("Access-Control-Allow-Origin"))
		}
	}
}

func TestLargeBodiesAreRefused(t *testing.T) {
	c := resttest.Start(t, func(rc *rest.Config) { rc.Conf = configuration(t, "rest.server.max-content-length", "1000") })
	for _, call := range []string{"GET /overview", "POST /jobs"} {
		method, path, _ := strings.Cut(call, " ")
		kind, body := "application/json", []byte(strings.Repeat(" ", 80<<10))
		if method == "POST" {
			kind, body = multipartBody(t, `{}`, api.JobGraphType, bytes.Repeat([]byte("x"), 2000))
		}
		status, answer, _ := do(t, method, c.Direct+path, bytes.NewReader(body), "Content-Type", kind)
		if status != http.StatusRequestEntityTooLarge {
			t.Errorf("%s: status %d: %s", call, status, answer)
		}
	}
}

func multipartBody(t *testing.T, request, kind string, job []byte) (string, []byte) {
	t.Helper()
	var buf bytes.Buffer
	w := multipart.NewWriter(&buf)
	part := func(disposition, kind string, data []byte) {
		p, err := w.CreatePart(textproto.MIMEHeader{"Content-Disposition": {disposition}, "Content-Type": {kind}})
		if err != nil {
			t.Fatal(err)
		}
		p.Write(data)
	}
	if request != "" {
		part(`form-data; name="request"`, "text/plain; charset=UTF-8", []byte(request))
	}
	if job != nil {
		part(`form-data; name="file_0"; filename="flink-jobgraph.bin"`, kind, job)
	}
	w.Close()
	return w.FormDataContentType(), buf.Bytes()
}

func jobGraph(t *testing.T, artifact *graph.Artifact) (*graph.JobGraph, []byte) {
	t.Helper()
	id := graph.NewJobID()
	g := &graph.JobGraph{JobId: id[:], Name: "words", Artifact: artifact}
	data, err := proto.Marshal(g)
	if err != nil {
		t.Fatal(err)
	}
	return g, data
}

func put(t *testing.T, c *resttest.Cluster, data []byte) string {
	t.Helper()
	sum := sha256.Sum256(data)
	key := hex.EncodeToString(sum[:])
	status, body, _ := do(t, "PUT", c.Direct+"/weft/artifacts/"+key, bytes.NewReader(data))
	if status != http.StatusCreated {
		t.Fatalf("PUT: status %d: %s", status, body)
	}
	return key
}

func TestSubmit(t *testing.T) {
	c := sampleCluster(t)
	key := put(t, c, []byte("executable"))
	g, data := jobGraph(t, &graph.Artifact{Name: "words", Platform: "linux/amd64"})
	request := `{"jobGraphFileName":"x","artifactSha256":"` + key + `"}`
	kind, body := multipartBody(t, request, api.JobGraphType, data)
	status, answer, _ := do(t, "POST", c.Direct+"/v1/jobs", bytes.NewReader(body), "Content-Type", kind)
	if status != http.StatusAccepted || !strings.Contains(string(answer), `"jobUrl":"/jobs/`+g.ID().String()+`"`) {
		t.Fatalf("status %d: %s", status, answer)
	}
	got := c.Jobs.Graph(g.ID()).GetArtifact()
	if hex.EncodeToString(got.GetSha256()) != key || got.GetSize() != 10 || got.GetName() != "words" || got.GetPlatform() != "linux/amd64" {
		t.Errorf("the submitted job's artifact is %v", got)
	}
	if status, answer, _ = do(t, "POST", c.Direct+"/jobs", bytes.NewReader(body), "Content-Type", kind); status != http.StatusConflict {
		t.Errorf("submitted twice: status %d: %s", status, answer)
	}
}

func TestSubmissionsThatAreRefused(t *testing.T) {
	c := sampleCluster(t)
	missing := strings.Repeat("ab", 32)
	_, job := jobGraph(t, nil)
	_, withURI := jobGraph(t, &graph.Artifact{Uri: "hdfs:///x"})
	withFile := func(f *graph.CachedFile) []byte {
		id := graph.NewJobID()
		b, err := proto.Marshal(&graph.JobGraph{JobId: id[:], Artifact: &graph.Artifact{Uri: "hdfs:///x"}, CachedFiles: []*graph.CachedFile{f}})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	noID, err := proto.Marshal(&graph.JobGraph{Name: "x"})
	if err != nil {
		t.Fatal(err)
	}
	java := append([]byte{0xac, 0xed, 0, 5}, "sr"...)
	for name, test := range map[string]struct {
		request, kind string
		job           []byte
		status        int
		text          string
	}{
		"java":          {`{"jobGraphFileName":"f","jobJarFileNames":[],"jobArtifactFileNames":[]}`, "application/octet-stream", java, 400, "Java program"},
		"no artifact":   {`{}`, api.JobGraphType, job, 400, "which executable"},
		"not uploaded":  {`{"artifactSha256":"` + missing + `"}`, api.JobGraphType, job, 412, "upload it"},
		"wrong type":    {`{}`, "application/octet-stream", job, 400, api.JobGraphType},
		"no protobuf":   {`{}`, api.JobGraphType, []byte("\xff\xff\xff"), 400, "JobGraph"},
		"no job id":     {`{}`, api.JobGraphType, noID, 400, "16"},
		"no request":    {``, api.JobGraphType, withURI, 400, "missing"},
		"no graph":      {`{}`, "", nil, 400, "missing"},
		"request isn't": {`[]`, api.JobGraphType, withURI, 400, "JSON"},
		"file lost":     {`{}`, api.JobGraphType, withFile(&graph.CachedFile{Name: "f", FileName: "f", Sha256: make([]byte, 32)}), 412, "upload it"},
		"file left":     {`{}`, api.JobGraphType, withFile(&graph.CachedFile{Name: "f", FileName: "f", Uri: "file:///x"}), 400, "machine that submits it"},
		"file escapes":  {`{}`, api.JobGraphType, withFile(&graph.CachedFile{Name: "f", FileName: "../f", Uri: "hdfs:///x"}), 400, "no name for its copy"},
		"file shared":   {`{}`, api.JobGraphType, withFile(&graph.CachedFile{Name: "f", FileName: "f", Uri: "hdfs:///x"}), 202, ""},
		"uri is enough": {`{}`, api.JobGraphType, withURI, 202, ""},
	} {
		kind, body := multipartBody(t, test.request, test.kind, test.job)
		status, answer, _ := do(t, "POST", c.Direct+"/jobs", bytes.NewReader(body), "Content-Type", kind)
		if status != test.status || status != 202 && !strings.Contains(errorsOf(t, answer)[0], test.text) {
			t.Errorf("%s: status %d: %s", name, status, answer)
		}
	}
	if status, answer, _ := do(t, "POST", c.Direct+"/jobs", strings.NewReader("{}"), "Content-Type", "application/json"); status != 400 {
		t.Errorf("no multipart: status %d: %s", status, answer)
	}
	closed := resttest.Start(t, func(rc *rest.Config) { rc.SubmitRefused = "this cluster runs one application" })
	kind, body := multipartBody(t, `{}`, api.JobGraphType, withURI)
	status, answer, _ := do(t, "POST", closed.Direct+"/jobs", bytes.NewReader(body), "Content-Type", kind)
	if status != http.StatusForbidden || errorsOf(t, answer)[0] != "this cluster runs one application" {
		t.Errorf("application mode: status %d: %s", status, answer)
	}
}

func TestSilentClientsJobIsCancelled(t *testing.T) {
	testkit.NoGoroutinesLeft(t)
	c := sampleCluster(t)
	put := func(job graph.JobID, expires time.Time) {
		body := fmt.Sprintf(`{"expiredTimestamp":%d}`, expires.UnixMilli())
		status, answer, _ := do(t, "PATCH", c.Direct+"/v1/jobs/"+job.String()+"/clientHeartbeat", strings.NewReader(body))
		if status != http.StatusAccepted || string(answer) != "{}" {
			t.Fatalf("status %d: %s", status, answer)
		}
	}
	submit := func(timeout string) graph.JobID {
		g, data := jobGraph(t, &graph.Artifact{Uri: "hdfs:///x"})
		kind, body := multipartBody(t, `{"clientHeartbeatTimeout":`+timeout+`}`, api.JobGraphType, data)
		if status, answer, _ := do(t, "POST", c.Direct+"/jobs", bytes.NewReader(body), "Content-Type", kind); status != 202 {
			t.Fatalf("status %d: %s", status, answer)
		}
		return g.ID()
	}
	sample, _, _ := ids(t)
	put(sample, time.Now().Add(-time.Hour)) // a clock that is behind must not kill the job
	never, stopped := submit("20"), submit("3600000")
	put(stopped, time.Now().Add(time.Second)) // far enough not to have passed when it arrives
	unheard := submit("3600000")
	c.Server.ExpectHeartbeats(unheard, 20*time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for _, id := range []graph.JobID{never, stopped, unheard} {
		if r, err := c.Jobs.Await(ctx, id); err != nil || r.GetStatus() != linkpb.JobStatus_CANCELED {
			t.Errorf("job of a silent client: %v, %v", r, err)
		}
	}
	put(stopped, time.Now()) // of a job that has ended
	if c.Jobs.Cancels(sample) != 0 {
		t.Error("the job of a client whose clock is behind was cancelled")
	}
}

// Nobody waits for a client that is gone to learn the end of its job.
func TestSilentClientIsNotWaitedFor(t *testing.T) {
	testkit.NoGoroutinesLeft(t)
	delivered := make(chan graph.JobID, 1)
	c := resttest.Start(t, func(rc *rest.Config) { rc.ResultDelivered = func(id graph.JobID) { delivered <- id } })
	g, data := jobGraph(t, &graph.Artifact{Uri: "hdfs:///x"})
	kind, body := multipartBody(t, `{"clientHeartbeatTimeout":20}`, api.JobGraphType, data)
	if status, answer, _ := do(t, "POST", c.Direct+"/jobs", bytes.NewReader(body), "Content-Type", kind); status != 202 {
		t.Fatalf("status %d: %s", status, answer)
	}
	select {
	case id := <-delivered:
		if id != g.ID() || c.Jobs.Cancels(id) != 1 {
			t.Errorf("job %s was cancelled %d times", id, c.Jobs.Cancels(id))
		}
	case <-time.After(20 * time.Second):
		t.Error("the client is still waited for")
	}
}

func TestResultWaits(t *testing.T) {
	testkit.NoGoroutinesLeft(t)
	delivered := make(chan graph.JobID, 1)
	c := resttest.Start(t, func(rc *rest.Config) { rc.ResultDelivered = func(id graph.JobID) { delivered <- id } })
	c.Jobs.Add(sampleDetails(t))
	job, _, _ := ids(t)
	url := c.Direct + "/weft/jobs/" + sampleJob + "/result"
	for _, wait := range []string{"", "?wait=1ms"} {
		_, body, _ := do(t, "GET", url+wait, nil)
		if string(body) != `{"status":{"id":"IN_PROGRESS"},"state":"RUNNING"}` {
			t.Errorf("running job: %s", body)
		}
	}
	answers := make(chan string, 1)
	go func() {
		_, body, _ := do(t, "GET", url+"?wait=1h", nil)
		answers <- string(body)
	}()
	c.Jobs.Finish(job, &linkpb.JobResult{Status: linkpb.JobStatus_FAILED, Counters: map[string]int64{"words": 1 << 60},
		Failure: &linkpb.Failure{Message: "boom", Subtask: 3}})
	var answer api.JobResultAnswer
	if err := json.Unmarshal([]byte(<-answers), &answer); err != nil {
		t.Fatal(err)
	}
	if r := answer.Result; answer.Status.ID != "COMPLETED" || r.Counters["words"] != 1<<60 || r.Failure.Message != "boom" || r.Failure.Subtask != 3 {
		t.Errorf("answer %+v", answer)
	}
	if id := <-delivered; id != job {
		t.Errorf("delivered %s", id)
	}
}

func TestServeEndsWaitingClients(t *testing.T) {
	testkit.NoGoroutinesLeft(t)
	c := resttest.Start(t, nil)
	waiting := make(chan struct{})
	c.Jobs.Add(sampleDetails(t))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, err := rest.New(rest.Config{Token: resttest.Token})
	if err != nil {
		t.Fatal(err)
	}
	server.SetBackend(rest.Backend{Jobs: signalling{c.Jobs, waiting}, Cluster: c.JobManager})
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error)
	go func() { served <- server.Serve(ctx, l) }()
	answered := make(chan int)
	go func() {
		status, _, _ := do(t, "GET", "http://"+l.Addr().String()+"/weft/jobs/"+sampleJob+"/result?wait=1h", nil)
		answered <- status
	}()
	<-waiting
	stop()
	if status := <-answered; status != http.StatusServiceUnavailable {
		t.Errorf("status %d", status)
	}
	if err := <-served; err != nil {
		t.Errorf("Serve: %v", err)
	}
}

// signalling says when somebody waits.
type signalling struct {
	table
	waiting chan struct{}
}

func (s signalling) Await(ctx context.Context, id graph.JobID) (*linkpb.JobResult, error) {
	close(s.waiting)
	return s.table.Await(ctx, id)
}

// panicking has a defect.
type panicking struct{ table }

func (panicking) Result(graph.JobID) (*linkpb.JobResult, bool) { panic("defect") }

func TestPanicsStayInTheirRequest(t *testing.T) {
	c := sampleCluster(t)
	c.Server.SetBackend(rest.Backend{Jobs: panicking{c.Jobs}, Cluster: c.JobManager})
	status, body, _ := do(t, "GET", c.Direct+"/jobs/"+sampleJob+"/execution-result", nil)
	if status != http.StatusInternalServerError || len(errorsOf(t, body)) != 2 {
		t.Errorf("status %d: %s", status, body)
	}
	if status, _, _ = do(t, "GET", c.Direct+"/overview", nil); status != http.StatusOK {
		t.Errorf("after it: status %d", status)
	}
}

func TestArtifacts(t *testing.T) {
	testkit.NoGoroutinesLeft(t)
	c := resttest.Start(t, nil)
	data := bytes.Repeat([]byte("0123456789abcdef"), 1<<20/16)
	sum := sha256.Sum256(data)
	url := c.Direct + "/weft/artifacts/" + hex.EncodeToString(sum[:])
	if status, _, _ := do(t, "HEAD", url, nil); status != http.StatusNotFound {
		t.Errorf("before: status %d", status)
	}
	status, body, _ := do(t, "PUT", url, bytes.NewReader(data[1:]))
	if status != http.StatusBadRequest || !strings.Contains(errorsOf(t, body)[0], "SHA-256") {
		t.Errorf("wrong content: status %d: %s", status, body)
	}
	cutUpload(t, strings.TrimPrefix(c.Direct, "http://"), strings.TrimPrefix(url, c.Direct), data)
	if status, _, _ := do(t, "HEAD", url, nil); status != http.StatusNotFound {
		t.Errorf("after a cut upload: status %d", status)
	}
	var uploads sync.WaitGroup
	for range 4 {
		uploads.Go(func() {
			if status, body, _ := do(t, "PUT", url, bytes.NewReader(data)); status != http.StatusCreated {
				t.Errorf("concurrent: status %d: %s", status, body)
			}
		})
	}
	uploads.Wait()
	status, _, h := do(t, "HEAD", url, nil)
	if status != http.StatusOK || h.Get("Content-Length") != fmt.Sprint(len(data)) {
		t.Errorf("after: status %d, length %s", status, h.Get("Content-Length"))
	}
	f, err := c.Store.Open(t.Context(), sum[:])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got, err := io.ReadAll(f); err != nil || !bytes.Equal(got, data) {
		t.Errorf("stored %d bytes, %v", len(got), err)
	}
	if status, _, _ = do(t, "PUT", c.Direct+"/weft/artifacts/xyz", nil); status != http.StatusBadRequest {
		t.Errorf("bad hash: status %d", status)
	}
}

// cutUpload sends half of what it promised and goes away; it returns when the server has noticed.
func cutUpload(t *testing.T, address, path string, data []byte) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "PUT %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n", path, resttest.Token, len(data))
	conn.Write(data[:len(data)/2])
	conn.(*net.TCPConn).CloseWrite()
	io.Copy(io.Discard, conn)
}

// table is rest.Jobs under a name that isn't one of its methods'.
type table = rest.Jobs
