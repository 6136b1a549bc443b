package executor

import (
	"log/slog"
	"maps"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/link/linkpb"
)

// Hooks are called as jobs come and go, one call at a time; nil ones aren't. They must not call the DriverService.
type Hooks struct {
	// Submitted is called for each job that was submitted.
	Submitted func(id graph.JobID, name string)
	// Result is called once for each job whose result has become known here.
	Result func(*linkpb.JobResult)
}

// Options are what the DriverServices have in common.
type Options struct {
	// Conf is what the application gets as its configuration.
	Conf conf.Configuration
	// Detached has the application's Run return after the submission.
	Detached bool
	// ShutdownOnAttachedExit ends jobs with the client (execution.shutdown-on-attached-exit): Close cancels those that
	// still run, and the cluster does if heartbeats stop coming. It has no effect on detached ones, and none in Embedded.
	ShutdownOnAttachedExit bool
	Hooks                  Hooks
	Log                    *slog.Logger
}

func (o *Options) log() *slog.Logger {
	if o.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return o.Log
}

// tied says that jobs end with the client.
func (o *Options) tied() bool { return o.ShutdownOnAttachedExit && !o.Detached }

// jobScoped are the pairs of c that belong to a job rather than to a cluster.
func jobScoped(c conf.Configuration) map[string]string {
	pairs := map[string]string{}
	for _, m := range conf.Options() {
		if m.Scope != conf.ScopeJob {
			continue
		}
		for _, key := range append([]string{m.Key}, m.Older...) {
			if value, ok := c.Raw(key); ok {
				pairs[key] = value
			}
		}
		if m.Prefix || m.Type == "map" {
			for name, value := range c.WithPrefix(m.Key + ".") {
				pairs[m.Key+"."+name] = value
			}
		}
	}
	return pairs
}

// withConfig is a copy of g whose configuration has the client's job options below those the program set.
func withConfig(g *graph.JobGraph, c conf.Configuration) *graph.JobGraph {
	g = proto.CloneOf(g)
	own := g.Config
	g.Config = jobScoped(c)
	maps.Copy(g.Config, own)
	return g
}

// Run is a job that an application submitted.
type Run struct {
	ID   graph.JobID
	Name string
	// Result is nil until it is known here.
	Result *linkpb.JobResult
}

// runs are an application's jobs in the order of their submission. It is safe for concurrent use; hooks are called
// without its lock.
type runs struct {
	hooks  Hooks
	called sync.Mutex // held while a hook is called

	mu   sync.Mutex
	list []*Run
}

// submitted records a job; one that was submitted before (taken up again by its key) is recorded once.
func (r *runs) submitted(id graph.JobID, name string) {
	r.mu.Lock()
	known := r.find(id) != nil
	if !known {
		r.list = append(r.list, &Run{ID: id, Name: name})
	}
	r.mu.Unlock()
	if known || r.hooks.Submitted == nil {
		return
	}
	r.called.Lock()
	defer r.called.Unlock()
	r.hooks.Submitted(id, name)
}

// ended records a result.
func (r *runs) ended(id graph.JobID, result *linkpb.JobResult) {
	r.mu.Lock()
	run := r.find(id)
	first := run != nil && run.Result == nil
	if first {
		run.Result = result
	}
	r.mu.Unlock()
	if !first || r.hooks.Result == nil {
		return
	}
	r.called.Lock()
	defer r.called.Unlock()
	r.hooks.Result(result)
}

// find is called with mu held.
func (r *runs) find(id graph.JobID) *Run {
	for _, run := range r.list {
		if run.ID == id {
			return run
		}
	}
	return nil
}

// all is a copy.
func (r *runs) all() []Run {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]Run, len(r.list))
	for i, run := range r.list {
		out[i] = *run
	}
	return out
}
