package yarn

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/hadoop"
)

func TestClusterConfiguration(t *testing.T) {
	c, err := conf.FromMap(map[string]string{"parallelism.default": "7", "env.hadoop.conf.dir": "/client/only"})
	if err != nil {
		t.Fatal(err)
	}
	site := hadoop.NewSite(map[string]string{"fs.defaultFS": "hdfs://nn:1", "dfs.replication": "2", "yarn.acl.enable": "true"})
	got, err := clusterConfiguration(c, site, "application_1_0001")
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"parallelism.default": "7", "flink.hadoop.fs.defaultFS": "hdfs://nn:1", "flink.hadoop.dfs.replication": "2",
		"fs.default-scheme": "hdfs://nn:1/", "high-availability.cluster-id": "application_1_0001",
	} {
		if v, _ := got.Raw(key); v != want {
			t.Errorf("%s is %q, want %q", key, v, want)
		}
	}
	for _, key := range []string{"env.hadoop.conf.dir", "flink.hadoop.yarn.acl.enable"} {
		if v, isSet := got.Raw(key); isSet {
			t.Errorf("%s is set to %q", key, v)
		}
	}
}

// TestSiteOverrides: flink.hadoop.* and flink.yarn.* win over the files.
func TestSiteOverrides(t *testing.T) {
	dir := t.TempDir()
	const file = `<configuration><property><name>fs.defaultFS</name><value>hdfs://file:1</value><final>true</final></property></configuration>`
	if err := os.WriteFile(filepath.Join(dir, "core-site.xml"), []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := conf.FromMap(map[string]string{"flink.hadoop.fs.defaultFS": "hdfs://other:1", "flink.yarn.resourcemanager.hostname": "rm"})
	if err != nil {
		t.Fatal(err)
	}
	getenv := func(name string) string { return map[string]string{"YARN_CONF_DIR": dir}[name] }
	site, err := loadSite(c, getenv, "u")
	if err != nil {
		t.Fatal(err)
	}
	if fs, rm := site.Get("fs.defaultFS"), site.Get("yarn.resourcemanager.hostname"); fs != "hdfs://other:1" || rm != "rm" {
		t.Errorf("fs.defaultFS=%s, yarn.resourcemanager.hostname=%s", fs, rm)
	}
	if _, err := loadSite(conf.Configuration{}, func(string) string { return t.TempDir() }, "u"); err == nil || !strings.Contains(err.Error(), "core-site.xml") {
		t.Errorf("a directory without site files: %v", err)
	}
}

func TestReadDeployment(t *testing.T) {
	path := filepath.Join(t.TempDir(), deploymentFile)
	write := func(d deployment) {
		t.Helper()
		b, err := json.Marshal(d)
		if err == nil {
			err = os.WriteFile(path, b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		d    deployment
		want string
	}{
		{deployment{Version: "9.9.9", Mode: modeSession}, "9.9.9"},
		{deployment{Version: "0.1.0", Mode: modeApplication}, "missing"},
		{deployment{Version: "0.1.0", Mode: modePerJob, Application: &application{}}, "missing"},
	} {
		write(c.d)
		if _, err := readDeployment(path); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.d, err, c.want)
		}
	}
}

// FuzzShellValue: a value arrives in a container as it was configured, whatever is in it.
func FuzzShellValue(f *testing.F) {
	for _, s := range []string{"", "a b", "$HOME", "`id`", `"`, `\`, `\\"`, "{{X}}", "<LOG_DIR>", "<CPS>", "}}{{", "line\nline", "'", "!"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if strings.ContainsRune(value, 0) {
			return
		}
		// What YARN does to it: expansions first, then double quotes.
		quoted := strings.NewReplacer("{{", "$", "}}", "", "<LOG_DIR>", "/logs", "<CPS>", ":").Replace(shellValue(value))
		script := "export V=\"" + quoted + "\"\nprintf %s \"$V\""
		out, err := exec.Command("/bin/bash", "-c", script).Output()
		if err != nil || string(out) != value {
			t.Errorf("%q arrived as %q (%v)", value, out, err)
		}
	})
}
