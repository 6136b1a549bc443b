package cli

import (
	"context"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/graph"
)

// cancelOptions are cancel's.
type cancelOptions struct {
	targetOptions
	savepoint bool
	kind      string
	directory string
	job       string
}

func cancelVerb(env *Env) verb {
	o := &cancelOptions{}
	return verb{json: &o.json, command: &cli.Command{
		Name: "cancel", Usage: "cancel a job of a running cluster", ArgsUsage: "[options] <job id>", Description: `It returns when the cluster has taken the request; weft list -a shows the job's end.

Examples:
  weft cancel -t yarn-session -Dyarn.application.id=application_1700000000000_0001 0f3c2a51d9874e0b8a54b8d7c1e2f693
  weft cancel 0f3c2a51d9874e0b8a54b8d7c1e2f693 -m jobmanager:8081`,
		Flags: append([]cli.Flag{
			&cli.BoolFlag{Name: "withSavepoint", Aliases: []string{"s"}, Destination: &o.savepoint, Hidden: true},
			&cli.StringFlag{Name: "type", Destination: &o.kind, Hidden: true},
		}, o.flags()...),
		Action: func(c *cli.Context) error {
			if err := checkKind(o.kind); err != nil {
				return err
			}
			if o.savepoint && c.NArg() == 2 { // -s <directory> <job id>
				o.directory, o.job = c.Args().First(), c.Args().Get(1)
				return cancel(c.Context, env, o)
			}
			switch c.NArg() {
			case 0:
				return usagef("Missing JobID. Specify a JobID to cancel a job.")
			case 1:
				o.job = c.Args().First()
				return cancel(c.Context, env, o)
			}
			return usagef("unexpected argument: %s", c.Args().Get(1))
		},
	}}
}

// cancel asks a cluster to cancel a job.
func cancel(ctx context.Context, env *Env, o *cancelOptions) error {
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
	if o.savepoint {
		return cancelWithSavepoint(ctx, s, c, o, id)
	}
	s.print.text("Cancelling job %s.\n", id)
	limited, stop := context.WithTimeout(ctx, conf.Get(s.conf, conf.ClientTimeout))
	defer stop()
	if err := c.Cancel(limited, id); err != nil {
		return fmt.Errorf("Could not cancel job %s: %w", id, err)
	}
	s.print.write(fmt.Sprintf("Cancelled job %s.\n", id), event{Event: "cancelled", JobID: id.String()})
	return nil
}

// cancelWithSavepoint takes a savepoint and then cancels the job: what stop has replaced.
func cancelWithSavepoint(ctx context.Context, s *session, c *connection, o *cancelOptions, id graph.JobID) error {
	fail := func(err error) error { return fmt.Errorf("Could not cancel job %s: %w", id, err) }
	where := "default savepoint directory"
	if o.directory != "" {
		where = o.directory
	}
	s.print.text("DEPRECATION WARNING: Cancelling a job with savepoint is deprecated. Use \"stop\" instead.\nCancelling job %s with CANONICAL savepoint to %s.\n", id, where)
	var trigger string
	err := soon(ctx, s, func(ctx context.Context) (err error) {
		trigger, err = c.Savepoint(ctx, id, o.directory, true)
		return err
	})
	if err != nil {
		return fail(err)
	}
	path, err := c.AwaitSavepoint(ctx, id, trigger)
	if err != nil {
		return fail(err)
	}
	s.print.write(fmt.Sprintf("Cancelled job %s. Savepoint stored in %s.\n", id, path), event{Event: "cancelled", JobID: id.String(), Path: path})
	return nil
}
