package host_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/runtime/host"
	"github.com/weftstream/weft/runtime/network"
	. "github.com/weftstream/weft/runtime/task/tasktest"
)

const (
	forward   = graph.Partitioning_FORWARD
	hash      = graph.Partitioning_HASH
	rebalance = graph.Partitioning_REBALANCE
)

var (
	quiet = slog.New(slog.NewTextHandler(io.Discard, nil))
	key   = []byte("0123456789abcdef0123456789abcdef")
)

// listener is the data port of a TaskManager with one task host.
type listener struct {
	net.Listener
	mu    sync.Mutex
	conns []net.Conn
}

func (l *listener) Accept() (net.Conn, network.Preamble, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, network.Preamble{}, err
		}
		p, err := network.ReadPreamble(c)
		if err != nil {
			c.Close()
			continue
		}
		l.mu.Lock()
		l.conns = append(l.conns, c)
		l.mu.Unlock()
		return c, p, nil
	}
}

// cut closes the connections that were accepted.
func (l *listener) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.conns {
		c.Close()
	}
}

// worker is a host under test with everything it said.
type worker struct {
	*host.Pipe
	Place
	data *listener
	stop context.CancelFunc
	done chan struct{}
	err  error

	mu      sync.Mutex
	changed sync.Cond
	said    []*linkpb.FromHost
}

func newWorker(t testing.TB, resource string, build host.Build) *worker {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	w := &worker{Pipe: host.NewPipe(ctx), Place: Place{Resource: resource, Address: l.Addr().String()}, data: &listener{Listener: l}, stop: stop, done: make(chan struct{})}
	w.changed.L = &w.mu
	var reader sync.WaitGroup
	ended := make(chan struct{})
	reader.Go(func() {
		for {
			select {
			case m := <-w.Events():
				w.mu.Lock()
				w.said = append(w.said, m)
				w.changed.Broadcast()
				w.mu.Unlock()
			case <-ended:
				return
			}
		}
	})
	go func() {
		w.err = host.Run(ctx, w.Pipe, host.Options{Build: build, Log: quiet, Data: w.data})
		close(w.done)
	}()
	t.Cleanup(func() {
		w.Close()
		<-w.done
		close(ended)
		reader.Wait()
		stop()
	})
	return w
}

// wait returns the first message, also of those that came before, that ok likes.
func (w *worker) wait(ok func(*linkpb.FromHost) bool) *linkpb.FromHost {
	w.mu.Lock()
	defer w.mu.Unlock()
	for at := 0; ; {
		for ; at < len(w.said); at++ {
			if ok(w.said[at]) {
				return w.said[at]
			}
		}
		w.changed.Wait()
	}
}

func (w *worker) tell(t testing.TB, m *linkpb.ToHost) {
	t.Helper()
	if err := w.Tell(m); err != nil {
		t.Fatal(err)
	}
}

func (w *worker) start(t testing.TB, g *graph.JobGraph, key []byte, config map[string]string) {
	w.tell(t, &linkpb.ToHost{Message: &linkpb.ToHost_Start{Start: &linkpb.HostStart{Graph: g, Config: config, ResourceId: w.Resource, DataAddress: w.Address, JobKey: key}}})
}

func (w *worker) deploy(t testing.TB, d *linkpb.Deploy) {
	w.tell(t, &linkpb.ToHost{Message: &linkpb.ToHost_Deploy{Deploy: d}})
}

// final waits for the end of every task of d.
func (w *worker) final(d *linkpb.Deploy) []*linkpb.TaskUpdate {
	var found []*linkpb.TaskUpdate
	for _, spec := range d.Tasks {
		m := w.wait(func(m *linkpb.FromHost) bool {
			u := m.GetTask()
			return u != nil && u.State >= linkpb.ExecutionState_EXECUTION_FINISHED && string(u.Id.Vertex) == string(spec.Id.Vertex) && u.Id.Subtask == spec.Id.Subtask
		})
		found = append(found, m.GetTask())
	}
	return found
}

// cluster is a job on some workers.
type cluster struct {
	workers []*worker
	graph   *graph.JobGraph
	deploys map[string]*linkpb.Deploy
}

// run starts the job that make makes on n workers. make is called once per host and for the driver, as Build would be.
func run(t testing.TB, n, parallelism int, config map[string]string, make func() *Job) *cluster {
	t.Helper()
	c := &cluster{graph: make().Graph(t, parallelism)}
	var places []Place
	for i := range n {
		w := newWorker(t, string(rune('a'+i)), func(string, []byte) (*graph.StreamGraph, error) {
			j := make()
			j.Name = "test"
			return &j.StreamGraph, nil
		})
		c.workers, places = append(c.workers, w), append(places, w.Place)
	}
	c.deploys = Deploy(c.graph, places...)
	for _, w := range c.workers {
		w.start(t, c.graph, key, config)
		w.deploy(t, c.deploys[w.Resource])
	}
	return c
}

// final waits for all tasks of all workers.
func (c *cluster) final() []*linkpb.TaskUpdate {
	var all []*linkpb.TaskUpdate
	for _, w := range c.workers {
		all = append(all, w.final(c.deploys[w.Resource])...)
	}
	return all
}
