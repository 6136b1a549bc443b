package jobmanager

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/link"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/runtime/ha"
	"github.com/weftstream/weft/runtime/jobmaster"
	"github.com/weftstream/weft/runtime/resourcemanager"
	"github.com/weftstream/weft/runtime/rpc"
	"github.com/weftstream/weft/runtime/rpc/rpcpb"
)

// cluster is a JobManager whose TaskManagers are fakes on the real protocol. Its tests run in a synctest bubble: time is
// virtual, and a goroutine that is left behind makes the test fail.
type cluster struct {
	t      *testing.T
	jm     *JobManager
	server *rpc.Server
	log    *fakeLog
	driver *fakeDriver
	run    chan error

	mu  sync.Mutex
	tms map[string]*fakeTM
	// behave is what new TaskManagers do.
	behave behaviour
}

// behaviour is what a fake TaskManager does with its jobs. The zero value runs every task to its end at once.
type behaviour struct {
	// hold leaves tasks RUNNING; stubborn ignores CancelTasks; mute offers no slots.
	hold, stubborn, mute bool
	// fail is the failure of every task after it ran.
	fail *linkpb.Failure
	// commitErrors fails so many commits.
	commitErrors int
}

func bubble(t *testing.T, f func(t *testing.T)) { synctest.Test(t, f) }

// start makes a cluster; it ends with the test.
func start(t *testing.T, pairs map[string]string, edit func(*Config)) *cluster {
	t.Helper()
	c := &cluster{t: t, tms: map[string]*fakeTM{}, run: make(chan error, 1)}
	c.driver = &fakeDriver{c: c}
	configuration, err := conf.FromMap(pairs)
	if err != nil {
		t.Fatal(err)
	}
	epoch, records, err := ha.NewMemory().Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c.log = &fakeLog{next: epoch}
	config := Config{Name: "test", Conf: configuration, Driver: c.driver, Spec: resourcemanager.WorkerSpec{MemoryMB: 1024, VCores: 1, Slots: 2},
		Log: c.log, Records: records}
	if edit != nil {
		edit(&config)
	}
	if c.jm, err = New(config); err != nil {
		t.Fatal(err)
	}
	c.server, err = rpc.NewServer(rpc.ServerConfig{Handler: c.jm, Artifacts: c.jm.OpenArtifact, JobManager: "test", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	go func() { c.run <- c.jm.Run(context.WithoutCancel(t.Context())) }()
	return c
}

// end shuts the cluster down and returns what Run returned.
func (c *cluster) end(status resourcemanager.FinalStatus) error {
	c.jm.RequestShutdown(status, "the test ends")
	err := <-c.run
	c.server.Close()
	c.mu.Lock()
	tms := c.tms
	c.tms = nil
	c.mu.Unlock()
	for _, tm := range tms {
		tm.conn.Close()
		<-tm.ended
	}
	return err
}

func (c *cluster) submit(g *graph.JobGraph) graph.JobID {
	c.t.Helper()
	id, err := c.jm.Dispatcher().Submit(c.t.Context(), g)
	if err != nil {
		c.t.Fatal(err)
	}
	return id
}

func (c *cluster) await(id graph.JobID, want linkpb.JobStatus) *linkpb.JobResult {
	c.t.Helper()
	r, err := c.jm.Dispatcher().Await(c.t.Context(), id)
	if err != nil {
		c.t.Fatal(err)
	}
	if r.GetStatus() != want {
		c.t.Fatalf("job %s is %s, want %s: %v", id, r.GetStatus(), want, r.GetFailure())
	}
	return r
}

// tm returns a connected fake.
func (c *cluster) tm(id string) *fakeTM {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tms[id]
}

// fakeLog counts the records and fails on demand.
type fakeLog struct {
	next jobmaster.EpochLog

	mu      sync.Mutex
	records []ha.Record
	// fail decides about an append.
	fail func(r ha.Record) error
	// fenced: another JobManager leads.
	fenced bool
}

func (l *fakeLog) Check(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fenced {
		return ha.ErrFenced
	}
	return l.next.Check(ctx)
}

func (l *fakeLog) Number() uint64 { return l.next.Number() }

func (l *fakeLog) Append(ctx context.Context, r ha.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fail != nil {
		if err := l.fail(r); err != nil {
			return err
		}
	}
	if err := l.next.Append(ctx, r); err != nil {
		return err
	}
	l.records = append(l.records, r)
	return nil
}

func (l *fakeLog) count(kind ha.Kind) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, r := range l.records {
		if r.Kind == kind {
			n++
		}
	}
	return n
}

// fakeDriver grants workers as fakes. With refuse it grants none.
type fakeDriver struct {
	c      *cluster
	refuse bool

	mu      sync.Mutex
	events  resourcemanager.WorkerEvents
	next    int
	stopped map[string]string
	final   []resourcemanager.FinalStatus
}

func (d *fakeDriver) Start(_ context.Context, events resourcemanager.WorkerEvents) error {
	d.events = events
	return nil
}

func (d *fakeDriver) Declare(spec resourcemanager.WorkerSpec, n int) {
	for range n {
		if d.refuse {
			d.events.Waiting("queue etl is full")
			return
		}
		d.mu.Lock()
		d.next++
		id := fmt.Sprintf("worker-%d", d.next)
		d.mu.Unlock()
		d.events.Granted(id, "node", spec)
		go d.c.connect(id, spec.Slots)
	}
}

func (d *fakeDriver) Stop(id, reason string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stopped == nil {
		d.stopped = map[string]string{}
	}
	d.stopped[id] = reason
	if tm := d.c.tm(id); tm != nil {
		go tm.conn.Close()
	}
}

func (d *fakeDriver) Deregister(_ context.Context, status resourcemanager.FinalStatus, _ string) error {
	d.final = append(d.final, status)
	return nil
}

// change gives all TaskManagers, present and future, another behaviour.
func (c *cluster) change(b behaviour) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.behave = b
	for _, tm := range c.tms {
		tm.mu.Lock()
		tm.behaviour = b
		tm.mu.Unlock()
	}
}

// fakeTM is a TaskManager whose task hosts are played by its one goroutine.
type fakeTM struct {
	behaviour
	c     *cluster
	id    string
	conn  rpc.Conn
	ended chan struct{}

	mu        sync.Mutex // also of behaviour
	tasks     map[graph.JobID][]*linkpb.Task
	commits   []*linkpb.Commit
	cancelled int
	released  []string
	config    map[string]string // of the last job that got a slot
}

// connect registers a fake; nil if it was rejected.
func (c *cluster) connect(id string, slots int) *fakeTM {
	c.mu.Lock()
	tm := &fakeTM{c: c, id: id, behaviour: c.behave, ended: make(chan struct{}), tasks: map[graph.JobID][]*linkpb.Task{}}
	c.mu.Unlock()
	conn, _, err := rpc.Pipe(c.server).Connect(context.Background(), &rpcpb.Register{Version: link.ThisVersion(), ResourceId: id, Host: "node-" + id,
		DataAddress: id + ":1", Slots: int32(slots)})
	if err != nil {
		return nil
	}
	tm.conn = conn
	c.mu.Lock()
	known := c.tms != nil
	if known {
		c.tms[id] = tm
	}
	c.mu.Unlock()
	go tm.serve()
	if !known {
		conn.Close()
		<-tm.ended
	}
	return tm
}

func (tm *fakeTM) serve() {
	defer close(tm.ended)
	stop, beating := make(chan struct{}), make(chan struct{})
	defer func() { close(stop); <-beating }()
	go func() {
		defer close(beating)
		for {
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Second):
				tm.send(&rpcpb.FromTaskManager{Message: &rpcpb.FromTaskManager_Heartbeat{Heartbeat: &rpcpb.Heartbeat{}}})
			}
		}
	}()
	for {
		m, err := tm.conn.Recv()
		if err != nil {
			return
		}
		tm.handle(m)
	}
}

func (tm *fakeTM) now() behaviour {
	tm.mu.Lock()
	defer tm.mu.Unlock()
	return tm.behaviour
}

func (tm *fakeTM) handle(m *rpcpb.ToTaskManager) {
	switch m := m.GetMessage().(type) {
	case *rpcpb.ToTaskManager_Allocate:
		tm.mu.Lock()
		tm.config = m.Allocate.GetJob().GetConfig()
		tm.mu.Unlock()
		if !tm.now().mute {
			tm.send(&rpcpb.FromTaskManager{Message: &rpcpb.FromTaskManager_Offer{Offer: &rpcpb.SlotOffer{
				JobId: m.Allocate.GetJob().GetGraph().GetJobId(), Allocation: m.Allocate.GetAllocation(), Slot: m.Allocate.GetSlot()}}})
		}
	case *rpcpb.ToTaskManager_Release:
		tm.mu.Lock()
		tm.released = append(tm.released, m.Release.GetReason())
		tm.mu.Unlock()
		tm.event(m.Release.GetJobId(), &linkpb.FromHost{Message: &linkpb.FromHost_Exit{Exit: &linkpb.HostExit{Expected: true, Reason: "ended"}}})
		tm.send(&rpcpb.FromTaskManager{Message: &rpcpb.FromTaskManager_Released{Released: &rpcpb.JobReleased{JobId: m.Release.GetJobId()}}})
	case *rpcpb.ToTaskManager_Host:
		tm.command(m.Host.GetJobId(), m.Host.GetCommand())
	}
}

func (tm *fakeTM) command(job []byte, m *linkpb.ToHost) {
	switch m := m.GetMessage().(type) {
	case *linkpb.ToHost_Deploy:
		tm.mu.Lock()
		tm.tasks[graph.JobID(job)] = m.Deploy.GetTasks()
		b := tm.behaviour
		tm.mu.Unlock()
		for _, t := range m.Deploy.GetTasks() {
			tm.update(job, &linkpb.TaskUpdate{Id: t.GetId(), State: linkpb.ExecutionState_EXECUTION_INITIALIZING})
			tm.update(job, &linkpb.TaskUpdate{Id: t.GetId(), State: linkpb.ExecutionState_EXECUTION_RUNNING})
			switch {
			case b.fail != nil:
				tm.update(job, &linkpb.TaskUpdate{Id: t.GetId(), State: linkpb.ExecutionState_EXECUTION_FAILED, Failure: b.fail})
			case !b.hold:
				tm.finish(job, t)
			}
		}
	case *linkpb.ToHost_Cancel:
		tm.mu.Lock()
		tm.cancelled += len(m.Cancel.GetIds())
		tm.mu.Unlock()
		if tm.now().stubborn {
			return
		}
		for _, id := range m.Cancel.GetIds() {
			tm.update(job, &linkpb.TaskUpdate{Id: id, State: linkpb.ExecutionState_EXECUTION_CANCELED})
		}
	case *linkpb.ToHost_Commit:
		tm.mu.Lock()
		tm.commits = append(tm.commits, m.Commit)
		done := &linkpb.CommitDone{Operator: m.Commit.GetOperator(), Seq: m.Commit.GetSeq()}
		if tm.commitErrors > 0 {
			tm.commitErrors--
			done.Error = "no route to NameNode"
		}
		tm.mu.Unlock()
		tm.event(job, &linkpb.FromHost{Message: &linkpb.FromHost_CommitDone{CommitDone: done}})
	}
}

// finish ends a task well; the sink has committables.
func (tm *fakeTM) finish(job []byte, t *linkpb.Task) {
	u := &linkpb.TaskUpdate{Id: t.GetId(), State: linkpb.ExecutionState_EXECUTION_FINISHED, Counters: map[string]int64{"records": 5}}
	if len(t.GetOutputs()) == 0 {
		u.Commits = []*linkpb.OperatorCommit{{Operator: t.GetId().GetVertex(), Committables: [][]byte{fmt.Appendf(nil, "part-%d", t.GetId().GetSubtask())}}}
	}
	tm.update(job, u)
}

func (tm *fakeTM) update(job []byte, u *linkpb.TaskUpdate) {
	tm.event(job, &linkpb.FromHost{Message: &linkpb.FromHost_Task{Task: u}})
}

func (tm *fakeTM) event(job []byte, ev *linkpb.FromHost) {
	tm.send(&rpcpb.FromTaskManager{Message: &rpcpb.FromTaskManager_Host{Host: &rpcpb.HostEvent{JobId: job, Event: ev}}})
}

func (tm *fakeTM) send(m *rpcpb.FromTaskManager) {
	if err := tm.conn.Send(m); err != nil && !errors.Is(err, rpc.ErrClosed) && !errors.Is(err, io.EOF) {
		tm.c.t.Errorf("%s: %v", tm.id, err)
	}
}

func (tm *fakeTM) committed() []string {
	tm.mu.Lock()
	defer tm.mu.Unlock()
	var all []string
	for _, c := range tm.commits {
		all = append(all, fmt.Sprintf("%s", c.GetCommittables()))
	}
	return all
}

// words is a job of a source and a sink that commits, with parallelism p.
func words(p int32) *graph.JobGraph {
	id := graph.NewJobID()
	vertex := func(name string, op *graph.ChainedOperator) *graph.JobVertex {
		op.Id = make([]byte, 16)
		copy(op.Id, name)
		return &graph.JobVertex{Id: op.Id, Name: name, Parallelism: p, MaxParallelism: 128, SlotSharingGroup: "default", Operators: []*graph.ChainedOperator{op}}
	}
	source := vertex("source", &graph.ChainedOperator{Name: "source", Coordinator: true})
	sink := vertex("sink", &graph.ChainedOperator{Name: "sink", Coordinator: true, Commits: true})
	return &graph.JobGraph{JobId: id[:], Name: "words", Definition: "words", Key: "1", Vertices: []*graph.JobVertex{source, sink},
		Edges: []*graph.JobEdge{{Id: 0, SourceVertex: source.Id, TargetVertex: sink.Id, SourceOperator: source.Id, TargetOperator: sink.Id,
			Partitioning: graph.Partitioning_HASH}}, MaxParallelism: 128, Bounded: true}
}
