package webservice_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weftstream/weft/hadoop"
	"github.com/weftstream/weft/hadoop/records"
	"github.com/weftstream/weft/yarn/webservice"
	"github.com/weftstream/weft/yarn/yarntest"
)

const patience = 20 * time.Second

func start(t *testing.T, cfg yarntest.Config) (*yarntest.Cluster, *webservice.Client) {
	t.Helper()
	cluster, err := yarntest.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	addresses, err := cluster.Site().RMWebAddresses()
	if err != nil {
		t.Fatal(err)
	}
	return cluster, newClient(t, addresses...)
}

func newClient(t *testing.T, addresses ...string) *webservice.Client {
	t.Helper()
	c, err := webservice.New(webservice.Config{
		Addresses: addresses, User: "alice", RetryWait: time.Millisecond, PollInterval: time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func submission(t *testing.T, c *webservice.Client) webservice.Submission {
	t.Helper()
	app, err := c.NewApplication(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return webservice.Submission{
		ID: app.ID, Name: "n", Type: "Weft", Queue: "default", Priority: -1, Tags: []string{"a", "b"},
		Resource: records.Resource{MemoryMB: 256, VCores: 1}, Launch: records.LaunchContext{Command: "exec ./am"},
	}
}

func TestApplicationLife(t *testing.T) {
	cluster, c := start(t, yarntest.Config{})
	app, err := c.NewApplication(t.Context())
	if err != nil || app.Maximum.MemoryMB != 8192 || app.Maximum.VCores != 8 {
		t.Fatalf("got %+v, %v", app, err)
	}
	s := submission(t, c)
	if _, err := c.Application(t.Context(), s.ID); !errors.Is(err, webservice.ErrNotFound) {
		t.Errorf("before the submission: %v", err)
	}
	if err := c.Submit(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	cluster.Tick()
	got, err := c.Application(t.Context(), s.ID)
	if err != nil {
		t.Fatal(err)
	}
	if got.ID != s.ID.String() || got.User != "alice" || got.State != webservice.StateAccepted || got.Type != "Weft" ||
		got.Queue != "default" || got.Tags != "a,b" || got.FinalStatus != "UNDEFINED" || got.RunningContainers != 1 ||
		!strings.Contains(got.Diagnostics, "waiting for AM container to Register") {
		t.Errorf("got %+v", got)
	}
	if _, _, ok := got.AMAddress(); ok {
		t.Error("it has no address before it has registered")
	}
	attempts, err := c.Attempts(t.Context(), s.ID)
	if err != nil || len(attempts) != 1 || attempts[0].ContainerID == "" {
		t.Errorf("attempts %+v, %v", attempts, err)
	}
	for _, q := range []webservice.Query{
		{}, {States: []webservice.State{webservice.StateAccepted, webservice.StateRunning}}, {Types: []string{"Weft"}},
		{Tags: []string{"b"}}, {User: "alice", Queue: "default", Limit: 5},
	} {
		if list, err := c.Applications(t.Context(), q); err != nil || len(list) != 1 {
			t.Errorf("%+v: %v, %v", q, list, err)
		}
	}
	if list, err := c.Applications(t.Context(), webservice.Query{Types: []string{"Other"}}); err != nil || len(list) != 0 {
		t.Errorf("another type: %v, %v", list, err)
	}
	for range 2 { // the second finds it ended
		if err := c.Kill(t.Context(), s.ID); err != nil {
			t.Fatal(err)
		}
	}
	got, err = c.Application(t.Context(), s.ID)
	if err != nil || got.State != webservice.StateKilled || got.FinalStatus != "KILLED" || !got.State.Ended() {
		t.Errorf("got %+v, %v", got, err)
	}
	if err := c.Kill(t.Context(), records.ApplicationID{ClusterTimestamp: 1, ID: 1}); !errors.Is(err, webservice.ErrNotFound) {
		t.Errorf("kill what isn't there: %v", err)
	}
}

func TestClusterReports(t *testing.T) {
	_, c := start(t, yarntest.Config{
		Nodes:  []yarntest.NodeConfig{{Rack: "/r1"}, {Rack: "/r2"}},
		Queues: []yarntest.QueueConfig{{Name: "default", Capacity: 30}, {Name: "etl", Capacity: 70, AMLimit: records.Resource{MemoryMB: 512, VCores: 2}}},
	})
	info, err := c.ClusterInfo(t.Context())
	if err != nil || info.HAState != "ACTIVE" || info.HadoopVersion != "3.4.1" {
		t.Errorf("info %+v, %v", info, err)
	}
	m, err := c.ClusterMetrics(t.Context())
	if err != nil || m.TotalMB != 2*8192 || m.ActiveNodes != 2 {
		t.Errorf("metrics %+v, %v", m, err)
	}
	nodes, err := c.Nodes(t.Context(), "RUNNING")
	if err != nil || len(nodes) != 2 || nodes[1].Rack != "/r2" || nodes[0].AvailMemoryMB != 8192 {
		t.Errorf("nodes %+v, %v", nodes, err)
	}
	s, err := c.Scheduler(t.Context())
	if err != nil || s.Type != "capacityScheduler" {
		t.Fatalf("scheduler %+v, %v", s, err)
	}
	for _, name := range []string{"etl", "root.etl"} {
		if q, ok := s.Leaf(name); !ok || q.Capacity != 70 || q.AMLimit.MemoryMB != 512 {
			t.Errorf("queue %s: %+v, %t", name, q, ok)
		}
	}
	if _, ok := s.Leaf("night"); ok {
		t.Error("there is no queue night")
	}
}

func TestQueueing(t *testing.T) {
	cluster, c := start(t, yarntest.Config{Queues: []yarntest.QueueConfig{
		{Name: "default", AMLimit: records.Resource{MemoryMB: 300, VCores: 8}},
	}})
	first, second := submission(t, c), submission(t, c)
	unknown := submission(t, c)
	unknown.Queue = "nowhere"
	for _, s := range []webservice.Submission{first, second, unknown} {
		if err := c.Submit(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	cluster.Tick()
	app, err := c.Application(t.Context(), second.ID)
	if err != nil || app.State != webservice.StateAccepted || !strings.Contains(app.Diagnostics, "AM resource limit") {
		t.Errorf("got %+v, %v", app, err)
	}
	app, err = c.Application(t.Context(), unknown.ID)
	if err != nil || app.State != webservice.StateFailed || !strings.Contains(app.Diagnostics, "unknown queue") {
		t.Errorf("got %+v, %v", app, err)
	}
}

// TestSubmitNeverTwice loses requests and replies of the submission.
func TestSubmitNeverTwice(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fn    yarntest.Interceptor
		posts int32
	}{{"request lost", yarntest.DropRequest, 2}, {"reply lost", yarntest.DropReply, 1}} {
		t.Run(tt.name, func(t *testing.T) {
			cluster, c := start(t, yarntest.Config{})
			s := submission(t, c)
			var posts atomic.Int32
			cluster.Intercept("POST /ws/v1/cluster/apps", yarntest.Times(1, tt.fn))
			cluster.Intercept("POST /ws/v1/cluster/apps", func(_ context.Context, _ *yarntest.Call, next func() (*yarntest.Reply, error)) (*yarntest.Reply, error) {
				posts.Add(1)
				return next()
			})
			// The question whether it arrived may need a second try, too.
			cluster.Intercept("GET /ws/v1/cluster/apps/"+s.ID.String(), yarntest.Times(1, yarntest.DropReply))
			if err := c.Submit(t.Context(), s); err != nil {
				t.Fatal(err)
			}
			if n := posts.Load(); n != tt.posts {
				t.Errorf("sent %d times, want %d", n, tt.posts)
			}
			list, err := c.Applications(t.Context(), webservice.Query{})
			if err != nil || len(list) != 1 {
				t.Errorf("%d applications, %v", len(list), err)
			}
		})
	}
}

func TestRefusedSubmission(t *testing.T) {
	_, c := start(t, yarntest.Config{})
	s := submission(t, c)
	s.Resource.MemoryMB = 1 << 20
	err := c.Submit(t.Context(), s)
	var re *webservice.RemoteError
	if !errors.Is(err, webservice.ErrBadRequest) || !errors.As(err, &re) || re.Exception != "BadRequestException" ||
		!strings.Contains(re.Message, "more memory than configured max") {
		t.Errorf("got %v", err)
	}
}

func TestStandbyAndFailover(t *testing.T) {
	cluster, c := start(t, yarntest.Config{ResourceManagers: 2})
	cluster.FailOver()
	s := submission(t, c)
	if got := c.Address(); got != cluster.WebAddresses()[1] {
		t.Errorf("the active one is %s, used %s", cluster.WebAddresses()[1], got)
	}
	cluster.FailOver()
	if err := c.Submit(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	alone := newClient(t, cluster.WebAddresses()[1])
	if _, err := alone.ClusterInfo(t.Context()); !errors.Is(err, webservice.ErrStandby) {
		t.Errorf("a standby alone: %v", err)
	}
	cluster.StopRM()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := c.ClusterInfo(ctx); err == nil || errors.Is(err, webservice.ErrStandby) && ctx.Err() != nil {
		t.Errorf("nobody answers: %v", err)
	}
}

// A ResourceManager that isn't there is told with what to look at.
func TestNobodyListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	_, err = newClient(t, "http://"+l.Addr().String()).ClusterInfo(t.Context())
	if err == nil || !strings.Contains(err.Error(), "is YARN running, and yarn.resourcemanager.webapp.address right?") || !strings.Contains(err.Error(), l.Addr().String()) {
		t.Errorf("nobody listens: %v", err)
	}
}

// TestSubmissionBody compares the body with the one that a real YARN takes.
func TestSubmissionBody(t *testing.T) {
	cluster, c := start(t, yarntest.Config{})
	s := submission(t, c)
	var body []byte
	cluster.Intercept("POST /ws/v1/cluster/apps", func(_ context.Context, call *yarntest.Call, next func() (*yarntest.Reply, error)) (*yarntest.Reply, error) {
		body = call.Body
		return next()
	})
	s.Priority, s.MaxAttempts, s.KeepContainers, s.AttemptFailuresValidity = 0, 2, true, 10*time.Second
	s.LogAggregation = &webservice.LogAggregation{Include: "std.*", RolledInclude: ".*"}
	s.Launch = records.LaunchContext{
		LocalResources: map[string]records.LocalResource{"am": {
			URL: "hdfs://nn:8020/p/am", Type: records.ResourceFile, Visibility: records.VisibilityPrivate,
			Size: 10895522, Timestamp: 1795209512618,
		}},
		Environment: map[string]string{"K": "v"},
		Command:     "exec ./am 1><LOG_DIR>/stdout 2><LOG_DIR>/stderr",
		Credentials: &hadoop.Credentials{
			Tokens:  map[string]hadoop.Token{"alias": {Identifier: []byte("i"), Password: []byte("p"), Kind: "k", Service: "s"}},
			Secrets: map[string][]byte{"k": {0xfb, 0xff}},
		},
		ACLs: map[records.AccessType]string{records.ViewApp: "bob"},
	}
	if err := c.Submit(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	want := `{"application-id":"` + s.ID.String() + `","application-name":"n","application-type":"Weft","queue":"default","priority":0,
 "am-container-spec":{
  "local-resources":{"entry":[{"key":"am","value":{"resource":"hdfs://nn:8020/p/am","type":"FILE","visibility":"PRIVATE","size":10895522,"timestamp":1795209512618}}]},
  "environment":{"entry":[{"key":"K","value":"v"}]},
  "commands":{"command":"exec ./am 1><LOG_DIR>/stdout 2><LOG_DIR>/stderr"},
  "credentials":{"tokens":{"entry":[{"key":"alias","value":"AWkBcAFrAXM"}]},"secrets":{"entry":[{"key":"k","value":"-_8="}]}},
  "application-acls":{"entry":[{"key":"VIEW_APP","value":"bob"}]}},
 "unmanaged-AM":false,"max-app-attempts":2,"resource":{"memory":256,"vCores":1},"application-tags":{"tag":["a","b"]},
 "keep-containers-across-application-attempts":true,"attempt-failures-validity-interval":10000,
 "log-aggregation-context":{"log-include-pattern":"std.*","rolled-log-include-pattern":".*"}}`
	if compact(t, body) != compact(t, []byte(want)) {
		t.Errorf("got  %s\nwant %s", compact(t, body), compact(t, []byte(want)))
	}
}

// compact sorts the keys.
func compact(t *testing.T, b []byte) string {
	t.Helper()
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// TestSchedulerShapes reads what the in-memory YARN doesn't write: nested
// queues, single objects for lists, the fair scheduler, refreshing pages.
func TestSchedulerShapes(t *testing.T) {
	for _, tt := range []struct {
		name, body, leaf string
		want             []string
	}{
		{
			"nested capacity queues with a bare object",
			`{"scheduler":{"schedulerInfo":{"type":"capacityScheduler","queueName":"root","queues":{"queue":[
			  {"queueName":"etl","queues":{"queue":{"queueName":"night","capacity":40.5,"queuePath":"root.etl.night"}}},
			  {"queueName":"default"}]}}}}`,
			"night", []string{"root.etl.night", "root.default"},
		},
		{
			"fair scheduler",
			`{"scheduler":{"schedulerInfo":{"type":"fairScheduler","rootQueue":{"queueName":"root","childQueues":{"queue":[
			  {"queueName":"root.a","childQueues":{"queue":[{"queueName":"root.a.b","numPendingApps":3}]}}]}}}}}`,
			"a.b", []string{"root.a.b"},
		},
		{"fifo", `{"scheduler":{"schedulerInfo":{"type":"fifoScheduler","state":"RUNNING"}}}`, "default", []string{"root.default"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/ws/v1/cluster/scheduler" || r.URL.Query().Get("user.name") != "alice" {
					t.Errorf("got %s", r.URL)
				}
				w.Write([]byte(tt.body))
			}))
			defer server.Close()
			s, err := newClient(t, server.URL).Scheduler(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if got := s.LeafPaths(); strings.Join(got, " ") != strings.Join(tt.want, " ") {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			if _, ok := s.Leaf(tt.leaf); !ok {
				t.Errorf("%s is missing", tt.leaf)
			}
		})
	}
}

func TestUnreadableReplies(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status int
		header string
		body   string
		is     error
		text   string
	}{
		{"page instead of JSON", 200, "", "<html>login</html>", nil, "<html>login"},
		{"error page", 403, "", "<html>", webservice.ErrForbidden, "403"},
		{"line of text", 401, "", "Authentication required\n", webservice.ErrForbidden, "Authentication required"},
		{"no active one", 200, "3; url=http://x", "There is no active RM right now", webservice.ErrStandby, "no active RM"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if tt.header != "" {
					w.Header().Set("Refresh", tt.header)
				}
				w.WriteHeader(tt.status)
				w.Write([]byte(tt.body))
			}))
			defer server.Close()
			_, err := newClient(t, server.URL).ClusterInfo(t.Context())
			if err == nil || tt.is != nil && !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("got %v, want %v with %q", err, tt.is, tt.text)
			}
		})
	}
}

func TestBadAddresses(t *testing.T) {
	for _, addresses := range [][]string{nil, {"host:8088"}, {"ftp://host"}} {
		if _, err := webservice.New(webservice.Config{Addresses: addresses}); err == nil {
			t.Errorf("%v was taken", addresses)
		}
	}
}
