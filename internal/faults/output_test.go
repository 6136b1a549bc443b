//go:build hadoop

package faults

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/weftstream/weft/internal/hadooptest"
	"github.com/weftstream/weft/internal/soak"
	"github.com/weftstream/weft/internal/usertest"
)

// kill is a fault of a wordcount: one process of a role is killed a while after a moment.
type kill struct {
	role  string
	after moment
	delay time.Duration
}

func (k kill) String() string { return fmt.Sprintf("%s %v after %v", k.role, k.delay, k.after) }

// moment is something that can be waited for.
type moment string

const (
	started   moment = "its start"
	writing   moment = "the first part is begun"
	appearing moment = "the first part is visible"
)

// draw chooses a kill; the delay is within what a run takes.
func draw(random *rand.Rand) kill {
	roles, moments := []string{usertest.TaskHost, usertest.TaskManager, usertest.JobManager}, []moment{started, started, writing, appearing}
	k := kill{role: roles[random.IntN(3)], after: moments[random.IntN(4)]}
	switch k.after {
	case started:
		k.delay = time.Duration(random.Int64N(int64(3 * time.Second)))
	case writing:
		k.delay = time.Duration(random.Int64N(int64(100 * time.Millisecond)))
	}
	return k
}

// TestCommittedOutput: processes of a wordcount are killed at random moments. Its output is all there, as counted
// independently, or readers see nothing of it; and if the application SUCCEEDED, it is there.
func TestCommittedOutput(t *testing.T) {
	t.Parallel()
	c := hadooptest.Require(t)
	in := c.TestDir(t)
	want := text(t, c, in, 6, 400_000)
	random := soak.Dice(t)
	n := 5
	if soak.On() {
		n = 60
	}
	for range n {
		k, pick := draw(random), random.IntN(4)
		t.Run(k.String(), func(t *testing.T) {
			t.Parallel()
			wordcountWithout(t, c, in, want, k, pick)
		})
	}
}

// TestKilledWhileCommitting: parts become visible one after another; the end of any process at that moment doesn't leave
// some of them.
func TestKilledWhileCommitting(t *testing.T) {
	t.Parallel()
	c := hadooptest.Require(t)
	in := c.TestDir(t)
	want := text(t, c, in, 2, 50_000)
	for _, role := range []string{usertest.TaskHost, usertest.JobManager} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			wordcountWithout(t, c, in, want, kill{role: role, after: appearing}, soak.Dice(t).IntN(4))
		})
	}
}

// wordcountWithout runs a wordcount that loses a process; which one of its role, pick says.
func wordcountWithout(t *testing.T, c *hadooptest.Cluster, in string, want map[string]int64, k kill, pick int) {
	u := newUser(t, c)
	out := c.TestDir(t) + "/out"
	w := u.submit([]string{"-p", "8", "-Dtaskmanager.numberOfTaskSlots=4", "-Dtaskmanager.memory.process.size=512m"},
		usertest.Binary(t, "examples/wordcount"), "--input", c.URI(in), "--output", c.URI(out))
	id := w.App()
	victims := u.await(w, k, out, id)
	if len(victims) > 0 {
		// It may have ended meanwhile: then the kill came too late, as kills at random moments may.
		_ = syscall.Kill(victims[pick%len(victims)].PID, syscall.SIGKILL)
	}
	w.Wait()
	app := c.AwaitEnd(t, id, usertest.Patience)
	c.AwaitNoProcesses(t, id, time.Minute)
	shown := visible(t, c, out)
	t.Logf("killed %d of %s; %v, exit code %d, %d parts visible", min(1, len(victims)), k, app.FinalStatus, w.Code, len(shown))
	switch {
	case app.FinalStatus == "SUCCEEDED" && w.Code == 0:
	case app.FinalStatus != "FAILED" || w.Code != 2:
		t.Errorf("exit code %d, and YARN says %v", w.Code, app)
	case len(shown) == 0:
		return
	}
	if got := written(t, c, out); !maps.Equal(got, want) {
		t.Errorf("%d of %d records are visible, in %v", len(got), len(want), shown)
	}
}

// await waits for the moment of a kill and returns the processes of its role then. A run that ends before has none.
func (u *user) await(w *usertest.Command, k kill, out, id string) []hadooptest.Process {
	var found []hadooptest.Process
	came := map[moment]func() bool{
		started:   func() bool { found = u.Processes(id, k.role); return len(found) > 0 },
		writing:   func() bool { return len(u.Cluster.List(u.T, out)) > 1 }, // the marker is the first
		appearing: func() bool { return len(visible(u.T, u.Cluster, out)) > 0 },
	}
	for _, m := range []moment{started, writing, appearing} {
		for !came[m]() {
			select {
			case <-w.Done():
				return nil
			case <-time.After(time.Millisecond):
			}
		}
		if m == k.after {
			break
		}
		found = u.Processes(id, k.role) // soon enough: the next moment may be short
	}
	silence(k.delay)
	if k.after == started { // there may be more by now, or others
		found = u.Processes(id, k.role)
	}
	return found
}
