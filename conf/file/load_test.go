package file

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/weftstream/weft/conf"
)

// dirWith makes a configuration directory and the environment that names it.
func dirWith(t *testing.T, name, text string) (dir string, env func(string) string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir, environment("WEFT_CONF_DIR", dir)
}

func environment(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

const sample = `
# a comment
parallelism.default: 3
taskmanager:
  numberOfTaskSlots: 2
  memory:
    process.size: 256m
    managed:
      fraction: 0.10
containerized:
  taskmanager.env:
    LD_LIBRARY_PATH: /opt/Lib:/usr/lib # case kept
    Ld_library_path: other
yarn:
  ship-files:
    - /a/b
    - 'c;d'
  application.queue: "Root.ETL"
  application.name:
pipeline.global-job-parameters:
  Input: hdfs:///in
  n: 1
restart-strategy: failure-rate
restart-strategy.failure-rate.delay: &pause 5 s
heartbeat.interval: *pause
env.log.max: 010
`

func TestLoadYAML(t *testing.T) {
	dir, env := dirWith(t, Name, sample)
	c, warnings, err := Load(env, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"parallelism.default":                           "3",
		"taskmanager.numberOfTaskSlots":                 "2",
		"taskmanager.memory.process.size":               "256m",
		"taskmanager.memory.managed.fraction":           "0.10",
		"containerized.taskmanager.env.LD_LIBRARY_PATH": "/opt/Lib:/usr/lib",
		"containerized.taskmanager.env.Ld_library_path": "other",
		"yarn.ship-files":                               "/a/b;'c;d'",
		"yarn.application.queue":                        "Root.ETL",
		"pipeline.global-job-parameters.Input":          "hdfs:///in",
		"pipeline.global-job-parameters.n":              "1",
		"restart-strategy":                              "failure-rate",
		"restart-strategy.failure-rate.delay":           "5 s",
		"heartbeat.interval":                            "5 s",
		"env.log.max":                                   "010",
	}
	if got := c.Map(); !maps.Equal(got, want) {
		t.Errorf("loaded\n%v, want\n%v", got, want)
	}
	if got := conf.Get(c, conf.YarnShipFiles); !slices.Equal(got, []string{"/a/b", "c;d"}) {
		t.Errorf("list is %q", got)
	}
	if got := conf.Get(c, conf.PipelineGlobalJobParameters); !maps.Equal(got, map[string]string{"Input": "hdfs:///in", "n": "1"}) {
		t.Errorf("map is %v", got)
	}
	if got, want := c.Origin("taskmanager.memory.process.size"), filepath.Join(dir, Name)+":7"; got != want {
		t.Errorf("origin is %s, want %s", got, want)
	}
	warnings = slices.DeleteFunc(warnings, func(w conf.Warning) bool { return w.Kind == conf.NoEffect })
	if len(warnings) != 1 || warnings[0].Kind != conf.OlderKey {
		t.Errorf("warnings: %v", warnings)
	}
}

func TestPrecedence(t *testing.T) {
	_, env := dirWith(t, Name, "parallelism.default: 1\nrest.port: 1\nclient.timeout: 1 s\nbadly.spelt.key: x\nheartbeat.timeout: bad\n")
	c, warnings, err := Load(env, []Dynamic{
		{"parallelism.default", "2", "-D"}, {"parallelism.default", "3", "--parallelism"}, {"rest.port", "2", "-D"},
		{"heartbeat.timeout", "1 min", "-D"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if p, port := conf.Get(c, conf.ParallelismDefault), conf.Get(c, conf.RestPort); p != 3 || port != 2 {
		t.Errorf("parallelism %d, port %d", p, port)
	}
	if c.Origin("parallelism.default") != "--parallelism" || !strings.HasSuffix(c.Origin("client.timeout"), "config.yaml:3") {
		t.Errorf("origins %q, %q", c.Origin("parallelism.default"), c.Origin("client.timeout"))
	}
	if len(warnings) != 1 || !strings.HasSuffix(warnings[0].Origin, "config.yaml:4") {
		t.Errorf("warnings: %v", warnings)
	}
}

func TestDirectories(t *testing.T) {
	weft, _ := dirWith(t, Name, "parallelism.default: 1")
	flink, _ := dirWith(t, Name, "parallelism.default: 2")
	for _, test := range []struct {
		env  func(string) string
		want int
	}{
		{environment(), 1},
		{environment("WEFT_CONF_DIR", weft, "FLINK_CONF_DIR", flink), 1},
		{environment("FLINK_CONF_DIR", flink), 2},
	} {
		c, _, err := Load(test.env, nil)
		if got := conf.Get(c, conf.ParallelismDefault); err != nil || got != test.want {
			t.Errorf("parallelism %d, %v; want %d", got, err, test.want)
		}
	}
	missing := filepath.Join(weft, "missing")
	if _, _, err := Load(environment("FLINK_CONF_DIR", missing), nil); !errors.Is(err, fs.ErrNotExist) ||
		!strings.Contains(err.Error(), "FLINK_CONF_DIR="+missing) {
		t.Errorf("missing directory: %v", err)
	}
	if _, _, err := Load(environment("WEFT_CONF_DIR", filepath.Join(weft, Name)), nil); err == nil || !strings.Contains(err.Error(), "not a directory") {
		t.Errorf("a file for a directory: %v", err)
	}
	if _, _, err := Load(environment("WEFT_CONF_DIR", t.TempDir()), nil); !errors.Is(err, ErrNoFile) {
		t.Errorf("an empty directory: %v", err)
	}
}

func TestLegacyFile(t *testing.T) {
	dir, env := dirWith(t, LegacyName, "# old\nrest.port: 1 # comment\nrest.port: 2\nrest.address:\nflink.yarn.A.b: http://x:1/\n")
	c, _, err := Load(env, nil)
	want := map[string]string{"rest.port": "2", "flink.yarn.A.b": "http://x:1/"}
	if err != nil || !maps.Equal(c.Map(), want) {
		t.Errorf("loaded %v, %v; want %v", c.Map(), err, want)
	}
	if err := os.WriteFile(filepath.Join(dir, Name), []byte("rest.port: 3"), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, _, err = Load(env, nil); err != nil || conf.Get(c, conf.RestPort) != 3 {
		t.Errorf("config.yaml does not come first: %v, %v", c.Map(), err)
	}
	_, env = dirWith(t, LegacyName, "rest.port: 1\nno colon here\n")
	if _, _, err = Load(env, nil); err == nil || !strings.Contains(err.Error(), "flink-conf.yaml:2: expected key: value") {
		t.Errorf("bad line: %v", err)
	}
}

func TestBadFiles(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"bad YAML":          {"a: 1\nb: [1\nc: 2\n", "config.yaml:2: not valid YAML: did not find expected ',' or ']'"},
		"bad first line":    {"[a\n", "config.yaml:2: not valid YAML: "},
		"bad indent":        {"x: 1\na:\n  b: 1\n c: 2\n", "not valid YAML: "},
		"two colons":        {"x: 1\na: b: c\n", "config.yaml:2: not valid YAML: mapping values are not allowed"},
		"tab":               {"a:\n\tb: 1\n", "config.yaml:2: not valid YAML: "},
		"twice":             {"a.b: 1\na:\n  b: 2\n", "config.yaml:3: a.b is already set on line 1"},
		"not a mapping":     {"- a\n- b\n", "config.yaml:1: expected lines of the form key: value"},
		"two documents":     {"a: 1\n---\nb: 2\n", "a second document begins here"},
		"merge key":         {"x: &x\n  a: 1\ny:\n  <<: *x\n", "config.yaml:4: merge keys"},
		"key is a list":     {"? [a]\n: 1\n", "config.yaml:1: a key must be text"},
		"endless anchor":    {"a: &a\n  b: *a\n", "config.yaml"},
		"unknown anchor":    {"a: *b\n", "config.yaml"},
		"bad value":         {"rest:\n  port: high\n", `config.yaml:2: rest.port: bad value "high": expected a port from 0 to 65535`},
		"bad list":          {"yarn.ship-files: \"'a\"\n", "config.yaml:1: yarn.ship-files: bad value"},
		"list for a number": {"rest.port: [1, 2]\n", "config.yaml:1: rest.port: bad value"},
	} {
		t.Run(name, func(t *testing.T) {
			_, env := dirWith(t, Name, test.text)
			if _, _, err := Load(env, nil); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v does not say %q", err, test.want)
			}
		})
	}
}

func TestEmptyFiles(t *testing.T) {
	for _, text := range []string{"", "# nothing\n", "---\n", "null\n", "{}\n", "a:\n"} {
		_, env := dirWith(t, Name, text)
		if c, warnings, err := Load(env, nil); err != nil || len(c.Keys()) != 0 || len(warnings) != 0 {
			t.Errorf("%q: %v, %v, %v", text, c.Map(), warnings, err)
		}
	}
}

func TestParseDynamic(t *testing.T) {
	for text, want := range map[string]Dynamic{
		"a.B=c=d":     {"a.B", "c=d", "-D"},
		"a":           {"a", "true", "-D"},
		"a=":          {"a", "", "-D"},
		" a = b c ":   {"a", "b c", "-D"},
		"yarn.tags=x": {"yarn.tags", "x", "-D"},
	} {
		if got, err := ParseDynamic(text, "-D"); err != nil || got != want {
			t.Errorf("%q is %+v, %v; want %+v", text, got, err, want)
		}
	}
	if _, err := ParseDynamic("=b", "-D"); err == nil || !strings.Contains(err.Error(), "expected key=value") {
		t.Errorf("no key: %v", err)
	}
}

func FuzzParseYAML(f *testing.F) {
	f.Add([]byte(sample))
	f.Add([]byte("a: &a\n  b: *a\n"))
	f.Add([]byte("a: &x [*x]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		settings, err := parseYAML(data)
		if err != nil {
			return
		}
		seen := map[string]bool{}
		for _, s := range settings {
			if seen[s.key] || s.line < 1 {
				t.Fatalf("setting %+v: key twice or no line", s)
			}
			seen[s.key] = true
		}
	})
}
