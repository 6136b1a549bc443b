package taskmanager

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weftstream/weft/link"
)

// orphanAge is how long a process has to be dead before it is reaped as an orphan: whoever started it and waits for it
// has collected it long before.
const orphanAge = time.Second

// killTimeout is how long to wait for a killed process, in milliseconds: one in the kernel may take its time.
const killTimeout = 1000

// children knows which processes this one waits for, and reaps those nobody waits for: what ended task hosts left behind
// comes to a subreaper.
type children struct {
	mu    sync.Mutex
	known map[int]struct{} // started and not yet waited for

	stop, done chan struct{} // of the reaper; nil without
}

func newChildren(subreaper bool) (*children, error) {
	c := &children{known: map[int]struct{}{}}
	if !subreaper {
		return c, nil
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("become a child subreaper: %w", err)
	}
	c.stop, c.done = make(chan struct{}), make(chan struct{})
	died := make(chan os.Signal, 1)
	signal.Notify(died, unix.SIGCHLD)
	go func() {
		defer close(c.done)
		defer signal.Stop(died)
		c.reap(died)
	}()
	return c, nil
}

// start starts a child that wait is going to be called for.
func (c *children) start(child *link.Child, spawner *link.Spawner) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := spawner.Start(child); err != nil {
		return err
	}
	c.known[child.Cmd.Process.Pid] = struct{}{}
	return nil
}

// wait waits for a child's end. Its pid is free for others afterwards.
func (c *children) wait(child *link.Child) error {
	err := child.Cmd.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.known, child.Cmd.Process.Pid)
	return err
}

func (c *children) close() {
	if c.stop != nil {
		close(c.stop)
		<-c.done
		c.stop = nil
	}
}

// reap is the reaper's goroutine. A dead child is looked at twice, orphanAge apart, before it is taken for an orphan.
func (c *children) reap(died <-chan os.Signal) {
	suspects := map[int]struct{}{}
	var again <-chan time.Time
	for {
		select {
		case <-c.stop:
			return
		case <-died:
			if again == nil {
				again = time.After(orphanAge)
			}
			continue
		case <-again:
			again = nil
		}
		next := map[int]struct{}{}
		for _, pid := range c.zombies() {
			if _, twice := suspects[pid]; twice {
				var ws unix.WaitStatus
				_, _ = unix.Wait4(pid, &ws, unix.WNOHANG, nil) // an error: somebody else was faster
				continue
			}
			next[pid] = struct{}{}
		}
		if suspects = next; len(suspects) > 0 {
			again = time.After(orphanAge)
		}
	}
}

// zombies is this process's dead children that it doesn't wait for.
func (c *children) zombies() []int {
	var out []int
	self := os.Getpid()
	for _, pid := range processes() {
		state, parent := stat(pid)
		if state != 'Z' || parent != self {
			continue
		}
		c.mu.Lock()
		_, known := c.known[pid]
		c.mu.Unlock()
		if !known {
			out = append(out, pid)
		}
	}
	return out
}

// processes is the ids of all processes that are visible.
func processes() []int {
	names, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil
	}
	pids := make([]int, 0, len(names))
	for _, name := range names {
		if pid, err := strconv.Atoi(filepath.Base(name)); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// stat is a process's state and parent; zeros if it is gone.
func stat(pid int) (state byte, parent int) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0
	}
	// pid (name) state parent ...: the name may hold anything, ")" too.
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(fields) < 2 || len(fields[0]) != 1 {
		return 0, 0
	}
	parent, err = strconv.Atoi(string(fields[1]))
	if err != nil {
		return 0, 0
	}
	return fields[0][0], parent
}

// killMarked kills all processes that have the variable in the environment they were started with, in rounds, because
// one may just be starting another.
func killMarked(variable string) error {
	const rounds = 10
	for range rounds {
		found := 0
		for _, pid := range processes() {
			killed, err := killIfMarked(pid, variable)
			if err != nil {
				return err
			}
			if killed {
				found++
			}
		}
		if found == 0 {
			return nil
		}
	}
	return errors.New("it goes on starting processes")
}

// killIfMarked looks at the environment through a handle, so that another process that got the same id is safe.
func killIfMarked(pid int, variable string) (killed bool, err error) {
	name := fmt.Sprintf("/proc/%d/environ", pid)
	if b, err := os.ReadFile(name); err != nil || !hasVariable(b, variable) {
		return false, nil // gone, or another user's
	}
	handle, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return false, ignoreGone(fmt.Errorf("open process %d: %w", pid, err))
	}
	defer unix.Close(handle)
	if b, err := os.ReadFile(name); err != nil || !hasVariable(b, variable) {
		return false, nil
	}
	if err := unix.PidfdSendSignal(handle, syscall.SIGKILL, nil, 0); err != nil {
		return false, ignoreGone(fmt.Errorf("kill process %d: %w", pid, err))
	}
	// The handle becomes readable when the process is dead.
	for {
		_, err := unix.Poll([]unix.PollFd{{Fd: int32(handle), Events: unix.POLLIN}}, killTimeout)
		if !errors.Is(err, unix.EINTR) {
			return true, err
		}
	}
}

func hasVariable(environ []byte, variable string) bool {
	for v := range bytes.SplitSeq(environ, []byte{0}) {
		if string(v) == variable {
			return true
		}
	}
	return false
}
