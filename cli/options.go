package cli

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/conf/file"
)

// Values of execution.target that the command line itself knows something of.
const (
	targetLocal       = "local"
	targetRemote      = "remote"
	targetSession     = "yarn-session"
	targetPerJob      = "yarn-per-job"
	targetApplication = "yarn-application"
)

// targets are all values of execution.target: local, and the providers'.
func (env *Env) targets() []string {
	all := []string{targetLocal}
	for _, p := range env.Providers {
		all = append(all, p.Targets()...)
	}
	return all
}

// managerYARN is the value of -m that stands for YARN.
const managerYARN = "yarn-cluster"

// commonOptions are every verb's that makes a configuration.
type commonOptions struct {
	dynamic cli.StringSlice
	json    bool
	verbose bool
}

func (o *commonOptions) flags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "D", Usage: "set a configuration key: -D`key=value`; may be repeated", Destination: &o.dynamic},
		&cli.BoolFlag{Name: "json", Usage: "write results to standard output as JSON, one object a line", Destination: &o.json},
		&cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, Usage: "log what else may be of interest", Destination: &o.verbose},
	}
}

// yarnOptions are the options of a YARN cluster: yarn-session's, and with the prefix "y" other verbs'.
type yarnOptions struct {
	id, queue, name, kind, label, namespace string
	jobManagerMemory, taskManagerMemory     string
	slots                                   string
	detached, query                         bool
	dynamic, ship                           cli.StringSlice
	jar                                     string
}

// flags binds them; prefix is "" or "y", and long that of long names: "" or "yarn".
func (o *yarnOptions) flags(prefix, long string) []cli.Flag {
	text := func(short, name, usage string, to *string) cli.Flag {
		return &cli.StringFlag{Name: long + name, Aliases: []string{prefix + short}, Usage: usage, Destination: to}
	}
	flags := []cli.Flag{
		text("id", "applicationId", "the YARN application of a running session", &o.id),
		text("qu", "queue", "YARN queue", &o.queue),
		text("jm", "jobManagerMemory", "memory of the JobManager's container; a bare number counts MB", &o.jobManagerMemory),
		text("tm", "taskManagerMemory", "memory of a TaskManager's container; a bare number counts MB", &o.taskManagerMemory),
		text("s", "slots", "task slots of a TaskManager", &o.slots),
		text("nm", "name", "name of the YARN application", &o.name),
		text("at", "applicationType", "type of the YARN application", &o.kind),
		text("nl", "nodeLabel", "node label of the YARN application", &o.label),
		text("z", "zookeeperNamespace", "name of the cluster in high-availability storage", &o.namespace),
		&cli.StringSliceFlag{Name: long + "ship", Aliases: []string{prefix + "t"}, Usage: "ship files", Destination: &o.ship, Hidden: true},
		&cli.StringFlag{Name: long + "jar", Aliases: []string{prefix + "j"}, Usage: "Flink's JAR", Destination: &o.jar, Hidden: true},
		&cli.BoolFlag{Name: long + "query", Aliases: []string{prefix + "q"}, Usage: "show what YARN has", Destination: &o.query, Hidden: true},
	}
	if prefix == "" {
		return append(flags, &cli.BoolFlag{Name: "detached", Aliases: []string{"d"}, Usage: "return when the session runs",
			Destination: &o.detached})
	}
	return append(flags,
		&cli.BoolFlag{Name: long + "detached", Aliases: []string{prefix + "d"}, Usage: "the same as -d", Destination: &o.detached, Hidden: true},
		&cli.StringSliceFlag{Name: prefix + "D", Usage: "the same as -D", Destination: &o.dynamic, Hidden: true})
}

// isSet says whether any option besides the detached one was given.
func (o *yarnOptions) isSet() bool {
	for _, s := range []string{o.id, o.queue, o.name, o.kind, o.label, o.namespace, o.jobManagerMemory, o.taskManagerMemory, o.slots} {
		if s != "" {
			return true
		}
	}
	return len(o.dynamic.Value()) > 0
}

// settings are what the options say, in the form of configuration keys; prefix is that of flags.
func (o *yarnOptions) settings(prefix string) ([]file.Dynamic, error) {
	switch {
	case len(o.ship.Value()) > 0:
		return nil, usagef("-%st: files aren't shipped: an application is one executable; read further files from HDFS", prefix)
	case o.query:
		return nil, usagef("-%sq: ask YARN itself: yarn node -list, yarn queue -status <queue>", prefix)
	}
	var s settings
	s.add(conf.YarnApplicationId.Key(), o.id, "-"+prefix+"id")
	s.add(conf.YarnApplicationQueue.Key(), o.queue, "-"+prefix+"qu")
	s.add(conf.JobManagerMemoryProcessSize.Key(), megabytes(o.jobManagerMemory), "-"+prefix+"jm")
	s.add(conf.TaskManagerMemoryProcessSize.Key(), megabytes(o.taskManagerMemory), "-"+prefix+"tm")
	s.add(conf.TaskManagerNumberOfTaskSlots.Key(), o.slots, "-"+prefix+"s")
	s.add(conf.YarnApplicationName.Key(), o.name, "-"+prefix+"nm")
	s.add(conf.YarnApplicationType.Key(), o.kind, "-"+prefix+"at")
	s.add(conf.YarnApplicationNodeLabel.Key(), o.label, "-"+prefix+"nl")
	s.add(conf.HighAvailabilityClusterId.Key(), o.namespace, "-"+prefix+"z")
	return s, nil
}

// megabytes gives a bare number the unit that Flink's YARN options have.
func megabytes(size string) string {
	if _, err := strconv.Atoi(strings.TrimSpace(size)); err == nil {
		return strings.TrimSpace(size) + "m"
	}
	return size
}

// targetOptions say which cluster a command is for.
type targetOptions struct {
	commonOptions
	target, executor, manager, namespace string
	ignoreProperties                     bool
	yarn                                 yarnOptions
}

func (o *targetOptions) flags() []cli.Flag {
	return append(append([]cli.Flag{
		&cli.StringFlag{Name: "target", Aliases: []string{"t"}, Usage: "where it runs: local, remote, yarn-session, yarn-per-job or yarn-application", Destination: &o.target},
		&cli.StringFlag{Name: "executor", Aliases: []string{"e"}, Usage: "an older name of -t", Destination: &o.executor, Hidden: true},
		&cli.StringFlag{Name: "jobmanager", Aliases: []string{"m"}, Usage: "`host:port` or URL of the REST endpoint of a running cluster", Destination: &o.manager},
		&cli.StringFlag{Name: "zookeeperNamespace", Aliases: []string{"z"}, Usage: "name of the cluster in high-availability storage", Destination: &o.namespace, Hidden: true},
		&cli.BoolFlag{Name: "ignore-properties", Usage: "don't look for a session in the YARN properties file", Destination: &o.ignoreProperties},
	}, o.commonOptions.flags()...), o.yarn.flags("y", "yarn")...)
}

// programOptions are those of an application to run.
type programOptions struct {
	class, jar, parallelism string
	arguments, classpath    cli.StringSlice
	detached, shutdown      bool
	savepoint, claim        string
	restore                 string
	unclaimed               bool
	application             []string // the application and what follows it
}

func (o *programOptions) flags() []cli.Flag {
	flags := []cli.Flag{
		&cli.StringFlag{Name: "parallelism", Aliases: []string{"p"}, Usage: "parallelism of operators that set none", Destination: &o.parallelism},
		&cli.BoolFlag{Name: "detached", Aliases: []string{"d"}, Usage: "don't wait for the end", Destination: &o.detached},
		&cli.BoolFlag{Name: "shutdownOnAttachedExit", Aliases: []string{"sae"}, Usage: "end the job when this command is ended, for example by Ctrl-C", Destination: &o.shutdown},
		&cli.StringFlag{Name: "class", Aliases: []string{"c"}, Usage: "main package to build, where the application is the directory of a module", Destination: &o.class},
		&cli.StringFlag{Name: "jarfile", Aliases: []string{"j"}, Usage: "the application; all that follows options is then its arguments", Destination: &o.jar, Hidden: true},
		&cli.StringSliceFlag{Name: "arguments", Aliases: []string{"a"}, Usage: "an argument of the application", Destination: &o.arguments, Hidden: true},
		&cli.StringSliceFlag{Name: "classpath", Aliases: []string{"C"}, Destination: &o.classpath, Hidden: true},
		&cli.StringFlag{Name: "fromSavepoint", Aliases: []string{"s"}, Usage: "start from the savepoint or checkpoint at this `path`", Destination: &o.savepoint},
		&cli.BoolFlag{Name: "allowNonRestoredState", Aliases: []string{"n"}, Usage: "leave out state that no operator claims", Destination: &o.unclaimed},
		&cli.StringFlag{Name: "claimMode", Aliases: []string{"cm"}, Usage: "who owns what -s names: no_claim, its user (default); claim, the job, which removes it when it is superseded; legacy is no_claim", Destination: &o.claim},
		&cli.StringFlag{Name: "restoreMode", Aliases: []string{"rm"}, Destination: &o.restore, Hidden: true},
	}
	for _, names := range pythonOptions {
		flags = append(flags, &cli.StringFlag{Name: names[1], Aliases: names[:1], Hidden: true,
			Action: func(*cli.Context, string) error {
				return usagef("-%s: applications are Go executables; there is no Python", names[0])
			}})
	}
	return flags
}

var pythonOptions = [][]string{
	{"py", "python"}, {"pyfs", "pyFiles"}, {"pym", "pyModule"}, {"pyreq", "pyRequirements"}, {"pyarch", "pyArchives"},
	{"pyexec", "pyExecutable"}, {"pyclientexec", "pyClientExecutable"}, {"pypath", "pyPythonPath"},
}

// check refuses what makes no sense here, and finds the application and its arguments among what follows the options.
func (o *programOptions) check(rest []string) error {
	switch {
	case len(o.classpath.Value()) > 0:
		return usagef("-C: there is no class path: an application is one executable with all that it needs")
	}
	if o.jar != "" {
		rest = append([]string{o.jar}, rest...)
	}
	if len(rest) == 0 {
		return usagef("the application is missing: an executable, an hdfs: path, or the directory of a Go package")
	}
	o.application = append(append([]string{rest[0]}, o.arguments.Value()...), rest[1:]...)
	return nil
}

// settings are what the options say, in the form of configuration keys. attached says what holds without -d.
func (o *programOptions) settings(detached bool) ([]file.Dynamic, error) {
	var s settings
	if o.parallelism != "" {
		if n, err := strconv.Atoi(o.parallelism); err != nil || n <= 0 {
			return nil, usagef("The parallelism must be a positive number: %s", o.parallelism)
		}
		s.add(conf.ParallelismDefault.Key(), o.parallelism, "--parallelism")
	}
	s.add(conf.ExecutionAttached.Key(), strconv.FormatBool(!o.detached && !detached), "--detached")
	if o.shutdown {
		s.add(conf.ExecutionShutdownOnAttachedExit.Key(), "true", "--shutdownOnAttachedExit")
	}
	s.add(conf.ExecutionStateRecoveryPath.Key(), o.savepoint, "--fromSavepoint")
	if o.unclaimed {
		s.add(conf.ExecutionStateRecoveryIgnoreUnclaimedState.Key(), "true", "--allowNonRestoredState")
	}
	for _, m := range [][2]string{{o.restore, "--restoreMode"}, {o.claim, "--claimMode"}} {
		s.add(conf.ExecutionStateRecoveryClaimMode.Key(), strings.ToUpper(m[0]), m[1])
	}
	return s, nil
}

// settings collects configuration keys.
type settings []file.Dynamic

// add adds one unless it is empty.
func (s *settings) add(key, value, origin string) {
	if value != "" {
		*s = append(*s, file.Dynamic{Key: key, Value: value, Origin: origin})
	}
}

// dynamic parses the values of -D.
func dynamic(values []string, origin string) ([]file.Dynamic, error) {
	var all []file.Dynamic
	var errs []error
	for _, v := range values {
		d, err := file.ParseDynamic(v, origin)
		if err != nil {
			errs = append(errs, err)
		}
		all = append(all, d)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, &usageError{err: fmt.Errorf("read configuration keys: %w", err)}
	}
	return all, nil
}
