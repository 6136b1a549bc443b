package rest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/rest/api"
	"github.com/weftstream/weft/rest/view"
	"github.com/weftstream/weft/runtime/checkpoint"
	"github.com/weftstream/weft/runtime/dispatcher"
)

// checkpointException is what Flink's client shows a failure as.
const checkpointException = "org.apache.flink.runtime.checkpoint.CheckpointException"

// maxRequestBody bounds the JSON of a request.
const maxRequestBody = 1 << 20

// decode reads the request's JSON into out; an empty body leaves it as it is.
func decode(c *call, out any) error {
	err := json.NewDecoder(http.MaxBytesReader(c.w, c.Body, maxRequestBody)).Decode(out)
	if err != nil && !errors.Is(err, io.EOF) {
		return badRequest("the request isn't the JSON that this endpoint takes: %s", err)
	}
	return nil
}

// format checks the format of a savepoint. Weft's savepoints have one, whatever Flink's client calls it.
func format(name string) error {
	switch name {
	case "", "CANONICAL", "NATIVE":
		return nil
	}
	return badRequest("formatType is %q; it takes CANONICAL or NATIVE", name)
}

func (s *Server) savepoint(c *call) (any, error) {
	var q api.SavepointRequest
	if err := decode(c, &q); err != nil {
		return nil, err
	}
	return s.takeSavepoint(c, q.Format, q.TriggerID, dispatcher.SavepointRequest{Directory: q.Directory, Cancel: q.Cancel})
}

func (s *Server) stopJob(c *call) (any, error) {
	var q api.StopRequest
	if err := decode(c, &q); err != nil {
		return nil, err
	}
	return s.takeSavepoint(c, q.Format, q.TriggerID, dispatcher.SavepointRequest{Directory: q.Directory, Stop: true, Drain: q.Drain})
}

func (s *Server) takeSavepoint(c *call, kind, trigger string, r dispatcher.SavepointRequest) (any, error) {
	id, err := s.runningJob(c)
	if err != nil {
		return nil, err
	}
	if err := format(kind); err != nil {
		return nil, err
	}
	stats, _ := c.Jobs.Checkpoints(id)
	if r.Directory == "" && stats.Config.SavepointDirectory == "" {
		return nil, badRequest("Config key [execution.checkpointing.savepoint-dir] is not set. Property [target-directory] must be provided.")
	}
	jobs := c.Jobs
	return s.trigger("savepoint/"+id.String(), trigger, func(ctx context.Context) (any, error) {
		path, err := jobs.TriggerSavepoint(ctx, id, r)
		if err != nil {
			return nil, err
		}
		return &api.SavepointOperation{Location: path}, nil
	})
}

// runningJob is the job of a request that only a running one can serve.
func (s *Server) runningJob(c *call) (graph.JobID, error) {
	id, err := c.jobID()
	if err != nil {
		return id, err
	}
	d, ok := c.Jobs.Job(id)
	switch {
	case !ok:
		return id, unknownJob(id)
	case d.End >= 0:
		return id, fmt.Errorf("job %s: %w", id, dispatcher.ErrEnded)
	}
	return id, nil
}

// trigger begins an operation and answers with its id.
func (s *Server) trigger(kind, id string, run func(context.Context) (any, error)) (any, error) {
	id, err := s.operations.start(kind, id, run)
	if err != nil {
		return nil, err
	}
	return with(http.StatusAccepted, api.Triggered{RequestID: id}), nil
}

// operation says how far the operation of the path is; err is its own if it is done. The client may have the server wait for
// its end; if too many clients wait already it doesn't.
func (s *Server) operation(c *call, kind string) (done bool, result any, err error) {
	wait, err := waitOf(c)
	if err != nil {
		return false, nil, err
	}
	id := c.PathValue("triggerid")
	if wait > 0 {
		s.hold(c, wait, func(ctx context.Context) { s.operations.await(ctx, kind, id) })
	}
	return s.operations.look(kind, id)
}

// statusOf answers with how far the operation of the path is; failed is the outcome of one that has failed.
func statusOf[T any](s *Server, c *call, kind string, failed func(*api.Throwable) *T) (any, error) {
	done, result, err := s.operation(c, kind)
	switch {
	case !done && err != nil:
		return nil, err
	case !done:
		return api.OperationStatus[T]{Status: api.AsyncStatus{ID: api.InProgress}}, nil
	case err != nil:
		return api.OperationStatus[T]{Status: api.AsyncStatus{ID: api.Completed}, Operation: failed(throwable(err))}, nil
	}
	return api.OperationStatus[T]{Status: api.AsyncStatus{ID: api.Completed}, Operation: result.(*T)}, nil
}

func (s *Server) savepointStatus(c *call) (any, error) {
	id, err := c.jobID()
	if err != nil {
		return nil, err
	}
	return statusOf(s, c, "savepoint/"+id.String(), func(t *api.Throwable) *api.SavepointOperation { return &api.SavepointOperation{Failure: t} })
}

func throwable(err error) *api.Throwable {
	return api.NewThrowable(checkpointException, err.Error(), "")
}

func (s *Server) checkpoint(c *call) (any, error) {
	var q api.CheckpointRequest
	if err := decode(c, &q); err != nil {
		return nil, err
	}
	id, err := s.runningJob(c)
	if err != nil {
		return nil, err
	}
	jobs := c.Jobs
	return s.trigger("checkpoint/"+id.String(), q.TriggerID, func(ctx context.Context) (any, error) {
		n, err := jobs.TriggerCheckpoint(ctx, id)
		if err != nil {
			return nil, err
		}
		return &api.CheckpointOperation{ID: n}, nil
	})
}

func (s *Server) checkpointStatus(c *call) (any, error) {
	id, err := c.jobID()
	if err != nil {
		return nil, err
	}
	return statusOf(s, c, "checkpoint/"+id.String(), func(t *api.Throwable) *api.CheckpointOperation { return &api.CheckpointOperation{Failure: t} })
}

func (s *Server) checkpoints(c *call) (any, error) {
	id, err := c.jobID()
	if err != nil {
		return nil, err
	}
	stats, ok := c.Jobs.Checkpoints(id)
	if !ok {
		return nil, unknownJob(id)
	}
	return view.Checkpoints(&stats), nil
}

func (s *Server) checkpointConfig(c *call) (any, error) {
	id, err := c.jobID()
	if err != nil {
		return nil, err
	}
	stats, ok := c.Jobs.Checkpoints(id)
	if !ok {
		return nil, unknownJob(id)
	}
	return view.CheckpointConfig(&stats.Config), nil
}

// ofCheckpoint is the checkpoint that the path names, and its job.
func (s *Server) ofCheckpoint(c *call) (*checkpoint.Record, *dispatcher.JobDetails, error) {
	value := c.PathValue("checkpointid")
	id, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return nil, nil, unresolved("checkpointid", value)
	}
	d, err := c.job()
	if err != nil {
		return nil, nil, err
	}
	stats, ok := c.Jobs.Checkpoints(d.ID)
	if !ok {
		return nil, nil, unknownJob(d.ID)
	}
	r := stats.Record(id)
	if r == nil {
		return nil, nil, notFound("Could not find checkpointing statistics for checkpoint %d.", id)
	}
	return r, d, nil
}

func (s *Server) checkpointDetails(c *call) (any, error) {
	r, d, err := s.ofCheckpoint(c)
	if err != nil {
		return nil, err
	}
	return view.CheckpointDetails(r, d), nil
}

func (s *Server) checkpointVertex(c *call) (any, error) {
	vertex, err := c.vertexID()
	if err != nil {
		return nil, err
	}
	r, d, err := s.ofCheckpoint(c)
	if err != nil {
		return nil, err
	}
	out, ok := view.CheckpointVertex(r, d, vertex.String())
	if !ok {
		return nil, notFound("There is no checkpoint statistics for task %s.", vertex)
	}
	return out, nil
}

func (s *Server) disposal(c *call) (any, error) {
	var q api.DisposalRequest
	if err := decode(c, &q); err != nil {
		return nil, err
	}
	if q.Path == "" {
		return nil, badRequest("savepoint-path is missing")
	}
	storage := c.Jobs.Storage()
	if storage == nil {
		return nil, unavailable("this JobManager has no file systems")
	}
	id, err := s.operations.start("disposal", "", func(ctx context.Context) (any, error) { return &api.DisposalOperation{}, storage.Dispose(ctx, q.Path) })
	if err != nil {
		return nil, err
	}
	return api.Triggered{RequestID: id}, nil
}

func (s *Server) disposalStatus(c *call) (any, error) {
	return statusOf(s, c, "disposal", func(t *api.Throwable) *api.DisposalOperation { return &api.DisposalOperation{Failure: t} })
}

// checkpointing is the Dispatcher's part in it.
type checkpointing interface {
	// TriggerSavepoint returns the savepoint's path once it is complete.
	TriggerSavepoint(ctx context.Context, id graph.JobID, r dispatcher.SavepointRequest) (string, error)
	TriggerCheckpoint(ctx context.Context, id graph.JobID) (int64, error)
	// Checkpoints returns ok = false for an unknown job.
	Checkpoints(id graph.JobID) (s checkpoint.Stats, ok bool)
	// Storage may be nil.
	Storage() *checkpoint.Storage
}
