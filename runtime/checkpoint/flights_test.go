package checkpoint

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/operator"
	"github.com/weftstream/weft/runtime/checkpoint/checkpointpb"
)

// flightJob is a job of a source (vertex 8) and a consumer (vertex 9) of the given parallelism.
func flightJob(producers, consumers, groups int, p graph.Partitioning) *graph.JobGraph {
	vertex := func(id byte, n int) *graph.JobVertex {
		op := operator.ID{id}
		return &graph.JobVertex{Id: op[:], Parallelism: int32(n), MaxParallelism: int32(groups), Operators: []*graph.ChainedOperator{{Id: op[:], Name: fmt.Sprint("op ", id)}}}
	}
	g := &graph.JobGraph{Vertices: []*graph.JobVertex{vertex(8, producers), vertex(9, consumers)}}
	g.Edges = []*graph.JobEdge{{Id: 3, SourceVertex: g.Vertices[0].Id, TargetVertex: g.Vertices[1].Id, SourceOperator: g.Vertices[0].Id,
		TargetOperator: g.Vertices[1].Id, Partitioning: p}}
	return g
}

// flightsOf is a checkpoint of g in which every channel has two batches in flight.
func flightsOf(g *graph.JobGraph) *checkpointpb.Metadata {
	md := &checkpointpb.Metadata{}
	for _, v := range g.Vertices {
		out := &checkpointpb.Vertex{Id: v.Id, Parallelism: v.Parallelism, MaxParallelism: v.MaxParallelism}
		for i := range v.Parallelism {
			t := &linkpb.TaskState{Files: []string{fmt.Sprintf("file %d", i)}}
			for p := range g.Vertices[0].Parallelism {
				if v == g.Vertices[0] {
					break
				}
				t.Channels = append(t.Channels, &linkpb.ChannelState{Edge: 3, Producer: p, Consumer: i, Operator: v.Id, Partitioning: int32(g.Edges[0].Partitioning),
					Batches: []*linkpb.StateBlock{{Group: -1, Offset: int64(p * 10), Length: 1}, {Group: -1, Offset: int64(p*10 + 1), Length: 1}}})
			}
			out.Subtasks = append(out.Subtasks, t)
		}
		md.Vertices = append(md.Vertices, out)
		md.Operators = append(md.Operators, &checkpointpb.Operator{Id: v.Id, Name: v.Operators[0].Name, Parallelism: v.Parallelism, MaxParallelism: v.MaxParallelism})
	}
	return md
}

// TestRecordsInFlightGoWhereTheyBelong: to their channel where nothing has changed, else to every subtask that owns a key
// group of the old one, or in turn.
func TestRecordsInFlightGoWhereTheyBelong(t *testing.T) {
	const groups = 8
	for _, partitioning := range []graph.Partitioning{graph.Partitioning_HASH, graph.Partitioning_REBALANCE} {
		for n := range 5 * 5 {
			before, after := n/5+1, n%5+1
			md := flightsOf(flightJob(2, before, groups, partitioning))
			a, err := Assign(md, flightJob(2, after, groups, partitioning), false)
			if err != nil {
				t.Fatal(err)
			}
			got := map[string][]int{} // subtasks by batch
			for i, task := range a.Tasks[operator.ID{9}] {
				for _, ch := range task.GetChannels() {
					if ch.GetShared() != (before != after) || int(ch.GetConsumer()) != i {
						t.Errorf("%v from %d to %d: subtask %d has shared %v of consumer %d", partitioning, before, after, i, ch.GetShared(), ch.GetConsumer())
					}
					for _, b := range ch.GetBatches() {
						k := fmt.Sprintf("%s at %d", task.GetFiles()[b.GetFile()], b.GetOffset())
						got[k] = append(got[k], i)
					}
				}
			}
			if len(got) != before*2*2 {
				t.Errorf("%v from %d to %d: %d batches were given out, want %d", partitioning, before, after, len(got), before*4)
			}
			for old := range before {
				var want []int
				for g := range groups {
					to := operator.SubtaskFor(g, groups, after)
					if operator.SubtaskFor(g, groups, before) == old && !slices.Contains(want, to) {
						want = append(want, to)
					}
				}
				for offset := range 2 {
					k := fmt.Sprintf("file %d at %d", old, offset)
					if partitioning == graph.Partitioning_HASH && !slices.Equal(got[k], want) {
						t.Errorf("from %d to %d: %s went to %v, want %v", before, after, k, got[k], want)
					}
					if partitioning == graph.Partitioning_REBALANCE && len(got[k]) != 1 {
						t.Errorf("from %d to %d: %s went to %v, want one", before, after, k, got[k])
					}
				}
			}
		}
	}
	changed := flightJob(2, 2, groups, graph.Partitioning_REBALANCE)
	md := flightsOf(flightJob(2, 2, groups, graph.Partitioning_HASH))
	if _, err := Assign(md, changed, false); !errors.Is(err, ErrUnclaimed) {
		t.Errorf("an exchange of another kind: %v", err)
	}
	if a, err := Assign(md, changed, true); err != nil || a.Tasks[operator.ID{9}][0] != nil {
		t.Errorf("left out as asked for: %v, %v", a, err)
	}
}
