package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	goruntime "runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/operator"
	"github.com/weftstream/weft/runtime/checkpoint"
	"github.com/weftstream/weft/runtime/network"
	"github.com/weftstream/weft/runtime/task"
)

// metricsInterval is how often a host reports the metrics of its tasks.
const metricsInterval = time.Second

// host is one run. Its maps belong to the goroutine that called Run, except where mu is named.
type host struct {
	o        Options
	log      *slog.Logger
	out      *outbox
	start    *linkpb.HostStart
	job      *task.Job
	requests requests
	tasks    sync.WaitGroup
	coords   map[operator.ID]*coordinator
	commits  commits
	helpers  sync.WaitGroup // acceptor, metrics
	// cancelInterval is task.cancellation.interval in nanoseconds once the host has its configuration.
	cancelInterval atomic.Int64
	store          operator.ClosableStateStore // nil: keyed state is all in memory

	mu      sync.Mutex
	running map[execution]*task.Task
	opening []*coordinator // whose factories may not have returned yet
}

type execution struct {
	vertex           string
	subtask, attempt int32
}

func executionOf(id *linkpb.ExecutionID) execution {
	return execution{string(id.GetVertex()), id.GetSubtask(), id.GetAttempt()}
}

func run(ctx context.Context, link Link, o Options) error {
	if o.Build == nil {
		return errors.New("run task host: Options.Build is missing")
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	h := &host{o: o, log: o.Log, out: newOutbox(), coords: map[operator.ID]*coordinator{}, running: map[execution]*task.Task{}}
	h.requests.init()
	var sendErr error
	var sender sync.WaitGroup
	sender.Go(func() { sendErr = h.out.send(link) })
	h.out.put(&linkpb.FromHost{Message: &linkpb.FromHost_Hello{Hello: &linkpb.HostHello{
		Version: o.Version, Pid: int32(os.Getpid()), Platform: goruntime.GOOS + "/" + goruntime.GOARCH}}})
	stop := make(chan struct{})
	h.helpers.Go(func() { h.reportMetrics(stop) })
	var terminator sync.WaitGroup
	closed := make(chan struct{})
	if o.Process {
		signals := catchTermination()
		terminator.Go(func() { h.commits.terminateLate(signals, closed) })
	}
	err := h.receive(ctx, link)
	close(stop)
	h.close()
	close(closed)
	terminator.Wait()
	close(h.out.messages)
	sender.Wait()
	if err == nil && sendErr != nil && !errors.Is(sendErr, io.EOF) && ctx.Err() == nil {
		err = fmt.Errorf("run task host: %w: %w", errLinkBroken, sendErr)
	}
	return err
}

// receive is the main loop. It returns nil on HostShutdown and at the end of the link.
func (h *host) receive(ctx context.Context, link Link) error {
	for {
		m, err := link.Recv()
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("run task host: %w", context.Cause(ctx))
		case errors.Is(err, io.EOF):
			h.log.Info("the TaskManager ended the link")
			return nil
		case err != nil:
			return fmt.Errorf("run task host: %w: %w", errLinkBroken, err)
		}
		if s := m.GetShutdown(); s != nil {
			h.log.Info("shutting down", "reason", s.GetReason())
			return nil
		}
		if err := h.handle(m); err != nil {
			h.failed(task.FailureOf(err))
			return err
		}
	}
}

// handle handles one message; an error ends the host.
func (h *host) handle(m *linkpb.ToHost) error {
	if s := m.GetStart(); s != nil {
		return h.begin(s)
	}
	if h.job == nil {
		return fmt.Errorf("run task host: %T came before HostStart", m.GetMessage())
	}
	switch m := m.GetMessage().(type) {
	case *linkpb.ToHost_Deploy:
		return h.deploy(m.Deploy)
	case *linkpb.ToHost_Cancel:
		h.cancel(m.Cancel.GetIds())
	case *linkpb.ToHost_CoordinatorRequest:
		h.coordinate(m.CoordinatorRequest)
	case *linkpb.ToHost_CoordinatorResponse:
		h.requests.answer(m.CoordinatorResponse)
	case *linkpb.ToHost_Commit:
		h.commit(m.Commit)
	case *linkpb.ToHost_SnapshotCoordinators:
		h.snapshotCoordinators(m.SnapshotCoordinators.GetCheckpoint())
	case *linkpb.ToHost_TriggerCheckpoint:
		h.trigger(m.TriggerCheckpoint)
	case *linkpb.ToHost_CheckpointNotice:
		h.notice(m.CheckpointNotice)
	case *linkpb.ToHost_CloseCoordinators:
		h.closeCoordinators(m.CloseCoordinators.GetOperators())
	case *linkpb.ToHost_Limits:
		h.limit(m.Limits.GetMemory(), m.Limits.GetProcessors())
	default:
		h.log.Warn("unknown message from the TaskManager ignored", "type", fmt.Sprintf("%T", m))
	}
	return nil
}

// begin builds the job and opens the exchange.
func (h *host) begin(s *linkpb.HostStart) error {
	if h.job != nil {
		return errors.New("run task host: HostStart came twice")
	}
	h.start = s
	h.limit(s.GetMemory(), s.GetProcessors())
	h.log = h.log.With("job", s.GetGraph().ID().String(), "host", s.GetResourceId())
	settings, err := settingsOf(s.GetConfig(), s.GetGraph().ID(), s.GetGraph().GetBounded())
	if err != nil {
		return fmt.Errorf("start job %q: %w", s.GetGraph().GetName(), err)
	}
	h.cancelInterval.Store(int64(settings.cancelInterval))
	stream, err := h.build(s.GetGraph())
	if err != nil {
		return err
	}
	store, err := settings.backend.open(s)
	if err != nil {
		return fmt.Errorf("start job %q: %w", s.GetGraph().GetName(), err)
	}
	h.store = store
	x, err := network.NewExchange(network.Config{Job: s.GetGraph().ID(), Resource: s.GetResourceId(), Key: s.GetJobKey(), Dial: h.o.Dial,
		Encrypt: settings.encrypt, Compress: settings.compress, Log: h.log})
	if err != nil {
		return err
	}
	h.job = &task.Job{Graph: s.GetGraph(), Stream: stream, Nodes: map[operator.ID]*graph.Node{}, Exchange: x, Resource: s.GetResourceId(), Epoch: s.GetEpoch(),
		Settings: settings.Settings, CachedFiles: s.GetCachedFiles(), Log: h.log}
	if store != nil {
		h.job.Store = store
	}
	if h.o.Files != nil {
		h.job.Files = h.o.Files()
	}
	if dir := s.GetLocalStateDir(); dir != "" && (settings.LocalBackup || settings.LocalRecovery) {
		h.job.Local = checkpoint.NewLocalCopies(dir, h.log)
	}
	for _, n := range stream.Nodes {
		h.job.Nodes[n.OperatorID()] = n
	}
	if h.o.Data != nil {
		h.helpers.Go(func() { h.accept(x) })
	}
	h.out.put(&linkpb.FromHost{Message: &linkpb.FromHost_Ready{Ready: &linkpb.HostReady{Fingerprint: stream.Fingerprint()}}})
	return nil
}

// build runs the user's build function and compares what it made with what the driver made.
func (h *host) build(g *graph.JobGraph) (*graph.StreamGraph, error) {
	var stream *graph.StreamGraph
	err := task.Protect(func() (err error) {
		stream, err = h.o.Build(g.GetDefinition(), g.GetParams())
		return err
	})
	if err == nil && stream == nil {
		err = errors.New("it made no graph")
	}
	if err == nil {
		err = stream.Check()
	}
	if err == nil {
		err = graph.CompareFingerprints(g.GetFingerprint(), stream.Fingerprint())
	}
	if err != nil {
		return nil, fmt.Errorf("build job %q (definition %q) in the task host: %w", g.GetName(), g.GetDefinition(), err)
	}
	return stream, nil
}

// limit applies the host's budget to the Go runtime, if the process is the host's alone; 0 leaves a limit as it is.
func (h *host) limit(memory int64, processors int32) {
	if !h.o.Process {
		return
	}
	if memory > 0 {
		debug.SetMemoryLimit(memory)
	}
	if processors > 0 {
		goruntime.GOMAXPROCS(int(processors))
	}
}

// accept hands data connections to the exchange until the listener is closed.
func (h *host) accept(x *network.Exchange) {
	for {
		c, p, err := h.o.Data.Accept()
		if err != nil {
			return
		}
		x.Accept(c, p)
	}
}

// failed reports that the host can't go on.
func (h *host) failed(f *linkpb.Failure) {
	f.Host = h.start.GetResourceId()
	h.out.put(&linkpb.FromHost{Message: &linkpb.FromHost_Failed{Failed: f}})
}

// close ends everything that the host started, tasks first, and waits for it. Commits may end before their coordinators'
// context does.
func (h *host) close() {
	h.mu.Lock()
	for _, t := range h.running {
		t.Cancel()
	}
	h.mu.Unlock()
	h.commits.wait(commitGrace)
	h.mu.Lock()
	for _, c := range h.opening {
		c.cancel()
	}
	h.mu.Unlock()
	h.tasks.Wait()
	for _, c := range h.coords {
		c.stop()
	}
	for _, c := range h.coords {
		c.join()
	}
	if h.o.Data != nil {
		h.o.Data.Close()
	}
	if h.job != nil {
		h.job.Exchange.Close()
	}
	if h.store != nil {
		if err := h.store.Close(); err != nil {
			h.log.Warn("the state backend's files may be left until the TaskManager removes them", "error", err)
		}
	}
	h.helpers.Wait()
}
