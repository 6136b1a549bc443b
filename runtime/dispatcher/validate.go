package dispatcher

import (
	"fmt"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/operator"
	"github.com/weftstream/weft/runtime/cachedfile"
)

// maxMaxParallelism is the highest number of key groups, as in Flink.
const maxMaxParallelism = 1 << 15

// validate checks a JobGraph that came over a link: whatever is assumed of it later on. The error wraps ErrInvalidGraph.
func validate(g *graph.JobGraph) error {
	v := validator{g: g, vertices: map[operator.ID]int{}, operators: map[operator.ID]int{}}
	if err := v.run(); err != nil {
		return fmt.Errorf("%w: job %q: %w", ErrInvalidGraph, g.GetName(), err)
	}
	return nil
}

type validator struct {
	g         *graph.JobGraph
	vertices  map[operator.ID]int // index by id
	operators map[operator.ID]int // index of the vertex by id
}

func (v *validator) run() error {
	if len(v.g.GetJobId()) != len(graph.JobID{}) || v.g.ID() == (graph.JobID{}) {
		return fmt.Errorf("the job id has %d bytes, want %d that aren't all zero", len(v.g.GetJobId()), len(graph.JobID{}))
	}
	if len(v.g.GetVertices()) == 0 {
		return fmt.Errorf("it has no vertices; add a source and a sink")
	}
	if a := v.g.GetArtifact(); a != nil && len(a.GetSha256()) != 32 {
		return fmt.Errorf("the SHA-256 of its executable has %d bytes, want 32", len(a.GetSha256()))
	}
	if err := cachedfile.Validate(v.g.GetCachedFiles()); err != nil {
		return err
	}
	for i, vertex := range v.g.GetVertices() {
		if err := v.vertex(i, vertex); err != nil {
			return fmt.Errorf("vertex %q: %w", vertex.GetName(), err)
		}
	}
	seen := map[int32]bool{}
	for _, e := range v.g.GetEdges() {
		if seen[e.GetId()] {
			return fmt.Errorf("edge %d is there twice", e.GetId())
		}
		seen[e.GetId()] = true
		if err := v.edge(e); err != nil {
			return fmt.Errorf("edge %d: %w", e.GetId(), err)
		}
	}
	return v.acyclic()
}

func (v *validator) vertex(i int, x *graph.JobVertex) error {
	id, err := idOf(x.GetId())
	if err != nil {
		return err
	}
	if _, twice := v.vertices[id]; twice {
		return fmt.Errorf("its id %s is another vertex' too; give operators uids of their own", id)
	}
	v.vertices[id] = i
	switch p, most := x.GetParallelism(), x.GetMaxParallelism(); {
	case p < 1:
		return fmt.Errorf("parallelism %d, want at least 1", p)
	case most < 1 || most > maxMaxParallelism:
		return fmt.Errorf("max parallelism %d, want 1 to %d", most, maxMaxParallelism)
	case p > most:
		return fmt.Errorf("parallelism %d is above the max parallelism %d; raise pipeline.max-parallelism or lower the parallelism", p, most)
	case len(x.GetOperators()) == 0:
		return fmt.Errorf("it has no operators")
	}
	for _, o := range x.GetOperators() {
		op, err := idOf(o.GetId())
		if err != nil {
			return fmt.Errorf("operator %q: %w", o.GetName(), err)
		}
		if _, twice := v.operators[op]; twice {
			return fmt.Errorf("operator %q: its id %s is another operator's too; give operators uids of their own", o.GetName(), op)
		}
		if o.GetCommits() && !o.GetCoordinator() {
			return fmt.Errorf("operator %q commits but has no coordinator to do it", o.GetName())
		}
		v.operators[op] = i
	}
	return nil
}

func (v *validator) edge(e *graph.JobEdge) error {
	source, err := v.end("source", e.GetSourceVertex(), e.GetSourceOperator())
	if err != nil {
		return err
	}
	target, err := v.end("target", e.GetTargetVertex(), e.GetTargetOperator())
	if err != nil {
		return err
	}
	p := e.GetPartitioning()
	if _, known := graph.Partitioning_name[int32(p)]; !known {
		return fmt.Errorf("partitioning %d is unknown to this version; submit with the version of the cluster", p)
	}
	from, to := v.g.GetVertices()[source], v.g.GetVertices()[target]
	if p == graph.Partitioning_FORWARD && from.GetParallelism() != to.GetParallelism() {
		return fmt.Errorf("it forwards from parallelism %d (%q) to %d (%q)", from.GetParallelism(), from.GetName(), to.GetParallelism(), to.GetName())
	}
	return nil
}

// end finds the vertex at an end of an edge, and checks that the operator is one of its own.
func (v *validator) end(which string, vertex, op []byte) (int, error) {
	vid, err := idOf(vertex)
	if err != nil {
		return 0, fmt.Errorf("%s vertex: %w", which, err)
	}
	oid, err := idOf(op)
	if err != nil {
		return 0, fmt.Errorf("%s operator: %w", which, err)
	}
	i, ok := v.vertices[vid]
	if !ok {
		return 0, fmt.Errorf("its %s vertex %s isn't in the graph", which, vid)
	}
	if j, ok := v.operators[oid]; !ok || j != i {
		return 0, fmt.Errorf("its %s operator %s isn't in vertex %q", which, oid, v.g.GetVertices()[i].GetName())
	}
	return i, nil
}

// acyclic removes vertices without inputs until none is left; what can't be removed is on a cycle or behind one. It also
// checks that the vertices are listed in topological order.
func (v *validator) acyclic() error {
	inputs := make([]int, len(v.g.GetVertices()))
	next := make([][]int, len(inputs))
	ordered := true
	for _, e := range v.g.GetEdges() {
		from, to := v.vertices[operator.ID(e.GetSourceVertex())], v.vertices[operator.ID(e.GetTargetVertex())]
		inputs[to]++
		next[from] = append(next[from], to)
		ordered = ordered && from < to
	}
	var free []int
	for i, n := range inputs {
		if n == 0 {
			free = append(free, i)
		}
	}
	removed := 0
	for ; len(free) > 0; removed++ {
		i := free[len(free)-1]
		free = free[:len(free)-1]
		for _, to := range next[i] {
			if inputs[to]--; inputs[to] == 0 {
				free = append(free, to)
			}
		}
	}
	if removed < len(inputs) {
		for i, n := range inputs {
			if n > 0 {
				return fmt.Errorf("vertex %q is on a cycle or behind one; iterations aren't supported", v.g.GetVertices()[i].GetName())
			}
		}
	}
	if !ordered {
		return fmt.Errorf("its vertices aren't listed in topological order")
	}
	return nil
}

func idOf(b []byte) (operator.ID, error) {
	if len(b) != len(operator.ID{}) {
		return operator.ID{}, fmt.Errorf("its id has %d bytes, want %d", len(b), len(operator.ID{}))
	}
	return operator.ID(b), nil
}
