package task_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/internal/testkit"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/operator"
	"github.com/weftstream/weft/runtime/network"
	"github.com/weftstream/weft/runtime/task"
	. "github.com/weftstream/weft/runtime/task/tasktest"
)

const (
	forward   = graph.Partitioning_FORWARD
	hash      = graph.Partitioning_HASH
	rebalance = graph.Partitioning_REBALANCE
	broadcast = graph.Partitioning_BROADCAST
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// recorder is a task.Host that keeps what it is told.
type recorder struct {
	mu       sync.Mutex
	updates  []*linkpb.TaskUpdate
	acks     []*linkpb.CheckpointAck
	declines []*linkpb.CheckpointDecline
	answer   func(*linkpb.CoordinatorRequest) ([]byte, error)
}

func (r *recorder) Update(u *linkpb.TaskUpdate) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.updates = append(r.updates, u)
}

func (r *recorder) Acknowledge(a *linkpb.CheckpointAck) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.acks = append(r.acks, a)
}

func (r *recorder) Decline(d *linkpb.CheckpointDecline) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.declines = append(r.declines, d)
}

func (r *recorder) Ask(q *linkpb.CoordinatorRequest, reply func([]byte, error)) {
	if r.answer == nil {
		return // never
	}
	reply(r.answer(q))
}

// final returns the last update of each task, by vertex name.
func (r *recorder) final(g *graph.JobGraph) map[string][]*linkpb.TaskUpdate {
	r.mu.Lock()
	defer r.mu.Unlock()
	names := map[string]string{}
	for _, v := range g.Vertices {
		names[string(v.Id)] = v.Name
	}
	found := map[string][]*linkpb.TaskUpdate{}
	for _, u := range r.updates {
		if u.State >= linkpb.ExecutionState_EXECUTION_FINISHED {
			found[names[string(u.Id.Vertex)]] = append(found[names[string(u.Id.Vertex)]], u)
		}
	}
	return found
}

func (r *recorder) count(s linkpb.ExecutionState) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, u := range r.updates {
		if u.State == s {
			n++
		}
	}
	return n
}

// running is a job whose tasks run.
type running struct {
	*recorder
	graph *graph.JobGraph
	tasks []*task.Task
	group sync.WaitGroup
	hosts []*network.Exchange

	ports     []net.Listener
	accepting sync.WaitGroup
}

func start(t testing.TB, j *Job, parallelism int, s task.Settings, r *recorder) *running {
	t.Helper()
	return startFrom(t, j, parallelism, s, r, nil)
}

// startFrom starts a job whose tasks restore gives the state that they start from; it may be nil.
func startFrom(t testing.TB, j *Job, parallelism int, s task.Settings, r *recorder, restore func(*graph.JobGraph, []*linkpb.Task)) *running {
	t.Helper()
	return startOn(t, j, parallelism, s, r, restore, "a")
}

// startOn starts a job with its subtasks dealt out to hosts that are connected over loopback where there are several.
func startOn(t testing.TB, j *Job, parallelism int, s task.Settings, r *recorder, restore func(*graph.JobGraph, []*linkpb.Task), hosts ...string) *running {
	t.Helper()
	g := j.Graph(t, parallelism)
	if r == nil {
		r = &recorder{}
	}
	run := &running{recorder: r, graph: g}
	var places []Place
	for _, h := range hosts {
		x, err := network.NewExchange(network.Config{Job: g.ID(), Resource: h, Key: []byte("0123456789abcdef0123456789abcdef"), Log: quiet})
		if err != nil {
			t.Fatal(err)
		}
		run.hosts = append(run.hosts, x)
		place := Place{Resource: h}
		if len(hosts) > 1 {
			place.Address = run.listen(t, x)
		}
		places = append(places, place)
	}
	deploys := Deploy(g, places...)
	for i, x := range run.hosts {
		job := &task.Job{Graph: g, Stream: &j.StreamGraph, Nodes: map[operator.ID]*graph.Node{}, Exchange: x, Resource: hosts[i], Settings: s, Log: quiet}
		for _, n := range j.Nodes {
			job.Nodes[n.OperatorID()] = n
		}
		specs := deploys[hosts[i]].Tasks
		if restore != nil {
			restore(g, specs)
		}
		for _, spec := range specs {
			tk, err := task.New(job, spec, r)
			if err != nil {
				t.Fatal(err)
			}
			run.tasks = append(run.tasks, tk)
			run.group.Go(tk.Run)
		}
	}
	return run
}

// listen opens the data port of a host.
func (r *running) listen(t testing.TB, x *network.Exchange) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.ports = append(r.ports, l)
	r.accepting.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p, err := network.ReadPreamble(c)
			if err != nil {
				c.Close()
				continue
			}
			x.Accept(c, p)
		}
	})
	return l.Addr().String()
}

// wait waits for all tasks and closes the exchanges.
func (r *running) wait() {
	r.group.Wait()
	for _, l := range r.ports {
		l.Close()
	}
	r.accepting.Wait()
	for _, x := range r.hosts {
		x.Close()
	}
}

func (r *running) cancel() {
	for _, t := range r.tasks {
		t.Cancel()
	}
}

// count is a source of n records per subtask, with keys modulo mod.
func count(n, mod int) operator.Factory {
	return func(env *operator.Env) (operator.Operator, error) {
		next := env.Subtask
		return &Source{Func: Func{Base: NewBase(env)}, OnPoll: func(s *Source, v *Vec) (time.Duration, bool, error) {
			for range env.BatchSize {
				if next >= n*env.Parallelism {
					return 0, true, nil
				}
				v.V = append(v.V, Record{Key: string(rune('a' + next%mod)), N: int64(next)})
				next += env.Parallelism
			}
			return 0, false, nil
		}}, nil
	}
}

// sum adds up by key and emits the sums at the end.
func sum(env *operator.Env) (operator.Operator, error) {
	sums := map[string]int64{}
	return &Func{Base: NewBase(env),
		OnBatch: func(_ *Func, v *Vec) error {
			for _, r := range v.V {
				sums[r.Key] += r.N
			}
			return nil
		},
		OnEnd: func(o *Func) error {
			v := operator.NewVec[Record](len(sums))
			for k, n := range sums {
				v.V = append(v.V, Record{Key: k, N: n})
			}
			if err := o.Out.Batch(v); err != nil {
				return err
			}
			return o.Out.End()
		}}, nil
}

func pass(env *operator.Env) (operator.Operator, error) {
	return &Func{Base: NewBase(env)}, nil
}

func oracle(n, mod int) []Record {
	sums := map[string]int64{}
	for i := range n {
		sums[string(rune('a'+i%mod))] += int64(i)
	}
	var out []Record
	for k, v := range sums {
		out = append(out, Record{Key: k, N: v})
	}
	return sorted(out)
}

func sorted(r []Record) []Record {
	slices.SortFunc(r, func(a, b Record) int {
		if c := strings.Compare(a.Key, b.Key); c != 0 {
			return c
		}
		return int(a.N - b.N)
	})
	return r
}

func expectFinished(t *testing.T, r *running) {
	t.Helper()
	for name, us := range r.final(r.graph) {
		for _, u := range us {
			if u.State != linkpb.ExecutionState_EXECUTION_FINISHED {
				t.Errorf("%s/%d: %v: %v", name, u.Id.Subtask, u.State, u.Failure)
			}
		}
	}
	if got := r.recorder.count(linkpb.ExecutionState_EXECUTION_FINISHED); got != len(r.tasks) {
		t.Errorf("%d of %d tasks finished", got, len(r.tasks))
	}
}

func TestKeyedJobAgreesWithOracle(t *testing.T) {
	for _, parallelism := range []int{1, 2, 5} {
		testkit.NoLeak(t)
		const n, mod = 20000, 17
		var got Collected
		j := &Job{}
		src := j.Node("source", nil, 0, count(n/parallelism, mod))
		mapped := j.Node("map", src, forward, pass)
		sums := j.Node("sum", mapped, hash, sum)
		j.Node("sink", sums, forward, got.Sink)
		r := start(t, j, parallelism, task.Settings{BatchSize: 64, BufferTimeout: time.Millisecond}, nil)
		r.wait()
		expectFinished(t, r)
		if want, got := oracle(n/parallelism*parallelism, mod), sorted(got.Records()); !slices.Equal(want, got) {
			t.Errorf("parallelism %d: got %v, want %v", parallelism, got, want)
		}
		var written, read int64
		for _, us := range r.final(r.graph) {
			for _, u := range us {
				written, read = written+u.Io.WriteRecords, read+u.Io.ReadRecords
			}
		}
		if total := int64(n / parallelism * parallelism); written != total || read != total {
			t.Errorf("written %d, read %d records, want %d", written, read, total)
		}
	}
}

func TestTwoInputsSideOutputTeeAndBroadcast(t *testing.T) {
	testkit.NoLeak(t)
	var main, odd, twice, both Collected
	ends := 0
	j := &Job{}
	src := j.Node("source", nil, 0, count(1000, 10))
	split := j.Node("split", src, forward, func(env *operator.Env) (operator.Operator, error) {
		side := env.Runtime.Output("odd")
		out := operator.NewVec[Record](0)
		return &Func{Base: NewBase(env), OnBatch: func(o *Func, v *Vec) error {
			out.Reset()
			kept := v.V[:0]
			for _, r := range v.V {
				if r.N%2 == 1 {
					out.V = append(out.V, r)
				} else {
					kept = append(kept, r)
				}
			}
			v.V = kept
			if err := side.Batch(out); err != nil {
				return err
			}
			return o.Out.Batch(v)
		}}, nil
	})
	// The first consumer of the Tee spoils its batch; the second must not see that.
	j.Node("spoil", split, forward, func(env *operator.Env) (operator.Operator, error) {
		return &Func{Base: NewBase(env), OnBatch: func(_ *Func, v *Vec) error {
			for i := range v.V {
				v.V[i].N = -1
			}
			return nil
		}}, nil
	})
	j.Node("main", split, forward, main.Sink)
	oddNode := j.Side("odd", split, "odd", forward, func(env *operator.Env) (operator.Operator, error) {
		return &Func{Base: NewBase(env), OnBatch: func(o *Func, v *Vec) error { odd.Add(v); return o.Out.Batch(v) },
			OnEnd: func(o *Func) error { ends++; return o.Out.End() }}, nil
	})
	j.Node("twice", oddNode, broadcast, twice.Sink).Parallelism = 2
	join := j.Node("join", split, rebalance, func(env *operator.Env) (operator.Operator, error) {
		return &twoInputs{Base: NewBase(env), got: &both}, nil
	})
	j.Edge(oddNode, join, 1, "", rebalance)
	r := start(t, j, 1, task.Settings{}, nil)
	r.wait()
	expectFinished(t, r)
	for name, c := range map[string]struct {
		got  *Collected
		want int
	}{"main": {&main, 500}, "odd": {&odd, 500}, "twice": {&twice, 1000}, "join": {&both, 1000}} {
		if got := len(c.got.Records()); got != c.want {
			t.Errorf("%s got %d records, want %d", name, got, c.want)
		}
	}
	for _, r := range main.Records() {
		if r.N < 0 {
			t.Fatal("the Tee's second consumer saw what the first one wrote")
		}
	}
	if ends != 1 {
		t.Errorf("the side output ended %d times", ends)
	}
}

type twoInputs struct {
	Base
	got   *Collected
	ended int
}

func (o *twoInputs) Input(i int) operator.Input {
	return &Func{Base: Base{Env: o.Env, Out: operator.Drop{}}, OnBatch: func(_ *Func, v *Vec) error { o.got.Add(v); return nil },
		OnEnd: func(*Func) error {
			if o.ended++; o.ended == 2 {
				return o.Out.End()
			}
			return nil
		}}
}

func TestWatermarksAreTheMinimumOfTheChannels(t *testing.T) {
	testkit.NoLeak(t)
	var mu sync.Mutex
	var seen []int64
	j := &Job{}
	src := j.Node("source", nil, 0, func(env *operator.Env) (operator.Operator, error) {
		at := int64(0)
		return &Source{Func: Func{Base: NewBase(env)}, OnPoll: func(s *Source, v *Vec) (time.Duration, bool, error) {
			if at == 100 {
				return 0, true, nil
			}
			at++
			v.V, v.TS = append(v.V, Record{N: at}), append(v.TS, at)
			if err := s.Out.Batch(v); err != nil {
				return 0, false, err
			}
			v.Reset()
			return 0, false, s.Out.Watermark(at * int64(env.Subtask+1))
		}}, nil
	})
	src.Parallelism = 2
	sink := j.Node("sink", src, rebalance, func(env *operator.Env) (operator.Operator, error) {
		last := operator.NoWatermark
		return &Func{Base: NewBase(env), OnBatch: func(_ *Func, v *Vec) error {
			for _, ts := range v.TS {
				// Subtask 0's watermark is its last timestamp, so what comes later is above it.
				if ts <= last/2 {
					t.Errorf("record of time %d after watermark %d", ts, last)
				}
			}
			return nil
		}, OnWatermark: func(_ *Func, w int64) error {
			mu.Lock()
			defer mu.Unlock()
			if w <= last {
				t.Errorf("watermark %d after %d", w, last)
			}
			last = w
			seen = append(seen, w)
			return nil
		}}, nil
	})
	sink.Parallelism = 1
	r := start(t, j, 1, task.Settings{BatchSize: 4}, nil)
	r.wait()
	expectFinished(t, r)
	if len(seen) == 0 || seen[len(seen)-1] != operator.MaxWatermark {
		t.Errorf("watermarks %v: want MaxWatermark last", seen)
	}
}

// failing makes the job source -> bad, whose second operator's factory is f, and returns the one that failed.
func failing(t *testing.T, f operator.Factory) *linkpb.Failure {
	t.Helper()
	testkit.NoLeak(t)
	j := &Job{}
	src := j.Node("source", nil, 0, count(1000, 3))
	bad := j.Node("bad", src, rebalance, pass)
	j.Node("worse", bad, forward, f)
	r := start(t, j, 1, task.Settings{}, nil)
	testkit.Eventually(t, "the task fails", func() bool { return len(r.final(r.graph)["bad -> worse"]) == 1 })
	r.cancel()
	r.wait()
	u := r.final(r.graph)["bad -> worse"][0]
	if u.State != linkpb.ExecutionState_EXECUTION_FAILED {
		t.Fatalf("state %v", u.State)
	}
	if u.Failure.Operator != "worse" || u.Failure.Vertex != "bad -> worse" || u.Failure.Host != "a" || u.Failure.Secondary {
		t.Errorf("failure %v", u.Failure)
	}
	return u.Failure
}

//go:noinline
func userBug(v *Vec) int64 { return v.V[len(v.V)+7].N }

func TestPanicIsAFailureWithStackAndOperator(t *testing.T) {
	f := failing(t, func(env *operator.Env) (operator.Operator, error) {
		return &Func{Base: NewBase(env), OnBatch: func(_ *Func, v *Vec) error { userBug(v); return nil }}, nil
	})
	if !strings.HasPrefix(f.Message, "worse (1/1): panic: runtime error: index out of range") {
		t.Errorf("message %q", f.Message)
	}
	if first, _, _ := strings.Cut(f.Stack, "\n"); !strings.Contains(first, "task_test.userBug") {
		t.Errorf("stack begins with %q", first)
	}
}

func TestErrorsNameTheOperator(t *testing.T) {
	boom := errors.New("boom")
	for name, f := range map[string]operator.Factory{
		"batch": func(env *operator.Env) (operator.Operator, error) {
			return &Func{Base: NewBase(env), OnBatch: func(*Func, *Vec) error { return boom }}, nil
		},
		"watermark": func(env *operator.Env) (operator.Operator, error) {
			return &Func{Base: NewBase(env), OnWatermark: func(*Func, int64) error { return boom }}, nil
		},
		"end": func(env *operator.Env) (operator.Operator, error) {
			return &Func{Base: NewBase(env), OnEnd: func(*Func) error { return boom }}, nil
		},
		"factory": func(env *operator.Env) (operator.Operator, error) { return nil, boom },
		"close": func(env *operator.Env) (operator.Operator, error) {
			return &Func{Base: NewBase(env), OnClose: func(*Func) error { return boom }}, nil
		},
		"committables": func(env *operator.Env) (operator.Operator, error) {
			return &Func{Base: NewBase(env), OnCommit: func(*Func) ([][]byte, error) { return nil, boom }}, nil
		},
		"timer": func(env *operator.Env) (operator.Operator, error) {
			env.Runtime.WakeAt(env.Runtime.Now())
			return &Func{Base: NewBase(env), OnTime: func(*Func, int64) error { return boom },
				OnEnd: func(o *Func) error { return boom }}, nil
		},
		"goexit": func(env *operator.Env) (operator.Operator, error) {
			return &Func{Base: NewBase(env), OnBatch: func(*Func, *Vec) error {
				exit()
				return nil
			}}, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := failing(t, f)
			want := "boom"
			if name == "goexit" {
				want = "runtime.Goexit"
			}
			if !strings.Contains(f.Message, want) {
				t.Errorf("message %q", f.Message)
			}
		})
	}
}

func TestCancelInEveryState(t *testing.T) {
	slow := func(started chan<- struct{}) operator.Factory { // waits in Batch until the context ends
		return func(env *operator.Env) (operator.Operator, error) {
			return &Func{Base: NewBase(env), OnBatch: func(*Func, *Vec) error {
				started <- struct{}{}
				<-env.Runtime.Context().Done()
				return context.Cause(env.Runtime.Context())
			}}, nil
		}
	}
	waiting := func(wait time.Duration, polled chan<- struct{}) operator.Factory {
		return func(env *operator.Env) (operator.Operator, error) {
			return &Source{Func: Func{Base: NewBase(env)}, OnPoll: func(*Source, *Vec) (time.Duration, bool, error) {
				select {
				case polled <- struct{}{}:
				default:
				}
				return wait, false, nil
			}}, nil
		}
	}
	cases := map[string]func(j *Job, ready chan struct{}){
		"blocked in Send and in Batch": func(j *Job, ready chan struct{}) {
			j.Node("sink", j.Node("source", nil, 0, count(1<<30, 3)), rebalance, slow(ready))
		},
		"idle in gate, source waits": func(j *Job, ready chan struct{}) {
			j.Node("sink", j.Node("source", nil, 0, waiting(time.Hour, ready)), rebalance, pass)
		},
		"source polls": func(j *Job, ready chan struct{}) {
			j.Node("sink", j.Node("source", nil, 0, waiting(0, ready)), rebalance, pass)
		},
	}
	for name, build := range cases {
		t.Run(name, func(t *testing.T) {
			testkit.NoLeak(t)
			ready := make(chan struct{}, 1)
			j := &Job{}
			build(j, ready)
			r := start(t, j, 2, task.Settings{}, nil)
			<-ready
			testkit.Eventually(t, "all tasks run", func() bool { return r.recorder.count(linkpb.ExecutionState_EXECUTION_RUNNING) == 4 })
			if strings.HasPrefix(name, "blocked") {
				testkit.Eventually(t, "the source is blocked", func() bool {
					for _, tk := range r.tasks {
						if tk.Metric().Io.BackpressuredMs > 0 {
							return true
						}
					}
					return false
				})
			}
			r.cancel()
			r.wait()
			if got := r.recorder.count(linkpb.ExecutionState_EXECUTION_CANCELED); got != 4 {
				t.Errorf("%d of 4 tasks were canceled: %v", got, r.final(r.graph))
			}
		})
	}
}

func TestAskAndCommittablesAndCounters(t *testing.T) {
	testkit.NoLeak(t)
	rec := &recorder{answer: func(q *linkpb.CoordinatorRequest) ([]byte, error) {
		if string(q.Payload) == "bad" {
			return nil, errors.New("refused")
		}
		return append([]byte("split "), q.Payload...), nil
	}}
	j := &Job{}
	src := j.Node("source", nil, 0, func(env *operator.Env) (operator.Operator, error) {
		var split string
		asked, refused := false, false
		return &Source{Func: Func{Base: NewBase(env)}, OnPoll: func(s *Source, v *Vec) (time.Duration, bool, error) {
			if !asked {
				asked = true
				env.Runtime.Ask([]byte("bad"), func(_ []byte, err error) error { refused = err != nil; return nil })
				env.Runtime.Ask([]byte("x"), func(p []byte, err error) error { split = string(p); return err })
			}
			if split == "" {
				return time.Hour, false, nil
			}
			if !refused {
				return 0, false, errors.New("the coordinator's error did not come back")
			}
			env.Runtime.Counter("records").Add(2)
			v.V = append(v.V, Record{Key: split})
			return 0, true, nil
		}}, nil
	})
	var got Collected
	j.Node("sink", src, forward, func(env *operator.Env) (operator.Operator, error) {
		op, _ := got.Sink(env)
		op.(*Func).OnCommit = func(*Func) ([][]byte, error) {
			env.Runtime.Counter("records").Add(int64(len(got.Records())))
			return [][]byte{[]byte("part-0")}, nil
		}
		return op, nil
	})
	r := start(t, j, 1, task.Settings{}, rec)
	r.wait()
	expectFinished(t, r)
	if g := got.Records(); len(g) != 1 || g[0].Key != "split x" {
		t.Errorf("got %v", g)
	}
	u := r.final(r.graph)["source -> sink"][0]
	commits := map[string]string{}
	for _, c := range u.Commits {
		if len(c.Committables) > 0 {
			commits[string(c.Operator)] = string(c.Committables[0])
		}
	}
	sink := j.Nodes[1].OperatorID()
	if len(commits) != 1 || commits[string(sink[:])] != "part-0" {
		t.Errorf("commits %v", u.Commits)
	}
	if u.Counters["records"] != 3 {
		t.Errorf("counters %v", u.Counters)
	}
}
