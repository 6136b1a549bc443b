package client_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weftstream/weft/client"
	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/internal/testkit"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/rest"
	"github.com/weftstream/weft/rest/resttest"
	"github.com/weftstream/weft/runtime/dispatcher"
	"github.com/weftstream/weft/runtime/resourcemanager"
)

func configuration(t *testing.T, pairs map[string]string) conf.Configuration {
	t.Helper()
	m := map[string]string{"rest.retry.delay": "1 ms", "rest.retry.max-attempts": "3"}
	for k, v := range pairs {
		m[k] = v
	}
	c, err := conf.FromMap(m)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func newClient(t *testing.T, endpoint, token string, opts ...client.Option) *client.Client {
	t.Helper()
	c, err := client.New(endpoint, token, append([]client.Option{client.WithConfiguration(configuration(t, nil))}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func job(name string) *graph.JobGraph {
	id := graph.NewJobID()
	return &graph.JobGraph{JobId: id[:], Name: name, Definition: name, Key: id.String()}
}

func executable(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "words")
	if err := os.WriteFile(path, []byte(content), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func count(requests []string, prefix string) int {
	n := 0
	for _, r := range requests {
		if strings.HasPrefix(r, prefix) {
			n++
		}
	}
	return n
}

func TestSubmitUploadsOnce(t *testing.T) {
	testkit.NoGoroutinesLeft(t)
	cluster := resttest.Start(t, nil)
	var sent int64
	c := newClient(t, cluster.Endpoint, resttest.Token, client.WithUploadProgress(func(n, total int64) {
		if total != 1<<20 || n <= sent {
			t.Errorf("progress %d of %d after %d", n, total, sent)
		}
		sent = n
	}))
	path := executable(t, strings.Repeat("x", 1<<20))
	for i := range 2 {
		g := job("words")
		id, err := c.Submit(t.Context(), g, path)
		if err != nil || id != g.ID() {
			t.Fatalf("submission %d: %s, %v", i, id, err)
		}
		a := cluster.Jobs.Graph(id).GetArtifact()
		if a.GetSize() != 1<<20 || a.GetName() != "words" || len(a.GetSha256()) != 32 {
			t.Errorf("artifact %v", a)
		}
		if g.Artifact != nil {
			t.Error("the caller's graph was changed")
		}
	}
	if n := count(cluster.Requests(), "PUT"); n != 1 {
		t.Errorf("%d uploads, want 1: %v", n, cluster.Requests())
	}
	if sent != 1<<20 {
		t.Errorf("progress ended at %d", sent)
	}
}

func TestSubmitDrawsAnID(t *testing.T) {
	cluster := resttest.Start(t, nil)
	c := newClient(t, cluster.Endpoint, resttest.Token)
	id, err := c.Submit(t.Context(), &graph.JobGraph{Name: "x", Artifact: &graph.Artifact{Uri: "hdfs:///app"}}, "")
	if err != nil || id == (graph.JobID{}) || cluster.Jobs.Graph(id) == nil {
		t.Errorf("%s, %v", id, err)
	}
	if n := count(cluster.Requests(), "HEAD") + count(cluster.Requests(), "PUT"); n != 0 {
		t.Error("an executable with a URI was uploaded")
	}
}

// hijack breaks the connection off without an answer.
func hijack(w http.ResponseWriter) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		conn.Close()
	}
}

func TestSubmitIsNeverRepeatedBlindly(t *testing.T) {
	for name, test := range map[string]struct {
		// answer handles the n-th POST /jobs
		answer func(n int, w http.ResponseWriter, r *http.Request, next http.Handler)
		posts  int
	}{
		"answer lost": {func(n int, w http.ResponseWriter, r *http.Request, next http.Handler) {
			next.ServeHTTP(discard{http.Header{}}, r)
			hijack(w)
		}, 1},
		"request lost": {func(n int, w http.ResponseWriter, r *http.Request, next http.Handler) {
			if n == 1 {
				hijack(w)
				return
			}
			next.ServeHTTP(w, r)
		}, 2},
		"not ready": {func(n int, w http.ResponseWriter, r *http.Request, next http.Handler) {
			if n == 1 {
				http.Error(w, `{"errors":["starting"]}`, http.StatusServiceUnavailable)
				return
			}
			next.ServeHTTP(w, r)
		}, 2},
		"taken late": {func(n int, w http.ResponseWriter, r *http.Request, next http.Handler) {
			if n == 1 {
				hijack(w)
				return
			}
			next.ServeHTTP(discard{http.Header{}}, r) // the first request after all
			http.Error(w, `{"errors":["job was submitted before"]}`, http.StatusConflict)
		}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			cluster := resttest.Start(t, nil)
			posts := 0
			cluster.Intercept(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				if r.Method != http.MethodPost {
					next.ServeHTTP(w, r)
					return
				}
				posts++
				test.answer(posts, w, r, next)
			})
			c := newClient(t, cluster.Endpoint, resttest.Token)
			g := job("words")
			id, err := c.Submit(t.Context(), g, executable(t, "x"))
			if err != nil || id != g.ID() || posts != test.posts || len(cluster.Jobs.Jobs()) != 1 {
				t.Errorf("id %s, %v; %d posts, %d jobs; %v", id, err, posts, len(cluster.Jobs.Jobs()), cluster.Requests())
			}
			if posts > 1 {
				r := cluster.Requests()
				first := slices.Index(r, "POST /v1/jobs")
				if r[first+1] != "GET /v1/jobs/"+id.String()+"/status" {
					t.Errorf("the status wasn't asked for before the repetition: %v", r)
				}
			}
		})
	}
}

// discard is an answer that nobody gets.
type discard struct{ h http.Header }

func (d discard) Header() http.Header         { return d.h }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}

// forgetful is a cluster that says that it has what it is asked for first, and has lost it by the time of the submission.
func forgetful(t *testing.T) *resttest.Cluster {
	cluster := resttest.Start(t, nil)
	lost := true
	cluster.Intercept(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method == http.MethodHead && lost {
			lost = false
			w.WriteHeader(http.StatusOK) // was there a moment ago
			return
		}
		next.ServeHTTP(w, r)
	})
	return cluster
}

func TestSubmitUploadsAgainWhatTheClusterLost(t *testing.T) {
	cluster := forgetful(t)
	c := newClient(t, cluster.Endpoint, resttest.Token)
	if _, err := c.Submit(t.Context(), job("words"), executable(t, "x")); err != nil {
		t.Error(err)
	}
	if n := count(cluster.Requests(), "PUT"); n != 1 {
		t.Errorf("%d uploads", n)
	}
}

func TestSubmitErrors(t *testing.T) {
	cluster := resttest.Start(t, nil)
	cluster.Jobs.Refuse = func(*graph.JobGraph) error { return dispatcher.ErrInvalidGraph }
	c := newClient(t, cluster.Endpoint, resttest.Token)
	_, err := c.Submit(t.Context(), job("words"), executable(t, "x"))
	api := (*client.APIError)(nil)
	if !errors.As(err, &api) || api.Status != http.StatusBadRequest || strings.Contains(err.Error(), "words") {
		t.Errorf("invalid graph: %v", err)
	}
	if _, err = c.Submit(t.Context(), job("words"), "/nonexistent/words"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no executable: %v", err)
	}
	if n := count(cluster.Requests(), "POST"); n != 1 {
		t.Errorf("%d posts, want 1", n)
	}
}

func TestErrorsAreTyped(t *testing.T) {
	cluster := resttest.Start(t, nil)
	c := newClient(t, cluster.Endpoint, resttest.Token)
	unknown := graph.NewJobID()
	if _, err := c.Status(t.Context(), unknown); !errors.Is(err, client.ErrNotFound) || !strings.Contains(err.Error(), unknown.String()) {
		t.Errorf("unknown job: %v", err)
	}
	if _, err := c.Result(t.Context(), unknown); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("unknown job's result: %v", err)
	}
	g := job("words")
	if _, err := cluster.Jobs.Submit(t.Context(), g); err != nil {
		t.Fatal(err)
	}
	cluster.Jobs.Finish(g.ID(), &linkpb.JobResult{Status: linkpb.JobStatus_FINISHED})
	if err := c.Cancel(t.Context(), g.ID()); !errors.Is(err, client.ErrConflict) {
		t.Errorf("cancel of an ended job: %v", err)
	}
	stranger := newClient(t, cluster.Endpoint, "wrong")
	if _, err := stranger.Overview(t.Context()); !errors.Is(err, client.ErrUnauthorized) || !strings.Contains(err.Error(), "token") {
		t.Errorf("wrong token: %v", err)
	}
	if _, err := stranger.Submit(t.Context(), job("words"), executable(t, "x")); !errors.Is(err, client.ErrUnauthorized) || !strings.Contains(err.Error(), "token") {
		t.Errorf("wrong token at submission: %v", err)
	}
}

func TestUnreachableEndpoint(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	c := newClient(t, address, "")
	_, err = c.Overview(t.Context())
	unreachable := (*client.UnreachableError)(nil)
	if !errors.Is(err, client.ErrUnreachable) || !errors.As(err, &unreachable) || unreachable.Attempts != 4 ||
		!strings.Contains(err.Error(), "http://"+address) {
		t.Errorf("nobody listens: %v", err)
	}
	if err := c.Ready(t.Context()); !errors.As(err, &unreachable) || unreachable.Attempts != 1 {
		t.Errorf("asked once: %v", err)
	}
	if _, err := c.Submit(t.Context(), &graph.JobGraph{Name: "x", Artifact: &graph.Artifact{Uri: "hdfs:///app"}}, ""); !errors.Is(err, client.ErrUnreachable) {
		t.Errorf("submission: %v", err)
	}
}

func TestRetriesUntilReady(t *testing.T) {
	cluster := resttest.New(t, nil)
	cluster.Intercept(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if len(cluster.Requests()) == 3 {
			cluster.Server.SetBackend(rest.Backend{Jobs: cluster.Jobs, Cluster: cluster.JobManager})
		}
		next.ServeHTTP(w, r)
	})
	c := newClient(t, cluster.Endpoint, resttest.Token)
	if _, err := c.Jobs(t.Context()); err != nil || len(cluster.Requests()) != 3 {
		t.Errorf("%v after %v", err, cluster.Requests())
	}
	cluster.Server.SetBackend(rest.Backend{})
}

// A cluster that answers but isn't ready yet is asked again soon, however long rest.retry.delay is, and that doesn't use up
// attempts, of which there may be none.
func TestStartingClusterIsAskedAgainSoon(t *testing.T) {
	for _, attempts := range []string{"1", "0"} {
		cluster := resttest.Start(t, nil)
		cluster.Intercept(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if len(cluster.Requests()) < 4 {
				http.Error(w, `{"errors":["starting"]}`, http.StatusServiceUnavailable)
				return
			}
			next.ServeHTTP(w, r)
		})
		c, err := client.New(cluster.Endpoint, resttest.Token, client.WithConfiguration(configuration(t, map[string]string{
			"rest.retry.delay": "1 h", "rest.retry.max-attempts": attempts})))
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Jobs(t.Context())
		if err != nil || len(cluster.Requests()) != 4 {
			t.Errorf("rest.retry.max-attempts %s: %v after %d requests", attempts, err, len(cluster.Requests()))
		}
		c.Close()
	}
}

func TestRetriesEndWithTheContext(t *testing.T) {
	cluster := resttest.New(t, nil)
	c, err := client.New(cluster.Endpoint, resttest.Token, client.WithConfiguration(configuration(t, map[string]string{"rest.retry.delay": "1 h"})))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cluster.Intercept(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		next.ServeHTTP(w, r)
		cancel()
	})
	if _, err := c.Jobs(ctx); err == nil {
		t.Error("no error")
	}
}

func TestResultIsWaitedFor(t *testing.T) {
	testkit.NoGoroutinesLeft(t)
	cluster := resttest.Start(t, nil)
	c := newClient(t, cluster.Endpoint, resttest.Token)
	g := job("words")
	if _, err := cluster.Jobs.Submit(t.Context(), g); err != nil {
		t.Fatal(err)
	}
	cluster.Intercept(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		switch n := len(cluster.Requests()); n {
		case 1: // the connection breaks
			hijack(w)
		case 2: // the endpoint has nobody wait
			r.URL.RawQuery = "wait=0s"
			next.ServeHTTP(w, r)
		default:
			if n == 3 {
				go cluster.Jobs.Finish(g.ID(), &linkpb.JobResult{Status: linkpb.JobStatus_FAILED, RuntimeMs: 5, StartMs: 1, EndMs: 6,
					Counters: map[string]int64{"words": 7}, Failure: &linkpb.Failure{Message: "boom", Stack: "stack", Operator: "o", Subtask: 2, Host: "tm"}})
			}
			next.ServeHTTP(w, r)
		}
	})
	r, err := c.Result(t.Context(), g.ID())
	if err != nil {
		t.Fatal(err)
	}
	if graph.JobID(r.GetJobId()) != g.ID() || r.GetName() != "words" || r.GetStatus() != linkpb.JobStatus_FAILED || r.GetRuntimeMs() != 5 ||
		r.GetCounters()["words"] != 7 || r.GetFailure().GetMessage() != "boom" || r.GetFailure().GetStack() != "stack" ||
		r.GetFailure().GetSubtask() != 2 || r.GetFailure().GetHost() != "tm" || r.GetEndMs() != 6 {
		t.Errorf("result %v", r)
	}
	if status, err := c.Status(t.Context(), g.ID()); err != nil || status != linkpb.JobStatus_FAILED {
		t.Errorf("status %v, %v", status, err)
	}
}

func TestQueries(t *testing.T) {
	cluster := resttest.Start(t, func(rc *rest.Config) { rc.Conf = configuration(t, map[string]string{"my.secret": "x"}) })
	c := newClient(t, cluster.Endpoint+"/", resttest.Token)
	g := job("words")
	if _, err := cluster.Jobs.Submit(t.Context(), g); err != nil {
		t.Fatal(err)
	}
	cluster.JobManager.AddTaskManager(resourcemanager.TaskManagerInfo{ResourceID: "tm-1", Slots: 2, FreeSlots: 1})
	if jobs, err := c.Jobs(t.Context()); err != nil || len(jobs) != 1 || jobs[0].ID != g.ID().String() || jobs[0].State != "RUNNING" {
		t.Errorf("jobs %v, %v", jobs, err)
	}
	if d, err := c.Job(t.Context(), g.ID()); err != nil || d.Name != "words" {
		t.Errorf("job %v, %v", d, err)
	}
	if o, err := c.Overview(t.Context()); err != nil || o.JobsRunning != 1 || o.SlotsTotal != 2 || o.SlotsAvailable != 1 {
		t.Errorf("overview %v, %v", o, err)
	}
	if tms, err := c.TaskManagers(t.Context()); err != nil || len(tms) != 1 || tms[0].ID != "tm-1" {
		t.Errorf("TaskManagers %v, %v", tms, err)
	}
	if pairs, err := c.Config(t.Context()); err != nil || pairs["my.secret"] != "******" {
		t.Errorf("configuration %v, %v", pairs, err)
	}
	if e, err := c.Exceptions(t.Context(), g.ID()); err != nil || len(e.History.Entries) != 0 {
		t.Errorf("exceptions %v, %v", e, err)
	}
	if err := c.Heartbeat(t.Context(), g.ID(), time.Now().Add(time.Hour)); err != nil {
		t.Errorf("heartbeat: %v", err)
	}
	if err := c.Cancel(t.Context(), g.ID()); err != nil || cluster.Jobs.Cancels(g.ID()) != 1 {
		t.Errorf("cancel: %v", err)
	}
	if err := c.Shutdown(t.Context()); err != nil {
		t.Errorf("shutdown: %v", err)
	}
	<-cluster.JobManager.Shutdown()
}

func TestHeadersAndPaths(t *testing.T) {
	cluster := resttest.Start(t, func(rc *rest.Config) { rc.Conf = configuration(t, map[string]string{"rest.url-prefix": "/weft-1/"}) })
	var seen http.Header
	cluster.Intercept(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		seen = r.Header
		next.ServeHTTP(w, r)
	})
	c, err := client.New(cluster.Endpoint, resttest.Token, client.WithHeaders("X-Proxy-User: alice\n\nX-Other:a:b\n"),
		client.WithConfiguration(configuration(t, map[string]string{"rest.path": "/weft-1"})))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Overview(t.Context()); err != nil {
		t.Fatal(err)
	}
	if seen.Get("X-Proxy-User") != "alice" || seen.Get("X-Other") != "a:b" {
		t.Errorf("headers %v", seen)
	}
	for _, endpoint := range []string{"", "ftp://x", "http://", "http://x?y=1", "http://[::1"} {
		if _, err := client.New(endpoint, ""); err == nil {
			t.Errorf("endpoint %q was accepted", endpoint)
		}
	}
	if _, err := client.New("x:1", "", client.WithHeaders("secret-without-colon")); err == nil || strings.Contains(err.Error(), "secret-without") {
		t.Errorf("bad header: %v", err)
	}
}

func TestStrangers(t *testing.T) {
	cluster := resttest.Start(t, nil)
	c := newClient(t, cluster.Endpoint, resttest.Token)
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		text   string
	}{
		"login page": {func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("<html>login")) }, "isn't that of a Weft cluster"},
		"redirect":   {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "http://sso.example/", 302) }, "sso.example"},
		"plain text": {func(w http.ResponseWriter, r *http.Request) { http.Error(w, "bad gateway", 502) }, "bad gateway"},
	} {
		cluster.Intercept(func(w http.ResponseWriter, r *http.Request, _ http.Handler) { test.answer(w, r) })
		if _, err := c.Overview(t.Context()); err == nil || !strings.Contains(err.Error(), test.text) || !strings.Contains(err.Error(), cluster.Endpoint) {
			t.Errorf("%s: %v", name, err)
		}
	}
	small, err := client.New(cluster.Endpoint, "", client.WithConfiguration(configuration(t, map[string]string{"rest.client.max-content-length": "10"})))
	if err != nil {
		t.Fatal(err)
	}
	defer small.Close()
	cluster.Intercept(func(w http.ResponseWriter, r *http.Request, _ http.Handler) { w.Write([]byte(`{"taskmanagers":1}`)) })
	if _, err := small.Overview(t.Context()); err == nil || !strings.Contains(err.Error(), "rest.client.max-content-length") {
		t.Errorf("large answer: %v", err)
	}
}
