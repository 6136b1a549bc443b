package dispatcher

import (
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/weftstream/weft/graph"
)

func id(name string) []byte {
	b := make([]byte, 16)
	copy(b, name)
	return b
}

// pipeline is a valid graph a → b → c.
func pipeline() *graph.JobGraph {
	g := &graph.JobGraph{JobId: id("job"), Name: "words", MaxParallelism: 128}
	for _, name := range []string{"a", "b", "c"} {
		g.Vertices = append(g.Vertices, &graph.JobVertex{Id: id(name), Name: name, Parallelism: 2, MaxParallelism: 128,
			Operators: []*graph.ChainedOperator{{Id: id(name), Name: name}}})
	}
	for i, e := range [][2]string{{"a", "b"}, {"b", "c"}} {
		g.Edges = append(g.Edges, edge(int32(i), e[0], e[1]))
	}
	return g
}

func edge(n int32, from, to string) *graph.JobEdge {
	return &graph.JobEdge{Id: n, SourceVertex: id(from), SourceOperator: id(from), TargetVertex: id(to), TargetOperator: id(to),
		Partitioning: graph.Partitioning_HASH}
}

func TestValidate(t *testing.T) {
	if err := validate(pipeline()); err != nil {
		t.Fatalf("a valid graph: %v", err)
	}
	tests := map[string]struct {
		breaks func(g *graph.JobGraph)
		want   string
	}{
		"no id":            {func(g *graph.JobGraph) { g.JobId = nil }, "job id has 0 bytes"},
		"zero id":          {func(g *graph.JobGraph) { g.JobId = make([]byte, 16) }, "all zero"},
		"empty":            {func(g *graph.JobGraph) { g.Vertices, g.Edges = nil, nil }, "no vertices"},
		"parallelism":      {func(g *graph.JobGraph) { g.Vertices[1].Parallelism = 0 }, `vertex "b": parallelism 0`},
		"max parallelism":  {func(g *graph.JobGraph) { g.Vertices[1].MaxParallelism = 1 << 16 }, "max parallelism 65536"},
		"above max":        {func(g *graph.JobGraph) { g.Vertices[1].Parallelism = 129 }, "above the max parallelism 128"},
		"vertex twice":     {func(g *graph.JobGraph) { g.Vertices[1].Id = id("a") }, "another vertex'"},
		"short id":         {func(g *graph.JobGraph) { g.Vertices[1].Id = []byte("b") }, "id has 1 bytes"},
		"cached files":     {func(g *graph.JobGraph) { g.CachedFiles = []*graph.CachedFile{{Name: "f"}} }, `cached file "f"`},
		"no operators":     {func(g *graph.JobGraph) { g.Vertices[1].Operators = nil }, "no operators"},
		"operator twice":   {func(g *graph.JobGraph) { g.Vertices[1].Operators[0].Id = id("a") }, "another operator's"},
		"no committer":     {func(g *graph.JobGraph) { g.Vertices[2].Operators[0].Commits = true }, "no coordinator"},
		"cycle":            {func(g *graph.JobGraph) { g.Edges = append(g.Edges, edge(2, "c", "b")) }, `vertex "b" is on a cycle`},
		"self":             {func(g *graph.JobGraph) { g.Edges = append(g.Edges, edge(2, "c", "c")) }, "cycle"},
		"order":            {func(g *graph.JobGraph) { g.Edges[1] = edge(1, "c", "b") }, "topological order"},
		"partitioning":     {func(g *graph.JobGraph) { g.Edges[0].Partitioning = 9 }, "partitioning 9 is unknown"},
		"unknown vertex":   {func(g *graph.JobGraph) { g.Edges[0].TargetVertex = id("x") }, "isn't in the graph"},
		"foreign operator": {func(g *graph.JobGraph) { g.Edges[0].TargetOperator = id("c") }, `isn't in vertex "b"`},
		"edge twice":       {func(g *graph.JobGraph) { g.Edges[1].Id = 0 }, "edge 0 is there twice"},
		"forward":          {func(g *graph.JobGraph) { g.Edges[0].Partitioning = 0; g.Vertices[0].Parallelism = 1 }, "forwards from parallelism 1"},
		"artifact":         {func(g *graph.JobGraph) { g.Artifact = &graph.Artifact{Sha256: []byte("x")} }, "SHA-256"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			g := pipeline()
			test.breaks(g)
			err := validate(g)
			if !errors.Is(err, ErrInvalidGraph) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want ErrInvalidGraph with %q", err, test.want)
			}
		})
	}
}

// FuzzValidate: a graph from a link never makes validate panic, and what it accepts has vertices with ids of their own.
func FuzzValidate(f *testing.F) {
	valid, err := proto.Marshal(pipeline())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(valid)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		g := &graph.JobGraph{}
		if proto.Unmarshal(data, g) != nil || validate(g) != nil {
			return
		}
		seen := map[string]bool{}
		for _, v := range g.GetVertices() {
			if seen[string(v.GetId())] || v.GetParallelism() < 1 {
				t.Errorf("accepted vertex %v", v)
			}
			seen[string(v.GetId())] = true
		}
	})
}
