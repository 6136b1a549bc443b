package executor

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/link"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/runtime/cachedfile"
)

// Dispatcher is what Embedded needs of *dispatcher.Dispatcher.
type Dispatcher interface {
	Submit(ctx context.Context, g *graph.JobGraph) (graph.JobID, error)
	Await(ctx context.Context, id graph.JobID) (*linkpb.JobResult, error)
	Cancel(ctx context.Context, id graph.JobID) error
	// Recovered says that the job was submitted under an earlier JobManager, and keeps the cached files that it had then.
	Recovered(g *graph.JobGraph) bool
}

// Embedded serves a driver beside the Dispatcher: application mode. An application that runs again after a JobManager's
// failure takes up its jobs by their definitions and keys. It is safe for concurrent use.
type Embedded struct {
	o          Options
	dispatcher Dispatcher
	artifact   *graph.Artifact
	put        cachedfile.Put
	runs       runs
}

var _ link.DriverService = (*Embedded)(nil)

// NewEmbedded makes an Embedded. artifact says which executable task hosts run, and where it is. put takes the cached files of
// this machine that the application registers; nil refuses them.
func NewEmbedded(d Dispatcher, artifact *graph.Artifact, put cachedfile.Put, o Options) *Embedded {
	return &Embedded{o: o, dispatcher: d, artifact: artifact, put: put, runs: runs{hooks: o.Hooks}}
}

// Welcome implements link.DriverService.
func (e *Embedded) Welcome(context.Context) (map[string]string, bool, error) {
	return e.o.Conf.Map(), e.o.Detached, nil
}

// Submit implements link.DriverService. The cluster's configuration is below every job's, so the job's own stays as it is.
func (e *Embedded) Submit(ctx context.Context, g *graph.JobGraph) (graph.JobID, error) {
	g = proto.CloneOf(g)
	g.Artifact = e.artifact
	if !e.dispatcher.Recovered(g) {
		if err := cachedfile.Stage(ctx, g.GetCachedFiles(), e.put); err != nil {
			return g.ID(), err
		}
	}
	id, err := e.dispatcher.Submit(ctx, g)
	if err != nil {
		return id, err
	}
	e.runs.submitted(id, g.GetName())
	return id, nil
}

// Await implements link.DriverService.
func (e *Embedded) Await(ctx context.Context, id graph.JobID) (*linkpb.JobResult, error) {
	r, err := e.dispatcher.Await(ctx, id)
	if err == nil {
		e.runs.ended(id, r)
	}
	return r, err
}

// Cancel implements link.DriverService.
func (e *Embedded) Cancel(ctx context.Context, id graph.JobID) error {
	return e.dispatcher.Cancel(ctx, id)
}

// Jobs returns the jobs submitted so far, in that order.
func (e *Embedded) Jobs() []Run { return e.runs.all() }

// AwaitAll waits for the jobs submitted so far and returns them with their results, in the order of their submission: also
// those that the application started and didn't wait for. It is called when the driver has ended.
func (e *Embedded) AwaitAll(ctx context.Context) ([]Run, error) {
	for _, run := range e.runs.all() {
		if run.Result == nil {
			if _, err := e.Await(ctx, run.ID); err != nil {
				return e.runs.all(), fmt.Errorf("wait for job %q (%s): %w", run.Name, run.ID, err)
			}
		}
	}
	return e.runs.all(), nil
}
