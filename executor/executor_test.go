package executor_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/weftstream/weft/client"
	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/executor"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/internal/testkit"
	"github.com/weftstream/weft/link"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/rest"
	"github.com/weftstream/weft/rest/resttest"
)

func configuration(t *testing.T, pairs ...string) conf.Configuration {
	t.Helper()
	m := map[string]string{"my.key": "value", "rest.retry.delay": "1 ms", "rest.retry.max-attempts": "2"}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	c, err := conf.FromMap(m)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func newClient(t *testing.T, c *resttest.Cluster) *client.Client {
	t.Helper()
	cl, err := client.New(c.Endpoint, resttest.Token, client.WithConfiguration(configuration(t)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// upload is a small file in the place of the application that task hosts run; the test binary is large.
func upload(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "words")
	if err := os.WriteFile(path, []byte("words"), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

func spec(t *testing.T, what string, out *output) executor.DriverSpec {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return executor.DriverSpec{Executable: self, Env: append(os.Environ(), behave+"="+what), Stdout: out, Stderr: out}
}

// events notes hooks' calls, and finishes jobs that were submitted with result (if it isn't nil).
type events struct {
	mu        sync.Mutex
	lines     []string
	submitted chan graph.JobID
}

func newEvents() *events { return &events{submitted: make(chan graph.JobID, 10)} }

func (e *events) hooks() executor.Hooks {
	return executor.Hooks{
		Submitted: func(id graph.JobID, name string) {
			e.add("submitted " + name)
			e.submitted <- id
		},
		Result: func(r *linkpb.JobResult) { e.add("result " + r.GetName() + " " + r.GetStatus().String()) },
	}
}

func (e *events) add(line string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.lines = append(e.lines, line)
}

func (e *events) String() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return strings.Join(e.lines, "; ")
}

func finished() *linkpb.JobResult {
	return &linkpb.JobResult{Status: linkpb.JobStatus_FINISHED, Counters: map[string]int64{"words": 7}}
}

func TestEmbedded(t *testing.T) {
	testkit.NoGoroutinesLeft(t)
	cluster := resttest.Start(t, nil)
	e, out := newEvents(), &output{}
	s := executor.NewEmbedded(cluster.Jobs, &graph.Artifact{Uri: "hdfs:///words"}, nil, executor.Options{Conf: configuration(t), Hooks: e.hooks()})
	go func() {
		for range 2 {
			cluster.Jobs.Finish(<-e.submitted, finished())
		}
	}()
	code, err := executor.RunDriver(t.Context(), spec(t, "two-jobs", out), s, nil)
	if code != 0 || err != nil {
		t.Fatalf("exit code %d, %v\n%s", code, err, out)
	}
	if got, want := e.String(), "submitted first; result first FINISHED; submitted second; result second FINISHED"; got != want {
		t.Errorf("events %q, want %q", got, want)
	}
	if !strings.Contains(out.String(), "value\nresult FINISHED 7\n") {
		t.Errorf("the application printed %q", out)
	}
	jobs := s.Jobs()
	if len(jobs) != 2 || jobs[0].Name != "first" || jobs[1].Result.GetStatus() != linkpb.JobStatus_FINISHED {
		t.Errorf("jobs %v", jobs)
	}
	if g := cluster.Jobs.Graph(jobs[0].ID); g.GetArtifact().GetUri() != "hdfs:///words" || g.GetKey() != "#1" || len(g.GetConfig()) != 1 {
		t.Errorf("graph %v", g)
	}
}

func TestEmbeddedWaitsForStartedJobs(t *testing.T) {
	cluster := resttest.Start(t, nil)
	e, out := newEvents(), &output{}
	s := executor.NewEmbedded(cluster.Jobs, nil, nil, executor.Options{Hooks: e.hooks()})
	if code, err := executor.RunDriver(t.Context(), spec(t, "starts", out), s, nil); code != 0 || err != nil {
		t.Fatalf("exit code %d, %v\n%s", code, err, out)
	}
	id := <-e.submitted
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.AwaitAll(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a job that runs: %v", err)
	}
	cluster.Jobs.Finish(id, &linkpb.JobResult{Status: linkpb.JobStatus_CANCELED})
	jobs, err := s.AwaitAll(t.Context())
	if err != nil || len(jobs) != 1 || jobs[0].Result.GetStatus() != linkpb.JobStatus_CANCELED {
		t.Errorf("jobs %v, %v", jobs, err)
	}
}

func TestSession(t *testing.T) {
	testkit.NoGoroutinesLeft(t)
	cluster := resttest.Start(t, nil)
	c, file := newClient(t, cluster), upload(t)
	for range 2 { // the same application twice: new jobs each time
		e, out := newEvents(), &output{}
		s := executor.NewSession(c, file, executor.Options{Hooks: e.hooks(),
			Conf: configuration(t, "execution.buffer-timeout.interval", "7 ms", "pipeline.name", "client's", "taskmanager.numberOfTaskSlots", "3")})
		go func() { cluster.Jobs.Finish(<-e.submitted, finished()) }()
		code, err := executor.RunDriver(t.Context(), spec(t, "waits", out), s, nil)
		if code != 0 || err != nil {
			t.Fatalf("exit code %d, %v\n%s", code, err, out)
		}
		if got, want := e.String(), "submitted words; result words FINISHED"; got != want {
			t.Errorf("events %q, want %q", got, want)
		}
		config := cluster.Jobs.Graph(s.Jobs()[0].ID).GetConfig()
		if config["execution.buffer-timeout.interval"] != "7 ms" || config["pipeline.name"] != "own" || len(config) != 2 {
			t.Errorf("the job's configuration is %v", config)
		}
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if n := len(cluster.Jobs.Jobs()); n != 2 {
		t.Errorf("%d jobs, want 2", n)
	}
}

func TestDetachedSession(t *testing.T) {
	cluster := resttest.Start(t, nil)
	e, out := newEvents(), &output{}
	s := executor.NewSession(newClient(t, cluster), upload(t),
		executor.Options{Detached: true, ShutdownOnAttachedExit: true, Hooks: e.hooks(), Conf: configuration(t)})
	if code, err := executor.RunDriver(t.Context(), spec(t, "waits", out), s, nil); code != 0 || err != nil {
		t.Fatalf("exit code %d, %v\n%s", code, err, out)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if id := <-e.submitted; cluster.Jobs.Cancels(id) != 0 || s.Jobs()[0].Result != nil {
		t.Errorf("a detached job was cancelled; %v", s.Jobs())
	}
}

func TestInterruptedClient(t *testing.T) {
	for _, shutdown := range []bool{true, false} {
		t.Run(fmt.Sprintf("shutdown on attached exit %v", shutdown), func(t *testing.T) {
			testkit.NoGoroutinesLeft(t)
			cluster := resttest.Start(t, nil)
			beats := make(chan struct{}, 100)
			cluster.Intercept(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				next.ServeHTTP(w, r)
				if strings.HasSuffix(r.URL.Path, "/clientHeartbeat") {
					beats <- struct{}{}
				}
			})
			e, out := newEvents(), &output{}
			s := executor.NewSession(newClient(t, cluster), upload(t), executor.Options{ShutdownOnAttachedExit: shutdown,
				Hooks: e.hooks(), Conf: configuration(t, "client.heartbeat.interval", "10 ms")})
			ctx, interrupt := context.WithCancelCause(t.Context())
			cause := errors.New("interrupted")
			ended := make(chan error, 1)
			go func() {
				_, err := executor.RunDriver(ctx, spec(t, "waits", out), s, nil)
				ended <- err
			}()
			id := within(t, "submission", e.submitted)
			if shutdown {
				within(t, "heartbeat", beats)
				within(t, "second heartbeat", beats)
			}
			interrupt(cause)
			if err := within(t, "end of the driver", ended); !errors.Is(err, cause) {
				t.Errorf("RunDriver: %v", err)
			}
			if err := s.Close(t.Context()); err != nil {
				t.Error(err)
			}
			want := map[bool]int{true: 1}[shutdown]
			if n := cluster.Jobs.Cancels(id); n != want {
				t.Errorf("%d cancellations, want %d", n, want)
			}
		})
	}
}

func TestPerJob(t *testing.T) {
	testkit.NoGoroutinesLeft(t)
	cluster := resttest.Start(t, nil)
	c := newClient(t, cluster)
	e, out := newEvents(), &output{}
	deployments := 0
	s := executor.NewPerJob(func(ctx context.Context, g *graph.JobGraph) (*client.Client, error) {
		deployments++
		if g.GetArtifact().GetName() != "words" {
			t.Errorf("artifact %v", g.GetArtifact())
		}
		if c := g.GetConfig(); c["execution.buffer-timeout.interval"] != "7 ms" || c["pipeline.name"] != "own" || len(c) != 2 {
			t.Errorf("the job's configuration is %v", c)
		}
		_, err := cluster.Jobs.Submit(ctx, g)
		return c, err
	}, upload(t), executor.Options{Hooks: e.hooks(),
		Conf: configuration(t, "execution.buffer-timeout.interval", "7 ms", "pipeline.name", "client's", "taskmanager.numberOfTaskSlots", "3")})
	go func() { cluster.Jobs.Finish(<-e.submitted, finished()) }()
	code, err := executor.RunDriver(t.Context(), spec(t, "two-jobs", out), s, nil)
	driver := (*executor.DriverError)(nil)
	if !errors.As(err, &driver) || code != 3 || driver.Jobs != 1 || !strings.Contains(driver.StderrTail, "per-job mode runs one job") {
		t.Errorf("exit code %d, %v\n%s", code, err, out)
	}
	if got := e.String(); got != "submitted first; result first FINISHED" || deployments != 1 || s.Client() != c {
		t.Errorf("events %q, %d deployments", got, deployments)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// The cluster of a job that ends with its client is told that nobody needs it any more: the job's result is fetched.
func TestPerJobInterrupted(t *testing.T) {
	for _, shutdown := range []bool{true, false} {
		testkit.NoGoroutinesLeft(t)
		fetched := make(chan graph.JobID, 16) // results that were known and sent
		cluster := resttest.Start(t, func(c *rest.Config) {
			c.ResultDelivered = func(id graph.JobID) { fetched <- id }
		})
		c := newClient(t, cluster)
		e, out := newEvents(), &output{}
		s := executor.NewPerJob(func(ctx context.Context, g *graph.JobGraph) (*client.Client, error) {
			_, err := cluster.Jobs.Submit(ctx, g)
			return c, err
		}, upload(t), executor.Options{ShutdownOnAttachedExit: shutdown, Hooks: e.hooks(), Conf: configuration(t)})
		ctx, interrupt := context.WithCancelCause(t.Context())
		ended := make(chan error, 1)
		go func() {
			_, err := executor.RunDriver(ctx, spec(t, "waits", out), s, nil)
			ended <- err
		}()
		id := within(t, "submission", e.submitted)
		interrupt(errors.New("interrupted"))
		within(t, "end of the driver", ended)
		for range 2 { // the second time there is nothing left to do
			if err := s.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}
		if n := cluster.Jobs.Cancels(id); (n == 1) != shutdown || n > 1 {
			t.Errorf("shutdown on attached exit %v: %d cancellations", shutdown, n)
		}
		if shutdown {
			within(t, "delivery of the result", fetched)
		} else if len(fetched) > 0 {
			t.Errorf("%d results of a job that goes on were fetched", len(fetched))
		}
	}
}

func TestPerJobDeploymentFails(t *testing.T) {
	out := &output{}
	s := executor.NewPerJob(func(context.Context, *graph.JobGraph) (*client.Client, error) {
		return nil, errors.New(`queue "etl" doesn't exist`)
	}, upload(t), executor.Options{})
	_, err := executor.RunDriver(t.Context(), spec(t, "waits", out), s, nil)
	if err == nil || !strings.Contains(out.String(), `queue "etl" doesn't exist`) || len(s.Jobs()) != 0 {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestDriversThatFail(t *testing.T) {
	testkit.NoGoroutinesLeft(t)
	cluster := resttest.Start(t, nil)
	run := func(t *testing.T, what string) (int, error) {
		s := executor.NewEmbedded(cluster.Jobs, nil, nil, executor.Options{})
		return executor.RunDriver(t.Context(), spec(t, what, &output{}), s, nil)
	}
	if code, err := run(t, "nothing"); code != 0 || !errors.Is(err, executor.ErrNoJob) {
		t.Errorf("no job: %d, %v", code, err)
	}
	if code, err := run(t, "stranger"); code != 0 || !errors.Is(err, executor.ErrNotApplication) {
		t.Errorf("no application: %d, %v", code, err)
	}
	driver := (*executor.DriverError)(nil)
	if code, err := run(t, "stranger-fails"); code != 4 || !errors.As(err, &driver) || driver.Connected || driver.ExitCode != 4 {
		t.Errorf("no application, failing: %d, %v", code, err)
	}
	code, err := run(t, "fails")
	if code != 3 || !errors.As(err, &driver) || !driver.Connected || driver.Jobs != 0 ||
		!strings.HasSuffix(driver.StderrTail, "no input files\nno input: give a path\n") || len(driver.StderrTail) > 9<<10 ||
		!strings.HasPrefix(driver.StderrTail, "line\n") || !strings.HasSuffix(err.Error(), "exit status 3 without submitting a job") || strings.Contains(err.Error(), string(filepath.Separator)) {
		t.Errorf("failing: %d, %v", code, err)
	}
	text := filepath.Join(t.TempDir(), "words")
	if err := os.WriteFile(text, []byte("#!/nonexistent\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{text, "/nonexistent/words"} {
		code, err := executor.RunDriver(t.Context(), executor.DriverSpec{Executable: path}, executor.NewEmbedded(cluster.Jobs, nil, nil, executor.Options{}), nil)
		if code != -1 || err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %d, %v", path, code, err)
		}
	}
}

// TestDriverThatLeaksIsKilled: the wall stands from the start, and is said to be what it was; a driver that keeps to its
// budget doesn't meet it. The application is built without the race detector, whose memory doesn't go with a limit.
func TestDriverThatLeaksIsKilled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "leaky")
	build := exec.Command("go", "build", "-o", path, "./testdata/leaky")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cluster := resttest.Start(t, nil)
	run := func(mb string) (int, error) {
		s := executor.NewEmbedded(cluster.Jobs, nil, nil, executor.Options{})
		return executor.RunDriver(t.Context(), executor.DriverSpec{Executable: path, Args: []string{mb}, Name: "words", Memory: 64 << 20}, s, nil)
	}
	driver := (*executor.DriverError)(nil)
	code, err := run("4096")
	if !errors.As(err, &driver) || code != 2 || driver.Limit != "killed by its memory limit of 64 MiB" ||
		!strings.HasPrefix(err.Error(), "the driver of the application words was killed by its memory limit of 64 MiB: raise jobmanager.memory.process.size") {
		t.Errorf("%d, %v", code, err)
	}
	if code, err := run("32"); code != 3 || !errors.As(err, &driver) || driver.Limit != "" {
		t.Errorf("within its budget: %d, %v", code, err)
	}
}

func TestDeafDriverIsKilled(t *testing.T) {
	testkit.NoGoroutinesLeft(t)
	cluster := resttest.Start(t, nil)
	e, out := newEvents(), &output{}
	ctx, stop := context.WithCancel(t.Context())
	sp := spec(t, "deaf", out)
	sp.Grace = 50 * time.Millisecond
	ended := make(chan int, 1)
	go func() {
		code, err := executor.RunDriver(ctx, sp, executor.NewEmbedded(cluster.Jobs, nil, nil, executor.Options{Hooks: e.hooks()}), nil)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("RunDriver: %v", err)
		}
		ended <- code
	}()
	within(t, "submission", e.submitted)
	stop()
	if code := within(t, "end", ended); code != 128+int(syscall.SIGKILL) {
		t.Errorf("exit code %d", code)
	}
}

func TestOutputOfAnOrphanIsNotWaitedFor(t *testing.T) {
	cluster := resttest.Start(t, nil)
	e, out := newEvents(), &output{}
	sp := spec(t, "orphan", out)
	sp.Grace = 50 * time.Millisecond
	go func() { cluster.Jobs.Finish(<-e.submitted, finished()) }()
	code, err := executor.RunDriver(t.Context(), sp, executor.NewEmbedded(cluster.Jobs, nil, nil, executor.Options{Hooks: e.hooks()}), nil)
	if code != 0 || err != nil {
		t.Errorf("exit code %d, %v", code, err)
	}
	var pid int
	if _, err := fmt.Sscanf(out.String(), "sleeper %d", &pid); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	syscall.Kill(pid, syscall.SIGKILL)
}

var _ link.DriverService = (*executor.Session)(nil)
