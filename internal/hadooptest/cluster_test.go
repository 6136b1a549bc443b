package hadooptest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// probe runs a function as a test would, in a goroutine of its own, and says whether it failed and with what text.
type probe struct {
	testing.TB
	name     string
	failure  string
	cleanups []func()
}

func (p *probe) Helper()          {}
func (p *probe) Name() string     { return p.name }
func (p *probe) Failed() bool     { return p.failure != "" }
func (p *probe) Cleanup(f func()) { p.cleanups = append(p.cleanups, f) }
func (p *probe) Fatal(args ...any) {
	p.failure = fmt.Sprint(args...)
	panic(p)
}
func (p *probe) Fatalf(format string, args ...any) { p.Fatal(fmt.Sprintf(format, args...)) }

func (p *probe) run(f func(t testing.TB)) {
	defer func() {
		if r := recover(); r != nil && r != p {
			panic(r)
		}
	}()
	f(p)
}

func (p *probe) end() {
	for i := len(p.cleanups) - 1; i >= 0; i-- {
		p.cleanups[i]()
	}
}

// fake writes what scripts/hadoop would for a cluster whose ResourceManager is the handler.
func fake(t *testing.T, handler http.Handler) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "data"), 0o777); err != nil {
		t.Fatal(err)
	}
	facts := "ports=20000\nnodemanagers=2\nracks=yes\nrest=" + server.URL + "\nnamenode=127.0.0.1:1\n"
	if err := os.WriteFile(filepath.Join(dir, "cluster"), []byte(facts), 0o666); err != nil {
		t.Fatal(err)
	}
	return dir
}

func answering(body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) })
}

func TestRequireFailsWithoutCluster(t *testing.T) {
	for name, dir := range map[string]string{"unset": "", "no directory": "/nonexistent", "empty directory": t.TempDir()} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(Variable, dir)
			p := &probe{name: t.Name()}
			p.run(func(t testing.TB) { Require(t) })
			if !strings.Contains(p.failure, "scripts/hadoop up") {
				t.Errorf("failure %q doesn't say how to get a cluster", p.failure)
			}
		})
	}
}

func TestRequireReadsFacts(t *testing.T) {
	dir := fake(t, answering("{}"))
	t.Setenv(Variable, dir)
	c := Require(t)
	if c.Dir != dir || c.ConfDir != dir+"/conf" || c.NodeManagers != 2 || !c.Racks {
		t.Errorf("got %+v", c)
	}
	if host, rack := c.NodeHost(2), c.Rack(2); host != "127.0.0.3" || rack != "/rack-2" {
		t.Errorf("node 2 is %s in %s", host, rack)
	}
}

// awaitGateClosed waits until somebody keeps the gate, which is to say: waits for the lock behind it.
func awaitGateClosed(t *testing.T, c *Cluster) {
	t.Helper()
	Await(t, 10*time.Second, "somebody waits for the lock", func() (bool, string) {
		file, err := os.OpenFile(filepath.Join(c.Dir, "data/test-gate"), os.O_RDWR, 0)
		if err != nil {
			return false, err.Error()
		}
		defer func() { _ = file.Close() }()
		return syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil, "nobody does"
	})
}

func TestExclusiveWaitsForOthersAndKeepsThemOut(t *testing.T) {
	dir := fake(t, answering("{}"))
	c, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	first, second := &probe{name: "first"}, &probe{name: "second"}
	first.run(func(t testing.TB) { c.lock(t, false) })
	second.run(func(t testing.TB) { c.lock(t, false) })

	var alone, shared atomic.Bool
	exclusive, late := &probe{name: "exclusive"}, &probe{name: "late"}
	done := make(chan struct{}, 2)
	go func() {
		exclusive.run(func(t testing.TB) { c.lock(t, true) })
		alone.Store(true)
		done <- struct{}{}
	}()
	awaitGateClosed(t, c)
	first.end()
	if alone.Load() {
		t.Error("exclusive beside another holder")
	}
	second.end()
	<-done
	go func() {
		late.run(func(t testing.TB) { c.lock(t, false) })
		shared.Store(true)
		done <- struct{}{}
	}()
	awaitGateClosed(t, c)
	if shared.Load() {
		t.Error("shared beside an exclusive holder")
	}
	exclusive.end()
	<-done
	late.end()
	for _, p := range []*probe{first, second, exclusive, late} {
		if p.failure != "" {
			t.Errorf("%s: %s", p.name, p.failure)
		}
	}
}

func TestSubtestsShareTheirTestsHold(t *testing.T) {
	c, err := Open(fake(t, answering("{}")))
	if err != nil {
		t.Fatal(err)
	}
	c.lock(t, false)
	t.Run("sub", func(t *testing.T) {
		c.lock(t, false)
		p := &probe{name: t.Name()}
		p.run(func(t testing.TB) { c.lock(t, true) })
		if !strings.Contains(p.failure, "already") {
			t.Errorf("exclusive inside a holder: %q", p.failure)
		}
	})
}

func TestAwaitStateStopsAtAnotherEnd(t *testing.T) {
	c, err := Open(fake(t, answering(`{"app":{"id":"application_1_1","state":"FAILED","diagnostics":"no such queue"}}`)))
	if err != nil {
		t.Fatal(err)
	}
	p := &probe{name: t.Name()}
	p.run(func(t testing.TB) { c.AwaitState(t, "application_1_1", time.Hour, "RUNNING") })
	if !strings.Contains(p.failure, "no such queue") {
		t.Errorf("failure %q doesn't show the diagnostics", p.failure)
	}
	if app := c.AwaitEnd(t, "application_1_1", time.Minute); app.State != "FAILED" {
		t.Errorf("ended as %v", app)
	}
}

// TestProcessesFindsContainersAndDescendants starts a process as a NodeManager would, with a child that has left directory,
// environment and session behind.
func TestProcessesFindsContainersAndDescendants(t *testing.T) {
	c, err := Open(fake(t, answering("{}")))
	if err != nil {
		t.Fatal(err)
	}
	work := filepath.Join(c.Dir, "data/nodemanager-1/local/usercache/u/appcache/application_12_0003/container_e01_12_0003_01_000002")
	if err := os.MkdirAll(work, 0o777); err != nil {
		t.Fatal(err)
	}
	container := exec.Command("sh", "-c", "(cd / && exec env -i setsid /bin/sleep 300) & exec sleep 300")
	container.Dir = work
	container.Env = append(os.Environ(), "CONTAINER_ID=container_e01_12_0003_01_000002")
	if err := container.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, p := range c.Processes(t, "") {
			if process, err := os.FindProcess(p.PID); err == nil {
				_ = process.Kill()
			}
		}
		_ = container.Wait()
		c.AwaitNoProcesses(t, "", 10*time.Second)
	})
	Await(t, 10*time.Second, "both processes are found", func() (bool, string) {
		found := c.Processes(t, "application_12_0003")
		return len(found) == 2 && strings.HasSuffix(found[0].Args[0], "sleep") && strings.HasSuffix(found[1].Args[0], "sleep"),
			fmt.Sprint(found)
	})
	for _, p := range c.Processes(t, "") {
		if p.Container != "container_e01_12_0003_01_000002" || p.Application != "application_12_0003" {
			t.Errorf("%v: container %q, application %q", p, p.Container, p.Application)
		}
	}
	if others := c.Processes(t, "application_12_0004"); len(others) != 0 {
		t.Errorf("of another application: %v", others)
	}
	p := &probe{name: t.Name()}
	p.run(func(t testing.TB) { c.AwaitNoProcesses(t, "application_12_0003", 0) })
	if !strings.Contains(p.failure, "container_e01_12_0003_01_000002") {
		t.Errorf("failure %q doesn't name what is left", p.failure)
	}
}
