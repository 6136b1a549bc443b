package task

import (
	"sync"

	"github.com/weftstream/weft/link/linkpb"
)

// base is what the task has acknowledged in an incremental checkpoint. It isn't changed any more.
type base struct {
	state *linkpb.TaskState
	sizes map[string]int64 // of the files that checkpoints may share, by URI
}

// bases are those that later checkpoints may build on. Safe for concurrent use.
type bases struct {
	mu  sync.Mutex
	all map[int64]*base // by checkpoint
}

// add keeps what the task acknowledges for a checkpoint.
func (b *bases) add(id int64, k *base) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.all == nil {
		b.all = map[int64]*base{}
	}
	b.all[id] = k
}

// take is what the task acknowledged for checkpoint id, nil for nothing. Those before it are forgotten: no later checkpoint
// builds on one that is older.
func (b *bases) take(id int64) *base {
	b.mu.Lock()
	defer b.mu.Unlock()
	for other := range b.all {
		if other < id {
			delete(b.all, other)
		}
	}
	return b.all[id]
}

// drop forgets a checkpoint that was aborted.
func (b *bases) drop(id int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.all, id)
}
