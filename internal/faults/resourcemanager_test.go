//go:build hadoop

package faults

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/weftstream/weft/internal/hadooptest"
	"github.com/weftstream/weft/internal/soak"
	"github.com/weftstream/weft/internal/usertest"
)

// full is a cluster that is full: one application runs on all nodes, another one has its JobManager and waits for the
// containers of two TaskManagers, which can come when the first has ended.
type full struct {
	*user
	holder, waiter     *usertest.Command
	holderID, waiterID string
	dir                string
}

// The holder takes longer than any of the faults, the waiter long enough to be looked at.
const (
	holderEvents = 10000
	waiterEvents = 4000
	rate         = "500"
)

func fill(t *testing.T, c *hadooptest.Cluster) *full {
	t.Helper()
	f := &full{user: newUser(t, c), dir: c.TestDir(t)}
	f.holder = f.submit([]string{"-p", "3", "-Dtaskmanager.memory.process.size=3g"},
		usertest.App(t, "sums"), "--events", fmt.Sprint(holderEvents), "--rate", rate, "--output", c.URI(f.dir+"/holder"))
	f.holderID = f.holder.App()
	running(f.holder)
	f.AwaitProcesses(f.holderID, usertest.TaskHost, 3)
	f.waiter = f.submit([]string{"-p", "2", "-Dtaskmanager.memory.process.size=1200m"},
		usertest.App(t, "sums"), "--events", fmt.Sprint(waiterEvents), "--rate", rate, "--output", c.URI(f.dir+"/waiter"))
	f.waiterID = f.waiter.App()
	f.logged(f.waiterID, "workers declared")
	return f
}

// succeed checks that both end as if nothing had happened, and that the second one got what it needs and no more.
func (f *full) succeed() {
	t := f.T
	t.Helper()
	f.holder.Ended(0, "has finished")
	f.YARNSays(f.holderID, "SUCCEEDED")
	complete(t, f.Cluster, f.dir+"/holder", sumsOf(holderEvents, 100))
	f.AwaitProcesses(f.waiterID, usertest.TaskHost, 2)
	f.holds(f.waiterID, 3)
	f.waiter.Ended(0, "has finished")
	f.YARNSays(f.waiterID, "SUCCEEDED")
	complete(t, f.Cluster, f.dir+"/waiter", sumsOf(waiterEvents, 100))
}

// TestResourceManagerRestart: YARN's ResourceManager dies while one job runs and another waits for containers. The running
// one isn't disturbed, both application masters register again, and the other one's asks are not lost.
func TestResourceManagerRestart(t *testing.T) {
	c := hadooptest.RequireExclusive(t)
	f := fill(t, c)
	c.Kill(t, hadooptest.ResourceManager)
	silence(2 * time.Second)
	c.Start(t, hadooptest.ResourceManager)
	f.logged(f.holderID, "again=true")
	f.logged(f.waiterID, "again=true")
	f.succeed()
}

// TestResourceManagerSilent: it doesn't answer for a while, its connections open.
func TestResourceManagerSilent(t *testing.T) {
	c := hadooptest.RequireExclusive(t)
	f := fill(t, c)
	c.Stop(t, hadooptest.ResourceManager)
	silence(10 * time.Second)
	c.Continue(t, hadooptest.ResourceManager)
	f.succeed()
}

// TestTokenRollover: YARN replaces the key of the application master's token several times while it lives, and then forgets
// all connections. An application with a token of an old key would be refused; this one gets containers.
func TestTokenRollover(t *testing.T) {
	if !soak.On() {
		t.Log("keys live longer than this run: with WEFT_SOAK=1 only")
		return
	}
	c := ownCluster(t, 2, "yarn-site:yarn.resourcemanager.am-rm-tokens.master-key-rolling-interval-secs=20",
		"yarn-site:yarn.am.liveness-monitor.expiry-interval-ms=5000")
	u := newUser(t, c)
	session := u.Start("yarn-session", "-d", "-Djobmanager.memory.process.size=256m", "-Dtaskmanager.memory.process.size=256m",
		"-Dresourcemanager.taskmanager-timeout=1s", "-Dyarn.heartbeat.interval=1")
	id := session.App()
	session.Ended(0)
	silence(70 * time.Second)
	c.Kill(t, hadooptest.ResourceManager)
	c.Start(t, hadooptest.ResourceManager)
	u.logged(id, "again=true")
	for range 2 {
		u.Start("run", "-t", "yarn-session", "-Dyarn.application.id="+id, "-p", "3", usertest.App(t, "sums")).Ended(0, "has finished")
		silence(25 * time.Second)
	}
	u.Start("yarn-session", "stop", id).Ended(0)
	u.YARNSays(id, "SUCCEEDED")
}

// ownCluster brings up a Hadoop for one test.
func ownCluster(t *testing.T, nodes int, settings ...string) *hadooptest.Cluster {
	t.Helper()
	dir := t.TempDir()
	script, err := filepath.Abs("../../scripts/hadoop")
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"up", dir, "--nodemanagers", fmt.Sprint(nodes), "--racks"}
	for _, s := range settings {
		args = append(args, "--set", s)
	}
	t.Cleanup(func() {
		if out, err := exec.Command(script, "down", dir, "--purge").CombinedOutput(); err != nil {
			t.Errorf("take Hadoop down: %v\n%s", err, out)
		}
	})
	if out, err := exec.Command(script, args...).CombinedOutput(); err != nil {
		t.Fatalf("bring Hadoop up: %v\n%s", err, out)
	}
	c, err := hadooptest.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
