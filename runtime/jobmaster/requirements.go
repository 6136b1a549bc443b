package jobmaster

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/operator"
)

// ErrRequirements is returned for requirements that don't fit the job.
var ErrRequirements = errors.New("invalid resource requirements")

// Bounds are the lowest and the highest parallelism that a vertex may have.
type Bounds struct{ Lower, Upper int }

// Requirements are the bounds of all vertices of a job, by vertex.
type Requirements map[operator.ID]Bounds

// proto is what is recorded.
func (r Requirements) proto() *graph.ResourceRequirements {
	p := &graph.ResourceRequirements{}
	for id, b := range r {
		p.Vertices = append(p.Vertices, &graph.VertexRequirements{Vertex: id[:], LowerBound: int32(b.Lower), UpperBound: int32(b.Upper)})
	}
	slices.SortFunc(p.Vertices, func(a, b *graph.VertexRequirements) int { return bytes.Compare(a.GetVertex(), b.GetVertex()) })
	return p
}

// RequirementsOf reads what is recorded.
func RequirementsOf(p *graph.ResourceRequirements) Requirements {
	r := Requirements{}
	for _, v := range p.GetVertices() {
		r[idOf(v.GetVertex())] = Bounds{int(v.GetLowerBound()), int(v.GetUpperBound())}
	}
	return r
}

// check says everything that is wrong with requirements of g; the error wraps ErrRequirements.
func (r Requirements) check(g *graph.JobGraph) error {
	var wrong []string
	add := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	known := map[operator.ID]bool{}
	for _, v := range g.GetVertices() {
		id := idOf(v.GetId())
		known[id] = true
		b, ok := r[id]
		switch most := int(v.GetMaxParallelism()); {
		case !ok:
			add("vertex %s (%s) is missing; name every vertex of the job", id, v.GetName())
		case b.Lower < 1:
			add("vertex %s (%s) has lower bound %d; a vertex has at least 1 subtask", id, v.GetName(), b.Lower)
		case b.Lower > b.Upper:
			add("vertex %s (%s) has lower bound %d above its upper bound %d", id, v.GetName(), b.Lower, b.Upper)
		case b.Upper > most:
			add("vertex %s (%s) has upper bound %d above its max parallelism %d", id, v.GetName(), b.Upper, most)
		}
	}
	for _, id := range slices.SortedFunc(maps.Keys(r), func(a, b operator.ID) int { return bytes.Compare(a[:], b[:]) }) {
		if !known[id] {
			add("the job has no vertex %s", id)
		}
	}
	if len(wrong) == 0 {
		for _, k := range newShape(g, r).clusters {
			if k.lower > k.upper {
				add("%s are connected by forward exchanges and need a parallelism in common, but one has lower bound %d and another upper bound %d",
					strings.Join(k.names, ", "), k.lower, k.upper)
			}
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s", ErrRequirements, strings.Join(wrong, "; "))
}

// shape is what decides which parallelism a job has with so many slots.
type shape struct {
	clusters []*cluster
	groups   []*group
	// least and most are the slots that the lower and the upper bounds take.
	least, most int
}

// cluster are vertices that forward exchanges connect: they have the same parallelism.
type cluster struct {
	vertices     []operator.ID
	names        []string
	groups       []*group
	lower, upper int
}

// group is a slot sharing group: it takes as many slots as its widest vertex has subtasks.
type group struct {
	name         string
	lower, upper int
	share        int // of the slots that are being dealt out
}

// newShape reads g's groups and clusters; r has every vertex of g.
func newShape(g *graph.JobGraph, r Requirements) *shape {
	s := &shape{}
	of := map[operator.ID]*cluster{}
	for _, v := range g.GetVertices() {
		id := idOf(v.GetId())
		k := &cluster{vertices: []operator.ID{id}, names: []string{v.GetName()}, groups: []*group{s.group(v.GetSlotSharingGroup())},
			lower: r[id].Lower, upper: r[id].Upper}
		of[id] = k
		s.clusters = append(s.clusters, k)
	}
	for _, e := range g.GetEdges() {
		a, b := of[idOf(e.GetSourceVertex())], of[idOf(e.GetTargetVertex())]
		if e.GetPartitioning() != graph.Partitioning_FORWARD || a == b || a == nil || b == nil {
			continue
		}
		a.vertices, a.names, a.groups = append(a.vertices, b.vertices...), append(a.names, b.names...), append(a.groups, b.groups...)
		a.lower, a.upper = max(a.lower, b.lower), min(a.upper, b.upper)
		for _, id := range b.vertices {
			of[id] = a
		}
		s.clusters = slices.DeleteFunc(s.clusters, func(k *cluster) bool { return k == b })
	}
	for _, k := range s.clusters {
		for _, g := range k.groups {
			g.lower, g.upper = max(g.lower, k.lower), max(g.upper, k.upper)
		}
	}
	for _, g := range s.groups {
		s.least += g.lower
		s.most += g.upper
	}
	return s
}

func (s *shape) group(name string) *group {
	for _, g := range s.groups {
		if g.name == name {
			return g
		}
	}
	s.groups = append(s.groups, &group{name: name})
	return s.groups[len(s.groups)-1]
}

// fit is the parallelism of every vertex with so many slots; ok is false if they are too few for the lower bounds. Slots
// beyond the lower bounds are dealt out to the groups in turn, to those that have the fewest first.
func (s *shape) fit(slots int) (parallelism map[operator.ID]int, ok bool) {
	if slots < s.least {
		return nil, false
	}
	for _, g := range s.groups {
		g.share = g.lower
	}
	for rest := min(slots, s.most) - s.least; rest > 0; rest-- {
		var next *group
		for _, g := range s.groups {
			if g.share < g.upper && (next == nil || g.share < next.share) {
				next = g
			}
		}
		next.share++
	}
	parallelism = map[operator.ID]int{}
	for _, k := range s.clusters {
		p := k.upper
		for _, g := range k.groups {
			p = min(p, g.share)
		}
		for _, id := range k.vertices {
			parallelism[id] = p
		}
	}
	return parallelism, true
}
