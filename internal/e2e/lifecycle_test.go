//go:build hadoop

package e2e

import (
	"testing"
	"time"

	"github.com/weftstream/weft/internal/hadooptest"
	"github.com/weftstream/weft/internal/usertest"
)

// TestPerJob: a cluster that lives for its one job, attached and detached, and ends as the job does.
func TestPerJob(t *testing.T) {
	t.Parallel()
	c := hadooptest.Require(t)
	for name, test := range map[string]struct {
		args, texts []string
		code        int
		final       string
	}{
		"attached":             {[]string{faulty(t), "--events", "30"}, []string{"seen (int64): 30", "has finished"}, 0, "SUCCEEDED"},
		"detached":             {[]string{"-d", faulty(t), "--events", "30"}, nil, 0, "SUCCEEDED"},
		"failing":              {[]string{faulty(t), "--do", "panic"}, []string{"assignment to entry in nil map", "main.explode"}, 2, "FAILED"},
		"detached and failing": {[]string{"-d", faulty(t), "--do", "error", "--events", "0", "--rate", "5"}, nil, 0, "FAILED"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := newUser(t, c)
			w := u.Run(append([]string{"run", "-t", "yarn-per-job"}, test.args...)...)
			w.Ended(test.code, test.texts...)
			u.YARNSays(w.App(), test.final)
		})
	}
	t.Run("two jobs", func(t *testing.T) {
		t.Parallel()
		u := newUser(t, c)
		u.Run("run", "-t", "yarn-per-job", chainedApp(t), "--events", "100").Ended(1, "one job")
	})
	t.Run("no job", func(t *testing.T) {
		t.Parallel()
		u := newUser(t, c)
		u.Run("run", "-t", "yarn-per-job", faulty(t), "--do", "no-run").Ended(1, "didn't contain a Weft job")
		if apps := u.Apps(); len(apps) != 0 {
			t.Errorf("a cluster for nothing: %v", apps)
		}
	})
}

// TestCancel: a cancelled job ends an application or per-job cluster as KILLED, and the attached command with 3.
func TestCancel(t *testing.T) {
	t.Parallel()
	c := hadooptest.Require(t)
	for name, args := range map[string][]string{
		"application": inApplication(topspeed(t)),
		"per-job":     {"run", "-t", "yarn-per-job", topspeed(t)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := newUser(t, c)
			w := u.Start(args...)
			id, job := w.App(), w.Job()
			u.AwaitProcesses(id, usertest.TaskHost, 1)
			u.Run("cancel", "-t", args[2], "-Dyarn.application.id="+id, job).Ended(0)
			w.Ended(3)
			u.YARNSays(id, "KILLED")
		})
	}
	t.Run("by YARN", func(t *testing.T) {
		t.Parallel()
		u := newUser(t, c)
		w := u.Start(inApplication(topspeed(t))...)
		id := w.App()
		u.AwaitProcesses(id, usertest.TaskHost, 1)
		c.KillApp(t, id)
		w.Ended(3)
		u.YARNSays(id, "KILLED")
		c.AwaitNoProcesses(t, id, 30*time.Second)
		u.Run("list", "-t", "yarn-session", "-Dyarn.application.id="+id).Ended(1) // sweeps what a killed AM couldn't
	})
}

// TestCancelHangingCode: user code that never returns is killed after task.cancellation.timeout, and the job is CANCELED.
func TestCancelHangingCode(t *testing.T) {
	t.Parallel()
	u := newUser(t, hadooptest.Require(t))
	w := u.Start(inApplication("-Dtask.cancellation.timeout=2 s", faulty(t), "--do", "hang")...)
	id, job := w.App(), w.Job()
	u.AwaitProcesses(id, usertest.TaskHost, 1)
	u.Run("cancel", "-t", "yarn-application", "-Dyarn.application.id="+id, job).Ended(0)
	w.Ended(3)
	u.YARNSays(id, "KILLED")
}
