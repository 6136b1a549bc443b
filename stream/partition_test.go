package stream_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/weftstream/weft/connector/datagen"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/stream"
	"github.com/weftstream/weft/streamtest"
)

// hop is a record's number and the subtasks it came from and arrived at.
type hop struct {
	N        int64
	From, To int
}

// hops is a sink that writes down where records arrive.
type hops struct {
	mu   *sync.Mutex
	seen *[]hop
	to   int
}

func newHops() hops { return hops{&sync.Mutex{}, &[]hop{}, 0} }

func (hops) Commits() bool                          { return false }
func (hops) Commit(*stream.Runtime, [][]byte) error { return nil }
func (h hops) Open(rt *stream.Runtime) (stream.SinkWriter[hop], error) {
	return hops{h.mu, h.seen, rt.Subtask}, nil
}

func (h hops) Write(v *hop, _ stream.Time) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	*h.seen = append(*h.seen, hop{v.N, v.From, h.to})
	return nil
}
func (hops) Flush() ([][]byte, error) { return nil, nil }
func (hops) Close() error             { return nil }

// TestPartitioningsReachTheRightSubtasks runs every partitioning between several parallelisms. A channel that is set up
// on one side only would keep the job from ending.
func TestPartitioningsReachTheRightSubtasks(t *testing.T) {
	const records = 3000
	apply := map[graph.Partitioning]func(stream.Stream[hop]) stream.Stream[hop]{
		graph.Partitioning_RESCALE: stream.Stream[hop].Rescale,
		graph.Partitioning_SHUFFLE: stream.Stream[hop].Shuffle,
		graph.Partitioning_GLOBAL:  stream.Stream[hop].Global,
		graph.Partitioning_FORWARD: stream.Stream[hop].Forward,
		graph.Partitioning_CUSTOM: func(s stream.Stream[hop]) stream.Stream[hop] {
			return stream.PartitionCustom(s, func(h hop) int64 { return h.N / 7 }, func(k int64, n int) int { return int(k % int64(n)) })
		},
	}
	for p, redistribute := range apply {
		for _, size := range [][2]int{{1, 1}, {1, 3}, {3, 1}, {2, 4}, {4, 2}, {3, 2}, {2, 3}} {
			from, to := size[0], size[1]
			if p == graph.Partitioning_FORWARD {
				to = from
			}
			t.Run(fmt.Sprintf("%s %d to %d", p, from, to), func(t *testing.T) {
				out := newHops()
				streamtest.Run(t, func(env *stream.Env) {
					s := stream.From(env, datagen.New(records, func(rt *stream.Runtime) func(int64) hop {
						return func(i int64) hop { return hop{N: i, From: rt.Subtask} }
					})).Parallelism(from)
					redistribute(s).To(out).Parallelism(to).StartNewChain()
				})
				checkHops(t, p, *out.seen, records, from, to)
			})
		}
	}
}

func checkHops(t *testing.T, p graph.Partitioning, seen []hop, records, from, to int) {
	t.Helper()
	var numbers []int64
	for _, h := range seen {
		numbers = append(numbers, h.N)
		lo, hi := p.Targets(h.From, from, to)
		switch {
		case h.To < lo || h.To >= hi,
			p == graph.Partitioning_GLOBAL && h.To != 0,
			p == graph.Partitioning_CUSTOM && h.To != int(h.N/7)%to:
			t.Fatalf("record %d went from subtask %d to %d", h.N, h.From, h.To)
		}
	}
	slices.Sort(numbers)
	if len(numbers) != records || len(slices.Compact(numbers)) != records {
		t.Fatalf("%d records arrived, want each of %d once", len(numbers), records)
	}
}

func TestPartitionerOutOfRangeFailsTheJob(t *testing.T) {
	_, err := streamtest.Try(t, func(env *stream.Env) {
		s := stream.From(env, streamtest.From(hop{})).Parallelism(1)
		stream.PartitionCustom(s, func(hop) int { return 7 }, func(k, _ int) int { return k }).To(newHops()).Parallelism(2)
	})
	if err == nil || !strings.Contains(err.Error(), "returned 7 for 2 subtasks") || !strings.Contains(err.Error(), "partition_test.go:") {
		t.Fatalf("got %v", err)
	}
}

func TestForwardBetweenParallelismsIsAMistake(t *testing.T) {
	_, err := streamtest.Try(t, func(env *stream.Env) {
		stream.From(env, streamtest.From(hop{})).Parallelism(1).Forward().To(newHops()).Parallelism(2)
	})
	if err == nil || !strings.Contains(err.Error(), "Forward from parallelism 1") || !strings.Contains(err.Error(), "partition_test.go:") {
		t.Fatalf("got %v", err)
	}
}
