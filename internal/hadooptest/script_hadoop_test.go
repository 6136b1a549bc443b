//go:build hadoop

package hadooptest

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const script = "../../scripts/hadoop"

// ownDir returns a directory for a cluster of the test's own, which is taken down at its end in any case.
func ownDir(t *testing.T) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	dir = filepath.Join(dir, "cluster")
	t.Cleanup(func() {
		if out, err := exec.Command(script, "down", dir, "--purge").CombinedOutput(); err != nil {
			t.Errorf("down: %v\n%s", err, out)
		}
		if left := daemons(t, dir); len(left) != 0 {
			t.Errorf("left running: %v", left)
		}
	})
	return dir
}

// daemons lists the JVMs of a cluster.
func daemons(t *testing.T, dir string) []string {
	t.Helper()
	paths, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(paths, func(path string) bool {
		args, _ := os.ReadFile(path)
		return !slices.Contains(strings.Split(string(args), "\x00"), "-Dweft.hadoop.dir="+dir)
	})
}

func TestScriptUpWithSettingsAndLeftovers(t *testing.T) {
	dir := ownDir(t)
	up := exec.Command(script, "up", dir, "--nodemanagers", "2",
		"--set", "yarn-site:yarn.scheduler.maximum-allocation-mb=2048", "--set", `core-site:weft.test=<a> & "b"=c`)
	var progress bytes.Buffer
	up.Stderr = &progress
	out, err := up.Output()
	if err != nil {
		t.Fatalf("up: %v\n%s", err, progress.Bytes())
	}
	if got := strings.TrimSpace(string(out)); got != dir+"/conf" {
		t.Errorf("up printed %q", got)
	}
	c, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	c.AwaitReady(t, 0) // up has waited
	site, err := os.ReadFile(filepath.Join(c.ConfDir, "core-site.xml"))
	if err != nil || !strings.Contains(string(site), `&lt;a&gt; &amp; "b"=c`) {
		t.Errorf("core-site.xml (%v): %s", err, site)
	}
	var maximum struct {
		Capability struct{ Memory int } `json:"maximum-resource-capability"`
	}
	answer, err := c.do(t.Context(), "POST", c.REST+"/ws/v1/cluster/apps/new-application", "", nil)
	if err != nil || json.Unmarshal(answer, &maximum) != nil || maximum.Capability.Memory != 2048 {
		t.Errorf("maximum allocation: %+v (%v)", maximum, err)
	}
	if out, err := exec.Command(script, "up", dir).CombinedOutput(); err == nil || !strings.Contains(string(out), "already up") {
		t.Errorf("up twice: %v\n%s", err, out)
	}

	// A container whose NodeManager was killed, and a daemon without pid file: down finds both.
	id := submitOnly(t, c, "exec sleep 600")
	awaitSleep(t, c, id)
	for i := 1; i <= 2; i++ {
		c.Kill(t, NodeManager(i))
	}
	if err := os.Remove(filepath.Join(dir, "pids", NameNode)); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(script, "down", dir).CombinedOutput(); err != nil {
		t.Fatalf("down: %v\n%s", err, out)
	}
	if left := c.Processes(t, ""); len(left) != 0 {
		t.Errorf("containers left: %v", left)
	}
	if left := daemons(t, dir); len(left) != 0 {
		t.Errorf("daemons left: %v", left)
	}
}

// TestScriptUpKilled kills up with -9 while its JVMs come up: down ends them all.
func TestScriptUpKilled(t *testing.T) {
	dir := ownDir(t)
	up := exec.Command(script, "up", dir)
	if err := up.Start(); err != nil {
		t.Fatal(err)
	}
	Await(t, time.Minute, "JVMs start", func() (bool, string) { return len(daemons(t, dir)) >= 2, "fewer" })
	_ = up.Process.Kill()
	_ = up.Wait()
	if out, err := exec.Command(script, "down", dir).CombinedOutput(); err != nil {
		t.Fatalf("down: %v\n%s", err, out)
	}
	if left := daemons(t, dir); len(left) != 0 {
		t.Errorf("left running: %v", left)
	}
}

func TestScriptRefuses(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cluster")
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "mine"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		args []string
		env  string
		want string
	}{
		"no directory":   {[]string{"up"}, "", "needs a DIR"},
		"foreign files":  {[]string{"up", full}, "", "wasn't made by scripts/hadoop"},
		"form of --set":  {[]string{"up", dir, "--set", "a=b"}, "", "FILE:KEY=VALUE"},
		"file of --set":  {[]string{"up", dir, "--set", "log4j:a=b"}, "", "unknown file"},
		"own property":   {[]string{"up", dir, "--set", "core-site:fs.defaultFS=x"}, "", "script's own"},
		"node count":     {[]string{"up", dir, "--nodemanagers", "0"}, "", "1 to 20"},
		"wrong Java":     {[]string{"up", dir}, "JAVA_HOME=/nonexistent", "JAVA_HOME"},
		"no cluster":     {[]string{"kill", dir, "namenode"}, "", "no cluster"},
		"unknown verb":   {[]string{"frob", dir}, "", "unknown command"},
		"relative cache": {[]string{"up", dir}, "WEFT_CACHE=here", "isn't absolute"},
	} {
		t.Run(name, func(t *testing.T) {
			command := exec.Command(script, test.args...)
			command.Env = append(os.Environ(), test.env)
			out, err := command.CombinedOutput()
			if err == nil || !strings.Contains(string(out), test.want) {
				t.Errorf("%v: %s", err, out)
			}
			if _, err := os.Stat(dir); err == nil {
				t.Error("the directory was made")
			}
		})
	}
	if out, err := exec.Command(script, "down", dir).CombinedOutput(); err != nil {
		t.Errorf("down of nothing: %v\n%s", err, out)
	}
}
