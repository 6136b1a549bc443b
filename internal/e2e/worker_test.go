//go:build hadoop

package e2e

import (
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weftstream/weft/internal/hadooptest"
	"github.com/weftstream/weft/internal/usertest"
)

// TestTaskManagerKilled: without checkpoints a lost TaskManager fails the job, and the message says which and how.
func TestTaskManagerKilled(t *testing.T) {
	t.Parallel()
	u := newUser(t, hadooptest.Require(t))
	w := u.Start(inApplication("-p", "2", faulty(t), "--events", "0", "--rate", "10")...)
	id := w.App()
	u.AwaitProcesses(id, usertest.TaskHost, 2)
	victim := u.Processes(id, usertest.TaskManager)[0]
	u.Signal(victim, syscall.SIGKILL)
	w.Ended(2, "TaskManager "+victim.Container, "killed")
	u.YARNSays(id, "FAILED", "TaskManager "+victim.Container)
}

// TestTaskHostKilled: the same for the process of the job's own subtasks.
func TestTaskHostKilled(t *testing.T) {
	t.Parallel()
	u := newUser(t, hadooptest.Require(t))
	w := u.Start(inApplication("-p", "2", faulty(t), "--events", "0", "--rate", "10")...)
	id := w.App()
	victim := u.AwaitProcesses(id, usertest.TaskHost, 2)[0]
	u.Signal(victim, syscall.SIGKILL)
	w.Ended(2, "task host", victim.Container, "killed")
	u.YARNSays(id, "FAILED", victim.Container)
}

// TestDriverKilled: the process of the user's main function, in the JobManager's container.
func TestDriverKilled(t *testing.T) {
	t.Parallel()
	u := newUser(t, hadooptest.Require(t))
	w := u.Start(inApplication(faulty(t), "--events", "0", "--rate", "10")...)
	id := w.App()
	u.AwaitProcesses(id, usertest.TaskHost, 1)
	u.Signal(u.AwaitProcesses(id, usertest.Driver, 1)[0], syscall.SIGKILL)
	w.Ended(2, "killed")
	u.YARNSays(id, "FAILED")
}

// TestJobManagerKilled: an application has one attempt; its TaskManagers and task hosts end with it, and what it left in
// staging goes with the user's next command.
func TestJobManagerKilled(t *testing.T) {
	t.Parallel()
	u := newUser(t, hadooptest.Require(t))
	w := u.Start(inApplication("-p", "2", faulty(t), "--events", "0", "--rate", "10")...)
	id := w.App()
	u.AwaitProcesses(id, usertest.TaskHost, 2)
	u.Signal(u.AwaitProcesses(id, usertest.JobManager, 1)[0], syscall.SIGKILL)
	w.Ended(2, id, "137")
	u.YARNSays(id, "FAILED")
	u.Cluster.AwaitNoProcesses(t, id, 30*time.Second)
	if left := strings.Join(u.Staged(), " "); !strings.Contains(left, id) {
		t.Errorf("the JobManager was killed and its directory is gone: what is left is %q", left)
	}
	u.Run("list", "-t", "yarn-session", "-Dyarn.application.id="+id).Ended(1, id)
	u.AwaitNoStaging()
}

// TestContainerReplaced: a TaskManager that dies while the job waits for its slots is replaced, and the job runs. The kill
// may come too late, when the job runs already and fails: then once more.
func TestContainerReplaced(t *testing.T) {
	t.Parallel()
	c := hadooptest.Require(t)
	const wanted, attempts = 8, 5
	for attempt := 1; ; attempt++ {
		u := newUser(t, c)
		w := u.Start(inApplication("-p", fmt.Sprint(wanted), faulty(t), "--events", "80", "--rate", "80")...)
		id := w.App()
		var victim hadooptest.Process
		hadooptest.Await(t, usertest.Patience, "a TaskManager starts", func() (bool, string) {
			found := u.Processes(id, usertest.TaskManager)
			if len(found) > 0 {
				victim = found[0]
			}
			return len(found) > 0, ""
		})
		u.Signal(victim, syscall.SIGKILL)
		w.Wait()
		if w.Code == 2 && strings.Contains(w.All(), victim.Container) && attempt < attempts {
			continue
		}
		w.Ended(0, "seen (int64): 80")
		u.YARNSays(id, "SUCCEEDED")
		granted := 0
		for _, log := range c.ContainerLogs(t, id) {
			granted += strings.Count(log, `msg="worker granted"`)
		}
		if granted <= wanted {
			t.Errorf("%d containers were granted: %s wasn't replaced", granted, victim.Container)
		}
		return
	}
}

// TestContainersThatNeverRegister: where every TaskManager dies at its start, the application gives up and says why,
// instead of asking YARN for ever.
func TestContainersThatNeverRegister(t *testing.T) {
	t.Parallel()
	u := newUser(t, hadooptest.Require(t))
	taken, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	_, port, err := net.SplitHostPort(taken.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	w := u.Start(inApplication("-Dtaskmanager.data.bind-port="+port, "-Dslot.request.timeout=10 s",
		"-Dresourcemanager.start-worker.max-failure-rate=100", faulty(t))...)
	id := w.App()
	w.Ended(2, "slot.request.timeout", "last failed start", "exit code 31")
	u.YARNSays(id, "FAILED", "last failed start")
}
