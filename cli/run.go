package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/urfave/cli/v2"

	"github.com/weftstream/weft/client"
	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/executor"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/link"
	"github.com/weftstream/weft/link/linkpb"
)

// closeTimeout bounds the cancellation of jobs that end with the command.
const closeTimeout = 30 * time.Second

// runOptions are run's.
type runOptions struct {
	targetOptions
	programOptions
}

func runVerb(env *Env) verb {
	o := &runOptions{}
	return verb{program: true, json: &o.json, command: &cli.Command{
		Name: "run", Usage: "run an application: its driver here, its jobs on a cluster",
		ArgsUsage: "[options] <application> [arguments]", Description: runExamples,
		Flags: append(o.programOptions.flags(), o.targetOptions.flags()...),
		Action: func(c *cli.Context) error {
			if err := o.check(c.Args().Slice()); err != nil {
				return err
			}
			return run(c.Context, env, o)
		},
	}}
}

const runExamples = `The application is an executable or the directory of a Go package. Without -t, its jobs go to the session of the YARN
properties file, if there is one. The command waits for the application and its jobs; with -d jobs go on without it.

Examples:
  weft run -t yarn-session -Dyarn.application.id=application_1700000000000_0001 ./wordcount --input hdfs:///text
  weft run -t yarn-per-job -p 4 -Dtaskmanager.numberOfTaskSlots=2 ./wordcount
  weft run -m jobmanager:8081 -d ./topspeedwindowing
  weft run -t local -p 2 ./wordcount`

// run runs the application as its driver, in this machine's process tree, and its jobs at the target.
func run(ctx context.Context, env *Env, o *runOptions) error {
	settings, err := o.programOptions.settings(o.yarn.detached)
	if err != nil {
		return err
	}
	s, err := o.targetOptions.load(env, settings...)
	if err != nil {
		return err
	}
	switch s.target {
	case "":
		return usagef("where is it to run? -t %s, %s, %s or %s, or -m host:port", targetSession, targetPerJob, targetApplication, targetLocal)
	case targetApplication:
		return s.deployApplication(ctx, &o.programOptions)
	case targetLocal:
		return s.runLocal(ctx, o)
	case targetPerJob:
		return s.runPerJob(ctx, o)
	}
	return s.runSession(ctx, o)
}

// runSession runs the jobs on a cluster that runs already.
func (s *session) runSession(ctx context.Context, o *runOptions) error {
	app, err := s.application(ctx, o.application, o.class, need{cluster: true, driver: true})
	if err != nil {
		return err
	}
	defer app.close()
	c, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer c.close()
	uploading, err := s.client(c.cluster, client.WithUploadProgress(s.uploadProgress()))
	if err != nil {
		return err
	}
	defer uploading.Close()
	options, outcome := s.executorOptions()
	outcome.on(c.cluster)
	service := executor.NewSession(uploading, app.Path, options)
	return s.drive(ctx, app, service, outcome)
}

// uploadProgress shows how far an upload is, on a terminal.
func (s *session) uploadProgress() func(sent, total int64) {
	if !s.Terminal {
		return nil
	}
	var bar *progressbar.ProgressBar // made by the first call; calls come one after the other
	return func(sent, total int64) {
		if bar == nil {
			bar = progressbar.NewOptions64(total, progressbar.OptionSetWriter(s.Err), progressbar.OptionSetDescription("uploading"),
				progressbar.OptionShowBytes(true), progressbar.OptionClearOnFinish())
		}
		if bar.GetMax64() != total { // the next file
			bar.Reset()
			bar.ChangeMax64(total)
		}
		bar.Set64(sent) //nolint:errcheck // a bar that can't be drawn
	}
}

// runPerJob deploys a cluster for the application's only job.
func (s *session) runPerJob(ctx context.Context, o *runOptions) error {
	app, err := s.application(ctx, o.application, o.class, need{cluster: true, driver: true})
	if err != nil {
		return err
	}
	defer app.close()
	p, err := s.open(s.target)
	if err != nil {
		return err
	}
	defer p.close()
	options, outcome := s.executorOptions()
	deploy := func(ctx context.Context, g *graph.JobGraph) (*client.Client, error) {
		cluster, err := p.DeployPerJob(ctx, g, app.Application)
		if err != nil {
			return nil, fmt.Errorf("Could not deploy Yarn job cluster: %w", err)
		}
		outcome.on(cluster)
		s.print.deployed(cluster)
		return s.client(cluster)
	}
	return s.drive(ctx, app, executor.NewPerJob(deploy, app.Path, options), outcome)
}

func (s *session) executorOptions() (executor.Options, *outcome) {
	out := &outcome{}
	return executor.Options{Conf: s.conf, Log: s.log,
		Detached:               !conf.Get(s.conf, conf.ExecutionAttached),
		ShutdownOnAttachedExit: conf.Get(s.conf, conf.ExecutionShutdownOnAttachedExit),
		Hooks: executor.Hooks{
			Submitted: func(id graph.JobID, name string) { out.submitted(id); s.print.submitted(id, name) },
			// The application itself says why a job failed.
			Result: func(r *linkpb.JobResult) { out.ended(r); s.print.result(r) },
		}}, out
}

// jobService is a link.DriverService that may hold jobs which end with the command.
type jobService interface {
	link.DriverService
	Close(ctx context.Context) error
}

// drive runs the application's driver; jobs go to service. What the application itself does decides the exit code, and
// if that isn't 0, how its jobs ended.
func (s *session) drive(ctx context.Context, app *application, service jobService, out *outcome) error {
	spec := executor.DriverSpec{Executable: app.driver(), Args: app.Args, Stdin: s.In, Stdout: s.Out, Stderr: s.Err}
	if s.print.json {
		spec.Stdout = s.Err // standard output is for events alone
	}
	_, err := executor.RunDriver(ctx, spec, service, s.log)
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	closeErr := service.Close(closing)
	if conf.Get(s.conf, conf.ExecutionAttached) {
		s.tellLeft(out, closeErr)
	}
	if errors.Is(err, executor.ErrNoJob) {
		err = fmt.Errorf("The program didn't contain a Weft job. Perhaps you forgot to call Run or Start on a job: %w", err)
	}
	if err = errors.Join(err, closeErr); err != nil {
		return &exitError{out.code(), err}
	}
	return nil
}

// runLocal runs the application as a person would, but with the configuration of the command line and the file: it runs
// its jobs itself, and its exit code is the command's.
func (s *session) runLocal(ctx context.Context, o *runOptions) error {
	if !conf.Get(s.conf, conf.ExecutionAttached) {
		return usagef("-d: with -t local the jobs run in the application's own process, which this command waits for; " +
			"detached jobs need a cluster")
	}
	app, err := s.application(ctx, o.application, o.class, need{driver: true})
	if err != nil {
		return err
	}
	defer app.close()
	cmd := exec.CommandContext(ctx, app.driver(), app.Args...)
	if cmd.Env, err = link.LocalEnvironment(os.Environ(), s.conf.Map()); err != nil {
		return err
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = s.In, s.Out, s.Err
	cmd.Cancel = func() error { return cmd.Process.Signal(stopSignal(ctx)) }
	cmd.WaitDelay = closeTimeout + 10*time.Second // it cancels its jobs first
	link.DieWithParent(cmd)
	runtime.LockOSThread() // the application's end would be that of the thread that has started it
	defer runtime.UnlockOSThread()
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() > 0 {
		return &exitError{exit.ExitCode(), nil} // the application has said why
	}
	if err != nil {
		return fmt.Errorf("run %s: %w", app.driver(), err)
	}
	return nil
}

// stopSignal is the signal that ended ctx, else an interrupt.
func stopSignal(ctx context.Context) os.Signal {
	var sig *signalError
	if errors.As(context.Cause(ctx), &sig) {
		return sig.signal
	}
	return os.Interrupt
}
