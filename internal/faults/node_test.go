//go:build hadoop

package faults

import (
	"strings"
	"syscall"
	"testing"

	"github.com/weftstream/weft/internal/hadooptest"
	"github.com/weftstream/weft/internal/usertest"
)

// onNodes runs a job with a TaskManager on each node and picks one that doesn't share its node with the JobManager.
func onNodes(t *testing.T, u *user, dir string) (w *usertest.Command, id string, victim hadooptest.Process) {
	t.Helper()
	// So large that a node has room for one of them.
	w = u.submit([]string{"-p", "3", "-Dtaskmanager.memory.process.size=2500m", "-Dheartbeat.interval=10min", "-Dheartbeat.timeout=1h"},
		usertest.App(t, "sums"), "--events", forever, "--rate", "500", "--output", u.Cluster.URI(dir+"/out"))
	id = w.App()
	running(w)
	u.AwaitProcesses(id, usertest.TaskHost, 3)
	master := u.Node(u.Processes(id, usertest.JobManager)[0])
	for _, p := range u.Processes(id, usertest.TaskManager) {
		if u.Node(p) != master {
			return w, id, p
		}
	}
	t.Fatal("all TaskManagers are on the JobManager's node")
	return
}

// TestNodeManagerKilled: only the NodeManager dies. YARN gives its node up after a while, with all containers; the job
// fails for that reason, once, and its TaskManager there, which nobody could stop, ends by itself.
func TestNodeManagerKilled(t *testing.T) {
	c := hadooptest.RequireExclusive(t)
	u := newUser(t, c)
	dir := c.TestDir(t)
	w, id, victim := onNodes(t, u, dir)
	c.Kill(t, hadooptest.NodeManager(u.Node(victim)))
	w.Says(`TaskManager ` + victim.Container + ` .*was lost: .*node lost`)
	w.Ended(2)
	u.YARNSays(id, "FAILED", victim.Container, "node lost")
	failedOnce(t, u, id)
	nothing(t, c, dir+"/out")
}

// TestNodeDies: a NodeManager dies with the containers on it. The broken connection tells, long before YARN or a heartbeat
// could.
func TestNodeDies(t *testing.T) {
	c := hadooptest.RequireExclusive(t)
	u := newUser(t, c)
	dir := c.TestDir(t)
	w, id, victim := onNodes(t, u, dir)
	c.Kill(t, hadooptest.NodeManager(u.Node(victim)))
	u.Signal(victim, syscall.SIGKILL)
	w.Says(`TaskManager ` + victim.Container + ` .*was lost: .*connection`)
	w.Ended(2)
	if app := c.App(t, id); app.FinalStatus != "FAILED" && app.FinalStatus != "UNDEFINED" {
		t.Errorf("YARN's final status isn't FAILED: %v", app)
	}
	u.YARNSays(id, "FAILED", victim.Container)
	failedOnce(t, u, id)
	nothing(t, c, dir+"/out")
}

// failedOnce checks that the job has failed for one reason: what follows from a lost node isn't taken for its cause.
func failedOnce(t *testing.T, u *user, id string) {
	t.Helper()
	if n := strings.Count(u.jobManagerLog(id), `msg="job fails: `); n != 1 {
		t.Errorf("the job failed %d times", n)
	}
}
