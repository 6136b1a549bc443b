// Command weft is Weft's one executable: the command line, and every process of a cluster. It hands the providers to the
// command line, and what they know of a process to the cluster's entrypoints.
package main

import (
	"context"
	"os"
	"os/user"

	"golang.org/x/term"

	"github.com/weftstream/weft/cli"
	"github.com/weftstream/weft/client"
	"github.com/weftstream/weft/standalone"
	"github.com/weftstream/weft/yarn"
)

func main() {
	env := &cli.Env{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr,
		Terminal: term.IsTerminal(int(os.Stderr.Fd())), InTerminal: term.IsTerminal(int(os.Stdin.Fd())),
		Getenv: os.Getenv, TempDir: os.TempDir(), Signals: true, User: userName(),
		Providers:  []client.Provider{yarn.Provider{}, standalone.Provider{}},
		JobManager: jobManager, TaskManager: taskManager,
		Entrypoints: map[string]cli.Process{
			"yarn-application": yarnJobManager, "yarn-session": yarnJobManager, "yarn-per-job": yarnJobManager,
			"yarn-taskmanager": yarnTaskManager,
		},
	}
	// Without it nothing can be deployed, which the provider says when it comes to that.
	env.Weft, _ = os.Executable()
	os.Exit(cli.Run(context.Background(), env, os.Args[1:]))
}

// userName is "" if the operating system doesn't tell.
func userName() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return os.Getenv("USER")
}
