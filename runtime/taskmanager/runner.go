package taskmanager

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/runtime/rpc/rpcpb"
)

// maxCommands bounds the commands that wait for a host to attach or to take them.
const maxCommands = 1024

// runner starts a job's task host, feeds it, and reports what it says. Its methods never block, except pass.
type runner struct {
	s     *session
	job   graph.JobID
	info  *rpcpb.JobInfo
	slots atomic.Int32 // the most that the job has had here: limits don't shrink

	commands chan *linkpb.ToHost
	started  chan struct{}      // closed when host is set
	ended    chan struct{}      // closed when the host has ended, or never started
	cancel   context.CancelFunc // of the start; set before run

	growing sync.Mutex // held while limits are told, so that the latest are told last

	mu       sync.Mutex
	host     Host
	expected bool   // the TaskManager ends the host
	byItself bool   // it had ended before the TaskManager wanted that
	stopped  string // why the host was asked to end
	doom     string // why the host is killed
}

func newRunner(s *session, job graph.JobID, info *rpcpb.JobInfo) *runner {
	r := &runner{s: s, job: job, info: info, commands: make(chan *linkpb.ToHost, maxCommands),
		started: make(chan struct{}), ended: make(chan struct{})}
	r.slots.Store(1)
	return r
}

// run is the runner's first goroutine: it ends when the host has.
func (r *runner) run(ctx context.Context) {
	defer close(r.ended)
	host, err := r.start(ctx)
	if err != nil {
		r.notStarted(err)
		return
	}
	var sender sync.WaitGroup
	over := make(chan struct{})
	sender.Go(func() { r.feed(host, over) })
	for m := range host.Events() {
		if m.GetHello() != nil {
			continue
		}
		if x := m.GetExit(); x != nil {
			r.explain(x)
		}
		r.report(m)
	}
	close(over)
	sender.Wait()
}

// start fetches the executable and the cached files, and starts the host.
func (r *runner) start(ctx context.Context) (Host, error) {
	c := &r.s.t.c
	spec := HostSpec{
		JobID: r.job, JobName: r.info.GetGraph().GetName(), Limits: r.limits,
		Start: &linkpb.HostStart{Graph: r.info.GetGraph(), Config: r.info.GetConfig(), ResourceId: c.ResourceID,
			DataAddress: c.DataAddress, JobKey: r.info.GetJobKey(), Epoch: r.info.GetEpoch()},
	}
	spec.Start.LocalStateDir = c.localState(r.job)
	if a := r.info.GetGraph().GetArtifact(); a != nil && c.Artifacts != nil {
		path, err := c.Artifacts.Fetch(ctx, a, r.s.conn.Artifact)
		if err != nil {
			return nil, fmt.Errorf("fetch the application %s: %w", a.GetName(), err)
		}
		spec.Executable = path
	}
	var err error
	if spec.Start.CachedFiles, err = r.cachedFiles(ctx); err != nil {
		return nil, err
	}
	begun := r.slots.Load()
	host, err := c.Starter.Start(ctx, spec)
	if err != nil {
		return nil, fmt.Errorf("start the task host: %w", err)
	}
	r.mu.Lock()
	r.host = host
	doomed := r.doom != ""
	r.mu.Unlock()
	close(r.started)
	r.setLimits(begun)
	if doomed {
		host.Kill()
	}
	return host, nil
}

func (r *runner) limits() Limits { return r.limitsOf(r.slots.Load()) }

// limitsOf are the limits of a host whose job has n slots here.
func (r *runner) limitsOf(n int32) Limits {
	c := &r.s.t.c
	l := Limits{Memory: c.SlotMemory * int64(n)}
	if c.CPU > 0 {
		share := c.CPU * float64(n) / float64(c.Slots)
		l.Processors = max(1, int(share+0.999))
	}
	return l
}

// feed is the runner's second goroutine: it sends the commands.
func (r *runner) feed(host Host, over <-chan struct{}) {
	for {
		select {
		case m := <-r.commands:
			if host.Send(m) != nil { // the host has ended, and Events says why
				return
			}
		case <-over:
			return
		}
	}
}

// notStarted reports a host that could not be started as one that has ended.
func (r *runner) notStarted(err error) {
	exit := &linkpb.HostExit{ExitCode: -1, Reason: err.Error()}
	r.explain(exit)
	if !exit.GetExpected() {
		r.report(&linkpb.FromHost{Message: &linkpb.FromHost_Failed{Failed: &linkpb.Failure{
			Message: err.Error(), Host: r.s.t.c.ResourceID, TimeMs: time.Now().UnixMilli(),
		}}})
	}
	r.report(&linkpb.FromHost{Message: &linkpb.FromHost_Exit{Exit: exit}})
}

// explain completes what the host's end says with what only the TaskManager knows.
func (r *runner) explain(x *linkpb.HostExit) {
	r.mu.Lock()
	x.Expected, r.byItself = r.expected, !r.expected
	switch {
	case r.doom != "":
		x.Reason = r.doom
	case r.stopped != "" && x.GetReason() != "":
		x.Reason += ": " + r.stopped // it did as it was told; "exit status 0" alone would be no reason
	}
	r.mu.Unlock()
	log := r.s.t.c.Log.Info
	if !x.GetExpected() {
		log = r.s.t.c.Log.Warn
	}
	log("task host ended", "job", r.job, "expected", x.GetExpected(), "reason", x.GetReason())
}

// report sends to the JobManager; when that is lost, all hosts end anyway.
func (r *runner) report(m *linkpb.FromHost) {
	_ = r.s.conn.Send(&rpcpb.FromTaskManager{Message: &rpcpb.FromTaskManager_Host{
		Host: &rpcpb.HostEvent{JobId: r.job[:], Event: m},
	}})
}

// command queues a command. A host that has left so many lying is stuck and is killed.
func (r *runner) command(m *linkpb.ToHost) {
	select {
	case r.commands <- m:
	default:
		r.kill("killed: it has not taken its last "+fmt.Sprint(maxCommands)+" commands", false)
	}
}

// stop asks the host to end. One that isn't started yet never will be.
func (r *runner) stop(reason string) {
	r.mu.Lock()
	r.expected, r.stopped = true, reason
	r.mu.Unlock()
	r.cancel()
	r.command(&linkpb.ToHost{Message: &linkpb.ToHost_Shutdown{Shutdown: &linkpb.HostShutdown{Reason: reason}}})
}

// kill ends the host by force; reason is for people.
func (r *runner) kill(reason string, expected bool) {
	r.mu.Lock()
	if r.doom == "" {
		r.doom = reason
	}
	r.expected = r.expected || expected
	host := r.host
	r.mu.Unlock()
	r.cancel()
	if host != nil {
		host.Kill()
	}
}

// setSlots changes the limits, which grow with the job's slots.
func (r *runner) setSlots(n int) {
	if int32(n) <= r.slots.Load() {
		return
	}
	r.slots.Store(int32(n))
	select {
	case <-r.started:
		r.setLimits(0)
	default: // start reads them later
	}
}

// setLimits raises the wall around the host, and then has it raise what its Go runtime keeps to, unless the job still has
// the given number of slots, which the host has been or will be told of with its start.
func (r *runner) setLimits(told int32) {
	r.growing.Lock()
	defer r.growing.Unlock()
	n := r.slots.Load()
	l := r.limitsOf(n)
	r.host.SetLimits(l)
	if n != told {
		r.command(&linkpb.ToHost{Message: &linkpb.ToHost_Limits{Limits: &linkpb.HostLimits{Memory: l.Memory, Processors: int32(l.Processors)}}})
	}
}

func (r *runner) resident() int64 {
	select {
	case <-r.started:
		return r.host.Resident()
	default:
		return 0
	}
}

// errNoHost is why a data connection can't be passed on.
var errNoHost = errors.New("the job has no task host here")

// pass hands a data connection to the host, which may still be starting. conn is closed on an error.
func (r *runner) pass(ctx context.Context, conn net.Conn, preamble []byte) error {
	select {
	case <-r.started:
		return r.host.PassConn(conn, preamble)
	case <-r.ended:
		return errors.Join(errNoHost, conn.Close())
	case <-ctx.Done():
		return errors.Join(context.Cause(ctx), conn.Close())
	}
}
