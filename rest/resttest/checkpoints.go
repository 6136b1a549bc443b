package resttest

import (
	"context"
	"fmt"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/runtime/checkpoint"
	"github.com/weftstream/weft/runtime/dispatcher"
)

// TriggerSavepoint implements rest.Jobs: a savepoint is complete at once, at its directory; one at /held when Held is closed.
// Stop and Cancel end the job.
func (j *Jobs) TriggerSavepoint(ctx context.Context, id graph.JobID, r dispatcher.SavepointRequest) (string, error) {
	j.mu.Lock()
	known := j.jobs[id] != nil
	j.savepoints = append(j.savepoints, r)
	j.mu.Unlock()
	switch {
	case !known:
		return "", fmt.Errorf("job %s: %w", id, dispatcher.ErrUnknownJob)
	case r.Directory == "/full":
		return "", fmt.Errorf("%w: no space left on device", checkpoint.ErrAborted)
	case r.Directory == "/held":
		select {
		case <-j.Held:
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
	case r.Cancel || r.Stop:
		if err := j.Cancel(ctx, id); err != nil {
			return "", err
		}
	}
	return r.Directory + "/savepoint-1", nil
}

// Savepoints are the requests so far.
func (j *Jobs) Savepoints() []dispatcher.SavepointRequest {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]dispatcher.SavepointRequest(nil), j.savepoints...)
}

// TriggerCheckpoint implements rest.Jobs.
func (j *Jobs) TriggerCheckpoint(context.Context, graph.JobID) (int64, error) { return 7, nil }

// Checkpoints implements rest.Jobs.
func (j *Jobs) Checkpoints(id graph.JobID) (checkpoint.Stats, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.Stats, j.jobs[id] != nil
}

// Storage implements rest.Jobs; there is none.
func (j *Jobs) Storage() *checkpoint.Storage { return nil }
