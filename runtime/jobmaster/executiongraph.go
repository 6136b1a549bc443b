package jobmaster

import (
	"fmt"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/operator"
)

// vertex is an execution vertex group: a JobVertex with its subtasks.
type vertex struct {
	pb        *graph.JobVertex
	id        operator.ID
	firstSlot int // subtask i runs in slot firstSlot + i
	region    int // its pipelined region's number
	subtasks  []*execution
	counts    TaskCounts
	in, out   []*edge
}

func (v *vertex) name() string { return v.pb.GetName() }

// edge is an exchange between two vertices.
type edge struct {
	pb             *graph.JobEdge
	source, target *vertex
}

// to lists the subtasks of the target that a subtask of the source has channels to.
func (e *edge) to(subtask int) []*execution {
	from, to := e.pb.GetPartitioning().Targets(subtask, len(e.source.subtasks), len(e.target.subtasks))
	return e.target.subtasks[from:to]
}

// from lists the subtasks of the source that a subtask of the target has channels from.
func (e *edge) from(subtask int) []*execution {
	from, to := e.pb.GetPartitioning().Sources(subtask, len(e.source.subtasks), len(e.target.subtasks))
	return e.source.subtasks[from:to]
}

// coordinated is an operator that has a coordinator.
type coordinated struct {
	id      operator.ID
	v       *vertex
	name    string
	commits bool
}

// executionGraph is a JobGraph with its subtasks.
type executionGraph struct {
	vertices     []*vertex // in topological order
	byID         map[operator.ID]*vertex
	edges        []*edge
	coordinators []*coordinated
	byOperator   map[operator.ID]*coordinated
	operatorName map[operator.ID]string
	slots        int // needed: over slot sharing groups, the sum of their highest parallelisms
	unfinished   int // executions that aren't in a final state
	regions      int // the number of pipelined regions
}

// newExecutionGraph expands g. The Dispatcher has checked g; what is checked here is what would break the JobMaster.
func newExecutionGraph(g *graph.JobGraph, now int64) (*executionGraph, error) {
	x := &executionGraph{byID: map[operator.ID]*vertex{}, byOperator: map[operator.ID]*coordinated{}, operatorName: map[operator.ID]string{}}
	groups := map[string]int{}
	var order []string
	for _, pb := range g.GetVertices() {
		v, err := x.addVertex(pb, now)
		if err != nil {
			return nil, err
		}
		group := pb.GetSlotSharingGroup()
		if _, ok := groups[group]; !ok {
			order = append(order, group)
		}
		groups[group] = max(groups[group], len(v.subtasks))
	}
	first := map[string]int{}
	for _, group := range order {
		first[group] = x.slots
		x.slots += groups[group]
	}
	for _, v := range x.vertices {
		v.firstSlot = first[v.pb.GetSlotSharingGroup()]
	}
	for _, pb := range g.GetEdges() {
		e := &edge{pb: pb, source: x.byID[idOf(pb.GetSourceVertex())], target: x.byID[idOf(pb.GetTargetVertex())]}
		if e.source == nil || e.target == nil {
			return nil, fmt.Errorf("edge %d connects vertices that the job graph doesn't have", pb.GetId())
		}
		if pb.GetPartitioning() == graph.Partitioning_FORWARD && len(e.source.subtasks) != len(e.target.subtasks) {
			return nil, fmt.Errorf("forward edge %d connects %d subtasks of %q with %d of %q", pb.GetId(),
				len(e.source.subtasks), e.source.name(), len(e.target.subtasks), e.target.name())
		}
		x.edges = append(x.edges, e)
		e.source.out = append(e.source.out, e)
		e.target.in = append(e.target.in, e)
	}
	x.numberRegions()
	return x, nil
}

func (x *executionGraph) addVertex(pb *graph.JobVertex, now int64) (*vertex, error) {
	v := &vertex{pb: pb, id: idOf(pb.GetId())}
	if x.byID[v.id] != nil || pb.GetParallelism() < 1 {
		return nil, fmt.Errorf("vertex %q: parallelism %d, id %s: want at least 1 and an id of its own", pb.GetName(), pb.GetParallelism(), v.id)
	}
	for i := range int(pb.GetParallelism()) {
		e := &execution{v: v, subtask: i, state: execCreated, io: noIO}
		e.entered[execCreated] = now
		v.subtasks = append(v.subtasks, e)
	}
	v.counts[execCreated] = len(v.subtasks)
	x.unfinished += len(v.subtasks)
	x.vertices = append(x.vertices, v)
	x.byID[v.id] = v
	for _, o := range pb.GetOperators() {
		id := idOf(o.GetId())
		x.operatorName[id] = o.GetName()
		if o.GetCoordinator() || o.GetCommits() {
			k := &coordinated{id: id, v: v, name: o.GetName(), commits: o.GetCommits()}
			x.coordinators = append(x.coordinators, k)
			x.byOperator[id] = k
		}
	}
	return v, nil
}

// each calls f with every execution, in topological order and by subtask.
func (x *executionGraph) each(f func(*execution)) {
	for _, v := range x.vertices {
		for _, e := range v.subtasks {
			f(e)
		}
	}
}

func (x *executionGraph) counts() TaskCounts {
	var c TaskCounts
	for _, v := range x.vertices {
		for s, n := range v.counts {
			c[s] += n
		}
	}
	return c
}

func idOf(b []byte) (id operator.ID) {
	copy(id[:], b)
	return id
}
