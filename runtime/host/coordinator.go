package host

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/operator"
	"github.com/weftstream/weft/runtime/task"
)

// coordinatorQueue bounds what waits for a coordinator. Each of its subtasks has few requests under way.
const coordinatorQueue = 4096

// coordinator runs an operator.Coordinator in a goroutine of its own: user code that may be slow.
type coordinator struct {
	h      *host
	node   *graph.Node
	env    *operator.Env
	calls  chan func(operator.Coordinator)
	ctx    context.Context // of the coordinator's code; ends with cancel
	cancel context.CancelFunc
	opened chan struct{} // closed once the factory has returned
	done   sync.WaitGroup
	err    error // why there is no coordinator; of its goroutine
}

func (h *host) startCoordinator(d *linkpb.Coordinator) error {
	var id operator.ID
	copy(id[:], d.GetOperator())
	node := h.job.Nodes[id]
	if node == nil || node.Coordinator == nil {
		return fmt.Errorf("deploy coordinator of operator %s: the graph that this host built has none", id)
	}
	if h.coords[id] != nil {
		return fmt.Errorf("deploy coordinator of operator %q: it runs already", node.Name)
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := &coordinator{h: h, node: node, ctx: ctx, cancel: cancel, opened: make(chan struct{}),
		calls: make(chan func(operator.Coordinator), coordinatorQueue)}
	c.env = &operator.Env{
		Job: h.job.Graph.ID().String(), JobName: h.job.Graph.GetName(), ID: id, Name: node.Name, Subtask: -1, Epoch: h.job.Epoch,
		Parallelism: int(d.GetParallelism()), MaxParallelism: int(d.GetMaxParallelism()), BatchSize: task.DefaultBatchSize,
		Log:     h.log.With("operator", node.Name, "role", "coordinator"),
		Runtime: &coordinatorRuntime{ctx: ctx, counters: map[string]*operator.Counter{}}, Snapshot: d.GetSnapshot(),
		CommitsOnly: d.GetCommitsOnly(), CachedFiles: h.job.CachedFiles,
	}
	h.coords[id] = c
	h.mu.Lock()
	h.opening = append(h.opening, c)
	h.mu.Unlock()
	c.done.Go(c.run)
	return nil
}

// run makes the coordinator and then serves it, call by call, until calls is closed.
func (c *coordinator) run() {
	var co operator.Coordinator
	c.err = task.Protect(func() (err error) {
		co, err = c.node.Coordinator(c.env)
		if err == nil && co == nil {
			err = fmt.Errorf("its factory returned nothing")
		}
		return err
	})
	if c.err != nil {
		co = nil
		c.err = fmt.Errorf("open the coordinator of %q: %w", c.node.Name, c.err)
		if c.ctx.Err() == nil { // what it says after its context has ended follows from that
			c.report(c.err)
		}
	}
	close(c.opened)
	for call := range c.calls {
		call(co)
	}
	if co == nil {
		return
	}
	if err := task.Protect(co.Close); err != nil {
		c.h.log.Warn("coordinator did not close", "operator", c.node.Name, "error", err)
	}
}

// stop ends the coordinator after the calls that wait; join waits for it.
func (c *coordinator) stop() {
	c.cancel()
	close(c.calls)
}

func (c *coordinator) join() { c.done.Wait() }

// report fails the job with what the coordinator's code did.
func (c *coordinator) report(err error) {
	f := task.FailureOf(err)
	f.Operator, f.Subtask = c.node.Name, -1
	c.h.failed(f)
}

// do calls f with the coordinator and returns its error; a panic is also reported, with its stack.
func (c *coordinator) do(co operator.Coordinator, what string, f func(operator.Coordinator) error) error {
	if co == nil {
		return c.err
	}
	err := task.Protect(func() error { return f(co) })
	if err == nil {
		return nil
	}
	err = fmt.Errorf("coordinator of %q: %s: %w", c.node.Name, what, err)
	var p *task.PanicError
	if errors.As(err, &p) {
		c.report(err)
	}
	return err
}

// coordinate queues a request of a subtask for its coordinator.
func (h *host) coordinate(r *linkpb.CoordinatorRequest) {
	answer := func(payload []byte, err error) {
		m := &linkpb.CoordinatorResponse{Seq: r.GetSeq(), Payload: payload}
		if err != nil {
			m.Error = err.Error()
		}
		h.out.put(&linkpb.FromHost{Message: &linkpb.FromHost_CoordinatorResponse{CoordinatorResponse: m}})
	}
	c, err := h.coordinator(r.GetOperator())
	if err != nil {
		answer(nil, err)
		return
	}
	err = c.put(func(co operator.Coordinator) {
		var payload []byte
		err := c.do(co, "answer a request", func(co operator.Coordinator) (err error) {
			payload, err = co.Handle(int(r.GetSubtask()), r.GetPayload())
			return err
		})
		answer(payload, err)
	})
	if err != nil {
		answer(nil, err)
	}
}

// commit queues a commit for an operator's coordinator.
func (h *host) commit(m *linkpb.Commit) {
	done := func(err error) {
		d := &linkpb.CommitDone{Operator: m.GetOperator(), Seq: m.GetSeq()}
		if err != nil {
			d.Error = err.Error()
		}
		h.out.put(&linkpb.FromHost{Message: &linkpb.FromHost_CommitDone{CommitDone: d}})
	}
	c, err := h.coordinator(m.GetOperator())
	if err != nil {
		done(err)
		return
	}
	h.commits.begin()
	err = c.put(func(co operator.Coordinator) {
		err := c.do(co, "commit", func(co operator.Coordinator) error {
			if err := co.Commit(m.GetCommittables()); err != nil || !m.GetLast() {
				return err
			}
			if f, ok := co.(operator.Finisher); ok {
				return f.Finish()
			}
			return nil
		})
		h.commits.end()
		done(err)
	})
	if err != nil {
		h.commits.end()
		done(err)
	}
}

func (h *host) coordinator(op []byte) (*coordinator, error) {
	var id operator.ID
	copy(id[:], op)
	if c := h.coords[id]; c != nil {
		return c, nil
	}
	return nil, fmt.Errorf("no coordinator of operator %s runs in host %s", id, h.start.GetResourceId())
}

// put queues a call without blocking, as it is the main loop that calls it.
func (c *coordinator) put(call func(operator.Coordinator)) error {
	select {
	case c.calls <- call:
		return nil
	default:
		return fmt.Errorf("coordinator of %q is behind: %d requests wait for it", c.node.Name, coordinatorQueue)
	}
}

// coordinatorRuntime is the part of operator.Runtime that coordinators have.
type coordinatorRuntime struct {
	operator.Runtime // nil: coordinators have nothing else
	ctx              context.Context

	mu       sync.Mutex
	counters map[string]*operator.Counter
}

// Context ends when the host shuts down.
func (r *coordinatorRuntime) Context() context.Context { return r.ctx }

// Counter returns the coordinator's counter of that name.
func (r *coordinatorRuntime) Counter(name string) *operator.Counter {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.counters[name]
	if c == nil {
		c = &operator.Counter{}
		r.counters[name] = c
	}
	return c
}
