package task

import (
	"sync"

	"github.com/weftstream/weft/link/linkpb"
)

// bases are the states that the task has acknowledged in incremental checkpoints, for those that build on them. Safe for
// concurrent use.
type bases struct {
	mu     sync.Mutex
	states map[int64]*linkpb.TaskState // by checkpoint
}

// add keeps what the task acknowledges for a checkpoint. It isn't changed any more.
func (b *bases) add(id int64, state *linkpb.TaskState) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.states == nil {
		b.states = map[int64]*linkpb.TaskState{}
	}
	b.states[id] = state
}

// take is what the task acknowledged for checkpoint id, nil for nothing. Those before it are forgotten: no later checkpoint
// builds on one that is older.
func (b *bases) take(id int64) *linkpb.TaskState {
	b.mu.Lock()
	defer b.mu.Unlock()
	for other := range b.states {
		if other < id {
			delete(b.states, other)
		}
	}
	return b.states[id]
}

// drop forgets a checkpoint that was aborted.
func (b *bases) drop(id int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.states, id)
}
