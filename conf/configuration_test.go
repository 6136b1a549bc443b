package conf

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

func build(t *testing.T, pairs ...string) (Configuration, []Warning) {
	t.Helper()
	var b Builder
	for i := 0; i < len(pairs); i += 2 {
		b.Set(pairs[i], pairs[i+1], "-D")
	}
	c, warnings, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return c, warnings
}

func TestGetValueOrDefault(t *testing.T) {
	var zero Configuration
	if got := Get(zero, ParallelismDefault); got != 1 {
		t.Errorf("default parallelism is %d", got)
	}
	if v, isSet := Lookup(zero, YarnApplicationQueue); isSet || v != "" {
		t.Errorf("queue is %q, %v without being set", v, isSet)
	}
	c, warnings := build(t,
		"parallelism.default", " 8 ",
		"taskmanager.memory.process.size", "1g",
		"execution.buffer-timeout.interval", "5 s",
		"execution.shutdown-on-attached-exit", "TRUE",
		"restart-strategy.type", "fixeddelay",
		"execution.runtime-mode", "batch",
		"yarn.ship-files", "a;b",
		"pipeline.global-job-parameters", "k:v",
		"yarn.application-attempt-failures-validity-interval", "-1",
		"taskmanager.cpu.cores", "1.5",
		"rest.bind-port", "9000-9001",
	)
	for _, w := range warnings {
		if w.Kind != NoEffect {
			t.Errorf("warning: %v", w)
		}
	}
	check := func(what string, ok bool) {
		t.Helper()
		if !ok {
			t.Errorf("%s is not what was set", what)
		}
	}
	check("int", Get(c, ParallelismDefault) == 8)
	check("memory size", Get(c, TaskManagerMemoryProcessSize) == Gibibyte)
	check("duration", Get(c, ExecutionBufferTimeoutInterval) == 5*time.Second)
	check("boolean", Get(c, ExecutionShutdownOnAttachedExit))
	check("enum synonym", Get(c, RestartStrategyType) == "fixed-delay")
	check("enum in another case", Get(c, ExecutionRuntimeMode) == "BATCH")
	check("list", slices.Equal(Get(c, YarnShipFiles), []string{"a", "b"}))
	check("map", maps.Equal(Get(c, PipelineGlobalJobParameters), map[string]string{"k": "v"}))
	check("int64", Get(c, YarnApplicationAttemptFailuresValidityInterval) == -1)
	check("double", Get(c, TaskManagerCpuCores) == 1.5)
	check("ports", Get(c, RestBindPort).String() == "9000-9001")
	if raw, _ := c.Raw("parallelism.default"); raw != " 8 " {
		t.Errorf("raw value is %q, not as written", raw)
	}
	if got := c.Origin("parallelism.default"); got != "-D" {
		t.Errorf("origin is %q", got)
	}
}

func TestMapFromKeysBelow(t *testing.T) {
	c, warnings := build(t, "pipeline.global-job-parameters.Input", "x:y,z", "pipeline.global-job-parameters.b", "2")
	want := map[string]string{"Input": "x:y,z", "b": "2"}
	if got := Get(c, PipelineGlobalJobParameters); !maps.Equal(got, want) || len(warnings) != 0 {
		t.Errorf("map is %v, want %v; warnings %v", got, want, warnings)
	}
}

func TestDefaultsCannotBeChangedThroughWhatGetReturns(t *testing.T) {
	ports := Get(Configuration{}, RestBindPort)
	ports[0].First = 1
	if Get(Configuration{}, RestBindPort)[0].First != 8081 {
		t.Error("the default changed with the value Get returned")
	}
}

func TestBadValuesNameKeyValueAndForm(t *testing.T) {
	for _, test := range []struct{ key, value, want string }{
		{"parallelism.default", "x", `config.yaml:3: parallelism.default: bad value "x": expected a whole number of at least 1`},
		{"parallelism.default", "0", `bad value "0": expected a whole number of at least 1`},
		{"parallelism.default", "3000000000", `expected a whole number of at least 1`},
		{"parallelism.default", "", `bad value "": expected a whole number`},
		{"rest.port", "65536", `expected a port from 0 to 65535`},
		{"taskmanager.memory.process.size", "12 parsecs", `bad value "12 parsecs": expected a memory size, like 256m, 64 kb or 1 gb`},
		{"heartbeat.interval", "1.5 s", `expected a duration, like 500 ms, 5 s, 1 min`},
		{"heartbeat.interval", "-1 s", `not negative`},
		{"execution.attached", "yes", `expected true or false`},
		{"taskmanager.memory.managed.fraction", "1.5", `expected a fraction from 0 to 1`},
		{"taskmanager.memory.managed.fraction", "NaN", `expected a fraction from 0 to 1`},
		{"security.rest.authentication", "kerberos", `expected one of token, none`},
		{"restart-strategy", "sometimes", `restart-strategy: bad value "sometimes": expected one of none, fixed-delay`},
		{"pipeline.max-parallelism", "40000", `-1 or a whole number from 1 to 32768`},
		{"rest.bind-port", "9-1", `expected a port, a range or a list`},
		{"yarn.ship-files", "'a", `expected a list, like a;b;c`},
		{"pipeline.global-job-parameters", "a:b:c", `expected a map, like key1:value1`},
		{"weft.cluster.platform", "linux", `expected GOOS/GOARCH`},
		{"web.port", "http", `web.port: bad value "http": expected a port`},
	} {
		_, _, err := new(Builder).Set(test.key, test.value, "config.yaml:3").Build()
		var bad *ValueError
		if !errors.As(err, &bad) || bad.Key != test.key || bad.Value != test.value {
			t.Errorf("%s=%s: %v is no ValueError of them", test.key, test.value, err)
		} else if !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s=%s:\n got %v\nwant %s", test.key, test.value, err, test.want)
		}
	}
}

func TestAllBadValuesAreReported(t *testing.T) {
	_, _, err := new(Builder).Set("rest.port", "x", "").Set("heartbeat.timeout", "y", "").Set("client.timeout", "1 s", "").Build()
	if err == nil || !strings.Contains(err.Error(), "rest.port") || !strings.Contains(err.Error(), "heartbeat.timeout") {
		t.Errorf("error %v does not name both keys", err)
	}
}

func TestLaterLayersReplaceEarlierOnes(t *testing.T) {
	c, _ := build(t, "parallelism.default", "1", "parallelism.default", "2")
	if got := Get(c, ParallelismDefault); got != 2 {
		t.Errorf("parallelism is %d, want the later 2", got)
	}
	// A bad value that is replaced does no harm.
	if c, _ = build(t, "parallelism.default", "x", "parallelism.default", "3"); Get(c, ParallelismDefault) != 3 {
		t.Error("the later value does not count")
	}
}

func TestMergeKeepsOrigins(t *testing.T) {
	below, _ := build(t, "rest.port", "1", "parallelism.default", "2")
	c, _, err := new(Builder).Merge(below).Set("rest.port", "3", "--port").Build()
	if err != nil || Get(c, RestPort) != 3 || Get(c, ParallelismDefault) != 2 || c.Origin("parallelism.default") != "-D" {
		t.Errorf("merged %v, %v", c.Map(), err)
	}
}

func TestOlderNames(t *testing.T) {
	c, warnings := build(t, "restart-strategy", "none", "web.port", "9999")
	if got := Get(c, RestartStrategyType); got != "none" {
		t.Errorf("restart-strategy.type is %q under its older name", got)
	}
	if Get(c, RestPort) != 9999 || Get(c, RestBindPort).String() != "9999" {
		t.Error("web.port does not stand in for rest.port and rest.bind-port")
	}
	if len(warnings) != 2 || warnings[0].Kind != OlderKey || !strings.Contains(warnings[0].String(), "older name of restart-strategy.type") {
		t.Errorf("warnings: %v", warnings)
	}
	if c, _ = build(t, "restart-strategy", "none", "restart-strategy.type", "failure-rate"); Get(c, RestartStrategyType) != "failure-rate" {
		t.Error("the newer name does not come first")
	}
	if c, _ = build(t, "restart-strategy.type", "failure-rate", "restart-strategy", "none"); Get(c, RestartStrategyType) != "none" {
		t.Error("an older name in a later layer does not replace the newer one in an earlier layer")
	}
	// A key that is an option of its own stands in for another without taking its place.
	if c, _ = build(t, "rest.address", "a", "jobmanager.rpc.address", "b"); Get(c, RestAddress) != "a" {
		t.Error("jobmanager.rpc.address took rest.address's place")
	}
	if c, _ = build(t, "jobmanager.rpc.address", "b"); Get(c, RestAddress) != "b" {
		t.Error("jobmanager.rpc.address does not stand in for rest.address")
	}
}

func TestUnknownKeySuggestsTheNearest(t *testing.T) {
	for key, want := range map[string]string{
		"paralelism.default":             "unknown key; did you mean parallelism.default?",
		"taskmanager.numberOfTaskSlot":   "unknown key; did you mean taskmanager.numberOfTaskSlots?",
		"taskmanager.numberoftaskslots":  "unknown key; did you mean taskmanager.numberOfTaskSlots?",
		"yarn.aplication.queue":          "unknown key; did you mean yarn.application.queue?",
		"rest.prot":                      "unknown key; did you mean rest.port?",
		"my.company.own.key":             "unknown key",
		"containerized.taskmanager.env.": "unknown key",
	} {
		c, warnings := build(t, key, "1")
		if len(warnings) != 1 || warnings[0].Kind != UnknownKey || warnings[0].Text != want {
			t.Errorf("%s: warnings %v, want %q", key, warnings, want)
		}
		if v, ok := c.Raw(key); !ok || v != "1" {
			t.Errorf("%s is not kept", key)
		}
	}
}

func TestKeysOfTheJVMAreAcceptedWithANote(t *testing.T) {
	_, warnings := build(t, "env.java.opts.all", "-Xmx1g", "kubernetes.cluster-id", "x", "metrics.reporter.prom.port", "9249", "env.java.opts", "")
	if len(warnings) != 4 {
		t.Fatalf("warnings: %v", warnings)
	}
	for _, w := range warnings {
		if w.Kind != NoEffect || !strings.HasPrefix(w.Text, "has no effect: ") {
			t.Errorf("warning %v", w)
		}
	}
	if got := warnings[1].String(); got != "-D: env.java.opts.all: has no effect: there is no JVM here" {
		t.Errorf("note is %q", got)
	}
}

// flinkKeys reads the keys of Flink with their defaults.
func flinkKeys(t *testing.T) map[string]string {
	t.Helper()
	data, err := os.ReadFile("testdata/flink-keys.txt")
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]string{}
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimRight(line, "\n"); line != "" && line[0] != '#' {
			key, value, _ := strings.Cut(line, "\t")
			keys[key] = value
		}
	}
	if len(keys) < 550 {
		t.Fatalf("only %d keys", len(keys))
	}
	return keys
}

func TestADeclaredKeyMayBeWithoutEffect(t *testing.T) {
	c := newCatalog(declared, []Meta{{Key: "rest.port", NoEffect: "nothing reads it"}, {Key: "rest.<key>", NoEffect: "a pattern"}})
	if m, ok := c.noEffect("rest.port"); !ok || m.NoEffect != "nothing reads it" {
		t.Errorf("rest.port has an effect: %v", m)
	}
	if m, ok := c.noEffect("rest.address"); ok {
		t.Errorf("a pattern takes the effect of a declared key: %v", m)
	}
	if _, ok := c.noEffect("rest.other"); !ok {
		t.Error("the pattern matches nothing")
	}
}

func TestEveryKeyOfFlinkIsKnown(t *testing.T) {
	for key := range flinkKeys(t) {
		key = strings.NewReplacer("<", "", ">", "").Replace(key)
		if _, warnings := build(t, key, validValue(key)); len(warnings) > 0 && warnings[0].Kind == UnknownKey {
			t.Error(warnings[0])
		}
	}
}

// validValue is a value the key accepts.
func validValue(key string) string {
	for _, value := range []string{"1", "true", "1:1", "false", "", "linux/amd64", "/", "none", "INFO", "EXACTLY_ONCE", "32kb"} {
		if checkValue(key, setting{value: value}) == nil {
			return value
		}
	}
	for _, d := range append(options().byOlder[key], options().byKey[key]) {
		if d != nil && len(d.describe().Values) > 0 {
			return d.describe().Values[0]
		}
	}
	return ""
}

func TestDifferencesFromFlinkAreNoted(t *testing.T) {
	flink := flinkKeys(t)
	for _, m := range Options() {
		theirs, known := flink[m.Key]
		switch {
		case m.NoEffect != "" || m.Prefix:
		case known && theirs != m.Default && m.FlinkDefault == "":
			t.Errorf("%s: default %q differs from Flink's %q without a note", m.Key, m.Default, theirs)
		case !known && !m.Own:
			t.Errorf("%s is neither Flink's nor marked as Weft's own", m.Key)
		}
	}
}

func TestDeclarations(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range Options() {
		if seen[m.Key] {
			t.Errorf("%s is declared twice", m.Key)
		}
		seen[m.Key] = true
		if m.NoEffect != "" {
			continue
		}
		if !strings.HasSuffix(m.Description, ".") || strings.Contains(m.Description, "\n") {
			t.Errorf("%s: description %q is not a sentence", m.Key, m.Description)
		}
		if (m.FlinkDefault == "") != (m.Reason == "") {
			t.Errorf("%s: a difference from Flink needs its default and a reason", m.Key)
		}
	}
	for _, d := range declared {
		if m := d.describe(); m.HasDefault && !d.valid(m.Default) {
			t.Errorf("%s: default %q is not accepted", m.Key, m.Default)
		}
	}
}

func TestCaseIsKept(t *testing.T) {
	c, warnings := build(t, "containerized.taskmanager.env.LD_LIBRARY_PATH", "/Lib", "containerized.taskmanager.env.ld", "x",
		"flink.yarn.Some.Key", "V")
	if len(warnings) != 0 {
		t.Errorf("warnings: %v", warnings)
	}
	want := map[string]string{"LD_LIBRARY_PATH": "/Lib", "ld": "x"}
	if got := c.WithPrefix(ContainerizedTaskManagerEnv.Key()); !maps.Equal(got, want) {
		t.Errorf("environment is %v, want %v", got, want)
	}
	if got := c.WithPrefix(FlinkYarn.Key()); !maps.Equal(got, map[string]string{"Some.Key": "V"}) {
		t.Errorf("YARN properties are %v", got)
	}
}

func TestWithLeavesTheOriginalAlone(t *testing.T) {
	before, _ := build(t, "parallelism.default", "2")
	after, err := With(before, ParallelismDefault, 7)
	if err != nil || Get(after, ParallelismDefault) != 7 || Get(before, ParallelismDefault) != 2 {
		t.Errorf("with: %v, after %d, before %d", err, Get(after, ParallelismDefault), Get(before, ParallelismDefault))
	}
	same, err := With(before, ParallelismDefault, 0)
	if err == nil || !same.Equal(before) {
		t.Errorf("a parallelism of 0 was accepted: %v", same.Map())
	}
	var zero Configuration
	if c, err := With(zero, RestPort, 1); err != nil || Get(c, RestPort) != 1 || len(zero.Keys()) != 0 {
		t.Errorf("with on the zero value: %v, %v", c.Map(), err)
	}
	if c := before.Without("parallelism.default"); Get(c, ParallelismDefault) != 1 || Get(before, ParallelismDefault) != 2 {
		t.Error("without did not unset the key in the copy alone")
	}
}

func TestJSONRoundTrip(t *testing.T) {
	c, _ := build(t, "parallelism.default", "2", "containerized.master.env.A_b", "x=\"y\"", "some.unknown.key", "1 ")
	data, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var back Configuration
	if err := json.Unmarshal(data, &back); err != nil || !back.Equal(c) {
		t.Errorf("read back %v, %v from %s", back.Map(), err, data)
	}
	for _, bad := range []string{`{"parallelism.default":"x"}`, `{"parallelism.default":1}`, `[]`} {
		if err := json.Unmarshal([]byte(bad), &back); err == nil {
			t.Errorf("%s was accepted", bad)
		}
	}
	if !back.Equal(c) {
		t.Error("a failed read changed the configuration")
	}
	var empty Configuration
	if data, err := json.Marshal(empty); err != nil || string(data) != "{}" {
		t.Errorf("the zero value is %s, %v", data, err)
	}
}

func TestSecretsAreNotShown(t *testing.T) {
	c, _ := build(t, "security.ssl.rest.Keystore-Password", "hunter2", "flink.hadoop.fs.s3a.secret.key", "abc", "rest.port", "1")
	m := c.Masked()
	if m["security.ssl.rest.Keystore-Password"] != Mask || m["flink.hadoop.fs.s3a.secret.key"] != Mask || m["rest.port"] != "1" {
		t.Errorf("shown: %v", m)
	}
	e := &ValueError{Key: "x.token", Value: "abc", Expected: "y"}
	if strings.Contains(e.Error(), "abc") {
		t.Errorf("the error shows a secret: %v", e)
	}
}
