package graph

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// drawWidth is how many columns a drawing takes at most. maxLanes bounds the lines between vertices, which take
// three columns each, so that there is always room for text.
const (
	drawWidth = 100
	maxLanes  = 12
	indent    = "    " // of what belongs to the row above
)

// Draw draws g as text, for people: its vertices in topological order, each with a number and what it consists of below
// it, and the edges that lead to it above it. A line goes down from each vertex to the last one that reads from it. No row
// has more than 100 characters, however long the names are.
//
// Twelve lines run side by side at most. A vertex beyond them has none, and its edges say only with its number where they
// come from. Draw doesn't change g, and is safe for concurrent use like any reader of it.
func (g *JobGraph) Draw() string {
	// The first drawing tells how many lanes there are, which is how much room they leave for text in the second.
	d := newDrawing(g, maxLanes)
	d.draw()
	d = newDrawing(g, len(d.lanes))
	d.draw()
	return d.out.String()
}

// drawing is a JobGraph being drawn.
type drawing struct {
	g        *JobGraph
	number   map[string]int // of a vertex id
	in       [][]*JobEdge   // of each vertex, by input
	last     []int          // vertex that reads from each; 0 if none does
	lanes    []int          // whose line is in each lane, or free
	maxLanes int
	out      strings.Builder
}

// free is a lane without a line.
const free = -1

func newDrawing(g *JobGraph, maxLanes int) *drawing {
	n := len(g.GetVertices())
	d := &drawing{g: g, number: make(map[string]int, n), in: make([][]*JobEdge, n), last: make([]int, n), maxLanes: maxLanes}
	for i, v := range g.GetVertices() {
		d.number[string(v.GetId())] = i
	}
	for _, e := range g.GetEdges() {
		to := d.number[string(e.GetTargetVertex())]
		d.in[to] = append(d.in[to], e)
		from := d.source(e)
		d.last[from] = max(d.last[from], to)
	}
	for _, edges := range d.in {
		slices.SortStableFunc(edges, func(a, b *JobEdge) int { return int(a.GetInput()) - int(b.GetInput()) })
	}
	return d
}

func (d *drawing) source(e *JobEdge) int { return d.number[string(e.GetSourceVertex())] }

func (d *drawing) draw() {
	vertices, edges, kind := len(d.g.GetVertices()), len(d.g.GetEdges()), "unbounded"
	if d.g.GetBounded() {
		kind = "bounded"
	}
	d.rows("", "", fmt.Sprintf("Job %q, %s: %s, %s", d.g.GetName(), kind, count(vertices, "vertex", "vertices"), count(edges, "edge", "edges")))
	for i, v := range d.g.GetVertices() {
		d.text("", "")
		for k, e := range d.in[i] {
			d.edge(i, e, d.in[i][k+1:])
		}
		d.vertex(i, v)
	}
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// edge draws an edge to vertex to, before the rest of those to it.
func (d *drawing) edge(to int, e *JobEdge, rest []*JobEdge) {
	from := d.source(e)
	lane := slices.Index(d.lanes, from)
	ends := d.last[from] == to && !slices.ContainsFunc(rest, func(o *JobEdge) bool { return d.source(o) == from })
	v := d.g.GetVertices()[from]
	text := fmt.Sprintf("%s from [%d]", e.GetPartitioning(), from+1)
	if len(v.GetOperators()) > 1 {
		for _, o := range v.GetOperators() {
			if string(o.GetId()) == string(e.GetSourceOperator()) {
				text += " " + o.GetName()
			}
		}
	}
	text += fmt.Sprintf(", input %d", e.GetInput())
	if e.GetTag() != "" {
		text += fmt.Sprintf(", side output %q", e.GetTag())
	}
	first := d.arrow(lane, ends)
	if lane >= 0 && ends {
		d.lanes[lane] = free
	}
	d.rows(first+"> ", d.lines(free)+indent, text)
}

// arrow is the row of lanes on which an edge leaves a lane to the right; it is the last that does if ends.
func (d *drawing) arrow(lane int, ends bool) string {
	if lane < 0 {
		return d.lines(free)
	}
	var b strings.Builder
	for i := range d.maxLanes {
		switch used := i < len(d.lanes) && d.lanes[i] != free; {
		case i == lane && ends:
			b.WriteString(" `-")
		case i == lane:
			b.WriteString(" +-")
		case i < lane && used:
			b.WriteString(" | ")
		case i < lane:
			b.WriteString("   ")
		case used:
			b.WriteString("-|-")
		default:
			b.WriteString("---")
		}
	}
	return b.String()
}

// lines is a row of lanes on which nothing happens, but that vertex begins; free for none.
func (d *drawing) lines(begins int) string {
	var b strings.Builder
	for i := range d.maxLanes {
		switch {
		case i >= len(d.lanes) || d.lanes[i] == free:
			b.WriteString("   ")
		case d.lanes[i] == begins:
			b.WriteString(" o ")
		default:
			b.WriteString(" | ")
		}
	}
	return b.String()
}

// vertex draws vertex i.
func (d *drawing) vertex(i int, v *JobVertex) {
	lane := d.take(i)
	head := d.lines(i)
	if lane >= 0 && d.last[i] <= i {
		d.lanes[lane] = free // nothing reads from it
	}
	d.rows(head+"  ", d.lines(free)+"  "+indent, fmt.Sprintf("[%d] %s", i+1, v.GetName()))
	text := fmt.Sprintf("parallelism %d, max parallelism %d", v.GetParallelism(), v.GetMaxParallelism())
	if group := v.GetSlotSharingGroup(); group != "" && group != DefaultSlotGroup {
		text += fmt.Sprintf(", slot sharing group %q", group)
	}
	d.text("", text)
	operators := v.GetOperators()
	for _, o := range operators {
		switch uid := o.GetUid(); {
		case len(operators) == 1 && uid != "":
			d.text("", "uid "+uid)
		case len(operators) > 1 && uid != "":
			d.text("- ", o.GetName()+", uid "+uid)
		case len(operators) > 1:
			d.text("- ", o.GetName())
		}
	}
}

// take gives vertex i the first free lane. It returns -1 if there is none.
func (d *drawing) take(i int) int {
	lane := slices.Index(d.lanes, free)
	if lane < 0 && len(d.lanes) < d.maxLanes {
		lane = len(d.lanes)
		d.lanes = append(d.lanes, free)
	}
	if lane >= 0 {
		d.lanes[lane] = i
	}
	return lane
}

// text draws text that belongs to a vertex, behind mark.
func (d *drawing) text(mark, text string) {
	lines := d.lines(free) + "  " + indent
	d.rows(lines+mark, lines+strings.Repeat(" ", len(mark)), text)
}

// rows draws text behind first, and behind more where it goes on in further rows.
func (d *drawing) rows(first, more, text string) {
	for prefix := first; ; prefix = more {
		var row string
		row, text = wrap(text, drawWidth-len(prefix))
		d.out.WriteString(strings.TrimRight(prefix+row, " ") + "\n")
		if text == "" {
			return
		}
	}
}

// wrap cuts what fits into width characters off text, between words if it can, and returns it and the rest. Control
// characters, which would disturb the drawing, become spaces.
func wrap(text string, width int) (row, rest string) {
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || r == utf8.RuneError
	}), " ")
	runes := []rune(text)
	if len(runes) <= width {
		return text, ""
	}
	cut := width
	for i := width; i > 0; i-- {
		if runes[i] == ' ' {
			cut = i
			break
		}
	}
	return string(runes[:cut]), string(runes[cut:])
}
