package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/rest/api"
)

// listOptions are list's.
type listOptions struct {
	targetOptions
	running, scheduled, all bool
}

func listVerb(env *Env) verb {
	o := &listOptions{}
	return verb{json: &o.json, command: &cli.Command{
		Name: "list", Usage: "list the jobs of a running cluster", ArgsUsage: "[options]", Description: `Without options, running and scheduled jobs.

Examples:
  weft list -t yarn-session -Dyarn.application.id=application_1700000000000_0001
  weft list -a -m jobmanager:8081
  weft list -a --json`,
		Flags: append([]cli.Flag{
			&cli.BoolFlag{Name: "running", Aliases: []string{"r"}, Usage: "running jobs", Destination: &o.running},
			&cli.BoolFlag{Name: "scheduled", Aliases: []string{"s"}, Usage: "jobs that don't run yet", Destination: &o.scheduled},
			&cli.BoolFlag{Name: "all", Aliases: []string{"a"}, Usage: "all jobs, also those that have ended", Destination: &o.all},
		}, o.flags()...),
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return usagef("unexpected argument: %s", c.Args().First())
			}
			return list(c.Context, env, o)
		},
	}}
}

// list prints the cluster's jobs.
func list(ctx context.Context, env *Env, o *listOptions) error {
	s, err := o.load(env)
	if err != nil {
		return err
	}
	c, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer c.close()
	s.print.text("Waiting for response...\n")
	limited, cancel := context.WithTimeout(ctx, conf.Get(s.conf, conf.ClientTimeout))
	defer cancel()
	jobs, err := c.Jobs(limited)
	if err != nil {
		return fmt.Errorf("Failed to retrieve job list: %w", err)
	}
	groups := groupJobs(jobs)
	if !o.running && !o.scheduled && !o.all {
		o.running, o.scheduled = true, true
	}
	s.print.write(o.text(groups), o.selected(groups))
	return nil
}

// The groups of jobs, in their order.
const (
	groupRunning = iota
	groupScheduled
	groupTerminated
)

// groupJobs sorts jobs by state, then by when they started.
func groupJobs(jobs []api.JobOverview) (groups [3][]api.JobOverview) {
	jobs = slices.Clone(jobs)
	slices.SortStableFunc(jobs, func(a, b api.JobOverview) int {
		if c := strings.Compare(a.State, b.State); c != 0 {
			return c
		}
		return int(a.StartTime - b.StartTime)
	})
	for _, j := range jobs {
		g := groupRunning
		switch j.State {
		case "CREATED", "INITIALIZING":
			g = groupScheduled
		case "FINISHED", "FAILED", "CANCELED":
			g = groupTerminated
		}
		groups[g] = append(groups[g], j)
	}
	return groups
}

// selected are the jobs that were asked for; never nil.
func (o *listOptions) selected(groups [3][]api.JobOverview) []api.JobOverview {
	jobs := []api.JobOverview{}
	for g, wanted := range [3]bool{o.running || o.all, o.scheduled || o.all, o.all} {
		if wanted {
			jobs = append(jobs, groups[g]...)
		}
	}
	return jobs
}

// text is what Flink's client prints.
func (o *listOptions) text(groups [3][]api.JobOverview) string {
	var b strings.Builder
	section := func(header string, jobs []api.JobOverview, none string) {
		if len(jobs) == 0 {
			b.WriteString(none)
			return
		}
		b.WriteString(header + "\n")
		for _, j := range jobs {
			fmt.Fprintf(&b, "%s : %s : %s (%s)\n", time.UnixMilli(j.StartTime).Format("02.01.2006 15:04:05"), j.ID, j.Name, j.State)
		}
		b.WriteString(strings.Repeat("-", 62) + "\n")
	}
	if o.running || o.all {
		section("------------------ Running/Restarting Jobs -------------------", groups[groupRunning], "No running jobs.\n")
	}
	if o.scheduled || o.all {
		section("----------------------- Scheduled Jobs -----------------------", groups[groupScheduled], "No scheduled jobs.\n")
	}
	if o.all {
		section("---------------------- Terminated Jobs -----------------------", groups[groupTerminated], "")
	}
	return b.String()
}
