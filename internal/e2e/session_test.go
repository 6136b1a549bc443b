//go:build hadoop

package e2e

import (
	"io"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/weftstream/weft/internal/hadooptest"
	"github.com/weftstream/weft/internal/usertest"
)

// session starts a detached session with some slots on each TaskManager, and returns its id. The test's end stops it.
func (u *testUser) session(slots string) string {
	u.T.Helper()
	w := u.Run("yarn-session", "-d", "-s", slots, "-nm", "session of "+u.Name).Ended(0)
	id := w.App()
	u.T.Cleanup(func() {
		if u.T.Failed() {
			u.Cluster.KillApp(u.T, id)
		}
	})
	return id
}

// inSession are the arguments that run an executable in a session.
func inSession(id string, more ...string) []string {
	return append([]string{"run", "-t", "yarn-session", "-Dyarn.application.id=" + id}, more...)
}

// jobs returns the states by job id, as weft list shows them.
func (u *testUser) jobs(id string) map[string]string {
	u.T.Helper()
	w := u.Run("list", "-a", "-t", "yarn-session", "-Dyarn.application.id="+id).Ended(0)
	states := map[string]string{}
	for line := range strings.Lines(w.Out()) {
		fields := strings.Split(strings.TrimSpace(line), " : ")
		if len(fields) != 3 {
			continue
		}
		_, state, _ := strings.Cut(fields[2], "(")
		states[fields[1]] = strings.TrimSuffix(state, ")")
	}
	return states
}

// awaitJob waits until a job of a session is in a state.
func (u *testUser) awaitJob(id, job, state string) {
	u.T.Helper()
	hadooptest.Await(u.T, usertest.Patience, "job "+job+" is "+state, func() (bool, string) {
		states := u.jobs(id)
		return states[job] == state, states[job]
	})
}

// stopSession ends a session in order.
func (u *testUser) stopSession(id string) {
	u.T.Helper()
	u.Run("yarn-session", "stop", id).Ended(0)
	app := u.Cluster.AwaitEnd(u.T, id, usertest.Patience)
	if app.State != "FINISHED" || app.FinalStatus != "SUCCEEDED" {
		u.T.Errorf("a session that was stopped is %v", app)
	}
}

// TestSession: jobs side by side, listed, one cancelled while the other goes on, TaskManagers that come with jobs, and
// the end of all of it by yarn-session stop.
func TestSession(t *testing.T) {
	t.Parallel()
	u := newUser(t, hadooptest.Require(t))
	id := u.session("1")
	if n := len(u.Processes(id, usertest.TaskManager)); n != 0 {
		t.Errorf("%d TaskManagers without a job", n)
	}
	first := u.Run(inSession(id, "-d", topspeed(t))...).Ended(0).Job()
	second := u.Run(inSession(id, "-d", faulty(t), "--events", "0", "--rate", "5")...).Ended(0).Job()
	u.awaitJob(id, first, "RUNNING")
	u.awaitJob(id, second, "RUNNING")
	u.AwaitProcesses(id, usertest.TaskHost, 2)

	// A bounded one, attached, beside them: its result is the command's.
	u.Run(inSession(id, faulty(t), "--events", "30")...).Ended(0, "seen (int64): 30", "has finished")

	u.Run("cancel", "-t", "yarn-session", "-Dyarn.application.id="+id, first).Ended(0, "Cancelled job "+first)
	u.awaitJob(id, first, "CANCELED")
	if state := u.jobs(id)[second]; state != "RUNNING" {
		t.Errorf("the other job is %s", state)
	}
	u.AwaitProcesses(id, usertest.TaskHost, 1)
	u.stopSession(id)
}

// TestSessionByPropertiesFile: commands find the session without being told, until it is gone; then they say so.
func TestSessionByPropertiesFile(t *testing.T) {
	t.Parallel()
	c := hadooptest.Require(t)
	u := newUser(t, c)
	id := u.session("1")
	w := u.Run("run", "-d", faulty(t), "--events", "0", "--rate", "5").Ended(0, id)
	job := w.Job()
	u.Run("list", "-a").Ended(0, job, id)
	u.Run("cancel", job).Ended(0)
	u.awaitJob(id, job, "CANCELED")
	c.KillApp(t, id)
	u.Run("list").Ended(1, id)
	if w := u.Run("list").Ended(1); strings.Contains(w.All(), id) {
		t.Errorf("a dead session is still looked for")
	}
	u.YARNSays(id, "KILLED")
}

// TestSessionAttached: how an attached yarn-session ends, and with it the session and its jobs. The rows are those of
// docs/lifecycle.md.
func TestSessionAttached(t *testing.T) {
	t.Parallel()
	c := hadooptest.Require(t)
	for _, test := range []struct {
		name  string
		do    func(u *testUser, w *usertest.Command, id string)
		code  int
		final string // "": it goes on
	}{
		{"stop is typed", func(u *testUser, w *usertest.Command, _ string) { _, _ = io.WriteString(w.In, "stop\n") }, 0, "SUCCEEDED"},
		{"Ctrl-C", func(u *testUser, w *usertest.Command, _ string) { w.Signal(syscall.SIGINT) }, 130, "SUCCEEDED"},
		{"yarn-session stop", func(u *testUser, w *usertest.Command, id string) { u.Run("yarn-session", "stop", id).Ended(0) }, 0, "SUCCEEDED"},
		{"killed by YARN", func(u *testUser, w *usertest.Command, id string) { c.KillApp(u.T, id) }, 3, "KILLED"},
		{"the command is killed", func(u *testUser, w *usertest.Command, _ string) { w.Signal(syscall.SIGKILL) }, 137, ""},
		{"the JobManager is killed", func(u *testUser, w *usertest.Command, id string) {
			u.Signal(u.AwaitProcesses(id, usertest.JobManager, 1)[0], syscall.SIGKILL)
		}, 2, "FAILED"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			u := newUser(t, c)
			w := u.Start("yarn-session")
			id := w.App()
			w.Says("JobManager Web Interface")
			job := u.Run(inSession(id, "-d", faulty(t), "--events", "0", "--rate", "5")...).Ended(0).Job()
			u.AwaitProcesses(id, usertest.TaskHost, 1)
			test.do(u, w, id)
			w.Ended(test.code)
			if test.final == "" {
				u.awaitJob(id, job, "RUNNING")
				u.stopSession(id)
				return
			}
			u.YARNSays(id, test.final)
			if test.final != "SUCCEEDED" { // nobody was left to clean up
				u.Run("yarn-session", "stop", id).Ended(0)
			}
		})
	}
}

// TestSessionStandardInputEnds: that is no reason to end, as for a command in the background.
func TestSessionStandardInputEnds(t *testing.T) {
	t.Parallel()
	u := newUser(t, hadooptest.Require(t))
	w := u.Start("yarn-session")
	_ = w.In.Close()
	id := w.App()
	w.Says("JobManager Web Interface")
	u.Run(inSession(id, faulty(t), "--events", "30")...).Ended(0, "seen (int64): 30")
	select {
	case <-w.Done():
		t.Error("it has ended")
	default:
	}
	u.stopSession(id)
	w.Ended(0)
}

// TestSessionNeighbours: a job that panics, leaks or exits ends alone: the other job on the same TaskManager keeps its
// process, and the session takes the next job.
func TestSessionNeighbours(t *testing.T) {
	t.Parallel()
	u := newUser(t, hadooptest.Require(t))
	id := u.session("2")
	neighbour := u.Run(inSession(id, "-d", faulty(t), "--events", "0", "--rate", "5")...).Ended(0).Job()
	u.awaitJob(id, neighbour, "RUNNING")
	before := pids(u.AwaitProcesses(id, usertest.TaskHost, 1))
	for _, test := range failures[:4] {
		w := u.Run(inSession(id, faulty(t), "--do", test.do)...)
		w.Ended(2, test.texts...)
		u.awaitJob(id, w.Job(), "FAILED")
		if after := pids(u.AwaitProcesses(id, usertest.TaskHost, 1)); !slices.Equal(before, after) {
			t.Errorf("after %s of another job the neighbour's process is %v, was %v", test.do, after, before)
		}
		if state := u.jobs(id)[neighbour]; state != "RUNNING" {
			t.Fatalf("after %s of another job the neighbour is %s", test.do, state)
		}
	}
	if n := len(u.Processes(id, usertest.TaskManager)); n != 1 {
		t.Errorf("%d TaskManagers, want one with both jobs", n)
	}
	u.Run(inSession(id, faulty(t), "--events", "30")...).Ended(0, "seen (int64): 30")
	u.stopSession(id)
}

// TestSessionDriverFailures: what goes wrong in the driver on the client is said there, and leaves nothing in the session.
func TestSessionDriverFailures(t *testing.T) {
	t.Parallel()
	u := newUser(t, hadooptest.Require(t))
	id := u.session("1")
	for _, test := range failures[4:11] {
		w := u.Run(inSession(id, faulty(t), "--do", test.do)...)
		w.Ended(1, test.texts...)
	}
	if jobs := u.jobs(id); len(jobs) != 0 {
		t.Errorf("jobs %v", jobs)
	}
	u.stopSession(id)
}

// TestSessionClientKilled: an attached command's job lives on after kill -9, and after Ctrl-C; with -sae it ends.
func TestSessionClientKilled(t *testing.T) {
	t.Parallel()
	u := newUser(t, hadooptest.Require(t))
	id := u.session("1")
	for _, test := range []struct {
		signal syscall.Signal
		more   []string
		state  string
	}{
		{syscall.SIGKILL, nil, "RUNNING"},
		{syscall.SIGINT, nil, "RUNNING"},
		{syscall.SIGINT, []string{"-sae"}, "CANCELED"},
		{syscall.SIGKILL, []string{"-sae", "-Dclient.heartbeat.interval=500 ms", "-Dclient.heartbeat.timeout=3 s"}, "CANCELED"},
	} {
		w := u.Start(inSession(id, append(test.more, faulty(t), "--events", "0", "--rate", "5")...)...)
		job := w.Job()
		u.awaitJob(id, job, "RUNNING")
		w.Signal(test.signal)
		w.Ended(128 + int(test.signal))
		u.awaitJob(id, job, test.state)
		if test.state == "RUNNING" {
			u.Run("cancel", "-t", "yarn-session", "-Dyarn.application.id="+id, job).Ended(0)
			u.awaitJob(id, job, "CANCELED")
		}
	}
	u.stopSession(id)
}

// TestUnknownJobAndSession: clear words and exit code 1 for what isn't there.
func TestUnknownJobAndSession(t *testing.T) {
	t.Parallel()
	u := newUser(t, hadooptest.Require(t))
	id := u.session("1")
	target := []string{"-t", "yarn-session", "-Dyarn.application.id=" + id}
	job := strings.Repeat("0f", 16)
	u.Run(append([]string{"cancel", job}, target...)...).Ended(1, job)
	u.Run(append([]string{"cancel", "nonsense"}, target...)...).Ended(1, "nonsense")
	u.Run(append([]string{"cancel"}, target...)...).Ended(1, "Missing JobID")
	u.Run("list", "-t", "yarn-session", "-Dyarn.application.id=application_1_9999").Ended(1, "application_1_9999")
	u.Run("list", "-t", "yarn-session").Ended(0, "Found Yarn properties file", id)
	u.Run("list", "-t", "yarn-session", "--ignore-properties").Ended(1, "No cluster id was specified")
	u.Run("yarn-session", "stop", "application_1_9999").Ended(1, "application_1_9999")
	u.stopSession(id)
	u.Run(inSession(id, faulty(t))...).Ended(1, id)
	u.Run("yarn-session", "stop", id).Ended(0)
}

// TestForeignSession: another user's session can't be used without its token.
func TestForeignSession(t *testing.T) {
	t.Parallel()
	c := hadooptest.Require(t)
	u, other := newUser(t, c), newUser(t, c)
	id := u.session("1")
	other.Run(inSession(id, faulty(t))...).Ended(1, id)
	other.Run("list", "-t", "yarn-session", "-Dyarn.application.id="+id).Ended(1, id)
	u.stopSession(id)
}

// TestManyJobsAtOnce: they are submitted at once and all run to their end, within two TaskManagers' slots at a time or more.
func TestManyJobsAtOnce(t *testing.T) {
	t.Parallel()
	u := newUser(t, hadooptest.Require(t))
	id := u.session("4")
	var all []*usertest.Command
	for range 6 {
		all = append(all, u.Start(inSession(id, faulty(t), "--events", "40", "--rate", "40")...))
	}
	for _, w := range all {
		w.Ended(0, "seen (int64): 40")
	}
	if jobs := u.jobs(id); len(jobs) != len(all) {
		t.Errorf("jobs %v", jobs)
	}
	u.stopSession(id)
}
