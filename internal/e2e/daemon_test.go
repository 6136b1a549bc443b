//go:build hadoop

package e2e

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weftstream/weft/internal/hadooptest"
	"github.com/weftstream/weft/internal/usertest"
)

// These tests disturb the cluster: they aren't parallel, so they are over before the others of this process begin, and
// wait until no other process tests.

// TestDaemonDown: YARN and the NameNode, dead, silent, and in safe mode: the command says so, and leaves nothing.
func TestDaemonDown(t *testing.T) {
	c := hadooptest.RequireExclusive(t)
	tests := []struct {
		name  string
		do    func(t testing.TB)
		texts []string
	}{
		{"YARN dead", func(t testing.TB) { c.Kill(t, hadooptest.ResourceManager) }, []string{"YARN ResourceManager", c.REST}},
		{"YARN silent", func(t testing.TB) { c.Stop(t, hadooptest.ResourceManager) }, []string{"YARN ResourceManager", c.REST}},
		{"NameNode dead", func(t testing.TB) { c.Kill(t, hadooptest.NameNode) }, []string{"NameNode", c.NameNode}},
		{"NameNode silent", func(t testing.TB) { c.Stop(t, hadooptest.NameNode) }, []string{"NameNode", c.NameNode}},
		{"NameNode in safe mode", func(t testing.TB) { // without a DataNode it doesn't leave it
			c.Kill(t, hadooptest.DataNode)
			c.Kill(t, hadooptest.NameNode)
			c.Start(t, hadooptest.NameNode)
		}, []string{"safe mode"}},
	}
	for _, i := range sample(t, len(tests), 1) {
		test := tests[i]
		t.Run(test.name, func(t *testing.T) {
			u := newUser(t, c)
			t.Cleanup(func() { c.Repair(t) })
			test.do(t)
			w := u.Run(inApplication(faulty(t))...)
			c.Repair(t)
			u.refused(w, 1, test.texts...)
		})
	}
}

// TestClusterFull: the command says what it waits for; Ctrl-C gives the application back; what waits runs when there is
// room again.
func TestClusterFull(t *testing.T) {
	c := hadooptest.RequireExclusive(t)
	hog := newUser(t, c)
	// One TaskManager on each node that leaves less than a JobManager needs.
	big := hog.Start(inApplication("-p", fmt.Sprint(c.NodeManagers), "-Djobmanager.memory.process.size=192m",
		"-Dtaskmanager.memory.process.size=3840m", faulty(t), "--events", "0", "--rate", "5")...)
	hog.AwaitProcesses(big.App(), usertest.TaskHost, c.NodeManagers)

	u := newUser(t, c)
	w := u.Start(inApplication("-Djobmanager.memory.process.size=512m", faulty(t))...)
	id := w.App()
	w.Says("has been waiting for")
	w.Says("the cluster is full")
	w.Signal(syscall.SIGINT)
	w.Ended(128 + int(syscall.SIGINT))
	u.YARNSays(id, "KILLED")
	u.AwaitNoStaging()

	// The JobManager has room, its TaskManagers haven't: said in the JobManager's log, and the job waits.
	w = u.Start(inApplication("-Djobmanager.memory.process.size=192m", "-Dtaskmanager.memory.process.size=1g", faulty(t))...)
	id = w.App()
	hadooptest.Await(t, usertest.Patience, "the JobManager says that it waits for containers", func() (bool, string) {
		log := ""
		for _, text := range c.ContainerLogs(t, id) {
			log += text
		}
		return containsAll(log, "waiting for containers", "room"), log
	})
	job := big.Job()
	hog.Run("cancel", "-t", "yarn-application", "-Dyarn.application.id="+big.App(), job).Ended(0)
	big.Ended(3)
	w.Ended(0, "seen (int64): 100")
}

// TestNodeManagerLost: a node dies with its containers' keeper: the job fails with the node's loss as the cause.
func TestNodeManagerLost(t *testing.T) {
	c := hadooptest.RequireExclusive(t)
	u := newUser(t, c)
	w := u.Start(inApplication("-p", "3", faulty(t), "--events", "0", "--rate", "5")...)
	id := w.App()
	u.AwaitProcesses(id, usertest.TaskHost, 3)
	master := u.Node(u.AwaitProcesses(id, usertest.JobManager, 1)[0])
	victim := 0
	for _, p := range u.Processes(id, usertest.TaskManager) {
		if node := u.Node(p); node != master {
			victim = node
		}
	}
	if victim == 0 {
		t.Fatal("all containers are on the JobManager's node")
	}
	c.Kill(t, hadooptest.NodeManager(victim))
	for _, p := range u.Processes(id, usertest.TaskManager) {
		if u.Node(p) == victim {
			u.Signal(p, syscall.SIGKILL) // the machine is gone, not the daemon alone
		}
	}
	w.Ended(2, c.NodeHost(victim))
	u.YARNSays(id, "FAILED")
	c.Repair(t)
}

// TestYARNRestarts: the ResourceManager comes back: the application has gone on meanwhile and ends SUCCEEDED.
func TestYARNRestarts(t *testing.T) {
	c := hadooptest.RequireExclusive(t)
	u := newUser(t, c)
	w := u.Start(inApplication("-p", "2", faulty(t), "--events", "150", "--rate", "10")...)
	id := w.App()
	u.AwaitProcesses(id, usertest.TaskHost, 2)
	c.Kill(t, hadooptest.ResourceManager)
	c.Start(t, hadooptest.ResourceManager)
	w.Ended(0, "seen (int64): 150")
	u.YARNSays(id, "SUCCEEDED")
	c.AwaitReady(t, time.Minute)
}

func containsAll(text string, parts ...string) bool {
	for _, part := range parts {
		if !strings.Contains(text, part) {
			return false
		}
	}
	return true
}
