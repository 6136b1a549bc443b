package taskmanager

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/link"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/runtime/rpc"
	"github.com/weftstream/weft/runtime/rpc/rpcpb"
)

// session is one registration: from the JobManager's acceptance to the end of the connection and of all task hosts. Its
// run is the TaskManager's actor.
type session struct {
	t         *TaskManager
	conn      rpc.Conn
	heartbeat time.Duration

	core   *core                    // of the actor
	timers map[*time.Timer]struct{} // of the actor: to be stopped at the end
	armed  map[int]int              // of the actor: which of a slot's timeouts is in force
	epoch  int                      // of the actor: counts timeouts
	ending bool                     // of the actor: no hosts are started any more
	result error                    // of the actor: run's
	goOn   bool                     // of the actor: register again afterwards

	messages chan *rpcpb.ToTaskManager // closed by the reader, after setting lost
	lost     error
	exits    chan *runner
	timeouts chan func() []action
	done     chan struct{} // closed when run returns
	wg       sync.WaitGroup

	mu      sync.Mutex // guards runners: the actor writes, the data port reads
	runners map[graph.JobID]*runner
}

func newSession(t *TaskManager, conn rpc.Conn, r *rpcpb.Registered) *session {
	heartbeat := time.Duration(r.GetHeartbeatIntervalMs()) * time.Millisecond
	if heartbeat <= 0 {
		heartbeat = rpc.DefaultHeartbeatInterval
	}
	return &session{
		t: t, conn: conn, heartbeat: heartbeat, core: newCore(t.c.Slots), timers: map[*time.Timer]struct{}{},
		armed:    map[int]int{},
		messages: make(chan *rpcpb.ToTaskManager), exits: make(chan *runner), timeouts: make(chan func() []action),
		done: make(chan struct{}), runners: map[graph.JobID]*runner{},
	}
}

// run is the actor. It returns when all task hosts have ended: after ctx's end or a Shutdown with nil and again false,
// after the loss of the JobManager with the cause and again true.
func (s *session) run(ctx context.Context) (again bool, err error) {
	defer s.close()
	s.wg.Go(s.read)
	beat := time.NewTicker(s.heartbeat)
	defer beat.Stop()
	s.beat()
	stop, messages := ctx.Done(), s.messages
	for !s.ending || s.hosts() > 0 {
		select {
		case <-stop:
			stop = nil
			s.end("the TaskManager is shutting down")
		case m, ok := <-messages:
			if !ok {
				messages = nil
				s.disconnected()
				continue
			}
			s.do(s.handle(m))
			s.gaveBack(m)
		case r := <-s.exits:
			s.drop(r)
			s.do(s.core.hostEnded(r.job))
			s.left(r)
		case f := <-s.timeouts:
			s.do(f())
		case <-beat.C:
			s.beat()
		}
	}
	return s.goOn, s.result
}

// read is the reader's goroutine.
func (s *session) read() {
	defer close(s.messages)
	for {
		m, err := s.conn.Recv()
		if err != nil {
			s.lost = err
			return
		}
		select {
		case s.messages <- m:
		case <-s.done:
			return
		}
	}
}

// close ends the connection and joins what the session started; the hosts have ended.
func (s *session) close() {
	close(s.done)
	for timer := range s.timers {
		timer.Stop()
	}
	if err := s.conn.Close(); err != nil {
		s.t.c.Log.Warn("close the JobManager's connection", "error", err)
	}
	s.wg.Wait()
	s.removeAllDirs()
}

// end stops the hosts in good order and lets the TaskManager end. Should even the JobManager's connection be stuck, it
// is closed by and by.
func (s *session) end(reason string) {
	s.ending = true
	s.do(s.core.shutdown(reason))
	s.after(2*s.t.c.ShutdownGrace, func() []action { return s.core.disconnected(reason) })
	s.timers[time.AfterFunc(3*s.t.c.ShutdownGrace, func() { s.conn.Close() })] = struct{}{}
}

// disconnected ends the hosts at once.
func (s *session) disconnected() {
	if !s.ending {
		s.goOn, s.result = true, s.lost
		s.t.c.Log.Warn("lost the JobManager", "error", s.lost)
	}
	s.ending = true
	s.do(s.core.disconnected("the connection to the JobManager ended"))
}

// handle takes one message and returns what follows.
func (s *session) handle(m *rpcpb.ToTaskManager) []action {
	switch m := m.GetMessage().(type) {
	case *rpcpb.ToTaskManager_Allocate:
		return s.allocate(m.Allocate)
	case *rpcpb.ToTaskManager_Free:
		return s.core.free(m.Free.GetAllocation(), jobID(m.Free.GetJobId()), m.Free.GetReason())
	case *rpcpb.ToTaskManager_Release:
		return s.core.release(jobID(m.Release.GetJobId()), m.Release.GetReason())
	case *rpcpb.ToTaskManager_Host:
		s.command(jobID(m.Host.GetJobId()), m.Host.GetCommand())
	case *rpcpb.ToTaskManager_Shutdown:
		if !s.ending {
			s.t.c.Log.Info("the JobManager shuts this TaskManager down", "reason", m.Shutdown.GetReason())
			s.end(m.Shutdown.GetReason())
		}
	}
	return nil
}

func (s *session) allocate(m *rpcpb.AllocateSlot) []action {
	id := m.GetJob().GetGraph().ID()
	if s.ending {
		return []action{{kind: actRefuse, job: id, slot: int(m.GetSlot()), allocation: m.GetAllocation(),
			reason: "the TaskManager is shutting down"}}
	}
	actions := s.core.allocate(int(m.GetSlot()), m.GetAllocation(), id)
	for _, a := range actions {
		if a.kind == actStartHost {
			s.add(newRunner(s, id, m.GetJob()))
		}
	}
	return actions
}

// command passes a command on. One for a host that has ended is dropped: the JobManager hears of the end.
func (s *session) command(id graph.JobID, m *linkpb.ToHost) {
	if m.GetDeploy() != nil {
		s.core.deployed(id)
	}
	if r := s.runner(id); r != nil && m != nil {
		r.command(m)
	}
}

// do carries out what the core asked for.
func (s *session) do(actions []action) {
	for _, a := range actions {
		r := s.runner(a.job)
		switch a.kind {
		case actStartHost:
			s.launch(r)
		case actLimits:
			if r != nil {
				r.setSlots(a.slots)
			}
		case actStopHost:
			s.stop(r, a.reason)
		case actKillHost:
			if r != nil {
				r.kill("killed: "+a.reason, true)
			}
		case actArm:
			s.arm(a)
		case actOffer:
			s.send(&rpcpb.FromTaskManager{Message: &rpcpb.FromTaskManager_Offer{Offer: &rpcpb.SlotOffer{
				JobId: a.job[:], Allocation: a.allocation, Slot: int32(a.slot)}}})
		case actRefuse:
			s.t.c.Log.Warn("slot refused", "job", a.job, "slot", a.slot, "reason", a.reason)
			s.send(&rpcpb.FromTaskManager{Message: &rpcpb.FromTaskManager_Refused{Refused: &rpcpb.SlotRefused{
				JobId: a.job[:], Allocation: a.allocation, Slot: int32(a.slot), Reason: a.reason}}})
		case actReleased:
			s.send(&rpcpb.FromTaskManager{Message: &rpcpb.FromTaskManager_Released{Released: &rpcpb.JobReleased{
				JobId: a.job[:]}}})
		}
	}
}

// launch starts a runner's goroutines.
func (s *session) launch(r *runner) {
	s.t.c.Log.Info("starting a task host", "job", r.job, "name", r.info.GetGraph().GetName())
	// Not the TaskManager's ctx: its end lets hosts end in good order. The runner's stop and kill cancel the start.
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	s.wg.Go(func() {
		defer cancel()
		r.run(ctx)
		select {
		case s.exits <- r:
		case <-s.done:
		}
	})
}

// stop asks a host to end and kills it when its grace is over.
func (s *session) stop(r *runner, reason string) {
	if r == nil {
		return
	}
	grace := s.t.c.ShutdownGrace
	r.stop(reason)
	s.after(grace, func() []action {
		r.kill(fmt.Sprintf("killed: it did not end within %s", grace), true)
		return nil
	})
}

// arm starts the timeout of a slot.
func (s *session) arm(a action) {
	timeout := s.t.c.SlotTimeout
	if timeout < 0 {
		return
	}
	s.epoch++
	epoch := s.epoch
	s.armed[a.slot] = epoch
	s.after(timeout, func() []action {
		if s.armed[a.slot] != epoch { // armed anew since
			return nil
		}
		return s.core.slotTimeout(a.slot, a.allocation,
			fmt.Sprintf("the job deployed nothing within taskmanager.slot.timeout (%s)", timeout))
	})
}

// after has the actor call f later.
func (s *session) after(d time.Duration, f func() []action) {
	var timer *time.Timer
	timer = time.AfterFunc(d, func() {
		select {
		case s.timeouts <- func() []action { delete(s.timers, timer); return f() }:
		case <-s.done:
		}
	})
	s.timers[timer] = struct{}{}
}

// send queues for the JobManager. An error means that the connection has ended, of which the reader tells the actor.
func (s *session) send(m *rpcpb.FromTaskManager) { _ = s.conn.Send(m) }

// beat says that the TaskManager lives.
func (s *session) beat() {
	var hosts int64
	s.mu.Lock()
	for _, r := range s.runners {
		hosts += r.resident()
	}
	s.mu.Unlock()
	s.send(&rpcpb.FromTaskManager{Message: &rpcpb.FromTaskManager_Heartbeat{Heartbeat: &rpcpb.Heartbeat{
		Resident: link.ResidentMemory(0), HostsResident: hosts}}})
}

func (s *session) add(r *runner) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.runners[r.job] = r
}

func (s *session) drop(r *runner) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.runners[r.job] == r {
		delete(s.runners, r.job)
	}
}

// runner is the running host of a job, or nil.
func (s *session) runner(id graph.JobID) *runner {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.runners[id]
}

func (s *session) hosts() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.runners)
}

func jobID(b []byte) graph.JobID {
	var id graph.JobID
	copy(id[:], b)
	return id
}
