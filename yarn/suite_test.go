package yarn_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/weftstream/weft/client"
	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/executor"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/internal/testkit"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/yarn"
)

// suite is what every YARN cluster has to do: the one in memory and the real one.
func suite(t *testing.T, w *world) {
	t.Run("application", func(t *testing.T) { testApplication(t, w) })
	t.Run("failures", func(t *testing.T) { testFailures(t, w) })
	t.Run("attached", func(t *testing.T) { testAttached(t, w) })
	t.Run("cancelled", func(t *testing.T) { testCancelled(t, w) })
	t.Run("session", func(t *testing.T) { testSession(t, w) })
	t.Run("per-job", func(t *testing.T) { testPerJob(t, w) })
	t.Run("cached files", func(t *testing.T) { testCachedFiles(t, w) })
	t.Run("refused", func(t *testing.T) { testRefused(t, w) })
	t.Run("killed", func(t *testing.T) { testKilled(t, w) })
}

// deployApplication deploys the test's application, and doesn't mind if it has ended meanwhile.
func deployApplication(t *testing.T, d *yarn.Descriptor, args ...string) (id string, err error) {
	t.Helper()
	c, err := d.DeployApplication(within(t), client.Application{Path: appPath(t), Args: args})
	var ended *yarn.DeploymentError
	if errors.As(err, &ended) {
		return ended.ID, err
	}
	if err != nil {
		t.Fatal(err)
	}
	return c.ID, nil
}

func testApplication(t *testing.T, w *world) {
	awkward := "a\"b`c$HOME {{x}} <LOG_DIR> \\ 'd'"
	d, log := w.descriptor(t, map[string]string{
		"parallelism.default": "3", "containerized.master.env.APP_VARIABLE": awkward,
		"containerized.taskmanager.env.APP_VARIABLE": awkward, "yarn.application.name": "numbers of a test",
	})
	id, _ := deployApplication(t, d, "arguments", "two words", "$HOME")
	r := awaitEnd(t, d, id)
	if r.State != client.Succeeded || r.Name != "numbers of a test" {
		t.Errorf("report %+v, want SUCCEEDED", r)
	}
	if want := "Submitted application " + id; !strings.Contains(log.String(), want) {
		t.Errorf("the log lacks %q:\n%s", want, log)
	}
	w.gone(t, id)
	logs, managers := w.logs(t, id), 0
	for path, text := range logs {
		switch filepath.Base(path) {
		case "taskmanager.log":
			managers++
		case "driver.out":
			if want := "arguments|two words|$HOME " + awkward + "\n"; text != want {
				t.Errorf("the driver printed %q, want %q", text, want)
			}
		}
	}
	if managers != 3 {
		t.Errorf("%d TaskManagers ran, want 3 of one slot", managers)
	}

	before := w.files(t)
	id, _ = deployApplication(t, d, "count")
	if r := awaitEnd(t, d, id); r.State != client.Succeeded {
		t.Errorf("the second time: %+v", r)
	}
	w.gone(t, id)
	if after := w.files(t); !slices.Equal(before, after) {
		t.Errorf("a second submission changed staging from\n%q to\n%q", before, after)
	}
}

func testFailures(t *testing.T, w *world) {
	for _, c := range []struct{ do, want string }{
		{"fail", "the driver fails on purpose"},
		{"panic", "the operator panics on purpose"},
		{"nothing", "without submitting a job"},
	} {
		t.Run(c.do, func(t *testing.T) {
			d, _ := w.descriptor(t, nil)
			id, _ := deployApplication(t, d, c.do)
			r := awaitEnd(t, d, id)
			if r.State != client.Failed || strings.Count(r.Diagnostics, c.want) != 1 {
				t.Errorf("report %+v, want FAILED with %q, once", r, c.want)
			}
			if first, _, _ := strings.Cut(r.Diagnostics, "\n"); strings.Contains(first, string(filepath.Separator)+id) {
				t.Errorf("the container's path doesn't help anybody: %s", first)
			}
			w.gone(t, id)
		})
	}
}

// testAttached: an attached client learns the result of a job that has ended before it asks.
func testAttached(t *testing.T, w *world) {
	d, _ := w.descriptor(t, map[string]string{"execution.attached": "true"})
	c, err := d.DeployApplication(within(t), client.Application{Path: appPath(t), Args: []string{"count"}})
	if err != nil {
		t.Fatal(err)
	}
	cl := connect(t, c)
	var id string
	testkit.Eventually(t, "the job ends", func() bool {
		jobs, err := cl.Jobs(within(t))
		if err != nil {
			t.Fatalf("the JobManager ended before its client knew how the job did: %v\n%v", err, w.logs(t, c.ID))
		}
		if len(jobs) == 0 || jobs[0].EndTime <= 0 {
			return false
		}
		id = jobs[0].ID
		return true
	})
	job, err := graph.ParseJobID(id)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := cl.Result(within(t), job); err != nil || r.GetStatus() != linkpb.JobStatus_FINISHED {
		t.Errorf("result %v, %v", r, err)
	}
	if r := awaitEnd(t, d, c.ID); r.State != client.Succeeded {
		t.Errorf("report %+v", r)
	}
	w.gone(t, c.ID)
}

// awaitRunning waits until all tasks of a cluster's first job run.
func awaitRunning(t *testing.T, d *yarn.Descriptor, id string) (*client.Client, graph.JobID) {
	t.Helper()
	c, err := d.Retrieve(within(t), id)
	if err != nil {
		t.Fatal(err)
	}
	cl := connect(t, c)
	var job graph.JobID
	testkit.Eventually(t, "the tasks run", func() bool {
		jobs, err := cl.Jobs(within(t))
		if err != nil || len(jobs) == 0 || jobs[0].Tasks["total"] == 0 || jobs[0].Tasks["running"] != jobs[0].Tasks["total"] {
			return false
		}
		job, err = graph.ParseJobID(jobs[0].ID)
		return err == nil
	})
	return cl, job
}

// connect makes the client of a cluster.
func connect(t *testing.T, c *client.Cluster) *client.Client {
	t.Helper()
	cl, err := client.New(c.Endpoint, c.Token)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

func testCancelled(t *testing.T, w *world) {
	d, _ := w.descriptor(t, nil)
	id, err := deployApplication(t, d, "forever")
	if err != nil {
		t.Fatal(err)
	}
	cl, job := awaitRunning(t, d, id)
	if err := cl.Cancel(within(t), job); err != nil {
		t.Fatal(err)
	}
	if r := awaitEnd(t, d, id); r.State != client.Killed {
		t.Errorf("report %+v, want KILLED", r)
	}
	w.gone(t, id)
	if _, err := d.Retrieve(within(t), id); !errors.Is(err, client.ErrEnded) {
		t.Errorf("retrieve an ended cluster: %v, want ErrEnded", err)
	}
}

// drive runs the test's application as driver here.
func drive(t *testing.T, s interface {
	Jobs() []executor.Run
	Close(context.Context) error
}, service func() (int, error)) {
	t.Helper()
	code, err := service()
	if err != nil || code != 0 {
		t.Fatalf("the driver ended with %d: %v", code, err)
	}
	if err := s.Close(within(t)); err != nil {
		t.Error(err)
	}
	jobs := s.Jobs()
	if len(jobs) != 1 || jobs[0].Result.GetStatus() != linkpb.JobStatus_FINISHED {
		t.Errorf("jobs %+v, want one that has FINISHED", jobs)
	}
}

func testSession(t *testing.T, w *world) {
	d, _ := w.descriptor(t, nil)
	c, err := d.DeploySession(within(t))
	if err != nil {
		t.Fatal(err)
	}
	stranger := connect(t, &client.Cluster{Endpoint: c.Endpoint})
	if _, err := stranger.Overview(within(t)); !errors.Is(err, client.ErrUnauthorized) {
		t.Errorf("without the token: %v, want ErrUnauthorized", err)
	}
	cl := connect(t, c)
	for range 2 { // the second job finds the TaskManager
		s := executor.NewSession(cl, appPath(t), executor.Options{})
		drive(t, s, func() (int, error) {
			return executor.RunDriver(within(t), executor.DriverSpec{Executable: appPath(t), Args: []string{"count"}}, s, nil)
		})
	}
	if r, err := d.Report(within(t), c.ID); err != nil || r.State != client.Running || r.Endpoint != c.Endpoint {
		t.Errorf("report %+v, %v: want RUNNING at %s", r, err, c.Endpoint)
	}
	if err := d.Sweep(within(t)); err != nil {
		t.Error(err)
	}
	if !slices.ContainsFunc(w.files(t), func(f string) bool { return strings.HasPrefix(f, c.ID) }) {
		t.Error("the sweep removed what belongs to a living application")
	}
	if err := cl.Shutdown(within(t)); err != nil {
		t.Fatal(err)
	}
	if r := awaitEnd(t, d, c.ID); r.State != client.Succeeded {
		t.Errorf("report %+v, want SUCCEEDED", r)
	}
	w.gone(t, c.ID)
}

func testPerJob(t *testing.T, w *world) {
	d, _ := w.descriptor(t, map[string]string{"execution.attached": "true"})
	id := ""
	p := executor.NewPerJob(func(ctx context.Context, g *graph.JobGraph) (*client.Client, error) {
		c, err := d.DeployPerJob(ctx, g, client.Application{Path: appPath(t)})
		if err != nil {
			return nil, err
		}
		id = c.ID
		return client.New(c.Endpoint, c.Token)
	}, appPath(t), executor.Options{})
	drive(t, p, func() (int, error) {
		return executor.RunDriver(within(t), executor.DriverSpec{Executable: appPath(t), Args: []string{"count"}}, p, nil)
	})
	if r := awaitEnd(t, d, id); r.State != client.Succeeded {
		t.Errorf("report %+v, want SUCCEEDED", r)
	}
	w.gone(t, id)
}

func testRefused(t *testing.T, w *world) {
	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	before := w.files(t)
	for _, c := range []struct {
		name, app, key, value, want string
	}{
		{"queue", "", "yarn.application.queue", "nowhere", "root.default"},
		{"jobmanager", "", "jobmanager.memory.process.size", "900g", "jobmanager.memory.process.size"},
		{"taskmanager", "", "taskmanager.memory.process.size", "900g", "taskmanager.memory.process.size"},
		{"vcores", "", "yarn.containers.vcores", "5000", "yarn.containers.vcores"},
		{"script", script, "", "", "it is a script"},
		{"platform", "", "weft.cluster.platform", "linux/s390x", "linux/s390x"},
		{"variable", "", "containerized.taskmanager.env.a-b", "x", "no name of an environment variable"},
		{"files", "", "yarn.ship-files", "/etc/passwd", "ships no files"},
		{"missing", "/nowhere/application", "", "", "/nowhere/application"},
		{"cached file", "", "pipeline.cached-files", "name:f,path:/nowhere/file", "/nowhere/file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			pairs := map[string]string{}
			if c.key != "" {
				pairs[c.key] = c.value
			}
			d, _ := w.descriptor(t, pairs)
			app := client.Application{Path: c.app}
			if app.Path == "" {
				app.Path = appPath(t)
			}
			_, err := d.DeployApplication(within(t), app)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
	if after := w.files(t); !slices.Equal(before, after) {
		t.Errorf("refused submissions changed staging from\n%q to\n%q", before, after)
	}
	if _, err := yarn.NewDescriptor(conf.Configuration{}, client.Environment{User: "u"}); err == nil || !strings.Contains(err.Error(), "HADOOP_CONF_DIR") {
		t.Errorf("without HADOOP_CONF_DIR: %v", err)
	}
	nowhere := client.Environment{User: "u", Getenv: func(name string) string { return map[string]string{"HADOOP_CONF_DIR": "/no/where"}[name] }}
	if _, err := yarn.NewDescriptor(conf.Configuration{}, nowhere); err == nil || !strings.Contains(err.Error(), "HADOOP_CONF_DIR") || !strings.Contains(err.Error(), "/no/where") {
		t.Errorf("with a HADOOP_CONF_DIR that isn't there: %v", err)
	}
	d, _ := w.descriptor(t, nil)
	for _, id := range []string{"application_1_0001", "nonsense"} {
		_, err := d.Retrieve(within(t), id)
		if err == nil || id != "nonsense" && (!errors.Is(err, client.ErrNotFound) || !strings.Contains(err.Error(), "knows no application "+id)) {
			t.Errorf("retrieve %s: %v", id, err)
		}
	}
}

// testKilled ends an application as `yarn application -kill` does; what it leaves is swept.
func testKilled(t *testing.T, w *world) {
	d, _ := w.descriptor(t, nil)
	id, err := deployApplication(t, d, "forever")
	if err != nil {
		t.Fatal(err)
	}
	awaitRunning(t, d, id)
	if err := d.Kill(within(t), id); err != nil {
		t.Fatal(err)
	}
	if r := awaitEnd(t, d, id); r.State != client.Killed {
		t.Errorf("report %+v, want KILLED", r)
	}
	if err := d.Sweep(within(t)); err != nil {
		t.Error(err)
	}
	w.gone(t, id)
	if err := d.Kill(within(t), id); err != nil {
		t.Errorf("kill an application that has ended: %v", err)
	}
}
