//go:build linux

package failover

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/weftstream/weft/runtime/rpc"
)

// patience is how long anything may take that must happen.
const patience = 60 * time.Second

// cluster is a directory, and the processes that share it.
type cluster struct {
	t   *testing.T
	dir string
	job params
	all []*process
}

func newCluster(t *testing.T, job params) *cluster {
	t.Helper()
	c := &cluster{t: t, dir: t.TempDir(), job: job}
	for i, name := range []string{"first", "second"} {
		c.job.Outputs[i] = filepath.Join(c.dir, name)
	}
	authority, err := rpc.NewAuthority("failover", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	pem, err := authority.PEM()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.path(authorityFile), pem, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, p := range c.all {
			p.kill()
		}
		if t.Failed() {
			c.logs()
		}
	})
	return c
}

func (c *cluster) path(name string) string { return filepath.Join(c.dir, name) }

// logs shows what the processes logged.
func (c *cluster) logs() {
	for _, p := range c.all {
		if b, err := os.ReadFile(c.path(p.name + ".log")); err == nil {
			c.t.Logf("log of %s:\n%s", p.name, b)
		}
	}
}

// process is one of the cluster's.
type process struct {
	t    *testing.T
	name string
	role role
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended and everything it said is in said

	mu   sync.Mutex
	said map[string]json.RawMessage
}

func (c *cluster) start(a assignment) *process {
	c.t.Helper()
	a.Dir = c.dir
	text, err := json.Marshal(a)
	if err != nil {
		c.t.Fatal(err)
	}
	p := &process{t: c.t, name: a.Name, role: a.Role, cmd: exec.Command(os.Args[0]), done: make(chan struct{}), said: map[string]json.RawMessage{}}
	p.cmd.Env = append(os.Environ(), envAssignment+"="+string(text))
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p.cmd.Stderr = os.Stderr
	out, err := p.cmd.StdoutPipe()
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		c.t.Fatal(err)
	}
	c.all = append(c.all, p)
	go func() { // ends with the process
		defer close(p.done)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			word, what, _ := strings.Cut(lines.Text(), " ")
			p.mu.Lock()
			p.said[word] = json.RawMessage(what)
			p.mu.Unlock()
		}
		_ = p.cmd.Wait() // the exit code is looked at
	}()
	return p
}

func (c *cluster) jobManager(name, address string, stop *step, config map[string]string) *process {
	c.t.Helper()
	pairs := map[string]string{"execution.checkpointing.interval": "200 ms", "execution.checkpointing.dir": c.path(checkpointDir),
		"execution.checkpointing.data-inline-threshold": "0", "slot.request.timeout": "30 s",
		"restart-strategy.type": "fixed-delay", "restart-strategy.fixed-delay.attempts": "100", "restart-strategy.fixed-delay.delay": "1 ms"}
	for k, v := range config {
		pairs[k] = v
	}
	return c.start(assignment{Role: jobManager, Name: name, Address: address, Stop: stop, Job: c.job, Config: pairs})
}

func (c *cluster) taskManagers(of, address string, bound bool) (all []*process) {
	c.t.Helper()
	for i := range parallelism {
		all = append(all, c.start(assignment{Role: taskManager, Name: fmt.Sprintf("%s-tm%d", of, i+1), Address: address, Bound: bound}))
	}
	return all
}

// heard returns what a process has said with a word.
func (p *process) heard(word string) (json.RawMessage, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	what, ok := p.said[word]
	return what, ok
}

// await waits until a process says one of the words, or ends, and returns the word; "" at the end.
func (p *process) await(words ...string) string {
	p.t.Helper()
	deadline := time.Now().Add(patience)
	for over := false; ; {
		for _, w := range words {
			if _, ok := p.heard(w); ok {
				return w
			}
		}
		if over {
			return ""
		}
		select {
		case <-p.done:
			over = true // what it said at last is heard now
		case <-time.After(poll):
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("%s says none of %q within %v", p.name, words, patience)
		}
	}
}

// stopped waits until the kernel has stopped a process.
func (p *process) stopped() {
	p.t.Helper()
	for deadline := time.Now().Add(patience); ; {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
		if err != nil {
			p.t.Fatalf("%s: %v", p.name, err)
		}
		if _, rest, _ := strings.Cut(string(b), ") "); strings.HasPrefix(rest, "T") {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("%s isn't stopped: %s", p.name, b)
		}
		<-time.After(poll)
	}
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Errorf("send %v to %s: %v", s, p.name, err)
	}
}

// end waits for the end and returns the exit code.
func (p *process) end() int {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		p.t.Fatalf("%s doesn't end", p.name)
	}
	return p.cmd.ProcessState.ExitCode()
}

// kill ends a process for certain. A TaskManager takes its hosts along.
func (p *process) kill() {
	select {
	case <-p.done:
		return
	default:
	}
	if p.role == taskManager {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-p.done:
			return
		case <-time.After(10 * time.Second):
		}
	}
	_ = p.cmd.Process.Kill() // which ends a stopped one, too
	<-p.done
}
