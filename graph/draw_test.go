package graph_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/weftstream/weft/codec"
	"github.com/weftstream/weft/graph"
)

var update = flag.Bool("update", false, "write the drawings in testdata anew")

// plan makes graphs to draw.
type plan struct{ *graph.StreamGraph }

func (p plan) node(name string, change func(*graph.Node)) *graph.Node {
	typ, _ := codec.Of[string]()
	n := &graph.Node{Name: name, Kind: "op", Out: typ, At: "main.go:1"}
	if change != nil {
		change(n)
	}
	return p.AddNode(n)
}

func (p plan) source(name string, parallelism int) *graph.Node {
	return p.node(name, func(n *graph.Node) { n.Source, n.Parallelism = true, parallelism })
}

func (p plan) edge(from, to *graph.Node, how graph.Partitioning, input int, tag string) {
	p.AddEdge(&graph.Edge{From: from, To: to, Type: from.Out, Partitioning: how, Input: input, Tag: tag})
}

// joined has two sources, one with a chain, a join, and late records that go their own way.
func joined(p plan) {
	orders, payments := p.source("Source: orders", 0), p.source("Source: payments", 2)
	parse := p.node("parse", func(n *graph.Node) { n.UID = "parse" })
	join := p.node("join", func(n *graph.Node) { n.UID = "orders-with-payments" })
	paid, late := p.node("Sink: paid", nil), p.node("Sink: late", func(n *graph.Node) { n.Parallelism, n.SlotGroup = 1, "slow" })
	p.edge(orders, parse, graph.Partitioning_FORWARD, 0, "")
	p.edge(payments, join, graph.Partitioning_HASH, 1, "")
	p.edge(parse, join, graph.Partitioning_HASH, 0, "")
	p.edge(join, paid, graph.Partitioning_FORWARD, 0, "")
	p.edge(join, late, graph.Partitioning_REBALANCE, 0, "late")
	p.edge(parse, late, graph.Partitioning_RESCALE, 0, "malformed lines")
}

// fanned has more lines side by side than are drawn, and long names.
func fanned(p plan) {
	var sources []*graph.Node
	for i := range 15 {
		sources = append(sources, p.source(fmt.Sprintf("Source: topic %d", i), 0))
	}
	all := p.node("union of "+strings.Repeat("everything ", 12), func(n *graph.Node) { n.UID = strings.Repeat("x", 130) })
	for _, s := range sources {
		p.edge(s, all, graph.Partitioning_HASH, 0, "")
	}
	p.edge(all, p.node(strings.Repeat("very-long-name ", 9)+"\n\x1b[31m", nil), graph.Partitioning_FORWARD, 0, "")
}

// Each drawing in testdata is of one graph; look at them when they change.
func TestDraw(t *testing.T) {
	for name, build := range map[string]func(plan){
		"joined": joined, "fanned": fanned,
		"wordcount": func(p plan) {
			lines := p.node("Source: lines", func(n *graph.Node) { n.Source, n.Bounded, n.UID = true, true, "lines" })
			words := p.node("words", nil)
			count := p.node("count", func(n *graph.Node) { n.UID, n.MaxParallelism = "counts", 64 })
			p.edge(lines, words, graph.Partitioning_FORWARD, 0, "")
			p.edge(words, count, graph.Partitioning_HASH, 0, "")
			p.edge(count, p.node("Sink: counts", nil), graph.Partitioning_FORWARD, 0, "")
		},
		"parts": func(p plan) {
			// Two graphs in one: a broadcast one, and a source that is read twice by the same operator.
			rules, events, clicks := p.source("Source: rules", 1), p.source("Source: events", 0), p.source("Source: clicks", 0)
			match, pairs := p.node("match", nil), p.node("pairs", nil)
			alone := p.node("Sink: clicks", func(n *graph.Node) { n.Parallelism = 1 })
			p.edge(clicks, pairs, graph.Partitioning_HASH, 0, "")
			p.edge(clicks, pairs, graph.Partitioning_HASH, 1, "")
			p.edge(events, match, graph.Partitioning_FORWARD, 0, "")
			p.edge(rules, match, graph.Partitioning_BROADCAST, 1, "")
			p.edge(clicks, alone, graph.Partitioning_GLOBAL, 0, "")
			p.source("Source: nobody reads this", 1)
		},
		"empty": func(plan) {},
	} {
		t.Run(name, func(t *testing.T) {
			p := plan{&graph.StreamGraph{Name: name}}
			build(p)
			got := drawn(t, p.StreamGraph)
			path := filepath.Join("testdata", name+".txt")
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("drawn, unlike %s:\n%s", path, got)
			}
		})
	}
}

func drawn(t *testing.T, g *graph.StreamGraph) string {
	t.Helper()
	if len(g.Nodes) == 0 {
		return (&graph.JobGraph{Name: g.Name}).Draw()
	}
	j, err := graph.JobGraphOf(g, graph.Options{Parallelism: 4})
	if err != nil {
		t.Fatal(err)
	}
	return j.Draw()
}

// Whatever the graph, each edge has a row of its own, and the line that it leaves begins at the vertex that it names.
func TestDrawFollowsTheGraph(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	for range 300 {
		j := randomGraph(r)
		text := j.Draw()
		if problem := follow(j, text); problem != "" {
			t.Fatalf("%s:\n%s", problem, text)
		}
	}
}

func randomGraph(r *rand.Rand) *graph.JobGraph {
	j := &graph.JobGraph{Name: "random"}
	for i := range 1 + r.IntN(20) {
		id := []byte{byte(i)}
		j.Vertices = append(j.Vertices, &graph.JobVertex{Id: id, Name: strings.Repeat("name ", 1+r.IntN(40)), Parallelism: 1,
			Operators: []*graph.ChainedOperator{{Id: id}}})
		for range r.IntN(4) {
			if i > 0 {
				j.Edges = append(j.Edges, &graph.JobEdge{SourceVertex: j.Vertices[r.IntN(i)].Id, TargetVertex: id, Input: int32(r.IntN(3))})
			}
		}
	}
	return j
}

// follow reads a drawing as a person does: down the lines. It returns what is wrong with it.
func follow(j *graph.JobGraph, text string) string {
	begun := map[int]string{} // the number of the vertex whose line is at a column
	var arrived, read []string
	for row := range strings.Lines(text) {
		row = strings.TrimRight(row, "\n")
		if n := utf8.RuneCountInString(row); n > 100 {
			return fmt.Sprintf("a row of %d characters", n)
		}
		from, to := "", ""
		if _, rest, ok := strings.Cut(row, " from ["); ok && strings.Contains(row, "> ") {
			from, _, _ = strings.Cut(rest, "]")
		} else if before, rest, ok := strings.Cut(row, "["); ok && strings.Trim(before, " |o") == "" {
			to, _, _ = strings.Cut(rest, "]")
			for _, s := range arrived {
				read = append(read, s+" to "+to)
			}
			arrived = nil
		}
		if from != "" {
			arrived = append(arrived, from)
		}
		lanes, _, _ := strings.Cut(strings.ReplaceAll(row, ">", "["), "[")
		for i := 1; i < len(lanes); i += 3 {
			switch c := lanes[i]; {
			case c == 'o' && to != "":
				if begun[i] != "" {
					return "two lines in one lane: " + row
				}
				if begun[i] = to; !strings.Contains(text, "from ["+to+"]") {
					delete(begun, i) // nothing reads from it, and its line doesn't begin
				}
			case (c == '+' || c == '`') && from != "" && begun[i] != from:
				return fmt.Sprintf("the line of %s isn't that of %s: %s", begun[i], from, row)
			case c == '`':
				delete(begun, i)
			}
		}
	}
	if len(begun) > 0 {
		return fmt.Sprintf("lines of %v without an end", begun)
	}
	var want []string
	for _, e := range j.Edges {
		want = append(want, fmt.Sprintf("%d to %d", e.SourceVertex[0]+1, e.TargetVertex[0]+1))
	}
	slices.Sort(want)
	slices.Sort(read)
	if !slices.Equal(want, read) {
		return fmt.Sprintf("edges %v, drawn %v", want, read)
	}
	return ""
}
