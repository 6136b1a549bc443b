package dispatcher

import (
	"context"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/runtime/jobmaster"
)

// Requirements are between which parallelisms the vertices of a job may run, Bounds those of one.
type (
	Requirements = jobmaster.Requirements
	Bounds       = jobmaster.Bounds
)

var (
	// ErrRequirements is returned by Require for bounds that don't fit the job.
	ErrRequirements = jobmaster.ErrRequirements
	// ErrNotScalable is returned by Require for a job that is ending.
	ErrNotScalable = jobmaster.ErrNotScalable
)

// Requirements tells the bounds of a job's vertices. Errors wrap ErrUnknownJob or ErrEnded.
func (d *Dispatcher) Requirements(id graph.JobID) (Requirements, error) {
	m, err := d.live(id)
	if err != nil {
		return nil, err
	}
	return m.Requirements(), nil
}

// Require changes the bounds of a job's vertices. It returns when that is recorded; the job is rescaled once it has the slots,
// from a checkpoint that is taken for it. Errors wrap ErrUnknownJob, ErrEnded, ErrRequirements or
// ErrNotScalable.
func (d *Dispatcher) Require(ctx context.Context, id graph.JobID, r Requirements) error {
	m, err := d.live(id)
	if err != nil {
		return err
	}
	return m.Require(ctx, r)
}
