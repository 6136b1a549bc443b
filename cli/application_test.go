package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/weftstream/weft/client"
	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/internal/testkit"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/rest/api"
)

// platform makes the cluster's platform this machine's.
const platform = "-Dweft.cluster.platform=" + runtime.GOOS + "/" + runtime.GOARCH

func TestRunApplicationDetached(t *testing.T) {
	testkit.NoGoroutinesLeft(t)
	k := newKit(t)
	app := executable(t)
	k.wants(k.run("run-application", "-t", "yarn-application", platform, "-d", "-p", "3", app, "--input", "x", "-p", "4"), ExitOK, nil,
		[]string{"weft yarn-session stop " + appID, "yarn application -kill " + appID})
	if got, want := k.out.String(), appID+"\nJobManager Web Interface: http://rm:8088/proxy/"+appID+"\n"; got != want {
		t.Errorf("printed %q, want %q", got, want)
	}
	if k.yarn.deployed != "application" || k.yarn.app.Path != app || strings.Join(k.yarn.app.Args, " ") != "--input x -p 4" {
		t.Errorf("deployed %s %+v", k.yarn.deployed, k.yarn.app)
	}
	if conf.Get(k.yarn.conf, conf.ParallelismDefault) != 3 || conf.Get(k.yarn.conf, conf.ExecutionAttached) {
		t.Errorf("configuration: %v", k.yarn.conf.Map())
	}
}

// Without -t there is but one target; a URI is the cluster's to read.
func TestRunApplicationOfURI(t *testing.T) {
	for _, args := range [][]string{
		{"run-application", "-d", "hdfs:///apps/wordcount", "x"}, {"run", "-t", "yarn-application", "-d", "hdfs:///apps/wordcount", "x"},
		{"run-application", "-d", "-j", "hdfs:///apps/wordcount", "x"},
	} {
		k := newKit(t)
		k.wants(k.run(args...), ExitOK, []string{appID}, nil)
		if k.yarn.app.Path != "hdfs:///apps/wordcount" || len(k.yarn.app.Args) != 1 {
			t.Errorf("deployed %+v", k.yarn.app)
		}
	}
	k := newKit(t)
	k.wants(k.run("run", "-t", "yarn-per-job", "hdfs:///apps/wordcount"), ExitError, nil, []string{"weft run-application"})
	k.wants(k.run("run-application", "-t", "yarn-session", "hdfs:///x"), ExitError, nil, []string{"-t yarn-session: run-application deploys"})
}

func TestRunApplicationAttached(t *testing.T) {
	testkit.NoGoroutinesLeft(t)
	k := newKit(t)
	k.yarn.now(client.Report{State: client.Running})
	id := k.rest.job(1, linkpb.JobStatus_RUNNING, nil)
	code := make(chan int)
	go func() { code <- k.run("run-application", "hdfs:///apps/wordcount") }()
	k.eventually("job is seen", func() bool { return strings.Contains(k.err.String(), "job RUNNING") })
	k.rest.job(1, linkpb.JobStatus_FINISHED, &api.JobResult{Runtime: 42, Counters: map[string]int64{"words": 7, "lines": 3}})
	k.eventually("result is printed", func() bool { return strings.Contains(k.out.String(), "has finished") })
	k.yarn.now(client.Report{State: client.Succeeded})
	k.wants(<-code, ExitOK, nil, []string{"finalStatus=SUCCEEDED"})
	want := appID + "\nJobManager Web Interface: http://rm:8088/proxy/" + appID + "\nJob has been submitted with JobID " + id +
		"\nProgram execution finished\nJob with JobID " + id + " has finished.\nJob Runtime: 42 ms\n\n" +
		"Accumulator Results: \n- lines (int64): 3\n- words (int64): 7\n"
	if got := k.out.String(); got != want {
		t.Errorf("printed\n%s\nwant\n%s", got, want)
	}
}

func TestRunApplicationJSON(t *testing.T) {
	k := newKit(t)
	k.rest.job(1, linkpb.JobStatus_FAILED, &api.JobResult{Failure: &api.Failure{Message: "division by zero", Operator: "counts", Stack: "main.count()"}})
	code := make(chan int)
	go func() { code <- k.run("run-application", "--json", "hdfs:///x") }()
	k.eventually("job is seen", func() bool { return strings.Contains(k.out.String(), "job-ended") })
	k.yarn.now(client.Report{State: client.Failed, Diagnostics: "job failed"})
	k.wants(<-code, ExitFailed, []string{`{"event":"deployed","clusterId":"` + appID, `{"event":"submitted","jobId":`,
		`"state":"FAILED","result":{`, `{"event":"ended","clusterId":"` + appID, `{"event":"error",`, `"exitCode":2}`},
		[]string{"ended FAILED: division by zero (in counts, subtask 0)", "main.count()"})
	for line := range strings.Lines(k.out.String()) {
		if !strings.HasPrefix(line, "{") {
			t.Errorf("standard output has a line that isn't JSON: %s", line)
		}
	}
}

// A job's failure is told once, with the application's end if that tells of it.
func TestRunApplicationTellsOnce(t *testing.T) {
	for diagnostics, want := range map[string]string{
		"job \"job 1\" ended FAILED: division by zero\nmain.count()": "ended FAILED: job \"job 1\" ended FAILED: division by zero\nmain.count()\n\nIts logs: yarn logs -applicationId " + appID,
		"the driver went on and gave up":                             "ended FAILED: division by zero (in counts, subtask 0)",
	} {
		k := newKit(t)
		k.rest.job(1, linkpb.JobStatus_FAILED, &api.JobResult{Failure: &api.Failure{Message: "division by zero", Operator: "counts", Stack: "main.count()"}})
		code := make(chan int)
		go func() { code <- k.run("run-application", "--json", "hdfs:///x") }()
		k.eventually("job is seen", func() bool { return strings.Contains(k.out.String(), "job-ended") })
		k.yarn.now(client.Report{State: client.Failed, Diagnostics: diagnostics})
		k.wants(<-code, ExitFailed, nil, []string{want})
		for _, once := range []string{"division by zero", "main.count()"} {
			if n := strings.Count(k.err.String(), once); n != 1 {
				t.Errorf("%q is said %d times:\n%s", once, n, k.err)
			}
		}
	}
}

// A failure that the application lives on with isn't kept until its end.
func TestRunApplicationTellsOfFailuresMeanwhile(t *testing.T) {
	testkit.NoGoroutinesLeft(t)
	k := newKit(t)
	k.rest.job(1, linkpb.JobStatus_FAILED, &api.JobResult{Failure: &api.Failure{Message: "division by zero"}})
	code := make(chan int)
	go func() { code <- k.run("run-application", "hdfs:///x") }()
	k.eventually("failure is told", func() bool { return strings.Contains(k.err.String(), "ended FAILED: division by zero") })
	k.yarn.now(client.Report{State: client.Succeeded})
	k.wants(<-code, ExitOK, nil, nil)
}

// What YARN says of the end is the exit code, also for an application that had ended before it could be asked.
func TestRunApplicationEnds(t *testing.T) {
	for state, code := range map[client.State]int{client.Succeeded: ExitOK, client.Failed: ExitFailed, client.Killed: ExitCanceled} {
		for _, detached := range []string{"--detached=true", "--detached=false"} {
			k := newKit(t)
			k.yarn.endpoint = ""
			k.yarn.now(client.Report{State: state, Diagnostics: "no job"})
			var texts []string
			if state != client.Succeeded {
				texts = []string{"application " + appID + " ended " + state.String() + ": no job"}
			}
			if state == client.Failed {
				texts = append(texts, "yarn logs -applicationId "+appID)
			}
			k.wants(k.run("run-application", detached, "hdfs:///x"), code, []string{appID}, texts)
			if strings.Contains(k.err.String(), "Usage:") {
				t.Errorf("usage is shown: %s", k.err)
			}
		}
	}
}

func TestRunApplicationInterrupted(t *testing.T) {
	for _, sae := range []bool{false, true} {
		testkit.NoGoroutinesLeft(t)
		k := newKit(t)
		k.rest.shutdown = func() { k.yarn.now(client.Report{State: client.Killed}) }
		args := []string{"run-application", "hdfs:///x"}
		if sae {
			args = []string{"run-application", "-sae", "hdfs:///x"}
		}
		ctx, cancel := context.WithCancelCause(context.Background())
		code := make(chan int)
		go func() { code <- Run(ctx, k.Env, args) }()
		k.eventually("deployment", func() bool { return strings.Contains(k.out.String(), appID) })
		cancel(&signalError{syscall.SIGTERM})
		k.wants(<-code, 143, nil, []string{"got signal terminated"})
		if k.rest.seen("DELETE /v1/cluster") != sae {
			t.Errorf("-sae %v: requests %v", sae, k.rest.requests)
		}
		if !sae && !strings.Contains(k.err.String(), "the application goes on without this command applicationId="+appID+` stop="weft yarn-session stop `+appID) {
			t.Errorf("standard error: %s", k.err)
		}
	}
}

// A command that is interrupted while YARN hasn't started the application lets the descriptor take it back.
func TestRunApplicationInterruptedWhileWaiting(t *testing.T) {
	testkit.NoGoroutinesLeft(t)
	k := newKit(t)
	waiting := make(chan struct{})
	k.yarn.deploy = func(ctx context.Context) error {
		close(waiting)
		<-ctx.Done()
		return fmt.Errorf("application %s was given back: %w", appID, context.Cause(ctx))
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	code := make(chan int)
	go func() { code <- Run(ctx, k.Env, []string{"run-application", "hdfs:///x"}) }()
	<-waiting
	cancel(&signalError{syscall.SIGINT})
	k.wants(<-code, 130, nil, []string{"application " + appID + " was given back"})
	if k.out.String() != "" {
		t.Errorf("printed %s", k.out)
	}
}

func TestApplicationsThatCannotRun(t *testing.T) {
	dir := t.TempDir()
	script, text := filepath.Join(dir, "script"), filepath.Join(dir, "text")
	write(t, script, "#!/bin/sh\nexit 0\n")
	write(t, text, "some text\n")
	for _, test := range []struct {
		app, options, want string
	}{
		{filepath.Join(dir, "none"), "", "does not exist"},
		{script, "", "it is a script"},
		{text, "", "not an executable"},
		{executable(t), "-Dweft.cluster.platform=linux/riscv64", "GOOS=linux GOARCH=riscv64 go build"},
		{executable(t), "-c ./cmd/x", "-c picks the package to build"},
		{"hdfs:///x", "-c ./cmd/x", "-c picks the package to build"},
		{dir, "", "build " + dir},
	} {
		k := newKit(t)
		args := append([]string{"run-application", "-d"}, strings.Fields(test.options)...)
		k.wants(k.run(append(args, test.app)...), ExitError, nil, []string{test.want})
		if k.yarn.deployed != "" {
			t.Errorf("%s was deployed", test.app)
		}
	}
}

// module writes a module that uses this repository's Weft.
func module(t *testing.T, files map[string]string) string {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	sum, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(mod), "module github.com/weftstream/weft", "module example.org/app", 1) +
		"\nrequire github.com/weftstream/weft v0.0.0\nreplace github.com/weftstream/weft => " + root + "\n"
	for name, content := range map[string]string{"go.mod": text, "go.sum": string(sum)} {
		files[name] = content
	}
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, path, content)
	}
	return dir
}

const mainFile = `package main

import (
	"context"

	"github.com/weftstream/weft/stream"
)

func main() {
	stream.Main(func(context.Context, *stream.Driver) error { return nil })
}
`

// The directory of a package, or of a module with -c, is built; what go says of a mistake is shown as it is.
func TestBuild(t *testing.T) {
	dir := module(t, map[string]string{"cmd/one/main.go": mainFile, "bad/bad.go": "package main\n\nfunc main() { undefined() }\n",
		"lib/lib.go": "package lib\n"})
	for _, args := range [][]string{{filepath.Join(dir, "cmd", "one"), "x"}, {"-c", "cmd/one", dir, "x"}, {"-c", "./cmd/one", dir, "x"}, {"-c", "example.org/app/cmd/one", dir, "x"}} {
		k := newKit(t)
		k.wants(k.run(append([]string{"run-application", "-d", platform}, args...)...), ExitOK, []string{appID}, []string{"building the application"})
		if filepath.Base(k.yarn.app.Path) != "one" || len(k.yarn.app.Args) != 1 {
			t.Errorf("deployed %+v", k.yarn.app)
		}
		if files, _ := os.ReadDir(k.TempDir); len(files) != 0 {
			t.Errorf("the build is left behind: %v", files)
		}
	}
	for pkg, want := range map[string]string{"bad": "undefined: undefined", "lib": "-c picks the main package", "none": "directory not found"} {
		k := newKit(t)
		k.wants(k.run("run-application", "-d", platform, "-c", pkg, dir), ExitError, nil, []string{"build " + dir, want})
		if files, _ := os.ReadDir(k.TempDir); len(files) != 0 {
			t.Errorf("the build is left behind: %v", files)
		}
	}
	t.Setenv("PATH", t.TempDir())
	k := newKit(t)
	k.wants(k.run("run-application", "-d", dir), ExitError, nil, []string{"there is no go command in PATH"})
}

func TestExitCodes(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(&signalError{syscall.SIGHUP})
	for _, test := range []struct {
		ctx  context.Context
		err  error
		want int
	}{
		{context.Background(), nil, ExitOK},
		{context.Background(), errors.New("x"), ExitError},
		{context.Background(), usagef("x"), ExitError},
		{context.Background(), fmt.Errorf("x: %w", &exitError{ExitFailed, nil}), ExitFailed},
		{context.Background(), &signalError{syscall.SIGINT}, 130},
		{ctx, errors.New("killed"), 129},
		{ctx, nil, ExitOK},
	} {
		if got := exitCode(test.ctx, test.err); got != test.want {
			t.Errorf("%v: exit code %d, want %d", test.err, got, test.want)
		}
	}
}
