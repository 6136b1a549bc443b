package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/weftstream/weft/client"
	"github.com/weftstream/weft/conf"
)

// runApplicationOptions are run-application's.
type runApplicationOptions struct {
	targetOptions
	programOptions
}

func runApplicationVerb(env *Env) verb {
	o := &runApplicationOptions{}
	return verb{program: true, json: &o.json, command: &cli.Command{
		Name: "run-application", Usage: "run an application in a cluster of its own, driver included",
		ArgsUsage: "[options] <application> [arguments]", Description: runApplicationExamples,
		Flags: append(o.programOptions.flags(), o.targetOptions.flags()...),
		Action: func(c *cli.Context) error {
			if err := o.check(c.Args().Slice()); err != nil {
				return err
			}
			return runApplication(c.Context, env, o)
		},
	}}
}

const runApplicationExamples = `The application's driver runs in the JobManager, so this command may end at any time without harm. It prints the
application's id, follows the application to its end and exits with 0 if that succeeded; with -d it returns as soon as
the application runs.

Examples:
  weft run-application -t yarn-application ./wordcount --input hdfs:///text --output hdfs:///counts
  weft run-application -t yarn-application -d -p 4 -Dtaskmanager.numberOfTaskSlots=2 hdfs:///apps/wordcount
  weft run-application -t yarn-application -Dyarn.application.queue=etl -c cmd/wordcount ./module`

// runApplication deploys an application cluster and, attached, follows it to its end.
func runApplication(ctx context.Context, env *Env, o *runApplicationOptions) error {
	settings, err := o.programOptions.settings(o.yarn.detached)
	if err != nil {
		return err
	}
	o.ignoreProperties = true // nothing that runs is looked for
	s, err := o.targetOptions.load(env, settings...)
	if err != nil {
		return err
	}
	switch s.target {
	case "", targetSession, targetPerJob:
		if o.target == "" && o.executor == "" {
			s.target = targetApplication // the only one that is meant by this verb
		}
	}
	if s.target != targetApplication {
		return usagef("-t %s: run-application deploys a cluster of its own, with -t %s; for a running one use weft run",
			s.target, targetApplication)
	}
	return s.deployApplication(ctx, &o.programOptions)
}

// deployApplication deploys an application cluster for the program that o names.
func (s *session) deployApplication(ctx context.Context, o *programOptions) error {
	app, err := s.application(ctx, o.application, o.class, need{cluster: true, remote: true})
	if err != nil {
		return err
	}
	defer app.close()
	p, err := s.open(s.target)
	if err != nil {
		return err
	}
	defer p.close()
	cluster, err := p.DeployApplication(ctx, app.Application)
	if err != nil {
		return fmt.Errorf("Couldn't deploy application cluster: %w", err)
	}
	s.print.deployed(cluster)
	f := &follower{s: s, place: p, cluster: cluster}
	if !conf.Get(s.conf, conf.ExecutionAttached) {
		return f.detached(ctx)
	}
	return f.attached(ctx)
}

// endError is the error for a cluster that ended as r says; nil if it succeeded.
func endError(what string, r client.Report) error {
	text := fmt.Sprintf("%s %s ended %s", what, r.ID, r.State)
	if r.Diagnostics != "" {
		text += ": " + r.Diagnostics
	}
	switch r.State {
	case client.Succeeded:
		return nil
	case client.Killed:
		return &exitError{ExitCanceled, errors.New(text)}
	}
	return &exitError{ExitFailed, fmt.Errorf("%s\n\nIts logs: yarn logs -applicationId %s", text, r.ID)}
}
