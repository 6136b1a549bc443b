package resourcemanager

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/runtime/jobmanager/mailbox"
	"github.com/weftstream/weft/runtime/rpc/rpcpb"
)

// TaskManagers sends to the TaskManagers' connections by resource id. Neither method waits. An unknown id, or a broken
// connection, is no concern of the caller: Disconnected follows.
type TaskManagers interface {
	Send(resourceID string, m *rpcpb.ToTaskManager) error
	Close(resourceID, reason string)
}

// Jobs is told what concerns jobs. Its methods are called by the ResourceManager's goroutine and must not wait for it.
type Jobs interface {
	// TaskManagerLost says that a TaskManager is gone with everything on it.
	TaskManagerLost(resourceID, reason string)
	// SlotShortage says why a job lacks slots, each time the explanation changes; "" when it has all. fatal says that
	// the cluster can never have as many.
	SlotShortage(job graph.JobID, reason string, fatal bool)
}

// Config makes a ResourceManager.
type Config struct {
	Conf conf.Configuration
	// Driver brings workers of Spec.
	Driver       WorkerDriver
	Spec         WorkerSpec
	TaskManagers TaskManagers
	Jobs         Jobs
	Log          *slog.Logger
}

// ResourceManager is the actor around the slot manager. Its exported methods are safe for concurrent use.
type ResourceManager struct {
	c       Config
	box     *mailbox.Mailbox[event]
	stopped chan struct{} // closed when Run has returned
	fatal   chan error
	finish  chan deregistration
	// Owned by Run's goroutine; declared is what the driver was told last.
	core     *core
	declared int
}

// deregistration is the last message to the actor.
type deregistration struct {
	ctx         context.Context // of the call that waits for done
	status      FinalStatus
	diagnostics string
	done        chan error
}

// event is a message to the actor.
type event func(c *core, now int64)

// New makes a ResourceManager; Run starts it.
func New(c Config) (*ResourceManager, error) {
	if c.Driver == nil || c.TaskManagers == nil || c.Jobs == nil || c.Log == nil {
		return nil, errors.New("make ResourceManager: driver, TaskManagers, jobs and log are required")
	}
	if c.Spec.Slots < 1 {
		return nil, fmt.Errorf("make ResourceManager: a worker of %d slots; set taskmanager.numberOfTaskSlots to at least 1", c.Spec.Slots)
	}
	return &ResourceManager{c: c, box: mailbox.New[event](), stopped: make(chan struct{}), fatal: make(chan error, 1),
		finish: make(chan deregistration),
		core:   newCore(settingsOf(c.Conf, c.Spec, IsStatic(c.Driver)), rand.Uint64())}, nil
}

// Run starts the driver and serves until Deregister or the end of ctx (nil), or until the driver can't go on (its error).
// It is called once.
// TaskManagers may register before the driver has started.
func (m *ResourceManager) Run(ctx context.Context) error {
	defer close(m.stopped)
	defer m.box.Close()
	ctx, cancel := context.WithCancel(ctx)
	started := make(chan error, 1)
	m.core.recovering = true
	go func() { started <- m.c.Driver.Start(ctx, driverEvents{m}) }()
	starting := true
	defer func() {
		cancel()
		if starting {
			<-started // the driver's own goroutine is joined, too
		}
	}()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var held []action // for the driver, until it has started
	for {
		var ready <-chan time.Time
		if at, ok := m.core.next(); ok {
			timer.Reset(max(0, time.Until(time.UnixMilli(at))))
			ready = timer.C
		}
		select {
		case <-ctx.Done():
			return nil
		case err := <-m.fatal:
			return err
		case d := <-m.finish:
			for _, e := range m.box.Take() { // what jobs released before the end still goes out
				e(m.core, time.Now().UnixMilli())
			}
			sends, _ := m.hold(m.core.take(), nil)
			m.execute(sends)
			if starting {
				cancel()
				<-started
				starting = false
			}
			d.done <- m.c.Driver.Deregister(d.ctx, d.status, d.diagnostics)
			return nil
		case err := <-started:
			if err != nil {
				starting = false
				if ctx.Err() != nil { // that is why it hasn't started
					return nil
				}
				return fmt.Errorf("start the worker driver: %w", err)
			}
			starting, started = false, nil
			m.core.driverStarted(time.Now().UnixMilli())
		case <-ready:
			m.core.tick(time.Now().UnixMilli())
		case <-m.box.Ready():
			now := time.Now().UnixMilli()
			for _, e := range m.box.Take() {
				e(m.core, now)
			}
		}
		m.core.flush(time.Now().UnixMilli())
		acts := m.core.take()
		if starting {
			acts, held = m.hold(acts, held)
		} else if len(held) > 0 {
			acts, held = append(held, acts...), nil
		}
		m.execute(acts)
	}
}

// hold takes the actions out of acts that are for the driver, which takes none before Start has returned.
func (m *ResourceManager) hold(acts, held []action) (now, later []action) {
	for _, a := range acts {
		switch a.(type) {
		case stopAction, declareAction:
			held = append(held, a)
		default:
			now = append(now, a)
		}
	}
	return now, held
}

func (m *ResourceManager) execute(acts []action) {
	for _, a := range acts {
		switch a := a.(type) {
		case sendAction:
			_ = m.c.TaskManagers.Send(a.id, a.m) // a failed connection is reported by its end
		case closeAction:
			m.c.TaskManagers.Close(a.id, a.reason)
		case declareAction:
			level := slog.LevelDebug // grants bring the number down
			if a.n > m.declared {
				level = slog.LevelInfo
			}
			m.c.Log.Log(context.Background(), level, "workers declared", "count", a.n, "worker", m.c.Spec.String())
			m.declared = a.n
			m.c.Driver.Declare(m.c.Spec, a.n)
		case stopAction:
			m.c.Log.Info("worker stopped", "taskmanager", a.id, "reason", a.reason)
			m.c.Driver.Stop(a.id, a.reason)
		case lostAction:
			m.c.Log.Info("TaskManager gone", "taskmanager", a.id, "reason", a.reason)
			m.c.Jobs.TaskManagerLost(a.id, a.reason)
		case shortageAction:
			m.c.Jobs.SlotShortage(a.job, a.reason, a.fatal)
		case noteAction:
			m.c.Log.Warn(a.text)
		}
	}
}

// Deregister has the driver release all workers and deregister the cluster, and ends Run. It waits for that; after the
// end of Run it does nothing.
func (m *ResourceManager) Deregister(ctx context.Context, status FinalStatus, diagnostics string) error {
	d := deregistration{ctx: ctx, status: status, diagnostics: diagnostics, done: make(chan error, 1)}
	select {
	case m.finish <- d:
		return <-d.done
	case <-m.stopped:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("deregister the cluster: %w", ctx.Err())
	}
}

// Declare says how many slots a job wants in all, and without how many it can't run; absolute. 0 keeps what the job has and
// asks for no more. Beyond slotmanager.number-of-slots.max there are none, which is a fatal shortage only if the job can't run
// without.
func (m *ResourceManager) Declare(job *rpcpb.JobInfo, slots, least int) {
	m.box.Post(func(c *core, now int64) { c.declare(now, job, slots, least) })
}

// Release ends a job on all TaskManagers: its task hosts are shut down and its slots freed.
func (m *ResourceManager) Release(job graph.JobID, reason string) {
	m.box.Post(func(c *core, now int64) { c.release(now, job, reason) })
}

// Return frees one slot that was offered to a job and isn't needed.
func (m *ResourceManager) Return(job graph.JobID, resourceID string, allocation []byte) {
	m.box.Post(func(c *core, now int64) { c.giveBack(now, job, resourceID, allocation) })
}

// Register adds a TaskManager; the error is for the TaskManager. It waits for the ResourceManager's goroutine.
func (m *ResourceManager) Register(r *rpcpb.Register) error {
	err := errors.New("the JobManager is shutting down")
	m.ask(func(c *core, now int64) {
		if err = c.register(now, r); err == nil {
			m.c.Log.Info("TaskManager registered", "taskmanager", r.GetResourceId(), "host", r.GetHost(), "slots", r.GetSlots())
		}
	})
	return err
}

// Disconnected says that a TaskManager's connection has ended.
func (m *ResourceManager) Disconnected(resourceID string, err error) {
	reason := "its connection ended"
	if err != nil {
		reason = err.Error()
	}
	m.box.Post(func(c *core, now int64) { c.disconnected(now, resourceID, reason) })
}

// Message takes what a TaskManager says to the ResourceManager: Heartbeat, SlotRefused and JobReleased. It waits while
// very many messages are queued.
func (m *ResourceManager) Message(resourceID string, msg *rpcpb.FromTaskManager) {
	switch msg := msg.GetMessage().(type) {
	case *rpcpb.FromTaskManager_Heartbeat:
		m.box.PostWait(func(c *core, now int64) { c.heartbeat(now, resourceID, msg.Heartbeat) })
	case *rpcpb.FromTaskManager_Refused:
		m.c.Log.Warn("slot refused", "taskmanager", resourceID, "slot", msg.Refused.GetSlot(), "reason", msg.Refused.GetReason())
		m.box.PostWait(func(c *core, now int64) { c.refused(now, resourceID, msg.Refused) })
	case *rpcpb.FromTaskManager_Released:
		var id graph.JobID
		copy(id[:], msg.Released.GetJobId())
		m.box.PostWait(func(c *core, now int64) { c.jobReleased(now, resourceID, id) })
	}
}

// TaskManagers returns the registered TaskManagers in the order of registration.
func (m *ResourceManager) TaskManagers() []TaskManagerInfo {
	var all []TaskManagerInfo
	m.ask(func(c *core, now int64) {
		for _, t := range c.tms {
			all = append(all, t.info())
		}
	})
	return all
}

// TaskManager returns one TaskManager.
func (m *ResourceManager) TaskManager(resourceID string) (info TaskManagerInfo, ok bool) {
	m.ask(func(c *core, now int64) {
		if t := c.byTM[resourceID]; t != nil {
			info, ok = t.info(), true
		}
	})
	return info, ok
}

// Overview counts TaskManagers and slots.
func (m *ResourceManager) Overview() (o Overview) {
	m.ask(func(c *core, now int64) {
		n := c.totals()
		o = Overview{TaskManagers: len(c.tms), SlotsTotal: n.slots, SlotsFree: n.free, SlotsMissing: n.missing,
			WorkersStarting: len(c.workers), WorkersDeclared: c.declared}
	})
	return o
}

// ask runs f on the actor's goroutine and waits for it; after the end of Run f isn't run.
func (m *ResourceManager) ask(f event) {
	done := make(chan struct{})
	if !m.box.Post(func(c *core, now int64) { f(c, now); close(done) }) {
		return
	}
	select {
	case <-done:
	case <-m.stopped:
	}
}

// driverEvents is the driver's way in.
type driverEvents struct{ m *ResourceManager }

func (d driverEvents) Granted(id, node string, spec WorkerSpec) {
	d.m.c.Log.Info("worker granted", "taskmanager", id, "node", node, "worker", spec.String())
	d.m.box.Post(func(c *core, now int64) { c.granted(now, id, node, spec) })
}

func (d driverEvents) Ended(id string, end WorkerEnd) {
	d.m.c.Log.Info("worker ended", "taskmanager", id, "end", end.String())
	d.m.box.Post(func(c *core, now int64) { c.ended(now, id, end) })
}

func (d driverEvents) Waiting(reason string) {
	d.m.box.Post(func(c *core, now int64) { c.driverWaiting(now, reason) })
}

func (d driverEvents) Fatal(err error) {
	select {
	case d.m.fatal <- fmt.Errorf("worker driver: %w", err):
	default: // one is enough
	}
}
