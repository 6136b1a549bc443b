package bare

import (
	"github.com/weftstream/weft/bench/gen"
	"github.com/weftstream/weft/codec"
	"github.com/weftstream/weft/runtime/state"
)

// Bounds of the topspeed workload: metres between two results of a car, and how long a record counts.
const (
	TriggerMetres = 50
	EvictMillis   = 10_000
)

type lane struct {
	records []gen.Car // by time; the first from of them are evicted
	from    int
	last    float64 // distance at the last result
}

// TopSpeed puts out, per car and 50 m, the fastest record of the last 10 s; it returns the sum of CarSum of what is put
// out. The traffic of several subtasks comes a thousand records of each in turn; the result depends on that.
func TopSpeed(records int64, parallelism int) (sum uint64) {
	key, err := codec.KeyOf[int32]()
	if err != nil {
		return 0
	}
	lanes := state.NewTable[int32, lane](all, nil)
	traffic := make([]*gen.Traffic, parallelism)
	left := make([]int64, parallelism)
	for s := range traffic {
		traffic[s], left[s] = gen.NewTraffic(s), gen.Share(records, s, parallelism)
	}
	for busy := true; busy; {
		busy = false
		for s, t := range traffic {
			n := min(1000, left[s])
			left[s] -= n
			busy = busy || left[s] > 0
			for range n {
				c := t.Next()
				l, fresh := lanes.At(key.Hash(c.ID), c.ID)
				if fresh {
					l.last = c.Distance
				}
				l.add(c)
				if c.Distance-l.last <= TriggerMetres {
					continue
				}
				l.last = c.Distance
				l.evict(c.At)
				top := l.records[l.from]
				for _, r := range l.records[l.from+1:] {
					if r.Speed > top.Speed {
						top = r
					}
				}
				sum += CarSum(&top)
			}
		}
	}
	return sum
}

func (l *lane) add(c gen.Car) {
	if len(l.records) == cap(l.records) {
		l.evict(c.At)
		if l.from >= len(l.records)/5 {
			l.records, l.from = l.records[:copy(l.records, l.records[l.from:])], 0
		}
	}
	l.records = append(l.records, c)
}

func (l *lane) evict(now int64) {
	for l.from < len(l.records) && l.records[l.from].At <= now-EvictMillis {
		l.from++
	}
}

// CarSum is what one result adds to the checksum.
func CarSum(c *gen.Car) uint64 {
	return uint64(c.ID+1) * uint64(c.Speed+1) * uint64(c.At+1)
}
