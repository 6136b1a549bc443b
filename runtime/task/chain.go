package task

import (
	"fmt"
	"time"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/operator"
	"github.com/weftstream/weft/runtime/network"
)

// link is one operator of the chain.
type link struct {
	node    *graph.Node
	op      operator.Operator
	rt      *opRuntime
	outputs map[string]operator.Input // by tag
}

// build makes gate, routers and operators. Operators are made last to first, so that each finds its consumers made.
func (t *Task) build() error {
	n := len(t.vertex.GetOperators())
	t.chain = make([]*link, n)
	position := map[*graph.Node]int{}
	for i, o := range t.vertex.GetOperators() {
		var id operator.ID
		copy(id[:], o.GetId())
		node := t.job.Nodes[id]
		if node == nil {
			return fmt.Errorf("build the chain: operator %q (%s) isn't in the graph that this host built", o.GetName(), id)
		}
		t.chain[i], position[node] = &link{node: node, outputs: map[string]operator.Input{}}, i
	}
	outlets, err := t.buildOutlets()
	if err != nil {
		return err
	}
	for i := n - 1; i >= 0; i-- {
		if err := t.wire(i, position, outlets); err != nil {
			return err
		}
		if err := t.make(i); err != nil {
			return err
		}
	}
	if !t.vertex.GetSource() {
		return t.buildInputs(position)
	}
	source, ok := t.chain[0].op.(operator.Source)
	if !ok {
		return t.blame(0, fmt.Errorf("open the operator: its factory made a %T, which is not an operator.Source", t.chain[0].op))
	}
	t.source = source
	return nil
}

// make has the factory of operator i make its instance.
func (t *Task) make(i int) error {
	l := t.chain[i]
	id := l.node.OperatorID()
	t.current = i
	l.rt = &opRuntime{t: t, link: l, at: i, wakeAt: never}
	op, err := l.node.Factory(&operator.Env{
		Job: t.job.Graph.ID().String(), JobName: t.job.Graph.GetName(), ID: id, Name: l.node.Name,
		Subtask: int(t.ID().GetSubtask()), Parallelism: int(t.vertex.GetParallelism()), MaxParallelism: int(t.vertex.GetMaxParallelism()),
		Epoch: t.job.Epoch, Attempt: int(t.ID().GetAttempt()), BatchSize: t.batchSize(), Store: t.job.Store, Runtime: l.rt,
		WatermarkInterval: (t.job.Settings.WatermarkInterval + time.Millisecond - 1).Milliseconds(), Batch: t.job.Settings.Batch,
		CachedFiles: t.job.CachedFiles, Log: t.log.With("operator", l.node.Name),
	})
	if err != nil {
		return t.blame(i, fmt.Errorf("open the operator: %w", err))
	}
	if op == nil {
		return t.blame(i, fmt.Errorf("open the operator: its factory returned nothing"))
	}
	l.op = op
	t.current = -1
	return nil
}

func (t *Task) batchSize() int {
	if t.job.Settings.BatchSize > 0 {
		return t.job.Settings.BatchSize
	}
	return DefaultBatchSize
}

// buildOutlets makes the routers of the edges out of the vertex, by edge id.
func (t *Task) buildOutlets() (map[int]*outlet, error) {
	byEdge := map[int]*outlet{}
	for _, out := range t.spec.GetOutputs() {
		edge, e, err := t.edge(int(out.GetEdge()))
		if err != nil {
			return nil, err
		}
		if edge.Router == nil {
			return nil, fmt.Errorf("build the chain: edge %d from %q to %q leaves the vertex, but the graph gives it no router", edge.ID, edge.From.Name, edge.To.Name)
		}
		writers := make([]operator.Writer, len(out.GetSubtasks()))
		for i, consumer := range out.GetSubtasks() {
			id := network.ChannelID{Edge: edge.ID, Producer: int(t.ID().GetSubtask()), ProducerAttempt: int(t.ID().GetAttempt()), Consumer: int(consumer)}
			if i < len(out.GetAttempts()) {
				id.ConsumerAttempt = int(out.GetAttempts()[i])
			}
			o, err := t.job.Exchange.Output(t.producer, id, edge.Type, t.batchSize())
			if err != nil {
				return nil, err
			}
			t.outputs = append(t.outputs, o)
			writers[i] = o
		}
		env := operator.RouterEnv{Subtask: int(t.ID().GetSubtask()), MaxParallelism: t.maxParallelism(e.GetTargetVertex()), BatchSize: t.batchSize(), Type: edge.Type}
		o := &outlet{t: t, router: edge.Router(env, writers)}
		byEdge[edge.ID] = o
		t.outlets = append(t.outlets, o)
	}
	return byEdge, nil
}

// edge finds an exchange in both graphs.
func (t *Task) edge(id int) (*graph.Edge, *graph.JobEdge, error) {
	for _, e := range t.job.Graph.GetEdges() {
		if int(e.GetId()) == id && id < len(t.job.Stream.Edges) {
			return t.job.Stream.Edges[id], e, nil
		}
	}
	return nil, nil, fmt.Errorf("build the chain: the job has no exchange %d", id)
}

func (t *Task) maxParallelism(vertex []byte) int {
	for _, v := range t.job.Graph.GetVertices() {
		if string(v.GetId()) == string(vertex) {
			return int(v.GetMaxParallelism())
		}
	}
	return int(t.job.Graph.GetMaxParallelism())
}

// wire makes the outputs of operator i: for each tag its one consumer, or a Tee over several.
func (t *Task) wire(i int, position map[*graph.Node]int, outlets map[int]*outlet) error {
	l := t.chain[i]
	consumers := map[string][]operator.Input{}
	types := map[string]operator.Type{}
	var tags []string
	for _, e := range t.job.Stream.Edges {
		if e.From != l.node {
			continue
		}
		var in operator.Input
		if o := outlets[e.ID]; o != nil {
			in = o
		} else if to, inside := position[e.To]; inside && to > i {
			in = t.guard(to, t.chain[to].op.Input(e.Input))
		} else {
			return fmt.Errorf("build the chain: nothing is deployed behind edge %d from %q to %q", e.ID, e.From.Name, e.To.Name)
		}
		if consumers[e.Tag] == nil {
			tags = append(tags, e.Tag)
		}
		consumers[e.Tag], types[e.Tag] = append(consumers[e.Tag], in), e.Type
	}
	var sides []*side
	for _, tag := range tags {
		in := consumers[tag][0]
		if len(consumers[tag]) > 1 {
			in = operator.NewTee(types[tag], consumers[tag])
		}
		if tag != "" {
			s := &side{in: in, mark: operator.NoWatermark}
			sides = append(sides, s)
			in = s
		}
		l.outputs[tag] = in
	}
	if l.outputs[""] == nil {
		l.outputs[""] = operator.Drop{}
	}
	if len(sides) > 0 {
		l.outputs[""] = &spread{Input: l.outputs[""], sides: sides}
	}
	return nil
}

// buildInputs opens the gate.
func (t *Task) buildInputs(position map[*graph.Node]int) error {
	type key struct{ op, input int }
	inputs := map[key]*input{}
	var specs []network.ChannelSpec
	t.cp.overtakable = t.job.Settings.Unaligned
	for _, g := range t.spec.GetInputs() {
		edge, _, err := t.edge(int(g.GetEdge()))
		if err != nil {
			return err
		}
		if edge.Partitioning != graph.Partitioning_HASH && edge.Partitioning != graph.Partitioning_REBALANCE {
			t.cp.overtakable = false
		}
		at, ok := position[edge.To]
		if !ok {
			return fmt.Errorf("build the chain: edge %d leads to %q, which isn't in this vertex", edge.ID, edge.To.Name)
		}
		in := inputs[key{at, edge.Input}]
		if in == nil {
			in = &input{in: t.guard(at, t.chain[at].op.Input(edge.Input))}
			inputs[key{at, edge.Input}] = in
			t.inputs = append(t.inputs, in)
		}
		for _, c := range g.GetChannels() {
			specs = append(specs, network.ChannelSpec{
				ID: network.ChannelID{Edge: edge.ID, Producer: int(c.GetSubtask()), ProducerAttempt: int(c.GetAttempt()),
					Consumer: int(t.ID().GetSubtask()), ConsumerAttempt: int(t.ID().GetAttempt())},
				Type: edge.Type, Peer: c.GetResourceId(), Address: c.GetDataAddress(), Reserve: t.producer.Reserve,
			})
			t.ports = append(t.ports, port{in: in, index: in.valve.add(), edge: edge, producer: c.GetSubtask()})
		}
	}
	gate, err := t.job.Exchange.Gate(t.waker, specs)
	if err != nil {
		return err
	}
	t.gate = gate
	t.cp.blocked, t.cp.ended, t.cp.left, t.cp.last = make([]bool, len(specs)), make([]bool, len(specs)), len(specs), make([]int64, len(specs))
	t.meter.gate.Store(gate)
	return nil
}
