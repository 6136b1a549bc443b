package task_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/internal/testkit"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/operator"
	"github.com/weftstream/weft/runtime/checkpoint"
	"github.com/weftstream/weft/runtime/checkpoint/checkpointpb"
	"github.com/weftstream/weft/runtime/network/networktest"
	"github.com/weftstream/weft/runtime/task"
	. "github.com/weftstream/weft/runtime/task/tasktest"
)

// flood is a job of random depth whose sinks let one batch pass at a time: source, keyed and rebalanced steps, sink.
type flood struct {
	steps    []graph.Partitioning // in front of each step, the last is the sink
	n        int64                // records of all source subtasks together
	mu       sync.Mutex
	sinks    map[int]*memory // by subtask
	strays   int             // records at a subtask that doesn't own their key
	unbroken chan struct{}   // closed when sinks don't stop any more
}

// offsets is a source that counts, with a list of (subtask, next) as its state. A subtask owns the ranges it restored.
type offsets struct {
	Source
	ranges [][3]int64 // next, end, step
}

func (s *offsets) Snapshot(int64) (operator.StateSnapshot, error) {
	m := &memorySnapshot{}
	for _, r := range s.ranges {
		m.lists = append(m.lists, r[:])
	}
	m.lists = slices.Clone(m.lists)
	for i := range m.lists {
		m.lists[i] = slices.Clone(m.lists[i])
	}
	return m, nil
}

func (s *offsets) Restore(r operator.StateReader) error {
	s.ranges = nil
	for b, err := range r.Blocks("numbers") {
		if err != nil {
			return err
		}
		v := numbersIn(b.Data)
		s.ranges = append(s.ranges, [3]int64{v[0], v[1], v[2]})
	}
	return nil
}

func (f *flood) source(env *operator.Env) (operator.Operator, error) {
	s := &offsets{ranges: [][3]int64{{int64(env.Subtask), f.n, int64(env.Parallelism)}}}
	s.Source = Source{Func: Func{Base: NewBase(env)}, OnPoll: func(_ *Source, v *Vec) (time.Duration, bool, error) {
		for i := range s.ranges {
			r := &s.ranges[i]
			for ; r[0] < r[1] && len(v.V) < env.BatchSize; r[0] += r[2] {
				v.V = append(v.V, Record{Key: fmt.Sprint("k", r[0]%37), N: r[0]})
			}
		}
		return 0, len(v.V) == 0, nil
	}}
	return s, nil
}

// step checks that it owns the keys it gets.
func (f *flood) step(keyed bool) operator.Factory {
	return func(env *operator.Env) (operator.Operator, error) {
		return &Func{Base: NewBase(env), OnBatch: func(o *Func, v *Vec) error {
			f.check(env, keyed, v)
			return o.Out.Batch(v)
		}}, nil
	}
}

func (f *flood) check(env *operator.Env, keyed bool, v *Vec) {
	if !keyed {
		return
	}
	h := &Vec{V: v.V}
	networktest.Hash(h)
	for _, x := range h.H {
		if operator.SubtaskFor(operator.KeyGroup(x, env.MaxParallelism), env.MaxParallelism, env.Parallelism) != env.Subtask {
			f.mu.Lock()
			f.strays++
			f.mu.Unlock()
		}
	}
}

// floodSink is a memory that checks keys, too.
type floodSink struct {
	*memory
	f     *flood
	keyed bool
}

func (s *floodSink) Input(int) operator.Input { s.inputs++; return s }

func (s *floodSink) Batch(b operator.Batch) error {
	s.f.check(s.Env, s.keyed, b.(*Vec))
	return s.memory.Batch(b)
}

func (f *flood) sink(keyed bool) operator.Factory {
	return func(env *operator.Env) (operator.Operator, error) {
		m := &memory{Base: NewBase(env), pass: make(chan struct{}), got: make(chan struct{}, 1<<16), free: f.unbroken}
		f.mu.Lock()
		defer f.mu.Unlock()
		f.sinks[env.Subtask] = m
		return &floodSink{m, f, keyed}, nil
	}
}

// start runs the job from a state.
func (f *flood) start(t *testing.T, parallelism []int, from *checkpointpb.Metadata, hosts ...string) (*running, *graph.JobGraph) {
	t.Helper()
	f.sinks, f.unbroken = map[int]*memory{}, make(chan struct{})
	j := &Job{}
	at := j.Node("source", nil, 0, f.source)
	at.Parallelism = parallelism[0]
	for i, p := range f.steps {
		if i == len(f.steps)-1 {
			at = j.Node("sink", at, p, f.sink(p == hash))
		} else {
			at = j.Node(fmt.Sprint("step ", i), at, p, f.step(p == hash))
		}
		at.Parallelism = parallelism[i+1]
	}
	var restore func(g *graph.JobGraph, deployed []*linkpb.Task)
	if from != nil {
		restore = func(g *graph.JobGraph, deployed []*linkpb.Task) {
			a, err := checkpoint.Assign(from, g, false)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range deployed {
				var id operator.ID
				copy(id[:], d.Id.Vertex)
				d.Restore = a.Tasks[id][d.Id.Subtask]
			}
		}
	}
	r := startOn(t, j, 1, task.Settings{Unaligned: true, BatchSize: 8, BufferTimeout: time.Millisecond, Checkpoints: true}, nil, restore, hosts...)
	return r, r.graph
}

// metadata is the checkpoint that acknowledgements make.
func metadata(g *graph.JobGraph, acks []*linkpb.CheckpointAck) *checkpointpb.Metadata {
	md := &checkpointpb.Metadata{Version: 1, Checkpoint: 1}
	for _, v := range g.Vertices {
		out := &checkpointpb.Vertex{Id: v.Id, Parallelism: v.Parallelism, MaxParallelism: v.MaxParallelism, Subtasks: make([]*linkpb.TaskState, v.Parallelism)}
		for _, a := range acks {
			if string(a.Id.Vertex) == string(v.Id) {
				out.Subtasks[a.Id.Subtask] = a.State
			}
		}
		md.Vertices = append(md.Vertices, out)
		for _, o := range v.Operators {
			md.Operators = append(md.Operators, &checkpointpb.Operator{Id: o.Id, Name: o.Name, Parallelism: v.Parallelism, MaxParallelism: v.MaxParallelism})
		}
	}
	return md
}

// TestUnalignedRestoreAgreesWithOracle: a checkpoint of a job under full backpressure completes while its sinks have done
// a few batches of many, and the job that starts from it, with the same or another parallelism, has every record once.
func TestUnalignedRestoreAgreesWithOracle(t *testing.T) {
	seed := rand.Uint64()
	t.Log("seed", seed)
	flying := int64(0)
	for round := range 12 {
		rnd := rand.New(rand.NewPCG(seed, uint64(round)))
		f := &flood{n: 20000}
		width := []int{1 + rnd.IntN(3)}
		for range 1 + rnd.IntN(3) {
			f.steps = append(f.steps, []graph.Partitioning{hash, rebalance}[rnd.IntN(2)])
			width = append(width, 1+rnd.IntN(3))
		}
		testkit.NoLeak(t)
		hosts := []string{"a", "b"}[:1+rnd.IntN(2)]
		r, g := f.start(t, width, nil, hosts...)
		acks := f.checkpoint(t, r, rnd)
		r.cancel()
		close(f.unbroken)
		r.wait()
		for _, a := range acks {
			flying += a.PersistedBytes
		}
		if round%2 == 1 {
			for i := range width {
				width[i] = 1 + rnd.IntN(4)
			}
		}
		r, _ = f.start(t, width, metadata(g, acks), hosts...)
		close(f.unbroken)
		r.wait()
		expectFinished(t, r)
		var got []int64
		for _, m := range f.sinks {
			got = append(got, m.numbers...)
		}
		slices.Sort(got)
		if int64(len(got)) != f.n || len(slices.Compact(slices.Clone(got))) != len(got) {
			t.Errorf("round %d, %v, %v: the sinks have %d records, %d different ones, want %d once", round, f.steps, width, len(got), len(slices.Compact(slices.Clone(got))), f.n)
		}
		if f.strays > 0 {
			t.Errorf("round %d, %v, %v: %d records came to a subtask that doesn't own them", round, f.steps, width, f.strays)
		}
	}
	if flying == 0 {
		t.Error("no checkpoint held a record in flight")
	}
}

// checkpoint lets the sinks do some batches and takes a checkpoint while they stand still but for the batch that each has
// begun.
func (f *flood) checkpoint(t *testing.T, r *running, rnd *rand.Rand) []*linkpb.CheckpointAck {
	t.Helper()
	expired := time.After(20 * time.Second)
	for s, n := 0, len(f.all(t, r)); s < n; s++ {
		m := f.all(t, r)[s]
		for range rnd.IntN(5) {
			select {
			case m.pass <- struct{}{}:
			case <-time.After(10 * time.Millisecond): // the others stand still, and the routers with them
			}
		}
	}
	for _, tk := range r.tasks {
		tk.Trigger(1, &linkpb.CheckpointOptions{InlineThreshold: 1 << 20, Unaligned: true, TimestampMs: time.Now().UnixMilli()}, true)
	}
	await := func(n, passes int, crawl ...*memory) (acks []*linkpb.CheckpointAck) {
		passed := make([]int, len(crawl))
		for {
			r.mu.Lock()
			acks, declined := slices.Clone(r.acks), len(r.declines)
			r.mu.Unlock()
			counted := len(acks)
			for _, a := range acks {
				if len(crawl) == 0 && string(a.Id.Vertex) == string(r.graph.Vertices[len(r.graph.Vertices)-1].Id) {
					counted-- // a sink that had nothing to do
				}
			}
			if counted == n {
				return acks
			}
			select {
			case <-expired:
				t.Fatalf("%d of %d tasks acknowledged, %d declined, while the sinks stand still", len(acks), n, declined)
			case <-time.After(time.Millisecond):
			}
			for i, m := range crawl {
				if passed[i] == passes {
					continue
				}
				select {
				case m.pass <- struct{}{}:
					passed[i]++
				default:
				}
			}
		}
	}
	sinks := f.all(t, r)
	await(len(r.tasks)-len(sinks), 0) // all others, and so the barriers are at the sinks, or on their way from another host
	passes := 1                       // ends the batch that has begun, and no other
	if len(r.hosts) > 1 {
		passes = int(f.n)
	}
	return await(len(r.tasks), passes, sinks...)
}

// all waits until every sink is made.
func (f *flood) all(t *testing.T, r *running) []*memory {
	t.Helper()
	n := 0
	for _, v := range r.graph.Vertices {
		if v.Name == "sink" {
			n = int(v.Parallelism)
		}
	}
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); <-time.After(time.Millisecond) {
		f.mu.Lock()
		var all []*memory
		for i := range len(f.sinks) {
			all = append(all, f.sinks[i])
		}
		f.mu.Unlock()
		if len(all) == n && !slices.Contains(all, nil) {
			return all
		}
	}
	t.Fatal("the sinks aren't made")
	return nil
}
