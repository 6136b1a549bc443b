package graph

import (
	"fmt"
	"maps"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/weftstream/weft/operator"
)

// Options are the decisions that are the driver's, not the program's.
type Options struct {
	// Parallelism is for operators without their own; at least 1.
	Parallelism int
	// MaxParallelism is the number of key groups; 0 derives it from the parallelism as Flink does.
	MaxParallelism int
	// NoChaining makes every operator a vertex of its own.
	NoChaining bool
}

// DefaultSlotGroup is the slot sharing group of operators without one of their own.
const DefaultSlotGroup = "default"

// JobGraphOf checks g and decides chains: the JobGraph names each vertex' operators, and an edge of g between two
// operators of one vertex is inside the chain. The caller fills in job id, definition, params and artifact, and adds to
// the config, which has the settings of g.
func JobGraphOf(g *StreamGraph, o Options) (*JobGraph, error) {
	if err := g.Check(); err != nil {
		return nil, err
	}
	c := &chainer{g: g, o: o, head: make([]*Node, len(g.Nodes)), inputs: make([][]*Edge, len(g.Nodes))}
	for _, e := range g.Edges {
		c.inputs[e.To.Index] = append(c.inputs[e.To.Index], e)
	}
	maxPar := o.MaxParallelism
	if g.MaxParallelism > 0 {
		maxPar = g.MaxParallelism
	}
	if maxPar <= 0 {
		highest := 1
		for _, n := range g.Nodes {
			highest = max(highest, c.parallelism(n))
		}
		maxPar = operator.DefaultMaxParallelism(highest)
	}
	out := &JobGraph{Name: g.Name, Fingerprint: g.Fingerprint(), MaxParallelism: int32(maxPar), Bounded: true,
		Config: maps.Clone(g.config)}
	for _, f := range g.CachedFiles {
		out.CachedFiles = append(out.CachedFiles, proto.CloneOf(f))
	}
	vertices := map[*Node]*JobVertex{}
	// A node is made after those it reads from, so the order of making is topological.
	for _, n := range g.Nodes {
		if n.Source && !n.Bounded {
			out.Bounded = false
		}
		head := n
		if c.chainable(n) {
			head = c.head[c.inputs[n.Index][0].From.Index]
		}
		c.head[n.Index] = head
		v := vertices[head]
		if v == nil {
			id := head.OperatorID()
			v = &JobVertex{Id: id[:], Parallelism: int32(c.parallelism(head)), MaxParallelism: int32(maxPar),
				SlotSharingGroup: slotGroup(head), Source: head.Source}
			if head.MaxParallelism > 0 {
				v.MaxParallelism = int32(head.MaxParallelism)
			}
			vertices[head] = v
			out.Vertices = append(out.Vertices, v)
		}
		most := maxPar
		if n.MaxParallelism > 0 {
			most = n.MaxParallelism
		}
		if p := c.parallelism(n); p > most || p > int(v.MaxParallelism) {
			return nil, fmt.Errorf("%s: parallelism %d of %q is above its max parallelism %d; raise pipeline.max-parallelism or lower the parallelism",
				n.At, p, n.Name, min(most, int(v.MaxParallelism)))
		}
		id := n.OperatorID()
		v.Operators = append(v.Operators, &ChainedOperator{Id: id[:], Name: n.Name, Uid: n.UID, Coordinator: n.Coordinator != nil, Commits: n.Commits})
	}
	for _, v := range out.Vertices {
		describe(v)
	}
	for _, e := range g.Edges {
		from, to := c.head[e.From.Index], c.head[e.To.Index]
		p := e.Partitioning
		if f, t := c.parallelism(e.From), c.parallelism(e.To); e.Exact && f != t {
			return nil, fmt.Errorf("%s: Forward from parallelism %d of %q to %d of %q; give both the same or use Rescale or Rebalance",
				e.To.At, f, e.From.Name, t, e.To.Name)
		}
		if from == to {
			continue
		}
		if p == Partitioning_FORWARD && c.parallelism(e.From) != c.parallelism(e.To) {
			p = Partitioning_REBALANCE
		}
		fo, to2 := e.From.OperatorID(), e.To.OperatorID()
		out.Edges = append(out.Edges, &JobEdge{Id: int32(e.ID), SourceVertex: vertices[from].Id, TargetVertex: vertices[to].Id,
			SourceOperator: fo[:], TargetOperator: to2[:], Input: int32(e.Input), Tag: e.Tag, Partitioning: p,
			TypeSignature: e.Type.Signature()})
	}
	return out, nil
}

type chainer struct {
	g      *StreamGraph
	o      Options
	head   []*Node
	inputs [][]*Edge
}

func (c *chainer) parallelism(n *Node) int {
	switch {
	case n.Parallelism > 0:
		return n.Parallelism
	case c.g.Parallelism > 0:
		return c.g.Parallelism
	}
	return max(1, c.o.Parallelism)
}

// chainable: one input, forward, same parallelism and slot sharing group, and nobody forbids it.
func (c *chainer) chainable(n *Node) bool {
	if c.o.NoChaining || c.g.NoChaining || n.NoChain || n.Source || len(c.inputs[n.Index]) != 1 {
		return false
	}
	e := c.inputs[n.Index][0]
	return e.Partitioning == Partitioning_FORWARD && !e.From.EndsChain && c.parallelism(e.From) == c.parallelism(n) && slotGroup(e.From) == slotGroup(n)
}

func slotGroup(n *Node) string {
	if n.SlotGroup == "" {
		return DefaultSlotGroup
	}
	return n.SlotGroup
}

func describe(v *JobVertex) {
	names := make([]string, len(v.Operators))
	for i, o := range v.Operators {
		names[i] = o.Name
	}
	v.Name = strings.Join(names, " -> ")
	v.Description = strings.Join(names, "<br/>+- ") + "<br/>"
}
