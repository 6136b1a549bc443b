package minicluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/internal/testkit"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/operator"
	. "github.com/weftstream/weft/runtime/task/tasktest"
)

// jobs are the tests' definitions: name to build function.
type jobs map[string]func() *Job

func (j jobs) build(name string, _ []byte) (*graph.StreamGraph, error) {
	f := j[name]
	if f == nil {
		return nil, fmt.Errorf("no job %q", name)
	}
	g := f()
	g.Name = "test"
	return &g.StreamGraph, nil
}

// graph is what a driver submits.
func (j jobs) graph(t *testing.T, name string, parallelism int) *graph.JobGraph {
	t.Helper()
	g := j[name]().Graph(t, parallelism)
	g.Definition = name
	return g
}

func start(t *testing.T, c Config) *MiniCluster {
	t.Helper()
	testkit.NoLeak(t)
	c.TempDir = t.TempDir()
	m, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
		if left, err := os.ReadDir(c.TempDir); err != nil || len(left) > 0 {
			t.Errorf("left in the temporary directory: %v, %v", left, err)
		}
	})
	return m
}

func run(t *testing.T, m *MiniCluster, g *graph.JobGraph) *linkpb.JobResult {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	id, err := m.Submit(ctx, g)
	if err != nil {
		t.Fatal(err)
	}
	r, err := m.Await(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// numbers is a source of n records in each subtask, keyed by the last digit.
func numbers(n int) operator.Factory {
	return func(env *operator.Env) (operator.Operator, error) {
		next := 0
		return &Source{Func: Func{Base: NewBase(env)}, OnPoll: func(_ *Source, v *Vec) (time.Duration, bool, error) {
			for ; next < n && len(v.V) < env.BatchSize; next++ {
				v.V = append(v.V, Record{Key: fmt.Sprint(next % 10), N: 1})
				env.Runtime.Counter("numbers").Add(1)
			}
			return 0, next == n, nil
		}}, nil
	}
}

// endless is a source that never ends.
func endless(env *operator.Env) (operator.Operator, error) {
	return &Source{Func: Func{Base: NewBase(env)}, OnPoll: func(*Source, *Vec) (time.Duration, bool, error) { return time.Hour, false, nil }}, nil
}

// output is what a sink's coordinator has made visible.
type output struct {
	mu    sync.Mutex
	parts []string
	fails int // so many commits fail
}

// writer hands a part over that names its subtask and what it got.
func writer(env *operator.Env) (operator.Operator, error) {
	sums := map[string]int64{}
	return &Func{Base: NewBase(env),
		OnBatch: func(_ *Func, v *Vec) error {
			for _, r := range v.V {
				sums[r.Key] += r.N
			}
			return nil
		},
		OnCommit: func(o *Func) ([][]byte, error) {
			var parts [][]byte
			for k, n := range sums {
				parts = append(parts, fmt.Appendf(nil, "%s=%d", k, n))
			}
			return parts, nil
		}}, nil
}

func (o *output) coordinator(*operator.Env) (operator.Coordinator, error) { return o, nil }

func (o *output) Handle(subtask int, request []byte) ([]byte, error) { return request, nil }
func (o *output) Lost(int) error                                     { return nil }
func (*output) Snapshot(int64) ([]byte, error)                       { return nil, nil }
func (o *output) Close() error                                       { return nil }
func (o *output) Commit(committables [][]byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.fails > 0 {
		o.fails--
		return errors.New("the disk is full")
	}
	o.parts = nil
	for _, c := range committables {
		o.parts = append(o.parts, string(c))
	}
	return nil
}

func (o *output) visible() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]string(nil), o.parts...)
}

func count(out *output) func() *Job {
	return func() *Job {
		j := &Job{}
		sink := j.Node("writer", j.Node("numbers", nil, 0, numbers(1000)), graph.Partitioning_HASH, writer)
		sink.Commits, sink.Coordinator = true, out.coordinator
		return j
	}
}

func TestEndToEnd(t *testing.T) {
	for _, c := range []Config{{}, {TaskManagers: 1, SlotsPerTaskManager: 4}, {TaskManagers: 4, SlotsPerTaskManager: 1}} {
		t.Run(fmt.Sprintf("%d TaskManagers", c.TaskManagers), func(t *testing.T) {
			out := &output{fails: 1}
			all := jobs{"count": count(out)}
			c.Build = all.build
			m := start(t, c)
			for range 3 { // a driver runs jobs one after the other
				r := run(t, m, all.graph(t, "count", 4))
				if r.GetStatus() != linkpb.JobStatus_FINISHED || r.GetCounters()["numbers"] != 4000 {
					t.Fatalf("result %v", r)
				}
				got := out.visible()
				if len(got) != 10 {
					t.Fatalf("committed %v, want the ten digits", got)
				}
				for _, part := range got {
					if !strings.HasSuffix(part, "=400") {
						t.Errorf("part %q, want 400 of each digit", part)
					}
				}
			}
			d := m.Dispatcher().Jobs()
			if len(d) != 3 || d[0].Tasks[linkpb.ExecutionState_EXECUTION_FINISHED] != 8 {
				t.Errorf("jobs %+v", d)
			}
			if c.TaskManagers == 0 {
				if o := m.JobManager().Overview(); o.TaskManagers != 1 || o.SlotsTotal != 4 {
					t.Errorf("overview %+v, want one TaskManager that all three jobs used", o)
				}
			}
		})
	}
}

func TestFailureNamesItsTask(t *testing.T) {
	all := jobs{"boom": func() *Job {
		j := &Job{}
		j.Node("boom", j.Node("numbers", nil, 0, numbers(10)), graph.Partitioning_HASH, func(env *operator.Env) (operator.Operator, error) {
			return &Func{Base: NewBase(env), OnBatch: func(_ *Func, v *Vec) error {
				var none []int
				_ = none[len(v.V)]
				return nil
			}}, nil
		})
		return j
	}, "count": count(&output{})}
	m := start(t, Config{TaskManagers: 2, SlotsPerTaskManager: 1, Build: all.build})
	f := run(t, m, all.graph(t, "boom", 2)).GetFailure()
	if !strings.Contains(f.GetMessage(), "index out of range") || f.GetVertex() != "boom" || !strings.Contains(f.GetStack(), "minicluster_test.go") {
		t.Errorf("failure %v", f)
	}
	// The cluster serves the next job, and one whose build fails says so.
	if r := run(t, m, all.graph(t, "count", 2)); r.GetStatus() != linkpb.JobStatus_FINISHED {
		t.Errorf("the next job: %v", r)
	}
	g := all.graph(t, "count", 2)
	g.Definition = "unknown"
	if f := run(t, m, g).GetFailure(); !strings.Contains(f.GetMessage(), `no job "unknown"`) {
		t.Errorf("failure %v", f)
	}
}

func TestCancelAndLostTaskManager(t *testing.T) {
	all := jobs{"endless": func() *Job {
		j := &Job{}
		j.Node("sink", j.Node("endless", nil, 0, endless), graph.Partitioning_HASH, (&Collected{}).Sink)
		return j
	}}
	m := start(t, Config{TaskManagers: 2, SlotsPerTaskManager: 1, Build: all.build})
	submit := func() graph.JobID {
		id, err := m.Submit(t.Context(), all.graph(t, "endless", 2))
		if err != nil {
			t.Fatal(err)
		}
		testkit.Eventually(t, "all tasks run", func() bool {
			d, _ := m.Dispatcher().Job(id)
			return d.Tasks[linkpb.ExecutionState_EXECUTION_RUNNING] == 4
		})
		return id
	}
	id := submit()
	if err := m.Cancel(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if r, err := m.Await(t.Context(), id); err != nil || r.GetStatus() != linkpb.JobStatus_CANCELED {
		t.Errorf("result %v, %v, want CANCELED", r, err)
	}
	id = submit()
	m.StopTaskManager("taskmanager-2")
	r, err := m.Await(t.Context(), id)
	if err != nil || r.GetStatus() != linkpb.JobStatus_FAILED || !strings.Contains(r.GetFailure().GetMessage(), "taskmanager-2") {
		t.Errorf("result %v, %v, want the loss of taskmanager-2", r, err)
	}
	if o := m.JobManager().Overview(); o.TaskManagers != 1 {
		t.Errorf("overview %+v", o)
	}
}

// TestBackpressureIsTheSources: while a sink takes nothing, the time of the source before it is backpressured, and the
// sink's is not.
func TestBackpressureIsTheSources(t *testing.T) {
	goOn := make(chan struct{})
	all := jobs{"blocked": func() *Job {
		j := &Job{}
		source := j.Node("numbers", nil, 0, func(env *operator.Env) (operator.Operator, error) {
			return &Source{Func: Func{Base: NewBase(env)}, OnPoll: func(_ *Source, v *Vec) (time.Duration, bool, error) {
				for len(v.V) < env.BatchSize {
					v.V = append(v.V, Record{Key: "k"})
				}
				return 0, false, nil
			}}, nil
		})
		j.Node("blocked", source, graph.Partitioning_HASH, func(env *operator.Env) (operator.Operator, error) {
			return &Func{Base: NewBase(env), OnBatch: func(*Func, *Vec) error {
				select {
				case <-goOn:
				case <-env.Runtime.Context().Done():
				}
				return nil
			}}, nil
		})
		return j
	}}
	m := start(t, Config{Build: all.build})
	id, err := m.Submit(t.Context(), all.graph(t, "blocked", 1))
	if err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "the source is backpressured, the sink is not", func() bool {
		d, _ := m.Dispatcher().Job(id)
		return len(d.Vertices) == 2 && d.Vertices[0].Subtasks[0].Load.Backpressured > .9 && d.Vertices[1].Subtasks[0].Load.Backpressured == 0
	})
	close(goOn)
	testkit.Eventually(t, "the source goes on", func() bool {
		d, _ := m.Dispatcher().Job(id)
		return d.Vertices[0].Subtasks[0].Load.Backpressured < .9
	})
}

func TestManyJobsAtOnce(t *testing.T) {
	out := &output{}
	all := jobs{"count": count(out)}
	m := start(t, Config{Build: all.build})
	var wg sync.WaitGroup
	for range 20 {
		g := all.graph(t, "count", 2)
		wg.Go(func() {
			if r := run(t, m, g); r.GetStatus() != linkpb.JobStatus_FINISHED {
				t.Errorf("result %v", r)
			}
		})
	}
	wg.Wait()
}

func TestCloseCancels(t *testing.T) {
	all := jobs{"endless": func() *Job {
		j := &Job{}
		j.Node("endless", nil, 0, endless)
		return j
	}}
	m := start(t, Config{Build: all.build})
	id, err := m.Submit(t.Context(), all.graph(t, "endless", 2))
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if r, err := m.Await(t.Context(), id); err != nil || r.GetStatus() != linkpb.JobStatus_CANCELED {
		t.Errorf("result %v, %v, want CANCELED", r, err)
	}
	if _, err := m.Submit(t.Context(), all.graph(t, "endless", 2)); err == nil {
		t.Error("a closed MiniCluster takes jobs")
	}
}

func TestDefaultParallelism(t *testing.T) {
	c, err := conf.FromMap(map[string]string{"parallelism.default": "7"})
	if err != nil {
		t.Fatal(err)
	}
	if p := DefaultParallelism(c); p != 7 {
		t.Errorf("%d, want 7", p)
	}
	if p := DefaultParallelism(conf.Configuration{}); p < 1 {
		t.Errorf("%d, want the number of processors", p)
	}
	if _, err := New(Config{}); err == nil {
		t.Error("a MiniCluster without a build function was started")
	}
}
