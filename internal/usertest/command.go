//go:build hadoop

package usertest

import (
	"bytes"
	"errors"
	"io"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/weftstream/weft/internal/hadooptest"
)

// Command is a weft command that was started.
type Command struct {
	// In is its standard input, which ends with the test.
	In io.WriteCloser
	// Code is its exit code when it has ended; 128 and more for a signal.
	Code int

	u              *User
	args           []string
	cmd            *exec.Cmd
	out, err, both output
	done           chan struct{}
}

// output is what was written so far. It is safe for concurrent use.
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

// Start starts weft. The test's end kills it, and shows what it has written if the test has failed.
func (u *User) Start(args ...string) *Command {
	u.T.Helper()
	w := &Command{u: u, args: args, done: make(chan struct{})}
	w.cmd = exec.Command(Binary(u.T, "weft"), args...)
	w.cmd.Dir = u.Dir
	for name, value := range u.Env {
		if value != "" {
			w.cmd.Env = append(w.cmd.Env, name+"="+value)
		}
	}
	var err error
	if w.In, err = w.cmd.StdinPipe(); err != nil {
		u.T.Fatal(err)
	}
	w.cmd.Stdout, w.cmd.Stderr = io.MultiWriter(&w.out, &w.both), io.MultiWriter(&w.err, &w.both)
	w.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a Ctrl-C at the test isn't the command's
	if err := w.cmd.Start(); err != nil {
		u.T.Fatal(err)
	}
	go func() {
		defer close(w.done)
		err := w.cmd.Wait()
		var exit *exec.ExitError
		switch {
		case err == nil:
		case errors.As(err, &exit) && exit.ExitCode() >= 0:
			w.Code = exit.ExitCode()
		case errors.As(err, &exit):
			w.Code = 128 + int(exit.Sys().(syscall.WaitStatus).Signal())
		default:
			w.Code = -1
		}
	}()
	u.T.Cleanup(func() {
		_ = w.cmd.Process.Kill()
		<-w.done
		if u.T.Failed() {
			u.T.Logf("%s\nexit code %d\nstandard output:\n%s\nstandard output and standard error, as they came:\n%s", w, w.Code, &w.out, &w.both)
		}
	})
	return w
}

// Run runs weft to its end.
func (u *User) Run(args ...string) *Command {
	u.T.Helper()
	return u.Start(args...).Wait()
}

// String is the command line.
func (w *Command) String() string { return "weft " + strings.Join(w.args, " ") }

// Out is what it has written to standard output so far.
func (w *Command) Out() string { return w.out.String() }

// Err is what it has written to standard error so far.
func (w *Command) Err() string { return w.err.String() }

// All is what it has written so far: Out, and then Err, so that no text of one is torn by the other.
func (w *Command) All() string { return w.Out() + "\n" + w.Err() }

// Done is closed when it has ended.
func (w *Command) Done() <-chan struct{} { return w.done }

// Wait waits for the command's end.
func (w *Command) Wait() *Command {
	w.u.T.Helper()
	select {
	case <-w.done:
	case <-time.After(Patience):
		w.u.T.Fatalf("%s doesn't end; it has written:\n%s", w, &w.both)
	}
	return w
}

// Signal sends it a signal.
func (w *Command) Signal(s syscall.Signal) {
	w.u.T.Helper()
	if err := w.cmd.Process.Signal(s); err != nil {
		w.u.T.Fatalf("signal %v to %s: %v", s, w, err)
	}
}

// Says waits until the command has written something that matches a regular expression, and returns the match. A command
// that ends without fails the test.
func (w *Command) Says(pattern string) string {
	w.u.T.Helper()
	re := regexp.MustCompile(pattern)
	var match string
	hadooptest.Await(w.u.T, Patience, w.String()+" says "+pattern, func() (bool, string) {
		ended := false
		select {
		case <-w.done:
			ended = true
		default:
		}
		if match = re.FindString(w.All()); match == "" && ended {
			w.u.T.Fatalf("it never says %s", pattern)
		}
		return match != "", w.both.String()
	})
	return match
}

// Ended waits for the end and checks the exit code, and the texts that must be in what was written. It ends a test that
// has failed.
func (w *Command) Ended(code int, texts ...string) *Command {
	w.u.T.Helper()
	if w.Wait(); w.Code != code {
		w.u.T.Errorf("exit code %d, want %d", w.Code, code)
	}
	for _, text := range texts {
		if !strings.Contains(w.All(), text) {
			w.u.T.Errorf("it doesn't say %q", text)
		}
	}
	if w.u.T.Failed() {
		w.u.T.FailNow()
	}
	return w
}

var (
	appPattern = regexp.MustCompile(`application_\d+_\d+`)
	jobPattern = regexp.MustCompile(`JobID ([0-9a-f]{32})`)
)

// App waits for the id of the application that the command has submitted, whose logs are shown if the test fails.
func (w *Command) App() string {
	w.u.T.Helper()
	id := appPattern.FindString(w.Says(`(?m)^application_\d+_\d+$|Submitted application application_\d+_\d+`))
	w.u.Cluster.LogOnFailure(w.u.T, id)
	return id
}

// Job waits for the id of the (first) job that the command has submitted.
func (w *Command) Job() string {
	w.u.T.Helper()
	return jobPattern.FindStringSubmatch(w.Says(jobPattern.String()))[1]
}
