package entrypoint

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/weftstream/weft/graph"
)

// deliveryInterval is how often a wait for clients looks whether they are still there.
const deliveryInterval = 100 * time.Millisecond

// deliveries are the jobs whose results clients have been told. It is safe for concurrent use.
type deliveries struct {
	changed chan struct{} // capacity 1: a result was told

	mu   sync.Mutex // guards told
	told map[graph.JobID]bool
}

func newDeliveries() *deliveries {
	return &deliveries{changed: make(chan struct{}, 1), told: map[graph.JobID]bool{}}
}

func (d *deliveries) add(id graph.JobID) {
	d.mu.Lock()
	d.told[id] = true
	d.mu.Unlock()
	select {
	case d.changed <- struct{}{}:
	default: // whoever waits hasn't looked since the last one
	}
}

// missing are those of ids that nobody has been told.
func (d *deliveries) missing(ids []graph.JobID) []graph.JobID {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(ids), func(id graph.JobID) bool { return d.told[id] })
}

// await waits until the results of ids have been told, at most for limit, and only until nobody is there to be told or ctx
// has ended. It returns those that weren't told. One goroutine calls it.
func (d *deliveries) await(ctx context.Context, ids []graph.JobID, limit time.Duration, gone func() bool) []graph.JobID {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	ticker := time.NewTicker(deliveryInterval)
	defer ticker.Stop()
	for {
		left := d.missing(ids)
		if len(left) == 0 || gone() {
			return left
		}
		select {
		case <-d.changed:
		case <-ticker.C:
		case <-timer.C:
			return left
		case <-ctx.Done():
			return left
		}
	}
}
