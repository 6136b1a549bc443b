//go:build linux

package taskmanager

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/weftstream/weft/internal/testkit"
	"github.com/weftstream/weft/link"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/runtime/network"
	"github.com/weftstream/weft/runtime/rpc"
	"github.com/weftstream/weft/runtime/rpc/rpcpb"
)

// A slot that comes when the host runs raises the wall around it and what its Go runtime keeps to; one that goes takes
// nothing away.
func TestLimitsGrowWithSlots(t *testing.T) {
	each(t, func(t *testing.T, j *jobManager, connect rpc.Connector) {
		starter := newFakeStarter()
		start(t, connect, starter, nil)
		j.connected()
		j.allocate(0, "a1", 'A', nil)
		j.expect("offer A a1 slot 0")
		h := receive(t, starter.hosts, "host")
		if l := receive(t, h.grown, "limits at the start"); l != (Limits{Memory: 100, Processors: 2}) {
			t.Errorf("at the start: %v", l)
		}
		j.allocate(1, "a2", 'A', nil)
		j.expect("offer A a2 slot 1")
		if l := receive(t, h.told, "limits"); l.GetMemory() != 200 || l.GetProcessors() != 3 {
			t.Errorf("the host was told %v", l)
		}
		if l := receive(t, h.grown, "limits with another slot"); l != (Limits{Memory: 200, Processors: 3}) {
			t.Errorf("with another slot: %v", l)
		}
		j.free('A', "a2")
		j.allocate(1, "a3", 'A', nil)
		j.expect("offer A a3 slot 1")
		j.ask('A', 1, "after that")
		j.expect("said A 1 after that")
		if len(h.told) > 0 || len(h.grown) > 0 {
			t.Error("limits that haven't grown were told")
		}
	})
}

func TestJobLifecycle(t *testing.T) {
	each(t, func(t *testing.T, j *jobManager, connect rpc.Connector) {
		starter := newFakeStarter()
		m := start(t, connect, starter, nil)
		r := j.connected()
		want := &rpcpb.Register{Version: link.ThisVersion(), ResourceId: "tm1", Host: "node1", Slots: 2, SlotMemory: 100, Cpu: 3,
			DataAddress: m.data.Addr().String(), Pid: int32(os.Getpid()), Platform: runtime.GOOS + "/" + runtime.GOARCH}
		if !proto.Equal(r, want) {
			t.Errorf("registered %v, want %v", r, want)
		}
		j.allocate(0, "a1", 'A', map[string]string{"k": "v"})
		j.ask('A', 0, "queued before the host has attached")
		j.allocate(1, "a2", 'A', nil)
		j.expect("offer A a1 slot 0")
		h := receive(t, starter.hosts, "host")
		if s := h.spec; s.Start.GetConfig()["k"] != "v" || s.Start.GetResourceId() != "tm1" || string(s.Start.GetJobKey()) != "key" ||
			s.Start.GetDataAddress() != m.data.Addr().String() || s.Executable == "" || s.JobName != "job" {
			t.Errorf("spec %+v", s)
		}
		// The offer of the second slot and the first answer come in either order.
		got := map[string]bool{describe(j.next()): true, describe(j.next()): true}
		if !got["offer A a2 slot 1"] || !got["said A 0 queued before the host has attached"] {
			t.Fatalf("got %v", got)
		}
		for l := range h.grown {
			if l == (Limits{Memory: 200, Processors: 3}) {
				break
			}
		}
		const n = 1000
		for i := range n { // below the bound of commands, so that none is lost however slow the host
			j.ask('A', i, "x")
		}
		for i := range n {
			j.expect(fmt.Sprintf("said A %d x", i))
		}
		for b := receive(t, j.beats, "heartbeat"); b.GetHostsResident() != 1000 || b.GetResident() < 1<<20; {
			b = receive(t, j.beats, "heartbeat")
		}
		j.allocate(1, "b1", 'B', nil)
		j.expect("refused B b1 slot 1: slot 1 is allocated to job 41000000")
		j.release('A')
		j.expect("exit A expected=true exit status 0")
		j.expect("released A")
		j.allocate(1, "b2", 'B', nil)
		j.expect("offer B b2 slot 1")
		j.free('B', "b2")
		j.expect("exit B expected=true")
		m.cancel()
		if err := <-m.result; err != nil {
			t.Error(err)
		}
		if err := receive(t, j.gone, "end"); !errors.Is(err, rpc.ErrClosed) {
			t.Errorf("the JobManager saw %v", err)
		}
	})
}

// A host's end is reported at once, and costs other jobs nothing.
func TestHostEnds(t *testing.T) {
	each(t, func(t *testing.T, j *jobManager, connect rpc.Connector) {
		starter := newFakeStarter()
		start(t, connect, starter, nil)
		j.connected()
		j.allocate(0, "a1", 'A', nil)
		j.expect("offer A a1")
		a := receive(t, starter.hosts, "host")
		j.allocate(1, "b1", 'B', nil)
		j.expect("offer B b1")
		a.finish(&linkpb.HostExit{ExitCode: 2, Reason: "panic: boom", StderrTail: "tail"})
		m := j.next()
		if x := m.GetHost().GetEvent().GetExit(); x.GetExitCode() != 2 || x.GetStderrTail() != "tail" || x.GetExpected() {
			t.Errorf("got %v", m)
		}
		j.ask('A', 1, "to nobody")
		j.ask('B', 2, "alive")
		j.expect("said B 2 alive")
		j.release('A')
		j.expect("released A")
		j.allocate(0, "a2", 'A', nil)
		j.expect("offer A a2")
		if receive(t, starter.hosts, "B's host"); receive(t, starter.hosts, "A's new host") == a {
			t.Error("the old host again")
		}
	})
}

// TestLocalState: copies of state outlive a host that ended by itself, for the next one, and go with everything else: a host
// that was told to end, a job that doesn't come back, the TaskManager.
func TestLocalState(t *testing.T) {
	testkit.NoGoroutinesLeft(t)
	j, connect := newJobManager(t, false)
	starter := newFakeStarter()
	root := filepath.Join(t.TempDir(), "local-state")
	m := start(t, connect, starter, func(c *Config) { c.LocalStateDir, c.SlotTimeout = root, 500*time.Millisecond })
	j.connected()
	host := func(job byte, allocation string) *fakeHost {
		t.Helper()
		j.allocate(0, allocation, job, nil)
		j.expect("offer " + string(job) + " " + allocation)
		j.command(job, &linkpb.ToHost{Message: &linkpb.ToHost_Deploy{Deploy: &linkpb.Deploy{}}})
		return receive(t, starter.hosts, "host")
	}
	keep := func(h *fakeHost) string {
		t.Helper()
		dir := h.spec.Start.GetLocalStateDir()
		if filepath.Dir(dir) != root {
			t.Fatalf("the host's directory for copies is %q", dir)
		}
		if err := os.MkdirAll(filepath.Join(dir, "chk-1"), 0o700); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	there := func(dir string) bool {
		_, err := os.Stat(dir)
		return err == nil
	}
	gone := func(what, dir string) {
		t.Helper()
		for end := time.Now().Add(patience); there(dir); <-time.After(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: the copies are still there", what)
			}
		}
	}
	a := host('A', "a1")
	dir := keep(a)
	a.finish(&linkpb.HostExit{ExitCode: 2})
	j.expect("exit A expected=false")
	j.release('A')
	j.expect("released A")
	if !there(dir) {
		t.Fatal("the copies went with a host that ended by itself")
	}
	if again := host('A', "a2"); keep(again) != dir {
		t.Error("the next host has another directory")
	}
	j.release('A')
	j.expect("exit A expected=true")
	j.expect("released A")
	gone("the job has ended", dir)

	b := host('B', "b1")
	dir = keep(b)
	b.finish(&linkpb.HostExit{ExitCode: 2})
	j.expect("exit B expected=false")
	j.release('B')
	j.expect("released B")
	gone("the job doesn't come back", dir)

	keep(host('C', "c1"))
	m.cancel()
	if err := <-m.result; err != nil {
		t.Error(err)
	}
	if there(root) {
		t.Error("copies have outlived the TaskManager")
	}
}

func TestHostNotStarted(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*Config, *fakeStarter)
		want   string
	}{
		{"starter", func(_ *Config, f *fakeStarter) { f.fail = errors.New("no such program") }, "start the task host: no such program"},
		{"artifact", func(c *Config, _ *fakeStarter) { c.Artifacts = testArtifacts{errors.New("checksum mismatch")} },
			"fetch the application app: checksum mismatch"},
	} {
		t.Run(test.name, func(t *testing.T) {
			testkit.NoGoroutinesLeft(t)
			j, connect := newJobManager(t, false)
			starter := newFakeStarter()
			start(t, connect, starter, func(c *Config) { test.change(c, starter) })
			j.connected()
			j.allocate(0, "a1", 'A', nil)
			j.expect("offer A a1")
			j.expect("failed A " + test.want)
			j.expect("exit A expected=false " + test.want)
		})
	}
	t.Run("released meanwhile", func(t *testing.T) {
		testkit.NoGoroutinesLeft(t)
		j, connect := newJobManager(t, false)
		starter := newFakeStarter()
		starter.hang = true
		start(t, connect, starter, nil)
		j.connected()
		j.allocate(0, "a1", 'A', nil)
		j.expect("offer A a1")
		j.release('A')
		j.expect("exit A expected=true")
		j.expect("released A")
	})
}

// A host that doesn't end when asked, or takes no commands, is killed; other jobs don't notice.
func TestStubbornHost(t *testing.T) {
	testkit.NoGoroutinesLeft(t)
	j, connect := newJobManager(t, false)
	starter := newFakeStarter()
	start(t, connect, starter, func(c *Config) { c.ShutdownGrace = 50 * time.Millisecond })
	j.connected()
	j.allocate(0, "a1", 'A', nil)
	j.expect("offer A a1")
	a := receive(t, starter.hosts, "host")
	a.mu.Lock()
	a.stubborn = true
	a.mu.Unlock()
	j.release('A')
	j.expect("exit A expected=true killed: it did not end within 50ms")
	j.expect("released A")

	j.allocate(1, "b1", 'B', nil)
	j.expect("offer B b1")
	b := receive(t, starter.hosts, "host")
	b.mu.Lock()
	b.blocked = make(chan struct{})
	b.mu.Unlock()
	j.allocate(0, "c1", 'C', nil)
	j.expect("offer C c1")
	for i := range maxCommands + 2 {
		j.ask('B', i, "x")
	}
	j.ask('C', 7, "alive")
	got := map[string]bool{describe(j.next()): true, describe(j.next()): true}
	if !got["said C 7 alive"] || !got["exit B expected=false killed: it has not taken its last 1024 commands"] {
		t.Errorf("got %v", got)
	}
}

func TestSlotTimeout(t *testing.T) {
	testkit.NoGoroutinesLeft(t)
	j, connect := newJobManager(t, false)
	starter := newFakeStarter()
	start(t, connect, starter, func(c *Config) { c.SlotTimeout = 50 * time.Millisecond })
	j.connected()
	j.allocate(0, "a1", 'A', nil)
	j.command('A', &linkpb.ToHost{Message: &linkpb.ToHost_Deploy{Deploy: &linkpb.Deploy{}}})
	j.expect("offer A a1")
	j.allocate(1, "b1", 'B', nil)
	j.expect("offer B b1")
	j.expect("refused B b1 slot 1: the job deployed nothing within taskmanager.slot.timeout (50ms)")
	j.expect("exit B expected=true")
	j.ask('A', 1, "alive") // its timeout is over, too
	j.expect("said A 1 alive")
}

func TestShutdownByJobManager(t *testing.T) {
	each(t, func(t *testing.T, j *jobManager, connect rpc.Connector) {
		starter := newFakeStarter()
		m := start(t, connect, starter, nil)
		j.connected()
		j.allocate(0, "a1", 'A', nil)
		j.expect("offer A a1")
		h := receive(t, starter.hosts, "host")
		j.send(&rpcpb.ToTaskManager{Message: &rpcpb.ToTaskManager_Shutdown{Shutdown: &rpcpb.Shutdown{Reason: "idle"}}})
		j.expect("exit A expected=true exit status 0: idle")
		if err := receive(t, m.result, "end of Run"); err != nil {
			t.Error(err)
		}
		if h.stopped != "idle" {
			t.Errorf("the host was stopped because of %q", h.stopped)
		}
	})
}

// Without a JobManager all hosts are killed; then the TaskManager ends, or registers again.
func TestJobManagerLost(t *testing.T) {
	t.Run("exit", func(t *testing.T) {
		each(t, func(t *testing.T, j *jobManager, connect rpc.Connector) {
			starter := newFakeStarter()
			m := start(t, connect, starter, func(c *Config) { c.ExitOnDisconnect = true })
			j.connected()
			j.allocate(0, "a1", 'A', nil)
			j.expect("offer A a1")
			h := receive(t, starter.hosts, "host")
			j.server.Close()
			if err := receive(t, m.result, "end of Run"); !errors.Is(err, ErrJobManagerLost) || !errors.Is(err, rpc.ErrClosed) {
				t.Errorf("got %v", err)
			}
			<-h.ended
		})
	})
	t.Run("register again", func(t *testing.T) {
		each(t, func(t *testing.T, j *jobManager, connect rpc.Connector) {
			starter := newFakeStarter()
			start(t, connect, starter, nil)
			j.connected()
			j.allocate(0, "a1", 'A', nil)
			j.expect("offer A a1")
			h := receive(t, starter.hosts, "host")
			j.peer.Close("test")
			if r := j.connected(); len(r.GetAllocated()) > 0 {
				t.Errorf("it came back with %v", r.GetAllocated())
			}
			select {
			case <-h.ended:
			default:
				t.Error("the host has outlived the registration")
			}
			for len(j.messages) > 0 {
				j.next()
			}
			j.allocate(0, "a2", 'A', nil)
			j.expect("offer A a2")
		})
	})
}

func TestRegistrationTimeout(t *testing.T) {
	testkit.NoGoroutinesLeft(t)
	j, connect := newJobManager(t, false)
	j.reject = errors.New("container unknown")
	m := start(t, connect, newFakeStarter(), nil)
	var rejected *rpc.RejectedError
	if err := receive(t, m.result, "end of Run"); !errors.Is(err, ErrRegistration) || !errors.As(err, &rejected) {
		t.Errorf("got %v", err)
	}
	j.server.Close()
	m = start(t, connect, newFakeStarter(), func(c *Config) { c.RegistrationTimeout = 300 * time.Millisecond })
	if err := receive(t, m.result, "end of Run"); !errors.Is(err, ErrRegistration) || !strings.Contains(err.Error(), "taskmanager.registration.timeout") {
		t.Errorf("got %v", err)
	}
	m = start(t, connect, newFakeStarter(), nil)
	m.cancel()
	if err := receive(t, m.result, "end of Run"); err != nil {
		t.Error(err)
	}
}

func TestDataPort(t *testing.T) {
	testkit.NoGoroutinesLeft(t)
	j, connect := newJobManager(t, false)
	m := start(t, connect, newFakeStarter(), nil)
	j.connected()
	j.allocate(0, "a1", 'A', nil)
	j.expect("offer A a1")
	dial := func(b []byte) string {
		t.Helper()
		conn, err := net.Dial("tcp", m.data.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(patience))
		if _, err := conn.Write(b); err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(conn).ReadString('\n')
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			t.Fatal("neither answer nor end")
		}
		return line
	}
	preamble := func(job byte) []byte {
		var b bytes.Buffer
		if err := network.WritePreamble(&b, network.Preamble{Job: [16]byte(idOf(job)), Resource: "tm9"}); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	if got := dial(preamble('A')); got != "tm9 <nil>\n" {
		t.Errorf("got %q", got)
	}
	for name, b := range map[string][]byte{
		"unknown job": preamble('B'), "HTTP": []byte("GET / HTTP/1.1\r\nHost: somewhere\r\n\r\n"), "zeros": make([]byte, 100),
	} {
		if got := dial(b); got != "" {
			t.Errorf("%s: got %q", name, got)
		}
	}
	// One that says nothing holds nobody up, and is closed with the TaskManager.
	silent, err := net.Dial("tcp", m.data.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	if got := dial(preamble('A')); got != "tm9 <nil>\n" {
		t.Errorf("got %q", got)
	}
	m.cancel()
	<-m.result
	silent.SetDeadline(time.Now().Add(patience))
	if _, err := silent.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the silent connection: %v", err)
	}
}

func FuzzReadPreamble(f *testing.F) {
	var b bytes.Buffer
	if err := network.WritePreamble(&b, network.Preamble{Job: [16]byte{1}, Resource: "tm9"}); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add([]byte("WEFT"))
	f.Add(append(b.Bytes(), "more"...))
	f.Fuzz(func(t *testing.T, in []byte) {
		ours, theirs := net.Pipe()
		defer ours.Close()
		go func() {
			theirs.Write(in)
			theirs.Close()
		}()
		raw, p, err := readPreamble(t.Context(), ours)
		if err != nil {
			return
		}
		if len(raw) > link.MaxPreamble || !bytes.HasPrefix(in, raw) {
			t.Errorf("%d bytes were read for a preamble of %d", len(raw), len(in))
		}
		again, err := network.ReadPreamble(bytes.NewReader(raw))
		if err != nil || again != p {
			t.Errorf("what is passed on reads as %v, %v, not as %v", again, err, p)
		}
	})
}

// The whole path with processes: two jobs, one of which panics.
func TestWithProcesses(t *testing.T) {
	each(t, func(t *testing.T, j *jobManager, connect rpc.Connector) {
		k := newKit(t, nil)
		m := start(t, connect, k, func(c *Config) { c.SlotMemory = 0 })
		j.connected()
		j.allocate(0, "a1", 'A', map[string]string{"mode": "serve"})
		j.expect("offer A a1")
		j.expect("ready A")
		j.allocate(1, "b1", 'B', map[string]string{"mode": "panic:boom"})
		j.expect("offer B b1")
		j.expect("exit B expected=false panic: boom")
		j.ask('A', 5, "alive")
		j.expect("said A 5 alive")
		conn, err := net.Dial("tcp", m.data.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(patience))
		if err := network.WritePreamble(conn, network.Preamble{Job: [16]byte(idOf('A')), Resource: "tm9"}); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(conn, "hello")
		if line, err := bufio.NewReader(conn).ReadString('\n'); line != "25 hello\n" {
			t.Errorf("got %q, %v", line, err)
		}
		j.release('A')
		j.expect("exit A expected=true exit status 0")
		j.expect("released A")
		m.cancel()
		if err := <-m.result; err != nil {
			t.Error(err)
		}
	})
}

func TestConfigCheck(t *testing.T) {
	good := Config{ResourceID: "tm", JobManager: rpc.Dial("x", nil), Starter: newFakeStarter(), Slots: 1}
	if _, err := New(good); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Config){
		"id": func(c *Config) { c.ResourceID = "" }, "JobManager": func(c *Config) { c.JobManager = nil },
		"starter": func(c *Config) { c.Starter = nil }, "slots": func(c *Config) { c.Slots = 0 },
		"memory": func(c *Config) { c.SlotMemory = -1 },
	} {
		c := good
		change(&c)
		if _, err := New(c); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
