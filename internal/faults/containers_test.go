//go:build hadoop

package faults

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weftstream/weft/internal/hadooptest"
	"github.com/weftstream/weft/internal/usertest"
)

// TestContainersFailToStart: TaskManagers that end before they could register are replaced, not too many in a minute, and
// it is said why they ended. When the cause is gone the job runs.
func TestContainersFailToStart(t *testing.T) {
	t.Parallel()
	c := hadooptest.Require(t)
	u := newUser(t, c)
	dir := c.TestDir(t)
	// Who listens on a port of all nodes keeps TaskManagers from it.
	taken, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	port := taken.Addr().(*net.TCPAddr).Port

	w := u.submit([]string{"-p", "1", fmt.Sprintf("-Dtaskmanager.data.port=%d", port), "-Dyarn.heartbeat.interval=1",
		"-Dresourcemanager.start-worker.max-failure-rate=1", "-Dresourcemanager.start-worker.retry-interval=1s"},
		usertest.App(t, "sums"), "--output", c.URI(dir+"/out"))
	id := w.App()
	u.logged(id, "start of worker failed: ")
	u.logged(id, "the next request for workers waits 1000 ms (resourcemanager.start-worker.retry-interval)")
	_ = taken.Close()
	w.Ended(0, "has finished")
	u.YARNSays(id, "SUCCEEDED")
	complete(t, c, dir+"/out", sumsOf(1000, 100))
}

// TestContainersNeverStart: if it doesn't get better, the job fails after slot.request.timeout, with the reason.
func TestContainersNeverStart(t *testing.T) {
	t.Parallel()
	c := hadooptest.Require(t)
	u := newUser(t, c)
	taken, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	w := u.submit([]string{"-p", "1", fmt.Sprintf("-Dtaskmanager.data.port=%d", taken.Addr().(*net.TCPAddr).Port), "-Dyarn.heartbeat.interval=1",
		"-Dslot.request.timeout=10s"}, usertest.App(t, "sums"))
	id := w.App()
	w.Says(`slot\.request\.timeout`)
	u.fails(w, id, "last failed start: container_.* failed with exit code 31")
}

// TestNodesThatCannotStart: on all nodes but one the user's local directory can't be made, so every container of theirs
// ends there before it begins. They are replaced until one comes where it can run.
func TestNodesThatCannotStart(t *testing.T) {
	t.Parallel()
	c := hadooptest.Require(t)
	u := newUser(t, c)
	session := u.Start("yarn-session", "-d", "-Djobmanager.memory.process.size=256m", "-Dtaskmanager.memory.process.size=256m",
		"-Dyarn.heartbeat.interval=1", "-Dresourcemanager.start-worker.retry-interval=1s")
	id := session.App()
	session.Ended(0)
	healthy := u.Node(u.Processes(id, usertest.JobManager)[0])
	for i := 1; i <= c.NodeManagers; i++ {
		if i == healthy {
			continue
		}
		inTheWay := filepath.Join(c.Dir, "data", hadooptest.NodeManager(i), "local", "usercache", u.Name)
		if err := os.WriteFile(inTheWay, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = os.Remove(inTheWay) }()
	}
	u.Start("run", "-t", "yarn-session", "-Dyarn.application.id="+id, "-p", "3", usertest.App(t, "sums")).Ended(0, "has finished")
	for _, p := range u.Processes(id, usertest.TaskManager) {
		if u.Node(p) != healthy {
			t.Errorf("%v runs on node %d", p, u.Node(p))
		}
	}
	u.logged(id, "start of worker failed: ")
	u.Start("yarn-session", "stop", id).Ended(0)
	u.YARNSays(id, "SUCCEEDED")
}

// TestManyContainers: ten TaskManagers on three nodes are asked for by node, rack and anywhere, counted together: they
// come with the nodes' next heartbeats, spread over all nodes, and hardly any comes too much. What does goes back.
func TestManyContainers(t *testing.T) {
	c := hadooptest.RequireExclusive(t)
	u := newUser(t, c)
	w := u.submit([]string{"-p", "10"}, usertest.App(t, "sums"), "--events", forever, "--rate", "100")
	id := w.App()
	job := running(w)
	u.AwaitProcesses(id, usertest.TaskHost, 10)
	u.holds(id, 11)
	nodes := map[int]int{}
	for _, p := range u.Processes(id, usertest.TaskManager) {
		nodes[u.Node(p)]++
	}
	for i := 1; i <= c.NodeManagers; i++ {
		if nodes[i] < 2 || nodes[i] > 6 {
			t.Errorf("%d of 10 TaskManagers on node %d: %v", nodes[i], i, nodes)
		}
	}
	if surplus := strings.Count(u.jobManagerLog(id), "returned containers that nobody wants"); surplus > 2 {
		t.Errorf("%d times containers came that nobody wanted", surplus)
	}
	u.Start("cancel", "-t", "yarn-application", "-Dyarn.application.id="+id, job).Ended(0)
	w.Ended(3)
	u.YARNSays(id, "KILLED")
}
