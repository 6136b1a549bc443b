package taskmanager

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/weftstream/weft/link"
	"github.com/weftstream/weft/link/linkpb"
)

// drainTimeout bounds the wait for what a host wrote and sent before it ended.
const drainTimeout = 2 * time.Second

// linkGrace is how long a host may go on after it has closed its link.
const linkGrace = 5 * time.Second

// errHostEnded is why a host takes nothing any more.
var errHostEnded = errors.New("the task host has ended")

// processHost implements Host. Its goroutines: one serves the link, two read the host's output, one waits for the
// process and ends after all others.
type processHost struct {
	p     *ProcessStarter
	spec  HostSpec
	name  string
	mark  string // environment variable that the host and all it starts have
	dir   string
	child *link.Child

	output [2]*output // stdout, stderr

	events   chan *linkpb.FromHost
	attached chan struct{} // closed when stream is set
	ended    chan struct{} // closed when the process has ended

	mu     sync.Mutex
	stream *link.HostStream
	limits Limits
	unused int64  // address space that counts as data and isn't used
	doom   string // why this starter killed the host
	killed bool
	timers []*time.Timer
}

func newProcessHost(p *ProcessStarter, spec HostSpec, name string) *processHost {
	return &processHost{p: p, spec: spec, name: name,
		unused: link.UnusedReserve, events: make(chan *linkpb.FromHost), attached: make(chan struct{}), ended: make(chan struct{})}
}

// discard removes what prepare made for a host that was not started.
func (h *processHost) discard() error {
	var errs []error
	if h.child != nil {
		errs = append(errs, h.child.Close())
	}
	for _, o := range h.output {
		if o != nil {
			errs = append(errs, o.close())
		}
	}
	if h.dir != "" {
		errs = append(errs, os.RemoveAll(h.dir))
	}
	return errors.Join(append(errs, h.p.logs.hostEnded(h.name))...)
}

// launch starts the process and the host's goroutines.
func (h *processHost) launch(spawner *link.Spawner) error {
	if err := h.p.children.start(h.child, spawner); err != nil {
		return err
	}
	pid := h.child.Cmd.Process.Pid
	h.SetLimits(h.spec.Limits())
	if err := preferToKill(pid); err != nil {
		h.p.c.Log.Warn("task host", "host", h.name, "error", err)
	}
	h.after(h.p.c.AttachTimeout, h.checkAttached)
	for _, o := range h.output {
		o.w.Close()
		go o.copy()
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() {
		err := link.ServeHost(ctx, h.child.Link, h.serve)
		h.after(linkGrace, h.linkEnded)
		served <- err
	}()
	go func() {
		defer cancel()
		h.wait(cancel, served)
	}()
	return nil
}

// serve is called when the host has attached, and returns when its stream has ended.
func (h *processHost) serve(st *link.HostStream) error {
	limits := h.spec.Limits()
	h.setLimits(limits, link.UnusedData(h.child.Cmd.Process.Pid))
	if err := st.Send(h.spec.start(limits, h.dir)); err != nil {
		return err
	}
	h.mu.Lock()
	h.stream = st
	h.mu.Unlock()
	close(h.attached)
	for {
		m, err := st.Recv()
		if err != nil {
			return err
		}
		h.events <- m
	}
}

// checkAttached ends a host that is something else than a Weft application, or is stuck in its initialisation.
func (h *processHost) checkAttached() {
	select {
	case <-h.attached:
	default:
		h.mu.Lock()
		h.doom = fmt.Sprintf("killed: it did not attach to the TaskManager within %s: stream.Main has to be the first "+
			"statement of the application's main, and package initialisation short", h.p.c.AttachTimeout)
		h.mu.Unlock()
		h.Kill()
	}
}

// linkEnded ends a host that closed its link and lives on.
func (h *processHost) linkEnded() {
	h.mu.Lock()
	if h.doom == "" && !h.killed {
		h.doom = fmt.Sprintf("killed: %s after it had closed its link to the TaskManager it was still running", linkGrace)
	}
	h.mu.Unlock()
	h.Kill()
}

// wait is the last goroutine of the host.
func (h *processHost) wait(cancel context.CancelFunc, served <-chan error) {
	_ = h.p.children.wait(h.child) // the error says no more than ProcessState
	close(h.ended)
	h.stopTimers()
	if err := h.child.Data.Close(); err != nil {
		h.p.c.Log.Warn("task host", "host", h.name, "error", err)
	}
	if err := killMarked(h.mark); err != nil {
		h.p.c.Log.Warn("task host: end what it left behind", "host", h.name, "error", err)
	}
	var linkErr error
	select {
	case linkErr = <-served:
	case <-time.After(drainTimeout):
		cancel()
		linkErr = <-served
	}
	for _, o := range h.output {
		if err := errors.Join(o.drain(drainTimeout), o.close()); err != nil {
			h.p.c.Log.Warn("task host: its output", "host", h.name, "error", err)
		}
	}
	if err := errors.Join(os.RemoveAll(h.dir), h.p.logs.hostEnded(h.name)); err != nil {
		h.p.c.Log.Warn("task host: clean up", "host", h.name, "error", err)
	}
	h.events <- &linkpb.FromHost{Message: &linkpb.FromHost_Exit{Exit: h.exit(linkErr)}}
	close(h.events)
}

// exit describes the end of the process; served is how its link ended.
func (h *processHost) exit(served error) *linkpb.HostExit {
	e := ending{code: h.child.Cmd.ProcessState.ExitCode(), crash: h.output[1].tail.Crash()}
	if ws, ok := h.child.Cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		e.signal = ws.Signal().String()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	e.memory, e.attached = h.limits.Memory, h.stream != nil
	x := &linkpb.HostExit{ExitCode: int32(e.code), Signal: e.signal, StderrTail: h.output[1].tail.String(), Reason: e.reason()}
	var version *link.VersionError
	switch {
	case h.doom != "":
		x.Reason = h.doom
	case errors.As(served, &version):
		x.Reason = version.Error()
	case h.killed && e.signal != "":
		x.Reason = "killed by the TaskManager"
	}
	return x
}

// Send implements Host.
func (h *processHost) Send(m *linkpb.ToHost) error {
	select {
	case <-h.attached:
	case <-h.ended:
		return errHostEnded
	}
	return h.stream.Send(m)
}

// Events implements Host.
func (h *processHost) Events() <-chan *linkpb.FromHost { return h.events }

// PassConn implements Host.
func (h *processHost) PassConn(conn net.Conn, preamble []byte) error {
	select {
	case <-h.attached:
	case <-h.ended:
		return errors.Join(errHostEnded, conn.Close())
	}
	return h.child.Data.Send(conn, preamble)
}

// SetLimits implements Host. Limits only grow.
func (h *processHost) SetLimits(l Limits) { h.setLimits(l, 0) }

// setLimits sets RLIMIT_DATA, which counts what the process has mapped to write to, used or not: so what is mapped and
// not used when it begins (measured; 0 = as before) is added to the budget.
func (h *processHost) setLimits(l Limits, unused int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	select {
	case <-h.ended:
		return
	default:
	}
	if l.Memory == 0 || l.Memory <= h.limits.Memory && unused == 0 {
		return
	}
	h.limits.Memory = max(h.limits.Memory, l.Memory)
	if unused > 0 {
		h.unused = unused
	}
	data := h.limits.Memory + h.p.c.MemoryMargin(h.limits.Memory) + h.unused
	if err := link.LimitData(h.child.Cmd.Process.Pid, data); err != nil {
		h.p.c.Log.Warn("task host: limit its memory", "host", h.name, "error", err)
	}
}

// Resident implements Host.
func (h *processHost) Resident() int64 {
	select {
	case <-h.ended:
		return 0
	default:
		return link.ResidentMemory(h.child.Cmd.Process.Pid)
	}
}

// Kill implements Host: SIGTERM, and SIGKILL when the grace is over.
func (h *processHost) Kill() {
	h.mu.Lock()
	again := h.killed
	h.killed = true
	h.mu.Unlock()
	if again {
		return
	}
	h.signal(syscall.SIGTERM)
	h.after(h.p.c.KillGrace, func() { h.signal(syscall.SIGKILL) })
}

func (h *processHost) signal(s os.Signal) {
	if err := h.child.Cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		h.p.c.Log.Warn("task host: signal it", "host", h.name, "signal", s.String(), "error", err)
	}
}

// after calls f later, unless the host ends before.
func (h *processHost) after(d time.Duration, f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	select {
	case <-h.ended:
	default:
		h.timers = append(h.timers, time.AfterFunc(d, f))
	}
}

func (h *processHost) stopTimers() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, t := range h.timers {
		t.Stop()
	}
}
