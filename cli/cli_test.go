package cli

import (
	"context"
	"strings"
	"testing"

	"github.com/weftstream/weft/conf"
)

func TestWithoutVerb(t *testing.T) {
	for _, test := range []struct {
		args     string
		code     int
		out, err []string
	}{
		{"", ExitError, nil, []string{"Actions:", "run-application", "\nPlease specify an action.\n"}},
		{"-h", ExitOK, []string{"Usage: weft <action>", "cancel"}, nil},
		{"--help", ExitOK, []string{"Usage: weft <action>"}, nil},
		{"help", ExitOK, []string{"Usage: weft <action>"}, nil},
		{"-v", ExitOK, []string{"Version: ", ", Commit ID: "}, nil},
		{"--version", ExitOK, []string{"Version: "}, nil},
		{"version", ExitOK, []string{"Version: "}, nil},
		{"bogus", ExitError, nil, []string{"\"bogus\" is not a valid action.\n\nValid actions are \"run\", \"run-application\", \"info\", \"list\", \"cancel\", "}},
		{"savepoint", ExitError, nil, []string{"Missing JobID. Specify a Job ID to trigger a savepoint."}},
		{"stop", ExitError, nil, []string{"Missing JobID"}},
		{"stop --type avro 12", ExitError, nil, []string{"canonical or native"}},
		{"stop -p 12", ExitError, nil, []string{"12"}},
		{"checkpoint a b", ExitError, nil, []string{"unexpected argument: b"}},
		{"entrypoint", ExitError, nil, []string{`entrypoint "": expected one of`}},
		{"run -h", ExitOK, []string{"Usage: weft run [options] <application>", "-sae,--shutdownOnAttachedExit", "-D <key=value>", "Examples:"}, nil},
		{"run", ExitError, nil, []string{"the application is missing", "Usage: weft run ", "\nUse the help option (-h or --help) to get help on the command.\n"}},
		{"run --bogus", ExitError, nil, []string{"Unrecognized option: -bogus"}},
		{"run -p", ExitError, nil, []string{"Missing argument for option: -p"}},
		{"run -C x app", ExitError, nil, []string{"there is no class path"}},
		{"run app", ExitError, nil, []string{"where is it to run? -t yarn-session"}},
		{"help run", ExitOK, []string{"Usage: weft run [options] <application>"}, nil},
		{"help bogus", ExitError, nil, []string{"\"bogus\" is not a valid action."}},
		{"run -t mars /dev/null", ExitError, nil, []string{"-t mars (execution.target): there is no such target; expected one of local, yarn-session, yarn-per-job"}},
		{"run -t remote /dev/null", ExitError, nil, []string{"not an executable"}},
		{"list x", ExitError, nil, []string{"unexpected argument: x"}},
		{"list", ExitError, nil, []string{"No cluster id was specified. Please specify a cluster to which you would like to connect"}},
		{"list -t mars", ExitError, nil, []string{"-t mars", "expected one of"}},
		{"list -t local", ExitError, nil, []string{"-t local: there is no running cluster to find"}},
		{"list -t yarn-session", ExitError, nil, []string{"No cluster id was specified."}},
		{"list -t remote", ExitError, nil, []string{"-m host:port, or rest.address, is missing"}},
		{"cancel", ExitError, nil, []string{"Missing JobID. Specify a JobID to cancel a job."}},
		{"cancel 12 -m h:1", ExitError, nil, []string{`parse job id "12"`}},
		{"cancel -s 12", ExitError, nil, []string{"12"}},
		{"cancel 1 2", ExitError, nil, []string{"unexpected argument: 2"}},
		{"yarn-session stop", ExitError, nil, []string{"weft yarn-session stop <application id>"}},
		{"yarn-session go", ExitError, nil, []string{"unexpected argument: go"}},
		{"jobmanager x", ExitError, nil, []string{"unexpected argument: x"}},
		{"taskmanager", ExitError, nil, []string{"built without the taskmanager"}},
	} {
		k := newKit(t)
		k.wants(k.run(strings.Fields(test.args)...), test.code, test.out, test.err)
		if t.Failed() {
			t.Fatalf("weft %s", test.args)
		}
		if test.code == ExitOK && k.err.String() != "" || test.code != ExitOK && k.out.String() != "" {
			t.Errorf("weft %s: standard output %q, standard error %q", test.args, k.out, k.err)
		}
	}
}

func TestProcesses(t *testing.T) {
	k := newKit(t)
	k.Entrypoints = map[string]Process{"kind": func(_ context.Context, c conf.Configuration) (int, error) { return 163, nil }}
	k.wants(k.run("entrypoint", "kind"), 163, nil, nil)
	if k.err.String() != "" {
		t.Errorf("standard error: %s", k.err)
	}
	k.JobManager = func(_ context.Context, c conf.Configuration) (int, error) {
		return conf.Get(c, conf.RestPort), nil
	}
	k.wants(k.run("jobmanager", "-Drest.port=7"), 7, nil, nil)
	k.JobManager = func(context.Context, conf.Configuration) (int, error) { return 0, nil }
	k.wants(k.run("jobmanager"), ExitOK, nil, nil)
	k.JobManager = func(context.Context, conf.Configuration) (int, error) { return 31, context.DeadlineExceeded }
	k.wants(k.run("jobmanager"), 31, nil, []string{"deadline exceeded"})
}

func TestHelpOfEveryVerb(t *testing.T) {
	for _, v := range verbs(&Env{}) {
		if v.command.Hidden {
			continue
		}
		k := newKit(t)
		k.wants(k.run(v.command.Name, "--help"), ExitOK, []string{"Usage: weft " + v.command.Name, "-h,--help"}, nil)
		if v.command.Name != "version" && !strings.Contains(k.out.String(), "Examples:\n  weft "+v.command.Name) {
			t.Errorf("weft %s --help has no example:\n%s", v.command.Name, k.out)
		}
	}
}
