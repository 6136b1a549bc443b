package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"

	"github.com/urfave/cli/v2"

	"github.com/weftstream/weft/client"
	"github.com/weftstream/weft/conf"
)

// Process runs one of a cluster's processes in the foreground until it ends, and returns its exit code; err says what
// went wrong, if anything did. It handles signals itself.
type Process func(ctx context.Context, c conf.Configuration) (code int, err error)

// Env is what a command has of its process.
type Env struct {
	In       io.Reader
	Out, Err io.Writer
	// Terminal says that Err is one, InTerminal that In is one.
	Terminal, InTerminal bool
	// Getenv reads the environment.
	Getenv func(string) string
	// Providers are the places where clusters run.
	Providers []client.Provider
	// JobManager and TaskManager are the processes of a standalone cluster; Entrypoints those that a provider starts on
	// its nodes, by the name that follows `weft entrypoint`. They are given the configuration that the provider's value
	// holds, so the one they get here is empty.
	JobManager, TaskManager Process
	Entrypoints             map[string]Process
	// Weft is the path of this executable, User the operating system's user name.
	Weft, User string
	// TempDir is where the YARN properties file is, unless it is configured.
	TempDir string
	// Signals has commands end on SIGINT, SIGTERM and SIGHUP.
	Signals bool
}

// verb is what a verb's constructor makes.
type verb struct {
	command *cli.Command
	// json is where --json ends up; nil: the verb doesn't have it.
	json *bool
	// program says that options end at the first argument that is none: what follows is the application's own.
	program bool
	// process says that the verb handles signals itself.
	process bool
}

// verbs are all verbs, in the order of the help.
func verbs(env *Env) []verb {
	return []verb{
		runVerb(env), runApplicationVerb(env), infoVerb(env), listVerb(env), cancelVerb(env), stopVerb(env), savepointVerb(env), checkpointVerb(env), stateVerb(env), yarnSessionVerb(env),
		jobManagerVerb(env), taskManagerVerb(env), entrypointVerb(env), versionVerb(env),
	}
}

// Run runs one command: args are what follows the executable's name. It returns the process's exit code.
func Run(ctx context.Context, env *Env, args []string) int {
	all := verbs(env)
	name := ""
	if len(args) > 1 && args[0] == "help" { // weft help run
		args = []string{args[1], "--help"}
	}
	if len(args) > 0 {
		name = args[0]
	}
	var chosen *verb
	for i := range all {
		if all[i].command.HasName(name) {
			chosen = &all[i]
		}
	}
	if chosen == nil {
		return withoutVerb(env, all, name)
	}
	if env.Signals && !chosen.process {
		var stop func()
		ctx, stop = withSignals(ctx)
		defer stop()
	}
	err := chosen.run(ctx, env, args[1:])
	var usage *usageError
	if errors.As(err, &usage) && usage.verb == "" {
		usage.verb = name
	}
	code := exitCode(ctx, err)
	if chosen.json != nil && *chosen.json {
		reportJSON(env.Out, err, code)
	}
	report(env.Err, err)
	return code
}

// run parses the verb's arguments and runs it.
func (v *verb) run(ctx context.Context, env *Env, args []string) error {
	app := newApp(env, []verb{*v})
	return app.RunContext(ctx, append([]string{app.Name, v.command.Name}, rewrite(v.command, args, v.program)...))
}

func newApp(env *Env, verbs []verb) *cli.App {
	app := &cli.App{
		Name: "weft", HelpName: "weft", Usage: "stream processing in Go on Hadoop YARN",
		Writer: env.Out, ErrWriter: env.Err, HideHelpCommand: true, HideVersion: true, DisableSliceFlagSeparator: true,
		CustomAppHelpTemplate: appHelp,
		ExitErrHandler:        func(*cli.Context, error) {},
	}
	for _, v := range verbs {
		c := v.command
		c.HideHelpCommand, c.CustomHelpTemplate = true, verbHelp(c)
		c.OnUsageError = func(_ *cli.Context, err error, _ bool) error { return &usageError{verb: c.Name, err: plain(err)} }
		app.Commands = append(app.Commands, c)
	}
	return app
}

// plain takes the wording of package flag out of err.
func plain(err error) error {
	text := err.Error()
	if name, ok := strings.CutPrefix(text, "flag provided but not defined: "); ok {
		return fmt.Errorf("Unrecognized option: %s", name)
	}
	if name, ok := strings.CutPrefix(text, "flag needs an argument: "); ok {
		return fmt.Errorf("Missing argument for option: %s", name)
	}
	return err
}

// withoutVerb answers a command line that names no verb.
func withoutVerb(env *Env, all []verb, name string) int {
	help := func(w io.Writer) {
		app := newApp(env, all)
		app.Writer = w
		app.Setup()
		cli.ShowAppHelp(cli.NewContext(app, nil, nil)) //nolint:errcheck // an error of standard output
	}
	switch name {
	case "-h", "--help", "-help", "help":
		help(env.Out)
		return ExitOK
	case "-v", "--version", "-version":
		fmt.Fprintln(env.Out, versionText())
		return ExitOK
	case "":
		help(env.Err)
		fmt.Fprintln(env.Err, "\nPlease specify an action.")
		return ExitError
	}
	fmt.Fprintf(env.Err, "%q is not a valid action.\n\nValid actions are ", name)
	var names []string
	for _, v := range all {
		if !v.command.Hidden {
			names = append(names, fmt.Sprintf("%q", v.command.Name))
		}
	}
	fmt.Fprintf(env.Err, "%s.\n\nSpecify the version option (-v or --version) to print the version.\n\n"+
		"Specify the help option (-h or --help) to get help on the command.\n", strings.Join(names, ", "))
	return ExitError
}

// withSignals returns a context that the first signal ends, with a *signalError as its cause; the second one kills the
// process. stop ends the watch.
func withSignals(parent context.Context) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	list := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // under nohup it stays ignored
		list = append(list, syscall.SIGHUP)
	}
	c := make(chan os.Signal, 1)
	signal.Notify(c, list...)
	var watch sync.WaitGroup
	watch.Go(func() {
		select {
		case s := <-c:
			signal.Stop(c)
			cancel(&signalError{s})
		case <-ctx.Done():
			signal.Stop(c)
		}
	})
	return ctx, func() { cancel(nil); watch.Wait() }
}

// environment is what providers get of env.
func (env *Env) environment(log *slog.Logger) client.Environment {
	return client.Environment{Getenv: env.Getenv, Log: log, Err: env.Err, Terminal: env.Terminal, Weft: env.Weft, User: env.User}
}
