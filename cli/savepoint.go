package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/graph"
)

// savepointOptions are those of the verbs that take savepoints.
type savepointOptions struct {
	targetOptions
	directory, kind, jar, dispose string
	drain, noWait                 bool
	job                           string
}

func (o *savepointOptions) kindFlag() cli.Flag {
	return &cli.StringFlag{Name: "type", Usage: "canonical or native; Weft's savepoints have one format", Destination: &o.kind}
}

func (o *savepointOptions) waitFlag() cli.Flag {
	return &cli.BoolFlag{Name: "detached", Usage: "return when the savepoint is triggered", Destination: &o.noWait}
}

// checkKind refuses formats that neither Flink nor Weft knows.
func checkKind(kind string) error {
	switch strings.ToLower(kind) {
	case "", "canonical", "native":
		return nil
	}
	return usagef("--type %s: it takes canonical or native", kind)
}

func stopVerb(env *Env) verb {
	o := &savepointOptions{}
	return verb{json: &o.json, command: &cli.Command{
		Name: "stop", Usage: "end a job with a savepoint", ArgsUsage: "[options] <job id>", Description: `The job's sources stop, everything they have read is processed and committed, and its state is kept in a savepoint,
from which run and run-application start again with -s. With --drain the sources end first, so that all windows and
event-time timers fire: for a job that won't go on.

Examples:
  weft stop -t yarn-session -p hdfs:///savepoints 0f3c2a51d9874e0b8a54b8d7c1e2f693
  weft stop --drain 0f3c2a51d9874e0b8a54b8d7c1e2f693 -m jobmanager:8081`,
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "savepointPath", Aliases: []string{"p"}, Usage: "directory of the savepoint (default execution.checkpointing.savepoint-dir)", Destination: &o.directory},
			&cli.BoolFlag{Name: "drain", Aliases: []string{"d"}, Usage: "end the sources first", Destination: &o.drain},
			o.kindFlag(), o.waitFlag(),
		}, o.flags()...),
		Action: func(c *cli.Context) error {
			if c.NArg() == 0 && o.directory != "" { // stop -p <job id>, as Flink reads it
				o.job, o.directory = o.directory, ""
			} else if err := o.one(c, "Missing JobID. Specify a JobID to stop a job."); err != nil {
				return err
			}
			return o.on(c.Context, env, stopJob)
		},
	}}
}

func savepointVerb(env *Env) verb {
	o := &savepointOptions{}
	return verb{json: &o.json, command: &cli.Command{
		Name: "savepoint", Usage: "take a savepoint of a job that runs, or remove one", ArgsUsage: "[options] <job id> [directory]", Description: `Examples:
  weft savepoint 0f3c2a51d9874e0b8a54b8d7c1e2f693 hdfs:///savepoints
  weft savepoint -d hdfs:///savepoints/savepoint-0f3c2a-1b2c3d4e5f60`,
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "dispose", Aliases: []string{"d"}, Usage: "remove the savepoint at this `path`", Destination: &o.dispose},
			&cli.StringFlag{Name: "jarfile", Aliases: []string{"j"}, Destination: &o.jar, Hidden: true},
			o.kindFlag(), o.waitFlag(),
		}, o.flags()...),
		Action: func(c *cli.Context) error {
			if o.dispose != "" {
				return disposeSavepoint(c.Context, env, o)
			}
			if c.NArg() == 2 {
				o.directory = c.Args().Get(1)
			} else if err := o.one(c, "Missing JobID. Specify a Job ID to trigger a savepoint."); err != nil {
				return err
			}
			o.job = c.Args().First()
			return o.on(c.Context, env, takeSavepoint)
		},
	}}
}

func checkpointVerb(env *Env) verb {
	o := &savepointOptions{}
	return verb{json: &o.json, command: &cli.Command{
		Name: "checkpoint", Usage: "take a checkpoint of a job now", ArgsUsage: "[options] <job id>", Description: `Examples:
  weft checkpoint 0f3c2a51d9874e0b8a54b8d7c1e2f693`,
		Flags: append([]cli.Flag{
			&cli.BoolFlag{Name: "full", Usage: "taken for Flink's sake, and without effect", Hidden: true},
		}, o.flags()...),
		Action: func(c *cli.Context) error {
			if err := o.one(c, "Missing JobID. Specify a Job ID to manipulate a checkpoint."); err != nil {
				return err
			}
			return o.on(c.Context, env, takeCheckpoint)
		},
	}}
}

// one takes the job id, the only argument.
func (o *savepointOptions) one(c *cli.Context, missing string) error {
	switch c.NArg() {
	case 0:
		return usagef("%s", missing)
	case 1:
		o.job = c.Args().First()
		return nil
	}
	return usagef("unexpected argument: %s", c.Args().Get(1))
}

// on connects to the cluster and does something with the job.
func (o *savepointOptions) on(ctx context.Context, env *Env, do func(ctx context.Context, s *session, c *connection, o *savepointOptions, id graph.JobID) error) error {
	if err := checkKind(o.kind); err != nil {
		return err
	}
	id, err := graph.ParseJobID(o.job)
	if err != nil {
		return &usageError{err: err}
	}
	s, err := o.load(env)
	if err != nil {
		return err
	}
	c, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer c.close()
	return do(ctx, s, c, o, id)
}

// soon bounds a request that the cluster answers at once.
func soon(ctx context.Context, s *session, f func(context.Context) error) error {
	limited, stop := context.WithTimeout(ctx, conf.Get(s.conf, conf.ClientTimeout))
	defer stop()
	return f(limited)
}

func stopJob(ctx context.Context, s *session, c *connection, o *savepointOptions, id graph.JobID) error {
	fail := func(err error) error { return fmt.Errorf("Could not stop with a savepoint job %q: %w", id, err) }
	action := "Suspending"
	if o.drain {
		action = "Draining"
	}
	s.print.text("%s job %q with a CANONICAL savepoint.\n", action, id)
	how := ""
	if o.noWait {
		how = " in detached mode"
	}
	s.print.text("Triggering stop-with-savepoint%s for job %s.\n", how, id)
	var trigger string
	err := soon(ctx, s, func(ctx context.Context) (err error) {
		trigger, err = c.Stop(ctx, id, o.directory, o.drain)
		return err
	})
	if err != nil {
		return fail(err)
	}
	if o.noWait {
		s.print.write(fmt.Sprintf("Successfully trigger stop-with-savepoint in detached mode, triggerId: %s\n", trigger),
			event{Event: "triggered", JobID: id.String(), TriggerID: trigger})
		return nil
	}
	return o.awaitSavepoint(ctx, s, c, id, trigger, "", fail)
}

func takeSavepoint(ctx context.Context, s *session, c *connection, o *savepointOptions, id graph.JobID) error {
	fail := func(err error) error { return fmt.Errorf("Failed to trigger a savepoint for the job %s: %w", id, err) }
	how := ""
	if o.noWait {
		how = " in detached mode"
	}
	s.print.text("Triggering savepoint%s for job %s.\n", how, id)
	var trigger string
	err := soon(ctx, s, func(ctx context.Context) (err error) {
		trigger, err = c.Savepoint(ctx, id, o.directory, false)
		return err
	})
	if err != nil {
		return fail(err)
	}
	if o.noWait {
		s.print.write(fmt.Sprintf("Successfully trigger manual savepoint, triggerId: %s\n", trigger),
			event{Event: "triggered", JobID: id.String(), TriggerID: trigger})
		return nil
	}
	return o.awaitSavepoint(ctx, s, c, id, trigger, "You can resume your program from this savepoint with the run command.\n", fail)
}

func (o *savepointOptions) awaitSavepoint(ctx context.Context, s *session, c *connection, id graph.JobID, trigger, more string, fail func(error) error) error {
	s.print.text("Waiting for response...\n")
	path, err := c.AwaitSavepoint(ctx, id, trigger)
	if err != nil {
		return fail(err)
	}
	s.print.write(fmt.Sprintf("Savepoint completed. Path: %s\n%s", path, more), event{Event: "savepoint", JobID: id.String(), Path: path})
	return nil
}

func takeCheckpoint(ctx context.Context, s *session, c *connection, _ *savepointOptions, id graph.JobID) error {
	fail := func(err error) error { return fmt.Errorf("Failed to trigger a checkpoint for the job %s: %w", id, err) }
	s.print.text("Triggering checkpoint for job %s.\nWaiting for response...\n", id)
	var trigger string
	err := soon(ctx, s, func(ctx context.Context) (err error) {
		trigger, err = c.Checkpoint(ctx, id)
		return err
	})
	if err != nil {
		return fail(err)
	}
	n, err := c.AwaitCheckpoint(ctx, id, trigger)
	if err != nil {
		return fail(err)
	}
	s.print.write(fmt.Sprintf("Checkpoint(CONFIGURED) %d for job %s completed.\nYou can resume your program from this checkpoint with the run command.\n", n, id),
		event{Event: "checkpoint", JobID: id.String(), Checkpoint: n})
	return nil
}

// disposeSavepoint has a cluster remove a savepoint.
func disposeSavepoint(ctx context.Context, env *Env, o *savepointOptions) error {
	s, err := o.load(env)
	if err != nil {
		return err
	}
	c, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer c.close()
	s.print.text("Disposing savepoint '%s'.\nWaiting for response...\n", o.dispose)
	var trigger string
	err = soon(ctx, s, func(ctx context.Context) (err error) {
		trigger, err = c.Dispose(ctx, o.dispose)
		return err
	})
	if err == nil {
		err = c.AwaitDisposal(ctx, trigger)
	}
	if err != nil {
		return fmt.Errorf("Disposing the savepoint '%s' failed: %w", o.dispose, err)
	}
	s.print.write(fmt.Sprintf("Savepoint '%s' disposed.\n", o.dispose), event{Event: "disposed", Path: o.dispose})
	return nil
}
