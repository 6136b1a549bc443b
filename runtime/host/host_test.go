package host_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/internal/testkit"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/operator"
	"github.com/weftstream/weft/runtime/host"
	"github.com/weftstream/weft/runtime/network"
	. "github.com/weftstream/weft/runtime/task/tasktest"
)

// sums is a factory of operators that add up by key and emit at the end.
func sums(env *operator.Env) (operator.Operator, error) {
	byKey := map[string]int64{}
	return &Func{Base: NewBase(env),
		OnBatch: func(_ *Func, v *Vec) error {
			for _, r := range v.V {
				byKey[r.Key] += r.N
			}
			return nil
		},
		OnEnd: func(o *Func) error {
			out := operator.NewVec[Record](0)
			for k, n := range byKey {
				out.V = append(out.V, Record{Key: k, N: n})
			}
			if err := o.Out.Batch(out); err != nil {
				return err
			}
			return o.Out.End()
		}}, nil
}

func TestJobOnHostsAgreesWithOracle(t *testing.T) {
	for _, hosts := range []int{1, 2, 3} {
		t.Run(fmt.Sprint(hosts, " hosts"), func(t *testing.T) {
			testkit.NoLeak(t)
			const n, parallelism = 50_000, 4
			var got Collected
			c := run(t, hosts, parallelism, nil, func() *Job {
				j := &Job{}
				src := j.Node("source", nil, 0, generate(n))
				spread := j.Node("spread", src, rebalance, func(env *operator.Env) (operator.Operator, error) { return &Func{Base: NewBase(env)}, nil })
				j.Node("sink", j.Node("sums", spread, hash, sums), forward, got.Sink)
				return j
			})
			for _, u := range c.final() {
				if u.State != linkpb.ExecutionState_EXECUTION_FINISHED {
					t.Fatal(u)
				}
				if hosts > 1 && u.Io.WriteRecords > 0 && u.Io.WriteBytes == 0 {
					t.Errorf("no bytes were written over connections: %v", u.Io)
				}
			}
			total, seen := int64(0), map[string]bool{}
			for _, r := range got.Records() {
				if seen[r.Key] {
					t.Errorf("key %q was summed in two subtasks", r.Key)
				}
				seen[r.Key] = true
				total += r.N
			}
			if total != n*parallelism {
				t.Errorf("summed %d records, want %d", total, n*parallelism)
			}
		})
	}
}

func TestHelloReadyMetricsShutdown(t *testing.T) {
	testkit.NoLeak(t)
	c := run(t, 1, 1, nil, func() *Job {
		j := &Job{}
		j.Node("source", nil, 0, func(env *operator.Env) (operator.Operator, error) {
			env.Runtime.Counter("polls").Add(1)
			return &Source{Func: Func{Base: NewBase(env)}, OnPoll: func(*Source, *Vec) (time.Duration, bool, error) { return time.Hour, false, nil }}, nil
		})
		return j
	})
	w := c.workers[0]
	ready := w.wait(func(m *linkpb.FromHost) bool { return m.GetReady() != nil }).GetReady()
	if !slices.Equal(ready.Fingerprint, c.graph.Fingerprint) {
		t.Errorf("fingerprint %v", ready.Fingerprint)
	}
	if w.said[0].GetHello().GetPid() == 0 {
		t.Errorf("first message %v", w.said[0])
	}
	m := w.wait(func(m *linkpb.FromHost) bool { return m.GetMetrics() != nil }).GetMetrics()
	if len(m.Tasks) != 1 || m.Tasks[0].Counters["polls"] != 1 || m.Resident == 0 {
		t.Errorf("metrics %v", m)
	}
	w.tell(t, &linkpb.ToHost{Message: &linkpb.ToHost_Shutdown{Shutdown: &linkpb.HostShutdown{Reason: "test"}}})
	<-w.done
	if w.err != nil {
		t.Error(w.err)
	}
	w.wait(func(m *linkpb.FromHost) bool {
		return m.GetTask().GetState() == linkpb.ExecutionState_EXECUTION_CANCELED
	})
}

func TestHostThatCannotStartSaysWhy(t *testing.T) {
	make := func(name string) *Job {
		j := &Job{}
		j.Name = "test"
		j.Node(name, nil, 0, generate(1))
		return j
	}
	for name, c := range map[string]struct {
		build  host.Build
		config map[string]string
		want   string
	}{
		"fingerprint": {func(string, []byte) (*graph.StreamGraph, error) { return &make("other").StreamGraph, nil }, nil, "the graph differs at line 1"},
		"error":       {func(string, []byte) (*graph.StreamGraph, error) { return nil, errors.New("no such job") }, nil, "no such job"},
		"nothing":     {func(string, []byte) (*graph.StreamGraph, error) { return nil, nil }, nil, "it made no graph"},
		"panic":       {func(string, []byte) (*graph.StreamGraph, error) { panic("bug") }, nil, "panic: bug"},
		"config": {func(string, []byte) (*graph.StreamGraph, error) { return &make("source").StreamGraph, nil },
			map[string]string{"execution.buffer-timeout.interval": "soon"}, "execution.buffer-timeout.interval"},
	} {
		t.Run(name, func(t *testing.T) {
			testkit.NoLeak(t)
			w := newWorker(t, "a", c.build)
			w.start(t, make("source").Graph(t, 1), key, c.config)
			<-w.done
			if w.err == nil {
				t.Error("Run returned nil")
			}
			f := w.wait(func(m *linkpb.FromHost) bool { return m.GetFailed() != nil }).GetFailed()
			if !strings.Contains(f.Message, c.want) || f.Host != "a" || f.Secondary {
				t.Errorf("failure %v, want %q", f, c.want)
			}
			if name == "panic" && !strings.Contains(f.Stack, "TestHostThatCannotStartSaysWhy") {
				t.Errorf("stack %q", f.Stack)
			}
		})
	}
}

func TestBufferTimeoutIsReadFromTheConfiguration(t *testing.T) {
	testkit.NoLeak(t)
	got := make(chan int, 16)
	c := run(t, 1, 1, map[string]string{"execution.buffer-timeout": "0 ms"}, func() *Job {
		j := &Job{}
		src := j.Node("source", nil, 0, func(env *operator.Env) (operator.Operator, error) {
			return &Source{Func: Func{Base: NewBase(env)}, OnPoll: func(_ *Source, v *Vec) (time.Duration, bool, error) {
				v.V = append(v.V, Record{})
				return time.Hour, false, nil
			}}, nil
		})
		j.Node("sink", src, rebalance, func(env *operator.Env) (operator.Operator, error) {
			return &Func{Base: NewBase(env), OnBatch: func(_ *Func, v *Vec) error { got <- v.Len(); return nil }}, nil
		})
		return j
	})
	// The source waits for an hour: the record comes because batches aren't held back.
	if n := <-got; n != 1 {
		t.Errorf("got a batch of %d", n)
	}
	c.workers[0].tell(t, cancelAll(c.deploys["a"]))
	for _, u := range c.final() {
		if u.State != linkpb.ExecutionState_EXECUTION_CANCELED {
			t.Error(u)
		}
	}
}

func cancelAll(d *linkpb.Deploy) *linkpb.ToHost {
	m := &linkpb.CancelTasks{}
	for _, t := range d.Tasks {
		m.Ids = append(m.Ids, t.Id)
	}
	return &linkpb.ToHost{Message: &linkpb.ToHost_Cancel{Cancel: m}}
}

// endless is a job that runs until it is stopped, sending over an exchange.
func endless(j *Job, sunk *atomic.Int64) {
	src := j.Node("source", nil, 0, generate(1<<50))
	j.Node("sink", src, hash, func(env *operator.Env) (operator.Operator, error) {
		return &Func{Base: NewBase(env), OnBatch: func(_ *Func, v *Vec) error { sunk.Add(int64(v.Len())); return nil }}, nil
	})
}

func TestCutConnectionIsSecondaryFailureOfThePeer(t *testing.T) {
	testkit.NoLeak(t)
	var sunk atomic.Int64
	c := run(t, 2, 2, nil, func() *Job { j := &Job{}; endless(j, &sunk); return j })
	testkit.Eventually(t, "records flow", func() bool { return sunk.Load() > 100_000 })
	c.workers[0].data.cut()
	// Data from a to b flowed on the connection that b had dialled.
	failed := func(w *worker, d *linkpb.Deploy, task int) *linkpb.Failure {
		return w.wait(func(m *linkpb.FromHost) bool {
			return m.GetTask().GetState() == linkpb.ExecutionState_EXECUTION_FAILED && bytes.Equal(m.GetTask().Id.Vertex, d.Tasks[task].Id.Vertex)
		}).GetTask().Failure
	}
	source, sink := failed(c.workers[0], c.deploys["a"], 0), failed(c.workers[1], c.deploys["b"], 1)
	if !source.Secondary || source.LostPeer != "b" || source.Host != "a" {
		t.Errorf("source on a: %v", source)
	}
	if !sink.Secondary || sink.LostPeer != "a" || sink.Host != "b" {
		t.Errorf("sink on b: %v", sink)
	}
}

func TestHostThatGoesAwayIsTheLostPeer(t *testing.T) {
	testkit.NoLeak(t)
	var sunk atomic.Int64
	c := run(t, 2, 2, nil, func() *Job { j := &Job{}; endless(j, &sunk); return j })
	testkit.Eventually(t, "records flow", func() bool { return sunk.Load() > 100_000 })
	c.workers[0].Close()
	<-c.workers[0].done
	if err := c.workers[0].err; err != nil {
		t.Errorf("the host whose link ended: %v", err)
	}
	// The first of the tasks of b that fails: another may wait for room at that one then, until it is cancelled.
	f := c.workers[1].wait(func(m *linkpb.FromHost) bool { return m.GetTask().GetFailure() != nil }).GetTask().Failure
	if !f.GetSecondary() || f.LostPeer != "a" {
		t.Error(f)
	}
}

func TestHostsWithDifferentJobKeysRefuseEachOther(t *testing.T) {
	testkit.NoLeak(t)
	var got Collected
	make := func() *Job {
		j := &Job{}
		j.Name = "test"
		j.Node("sink", j.Node("source", nil, 0, generate(10)), rebalance, got.Sink)
		return j
	}
	build := func(string, []byte) (*graph.StreamGraph, error) { return &make().StreamGraph, nil }
	a, b := newWorker(t, "a", build), newWorker(t, "b", build)
	g := make().Graph(t, 2)
	deploys := Deploy(g, a.Place, b.Place)
	a.start(t, g, key, nil)
	b.start(t, g, bytes.Repeat([]byte("x"), 32), nil)
	a.deploy(t, deploys["a"])
	b.deploy(t, deploys["b"])
	f := b.wait(func(m *linkpb.FromHost) bool { return m.GetTask().GetFailure() != nil }).GetTask().Failure
	if f.Secondary || !strings.Contains(f.Message, network.ErrHandshake.Error()) {
		t.Errorf("failure %v", f)
	}
}

// coordinated adds a source whose splits come from a coordinator, and a sink that commits by one.
func coordinated(j *Job, co func(env *operator.Env) (operator.Coordinator, error)) {
	src := j.Node("source", nil, 0, func(env *operator.Env) (operator.Operator, error) {
		asked, answer := false, ""
		return &Source{Func: Func{Base: NewBase(env)}, OnPoll: func(_ *Source, v *Vec) (time.Duration, bool, error) {
			if !asked {
				asked = true
				env.Runtime.Ask([]byte("next"), func(p []byte, err error) error { answer = string(p); return err })
			}
			if answer == "" {
				return time.Hour, false, nil
			}
			v.V = append(v.V, Record{Key: answer})
			return 0, true, nil
		}}, nil
	})
	src.Coordinator = co
}

type coordinator struct {
	handle func(subtask int, request []byte) ([]byte, error)
	commit func([][]byte) error
	closed *atomic.Int32
}

func (c *coordinator) Handle(subtask int, request []byte) ([]byte, error) {
	return c.handle(subtask, request)
}
func (c *coordinator) Lost(int) error               { return nil }
func (*coordinator) Snapshot(int64) ([]byte, error) { return nil, nil }
func (c *coordinator) Commit(parts [][]byte) error  { return c.commit(parts) }
func (c *coordinator) Close() error                 { c.closed.Add(1); return nil }

// relay does the JobMaster's part: requests go to the first worker, with numbers of its own, and answers back.
func relay(t *testing.T, c *cluster, n int) {
	type origin struct {
		w   *worker
		seq int64
	}
	origins := map[int64]origin{}
	for i := range n {
		w := c.workers[i%len(c.workers)]
		seen := map[int64]bool{}
		for _, o := range origins {
			if o.w == w {
				seen[o.seq] = true
			}
		}
		q := w.wait(func(m *linkpb.FromHost) bool {
			return m.GetCoordinatorRequest() != nil && !seen[m.GetCoordinatorRequest().Seq]
		}).GetCoordinatorRequest()
		seq := int64(1000 + i)
		origins[seq] = origin{w, q.Seq}
		c.workers[0].tell(t, &linkpb.ToHost{Message: &linkpb.ToHost_CoordinatorRequest{CoordinatorRequest: &linkpb.CoordinatorRequest{
			Seq: seq, Operator: q.Operator, Subtask: q.Subtask, Attempt: q.Attempt, Payload: q.Payload}}})
	}
	for seq, o := range origins {
		a := c.workers[0].wait(func(m *linkpb.FromHost) bool { return m.GetCoordinatorResponse().GetSeq() == seq }).GetCoordinatorResponse()
		o.w.tell(t, &linkpb.ToHost{Message: &linkpb.ToHost_CoordinatorResponse{CoordinatorResponse: &linkpb.CoordinatorResponse{Seq: o.seq, Payload: a.Payload, Error: a.Error}}})
	}
}

func TestCoordinatorAnswersAndCommits(t *testing.T) {
	testkit.NoLeak(t)
	var closed atomic.Int32
	var committed []string
	c := run(t, 2, 4, nil, func() *Job {
		j := &Job{}
		coordinated(j, func(env *operator.Env) (operator.Coordinator, error) {
			if env.Subtask != -1 || env.Parallelism != 4 {
				t.Errorf("env %+v", env)
			}
			env.Runtime.Counter("made").Add(1)
			return &coordinator{closed: &closed,
				handle: func(subtask int, request []byte) ([]byte, error) {
					return fmt.Appendf(nil, "%s %d", request, subtask), nil
				},
				commit: func(parts [][]byte) error {
					for _, p := range parts {
						if string(p) == "bad" {
							panic("cannot rename")
						}
						committed = append(committed, string(p))
					}
					return nil
				}}, nil
		})
		return j
	})
	relay(t, c, 4)
	for _, u := range c.final() {
		if u.State != linkpb.ExecutionState_EXECUTION_FINISHED {
			t.Error(u)
		}
	}
	op := c.graph.Vertices[0].Operators[0].Id
	w := c.workers[0]
	w.tell(t, &linkpb.ToHost{Message: &linkpb.ToHost_Commit{Commit: &linkpb.Commit{Operator: op, Committables: [][]byte{[]byte("p0"), []byte("p1")}, Seq: 7}}})
	done := w.wait(func(m *linkpb.FromHost) bool { return m.GetCommitDone() != nil }).GetCommitDone()
	if done.Error != "" || done.Seq != 7 || !bytes.Equal(done.Operator, op) || !slices.Equal(committed, []string{"p0", "p1"}) {
		t.Errorf("commit: %v, committed %v", done, committed)
	}
	w.tell(t, &linkpb.ToHost{Message: &linkpb.ToHost_Commit{Commit: &linkpb.Commit{Operator: op, Committables: [][]byte{[]byte("bad")}, Seq: 8}}})
	done = w.wait(func(m *linkpb.FromHost) bool { return m.GetCommitDone().GetError() != "" }).GetCommitDone()
	if done.Seq != 8 || !strings.Contains(done.Error, "cannot rename") {
		t.Errorf("commit: %v", done)
	}
	f := w.wait(func(m *linkpb.FromHost) bool { return m.GetFailed() != nil }).GetFailed()
	if f.Operator != "source" || !strings.Contains(f.Stack, "TestCoordinatorAnswersAndCommits") {
		t.Errorf("failure %v", f)
	}
	w.tell(t, &linkpb.ToHost{Message: &linkpb.ToHost_Commit{Commit: &linkpb.Commit{Operator: []byte("0123456789abcdef")}}})
	w.wait(func(m *linkpb.FromHost) bool { return strings.Contains(m.GetCommitDone().GetError(), "no coordinator") })
	w.Close()
	<-w.done
	if closed.Load() != 1 {
		t.Errorf("coordinator closed %d times", closed.Load())
	}
}

// TestCommitOutlivesTheLink: a host whose TaskManager has gone ends a commit that is under way before its context ends.
func TestCommitOutlivesTheLink(t *testing.T) {
	testkit.NoLeak(t)
	committing, proceed := make(chan struct{}), make(chan struct{})
	cancelled := errors.New("the commit never ran")
	c := run(t, 1, 1, nil, func() *Job {
		j := &Job{}
		coordinated(j, func(env *operator.Env) (operator.Coordinator, error) {
			return &coordinator{closed: new(atomic.Int32),
				handle: func(int, []byte) ([]byte, error) { return []byte("x"), nil },
				commit: func([][]byte) error {
					close(committing)
					<-proceed
					cancelled = env.Runtime.Context().Err()
					return nil
				}}, nil
		})
		return j
	})
	relay(t, c, 1)
	c.final()
	w := c.workers[0]
	w.tell(t, &linkpb.ToHost{Message: &linkpb.ToHost_Commit{Commit: &linkpb.Commit{Operator: c.graph.Vertices[0].Operators[0].Id}}})
	<-committing
	w.Close()
	select {
	case <-w.done:
		t.Error("the host ended in the middle of a commit")
	case <-time.After(50 * time.Millisecond): // there is nothing to be seen of a host that waits
	}
	close(proceed)
	<-w.done
	if cancelled != nil {
		t.Errorf("in the commit: %v", cancelled)
	}
}

func TestCoordinatorErrorsAndPanicsFailTheSubtask(t *testing.T) {
	for name, co := range map[string]func(*operator.Env) (operator.Coordinator, error){
		"factory": func(*operator.Env) (operator.Coordinator, error) { return nil, errors.New("broken splits") },
		"error": func(*operator.Env) (operator.Coordinator, error) {
			return &coordinator{closed: new(atomic.Int32), handle: func(int, []byte) ([]byte, error) { return nil, errors.New("broken splits") }}, nil
		},
		"panic": func(*operator.Env) (operator.Coordinator, error) {
			return &coordinator{closed: new(atomic.Int32), handle: func(int, []byte) ([]byte, error) { panic("broken splits") }}, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			testkit.NoLeak(t)
			c := run(t, 1, 1, nil, func() *Job { j := &Job{}; coordinated(j, co); return j })
			relay(t, c, 1)
			u := c.final()[0]
			if f := u.GetFailure(); u.State != linkpb.ExecutionState_EXECUTION_FAILED || f.Operator != "source" || !strings.Contains(f.Message, "broken splits") {
				t.Errorf("task: %v", u)
			}
			if name != "error" {
				c.workers[0].wait(func(m *linkpb.FromHost) bool {
					return m.GetFailed().GetOperator() == "source" && strings.Contains(m.GetFailed().GetMessage(), "broken splits")
				})
			}
		})
	}
}

// A sink's coordinator refuses existing output when it opens; a job too short to notice must not look finished before.
func TestTaskFinishesAfterItsHostsCoordinatorsOpened(t *testing.T) {
	testkit.NoLeak(t)
	open := make(chan struct{})
	c := run(t, 1, 1, nil, func() *Job {
		j := &Job{}
		j.Node("source", nil, 0, generate(1)).Coordinator = func(*operator.Env) (operator.Coordinator, error) {
			<-open
			return nil, errors.New("output exists")
		}
		return j
	})
	w := c.workers[0]
	w.wait(func(m *linkpb.FromHost) bool {
		return m.GetTask().GetState() == linkpb.ExecutionState_EXECUTION_RUNNING
	})
	close(open)
	failed := false
	w.wait(func(m *linkpb.FromHost) bool {
		failed = failed || m.GetFailed() != nil
		return m.GetTask().GetState() == linkpb.ExecutionState_EXECUTION_FINISHED
	})
	if !failed {
		t.Error("the task was FINISHED before the coordinator had opened")
	}
}

func TestDeployOfUnknownVertexFailsThatTask(t *testing.T) {
	testkit.NoLeak(t)
	c := run(t, 1, 1, nil, func() *Job { j := &Job{}; j.Node("source", nil, 0, generate(1)); return j })
	c.final()
	w := c.workers[0]
	w.deploy(t, &linkpb.Deploy{Tasks: []*linkpb.Task{{Id: &linkpb.ExecutionID{Vertex: []byte("unknown")}}}})
	w.wait(func(m *linkpb.FromHost) bool {
		return strings.Contains(m.GetTask().GetFailure().GetMessage(), "no such vertex")
	})
}

// broken is a link whose TaskManager doesn't answer.
type broken struct{ err error }

func (b broken) Send(*linkpb.FromHost) error   { return b.err }
func (b broken) Recv() (*linkpb.ToHost, error) { return nil, b.err }

func TestBrokenLinkAndEndedContext(t *testing.T) {
	testkit.NoLeak(t)
	cause := errors.New("stream reset")
	build := func(string, []byte) (*graph.StreamGraph, error) { return nil, nil }
	if err := host.Run(t.Context(), broken{cause}, host.Options{Build: build, Log: quiet}); !errors.Is(err, cause) {
		t.Errorf("broken link: %v", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := host.Run(ctx, host.NewPipe(ctx), host.Options{Build: build, Log: quiet}); !errors.Is(err, context.Canceled) {
		t.Errorf("ended context: %v", err)
	}
	if err := host.Run(t.Context(), broken{cause}, host.Options{}); err == nil {
		t.Error("no Build, no error")
	}
}

func TestHostThatStartsLateIsReached(t *testing.T) {
	testkit.NoLeak(t)
	var got Collected
	make := func() *Job {
		j := &Job{}
		j.Name = "test"
		j.Node("sink", j.Node("source", nil, 0, generate(1000)), rebalance, got.Sink)
		return j
	}
	build := func(string, []byte) (*graph.StreamGraph, error) { return &make().StreamGraph, nil }
	g := make().Graph(t, 2)
	a := newWorker(t, "a", build)
	b := newWorker(t, "b", build)
	deploys := Deploy(g, a.Place, b.Place)
	a.start(t, g, key, nil)
	a.deploy(t, deploys["a"])
	a.wait(func(m *linkpb.FromHost) bool {
		return m.GetTask().GetState() == linkpb.ExecutionState_EXECUTION_RUNNING
	})
	// Until now b had no job: it accepts a's connection only when it has.
	b.start(t, g, key, nil)
	b.deploy(t, deploys["b"])
	for _, u := range append(a.final(deploys["a"]), b.final(deploys["b"])...) {
		if u.State != linkpb.ExecutionState_EXECUTION_FINISHED {
			t.Error(u)
		}
	}
	if n := len(got.Records()); n != 2000 {
		t.Errorf("got %d records", n)
	}
}
