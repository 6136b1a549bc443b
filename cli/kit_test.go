package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weftstream/weft/client"
	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/internal/testkit"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/rest/api"
)

const appID = "application_1700000000000_0001"

// output is a buffer that a command writes and a test reads at the same time.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// kit is an Env with fakes behind it: a provider for YARN's targets and a REST endpoint.
type kit struct {
	*Env
	t        *testing.T
	out, err *output
	yarn     *fakeYARN
	rest     *fakeREST
	env      map[string]string
}

func newKit(t *testing.T) *kit {
	t.Helper()
	k := &kit{t: t, out: &output{}, err: &output{}, env: map[string]string{}}
	k.rest = newREST(t)
	k.yarn = &fakeYARN{endpoint: k.rest.server.URL, reports: []client.Report{{State: client.Running}}}
	k.Env = &Env{In: strings.NewReader(""), Out: k.out, Err: k.err, Getenv: func(name string) string { return k.env[name] },
		Providers: []client.Provider{k.yarn}, Weft: "/usr/bin/weft", User: "alice", TempDir: t.TempDir()}
	return k
}

// run runs a command and returns its exit code.
func (k *kit) run(args ...string) int { return Run(context.Background(), k.Env, args) }

// wants compares the exit code, and looks for texts.
func (k *kit) wants(code, want int, out []string, err []string) {
	k.t.Helper()
	if code != want {
		k.t.Errorf("exit code %d, want %d", code, want)
	}
	for _, text := range out {
		if !strings.Contains(k.out.String(), text) {
			k.t.Errorf("standard output lacks %q", text)
		}
	}
	for _, text := range err {
		if !strings.Contains(k.err.String(), text) {
			k.t.Errorf("standard error lacks %q", text)
		}
	}
	k.showOutput()
}

// showOutput is for tests that have failed.
func (k *kit) showOutput() {
	if k.t.Failed() {
		k.t.Logf("standard output:\n%s\nstandard error:\n%s", k.out, k.err)
	}
}

// eventually waits for a condition.
func (k *kit) eventually(what string, f func() bool) {
	k.t.Helper()
	defer k.showOutput()
	testkit.Eventually(k.t, what, f)
}

// fakeYARN is a provider and its descriptor: clusters are running at once, and Report answers with reports in turn, the
// last one for ever.
type fakeYARN struct {
	endpoint string
	// deploy, if set, is called by every deployment; retrieve by Retrieve.
	deploy   func(ctx context.Context) error
	retrieve func(id string) error

	mu       sync.Mutex
	conf     conf.Configuration
	app      client.Application
	deployed string
	reports  []client.Report
	asked    []string
	killed   []string
	swept    int
	closed   int
}

func (f *fakeYARN) Name() string { return "YARN" }

func (f *fakeYARN) Targets() []string {
	return []string{"yarn-session", "yarn-per-job", "yarn-application", "remote"}
}

func (f *fakeYARN) Descriptor(c conf.Configuration, env client.Environment) (client.ClusterDescriptor, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.conf = c
	if env.Weft == "" {
		return nil, errors.New("no weft")
	}
	return f, nil
}

func (f *fakeYARN) cluster(ctx context.Context, how string, app client.Application) (*client.Cluster, error) {
	if f.deploy != nil {
		if err := f.deploy(ctx); err != nil {
			return nil, err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.deployed, f.app = how, app
	return &client.Cluster{ID: appID, Endpoint: f.endpoint, Token: "secret", TrackingURL: "http://rm:8088/proxy/" + appID}, nil
}

func (f *fakeYARN) DeploySession(ctx context.Context) (*client.Cluster, error) {
	return f.cluster(ctx, "session", client.Application{})
}

func (f *fakeYARN) DeployPerJob(ctx context.Context, _ *graph.JobGraph, app client.Application) (*client.Cluster, error) {
	return f.cluster(ctx, "per-job", app)
}

func (f *fakeYARN) DeployApplication(ctx context.Context, app client.Application) (*client.Cluster, error) {
	return f.cluster(ctx, "application", app)
}

func (f *fakeYARN) Retrieve(_ context.Context, id string) (*client.Cluster, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, id)
	if f.retrieve != nil {
		if err := f.retrieve(id); err != nil {
			return nil, err
		}
	}
	return &client.Cluster{ID: id, Endpoint: f.endpoint, Token: "secret"}, nil
}

func (f *fakeYARN) Report(ctx context.Context, id string) (client.Report, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.reports[0]
	if len(f.reports) > 1 {
		f.reports = f.reports[1:]
	}
	r.ID = id
	return r, ctx.Err()
}

// now sets what Report answers from here on.
func (f *fakeYARN) now(reports ...client.Report) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reports = reports
}

func (f *fakeYARN) Kill(_ context.Context, id string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.killed = append(f.killed, id)
	return nil
}

func (f *fakeYARN) Sweep(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.swept++
	return errors.New("some directory can't be read")
}

func (f *fakeYARN) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed++
	return nil
}

// fakeREST is a REST endpoint that knows jobs and writes down requests.
type fakeREST struct {
	server *httptest.Server

	mu       sync.Mutex
	jobs     []api.JobOverview
	results  map[string]*api.JobResult
	requests []string
	tokens   map[string]bool
	// shutdown is called by DELETE /cluster.
	shutdown func()
}

func newREST(t *testing.T) *fakeREST {
	r := &fakeREST{results: map[string]*api.JobResult{}, tokens: map[string]bool{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/overview", func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, api.ClusterOverview{}) })
	mux.HandleFunc("GET /v1/jobs/overview", func(w http.ResponseWriter, _ *http.Request) {
		r.mu.Lock()
		defer r.mu.Unlock()
		answer(w, 200, api.JobsOverview{Jobs: r.jobs})
	})
	mux.HandleFunc("GET /v1/weft/jobs/{id}/result", r.result)
	mux.HandleFunc("PATCH /v1/jobs/{id}", func(w http.ResponseWriter, q *http.Request) {
		if strings.HasPrefix(q.PathValue("id"), "ff") {
			answer(w, 404, api.Errors{Errors: []string{"Job " + q.PathValue("id") + " not found"}})
			return
		}
		answer(w, 202, struct{}{})
	})
	mux.HandleFunc("DELETE /v1/cluster", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, 200, struct{}{})
		if r.shutdown != nil {
			r.shutdown()
		}
	})
	r.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		r.mu.Lock()
		r.requests = append(r.requests, q.Method+" "+q.URL.RequestURI())
		r.tokens[q.Header.Get("Authorization")] = true
		r.mu.Unlock()
		mux.ServeHTTP(w, q)
	}))
	t.Cleanup(r.server.Close)
	return r
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}

// result waits up to a second for a job's result, as the real endpoint does for longer.
func (r *fakeREST) result(w http.ResponseWriter, q *http.Request) {
	for deadline := time.Now().Add(time.Second); ; time.Sleep(5 * time.Millisecond) {
		r.mu.Lock()
		found := r.results[q.PathValue("id")]
		r.mu.Unlock()
		if found != nil {
			answer(w, 200, api.JobResultAnswer{Status: api.AsyncStatus{ID: api.Completed}, State: found.State, Result: found})
			return
		}
		if time.Now().After(deadline) || q.Context().Err() != nil {
			answer(w, 200, api.JobResultAnswer{Status: api.AsyncStatus{ID: api.InProgress}, State: "RUNNING"})
			return
		}
	}
}

func (r *fakeREST) seen(request string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, q := range r.requests {
		if q == request {
			return true
		}
	}
	return false
}

// job adds or changes a job.
func (r *fakeREST) job(n int, state linkpb.JobStatus, result *api.JobResult) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	id := fmt.Sprintf("%032x", n)
	o := api.JobOverview{ID: id, Name: fmt.Sprintf("job %d", n), StartTime: int64(n) * 1000, State: state.String()}
	known := false
	for i := range r.jobs {
		if r.jobs[i].ID == id {
			r.jobs[i], known = o, true
		}
	}
	if !known {
		r.jobs = append(r.jobs, o)
	}
	if result != nil {
		result.ID, result.Name, result.State = id, o.Name, o.State
		r.results[id] = result
	}
	return id
}

// executable is a copy of a Weft application for this platform: nothing runs it.
func executable(t *testing.T) string {
	t.Helper()
	return builtApplication(t)
}

var (
	buildOnce sync.Once
	builtPath string
	buildErr  error
)

// builtApplication builds an example once for all tests.
func builtApplication(t *testing.T) string {
	t.Helper()
	buildOnce.Do(func() {
		dir, err := os.MkdirTemp("", "weft-cli-test-")
		if err != nil {
			buildErr = err
			return
		}
		s := &session{Env: &Env{}, log: newLogger(&output{}, 0)}
		builtPath, buildErr = s.goBuild(context.Background(), filepath.Join("..", "examples", "wordcount"), ".",
			filepath.Join(dir, "wordcount"), runtime.GOOS+"/"+runtime.GOARCH)
	})
	if buildErr != nil {
		t.Fatal(buildErr)
	}
	return builtPath
}

func TestMain(m *testing.M) {
	code := m.Run()
	if builtPath != "" {
		os.RemoveAll(filepath.Dir(builtPath))
	}
	os.Exit(code)
}
