package executor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/link"
)

var (
	// ErrNoJob is returned by RunDriver for an application that ended well without submitting a job.
	ErrNoJob = errors.New("the application ended without submitting a job")
	// ErrNotApplication is returned by RunDriver for an executable that ended well without ever asking for its
	// configuration, as stream.Main does.
	ErrNotApplication = errors.New("this is no Weft application: its main function has to call stream.Main first")
)

// DefaultGrace is the time that a driver has to end after SIGTERM.
const DefaultGrace = 10 * time.Second

// DriverError says that the application ended with another exit code than 0, or by a signal.
type DriverError struct {
	// Name is what people call the application.
	Name string
	// ExitCode is 128 + the signal's number if it was a signal, whose name Signal is.
	ExitCode int
	Signal   string
	// StderrTail is the end of what it wrote to standard error; Error doesn't repeat it.
	StderrTail string
	// Limit says that DriverSpec.Memory ended it; "" if it was something else.
	Limit string
	// Connected says that it is a Weft application, and Jobs how many jobs it had submitted.
	Connected bool
	Jobs      int
}

func (e *DriverError) Error() string {
	how := fmt.Sprintf("exit status %d", e.ExitCode)
	if e.Signal != "" {
		how = "signal " + e.Signal
	}
	text := fmt.Sprintf("the application %s ended with %s", e.Name, how)
	switch {
	case e.Limit != "":
		return fmt.Sprintf("the driver of the application %s was %s: raise %s, or the driver's share of it (%s)", e.Name, e.Limit,
			conf.JobManagerMemoryProcessSize.Key(), conf.WeftDriverMemoryFraction.Key())
	case !e.Connected:
		text += " before it reached stream.Main (is it a Weft application?)"
	case e.Jobs == 0:
		text += " without submitting a job"
	}
	return text
}

// DriverSpec says what RunDriver runs.
type DriverSpec struct {
	// Executable is the application, Args what follows its name on the command line. Name is what people call it, by
	// default the executable's without its directory.
	Executable string
	Args       []string
	Name       string
	// Dir is the working directory and Env the whole environment; "" and nil take this process's.
	Dir string
	Env []string
	// Stdin may be nil (empty), Stdout and Stderr too (discarded). An *os.File is inherited, except for Stderr, whose end
	// is kept.
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Memory is the budget in bytes that the process is killed for exceeding, with link.MemoryMargin above it; 0 for no
	// limit. GOMEMLIMIT is Env's to set.
	Memory int64
	// Grace is the time from SIGTERM to SIGKILL once ctx has ended; DefaultGrace if 0.
	Grace time.Duration
}

// RunDriver runs an application in the driver role, serves its link with s, and returns when the process has ended: its
// exit code (-1 if it never ran), and nil only if it ended well and had submitted a job. Errors are ErrNoJob,
// ErrNotApplication, *DriverError, or what kept it from starting. When ctx ends the process gets SIGTERM and, after the
// grace period, SIGKILL, and the error wraps ctx's cause. No process is left behind. The calls of s that are under way
// are cancelled when the process has ended.
func RunDriver(ctx context.Context, spec DriverSpec, s link.DriverService, log *slog.Logger) (int, error) {
	if err := ctx.Err(); err != nil {
		return -1, context.Cause(ctx)
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	child, err := link.Command(link.Driver, spec.Executable, spec.Args...)
	if err != nil {
		return -1, err
	}
	grace := spec.Grace
	if grace <= 0 {
		grace = DefaultGrace
	}
	tail := &tailWriter{to: spec.Stderr}
	cmd := child.Cmd
	cmd.Dir, cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = spec.Dir, spec.Env, spec.Stdin, spec.Stdout, tail
	// A process that the application left behind with its output open isn't waited for.
	cmd.WaitDelay = grace

	spawner := link.NewSpawner()
	defer spawner.Close()
	if err := spawner.Start(child); err != nil {
		return -1, err
	}
	name := cmp.Or(spec.Name, filepath.Base(spec.Executable))
	log.Info("driver started", "application", name, "pid", cmd.Process.Pid)
	wall := func(unused int64) {
		if spec.Memory == 0 {
			return
		}
		if err := link.LimitData(cmd.Process.Pid, spec.Memory+link.MemoryMargin(spec.Memory)+unused); err != nil {
			log.Warn("limit the driver's memory", "error", err)
		}
	}
	wall(link.UnusedReserve)

	watched := &watchedService{DriverService: s, begun: func() { wall(link.UnusedData(cmd.Process.Pid)) }}
	serving, stopServing := context.WithCancel(context.WithoutCancel(ctx))
	served := make(chan error, 1)
	go func() { served <- link.ServeDriver(serving, child.Link, watched) }()
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()

	waitErr := waitOrStop(ctx, cmd, exited, grace, log)
	stopServing()
	if err := <-served; err != nil && !errors.Is(err, context.Canceled) {
		log.Debug("driver link ended", "error", err)
	}
	code, signal := exitOf(cmd.ProcessState)
	log.Info("driver ended", "application", name, "exitCode", code, "jobs", watched.jobs.Load())
	jobs := int(watched.jobs.Load())
	switch {
	case ctx.Err() != nil && waitErr != nil:
		return code, fmt.Errorf("the application %s was stopped: %w", name, context.Cause(ctx))
	case code != 0:
		return code, &DriverError{Name: name, ExitCode: code, Signal: signal, StderrTail: tail.String(),
			Limit: link.MemoryDeath(code, tail.tail.Crash(), spec.Memory), Connected: watched.greeted.Load(), Jobs: jobs}
	case !watched.greeted.Load():
		return code, ErrNotApplication
	case jobs == 0:
		return code, ErrNoJob
	}
	return code, nil
}

// waitOrStop returns what cmd.Wait did; if ctx ends before, it stops the process.
func waitOrStop(ctx context.Context, cmd *exec.Cmd, exited <-chan error, grace time.Duration, log *slog.Logger) error {
	select {
	case err := <-exited:
		return err
	case <-ctx.Done():
	}
	log.Info("stopping the driver", "pid", cmd.Process.Pid, "cause", context.Cause(ctx))
	if cmd.Process.Signal(syscall.SIGTERM) != nil {
		cmd.Process.Kill() // where there is no SIGTERM
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case err := <-exited:
		return err
	case <-timer.C:
	}
	log.Warn("the driver didn't end on SIGTERM and is killed", "pid", cmd.Process.Pid, "after", grace)
	cmd.Process.Kill()
	return <-exited
}

func exitOf(p *os.ProcessState) (code int, signal string) {
	if p == nil {
		return -1, ""
	}
	if ws, ok := p.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal()), ws.Signal().String()
	}
	return p.ExitCode(), ""
}

// watchedService notes what the application asked for.
type watchedService struct {
	link.DriverService
	begun   func() // called when the application has connected
	greeted atomic.Bool
	jobs    atomic.Int64
}

func (w *watchedService) Welcome(ctx context.Context) (map[string]string, bool, error) {
	if !w.greeted.Swap(true) {
		w.begun()
	}
	return w.DriverService.Welcome(ctx)
}

func (w *watchedService) Submit(ctx context.Context, g *graph.JobGraph) (graph.JobID, error) {
	id, err := w.DriverService.Submit(ctx, g)
	if err == nil {
		w.jobs.Add(1)
	}
	return id, err
}

// tailWriter passes on what is written and keeps the end of it.
type tailWriter struct {
	to   io.Writer // may be nil
	tail link.Tail
}

func (t *tailWriter) Write(b []byte) (int, error) {
	t.tail.Write(b) //nolint:errcheck // it never fails
	if t.to == nil {
		return len(b), nil
	}
	return t.to.Write(b)
}

func (t *tailWriter) String() string { return t.tail.String() }
