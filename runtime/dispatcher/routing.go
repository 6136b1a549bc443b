package dispatcher

import (
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/runtime/jobmaster"
	"github.com/weftstream/weft/runtime/rpc/rpcpb"
)

// master finds the JobMaster of a job that hasn't ended; nil if there is none.
func (d *Dispatcher) master(id []byte) *jobmaster.JobMaster {
	if len(id) != len(graph.JobID{}) {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	j := d.jobs[graph.JobID(id)]
	if j == nil || j.ended() {
		return nil
	}
	return j.master
}

// masters lists those of all jobs that haven't ended.
func (d *Dispatcher) masters() []*jobmaster.JobMaster {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []*jobmaster.JobMaster
	for _, j := range d.jobs {
		if j.master != nil && !j.ended() {
			all = append(all, j.master)
		}
	}
	return all
}

// Message routes what a TaskManager says to a job: SlotOffer, SlotRefused, HostEvent, JobReleased. It may wait for that
// job, not for others.
func (d *Dispatcher) Message(from jobmaster.Location, m *rpcpb.FromTaskManager) {
	switch m := m.GetMessage().(type) {
	case *rpcpb.FromTaskManager_Offer:
		if j := d.master(m.Offer.GetJobId()); j != nil {
			j.Offer(from, m.Offer)
		} else {
			var id graph.JobID
			copy(id[:], m.Offer.GetJobId())
			d.c.Slots.Return(id, from.ResourceID, m.Offer.GetAllocation())
		}
	case *rpcpb.FromTaskManager_Refused:
		if j := d.master(m.Refused.GetJobId()); j != nil {
			j.Refused(from, m.Refused)
		}
	case *rpcpb.FromTaskManager_Host:
		if j := d.master(m.Host.GetJobId()); j != nil {
			j.HostEvent(from, m.Host.GetEvent())
		}
	case *rpcpb.FromTaskManager_Released:
		if j := d.master(m.Released.GetJobId()); j != nil {
			j.Released(from)
		}
	}
}

// TaskManagerLost tells all jobs that a TaskManager is gone. It doesn't wait.
func (d *Dispatcher) TaskManagerLost(resourceID, reason string) {
	for _, j := range d.masters() {
		j.TaskManagerLost(resourceID, reason)
	}
}

// SlotShortage tells a job why it lacks slots. It doesn't wait.
func (d *Dispatcher) SlotShortage(id graph.JobID, reason string, fatal bool) {
	if j := d.master(id[:]); j != nil {
		j.SlotShortage(reason, fatal)
	}
}
