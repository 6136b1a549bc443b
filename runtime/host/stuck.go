package host

import (
	"fmt"
	"time"

	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/runtime/task"
)

// reportStuck says where subtasks are that haven't ended within task.cancellation.interval of their cancellation: to the
// JobMaster once, in the log whenever the interval has passed again. It is called about once a second by one goroutine.
func (h *host) reportStuck(now time.Time, reported map[*task.Task]time.Time) {
	interval := h.cancelInterval.Load()
	if interval <= 0 {
		return
	}
	var late []*task.Task
	h.mu.Lock()
	for _, t := range h.running {
		since := t.CancelledAt()
		if since.IsZero() {
			continue
		}
		if last, again := reported[t]; again {
			since = last
		}
		if now.Sub(since) >= time.Duration(interval) {
			late = append(late, t)
		}
	}
	for t := range reported {
		if h.running[executionOf(t.ID())] != t {
			delete(reported, t)
		}
	}
	h.mu.Unlock()
	if len(late) == 0 {
		return
	}
	for i, f := range task.Stuck(late, fmt.Sprintf("hasn't ended within %s of its cancellation (task.cancellation.interval)", time.Duration(interval))) {
		_, again := reported[late[i]]
		reported[late[i]] = now
		h.log.Warn(f.GetMessage(), "stack", f.GetStack())
		if !again {
			h.out.put(&linkpb.FromHost{Message: &linkpb.FromHost_Failed{Failed: f}})
		}
	}
}

// expired says where subtasks are that have not taken their part in a checkpoint which has run out of time.
func (h *host) expired(checkpoint int64) {
	var late []*task.Task
	h.mu.Lock()
	for _, t := range h.running {
		if !t.Taken(checkpoint) {
			late = append(late, t)
		}
	}
	h.mu.Unlock()
	if len(late) == 0 {
		return
	}
	for i, f := range task.Stuck(late, fmt.Sprintf("had no part in checkpoint %d when that expired", checkpoint)) {
		h.log.Warn(f.GetMessage(), "stack", f.GetStack())
		h.Decline(&linkpb.CheckpointDecline{Id: late[i].ID(), Checkpoint: checkpoint, Failure: f})
	}
}
