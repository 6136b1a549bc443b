//go:build hadoop

package faults

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/weftstream/weft/internal/hadooptest"
)

// patience bounds what anything may take on a machine with much else to do; nothing asserts a time.
const patience = 2 * time.Minute

// user is somebody who uses weft: a name on Hadoop, a home there and one here.
type user struct {
	t    testing.TB
	c    *hadooptest.Cluster
	name string
	dir  string
}

var userNumber atomic.Int64

// newUser makes a user. At the test's end nothing of theirs may be alive or left, which is checked if the test has passed.
func newUser(t testing.TB, c *hadooptest.Cluster) *user {
	t.Helper()
	u := &user{t: t, c: c, dir: t.TempDir(), name: fmt.Sprintf("faults-%d-%d-%d", os.Getpid(), time.Now().Unix()%100000, userNumber.Add(1))}
	t.Cleanup(u.end)
	return u
}

// staging is the user's staging directory on HDFS.
func (u *user) staging() string { return "/user/" + u.name + "/.weft" }

func (u *user) apps() []hadooptest.App {
	all, err := u.c.LookupApps(context.Background())
	if err != nil {
		u.t.Errorf("list applications: %v", err)
	}
	return slices.DeleteFunc(all, func(a hadooptest.App) bool { return a.User != u.name })
}

func (u *user) end() {
	apps := u.apps()
	for _, app := range apps {
		if !app.Ended() {
			u.t.Errorf("left alive: %v", app)
			u.c.KillApp(u.t, app.ID)
		}
	}
	if u.t.Failed() {
		return
	}
	for _, app := range apps {
		u.c.AwaitNoProcesses(u.t, app.ID, time.Minute)
		hadooptest.Await(u.t, time.Minute, "YARN counts no container of "+app.ID, func() (bool, string) {
			report := u.c.App(u.t, app.ID)
			return report.Containers <= 0, report.String()
		})
	}
	u.noStaging()
}

// noStaging checks that staging holds nothing but the cache. What a JobManager that was killed has left goes with the
// user's next command, so that is given first.
func (u *user) noStaging() {
	u.start("list", "-t", "yarn-application", "-Dyarn.application.id=application_1_0001").wait()
	hadooptest.Await(u.t, 20*time.Second, "staging is empty but for the cache", func() (bool, string) {
		var left []string
		for _, f := range u.c.List(u.t, u.staging()) {
			if f.Name != "cache" {
				left = append(left, f.Path)
			}
		}
		return len(left) == 0, fmt.Sprint(left)
	})
}

// output is what a command has written so far. It is safe for concurrent use.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// command is a weft command that was started.
type command struct {
	u    *user
	args []string
	cmd  *exec.Cmd
	out  output        // both streams
	done chan struct{} // closed when it has ended
	code int           // then; 128 and more for a signal
}

// start starts weft. The test's end kills it.
func (u *user) start(args ...string) *command {
	u.t.Helper()
	w := &command{u: u, args: args, done: make(chan struct{})}
	w.cmd = exec.Command(binary(u.t, "weft"), args...)
	w.cmd.Dir = u.dir
	w.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + u.dir, "TMPDIR=" + u.dir, "HADOOP_CONF_DIR=" + u.c.ConfDir,
		"HADOOP_USER_NAME=" + u.name, "LANG=C.UTF-8"}
	w.cmd.Stdout, w.cmd.Stderr = &w.out, &w.out
	w.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a Ctrl-C at the test isn't the command's
	if err := w.cmd.Start(); err != nil {
		u.t.Fatal(err)
	}
	go func() {
		defer close(w.done)
		err := w.cmd.Wait()
		var exit *exec.ExitError
		switch {
		case err == nil:
		case errors.As(err, &exit) && exit.ExitCode() >= 0:
			w.code = exit.ExitCode()
		case errors.As(err, &exit):
			w.code = 128 + int(exit.Sys().(syscall.WaitStatus).Signal())
		default:
			w.code = -1
		}
	}()
	u.t.Cleanup(func() {
		_ = w.cmd.Process.Kill()
		<-w.done
		if u.t.Failed() {
			u.t.Logf("weft %s\nexit code %d, output:\n%s", strings.Join(w.args, " "), w.code, &w.out)
		}
	})
	return w
}

// submit runs an application in a cluster of its own, with small containers. options are those of weft.
func (u *user) submit(options []string, program ...string) *command {
	u.t.Helper()
	args := append([]string{"run-application", "-t", "yarn-application", "-Djobmanager.memory.process.size=256m",
		"-Dtaskmanager.memory.process.size=256m"}, options...)
	return u.start(append(args, program...)...)
}

// wait waits for the command's end.
func (w *command) wait() *command {
	w.u.t.Helper()
	select {
	case <-w.done:
	case <-time.After(patience):
		w.u.t.Fatalf("weft %s doesn't end; it has written:\n%s", strings.Join(w.args, " "), &w.out)
	}
	return w
}

// says waits until the command has written something that matches, and returns the match. A command that ends without
// fails the test.
func (w *command) says(pattern string) string {
	w.u.t.Helper()
	re := regexp.MustCompile(pattern)
	var match string
	hadooptest.Await(w.u.t, patience, "weft "+strings.Join(w.args, " ")+" says "+pattern, func() (bool, string) {
		ended := false
		select {
		case <-w.done:
			ended = true
		default:
		}
		if match = re.FindString(w.out.String()); match == "" && ended {
			w.u.t.Fatalf("it never says %s", pattern)
		}
		return match != "", w.out.String()
	})
	return match
}

// ended waits for the end and checks the exit code, and the texts that must be in what was written.
func (w *command) ended(code int, texts ...string) *command {
	w.u.t.Helper()
	if w.wait(); w.code != code {
		w.u.t.Errorf("exit code %d, want %d", w.code, code)
	}
	for _, text := range texts {
		if !regexp.MustCompile(text).MatchString(w.out.String()) {
			w.u.t.Errorf("it doesn't say %q", text)
		}
	}
	if w.u.t.Failed() {
		w.u.t.FailNow()
	}
	return w
}

// app waits for the id of the application that the command has submitted.
func (w *command) app() string {
	w.u.t.Helper()
	id := regexp.MustCompile(`application_\d+_\d+`).FindString(w.says(`Submitted application application_\d+_\d+`))
	w.u.c.LogOnFailure(w.u.t, id)
	return id
}

// running waits until the job runs and returns its id.
func (w *command) running() string {
	w.u.t.Helper()
	return regexp.MustCompile(`[0-9a-f]{32}`).FindString(w.says(`job RUNNING job=[0-9a-f]{32}`))
}

// yarnSays waits until YARN reports an application's end, and checks the final status and its reason.
func (u *user) yarnSays(id, final string, diagnostics ...string) hadooptest.App {
	u.t.Helper()
	app := u.c.AwaitEnd(u.t, id, patience)
	if app.FinalStatus != final {
		u.t.Errorf("YARN's final status isn't %s: %v", final, app)
	}
	for _, text := range diagnostics {
		if !regexp.MustCompile(text).MatchString(app.Diagnostics) {
			u.t.Errorf("YARN's diagnostics don't say %q: %v", text, app)
		}
	}
	return app
}
