package resourcemanager

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/runtime/rpc/rpcpb"
)

// settings are the options of the core; times are in milliseconds.
type settings struct {
	spec WorkerSpec
	// static: TaskManagers come and go by themselves; no worker is asked for or stopped.
	static             bool
	minSlots, maxSlots int
	redundant          int
	spread             bool

	idleTimeout, registrationTimeout int64
	maxFailuresPerMinute             float64
	retryInterval                    int64
}

func settingsOf(c conf.Configuration, spec WorkerSpec, static bool) settings {
	return settings{
		spec: spec, static: static,
		minSlots:             conf.Get(c, conf.SlotManagerNumberOfSlotsMin),
		maxSlots:             conf.Get(c, conf.SlotManagerNumberOfSlotsMax),
		redundant:            conf.Get(c, conf.SlotManagerRedundantTaskManagerNum),
		spread:               conf.Get(c, conf.TaskManagerLoadBalanceMode) == loadBalanceSlots,
		idleTimeout:          conf.Get(c, conf.ResourceManagerTaskManagerTimeout).Milliseconds(),
		registrationTimeout:  conf.Get(c, conf.ResourceManagerTaskManagerRegistrationTimeout).Milliseconds(),
		maxFailuresPerMinute: conf.Get(c, conf.ResourceManagerStartWorkerMaxFailureRate),
		retryInterval:        conf.Get(c, conf.ResourceManagerStartWorkerRetryInterval).Milliseconds(),
	}
}

// loadBalanceSlots is the value of taskmanager.load-balance.mode that spreads a job over all TaskManagers.
const loadBalanceSlots = "SLOTS"

// releaseTime is how long a slot in release counts as one that is about to be free, in milliseconds. A task host takes
// far less to end; a driver that submits its next job at once shall not make the cluster ask for workers.
const releaseTime = 3000

// maxGone bounds what is remembered of workers that have gone.
const maxGone = 1024

// core decides. Every method is an event at a time in Unix milliseconds; what follows from it is in actions, which the
// caller takes, in order, after each event; flush follows when no event is left.
type core struct {
	settings
	jobs    []*jobNeed // in the order of their first declaration, which is the order in which they are served
	byJob   map[graph.JobID]*jobNeed
	tms     []*taskManager // in the order of registration
	byTM    map[string]*taskManager
	workers map[string]*worker // granted, not registered
	// recovering is true while the driver starts: what it grants is left from an earlier JobManager.
	recovering bool
	started    bool
	// declared is what the driver was told last, less what it has granted since.
	declared int
	// grants: there were some since the last declaration.
	grants bool
	// gone are workers that were stopped or have ended, oldest first: they may not register again.
	gone     map[string]bool
	goneList []string

	failures   []int64 // times of failed starts in the last minute
	pauseUntil int64
	waiting    string // the driver's reason
	failure    string // the last failed start
	failedAt   int64

	nextAllocation uint64
	epoch          uint64 // makes allocation ids of different JobManagers differ

	actions []action
}

// jobNeed is a job's declaration.
type jobNeed struct {
	id   graph.JobID
	info *rpcpb.JobInfo
	need int
	// least is without how many slots it can't run.
	least int
	has   int
	// avoid holds TaskManagers that refused the job, until when, and refusal what the last one said.
	avoid   map[string]int64
	refusal string
	// told is the explanation that the JobMaster was given last.
	told string
	// impossible: the need is beyond what the cluster may have.
	impossible bool
}

func (j *jobNeed) missing() int {
	if j.impossible {
		return 0
	}
	return max(0, j.need-j.has)
}

// taskManager is a registered one.
type taskManager struct {
	reg   *rpcpb.Register
	slots []slot
	free  int
	// heard, idleSince and registered are times; idleSince is meaningful while all slots are free.
	heard, idleSince, registered int64
	resident, hostsResident      int64
}

func (t *taskManager) id() string { return t.reg.GetResourceId() }
func (t *taskManager) idle() bool { return t.free == len(t.slots) }

func (t *taskManager) of(job graph.JobID) int {
	n := 0
	for i := range t.slots {
		if t.slots[i].taken && t.slots[i].job == job {
			n++
		}
	}
	return n
}

// slot is free, or taken by a job; a released one stays taken until the TaskManager says that the job is gone, which is
// expected until expected (0: no longer): so long no worker is asked for in its stead.
type slot struct {
	taken, released bool
	job             graph.JobID
	allocation      string
	expected        int64
}

// worker is one that was granted and whose TaskManager has not registered.
type worker struct {
	id, node string
	slots    int
	by       int64 // registers by then
}

func newCore(s settings, epoch uint64) *core {
	s.spec.Slots = max(1, s.spec.Slots)
	return &core{settings: s, epoch: epoch, byJob: map[graph.JobID]*jobNeed{}, byTM: map[string]*taskManager{},
		workers: map[string]*worker{}, gone: map[string]bool{}}
}

func (c *core) emit(a action) { c.actions = append(c.actions, a) }

// take returns the actions of the events since the last call.
func (c *core) take() []action {
	a := c.actions
	c.actions = nil
	return a
}

// declare is a job's need in slots, and what it can't run without; 0 keeps what it has and asks for no more.
func (c *core) declare(now int64, info *rpcpb.JobInfo, slots, least int) {
	id := info.GetGraph().ID()
	j := c.byJob[id]
	if j == nil {
		j = &jobNeed{id: id, avoid: map[string]int64{}}
		c.byJob[id] = j
		c.jobs = append(c.jobs, j)
	}
	j.info, j.need, j.least = info, slots, least
	if j.impossible = !c.static && least > c.maxSlots; !j.impossible && !c.static {
		j.need = min(slots, c.maxSlots)
	}
	c.reconcile(now)
}

// release ends a job: its task hosts go and its slots are free when the TaskManagers say so.
func (c *core) release(now int64, id graph.JobID, reason string) {
	if j := c.byJob[id]; j != nil {
		delete(c.byJob, id)
		c.jobs = slices.DeleteFunc(c.jobs, func(o *jobNeed) bool { return o == j })
	}
	for _, t := range c.tms {
		if c.markReleased(now, t, id) {
			c.send(t, &rpcpb.ToTaskManager{Message: &rpcpb.ToTaskManager_Release{
				Release: &rpcpb.ReleaseJob{JobId: id[:], Reason: reason}}})
		}
	}
	c.reconcile(now)
}

func (c *core) markReleased(now int64, t *taskManager, id graph.JobID) bool {
	found := false
	for i := range t.slots {
		if s := &t.slots[i]; s.taken && s.job == id && !s.released {
			s.released, s.expected, found = true, now+releaseTime, true
		}
	}
	return found
}

// giveBack frees one slot that its job doesn't want.
func (c *core) giveBack(now int64, id graph.JobID, resourceID string, allocation []byte) {
	t := c.byTM[resourceID]
	if t == nil {
		return
	}
	for i := range t.slots {
		s := &t.slots[i]
		if !s.taken || s.released || s.job != id || s.allocation != string(allocation) {
			continue
		}
		c.send(t, &rpcpb.ToTaskManager{Message: &rpcpb.ToTaskManager_Free{Free: &rpcpb.FreeSlot{
			Allocation: allocation, JobId: id[:], Reason: "the job has all slots it needs"}}})
		c.freeSlot(now, t, i)
	}
	c.reconcile(now)
}

// register adds a TaskManager. The error is for the TaskManager.
func (c *core) register(now int64, r *rpcpb.Register) error {
	id := r.GetResourceId()
	switch {
	case id == "":
		return errors.New("register TaskManager: it has no resource id")
	case r.GetSlots() < 1:
		return fmt.Errorf("register TaskManager %s: it offers %d slots; set taskmanager.numberOfTaskSlots to at least 1", id, r.GetSlots())
	case c.gone[id]:
		return fmt.Errorf("register TaskManager %s: it was stopped or taken for dead before", id)
	}
	if old := c.byTM[id]; old != nil {
		c.remove(now, old, "it registered again over a new connection")
	}
	delete(c.workers, id)
	t := &taskManager{reg: r, slots: make([]slot, r.GetSlots()), free: int(r.GetSlots()),
		heard: now, idleSince: now, registered: now}
	c.byTM[id] = t
	c.tms = append(c.tms, t)
	c.adopt(now, t, r.GetAllocated())
	c.reconcile(now)
	return nil
}

// adopt handles slots that a TaskManager still holds for jobs of an earlier JobManager: jobs start anew, so these go.
func (c *core) adopt(now int64, t *taskManager, reports []*rpcpb.SlotReport) {
	told := map[graph.JobID]bool{}
	for _, r := range reports {
		i := int(r.GetSlot())
		if i < 0 || i >= len(t.slots) || t.slots[i].taken {
			continue
		}
		var job graph.JobID
		copy(job[:], r.GetJobId())
		t.slots[i] = slot{taken: true, released: true, job: job, allocation: string(r.GetAllocation()), expected: now + releaseTime}
		t.free--
		if !told[job] {
			told[job] = true
			c.send(t, &rpcpb.ToTaskManager{Message: &rpcpb.ToTaskManager_Release{
				Release: &rpcpb.ReleaseJob{JobId: job[:], Reason: "left over from an earlier JobManager"}}})
		}
	}
}

// disconnected is the end of a TaskManager's connection.
func (c *core) disconnected(now int64, resourceID, reason string) {
	if t := c.byTM[resourceID]; t != nil {
		c.dismiss(now, t, reason)
		c.reconcile(now)
	}
}

// heartbeat is a sign of life.
func (c *core) heartbeat(now int64, resourceID string, h *rpcpb.Heartbeat) {
	t := c.byTM[resourceID]
	if t == nil {
		return
	}
	t.heard = now
	if h != nil {
		t.resident, t.hostsResident = h.GetResident(), h.GetHostsResident()
	}
}

// refused is a TaskManager's answer to an allocation that it can't serve.
func (c *core) refused(now int64, resourceID string, r *rpcpb.SlotRefused) {
	t := c.byTM[resourceID]
	if t == nil {
		return
	}
	t.heard = now
	for i := range t.slots {
		if s := &t.slots[i]; s.taken && s.allocation == string(r.GetAllocation()) {
			if j := c.byJob[s.job]; j != nil {
				j.avoid[resourceID] = now + max(1, c.retryInterval)
				j.refusal = fmt.Sprintf("TaskManager %s refused a slot: %s", resourceID, oneLine(r.GetReason(), 1000))
			}
			c.freeSlot(now, t, i)
		}
	}
	c.reconcile(now)
}

// jobReleased frees what a job had on a TaskManager.
func (c *core) jobReleased(now int64, resourceID string, id graph.JobID) {
	t := c.byTM[resourceID]
	if t == nil {
		return
	}
	t.heard = now
	for i := range t.slots {
		if s := &t.slots[i]; s.taken && s.job == id {
			c.freeSlot(now, t, i)
		}
	}
	c.reconcile(now)
}

func (c *core) freeSlot(now int64, t *taskManager, i int) {
	if j := c.byJob[t.slots[i].job]; j != nil {
		j.has--
	}
	t.slots[i] = slot{}
	t.free++
	if t.idle() {
		t.idleSince = now
	}
}

// remove forgets a TaskManager and tells the jobs.
func (c *core) remove(now int64, t *taskManager, reason string) {
	for i := range t.slots {
		if t.slots[i].taken {
			c.freeSlot(now, t, i)
		}
	}
	delete(c.byTM, t.id())
	c.tms = slices.DeleteFunc(c.tms, func(o *taskManager) bool { return o == t })
	c.emit(lostAction{id: t.id(), reason: reason})
}

// dismiss removes a TaskManager and its worker.
func (c *core) dismiss(now int64, t *taskManager, reason string) {
	c.remove(now, t, reason)
	if !c.static {
		c.forget(t.id())
		c.emit(stopAction{id: t.id(), reason: reason})
	}
}

// forget remembers that a worker is gone.
func (c *core) forget(id string) {
	if c.gone[id] {
		return
	}
	c.gone[id] = true
	c.goneList = append(c.goneList, id)
	if len(c.goneList) > maxGone {
		delete(c.gone, c.goneList[0])
		c.goneList = c.goneList[1:]
	}
}

func (c *core) send(t *taskManager, m *rpcpb.ToTaskManager) { c.emit(sendAction{id: t.id(), m: m}) }

// allocation draws an id: no other allocation of any JobManager of the cluster has it.
func (c *core) allocation() []byte {
	c.nextAllocation++
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, c.epoch), c.nextAllocation)
}
