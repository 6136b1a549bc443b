package graph

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/weftstream/weft/operator"
)

// StreamGraph is a program's operators and the streams between them, in the order in which the program made them.
type StreamGraph struct {
	// Name is the job's name.
	Name string
	// Parallelism is what operators without their own get when the JobGraph is made; 0 leaves it to JobGraphOf's options.
	Parallelism int
	// MaxParallelism is what operators without their own get; 0 leaves it to JobGraphOf's options.
	MaxParallelism int
	// NoChaining makes every operator a vertex of its own, whatever JobGraphOf's options say.
	NoChaining bool
	Nodes      []*Node
	Edges      []*Edge
	// CachedFiles are the files that the program registers, each with a name of its own. Where they are isn't part of the
	// fingerprint.
	CachedFiles []*CachedFile
	config      map[string]string
	errs        []error
}

// Node is one operator as the user wrote it.
type Node struct {
	// Index is its position in the graph.
	Index int
	// Name is shown to people; Kind ("source", "map", "window", "sink" …) enters the fingerprint.
	Name, Kind string
	// UID is the user's stable name for the operator's state; "" when none was given.
	UID string
	// Parallelism and MaxParallelism are 0 where the user didn't set them.
	Parallelism, MaxParallelism int
	// SlotGroup is the slot sharing group, "" for the default one.
	SlotGroup string
	// Source marks operators without inputs; Bounded that it ends by itself.
	Source, Bounded bool
	// NoChain keeps the operator from being chained to its input.
	NoChain bool
	// EndsChain keeps its consumers from being chained to the operator.
	EndsChain bool
	// Out is the type of the main output; nil for sinks.
	Out operator.Type
	// Factory makes the operator's instances; Coordinator, if any, its coordinator.
	Factory     operator.Factory
	Coordinator operator.CoordinatorFactory
	// Commits says that its instances are operator.Committers.
	Commits bool
	// At is the user's file:line that made the operator.
	At string
}

// Edge is a stream from one operator to an input of another.
type Edge struct {
	// ID is its position in the graph.
	ID       int
	From, To *Node
	// Input is the input of To.
	Input int
	// Tag is the side output of From; "" for the main one.
	Tag          string
	Partitioning Partitioning
	// Exact forbids that a forward edge becomes a rebalancing one where the parallelisms differ.
	Exact bool
	// Type is of the records that flow.
	Type operator.Type
	// Router makes the routers when the edge isn't inside a chain.
	Router operator.RouterFactory
}

// AddNode appends n and returns it.
func (g *StreamGraph) AddNode(n *Node) *Node {
	n.Index = len(g.Nodes)
	g.Nodes = append(g.Nodes, n)
	return n
}

// AddEdge appends e.
func (g *StreamGraph) AddEdge(e *Edge) {
	e.ID = len(g.Edges)
	g.Edges = append(g.Edges, e)
}

// Set gives the job a setting of its own, above those of the driver and the cluster.
func (g *StreamGraph) Set(key, value string) {
	if g.config == nil {
		g.config = map[string]string{}
	}
	g.config[key] = value
}

// Fail records a mistake of the program's at the user's line; Check reports all of them.
func (g *StreamGraph) Fail(at, format string, args ...any) {
	g.errs = append(g.errs, fmt.Errorf("%s: "+format, append([]any{at}, args...)...))
}

// OperatorID is the hash of the uid, or of the operator's position where it has none.
func (n *Node) OperatorID() operator.ID {
	text := "uid:" + n.UID
	if n.UID == "" {
		text = fmt.Sprintf("position:%d:%s", n.Index, n.Kind)
	}
	sum := sha256.Sum256([]byte(text))
	return operator.ID(sum[:16])
}

// Check returns every mistake found: those recorded by Fail, duplicate uids, and a graph without operators.
func (g *StreamGraph) Check() error {
	errs := g.errs
	seen := map[string]*Node{}
	for _, n := range g.Nodes {
		if n.UID == "" {
			continue
		}
		if first := seen[n.UID]; first != nil {
			errs = append(errs, fmt.Errorf("%s: uid %q is already used by the operator made at %s; give each operator its own", n.At, n.UID, first.At))
		}
		seen[n.UID] = n
	}
	if len(g.Nodes) == 0 {
		errs = append(errs, fmt.Errorf("job %q has no operators: add a source with stream.From and a sink with To", g.Name))
	}
	return errors.Join(errs...)
}

// Node finds an operator by id.
func (g *StreamGraph) Node(id operator.ID) *Node {
	for _, n := range g.Nodes {
		if n.OperatorID() == id {
			return n
		}
	}
	return nil
}

// Fingerprint describes operators, edges, uids and types, a line each; it has no parallelism, address or path in it, so
// that driver and task hosts agree wherever they run.
func (g *StreamGraph) Fingerprint() []string {
	lines := make([]string, 0, len(g.Nodes)+len(g.Edges))
	for _, n := range g.Nodes {
		out := "none"
		if n.Out != nil {
			out = n.Out.Signature()
		}
		lines = append(lines, fmt.Sprintf("operator %d %s name=%q uid=%q out=%s", n.Index, n.Kind, n.Name, n.UID, out))
	}
	for _, e := range g.Edges {
		lines = append(lines, fmt.Sprintf("edge %d %d->%d.%d %s tag=%q type=%s", e.ID, e.From.Index, e.To.Index, e.Input, e.Partitioning, e.Tag, e.Type.Signature()))
	}
	return lines
}

// CompareFingerprints returns nil when both are equal, else an error that names the first difference.
func CompareFingerprints(want, got []string) error {
	for i := range max(len(want), len(got)) {
		w, g := "nothing", "nothing"
		if i < len(want) {
			w = want[i]
		}
		if i < len(got) {
			g = got[i]
		}
		if w != g {
			return fmt.Errorf("the graph differs at line %d: the driver built {%s}, this process built {%s}; build must be a pure function of its params (no files, clocks, flags, environment or random numbers)", i+1, w, g)
		}
	}
	return nil
}
