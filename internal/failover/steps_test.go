//go:build linux

package failover

import (
	"os"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/weftstream/weft/filesystem"
	"github.com/weftstream/weft/filesystem/fstest"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/runtime/rpc"
	"github.com/weftstream/weft/runtime/rpc/rpcpb"
)

// step is a place in a JobManager's work: just before the nth time that it does what Label says.
type step struct {
	Label string
	Nth   int
}

// steps sees everything that a JobManager does to the outside: its calls to the file system, and messages.
type steps struct {
	stop   *step
	resume string // a file: the process goes on once it is there

	on       atomic.Bool
	received atomic.Int64
	mu       sync.Mutex // guards seen
	seen     map[string]int
}

func newSteps(a *assignment) *steps {
	return &steps{stop: a.Stop, resume: a.path("resume-" + a.Name), seen: map[string]int{}}
}

// pass counts a step, and stops the process there if that is asked for. Whoever continues it makes the file first, so that
// the step isn't done before, however long the kernel takes to stop this thread.
func (s *steps) pass(label string) {
	if !s.on.Load() {
		return
	}
	s.mu.Lock()
	s.seen[label]++
	hit := s.stop != nil && s.stop.Label == label && s.stop.Nth == s.seen[label]
	s.mu.Unlock()
	if !hit {
		return
	}
	if strings.HasPrefix(label, "send ") {
		s.flush()
	}
	say("stops", label)
	if err := syscall.Kill(os.Getpid(), syscall.SIGSTOP); err != nil {
		panic(err)
	}
	for {
		if _, err := os.Stat(s.resume); err == nil {
			return
		}
		<-time.After(poll)
	}
}

// flush gives what was sent before the chance to arrive, and to be answered.
func (s *steps) flush() {
	before, end := s.received.Load(), time.Now().Add(100*time.Millisecond)
	for s.received.Load() == before && time.Now().Before(end) {
		<-time.After(poll)
	}
}

func (s *steps) counts() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[string]int, len(s.seen))
	for k, n := range s.seen {
		all[k] = n
	}
	return all
}

// local is the local file system under paths without a scheme: what a JobManager makes of one is a path for task hosts.
type local struct{ filesystem.Local }

func (local) URI(p string) string { return p }

// files are the JobManager's file systems; every call is a step.
func (s *steps) files() (*filesystem.Set, error) {
	faulty, control := fstest.NewFaulty(local{})
	control.SetHook(func(c fstest.Call) fstest.Fault {
		if c.Op != fstest.OpRead {
			s.pass(string(c.Op) + " " + fileLabel(c.Path))
		}
		return fstest.Fault{}
	})
	return filesystem.NewSet(filesystem.SetConfig{DefaultScheme: "local",
		Schemes: map[string]filesystem.Opener{"local": func(string) (filesystem.FileSystem, error) { return faulty, nil }}})
}

// fileLabel says what a file is.
func fileLabel(p string) string {
	base := path.Base(p)
	temporary := strings.HasPrefix(base, ".")
	switch {
	case path.Base(path.Dir(p)) == logDir && temporary:
		return "a record to be"
	case path.Base(path.Dir(p)) == logDir:
		return "a record"
	case strings.Contains(base, "_metadata") && temporary:
		return "metadata to be"
	case strings.Contains(base, "_metadata"):
		return "metadata"
	}
	return "a checkpoint's directory"
}

// counted is a TaskManager's connection, the messages to which are steps.
type counted struct {
	rpc.Peer
	s *steps
}

func (c *counted) Send(m *rpcpb.ToTaskManager) error {
	if label := labelTo(m); label != "" {
		c.s.pass("send " + label)
	}
	return c.Peer.Send(m)
}

// handler counts messages on their way to a JobManager's roles.
type handler struct {
	rpc.Handler
	s *steps

	mu    sync.Mutex
	peers map[rpc.Peer]*counted
}

func (h *handler) peer(p rpc.Peer) *counted {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.peers[p] == nil {
		h.peers[p] = &counted{p, h.s}
	}
	return h.peers[p]
}

func (h *handler) Connected(p rpc.Peer, r *rpcpb.Register) error {
	return h.Handler.Connected(h.peer(p), r)
}

func (h *handler) Message(p rpc.Peer, m *rpcpb.FromTaskManager) {
	if label := labelFrom(m); label != "" {
		h.s.received.Add(1)
		h.s.pass("receive " + label)
	}
	h.Handler.Message(h.peer(p), m)
}

func (h *handler) Disconnected(p rpc.Peer, err error) { h.Handler.Disconnected(h.peer(p), err) }

func labelTo(m *rpcpb.ToTaskManager) string {
	switch m := m.GetMessage().(type) {
	case *rpcpb.ToTaskManager_Allocate:
		return "a slot's allocation"
	case *rpcpb.ToTaskManager_Release:
		return "the job's release"
	case *rpcpb.ToTaskManager_Host:
		switch c := m.Host.GetCommand().GetMessage().(type) {
		case *linkpb.ToHost_Deploy:
			return "a deployment"
		case *linkpb.ToHost_Cancel:
			return "a cancellation"
		case *linkpb.ToHost_SnapshotCoordinators:
			return "a request for coordinators' snapshots"
		case *linkpb.ToHost_TriggerCheckpoint:
			return "a trigger"
		case *linkpb.ToHost_CheckpointNotice:
			return "a notice"
		case *linkpb.ToHost_Commit:
			if c.Commit.GetLast() {
				return "a last commit"
			}
			return "a commit"
		}
	}
	return ""
}

func labelFrom(m *rpcpb.FromTaskManager) string {
	switch e := m.GetHost().GetEvent().GetMessage().(type) {
	case *linkpb.FromHost_CheckpointAck:
		return "an acknowledgement"
	case *linkpb.FromHost_CoordinatorSnapshots:
		return "coordinators' snapshots"
	case *linkpb.FromHost_CommitDone:
		return "a commit's end"
	case *linkpb.FromHost_Task:
		if s := e.Task.GetState(); s == linkpb.ExecutionState_EXECUTION_FINISHED || s == linkpb.ExecutionState_EXECUTION_FAILED {
			return "a task's end"
		}
	}
	return ""
}
