//go:build linux

package failover

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestLocalRecovery: a task host is killed after a checkpoint. The job goes on from copies of its state, also where the
// checkpoint's own files can't be read, and from those where the copies are damaged. Nothing is left of the copies.
func TestLocalRecovery(t *testing.T) {
	const fromCopy, fromFile = "state is read from its local copy", "state is read from the checkpoint"
	for _, c := range []struct {
		name          string
		local         bool
		files, copies bool   // what is damaged
		logged        string // by the task hosts
		not           string
	}{
		{name: "the files are gone", local: true, files: true, logged: fromCopy, not: fromFile},
		{name: "the copies are damaged", local: true, copies: true, logged: fromFile, not: fromCopy},
		{name: "without copies", logged: "", not: fromCopy},
		{name: "without copies the files are gone", files: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newCluster(t, work(false))
			a := l.jobManager("a", "address-a", &step{"send a notice", 1}, map[string]string{
				"execution.state-recovery.from-local": fmt.Sprint(c.local), "restart-strategy.fixed-delay.attempts": "3"})
			tms := l.taskManagers("a", "address-a", true)
			if a.await("stops") == "" {
				t.Fatal("it ended before its first checkpoint was complete")
			}
			a.stopped()
			copies := l.glob("a-tm*", localState, "*", "chk-1", "*")
			if want := 2 * parallelism; c.local != (len(copies) == want) || !c.local && len(copies) > 0 { // of two vertices
				t.Fatalf("there are %d copies: %v", len(copies), copies)
			}
			if c.copies {
				for _, name := range copies {
					damage(t, name)
				}
			}
			if c.files {
				for _, name := range l.glob(checkpointDir, "*", "chk-1", "[0-9a-f]*") {
					if err := os.Remove(name); err != nil {
						t.Fatal(err)
					}
				}
			}
			tms[1].killHost()
			if err := publish(l.path("resume-a"), ""); err != nil {
				t.Fatal(err)
			}
			a.signal(syscall.SIGCONT)
			if c.files && !c.local {
				why := ""
				if code := a.end(); code == exitFatal {
					what, _ := a.heard("failed")
					why = string(what)
				}
				if !strings.Contains(why, "no such file or directory") {
					t.Errorf("the job ended: %s", why)
				}
				return
			}
			if e := a.finished(); e.Attempt != 1 {
				t.Errorf("attempt %d of the job has finished", e.Attempt)
			}
			l.complete()
			logs := ""
			for _, tm := range tms {
				tm.end()
				for _, name := range l.glob(tm.name, "taskhost-*") {
					b, err := os.ReadFile(name)
					if err != nil {
						t.Fatal(err)
					}
					logs += string(b)
				}
			}
			if !strings.Contains(logs, c.logged) || strings.Contains(logs, c.not) {
				t.Errorf("the task hosts' logs: want %q, not %q:\n%s", c.logged, c.not, logs)
			}
			if left := l.glob("a-tm*", localState); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// glob lists the cluster's files.
func (c *cluster) glob(pattern ...string) []string {
	c.t.Helper()
	found, err := filepath.Glob(filepath.Join(append([]string{c.dir}, pattern...)...))
	if err != nil {
		c.t.Fatal(err)
	}
	return found
}

// damage changes a byte in the middle of a file.
func damage(t *testing.T, name string) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err == nil && len(b) > 0 {
		b[len(b)/2] ^= 1
		err = os.WriteFile(name, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// killHost kills the one task host of a TaskManager.
func (p *process) killHost() {
	p.t.Helper()
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range stats {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		var pid, parent int
		var state string
		before, rest, _ := strings.Cut(string(b), " (")
		_, rest, _ = strings.Cut(rest, ") ")
		if _, err := fmt.Sscan(before, &pid); err != nil {
			continue
		}
		if _, err := fmt.Sscan(rest, &state, &parent); err != nil || parent != p.cmd.Process.Pid {
			continue
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			p.t.Fatal(err)
		}
		return
	}
	p.t.Fatalf("%s has no task host", p.name)
}
