//go:build hadoop

package faults

import (
	"syscall"
	"testing"
	"time"

	"github.com/weftstream/weft/internal/hadooptest"
	"github.com/weftstream/weft/internal/usertest"
)

// disturbed is an application that runs while something of it is disturbed: sums with two TaskManagers, a slot each.
type disturbed struct {
	*user
	*usertest.Command
	id, job, dir string
}

func disturb(t *testing.T, events string, options []string, more ...string) *disturbed {
	t.Helper()
	t.Parallel()
	c := hadooptest.Require(t)
	u := newUser(t, c)
	dir := c.TestDir(t)
	program := append([]string{usertest.App(t, "sums"), "--events", events, "--rate", "500", "--output", c.URI(dir + "/out")}, more...)
	w := u.submit(append([]string{"-p", "2"}, options...), program...)
	d := &disturbed{user: u, Command: w, dir: dir, id: w.App()}
	d.job = running(w)
	u.AwaitProcesses(d.id, usertest.TaskHost, 2)
	return d
}

// failed checks that the application has failed for a reason, and shows no output.
func (d *disturbed) failed(reasons ...string) {
	t := d.T
	t.Helper()
	d.fails(d.Command, d.id, reasons...)
	nothing(t, d.Cluster, d.dir+"/out")
}

const forever = "1000000"

// TestTaskHostKilled: the job fails, with the host's exit as the reason and not the connection that broke at its peers.
func TestTaskHostKilled(t *testing.T) {
	d := disturb(t, forever, nil)
	d.user.Signal(d.Processes(d.id, usertest.TaskHost)[1], syscall.SIGKILL)
	d.failed(`task host.*(signal: killed|killed by signal|SIGKILL)`)
}

// TestTaskManagerKilled: the job fails at once, because the connection broke, long before any heartbeat would tell.
func TestTaskManagerKilled(t *testing.T) {
	d := disturb(t, forever, []string{"-Dheartbeat.interval=10min", "-Dheartbeat.timeout=1h"})
	d.user.Signal(d.Processes(d.id, usertest.TaskManager)[1], syscall.SIGKILL)
	d.failed(`TaskManager container_\S+ .*was lost`)
}

// TestTaskManagerStopped: one that is silent, its connections open, is given up after the heartbeat timeout, and its
// container is stopped.
func TestTaskManagerStopped(t *testing.T) {
	d := disturb(t, forever, []string{"-Dheartbeat.interval=300ms", "-Dheartbeat.timeout=3s"})
	d.user.Signal(d.Processes(d.id, usertest.TaskManager)[1], syscall.SIGSTOP)
	d.failed(`TaskManager container_\S+ .*was lost.*heartbeat timeout`)
}

// TestTaskHostStoppedAndCancelled: a host that doesn't hear of the cancellation is killed after its timeout, and the job is
// cancelled nevertheless.
func TestTaskHostStoppedAndCancelled(t *testing.T) {
	d := disturb(t, forever, []string{"-Dtask.cancellation.timeout=2s"})
	d.user.Signal(d.Processes(d.id, usertest.TaskHost)[1], syscall.SIGSTOP)
	d.cancel()
}

// TestTaskIgnoresCancellation: so is one whose user code doesn't return.
func TestTaskIgnoresCancellation(t *testing.T) {
	d := disturb(t, forever, []string{"-Dtask.cancellation.timeout=2s"}, "--hang")
	d.cancel()
}

func (d *disturbed) cancel() {
	t := d.T
	t.Helper()
	d.Start("cancel", "-t", "yarn-application", "-Dyarn.application.id="+d.id, d.job).Ended(0)
	d.Ended(3, "cancel")
	d.YARNSays(d.id, "KILLED")
	nothing(t, d.Cluster, d.dir+"/out")
}

// TestJobManagerStopped: a JobManager that is silent for some seconds, less than the heartbeat timeout, changes nothing.
func TestJobManagerStopped(t *testing.T) {
	d := disturb(t, "4000", nil)
	p := d.Processes(d.id, usertest.JobManager)
	if len(p) != 1 {
		t.Fatalf("%d JobManagers: %v", len(p), p)
	}
	d.user.Signal(p[0], syscall.SIGSTOP)
	silence(5 * time.Second)
	d.user.Signal(p[0], syscall.SIGCONT)
	d.Ended(0, "has finished")
	d.YARNSays(d.id, "SUCCEEDED")
	complete(t, d.Cluster, d.dir+"/out", sumsOf(4000, 100))
}

// TestJobManagerKilled: with its only attempt the application fails, and nobody survives it. The client says so.
func TestJobManagerKilled(t *testing.T) {
	d := disturb(t, forever, nil)
	d.user.Signal(d.Processes(d.id, usertest.JobManager)[0], syscall.SIGKILL)
	d.Ended(2, d.id)
	d.YARNSays(d.id, "FAILED")
	nothing(t, d.Cluster, d.dir+"/out")
	if n := len(d.Apps()); n != 1 {
		t.Errorf("%d applications", n)
	}
}

// silence is a fault's length: what is silent does nothing that could be waited for.
func silence(d time.Duration) { <-time.After(d) }
