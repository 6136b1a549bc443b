package task_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/operator"
	"github.com/weftstream/weft/runtime/network"
	"github.com/weftstream/weft/runtime/task"
	. "github.com/weftstream/weft/runtime/task/tasktest"
)

// rig is one task between channels that the test holds the other ends of. The task's operator remembers the numbers that
// it got, as its state, and passes them on.
type rig struct {
	t       *testing.T
	host    *listener
	job     *task.Job
	task    *task.Task
	op      *memory
	in      []*network.Output // by input and channel
	gate    *network.Gate
	waker   *network.Waker
	group   sync.WaitGroup
	done    chan struct{}
	seen    []any // what came out: numbers and events, in order
	expired <-chan time.Time
}

// listener is a recorder that says when it got something.
type listener struct {
	recorder
	changed chan struct{}
}

func (l *listener) tell() {
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

func (l *listener) Update(u *linkpb.TaskUpdate)         { l.recorder.Update(u); l.tell() }
func (l *listener) Acknowledge(a *linkpb.CheckpointAck) { l.recorder.Acknowledge(a); l.tell() }
func (l *listener) Decline(d *linkpb.CheckpointDecline) { l.recorder.Decline(d); l.tell() }

// memory remembers every number. Its gates, where there are any, let one batch pass for each value.
type memory struct {
	Base
	numbers []int64
	broken  error // what the next snapshot's Write returns
	pass    chan struct{}
	free    <-chan struct{} // closed when all batches may pass; may be nil
	got     chan struct{}   // a value for every batch that arrived, where there is pass
	inputs  int
	ended   int
}

func (m *memory) Input(int) operator.Input { m.inputs++; return m }

func (m *memory) Batch(b operator.Batch) error {
	if m.pass != nil {
		done := m.Env.Runtime.Context().Done()
		select {
		case m.got <- struct{}{}:
		case <-done:
		}
		select {
		case <-m.pass:
		case <-m.free:
		case <-done:
			return operator.ErrCancelled
		}
	}
	for _, r := range b.(*Vec).V {
		m.numbers = append(m.numbers, r.N)
	}
	return m.Out.Batch(b)
}

func (m *memory) End() error {
	if m.ended++; m.ended < m.inputs {
		return nil
	}
	return m.Out.End()
}

func (m *memory) Snapshot(int64) (operator.StateSnapshot, error) {
	s := &memorySnapshot{numbers: slices.Clone(m.numbers), broken: m.broken}
	m.broken = nil
	return s, nil
}

func (m *memory) Restore(r operator.StateReader) error {
	for b, err := range r.Blocks("numbers") {
		if err != nil {
			return err
		}
		m.numbers = append(m.numbers, numbersIn(b.Data)...)
	}
	return nil
}

type memorySnapshot struct {
	numbers []int64
	lists   [][]int64 // each in a block of its own, instead of numbers
	broken  error
}

func (s *memorySnapshot) Write(w operator.StateWriter) error {
	if s.broken != nil {
		return s.broken
	}
	if err := w.Begin(operator.StateDescriptor{Name: "numbers", Kind: operator.ListState}); err != nil {
		return err
	}
	lists := s.lists
	if lists == nil {
		lists = [][]int64{s.numbers}
	}
	for _, l := range lists {
		var data []byte
		for _, n := range l {
			data = binary.BigEndian.AppendUint64(data, uint64(n))
		}
		if err := w.Block(-1, data); err != nil {
			return err
		}
	}
	return nil
}

func (s *memorySnapshot) Release() {}

func numbersIn(data []byte) (all []int64) {
	for ; len(data) >= 8; data = data[8:] {
		all = append(all, int64(binary.BigEndian.Uint64(data)))
	}
	return all
}

// numbersOf is the state of the memory in an acknowledgement or a final state.
func numbersOf(s *linkpb.TaskState) (all []int64) {
	for _, o := range s.GetOperators() {
		for _, n := range o.GetStates() {
			for _, b := range n.GetBlocks() {
				all = append(all, numbersIn(b.GetData())...)
			}
		}
	}
	return all
}

// rigOptions say what newRig makes.
type rigOptions struct {
	inputs, channels int // of each input
	settings         task.Settings
	partitioning     graph.Partitioning
	slow             bool // the operator waits for rig.op.pass
	restore          *linkpb.TaskState
}

func newRig(t *testing.T, o rigOptions) *rig {
	t.Helper()
	r := &rig{t: t, host: &listener{changed: make(chan struct{}, 1)}, done: make(chan struct{}), waker: network.NewWaker(), expired: time.After(30 * time.Second)}
	if o.partitioning == 0 {
		o.partitioning = hash
	}
	j := &Job{}
	made := make(chan *memory, 1)
	var op *graph.Node
	for i := range max(1, o.inputs) {
		src := j.Node(fmt.Sprint("source ", i), nil, 0, count(0, 1))
		src.Parallelism = o.channels
		if op == nil {
			op = j.Node("op", src, o.partitioning, func(env *operator.Env) (operator.Operator, error) {
				m := &memory{Base: NewBase(env)}
				if o.slow {
					m.pass, m.got = make(chan struct{}), make(chan struct{})
				}
				made <- m
				return m, nil
			})
			op.Parallelism = 1
			continue
		}
		j.Edge(src, op, i, "", o.partitioning)
	}
	sink := j.Node("sink", op, rebalance, pass)
	sink.Parallelism = 1
	g := j.Graph(t, 1)
	x, err := network.NewExchange(network.Config{Job: g.ID(), Resource: "a", Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	r.job = &task.Job{Graph: g, Stream: &j.StreamGraph, Nodes: map[operator.ID]*graph.Node{}, Exchange: x, Resource: "a", Settings: o.settings, Log: quiet}
	for _, n := range j.Nodes {
		r.job.Nodes[n.OperatorID()] = n
	}
	var spec *linkpb.Task
	for _, s := range Deploy(g, Place{Resource: "a"})["a"].Tasks {
		if len(s.Inputs) > 0 && len(s.Outputs) > 0 {
			spec = s
		}
	}
	spec.Restore = o.restore
	p := network.NewProducer(r.done)
	for _, gate := range spec.Inputs {
		for i := range gate.Channels {
			out, err := x.Output(p, network.ChannelID{Edge: int(gate.Edge), Producer: i}, Type, 8)
			if err != nil {
				t.Fatal(err)
			}
			r.in = append(r.in, out)
		}
	}
	if r.gate, err = x.Gate(r.waker, []network.ChannelSpec{{ID: network.ChannelID{Edge: int(spec.Outputs[0].Edge)}, Type: Type, Peer: "a"}}); err != nil {
		t.Fatal(err)
	}
	if r.task, err = task.New(r.job, spec, r.host); err != nil {
		t.Fatal(err)
	}
	r.group.Go(r.task.Run)
	t.Cleanup(func() {
		r.task.Cancel()
		close(r.done)
		r.group.Wait()
		x.ReleaseGate(r.gate)
		x.Close()
	})
	r.op = <-made
	return r
}

// send puts numbers into a channel as one batch.
func (r *rig) send(channel int, numbers ...int64) {
	r.t.Helper()
	v := operator.NewVec[Record](len(numbers))
	for _, n := range numbers {
		v.V = append(v.V, Record{Key: "k", N: n})
	}
	if _, err := r.in[channel].Send(v); err != nil {
		r.t.Fatal(err)
	}
}

// barrier sends the barrier of a checkpoint on some channels.
func (r *rig) barrier(id int64, channels ...int) {
	r.t.Helper()
	for _, c := range channels {
		if err := r.in[c].Event(operator.Event{Kind: operator.Barrier, ID: id}); err != nil {
			r.t.Fatal(err)
		}
	}
}

// urgent sends barriers that overtake.
func (r *rig) urgent(id int64, channels ...int) {
	r.t.Helper()
	for _, c := range channels {
		if err := r.in[c].Event(operator.Event{Kind: operator.Barrier, ID: id, Urgent: true}); err != nil {
			r.t.Fatal(err)
		}
	}
}

// unaligned triggers an unaligned checkpoint.
func (r *rig) unaligned(id int64) {
	r.task.Trigger(id, &linkpb.CheckpointOptions{InlineThreshold: 1 << 20, Unaligned: true, TimestampMs: time.Now().UnixMilli()}, false)
}

func (r *rig) end(channels ...int) {
	r.t.Helper()
	for _, c := range channels {
		if err := r.in[c].Event(operator.Event{Kind: operator.EndOfInput}); err != nil {
			r.t.Fatal(err)
		}
	}
}

func (r *rig) trigger(id int64) {
	r.task.Trigger(id, &linkpb.CheckpointOptions{InlineThreshold: 1 << 20}, false)
}

// await takes what comes out until what holds.
func (r *rig) await(what string, holds func() bool) {
	r.t.Helper()
	for {
		for ok := true; ok; {
			_, _, ok = r.gate.Announced()
		}
		for {
			e, ok, err := r.gate.Next()
			if err != nil {
				r.t.Fatal(err)
			}
			if !ok {
				break
			}
			if e.Batch == nil {
				r.seen = append(r.seen, e.Event)
				continue
			}
			for _, rec := range e.Batch.(*Vec).V {
				r.seen = append(r.seen, rec.N)
			}
		}
		if holds() {
			return
		}
		r.waker.Prepare()
		if r.gate.Ready() {
			r.waker.Abandon()
			continue
		}
		select {
		case <-r.waker.C():
			continue
		case <-r.host.changed:
		case <-r.expired:
			r.t.Fatalf("%s: never; out came %v, acknowledged %v, declined %v", what, r.seen, r.acked(), r.declined())
		}
		r.waker.Abandon()
	}
}

// out waits until the number n came out.
func (r *rig) out(n int64) {
	r.t.Helper()
	r.await(fmt.Sprintf("%d comes out", n), func() bool { return slices.Contains(r.seen, any(n)) })
}

func (r *rig) acked() (ids []int64) {
	r.host.mu.Lock()
	defer r.host.mu.Unlock()
	for _, a := range r.host.acks {
		ids = append(ids, a.Checkpoint)
	}
	return ids
}

func (r *rig) declined() (ids []int64) {
	r.host.mu.Lock()
	defer r.host.mu.Unlock()
	for _, a := range r.host.declines {
		ids = append(ids, a.Checkpoint)
	}
	return ids
}

// ack waits for the acknowledgement of a checkpoint.
func (r *rig) ack(id int64) *linkpb.CheckpointAck {
	r.t.Helper()
	r.await(fmt.Sprintf("acknowledgement of %d", id), func() bool { return slices.Contains(r.acked(), id) })
	r.host.mu.Lock()
	defer r.host.mu.Unlock()
	i := slices.IndexFunc(r.host.acks, func(a *linkpb.CheckpointAck) bool { return a.Checkpoint == id })
	return r.host.acks[i]
}

// holds checks the state in an acknowledgement.
func (r *rig) holds(id int64, want ...int64) {
	r.t.Helper()
	got := numbersOf(r.ack(id).State)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		r.t.Errorf("checkpoint %d holds %v, want %v", id, got, want)
	}
}

// cut checks that a barrier went out once, behind exactly the numbers before.
func (r *rig) cut(id int64, before ...int64) {
	r.t.Helper()
	b := any(operator.Event{Kind: operator.Barrier, ID: id})
	r.await(fmt.Sprintf("barrier %d comes out", id), func() bool { return slices.Contains(r.seen, b) })
	var got []int64
	for _, s := range r.seen[:slices.Index(r.seen, b)] {
		if n, ok := s.(int64); ok {
			got = append(got, n)
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, before) {
		r.t.Errorf("in front of barrier %d came %v, want %v", id, got, before)
	}
}

// absent checks that none of the numbers came out.
func (r *rig) absent(numbers ...int64) {
	r.t.Helper()
	for _, n := range numbers {
		if slices.Contains(r.seen, any(n)) {
			r.t.Errorf("%d came out: %v", n, r.seen)
		}
	}
}

func (r *rig) ends(s linkpb.ExecutionState) *linkpb.TaskUpdate {
	r.t.Helper()
	var last *linkpb.TaskUpdate
	r.await("the task is "+s.String(), func() bool {
		r.host.mu.Lock()
		defer r.host.mu.Unlock()
		last = r.host.updates[max(0, len(r.host.updates)-1)]
		return last.State == s
	})
	return last
}

var errWrite = errors.New("the disk is full")
