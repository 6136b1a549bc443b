// Package tasktest makes small jobs for the tests of runtime/task and runtime/host: operators over networktest.Record, and
// the deployment that a JobMaster would make.
package tasktest

import (
	"sync"
	"testing"
	"time"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/operator"
	"github.com/weftstream/weft/runtime/network/networktest"
)

// Record and Vec are the tests' record and its batch.
type (
	Record = networktest.Record
	Vec    = networktest.Vec
)

// Type is the type of all edges.
var Type = networktest.Type{}

// Base is an operator with one input that does nothing with it; others embed it.
type Base struct {
	Env *operator.Env
	Out operator.Input
}

// NewBase reads the main output from env.
func NewBase(env *operator.Env) Base { return Base{env, env.Runtime.Output("")} }

// Batch passes b on.
func (o *Base) Batch(b operator.Batch) error { return o.Out.Batch(b) }

// Watermark passes w on.
func (o *Base) Watermark(w int64) error { return o.Out.Watermark(w) }

// End passes the end on.
func (o *Base) End() error { return o.Out.End() }

// ProcessingTime does nothing.
func (o *Base) ProcessingTime(int64) error { return nil }

// Close does nothing.
func (o *Base) Close() error { return nil }

// Func is an operator made of functions; those that are nil do what Base does.
type Func struct {
	Base
	OnBatch     func(o *Func, v *Vec) error
	OnWatermark func(o *Func, w int64) error
	OnEnd       func(o *Func) error
	OnTime      func(o *Func, now int64) error
	OnClose     func(o *Func) error
	OnCommit    func(o *Func) ([][]byte, error)
}

// Input is the operator itself.
func (o *Func) Input(int) operator.Input { return o }

// Batch calls OnBatch.
func (o *Func) Batch(b operator.Batch) error {
	if o.OnBatch == nil {
		return o.Base.Batch(b)
	}
	return o.OnBatch(o, b.(*Vec))
}

// Watermark calls OnWatermark.
func (o *Func) Watermark(w int64) error {
	if o.OnWatermark == nil {
		return o.Base.Watermark(w)
	}
	return o.OnWatermark(o, w)
}

// End calls OnEnd.
func (o *Func) End() error {
	if o.OnEnd == nil {
		return o.Base.End()
	}
	return o.OnEnd(o)
}

// ProcessingTime calls OnTime.
func (o *Func) ProcessingTime(now int64) error {
	if o.OnTime == nil {
		return nil
	}
	return o.OnTime(o, now)
}

// Close calls OnClose.
func (o *Func) Close() error {
	if o.OnClose == nil {
		return nil
	}
	return o.OnClose(o)
}

// Committables calls OnCommit.
func (o *Func) Committables() ([][]byte, error) {
	if o.OnCommit == nil {
		return nil, nil
	}
	return o.OnCommit(o)
}

// Source is a source made of a function that fills a batch.
type Source struct {
	Func
	v      *Vec
	OnPoll func(s *Source, v *Vec) (wait time.Duration, ended bool, err error)
}

// Input is nil.
func (s *Source) Input(int) operator.Input { return nil }

// Poll emits what OnPoll made.
func (s *Source) Poll() (time.Duration, bool, error) {
	if s.v == nil {
		s.v = operator.NewVec[Record](s.Env.BatchSize)
	}
	s.v.Reset()
	wait, ended, err := s.OnPoll(s, s.v)
	if err == nil && s.v.Len() > 0 {
		err = s.Out.Batch(s.v)
	}
	return wait, ended, err
}

// Job builds a StreamGraph of nodes in a row.
type Job struct{ graph.StreamGraph }

// Node adds an operator behind from (nil for a source) over an edge of that partitioning.
func (j *Job) Node(name string, from *graph.Node, p graph.Partitioning, f operator.Factory) *graph.Node {
	return j.Side(name, from, "", p, f)
}

// Side adds an operator behind a side output of from.
func (j *Job) Side(name string, from *graph.Node, tag string, p graph.Partitioning, f operator.Factory) *graph.Node {
	n := j.AddNode(&graph.Node{Name: name, Kind: name, Source: from == nil, Bounded: true, Out: Type, Factory: f, At: "test"})
	if from != nil {
		j.Edge(from, n, 0, tag, p)
	}
	return n
}

// Edge adds an edge.
func (j *Job) Edge(from, to *graph.Node, input int, tag string, p graph.Partitioning) {
	r := operator.NewRebalanceRouter[Record]()
	switch p {
	case graph.Partitioning_HASH:
		r = operator.NewKeyedRouter(networktest.Hash)
	case graph.Partitioning_BROADCAST:
		r = operator.NewBroadcastRouter[Record]()
	}
	j.AddEdge(&graph.Edge{From: from, To: to, Input: input, Tag: tag, Partitioning: p, Type: Type, Router: r})
}

// Graph makes the JobGraph.
func (j *Job) Graph(t testing.TB, parallelism int) *graph.JobGraph {
	t.Helper()
	j.Name = "test"
	g, err := graph.JobGraphOf(&j.StreamGraph, graph.Options{Parallelism: parallelism})
	if err != nil {
		t.Fatal(err)
	}
	id := graph.NewJobID()
	g.JobId, g.Definition = id[:], "test"
	return g
}

// Place is a task host.
type Place struct{ Resource, Address string }

// Deploy makes the commands that deploy g, with subtask i on places[i mod len(places)] and all coordinators on the first.
func Deploy(g *graph.JobGraph, places ...Place) map[string]*linkpb.Deploy {
	at := func(subtask int) Place { return places[subtask%len(places)] }
	parallelism := map[string]int{}
	deploys := map[string]*linkpb.Deploy{}
	for _, p := range places {
		deploys[p.Resource] = &linkpb.Deploy{}
	}
	for _, v := range g.Vertices {
		parallelism[string(v.Id)] = int(v.Parallelism)
	}
	for _, v := range g.Vertices {
		for _, o := range v.Operators {
			if o.Coordinator {
				d := deploys[places[0].Resource]
				d.Coordinators = append(d.Coordinators, &linkpb.Coordinator{Operator: o.Id, Parallelism: v.Parallelism, MaxParallelism: v.MaxParallelism})
			}
		}
		for i := range int(v.Parallelism) {
			task := &linkpb.Task{Id: &linkpb.ExecutionID{Vertex: v.Id, Subtask: int32(i)}}
			for _, e := range g.Edges {
				if string(e.TargetVertex) == string(v.Id) {
					gate := &linkpb.InputGate{Edge: e.Id}
					for _, s := range subtasks(e.Partitioning.Sources(i, parallelism[string(e.SourceVertex)], parallelism[string(e.TargetVertex)])) {
						gate.Channels = append(gate.Channels, &linkpb.Channel{Subtask: int32(s), ResourceId: at(s).Resource, DataAddress: at(s).Address})
					}
					task.Inputs = append(task.Inputs, gate)
				}
				if string(e.SourceVertex) == string(v.Id) {
					out := &linkpb.OutputEdge{Edge: e.Id}
					for _, s := range subtasks(e.Partitioning.Targets(i, parallelism[string(e.SourceVertex)], parallelism[string(e.TargetVertex)])) {
						out.Subtasks, out.Attempts = append(out.Subtasks, int32(s)), append(out.Attempts, 0)
					}
					task.Outputs = append(task.Outputs, out)
				}
			}
			d := deploys[at(i).Resource]
			d.Tasks = append(d.Tasks, task)
		}
	}
	return deploys
}

// subtasks lists the subtasks from to to-1.
func subtasks(from, to int) []int {
	all := make([]int, 0, to-from)
	for s := from; s < to; s++ {
		all = append(all, s)
	}
	return all
}

// Collected is what sinks of all subtasks got.
type Collected struct {
	mu      sync.Mutex
	records []Record
}

// Add copies the records of v.
func (c *Collected) Add(v *Vec) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.records = append(c.records, v.V...)
}

// Records returns what has come so far.
func (c *Collected) Records() []Record {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Record(nil), c.records...)
}

// Sink is the factory of operators that collect.
func (c *Collected) Sink(env *operator.Env) (operator.Operator, error) {
	return &Func{Base: NewBase(env), OnBatch: func(_ *Func, v *Vec) error { c.Add(v); return nil }}, nil
}
