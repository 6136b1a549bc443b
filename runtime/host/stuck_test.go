package host_test

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weftstream/weft/internal/testkit"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/operator"
	. "github.com/weftstream/weft/runtime/task/tasktest"
)

// mire is a source whose Poll doesn't come back before it is let go.
type mire struct {
	Source
	in, out chan struct{}
	once    *sync.Once
}

func (m *mire) Poll() (time.Duration, bool, error) {
	m.once.Do(func() { close(m.in) })
	<-m.out
	return 0, true, nil
}

// TestStuckSubtaskSaysWhereItIs: a subtask that ignores its cancellation, or has no part in a checkpoint that expires, is reported
// with the stack of its own goroutine, and of no other.
func TestStuckSubtaskSaysWhereItIs(t *testing.T) {
	testkit.NoLeak(t)
	in, out, once := make(chan struct{}), make(chan struct{}), &sync.Once{}
	c := run(t, 1, 1, map[string]string{"task.cancellation.interval": "1 ms"}, func() *Job {
		j := &Job{}
		j.Node("mire", nil, 0, func(env *operator.Env) (operator.Operator, error) {
			return &mire{Source: Source{Func: Func{Base: NewBase(env)}}, in: in, out: out, once: once}, nil
		})
		return j
	})
	letGo := sync.OnceFunc(func() { close(out) })
	t.Cleanup(letGo)
	w, id := c.workers[0], c.deploys["a"].Tasks[0].Id
	<-in
	check := func(f *linkpb.Failure, what string) {
		t.Helper()
		if f.GetVertex() != c.graph.Vertices[0].GetName() || f.GetSubtask() != 0 || !strings.Contains(f.GetMessage(), what) || !strings.Contains(f.GetMessage(), "host_test.(*mire).Poll (") {
			t.Errorf("said %v, want %q and the place", f, what)
		}
		if s := f.GetStack(); !strings.Contains(s, "stuck_test.go:") || !strings.Contains(s, "task.(*Task).Run") || strings.Contains(s, "host.(*host)."+"receive(") {
			t.Errorf("the stack is not the subtask's:\n%s", s)
		}
	}
	w.tell(t, &linkpb.ToHost{Message: &linkpb.ToHost_CheckpointNotice{CheckpointNotice: &linkpb.CheckpointNotice{Checkpoint: 4, Expired: true}}})
	d := w.wait(func(m *linkpb.FromHost) bool { return m.GetCheckpointDecline() != nil }).GetCheckpointDecline()
	if d.GetCheckpoint() != 4 || string(d.GetId().GetVertex()) != string(id.GetVertex()) {
		t.Errorf("declined %v", d)
	}
	check(d.GetFailure(), "had no part in checkpoint 4")
	w.tell(t, &linkpb.ToHost{Message: &linkpb.ToHost_Cancel{Cancel: &linkpb.CancelTasks{Ids: []*linkpb.ExecutionID{id}}}})
	check(w.wait(func(m *linkpb.FromHost) bool { return m.GetFailed() != nil }).GetFailed(), "hasn't ended within 1ms of its cancellation (task.cancellation.interval)")
	letGo()
	c.final()
}

// closing is a coordinator that says when it is closed.
type closing struct {
	operator.Coordinator
	name   string
	closed chan<- string
}

func (c *closing) Close() error { c.closed <- c.name; return nil }

// TestSomeCoordinatorsClose: those of a region that restarts end, the others go on.
func TestSomeCoordinatorsClose(t *testing.T) {
	testkit.NoLeak(t)
	closed := make(chan string, 4)
	c := run(t, 1, 1, nil, func() *Job {
		j := &Job{}
		for _, name := range []string{"one", "two"} {
			n := j.Node(name, nil, 0, generate(1))
			n.Coordinator = func(*operator.Env) (operator.Coordinator, error) { return &closing{name: name, closed: closed}, nil }
		}
		return j
	})
	w := c.workers[0]
	c.final()
	op := func(name string) []byte {
		for _, v := range c.graph.Vertices {
			if v.Operators[0].Name == name {
				return v.Operators[0].Id
			}
		}
		t.Fatalf("no operator %s in %v", name, c.graph)
		return nil
	}
	again := func() {
		w.tell(t, &linkpb.ToHost{Message: &linkpb.ToHost_CloseCoordinators{CloseCoordinators: &linkpb.CloseCoordinators{Operators: [][]byte{op("two")}}}})
		w.deploy(t, &linkpb.Deploy{Coordinators: []*linkpb.Coordinator{{Operator: op("two"), Parallelism: 1, MaxParallelism: 1}}})
	}
	again()
	again()
	for range 2 {
		if name := <-closed; name != "two" {
			t.Fatalf("coordinator %s was closed", name)
		}
	}
	w.tell(t, &linkpb.ToHost{Message: &linkpb.ToHost_CloseCoordinators{CloseCoordinators: &linkpb.CloseCoordinators{}}})
	if a, b := <-closed, <-closed; a == b {
		t.Errorf("%s was closed twice", a)
	}
}

// TestCoordinatorClosedWhileItOpens: that its code is interrupted is no failure of the job, which restarts already.
func TestCoordinatorClosedWhileItOpens(t *testing.T) {
	testkit.NoLeak(t)
	opening := make(chan struct{}, 1)
	var opened atomic.Int32
	c := run(t, 1, 1, nil, func() *Job {
		j := &Job{}
		n := j.Node("one", nil, 0, generate(1))
		n.Coordinator = func(env *operator.Env) (operator.Coordinator, error) {
			if opened.Add(1) == 1 {
				opening <- struct{}{}
				<-env.Runtime.Context().Done()
				return nil, env.Runtime.Context().Err()
			}
			return &closing{name: "one", closed: make(chan string, 1)}, nil
		}
		return j
	})
	w := c.workers[0]
	<-opening
	op := c.graph.Vertices[0].Operators[0].Id
	w.tell(t, &linkpb.ToHost{Message: &linkpb.ToHost_CloseCoordinators{CloseCoordinators: &linkpb.CloseCoordinators{}}})
	w.deploy(t, &linkpb.Deploy{Coordinators: []*linkpb.Coordinator{{Operator: op, Parallelism: 1, MaxParallelism: 1}}})
	w.tell(t, &linkpb.ToHost{Message: &linkpb.ToHost_Commit{Commit: &linkpb.Commit{Operator: []byte("0123456789abcdef"), Seq: 1}}})
	w.wait(func(m *linkpb.FromHost) bool { return m.GetCommitDone() != nil })
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range w.said {
		if f := m.GetFailed(); f != nil {
			t.Errorf("reported: %v", f)
		}
	}
}
