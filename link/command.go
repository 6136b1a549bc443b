package link

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
)

// Child is an application's process that is to be started, or runs, and the parent's ends of its sockets.
type Child struct {
	// Cmd may be changed before Start: Dir, Env (nil: this process's), Stdout, Stderr. ExtraFiles is Weft's.
	Cmd *exec.Cmd
	// Role is the child's.
	Role Role
	// Link is the parent's end of the link: for ServeDriver or ServeHost, which close it.
	Link net.Conn
	// Data passes data connections to a TaskHost; nil for a Driver.
	Data *DataSender
}

// Command prepares to start the application at path in the given role. Either Spawner.Start or Close follows.
func Command(role Role, path string, args ...string) (*Child, error) {
	if role != Driver && role != TaskHost {
		return nil, fmt.Errorf("start %s in the %s role: nobody starts that", path, role)
	}
	c := &Child{Cmd: exec.Command(path, args...), Role: role}
	DieWithParent(c.Cmd)
	conn, file, err := linkPair()
	if err != nil {
		return nil, fmt.Errorf("start %s as %s: %w", path, role, err)
	}
	c.Link = conn
	c.Cmd.ExtraFiles = []*os.File{file}
	if role == Driver {
		return c, nil
	}
	data, fd, err := dataPair()
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("start %s as %s: %w", path, role, err)
	}
	c.Data = data
	c.Cmd.ExtraFiles = append(c.Cmd.ExtraFiles, os.NewFile(uintptr(fd), "data"))
	return c, nil
}

// Close closes both ends of the sockets of a Child that was not started, and the parent's ends of one that was.
func (c *Child) Close() error {
	c.closeChildEnds()
	var err error
	if c.Data != nil {
		err = c.Data.Close()
	}
	return errors.Join(err, closeConn(c.Link))
}

func (c *Child) closeChildEnds() {
	for _, f := range c.Cmd.ExtraFiles {
		f.Close()
	}
	c.Cmd.ExtraFiles = nil
}

// environment is the child's environment with the variables that tell it its role. Descriptors of ExtraFiles begin at 3.
func (c *Child) environment() []string {
	env := c.Cmd.Env
	if env == nil {
		env = os.Environ()
	}
	out := withoutVariables(env)
	out = append(out, envRole+"="+c.Role.String(), envLinkFD+"="+strconv.Itoa(3))
	if c.Data != nil {
		out = append(out, envDataFD+"="+strconv.Itoa(4))
	}
	return out
}

// Spawner starts processes from one operating system thread that lives as long as the Spawner, because the kernel kills
// the children (PR_SET_PDEATHSIG) when the thread ends that started them. It is safe for concurrent use.
type Spawner struct {
	work chan func()
	done chan struct{}

	mu     sync.RWMutex // held for reading while work is handed over
	closed bool
}

// NewSpawner starts the thread.
func NewSpawner() *Spawner {
	s := &Spawner{work: make(chan func()), done: make(chan struct{})}
	go func() {
		defer close(s.done)
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		for f := range s.work {
			f()
		}
	}()
	return s
}

// Start starts c. Afterwards, also on an error, the child's ends of the sockets are closed here; on an error all are.
func (s *Spawner) Start(c *Child) error {
	c.Cmd.Env = c.environment()
	err := errors.New("the spawner is closed")
	s.run(func() { err = c.Cmd.Start() })
	c.closeChildEnds()
	if err != nil {
		return errors.Join(fmt.Errorf("start %s as %s: %w", c.Cmd.Path, c.Role, err), c.Close())
	}
	return nil
}

// run runs f on the thread and waits for it; not at all after Close.
func (s *Spawner) run(f func()) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return
	}
	ran := make(chan struct{})
	s.work <- func() {
		defer close(ran)
		f()
	}
	<-ran
}

// Close ends the thread, and with it all children that still run. It may be called again.
func (s *Spawner) Close() {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.work)
	}
	s.mu.Unlock()
	<-s.done
}
