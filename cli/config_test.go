package cli

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"github.com/weftstream/weft/conf"
)

// loaded parses a run command's options and returns its session.
func loaded(t *testing.T, k *kit, args string) (*session, error) {
	t.Helper()
	o := &runOptions{}
	v := runVerb(k.Env)
	v.command.Flags = append(o.programOptions.flags(), o.targetOptions.flags()...)
	v.command.Action = func(*cli.Context) error { return nil }
	app := newApp(k.Env, []verb{v})
	if err := app.Run(append([]string{"weft", "run"}, rewrite(v.command, append(strings.Fields(args), "app"), true)...)); err != nil {
		return nil, err
	}
	settings, err := o.programOptions.settings(o.yarn.detached)
	if err != nil {
		return nil, err
	}
	return o.targetOptions.load(k.Env, settings...)
}

func TestSettings(t *testing.T) {
	for args, want := range map[string]map[string]string{
		"":                             {"execution.attached": "true", "execution.target": ""},
		"-d":                           {"execution.attached": "false"},
		"-yd":                          {"execution.attached": "false"},
		"-sae":                         {"execution.shutdown-on-attached-exit": "true"},
		"-p 4":                         {"parallelism.default": "4"},
		"-Dparallelism.default=2":      {"parallelism.default": "2"},
		"-p 4 -Dparallelism.default=2": {"parallelism.default": "4"},
		"-t yarn-per-job":              {"execution.target": "yarn-per-job"},
		"-e remote":                    {"execution.target": "remote"},
		"-e remote -t local":           {"execution.target": "local"},
		"-Dexecution.target=remote":    {"execution.target": "remote"},
		"-m host:99":                   {"rest.address": "host", "rest.port": "99"},
		"-m http://host:99/a/b":        {"rest.address": "host", "rest.port": "99", "rest.path": "a/b"},
		"-m http://host/a":             {"rest.address": "host", "rest.port": "80", "rest.path": "a"},
		"-m [::1]:99":                  {"rest.address": "::1", "rest.port": "99"},
		"-yjm 512 -ytm 2g -ys 3":       {"jobmanager.memory.process.size": "512m", "taskmanager.memory.process.size": "2g", "taskmanager.numberOfTaskSlots": "3"},
		"-yqu etl -ynm n -yat T -ynl l -yz z": {"yarn.application.queue": "etl", "yarn.application.name": "n", "yarn.application.type": "T",
			"yarn.application.node-label": "l", "high-availability.cluster-id": "z"},
		"-yid " + appID:            {"yarn.application.id": appID},
		"-yDrest.port=1 -Dx.y=a,b": {"rest.port": "1", "x.y": "a,b"},
		"-Drest.port=1 -Drest.port=2 -Dexecution.attached": {"rest.port": "2"},
		"-cm claim -n": {"execution.state-recovery.claim-mode": "CLAIM", "execution.state-recovery.ignore-unclaimed-state": "true"},
	} {
		s, err := loaded(t, newKit(t), args)
		if err != nil {
			t.Errorf("%q: %v", args, err)
			continue
		}
		for key, value := range want {
			if got, _ := s.conf.Raw(key); got != value {
				t.Errorf("%q: %s is %q, want %q", args, key, got, value)
			}
		}
	}
}

func TestBadSettings(t *testing.T) {
	for args, want := range map[string]string{
		"-p 0":              "The parallelism must be a positive number: 0",
		"-p x":              "The parallelism must be a positive number: x",
		"-p -1":             "The parallelism must be a positive number: -1",
		"-m host":           "expected host:port",
		"-m http://":        "expected host:port",
		"-m https://host:1": "not HTTPS",
		"-Drest.port=high":  `-D: rest.port: bad value "high"`,
		"-ys many":          `-ys: taskmanager.numberOfTaskSlots: bad value "many"`,
		"-D =x":             `no key in "=x"`,
		"-yt /etc":          "files aren't shipped",
		"-yq":               "yarn node -list",
		"-pym module":       "-pym: applications are Go executables; there is no Python",
		"-unknown":          "Unrecognized option: -unknown",
		"-cm mine":          "--claimMode: execution.state-recovery.claim-mode: bad value",
	} {
		_, err := loaded(t, newKit(t), args)
		var usage *usageError
		if !errors.As(err, &usage) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want a usage mistake with %q", args, err, want)
		}
	}
}

// The target is found as Flink finds it.
func TestTarget(t *testing.T) {
	for _, test := range []struct {
		args, file, properties string
		target, id             string
	}{
		{"", "", "", "", ""},
		{"", "execution.target: yarn-per-job", appID, "yarn-per-job", ""},
		{"-t remote", "execution.target: yarn-per-job", "", "remote", ""},
		{"", "yarn.application.id: " + appID, "", "yarn-session", appID},
		{"-yid application_1_2", "", appID, "yarn-session", "application_1_2"},
		{"", "", appID, "yarn-session", appID},
		{"-t yarn-session", "", appID, "yarn-session", appID},
		{"-t yarn-session -Dyarn.application.id=application_1_2", "", appID, "yarn-session", "application_1_2"},
		{"", "execution.target: yarn-session", appID, "yarn-session", appID},
		{"-t yarn-session", "", "", "yarn-session", ""},
		{"-yd", "", appID, "yarn-session", appID},
		{"-yqu etl", "", appID, "", ""},
		{"--ignore-properties", "", appID, "", ""},
		{"-m yarn-cluster", "", appID, "yarn-per-job", ""},
		{"-m host:1", "", appID, "remote", ""},
		{"", "rest.address: host", "", "remote", ""},
		{"", "jobmanager.rpc.address: host", "", "remote", ""},
		{"", "rest.address: host", appID, "yarn-session", appID},
	} {
		k := newKit(t)
		if test.file != "" {
			k.env["WEFT_CONF_DIR"] = t.TempDir()
			write(t, filepath.Join(k.env["WEFT_CONF_DIR"], "config.yaml"), test.file)
		}
		if test.properties != "" {
			write(t, filepath.Join(k.TempDir, ".yarn-properties-alice"), "applicationID="+test.properties+"\n")
		}
		s, err := loaded(t, k, test.args)
		if err != nil {
			t.Errorf("%+v: %v", test, err)
			continue
		}
		if id := conf.Get(s.conf, conf.YarnApplicationId); s.target != test.target || id != test.id {
			t.Errorf("%+v: target %q, id %q", test, s.target, id)
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// What the session was started with is above the configuration file and below the command line.
func TestPropertiesPrecedence(t *testing.T) {
	k := newKit(t)
	k.env["FLINK_CONF_DIR"] = t.TempDir()
	write(t, filepath.Join(k.env["FLINK_CONF_DIR"], "config.yaml"), "rest.port: 1\nclient.timeout: 1 s\nweb.timeout: 1 s\n")
	write(t, filepath.Join(k.TempDir, ".yarn-properties-alice"),
		"applicationID="+appID+"\ndynamicPropertiesString=rest.port=2@@client.timeout=2 s\n")
	s, err := loaded(t, k, "-Dclient.timeout=3s")
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"rest.port": "2", "client.timeout": "3s", "web.timeout": "1 s"} {
		if got, _ := s.conf.Raw(key); got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	if !strings.Contains(k.err.String(), "Found Yarn properties file under "+filepath.Join(k.TempDir, ".yarn-properties-alice")) ||
		!strings.Contains(k.err.String(), appID) {
		t.Errorf("standard error: %s", k.err)
	}
}

func TestConfigurationDirectory(t *testing.T) {
	k := newKit(t)
	k.env["WEFT_CONF_DIR"] = filepath.Join(t.TempDir(), "missing")
	k.wants(k.run("list"), ExitConfiguration, nil, []string{"WEFT_CONF_DIR=", "The program finished with the following exception:"})
	if strings.Contains(k.err.String(), "Usage:") {
		t.Errorf("usage is shown: %s", k.err)
	}
	k = newKit(t)
	k.env["WEFT_CONF_DIR"] = t.TempDir()
	write(t, filepath.Join(k.env["WEFT_CONF_DIR"], "config.yaml"), "rest.port: bad\n")
	k.wants(k.run("list"), ExitConfiguration, nil, []string{"config.yaml:1: rest.port: bad value"})
	k = newKit(t)
	k.env["WEFT_CONF_DIR"] = t.TempDir()
	write(t, filepath.Join(k.env["WEFT_CONF_DIR"], "config.yaml"), "rest.adress: x\n")
	k.run("list")
	k.wants(ExitError, ExitError, nil, []string{"did you mean rest.address?"})
}

// A key that does nothing here is told to whoever just typed it; a file that Flink shares has many of them.
func TestKeysWithoutEffect(t *testing.T) {
	k := newKit(t)
	k.env["FLINK_CONF_DIR"] = t.TempDir()
	write(t, filepath.Join(k.env["FLINK_CONF_DIR"], "config.yaml"), "env.java.opts.all: -Xmx1g\n")
	k.wants(k.run(session1("list", "-Djobmanager.execution.attempts-history-size=3")...), ExitOK, nil,
		[]string{"INFO  configuration: -D: jobmanager.execution.attempts-history-size: has no effect"})
	if strings.Contains(k.err.String(), "env.java.opts.all") {
		t.Errorf("standard error: %s", k.err)
	}
	k.wants(k.run(session1("list", "-v")...), ExitOK, nil, []string{"env.java.opts.all: has no effect"})
}
