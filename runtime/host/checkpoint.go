package host

import (
	"bytes"
	"errors"
	"slices"
	"sync"

	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/operator"
)

// Acknowledge implements task.Host.
func (h *host) Acknowledge(a *linkpb.CheckpointAck) {
	h.out.put(&linkpb.FromHost{Message: &linkpb.FromHost_CheckpointAck{CheckpointAck: a}})
}

// Decline implements task.Host.
func (h *host) Decline(d *linkpb.CheckpointDecline) {
	h.out.put(&linkpb.FromHost{Message: &linkpb.FromHost_CheckpointDecline{CheckpointDecline: d}})
}

// trigger tells all tasks of a checkpoint, and the sources among them to begin it.
func (h *host) trigger(m *linkpb.TriggerCheckpoint) {
	sources := map[execution]bool{}
	for _, id := range m.GetSources() {
		sources[executionOf(id)] = true
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for id, t := range h.running {
		t.Trigger(m.GetCheckpoint(), m.GetOptions(), sources[id])
	}
}

// notice tells all tasks and coordinators what became of a checkpoint.
func (h *host) notice(m *linkpb.CheckpointNotice) {
	if m.GetExpired() {
		h.expired(m.GetCheckpoint())
	}
	h.mu.Lock()
	for _, t := range h.running {
		t.Notice(m.GetCheckpoint(), m.GetComplete())
	}
	h.mu.Unlock()
	if local := h.job.Local; local != nil {
		h.helpers.Go(func() { // removing large files takes time
			if m.GetComplete() {
				local.Completed(m.GetCheckpoint())
			} else {
				local.Aborted(m.GetCheckpoint())
			}
		})
	}
	for _, c := range h.coords {
		// One that is behind hears of a later checkpoint.
		_ = c.put(func(co operator.Coordinator) {
			_ = c.do(co, "hear of the end of a checkpoint", func(co operator.Coordinator) error {
				l, ok := co.(operator.CheckpointListener)
				switch {
				case !ok:
					return nil
				case m.GetComplete():
					return l.CheckpointComplete(m.GetCheckpoint())
				}
				return l.CheckpointAborted(m.GetCheckpoint())
			})
		})
	}
}

// snapshotCoordinators has all coordinators take their snapshots and answers with all of them. Each takes it between two
// requests; what it answered before is on its way already.
func (h *host) snapshotCoordinators(id int64) {
	all := &collection{left: len(h.coords), answer: &linkpb.CoordinatorSnapshots{Checkpoint: id}}
	all.send = func() {
		slices.SortFunc(all.answer.Snapshots, func(a, b *linkpb.CoordinatorSnapshot) int { return slices.Compare(a.GetOperator(), b.GetOperator()) })
		h.out.put(&linkpb.FromHost{Message: &linkpb.FromHost_CoordinatorSnapshots{CoordinatorSnapshots: all.answer}})
	}
	if len(h.coords) == 0 {
		all.send()
		return
	}
	for op, c := range h.coords {
		err := c.put(func(co operator.Coordinator) {
			s := &linkpb.CoordinatorSnapshot{Operator: op[:]}
			err := c.do(co, "take a snapshot", func(co operator.Coordinator) (err error) {
				s.Snapshot, err = co.Snapshot(id)
				return err
			})
			all.add(s, err)
		})
		if err != nil {
			all.add(nil, err)
		}
	}
}

// collection gathers the snapshots of several coordinators; the last one sends them. While one coordinator has taken its
// snapshot and the others have not, its answers go on ahead of the collection: they would be in front of the barrier
// without being in the snapshot, so coordinators wait for each other.
type collection struct {
	mu     sync.Mutex
	left   int
	answer *linkpb.CoordinatorSnapshots
	send   func()
	done   chan struct{}
}

func (a *collection) add(s *linkpb.CoordinatorSnapshot, err error) {
	a.mu.Lock()
	if err != nil {
		a.answer.Error = errors.Join(errors.New("the checkpoint is declined"), err).Error()
	} else {
		a.answer.Snapshots = append(a.answer.Snapshots, s)
	}
	if a.done == nil {
		a.done = make(chan struct{})
	}
	done := a.done
	if a.left--; a.left == 0 {
		a.send()
		close(done)
	}
	last := a.left == 0
	a.mu.Unlock()
	if !last && s != nil {
		<-done
	}
}

// closeCoordinators ends the coordinators of these operators, all if none is named, and waits for them: they are going to be
// deployed again.
func (h *host) closeCoordinators(operators [][]byte) {
	closed := map[*coordinator]bool{}
	for op, c := range h.coords {
		if len(operators) == 0 || slices.ContainsFunc(operators, func(o []byte) bool { return bytes.Equal(o, op[:]) }) {
			c.stop()
			closed[c] = true
			delete(h.coords, op)
		}
	}
	for c := range closed {
		c.join()
	}
	h.mu.Lock()
	h.opening = slices.DeleteFunc(slices.Clone(h.opening), func(c *coordinator) bool { return closed[c] })
	h.mu.Unlock()
}
