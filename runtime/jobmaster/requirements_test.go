package jobmaster

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/operator"
)

// randomJob has vertices in up to three slot sharing groups, some of them connected by forward exchanges, and bounds for them.
func randomJob(random *rand.Rand) (*graph.JobGraph, Requirements) {
	g, r := &graph.JobGraph{Name: "random"}, Requirements{}
	for i := range 1 + random.IntN(5) {
		name := string(rune('a' + i))
		g.Vertices = append(g.Vertices, &graph.JobVertex{Id: vertexID(name), Name: name, Parallelism: 1, MaxParallelism: 16,
			SlotSharingGroup: fmt.Sprint(random.IntN(3))})
		lower := 1 + random.IntN(3)
		r[idOf(vertexID(name))] = Bounds{lower, lower + random.IntN(4)}
		if i > 0 && random.IntN(2) == 0 {
			g.Edges = append(g.Edges, &graph.JobEdge{Id: int32(i), SourceVertex: vertexID(string(rune('a' + random.IntN(i)))), TargetVertex: vertexID(name),
				Partitioning: []graph.Partitioning{graph.Partitioning_FORWARD, graph.Partitioning_HASH}[random.IntN(2)]})
		}
	}
	return g, r
}

// slotsTaken is the sum over slot sharing groups of their highest parallelism.
func slotsTaken(g *graph.JobGraph, p map[operator.ID]int) (n int) {
	highest := map[string]int{}
	for _, v := range g.GetVertices() {
		highest[v.GetSlotSharingGroup()] = max(highest[v.GetSlotSharingGroup()], p[idOf(v.GetId())])
	}
	for _, k := range highest {
		n += k
	}
	return n
}

// TestFit checks what any number of slots gives random jobs: never more than there are, always within the bounds, the same on
// both sides of a forward exchange, never less with one slot more, and each vertex its upper bound in the end.
func TestFit(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	fitted := 0
	for range 3000 {
		g, r := randomJob(random)
		if r.check(g) != nil {
			continue // forward exchanges between bounds that have nothing in common
		}
		fitted++
		s := newShape(g, r)
		before := map[operator.ID]int{}
		for slots := range s.most + 3 {
			p, ok := s.fit(slots)
			if ok != (slots >= s.least) {
				t.Fatalf("%v %v: %d slots fit: %v, the least is %d", g, r, slots, ok, s.least)
			}
			if !ok {
				continue
			}
			if n := slotsTaken(g, p); n > slots {
				t.Fatalf("%v %v: %v takes %d of %d slots", g, r, p, n, slots)
			}
			for id, b := range r {
				if p[id] < b.Lower || p[id] > b.Upper || p[id] < before[id] {
					t.Fatalf("%v %v: %d slots give %s %d, one less gave %d", g, r, slots, id, p[id], before[id])
				}
			}
			for _, e := range g.GetEdges() {
				if a, b := p[idOf(e.GetSourceVertex())], p[idOf(e.GetTargetVertex())]; e.GetPartitioning() == graph.Partitioning_FORWARD && a != b {
					t.Fatalf("%v %v: a forward exchange between %d and %d subtasks", g, r, a, b)
				}
			}
			before = p
		}
		for _, k := range s.clusters {
			for _, id := range k.vertices {
				if before[id] != k.upper {
					t.Fatalf("%v %v: with all slots %s has %d, want %d", g, r, id, before[id], k.upper)
				}
			}
		}
	}
	if fitted < 1000 {
		t.Errorf("only %d jobs were fitted", fitted)
	}
}

func TestRequirementsAreChecked(t *testing.T) {
	g := &graph.JobGraph{}
	for _, name := range []string{"a", "b"} {
		g.Vertices = append(g.Vertices, &graph.JobVertex{Id: vertexID(name), Name: name, Parallelism: 1, MaxParallelism: 8})
	}
	g.Edges = []*graph.JobEdge{{SourceVertex: vertexID("a"), TargetVertex: vertexID("b"), Partitioning: graph.Partitioning_FORWARD}}
	a, b, x := idOf(vertexID("a")), idOf(vertexID("b")), idOf(vertexID("x"))
	for name, c := range map[string]struct {
		r    Requirements
		want string
	}{
		"good":     {Requirements{a: {1, 8}, b: {2, 4}}, ""},
		"missing":  {Requirements{a: {1, 8}}, "is missing"},
		"unknown":  {Requirements{a: {1, 8}, b: {1, 8}, x: {1, 1}}, "the job has no vertex 78"},
		"zero":     {Requirements{a: {0, 8}, b: {1, 8}}, "lower bound 0"},
		"turned":   {Requirements{a: {3, 2}, b: {1, 8}}, "lower bound 3 above its upper bound 2"},
		"too many": {Requirements{a: {1, 9}, b: {1, 8}}, "upper bound 9 above its max parallelism 8"},
		"apart":    {Requirements{a: {1, 2}, b: {3, 4}}, "connected by forward exchanges"},
	} {
		t.Run(name, func(t *testing.T) { wantError(t, c.r.check(g), c.want) })
	}
	r := Requirements{a: {1, 8}, b: {2, 4}}
	if got := RequirementsOf(r.proto()); fmt.Sprint(got) != fmt.Sprint(r) {
		t.Errorf("recorded %v, read %v", r, got)
	}
}

func wantError(t *testing.T, err error, text string) {
	t.Helper()
	switch {
	case text == "" && err != nil:
		t.Error(err)
	case text != "" && (!errors.Is(err, ErrRequirements) || !strings.Contains(err.Error(), text)):
		t.Errorf("error %v, want one with %q", err, text)
	}
}
