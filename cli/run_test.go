package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestRunPerJobFails(t *testing.T) {
	noGoroutinesLeft(t)
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
	noGoroutinesLeft(t)
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
	noGoroutinesLeft(t)
	k := newKit(t)
	dir := module(t, map[string]string{"main.go": mainFile})
	k.wants(k.run("run", "-t", "yarn-per-job", platform, dir), ExitError, nil,
		[]string{"The program didn't contain a Weft job. Perhaps you forgot to call Run or Start on a job."})
	if k.yarn.deployed != "" {
		t.Errorf("deployed %s", k.yarn.deployed)
	}
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
