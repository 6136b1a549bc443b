package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"github.com/weftstream/weft/internal/testkit"
	"github.com/weftstream/weft/rest/api"
)

func TestRunPerJobFails(t *testing.T) {
	testkit.NoGoroutinesLeft(t)
	k := newKit(t)
	k.yarn.deploy = func(context.Context) error { return errors.New("queue etl doesn't exist") }
	k.wants(k.run("run", "-t", "yarn-per-job", platform, "-p", "2", executable(t)), ExitError, nil,
		[]string{"Could not deploy Yarn job cluster: queue etl doesn't exist"})
	if strings.Contains(k.err.String(), "Usage:") || k.out.String() != "" {
		t.Errorf("standard output %q, standard error %s", k.out, k.err)
	}
}

// The driver's link ends with the command; the deployment is then taken back before the command ends.
func TestRunPerJobInterruptedWhileWaiting(t *testing.T) {
	testkit.NoGoroutinesLeft(t)
	k := newKit(t)
	waiting, back := make(chan struct{}), make(chan struct{})
	k.yarn.deploy = func(ctx context.Context) error {
		close(waiting)
		<-ctx.Done()
		close(back)
		return fmt.Errorf("given back: %w", context.Cause(ctx))
	}
	app := executable(t)
	ctx, cancel := context.WithCancelCause(context.Background())
	code := make(chan int)
	go func() { code <- Run(ctx, k.Env, []string{"run", "-t", "yarn-per-job", platform, app}) }()
	<-waiting
	cancel(&signalError{syscall.SIGINT})
	k.wants(<-code, 130, nil, []string{"got signal interrupt"})
	select {
	case <-back:
	default:
		t.Error("the command ended before the application was given back")
	}
}

func TestRunWithoutJob(t *testing.T) {
	testkit.NoGoroutinesLeft(t)
	k := newKit(t)
	dir := module(t, map[string]string{"main.go": mainFile})
	k.wants(k.run("run", "-t", "yarn-per-job", platform, dir), ExitError, nil,
		[]string{"The program didn't contain a Weft job. Perhaps you forgot to call Run or Start on a job."})
	if k.yarn.deployed != "" {
		t.Errorf("deployed %s", k.yarn.deployed)
	}
}

const localFile = `package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/stream"
)

func main() {
	stream.Main(func(_ context.Context, d *stream.Driver) error {
		c, err := d.Configuration()
		own, _ := c.Raw("my.key")
		fmt.Println(conf.Get(c, conf.ParallelismDefault), conf.Get(c, conf.PipelineName), conf.Get(c, conf.RestPort), own, os.Args[1:],
			strings.Contains(strings.Join(os.Environ(), " "), "pipeline.name"))
		return err
	})
}
`

// The configuration of the command line and the file reaches an application that runs its jobs itself.
func TestRunLocal(t *testing.T) {
	k := newKit(t)
	k.env["FLINK_CONF_DIR"] = t.TempDir()
	write(t, filepath.Join(k.env["FLINK_CONF_DIR"], "config.yaml"), "parallelism.default: 7\nrest.port: 9999\npipeline.name: file's\n")
	dir := module(t, map[string]string{"main.go": localFile})
	k.wants(k.run("run", "-t", "local", "-p", "3", "-Dpipeline.name=line's", "-Dmy.key=a=b c", dir, "-p", "5"), ExitOK, nil, nil)
	if got, want := k.out.String(), "3 line's 9999 a=b c [-p 5] false\n"; got != want {
		t.Errorf("the application printed %q, want %q", got, want)
	}
	k = newKit(t)
	k.wants(k.run("run", "-t", "local", "-d", dir), ExitError, nil, []string{"-d: with -t local", "Usage:"})
	k = newKit(t)
	k.wants(k.run("run", "-t", "local", "-p", "none", dir), ExitError, nil, []string{"The parallelism must be a positive number: none"})
}

// An executable that isn't there any more, or isn't a Weft application, is told before a cluster is looked for.
func TestRunChecksFirst(t *testing.T) {
	k := newKit(t)
	k.wants(k.run("run", "-yid", appID, filepath.Join(t.TempDir(), "none")), ExitError, nil, []string{"does not exist"})
	if len(k.yarn.asked) != 0 {
		t.Errorf("YARN was asked for %v", k.yarn.asked)
	}
}

func TestInfoOfProgramWithoutJob(t *testing.T) {
	k := newKit(t)
	dir := module(t, map[string]string{"main.go": mainFile})
	k.wants(k.run("info", dir), ExitError, nil, []string{"didn't contain a Weft job"})
	k = newKit(t)
	k.wants(k.run("info", executable(t), "--no-such-option"), ExitError, nil, []string{"no-such-option"})
}

// The plan is shown as JSON and drawn; programs get the JSON only.
func TestInfo(t *testing.T) {
	testkit.NoGoroutinesLeft(t)
	k := newKit(t)
	k.wants(k.run("info", "-p", "3", executable(t), "--input", "none"), ExitOK, nil, nil)
	lines := strings.SplitN(k.out.String(), "\n", 5)
	if len(lines) < 5 || lines[0] != "----------------------- Execution Plan -----------------------" || lines[2] != strings.Repeat("-", 62) || lines[3] != "" {
		t.Fatalf("printed\n%s", k.out)
	}
	var plan, alone api.Plan
	if err := json.Unmarshal([]byte(lines[1]), &plan); err != nil || len(plan.Nodes) < 2 {
		t.Fatalf("%v: %s", err, lines[1])
	}
	if head := fmt.Sprintf("Job %q, bounded: %d vertices, ", plan.Name, len(plan.Nodes)); !strings.HasPrefix(lines[4], head) {
		t.Errorf("the drawing doesn't begin with %q:\n%s", head, lines[4])
	}
	for _, text := range []string{" o   [1] ", "parallelism 3, max parallelism 128\n", "> HASH from [1] "} {
		if !strings.Contains(lines[4], text) {
			t.Errorf("the drawing lacks %q:\n%s", text, lines[4])
		}
	}
	k = newKit(t)
	k.wants(k.run("info", "-p", "3", "--json", executable(t), "--input", "none"), ExitOK, nil, nil)
	if err := json.Unmarshal([]byte(k.out.String()), &alone); err != nil {
		t.Fatalf("%v: %s", err, k.out)
	}
	if plan.JobID, alone.JobID = "", ""; !reflect.DeepEqual(plan, alone) {
		t.Errorf("--json printed %+v, without it the plan is %+v", alone, plan)
	}
}
