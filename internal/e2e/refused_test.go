//go:build hadoop

package e2e

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weftstream/weft/internal/hadooptest"
	"github.com/weftstream/weft/internal/usertest"
	"github.com/weftstream/weft/link"
)

// refused checks that a command ended with an exit code and the texts, and that nothing came of it: no application and
// nothing in staging.
func (u *testUser) refused(w *usertest.Command, code int, texts ...string) {
	u.T.Helper()
	w.Ended(code, texts...)
	if out := w.Out(); out != "" {
		u.T.Errorf("standard output: %q", out)
	}
	if strings.Contains(w.Err(), "goroutine ") {
		u.T.Errorf("a stack is no message")
	}
	if apps := u.Apps(); len(apps) != 0 {
		u.T.Errorf("applications: %v", apps)
	}
	if left := u.Staged(); len(left) != 0 {
		u.T.Errorf("left in staging: %v", left)
	}
}

// TestRefusedBeforeUpload: mistakes that are found before anything is uploaded, so not even the cache is touched.
func TestRefusedBeforeUpload(t *testing.T) {
	t.Parallel()
	c := hadooptest.Require(t)
	script := filepath.Join(t.TempDir(), "script.sh")
	if err := os.WriteFile(script, []byte("#!/bin/sh\necho hello\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	archive := filepath.Join(t.TempDir(), "application.jar")
	if err := os.WriteFile(archive, []byte("PK\x03\x04 and so on"), 0o644); err != nil {
		t.Fatal(err)
	}
	library := t.TempDir() // a package, but no main one
	if err := os.WriteFile(filepath.Join(library, "x.go"), []byte("package x\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(library, "go.mod"), []byte("module x\n\ngo 1.26\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	empty := t.TempDir()
	good := faulty(t)
	other := filepath.Join(t.TempDir(), "other-version")
	data, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	mark := []byte("weft.link/version=" + link.Version + " protocol=")
	if !bytes.Contains(data, mark) {
		t.Fatal("an application doesn't say which Weft it has")
	}
	data = bytes.ReplaceAll(data, mark, bytes.Replace(mark, []byte("="+link.Version[:1]), []byte("=9"), 1))
	if err := os.WriteFile(other, data, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		env         map[string]string
		args, texts []string
	}{
		"no HADOOP_CONF_DIR":    {map[string]string{"HADOOP_CONF_DIR": ""}, inApplication(good), []string{"HADOOP_CONF_DIR"}},
		"empty HADOOP_CONF_DIR": {map[string]string{"HADOOP_CONF_DIR": empty}, inApplication(good), []string{empty}},
		"absent HADOOP_CONF_DIR": {map[string]string{"HADOOP_CONF_DIR": empty + "/absent"}, inApplication(good),
			[]string{empty + "/absent"}},
		"wrong queue": {nil, inApplication("-Dyarn.application.queue=nowhere", good),
			[]string{`"nowhere"`, "root.default", "yarn.application.queue"}},
		"JobManager above the maximum": {nil, inApplication("-Djobmanager.memory.process.size=5g", good),
			[]string{"the JobManager", "5120", "4096", "jobmanager.memory.process.size"}},
		"TaskManager above the maximum": {nil, inApplication("-Dtaskmanager.memory.process.size=5g", good),
			[]string{"a TaskManager", "5120", "4096", "taskmanager.memory.process.size"}},
		"vcores above the maximum": {nil, inApplication("-Dyarn.containers.vcores=64", good),
			[]string{"a TaskManager", "64 vcores", "yarn.containers.vcores"}},
		"TaskManager too small": {nil, inApplication("-Dtaskmanager.memory.process.size=32m", good),
			[]string{"taskmanager.memory.process.size"}},
		"bad value": {nil, inApplication("-Dtaskmanager.memory.process.size=lots", good),
			[]string{"taskmanager.memory.process.size", `lots`}},
		"bad parallelism": {nil, inApplication("-p", "many", good), []string{"parallelism", "many"}},
		"no application":  {nil, inApplication(), []string{"application is missing", "Usage: weft run-application"}},
		"absent application": {nil, inApplication(filepath.Join(empty, "absent")),
			[]string{filepath.Join(empty, "absent"), "does not exist"}},
		"absent application in HDFS": {nil, inApplication(c.URI("/tmp/absent-" + filepath.Base(empty))), []string{"/tmp/absent-"}},
		"another version":            {nil, inApplication(other), []string{other, "Weft 9" + link.Version[1:], "Weft " + link.Version, "same version"}},
		"another platform": {nil, inApplication(usertest.App(t, "faulty", "darwin", "arm64")),
			[]string{"darwin/arm64", "linux/amd64", "GOOS=linux GOARCH=amd64 go build"}},
		"a script":               {nil, inApplication(script), []string{script, "script"}},
		"an archive":             {nil, inApplication(archive), []string{archive, "not an executable"}},
		"not a Weft application": {nil, inApplication(usertest.App(t, "plain")), []string{"plain", "not a Weft application"}},
		"weft itself":            {nil, inApplication(usertest.Binary(t, "weft")), []string{"not a Weft application"}},
		"no main package":        {map[string]string{"HOME": os.Getenv("HOME")}, inApplication(library), []string{"main package"}},
		"unknown target":         {nil, []string{"run-application", "-t", "kubernetes-application", good}, []string{"kubernetes-application"}},
		"unknown option":         {nil, inApplication("--frobnicate", good), []string{"frobnicate"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := newUser(t, c)
			maps.Copy(u.Env, test.env)
			u.refused(u.Start(test.args...), 1, test.texts...)
			if cached := u.cached(); len(cached) != 0 {
				t.Errorf("uploaded all the same: %v", cached)
			}
		})
	}
}

// TestStagingReadOnly: a home that the user can't write to.
func TestStagingReadOnly(t *testing.T) {
	t.Parallel()
	c := hadooptest.Require(t)
	u := newUser(t, c)
	c.MkdirAll(t, u.Home(), 0o555)
	u.admin("SETOWNER", u.Home(), "owner", u.Name)
	u.refused(u.Run(inApplication(faulty(t))...), 1, u.Home(), "yarn.staging-directory")

	// The way out that the message names.
	dir := c.TestDir(t)
	w := u.Run(inApplication("-Dyarn.staging-directory="+c.URI(dir+"/staging"), faulty(t))...).Ended(0)
	u.YARNSays(w.App(), "SUCCEEDED")
	hadooptest.Await(t, usertest.Patience, "staging is empty", func() (bool, string) {
		left := c.List(t, dir+"/staging")
		return len(left) == 1 && left[0].Name == "cache", ""
	})
}

// TestStagingFull: quotas of names and of space; half an upload isn't left in the cache, and is never used later.
func TestStagingFull(t *testing.T) {
	t.Parallel()
	c := hadooptest.Require(t)
	for name, quota := range map[string][]string{
		"space": {"storagespacequota", "200000000"}, // more than a block's reservation, less than both executables need at once
		"names": {"namespacequota", "4"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := newUser(t, c)
			c.MkdirAll(t, u.Home(), 0o755)
			u.admin("SETOWNER", u.Home(), "owner", u.Name)
			const none = "9223372036854775807"
			u.admin("SETQUOTA", u.Home(), "namespacequota", none, "storagespacequota", none, quota[0], quota[1])
			u.refused(u.Run(inApplication(faulty(t))...), 1, "quota", u.Home(), "yarn.staging-directory")
			u.admin("SETQUOTA", u.Home(), "namespacequota", "-1", "storagespacequota", "-1")
			u.Run(inApplication(faulty(t))...).Ended(0, "seen (int64): 100")
		})
	}
}

// TestPlantedArtifact: where another user owns the path of an executable in the cache, or can write to it, what lies there
// is never run.
func TestPlantedArtifact(t *testing.T) {
	t.Parallel()
	c := hadooptest.Require(t)
	for name, plant := range map[string]func(u *testUser, file string){
		"owned by another": func(u *testUser, file string) {
			u.admin("SETOWNER", file, "owner", "mallory")
		},
		"directory owned by another": func(u *testUser, file string) {
			u.admin("SETOWNER", filepath.Dir(file), "owner", "mallory")
		},
		"writable by all": func(u *testUser, file string) {
			u.admin("SETPERMISSION", file, "permission", "666")
		},
		"cache writable by all": func(u *testUser, file string) {
			u.admin("SETPERMISSION", filepath.Dir(filepath.Dir(file)), "permission", "777")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := newUser(t, c)
			app := faulty(t)
			u.Run(inApplication(app)...).Ended(0) // makes the cache
			var planted string
			size := int64(0)
			for file := range u.cached() {
				for _, f := range c.List(t, filepath.Dir(file)) {
					if info, err := os.Stat(app); f.Path == file && err == nil && f.Length == info.Size() {
						planted, size = file, f.Length
					}
				}
			}
			if planted == "" {
				t.Fatal("the application isn't in the cache")
			}
			c.WriteFile(t, planted, make([]byte, size)) // of the right size, and nothing that runs
			u.admin("SETOWNER", planted, "owner", u.Name)
			plant(u, planted)
			w := u.Run(inApplication(app)...)
			if w.Code == 0 && !strings.Contains(w.All(), "seen (int64): 100") || w.Code != 0 && !strings.Contains(w.Err(), u.Staging()+"/cache") {
				t.Errorf("neither a run of the right executable nor a message that names the place")
			}
			if n := len(u.Apps()); w.Code != 0 && n != 1 {
				t.Errorf("an application was submitted with it: %v", u.Apps())
			}
		})
	}
}
