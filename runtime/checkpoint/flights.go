package checkpoint

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/operator"
	"github.com/weftstream/weft/runtime/checkpoint/checkpointpb"
)

// assignFlights spreads the records that an unaligned checkpoint holds in flight. They go to the channel that they were in
// where the parallelism on both sides is what it was. Else those of a keyed exchange go to every subtask that owns a part
// of the old one's key groups, which takes what is its own, and those of a rebalancing one are dealt out.
func assignFlights(md *checkpointpb.Metadata, g *graph.JobGraph, tasks map[operator.ID][]*linkpb.TaskState, ignore bool) error {
	producers := map[string]int{} // old parallelism by operator
	for _, o := range md.GetOperators() {
		producers[string(o.GetId())] = int(o.GetParallelism())
	}
	for _, v := range md.GetVertices() {
		for subtask, t := range v.GetSubtasks() {
			for _, ch := range t.GetChannels() {
				e := exchangeOf(g, ch)
				if e == nil && ignore {
					continue
				}
				if e == nil {
					return fmt.Errorf("%w: the checkpoint is unaligned and holds records in flight to input %d of %s by edge %d, which the program doesn't have in that place; start it from a savepoint, or with --allowNonRestoredState (execution.state-recovery.ignore-unclaimed-state) to leave them out",
						ErrUnclaimed, ch.GetInput(), nameOf(md, idOf(ch.GetOperator())), ch.GetEdge())
				}
				f := flight{state: ch, files: t.GetFiles(), old: v, subtask: subtask, edge: e,
					producers: producers[string(e.GetSourceOperator())]}
				f.assign(vertexOf(g, e.GetSourceVertex()), vertexOf(g, e.GetTargetVertex()), tasks)
			}
		}
	}
	return nil
}

// exchangeOf finds the exchange of g that records in flight belong to; nil if there is none.
func exchangeOf(g *graph.JobGraph, ch *linkpb.ChannelState) *graph.JobEdge {
	for _, e := range g.GetEdges() {
		if e.GetId() == ch.GetEdge() && string(e.GetTargetOperator()) == string(ch.GetOperator()) && e.GetInput() == ch.GetInput() &&
			int32(e.GetPartitioning()) == ch.GetPartitioning() {
			return e
		}
	}
	return nil
}

func vertexOf(g *graph.JobGraph, id []byte) *graph.JobVertex {
	for _, v := range g.GetVertices() {
		if string(v.GetId()) == string(id) {
			return v
		}
	}
	return nil
}

// flight is what was on its way to an old subtask on one channel.
type flight struct {
	state     *linkpb.ChannelState
	files     []string
	old       *checkpointpb.Vertex
	subtask   int
	edge      *graph.JobEdge
	producers int
}

func (f flight) assign(source, target *graph.JobVertex, tasks map[operator.ID][]*linkpb.TaskState) {
	to := tasks[idOf(target.GetId())]
	switch {
	case f.producers == int(source.GetParallelism()) && int(f.old.GetParallelism()) == len(to) && f.old.GetMaxParallelism() == target.GetMaxParallelism():
		f.give(to, f.subtask, f.state.GetBatches(), false)
	case f.edge.GetPartitioning() == graph.Partitioning_HASH:
		for _, i := range f.owners(len(to), int(target.GetMaxParallelism())) {
			f.give(to, i, f.state.GetBatches(), true)
		}
	default:
		for i, b := range f.state.GetBatches() {
			f.give(to, (f.subtask+i)%len(to), []*linkpb.StateBlock{b}, true)
		}
	}
}

// owners are the new subtasks that own key groups of the old one: all where the key groups are others.
func (f flight) owners(parallelism, maxParallelism int) (all []int) {
	from, to := operator.KeyGroupRange(f.subtask, int(f.old.GetMaxParallelism()), int(f.old.GetParallelism()))
	for i := range parallelism {
		first, end := operator.KeyGroupRange(i, maxParallelism, parallelism)
		if maxParallelism != int(f.old.GetMaxParallelism()) || first < to && from < end {
			all = append(all, i)
		}
	}
	return all
}

// give adds batches to what subtask i starts from. Shared ones are for other channels than they were in.
func (f flight) give(tasks []*linkpb.TaskState, i int, batches []*linkpb.StateBlock, shared bool) {
	if tasks[i] == nil {
		tasks[i] = &linkpb.TaskState{}
	}
	b := builders(nil, tasks[i:i+1])[0]
	ch := proto.CloneOf(f.state)
	ch.Consumer, ch.Shared, ch.Batches = int32(i), shared, nil
	for _, block := range batches {
		ch.Batches = append(ch.Batches, b.moved(block, f.files))
	}
	b.task.Channels = append(b.task.Channels, ch)
}
