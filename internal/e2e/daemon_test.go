//go:build hadoop

package e2e

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weftstream/weft/internal/hadooptest"
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
			w := u.run(inApplication(faulty(t))...)
			c.Repair(t)
			w.refused(1, test.texts...)
		})
	}
}

// TestClusterFull: the command says what it waits for; Ctrl-C gives the application back; what waits runs when there is
// room again.
func TestClusterFull(t *testing.T) {
	c := hadooptest.RequireExclusive(t)
	hog := newUser(t, c)
	// One TaskManager on each node that leaves less than a JobManager needs.
	big := hog.start(inApplication("-p", fmt.Sprint(c.NodeManagers), "-Djobmanager.memory.process.size=192m",
		"-Dtaskmanager.memory.process.size=3840m", faulty(t), "--events", "0", "--rate", "5")...)
	hog.awaitProcesses(big.app(), taskHost, c.NodeManagers)

	u := newUser(t, c)
	w := u.start(inApplication("-Djobmanager.memory.process.size=512m", faulty(t))...)
	id := w.app()
	w.says("has been waiting for")
	w.says("the cluster is full")
	w.signal(syscall.SIGINT)
	w.ended(128 + int(syscall.SIGINT))
	u.yarnSays(id, "KILLED")
	u.awaitNoStaging()

	// The JobManager has room, its TaskManagers haven't: said in the JobManager's log, and the job waits.
	w = u.start(inApplication("-Djobmanager.memory.process.size=192m", "-Dtaskmanager.memory.process.size=1g", faulty(t))...)
	id = w.app()
	hadooptest.Await(t, patience, "the JobManager says that it waits for containers", func() (bool, string) {
		log := ""
		for _, text := range c.ContainerLogs(t, id) {
			log += text
		}
		return containsAll(log, "waiting for containers", "room"), log
	})
	job := big.job()
	hog.run("cancel", "-t", "yarn-application", "-Dyarn.application.id="+big.app(), job).ended(0)
	big.ended(3)
	w.ended(0, "seen (int64): 100")
}

// TestNodeManagerLost: a node dies with its containers' keeper: the job fails with the node's loss as the cause.
func TestNodeManagerLost(t *testing.T) {
	c := hadooptest.RequireExclusive(t)
	u := newUser(t, c)
	w := u.start(inApplication("-p", "3", faulty(t), "--events", "0", "--rate", "5")...)
	id := w.app()
	u.awaitProcesses(id, taskHost, 3)
	master := u.awaitProcesses(id, jobManager, 1)[0]
	victim := 0
	for _, p := range u.processes(id, taskManager) {
		for i := 1; i <= c.NodeManagers; i++ {
			if onNode(c, p, i) && !onNode(c, master, i) {
				victim = i
			}
		}
	}
	if victim == 0 {
		t.Fatal("all containers are on the JobManager's node")
	}
	c.Kill(t, hadooptest.NodeManager(victim))
	for _, p := range u.processes(id, taskManager) {
		if onNode(c, p, victim) {
			u.kill9(p) // the machine is gone, not the daemon alone
		}
	}
	w.ended(2, c.NodeHost(victim))
	u.yarnSays(id, "FAILED")
	c.Repair(t)
}

// TestYARNRestarts: the ResourceManager comes back: the application has gone on meanwhile and ends SUCCEEDED.
func TestYARNRestarts(t *testing.T) {
	c := hadooptest.RequireExclusive(t)
	u := newUser(t, c)
	w := u.start(inApplication("-p", "2", faulty(t), "--events", "150", "--rate", "10")...)
	id := w.app()
	u.awaitProcesses(id, taskHost, 2)
	c.Kill(t, hadooptest.ResourceManager)
	c.Start(t, hadooptest.ResourceManager)
	w.ended(0, "seen (int64): 150")
	u.yarnSays(id, "SUCCEEDED")
	c.AwaitReady(t, time.Minute)
}

// onNode says whether a container's process is on NodeManager i.
func onNode(c *hadooptest.Cluster, p hadooptest.Process, i int) bool {
	dir, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", p.PID))
	return err == nil && strings.Contains(dir, fmt.Sprintf("/nodemanager-%d/", i))
}

func containsAll(text string, parts ...string) bool {
	for _, part := range parts {
		if !strings.Contains(text, part) {
			return false
		}
	}
	return true
}
