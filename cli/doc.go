// Package cli is the command line: Flink's verbs, options, output lines and exit codes.
//
// Each verb has a file of its own: an options struct, a constructor that binds flags to it, and a plain function that
// does the work and that tests call. Whatever is of the process (streams, environment, providers, the processes of a
// cluster) comes in an Env. Results go to standard output, progress and logs to standard error; with --json standard
// output is one JSON object a line.
//
// urfave/cli parses options and prints help. Before it, arguments are rewritten (args.go): -Dk=v becomes -D k=v, and
// options after a job id move before it. What follows an application on the command line is the application's own and
// isn't looked at.
//
// A configuration is made once for a command, out of config.yaml, the YARN properties file, -D and flags, each over the
// one before (config.go). The package knows no provider: execution.target chooses one of Env.Providers.
//
// Goroutines: a command joins its own before Run returns. One waits for signals; one sweeps what ended clusters left
// behind, for a bounded time; an attached command has those that follow jobs.
package cli
