package cli

import (
	"context"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/link"
)

// cancelOptions are cancel's.
type cancelOptions struct {
	targetOptions
	savepoint bool
	kind      string
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
			if o.savepoint {
				return usagef("-s: Weft %s has no savepoints; without -s the job is cancelled without one", link.Version)
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
	s.print.text("Cancelling job %s.\n", id)
	limited, stop := context.WithTimeout(ctx, conf.Get(s.conf, conf.ClientTimeout))
	defer stop()
	if err := c.Cancel(limited, id); err != nil {
		return fmt.Errorf("Could not cancel job %s: %w", id, err)
	}
	s.print.write(fmt.Sprintf("Cancelled job %s.\n", id), event{Event: "cancelled", JobID: id.String()})
	return nil
}
