package graph_test

import (
	"strings"
	"testing"

	"github.com/weftstream/weft/codec"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/operator"
)

// wordcount is source -> flatmap =hash=> count -> sink.
func wordcount(change func(g *graph.StreamGraph)) *graph.StreamGraph {
	typ, _ := codec.Of[string]()
	g := &graph.StreamGraph{Name: "wordcount"}
	src := g.AddNode(&graph.Node{Name: "lines", Kind: "source", Source: true, Bounded: true, Out: typ, At: "main.go:1"})
	flat := g.AddNode(&graph.Node{Name: "words", Kind: "flatmap", Out: typ, At: "main.go:2"})
	count := g.AddNode(&graph.Node{Name: "count", Kind: "window", UID: "counts", Out: typ, At: "main.go:3"})
	sink := g.AddNode(&graph.Node{Name: "sink", Kind: "sink", Commits: true, At: "main.go:4"})
	g.AddEdge(&graph.Edge{From: src, To: flat, Type: typ})
	g.AddEdge(&graph.Edge{From: flat, To: count, Type: typ, Partitioning: graph.Partitioning_HASH})
	g.AddEdge(&graph.Edge{From: count, To: sink, Type: typ})
	if change != nil {
		change(g)
	}
	return g
}

func vertices(t *testing.T, g *graph.StreamGraph, o graph.Options) []string {
	t.Helper()
	j, err := graph.JobGraphOf(g, o)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, v := range j.Vertices {
		out = append(out, v.Name)
	}
	return out
}

func TestChains(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*graph.StreamGraph)
		opts   graph.Options
		want   string
	}{
		{"forward edges chain, a keyed one doesn't", nil, graph.Options{Parallelism: 2}, "lines -> words | count -> sink"},
		{"another parallelism breaks the chain", func(g *graph.StreamGraph) { g.Nodes[3].Parallelism = 1 }, graph.Options{Parallelism: 2}, "lines -> words | count | sink"},
		{"another slot group breaks it", func(g *graph.StreamGraph) { g.Nodes[1].SlotGroup = "x" }, graph.Options{}, "lines | words | count -> sink"},
		{"the user may forbid it", func(g *graph.StreamGraph) { g.Nodes[1].NoChain = true }, graph.Options{}, "lines | words | count -> sink"},
		{"chaining off", nil, graph.Options{NoChaining: true}, "lines | words | count | sink"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := strings.Join(vertices(t, wordcount(c.change), c.opts), " | "); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestForwardBetweenParallelismsBecomesRebalance(t *testing.T) {
	j, err := graph.JobGraphOf(wordcount(func(g *graph.StreamGraph) { g.Nodes[3].Parallelism = 1 }), graph.Options{Parallelism: 4})
	if err != nil {
		t.Fatal(err)
	}
	if len(j.Edges) != 2 || j.Edges[1].Partitioning != graph.Partitioning_REBALANCE || !j.Bounded || j.MaxParallelism != 128 {
		t.Fatalf("got %v", j)
	}
}

func TestIdsDependOnUidAloneOrOnThePosition(t *testing.T) {
	a, b := wordcount(nil), wordcount(func(g *graph.StreamGraph) {
		for _, n := range g.Nodes {
			n.Parallelism = 7
		}
		g.Nodes[2].Name = "renamed"
	})
	seen := map[operator.ID]bool{}
	for i := range a.Nodes {
		if a.Nodes[i].OperatorID() != b.Nodes[i].OperatorID() {
			t.Errorf("operator %d changed its id with its parallelism or name", i)
		}
		seen[a.Nodes[i].OperatorID()] = true
		if a.Node(a.Nodes[i].OperatorID()) != a.Nodes[i] {
			t.Errorf("operator %d isn't found by its id", i)
		}
	}
	if len(seen) != 4 {
		t.Errorf("%d ids for 4 operators", len(seen))
	}
}

func TestFingerprintNamesTheFirstDifference(t *testing.T) {
	a := wordcount(nil).Fingerprint()
	if err := graph.CompareFingerprints(a, wordcount(func(g *graph.StreamGraph) { g.Nodes[1].Parallelism = 9 }).Fingerprint()); err != nil {
		t.Errorf("parallelism is not part of it: %v", err)
	}
	err := graph.CompareFingerprints(a, wordcount(func(g *graph.StreamGraph) { g.Nodes[2].UID = "other" }).Fingerprint())
	if err == nil || !strings.Contains(err.Error(), `uid="other"`) || !strings.Contains(err.Error(), `uid="counts"`) {
		t.Errorf("got %v", err)
	}
	if err := graph.CompareFingerprints(a, a[:3]); err == nil {
		t.Error("a shorter graph passed")
	}
}

func TestMistakesNameTheUsersLine(t *testing.T) {
	for _, c := range []struct {
		change func(*graph.StreamGraph)
		opts   graph.Options
		want   string
	}{
		{func(g *graph.StreamGraph) { g.Nodes[0].UID = "counts" }, graph.Options{}, `main.go:3: uid "counts" is already used by the operator made at main.go:1`},
		{func(g *graph.StreamGraph) { g.Fail("main.go:9", "bad %d", 1) }, graph.Options{}, "main.go:9: bad 1"},
		{func(g *graph.StreamGraph) { g.Nodes[2].Parallelism = 200 }, graph.Options{MaxParallelism: 128}, "main.go:3: parallelism 200"},
		{func(g *graph.StreamGraph) { g.Nodes = nil; g.Edges = nil }, graph.Options{}, "no operators"},
	} {
		_, err := graph.JobGraphOf(wordcount(c.change), c.opts)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
}
