//go:build linux

package taskmanager

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/internal/testkit"
	"github.com/weftstream/weft/link"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/runtime/taskmanager/internal/apptest"
)

// envParent makes the test binary a TaskManager's stand-in that starts one host and waits.
const envParent = "TASKMANAGER_TEST_PARENT"

func TestMain(m *testing.M) {
	apptest.Main()
	if dir := os.Getenv(envParent); dir != "" {
		parentMain(dir)
	}
	os.Exit(m.Run())
}

const patience = 20 * time.Second

func quiet(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(&testWriter{t: t}, nil))
}

// testWriter logs into the test until that has ended.
type testWriter struct {
	mu sync.Mutex
	t  *testing.T
}

func (w *testWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.t.Log(strings.TrimSpace(string(b)))
	return len(b), nil
}

type kit struct {
	*ProcessStarter
	temp, logs string
}

func newKit(t *testing.T, change func(*ProcessConfig)) *kit {
	t.Helper()
	testkit.NoGoroutinesLeft(t)
	c := ProcessConfig{TempDir: t.TempDir(), LogDir: t.TempDir(), Log: quiet(t), KillGrace: 100 * time.Millisecond}
	if change != nil {
		change(&c)
	}
	p, err := NewProcessStarter(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return &kit{p, c.TempDir, c.LogDir}
}

var testJob = graph.JobID{0xab, 0xcd, 0xef, 0x01, 0x23}

// host starts the test binary, or another application, as a task host of the given mode.
func (k *kit) host(t *testing.T, executable, mode string, limits Limits) *testHost {
	t.Helper()
	if executable == "" {
		var err error
		if executable, err = os.Executable(); err != nil {
			t.Fatal(err)
		}
	}
	h, err := k.Start(t.Context(), HostSpec{JobID: testJob, Executable: executable,
		Start:  &linkpb.HostStart{Config: map[string]string{"mode": mode}, ResourceId: "tm1"},
		Limits: func() Limits { return limits }})
	if err != nil {
		t.Fatal(err)
	}
	x := &testHost{Host: h, t: t}
	t.Cleanup(x.end)
	return x
}

// testHost reads events in the test.
type testHost struct {
	Host
	t    *testing.T
	exit *linkpb.HostExit
}

// next is the next event; the Hello is skipped.
func (h *testHost) next() *linkpb.FromHost {
	h.t.Helper()
	select {
	case m, ok := <-h.Events():
		if !ok {
			h.t.Fatal("no more events")
		}
		h.exit = m.GetExit()
		return m
	case <-time.After(patience):
		h.t.Fatal("no event")
		return nil
	}
}

// ready waits for Ready.
func (h *testHost) ready() *testHost {
	h.t.Helper()
	if m := h.next(); m.GetReady() == nil {
		h.t.Fatalf("got %v, want ready", m)
	}
	return h
}

// said waits for a text.
func (h *testHost) said() *linkpb.CoordinatorResponse {
	h.t.Helper()
	m := h.next()
	if m.GetCoordinatorResponse() == nil {
		h.t.Fatalf("got %v, want a text", m)
	}
	return m.GetCoordinatorResponse()
}

func (h *testHost) ask(seq int64, text string) {
	h.t.Helper()
	if err := h.Send(&linkpb.ToHost{Message: &linkpb.ToHost_CoordinatorRequest{
		CoordinatorRequest: &linkpb.CoordinatorRequest{Seq: seq, Payload: []byte(text)}}}); err != nil {
		h.t.Fatal(err)
	}
}

// exited waits for the end, skipping what comes before.
func (h *testHost) exited() *linkpb.HostExit {
	h.t.Helper()
	for h.exit == nil {
		h.next()
	}
	if _, ok := <-h.Events(); ok {
		h.t.Fatal("an event after HostExit")
	}
	return h.exit
}

func (h *testHost) end() {
	h.Kill()
	for range h.Events() {
	}
}

func TestProcessEnds(t *testing.T) {
	tests := []struct {
		name, mode string
		code       int32
		signal     string
		reason     string
	}{
		{"exit code", "exit:3", 3, "", "exit status 3"},
		{"normal end", "exit:0", 0, "", "exit status 0"},
		{"panic", "panic:boom in user code", 2, "", "panic: boom in user code"},
	}
	k := newKit(t, nil)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h := k.host(t, "", test.mode, Limits{})
			x := h.exited()
			if x.ExitCode != test.code || x.Signal != test.signal || !strings.HasPrefix(x.Reason, test.reason) {
				t.Errorf("got %v, want code %d, reason %q", x, test.code, test.reason)
			}
			if strings.HasPrefix(test.mode, "panic") {
				if len(x.StderrTail) > link.TailSize || !strings.Contains(x.StderrTail, "panic: boom in user code") ||
					!strings.Contains(x.StderrTail, "goroutine ") || strings.Count(x.StderrTail, "goroutine ") < 3 {
					t.Errorf("stderr tail of %d bytes lacks the panic or the goroutines:\n%s", len(x.StderrTail), x.StderrTail)
				}
			}
			if err := h.Send(&linkpb.ToHost{}); err == nil {
				t.Error("sending to an ended host succeeded")
			}
		})
	}
	if left, _ := os.ReadDir(k.temp); len(left) > 0 {
		t.Errorf("working directories are left: %v", left)
	}
	b, err := os.ReadFile(filepath.Join(k.logs, "taskhost-abcdef01-3.err"))
	if err != nil || !strings.Contains(string(b), "a line before") {
		t.Errorf("log of the panic: %v, %.200q", err, b)
	}
}

func TestProcessBeforeAttaching(t *testing.T) {
	tests := []struct{ before, reason string }{
		{"exit", "ended with exit status 0 before it attached"},
		{"hang", "killed: it did not attach to the TaskManager within 300ms"},
		{"version", "the application has Weft 0.0.9"},
	}
	for _, test := range tests {
		t.Run(test.before, func(t *testing.T) {
			k := newKit(t, func(c *ProcessConfig) {
				c.Environment = map[string]string{apptest.EnvBefore: test.before}
				if test.before == "hang" {
					c.AttachTimeout = 300 * time.Millisecond
				}
			})
			if x := k.host(t, "", "", Limits{}).exited(); !strings.HasPrefix(x.Reason, test.reason) {
				t.Errorf("got reason %q, want %q", x.Reason, test.reason)
			}
		})
	}
}

func TestProcessNotExecutable(t *testing.T) {
	k := newKit(t, nil)
	path := filepath.Join(t.TempDir(), "app")
	if err := os.WriteFile(path, []byte("no program"), 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := k.Start(t.Context(), HostSpec{JobID: testJob, Executable: path, Start: &linkpb.HostStart{},
		Limits: func() Limits { return Limits{} }})
	if err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v, want an error that names %s", err, path)
	}
	for _, dir := range []string{k.temp, k.logs} {
		if left, _ := os.ReadDir(dir); dir == k.temp && len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
}

func TestProcessEnvironment(t *testing.T) {
	t.Setenv("SECRET_OF_THE_TASKMANAGER", "x")
	t.Setenv("HADOOP_USER_NAME", "alice")
	k := newKit(t, func(c *ProcessConfig) { c.Environment = map[string]string{"CONTAINERIZED": "yes"} })
	text := string(k.host(t, "", "environment", Limits{Memory: 1 << 40, Processors: 3}).said().GetPayload())
	lines := strings.Split(text, "\n")
	value := func(name string) string {
		for _, l := range lines {
			if v, ok := strings.CutPrefix(l, name+"="); ok {
				return v
			}
		}
		return "(none)"
	}
	for name, want := range map[string]string{
		"SECRET_OF_THE_TASKMANAGER": "(none)", "WEFT_ROLE": "(none)", "WEFT_LINK_FD": "(none)", "WEFT_DATA_FD": "(none)",
		"HADOOP_USER_NAME": "alice", "CONTAINERIZED": "yes", "PATH": os.Getenv("PATH"),
		"GOMEMLIMIT": strconv.Itoa(1 << 40), "GOMAXPROCS": "3", "GOTRACEBACK": "all",
		"memory": strconv.Itoa(1 << 40), "processors": "3", "temp": value("cwd"), "TMPDIR": value("cwd"),
	} {
		if got := value(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if dir := value("cwd"); !strings.HasPrefix(dir, k.temp+"/taskhost-abcdef01-1-") {
		t.Errorf("working directory %s isn't the host's own below %s", dir, k.temp)
	}
}

func TestProcessRoundTripAndShutdown(t *testing.T) {
	k := newKit(t, nil)
	h := k.host(t, "", "serve", Limits{}).ready()
	for i := range 100 {
		h.ask(int64(i), fmt.Sprint("text ", i))
	}
	for i := range 100 {
		if m := h.said(); m.GetSeq() != int64(i) || string(m.GetPayload()) != fmt.Sprint("text ", i) {
			t.Fatalf("answer %d is %v", i, m)
		}
	}
	if h.Resident() < 1<<20 {
		t.Errorf("resident memory %d", h.Resident())
	}
	if err := h.Send(&linkpb.ToHost{Message: &linkpb.ToHost_Shutdown{Shutdown: &linkpb.HostShutdown{}}}); err != nil {
		t.Fatal(err)
	}
	if x := h.exited(); x.ExitCode != 0 || x.Signal != "" {
		t.Errorf("exit %v", x)
	}
	if h.Resident() != 0 {
		t.Error("resident memory of an ended process")
	}
}

func TestProcessKillEscalates(t *testing.T) {
	k := newKit(t, nil)
	h := k.host(t, "", "stuck", Limits{})
	pid := int(h.said().GetSeq())
	h.Kill()
	h.Kill()
	x := h.exited()
	if x.Signal != "killed" || x.Reason != "killed by the TaskManager" {
		t.Errorf("got %v", x)
	}
	if err := syscall.Kill(pid, 0); err != syscall.ESRCH {
		t.Errorf("process %d: %v", pid, err)
	}
}

func TestProcessKilledFromOutside(t *testing.T) {
	k := newKit(t, nil)
	h := k.host(t, "", "serve", Limits{}).ready()
	h.ask(1, "die")
	if x := h.exited(); x.ExitCode != -1 || x.Signal != "killed" || !strings.HasPrefix(x.Reason, "killed by SIGKILL from outside") {
		t.Errorf("got %v", x)
	}
}

func TestProcessPassesConnections(t *testing.T) {
	k := newKit(t, nil)
	h := k.host(t, "", "serve", Limits{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	done := make(chan error, 1)
	go func() { // before the host is ready: it waits
		for range 20 {
			conn, err := l.Accept()
			if err == nil {
				err = h.PassConn(conn, make([]byte, 23))
			}
			if err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for i := range 20 {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(patience))
		fmt.Fprintf(conn, "hello %d\n", i)
		got, err := bufio.NewReader(conn).ReadString('\n')
		if want := fmt.Sprintf("23 hello %d\n", i); err != nil || got != want {
			t.Fatalf("got %q, %v, want %q", got, err, want)
		}
		if _, err := conn.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("the host's close should reach the peer, the TaskManager having no copy: %v", err)
		}
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestProcessLogsRoll(t *testing.T) {
	k := newKit(t, func(c *ProcessConfig) { c.LogMaxSize, c.LogMaxFiles, c.LogMaxHosts = 1000, 3, 2 })
	for range 4 {
		k.host(t, "", "print:1000", Limits{}).ready().end() // 15000 bytes a host
	}
	names, err := filepath.Glob(k.logs + "/*")
	if err != nil {
		t.Fatal(err)
	}
	for i := range names {
		names[i] = filepath.Base(names[i])
	}
	want := []string{
		"taskhost-abcdef01-3.err", "taskhost-abcdef01-3.out", "taskhost-abcdef01-3.out.1", "taskhost-abcdef01-3.out.2",
		"taskhost-abcdef01-4.err", "taskhost-abcdef01-4.out", "taskhost-abcdef01-4.out.1", "taskhost-abcdef01-4.out.2",
	}
	if !slices.Equal(names, want) {
		t.Fatalf("log files %q, want %q", names, want)
	}
	var all string
	for _, name := range []string{want[7], want[6], want[5]} {
		b, err := os.ReadFile(filepath.Join(k.logs, name))
		if err != nil || len(b) > 1000 {
			t.Errorf("%s has %d bytes: %v", name, len(b), err)
		}
		all += string(b)
	}
	if !strings.HasSuffix(all, "line 000000998\nline 000000999\n") {
		t.Errorf("the end of the output isn't there: %q", all[max(0, len(all)-60):])
	}
}

func TestProcessLeavesNothingBehind(t *testing.T) {
	k := newKit(t, nil)
	h := k.host(t, "", "orphan", Limits{})
	pid := int(h.said().GetSeq())
	if err := syscall.Kill(pid, 0); err != nil {
		t.Fatal(err)
	}
	h.ready().end()
	waitGone(t, pid)
}

// waitGone waits until a process is dead; whose zombie it is doesn't matter.
func waitGone(t *testing.T, pid int) {
	t.Helper()
	testkit.Eventually(t, fmt.Sprintf("process %d ends", pid), func() bool {
		state, _ := stat(pid)
		return state == 0 || state == 'Z'
	})
}

// parentMain is the TaskManager's stand-in: it starts one host, says its pid, and waits to be killed.
func parentMain(dir string) {
	orphan := os.Getenv("MODE") == "orphan"
	p, err := NewProcessStarter(ProcessConfig{TempDir: dir, LogDir: dir, Subreaper: orphan})
	if err == nil {
		var executable string
		if executable, err = os.Executable(); err == nil {
			var h Host
			h, err = p.Start(context.Background(), HostSpec{JobID: testJob, Executable: executable,
				Start:  &linkpb.HostStart{Config: map[string]string{"mode": os.Getenv("MODE")}},
				Limits: func() Limits { return Limits{} }})
			if err == nil {
				for m := range h.Events() {
					if r := m.GetCoordinatorResponse(); r != nil {
						fmt.Println(r.GetSeq())
						if orphan {
							h.Kill()
						}
					}
				}
				io.Copy(io.Discard, os.Stdin) // to the end of the test
				p.Close()
				os.Exit(0)
			}
		}
	}
	fmt.Fprintln(os.Stderr, "parent:", err)
	os.Exit(1)
}

// startParent starts the stand-in and returns what its host said: a pid.
func startParent(t *testing.T, mode string) (parent *exec.Cmd, end func() error, pid int) {
	t.Helper()
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	parent = exec.Command(executable)
	parent.Env = append(os.Environ(), envParent+"="+t.TempDir(), "MODE="+mode)
	parent.Stderr = os.Stderr
	in, err := parent.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { parent.Process.Kill() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if pid, err = strconv.Atoi(strings.TrimSpace(line)); err != nil {
		t.Fatal(err)
	}
	return parent, func() error { in.Close(); return parent.Wait() }, pid
}

// A stuck host doesn't notice the end of its link: the kernel has to kill it with its parent.
func TestProcessDiesWithItsParent(t *testing.T) {
	parent, end, pid := startParent(t, "stuck")
	if err := syscall.Kill(pid, 0); err != nil {
		t.Fatalf("the host doesn't run: %v", err)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	end()
	waitGone(t, pid)
}

// What a host leaves behind comes to the TaskManager, which leaves no zombie of it.
func TestProcessOrphansAreReaped(t *testing.T) {
	_, end, pid := startParent(t, "orphan")
	testkit.Eventually(t, fmt.Sprintf("process %d is reaped", pid), func() bool { return syscall.Kill(pid, 0) != nil })
	if err := end(); err != nil {
		t.Error(err)
	}
}

// buildApp builds apptest's application without the race detector.
func buildApp(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "hostapp")
	cmd := exec.Command("go", "build", "-o", path, "./testdata/hostapp")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

func TestProcessMemoryLimit(t *testing.T) {
	app := buildApp(t)
	k := newKit(t, nil)
	const budget = 96 << 20
	neighbour := k.host(t, app, "serve", Limits{Memory: budget}).ready()
	leaking := k.host(t, app, "serve", Limits{Memory: budget}).ready()
	dataLimit := func(h *testHost) int64 {
		t.Helper()
		h.ask(1, "data limit")
		n, err := strconv.ParseInt(string(h.said().GetPayload()), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	limit := func(budget int64) int64 { return budget + link.MemoryMargin(budget) }
	// Beyond the budget and the margin there is only what the runtime maps without using it.
	if got := dataLimit(leaking); got < limit(budget) || got > limit(budget)+link.UnusedReserve {
		t.Errorf("RLIMIT_DATA is %d, want about %d", got, limit(budget))
	}
	leaking.ask(2, "leak")
	x := leaking.exited()
	if !strings.HasPrefix(x.Reason, "killed by its memory limit of 96 MiB") {
		t.Errorf("got %v", x)
	}
	neighbour.ask(3, "alive")
	if got := string(neighbour.said().GetPayload()); got != "alive" {
		t.Errorf("neighbour said %q", got)
	}
	before := dataLimit(neighbour)
	neighbour.SetLimits(Limits{Memory: 2 * budget})
	if got, want := dataLimit(neighbour)-before, limit(2*budget)-limit(budget); got != want {
		t.Errorf("RLIMIT_DATA has grown by %d with another slot, want %d", got, want)
	}
	neighbour.SetLimits(Limits{Memory: budget})
	if got, want := dataLimit(neighbour)-before, limit(2*budget)-limit(budget); got != want {
		t.Errorf("RLIMIT_DATA has grown by %d, want %d: limits don't shrink", got, want)
	}
}

// A job that keeps to its budget lives, however busy its heap.
func TestProcessWithinItsMemory(t *testing.T) {
	k := newKit(t, nil)
	h := k.host(t, buildApp(t), "serve", Limits{Memory: 96 << 20}).ready()
	h.ask(1, "churn")
	if got := string(h.said().GetPayload()); got != "churned" {
		t.Errorf("got %q", got)
	}
	h.ask(2, "alive")
	h.said()
}
