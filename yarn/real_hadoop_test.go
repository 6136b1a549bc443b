//go:build hadoop

package yarn_test

import (
	"strings"
	"testing"
	"time"

	"github.com/weftstream/weft/client"
	"github.com/weftstream/weft/internal/hadooptest"
)

// realWorld is the shared Hadoop cluster. Containers run as whoever runs the NodeManagers; for HDFS it is another user.
func realWorld(t *testing.T, c *hadooptest.Cluster) *world {
	t.Helper()
	staging := c.TestDir(t) + "/staging"
	return &world{
		confDir: c.ConfDir, user: "penelope", staging: staging,
		files: func(t *testing.T) []string {
			var out []string
			for _, f := range c.Walk(t, staging[:strings.LastIndexByte(staging, '/')]) {
				if rel, ok := strings.CutPrefix(f, staging+"/"); ok {
					out = append(out, rel)
				}
			}
			return out
		},
		logs: func(t *testing.T, id string) map[string]string { return c.ContainerLogs(t, id) },
		processes: func(t *testing.T, id string) []string {
			var out []string
			for _, p := range c.Processes(t, id) {
				out = append(out, p.String())
			}
			return out
		},
	}
}

func TestHadoop(t *testing.T) {
	suite(t, realWorld(t, hadooptest.Require(t)))
}

// TestHadoopPermissions: the weft executable is shared by all users' applications where permissions allow, the application
// isn't; nobody else can read what belongs to one application.
func TestHadoopPermissions(t *testing.T) {
	c := hadooptest.Require(t)
	w := realWorld(t, c)
	d, _ := w.descriptor(t, nil)
	id, err := deployApplication(t, d, "forever")
	if err != nil {
		t.Fatal(err)
	}
	c.LogOnFailure(t, id)
	modes := map[string]string{}
	for _, f := range c.List(t, w.staging) {
		modes[f.Name] = f.Permission
	}
	if modes[id] != "700" {
		t.Errorf("the application's directory has mode %s, want 700", modes[id])
	}
	for _, f := range c.List(t, w.staging+"/"+id) {
		if want := map[bool]string{true: "700", false: "600"}[f.Name == "ha"]; f.Permission != want {
			t.Errorf("%s has mode %s, want %s", f.Name, f.Permission, want)
		}
	}
	readable := 0
	for _, entry := range c.List(t, w.staging+"/cache") {
		for _, f := range c.List(t, w.staging+"/cache/"+entry.Name) {
			if f.Name == "artifact" && f.Permission == "444" {
				readable++
			}
		}
	}
	if readable != 1 {
		t.Errorf("%d executables are readable by all, want 1: weft", readable)
	}
	if err := d.Kill(within(t), id); err != nil {
		t.Fatal(err)
	}
	w.gone(t, id)
}

// TestHadoopMasterKilled: an application master that is killed leaves staging behind, which the next command sweeps.
func TestHadoopMasterKilled(t *testing.T) {
	c := hadooptest.Require(t)
	w := realWorld(t, c)
	d, _ := w.descriptor(t, nil)
	id, err := deployApplication(t, d, "forever")
	if err != nil {
		t.Fatal(err)
	}
	awaitRunning(t, d, id)
	c.KillApp(t, id)
	if r := awaitEnd(t, d, id); r.State != client.Killed {
		t.Errorf("report %+v, want KILLED", r)
	}
	c.AwaitNoProcesses(t, id, 30*time.Second)
	if err := d.Sweep(within(t)); err != nil {
		t.Error(err)
	}
	w.gone(t, id)
}
