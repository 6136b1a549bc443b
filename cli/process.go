package cli

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/weftstream/weft/conf"
)

func jobManagerVerb(env *Env) verb {
	return processVerb(env, "jobmanager", "run the JobManager of a standalone cluster in the foreground", env.JobManager,
		`It listens on jobmanager.rpc.port and rest.port. When it starts for the first time it writes certificates and the REST
token into the directory weft.security.dir: copy taskmanager.pem to the machines of TaskManagers, rest.token to those of
clients.

Examples:
  weft jobmanager -Dweft.security.dir=/etc/weft/security
  weft jobmanager -Djobmanager.rpc.address=node1 -Drest.port=8081`)
}

func taskManagerVerb(env *Env) verb {
	return processVerb(env, "taskmanager", "run a TaskManager of a standalone cluster in the foreground", env.TaskManager,
		`It registers with the JobManager at jobmanager.rpc.address, and again when it has lost it.

Examples:
  weft taskmanager -Djobmanager.rpc.address=node1 -Dweft.security.dir=/etc/weft/security
  weft taskmanager -Dtaskmanager.numberOfTaskSlots=4 -Dtaskmanager.memory.process.size=2g`)
}

func processVerb(env *Env, name, usage string, run Process, description string) verb {
	o := &commonOptions{}
	return verb{process: true, command: &cli.Command{Name: name, Usage: usage, ArgsUsage: "[options]", Description: description,
		Flags: o.flags()[:1], // -D
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return usagef("unexpected argument: %s", c.Args().First())
			}
			s, err := env.load(o)
			if err != nil {
				return err
			}
			if run == nil {
				return fmt.Errorf("this executable was built without the %s", name)
			}
			return processError(run(c.Context, s.conf))
		}}}
}

// entrypointVerb is what providers start on their nodes; it isn't for people.
func entrypointVerb(env *Env) verb {
	return verb{process: true, program: true, command: &cli.Command{Name: "entrypoint", Hidden: true,
		Usage: "run a process of a cluster; a provider starts it", ArgsUsage: "<kind>",
		Action: func(c *cli.Context) error {
			run, ok := env.Entrypoints[c.Args().First()]
			if !ok {
				return usagef("entrypoint %q: expected one of %s", c.Args().First(),
					strings.Join(slices.Sorted(maps.Keys(env.Entrypoints)), ", "))
			}
			return processError(run(c.Context, conf.Configuration{}))
		}}}
}

// processError makes an error of how a process ended.
func processError(code int, err error) error {
	if code == ExitOK && err == nil {
		return nil
	}
	if code == ExitOK {
		code = ExitError
	}
	return &exitError{code, err}
}
