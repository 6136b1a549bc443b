//go:build hadoop

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/weftstream/weft/internal/hadooptest"
)

// patience bounds what a command may take on a machine with much else to do; nothing asserts a time.
const patience = 90 * time.Second

func noContext() context.Context { return context.Background() }

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
	u        *testUser
	t        testing.TB
	args     []string
	cmd      *exec.Cmd
	in       io.WriteCloser // its standard input, which ends with the test
	out, err output
	done     chan struct{} // closed when it has ended
	code     int           // then; 128 and more for a signal
}

// start starts weft. The test's end kills it.
func (u *testUser) start(args ...string) *command {
	u.t.Helper()
	return u.startWith(nil, args...)
}

// startWith is start with more environment variables; "KEY=" removes one.
func (u *testUser) startWith(env []string, args ...string) *command {
	u.t.Helper()
	w := &command{u: u, t: u.t, args: args, done: make(chan struct{})}
	w.cmd = exec.Command(weftBinary(u.t), args...)
	w.cmd.Dir = u.dir
	w.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + u.dir, "TMPDIR=" + u.dir, "HADOOP_CONF_DIR=" + u.confDir,
		"HADOOP_USER_NAME=" + u.name, "LANG=C.UTF-8"}
	for _, e := range env {
		key, value, _ := strings.Cut(e, "=")
		w.cmd.Env = slices.DeleteFunc(w.cmd.Env, func(have string) bool { return strings.HasPrefix(have, key+"=") })
		if value != "" {
			w.cmd.Env = append(w.cmd.Env, e)
		}
	}
	var err error
	if w.in, err = w.cmd.StdinPipe(); err != nil {
		u.t.Fatal(err)
	}
	w.cmd.Stdout, w.cmd.Stderr = &w.out, &w.err
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
			u.t.Logf("%s", w)
		}
	})
	return w
}

// run runs weft to its end.
func (u *testUser) run(args ...string) *command {
	u.t.Helper()
	return u.start(args...).wait()
}

func (w *command) String() string {
	return fmt.Sprintf("weft %s\nexit code %d\nstandard output:\n%s\nstandard error:\n%s", strings.Join(w.args, " "), w.code, &w.out, &w.err)
}

// all is what it has written to both.
func (w *command) all() string { return w.out.String() + "\n" + w.err.String() }

// wait waits for the command's end.
func (w *command) wait() *command {
	w.t.Helper()
	select {
	case <-w.done:
	case <-time.After(patience):
		w.t.Fatalf("weft %s doesn't end; it has written:\n%s", strings.Join(w.args, " "), w.all())
	}
	return w
}

// running says whether it hasn't ended.
func (w *command) running() bool {
	select {
	case <-w.done:
		return false
	default:
		return true
	}
}

// signal sends it a signal.
func (w *command) signal(s syscall.Signal) {
	w.t.Helper()
	if err := w.cmd.Process.Signal(s); err != nil {
		w.t.Fatalf("signal %v to weft %s: %v", s, strings.Join(w.args, " "), err)
	}
}

// says waits until the command has written something that matches, and returns the match. A command that ends without
// fails the test.
func (w *command) says(pattern string) string {
	w.t.Helper()
	re := regexp.MustCompile(pattern)
	var match string
	hadooptest.Await(w.t, patience, "weft "+strings.Join(w.args, " ")+" says "+pattern, func() (bool, string) {
		ended := !w.running()
		match = re.FindString(w.all())
		if match == "" && ended {
			w.t.Fatalf("it never says %s", pattern)
		}
		return match != "", w.all()
	})
	return match
}

// ended waits for the end and checks exit code and texts. No text of a Go panic of weft's own may be among what it wrote.
func (w *command) ended(code int, texts ...string) *command {
	w.t.Helper()
	w.wait()
	if w.code != code {
		w.t.Errorf("exit code %d, want %d", w.code, code)
	}
	for _, text := range texts {
		if !strings.Contains(w.all(), text) {
			w.t.Errorf("it doesn't say %q", text)
		}
	}
	if w.t.Failed() {
		w.t.FailNow()
	}
	return w
}

var (
	appPattern = regexp.MustCompile(`application_\d+_\d+`)
	jobPattern = regexp.MustCompile(`JobID ([0-9a-f]{32})`)
)

// app waits for the id of the application that the command has submitted.
func (w *command) app() string {
	w.t.Helper()
	id := appPattern.FindString(w.says(`(?m)^application_\d+_\d+$|Submitted application application_\d+_\d+`))
	w.u.c.LogOnFailure(w.t, id)
	return id
}

// job waits for the id of the (first) job that the command has submitted.
func (w *command) job() string {
	w.t.Helper()
	return jobPattern.FindStringSubmatch(w.says(jobPattern.String()))[1]
}

// yarnSays waits until YARN reports an application's end, and checks the final status.
func (u *testUser) yarnSays(id, final string, diagnostics ...string) hadooptest.App {
	u.t.Helper()
	app := u.c.AwaitEnd(u.t, id, patience)
	if app.FinalStatus != final {
		u.t.Errorf("YARN's final status isn't %s: %v", final, app)
	}
	for _, text := range diagnostics {
		if !strings.Contains(app.Diagnostics, text) {
			u.t.Errorf("YARN's diagnostics don't say %q: %v", text, app)
		}
	}
	return app
}

// The roles of processes in containers.
const (
	jobManager  = "JobManager"
	taskManager = "TaskManager"
	taskHost    = "task host"
	driver      = "driver"
)

// processes lists an application's processes of one role.
func (u *testUser) processes(app, role string) []hadooptest.Process {
	u.t.Helper()
	all := u.c.Processes(u.t, app)
	roles := map[int]string{}
	for _, p := range all {
		switch {
		case filepath.Base(p.Args[0]) != "weft" || len(p.Args) < 3 || p.Args[1] != "entrypoint":
		case p.Args[2] == "yarn-taskmanager":
			roles[p.PID] = taskManager
		default:
			roles[p.PID] = jobManager
		}
	}
	for _, p := range all {
		switch roles[p.Parent] {
		case taskManager:
			roles[p.PID] = taskHost
		case jobManager:
			roles[p.PID] = driver
		}
	}
	return slices.DeleteFunc(all, func(p hadooptest.Process) bool { return roles[p.PID] != role })
}

// awaitProcesses waits until an application has n processes of a role.
func (u *testUser) awaitProcesses(app, role string, n int) []hadooptest.Process {
	u.t.Helper()
	var found []hadooptest.Process
	hadooptest.Await(u.t, patience, fmt.Sprintf("%s has %d %s processes", app, n, role), func() (bool, string) {
		found = u.processes(app, role)
		return len(found) == n, fmt.Sprint(found)
	})
	return found
}

// kill9 kills one process of a container.
func (u *testUser) kill9(p hadooptest.Process) {
	u.t.Helper()
	if err := syscall.Kill(p.PID, syscall.SIGKILL); err != nil {
		u.t.Fatalf("kill %v: %v", p, err)
	}
}

func pids(processes []hadooptest.Process) []int {
	var all []int
	for _, p := range processes {
		all = append(all, p.PID)
	}
	slices.Sort(all)
	return all
}
