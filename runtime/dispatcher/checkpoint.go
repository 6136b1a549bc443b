package dispatcher

import (
	"context"
	"fmt"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/runtime/checkpoint"
	"github.com/weftstream/weft/runtime/jobmaster"
)

// SavepointRequest asks for a savepoint.
type SavepointRequest = jobmaster.SavepointRequest

// TriggerSavepoint takes a savepoint of a job and returns its path once it is complete, and the job has ended if it is to. Errors wrap ErrUnknownJob, ErrEnded,
// checkpoint.ErrNotRunning, ErrNoDirectory, ErrAborted or ErrNotStopped.
func (d *Dispatcher) TriggerSavepoint(ctx context.Context, id graph.JobID, r SavepointRequest) (string, error) {
	m, err := d.live(id)
	if err != nil {
		return "", err
	}
	return m.TriggerSavepoint(ctx, r)
}

// TriggerCheckpoint takes a checkpoint of a job now and returns its id once it is complete. Errors are TriggerSavepoint's.
func (d *Dispatcher) TriggerCheckpoint(ctx context.Context, id graph.JobID) (int64, error) {
	m, err := d.live(id)
	if err != nil {
		return 0, err
	}
	return m.TriggerCheckpoint(ctx)
}

func (d *Dispatcher) live(id graph.JobID) (*jobmaster.JobMaster, error) {
	j := d.job(id)
	switch {
	case j == nil:
		return nil, fmt.Errorf("job %s: %w", id, ErrUnknownJob)
	case j.ended():
		return nil, fmt.Errorf("job %s: %w", id, ErrEnded)
	}
	return j.master, nil
}

// Checkpoints tells of the checkpoints of a job; ok is false for one that is unknown. Of a job that ended under an earlier
// JobManager nothing is known.
func (d *Dispatcher) Checkpoints(id graph.JobID) (s checkpoint.Stats, ok bool) {
	j := d.job(id)
	switch {
	case j == nil:
		return s, false
	case j.master == nil:
		return s, true
	}
	return j.master.Checkpoints(), true
}

// Storage keeps checkpoints; nil without file systems.
func (d *Dispatcher) Storage() *checkpoint.Storage {
	if d.c.Files == nil {
		return nil
	}
	return checkpoint.NewStorage(d.c.Files)
}
