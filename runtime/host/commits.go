package host

import (
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// commitGrace is how long a host that has to end goes on for the sake of commits: their record is in the epoch log, and
// an end between two renames would show part of a job's output. It is shorter than the time between a TaskManager's
// SIGTERM and its SIGKILL.
const commitGrace = 1500 * time.Millisecond

// commits counts the commits that wait for coordinators or are being carried out.
type commits struct {
	mu      sync.Mutex
	pending int
	idle    chan struct{} // closed when pending is 0 again; nil if nobody waits
}

func (c *commits) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pending++
}

func (c *commits) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pending--; c.pending == 0 && c.idle != nil {
		close(c.idle)
		c.idle = nil
	}
}

// wait returns when no commit is pending, or after d.
func (c *commits) wait(d time.Duration) {
	c.mu.Lock()
	if c.pending == 0 {
		c.mu.Unlock()
		return
	}
	if c.idle == nil {
		c.idle = make(chan struct{})
	}
	idle := c.idle
	c.mu.Unlock()
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-idle:
	case <-t.C:
	}
}

// catchTermination keeps SIGTERM from ending the process, until terminateLate does.
func catchTermination() chan os.Signal {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	return signals
}

// terminateLate puts off the process' end by SIGTERM while commits are pending, until stop is closed. The TaskManager
// sends one when its JobManager is gone, whatever the host is doing. The process then ends as if nobody had caught it.
func (c *commits) terminateLate(signals chan os.Signal, stop <-chan struct{}) {
	defer signal.Stop(signals)
	select {
	case <-stop:
		return
	case <-signals:
	}
	c.wait(commitGrace)
	signal.Reset(syscall.SIGTERM)
	if self, err := os.FindProcess(os.Getpid()); err == nil {
		_ = self.Signal(syscall.SIGTERM) // where there are no signals, none has come
	}
}
