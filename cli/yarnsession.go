package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/weftstream/weft/client"
	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/conf/file"
)

// yarnSessionOptions are yarn-session's.
type yarnSessionOptions struct {
	commonOptions
	yarn yarnOptions
	stop string // the session that `yarn-session stop` is for
}

func yarnSessionVerb(env *Env) verb {
	o := &yarnSessionOptions{}
	return verb{json: &o.json, command: &cli.Command{
		Name: "yarn-session", Usage: "start a session on YARN, attach to one, or stop one", ArgsUsage: "[options] | stop <application id>",
		Description: `A session waits for jobs (weft run). Its application id is written to the YARN properties file, where later commands
find it. Attached, the command stays and reads: stop (or quit) ends the session, as Ctrl-C does, help shows this.

Examples:
  weft yarn-session -d -s 2 -tm 1g -qu etl
  weft yarn-session -id application_1700000000000_0001
  weft yarn-session stop application_1700000000000_0001`,
		Flags: append(o.yarn.flags("", ""), o.commonOptions.flags()...),
		Action: func(c *cli.Context) error {
			switch {
			case c.NArg() == 2 && c.Args().First() == "stop":
				o.stop = c.Args().Get(1)
			case c.NArg() == 1 && c.Args().First() == "stop":
				return usagef("stop: which one? weft yarn-session stop <application id>")
			case c.Args().Present():
				return usagef("unexpected argument: %s", c.Args().First())
			}
			return yarnSession(c.Context, env, o)
		},
	}}
}

// yarnSession deploys, attaches to, or stops a session.
func yarnSession(ctx context.Context, env *Env, o *yarnSessionOptions) error {
	settings, err := o.yarn.settings("")
	if err != nil {
		return err
	}
	settings = append(settings, file.Dynamic{Key: conf.ExecutionTarget.Key(), Value: targetSession, Origin: "yarn-session"},
		file.Dynamic{Key: conf.ExecutionAttached.Key(), Value: strconv.FormatBool(!o.yarn.detached), Origin: "--detached"})
	s, err := env.load(&o.commonOptions, settings...)
	if err != nil {
		return err
	}
	p, err := s.open(targetSession)
	if err != nil {
		return err
	}
	defer p.close()
	y := &sessionCommand{s: s, place: p, properties: &propertiesFile{path: s.propertiesPath()}}
	if o.stop != "" {
		return y.stop(ctx, o.stop)
	}
	if id := conf.Get(s.conf, conf.YarnApplicationId); id != "" {
		y.cluster, err = p.Retrieve(ctx, id)
		if err != nil {
			return fmt.Errorf("Couldn't retrieve Yarn cluster: %w", err)
		}
		y.properties.id = id
	} else if err := y.deploy(ctx, o.dynamic.Value()); err != nil {
		return err
	}
	s.print.deployed(y.cluster)
	if o.yarn.detached {
		s.log.Info("the session goes on without this command", "stop", "weft yarn-session stop "+y.cluster.ID,
			"kill", "yarn application -kill "+y.cluster.ID)
		return nil
	}
	if y.s.InTerminal {
		y.s.log.Info("type stop, or press Ctrl-C, to end the session")
	}
	return y.attached(ctx)
}

// sessionCommand is a yarn-session command and its session.
type sessionCommand struct {
	s          *session
	place      *place
	cluster    *client.Cluster
	properties *propertiesFile
}

// deploy starts a session and remembers it.
func (y *sessionCommand) deploy(ctx context.Context, dynamic []string) error {
	cluster, err := y.place.DeploySession(ctx)
	if err != nil {
		return fmt.Errorf("Couldn't deploy Yarn session cluster: %w", err)
	}
	y.cluster = cluster
	y.properties.id, y.properties.dynamic = cluster.ID, dynamic
	if err := y.properties.write(time.Now()); err != nil {
		y.s.log.Warn(err.Error()+": later commands need -Dyarn.application.id", "applicationId", cluster.ID)
	} else {
		y.s.log.Info("the session is remembered", "file", y.properties.path)
	}
	return nil
}

// stop ends a session that another command started.
func (y *sessionCommand) stop(ctx context.Context, id string) error {
	y.properties.id = id
	defer y.forget()
	cluster, err := y.place.Retrieve(ctx, id)
	switch {
	case errors.Is(err, client.ErrEnded):
		y.s.log.Info("the session has ended already", "applicationId", id)
		return nil
	case errors.Is(err, client.ErrNotFound):
		return fmt.Errorf("stop session %s: %w", id, err)
	case err != nil:
		y.s.log.Warn("the session can't be asked to stop and is killed", "applicationId", id, "cause", err)
		if err := y.place.Kill(ctx, id); err != nil {
			return fmt.Errorf("kill session %s: %w", id, err)
		}
	default:
		if err := y.s.shutdown(ctx, y.place, cluster); err != nil {
			return fmt.Errorf("stop session %s: %w", id, err)
		}
	}
	y.s.print.write(fmt.Sprintf("Stopped session %s.\n", id), event{Event: "stopped", ID: id})
	return nil
}

// forget removes the properties file if it names this session.
func (y *sessionCommand) forget() {
	if err := y.properties.remove(); err != nil && !errors.Is(err, errNotOwn) {
		y.s.log.Warn(err.Error())
	}
}
