package resttest

import (
	"context"
	"fmt"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/runtime/dispatcher"
)

// Requirements implements rest.Jobs: what was required last, at first each vertex' parallelism as both bounds.
func (j *Jobs) Requirements(id graph.JobID) (dispatcher.Requirements, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	known := j.jobs[id]
	if known == nil {
		return nil, fmt.Errorf("job %s: %w", id, dispatcher.ErrUnknownJob)
	}
	if known.required != nil {
		return known.required, nil
	}
	r := dispatcher.Requirements{}
	for _, v := range known.details.Vertices {
		r[v.ID] = dispatcher.Bounds{Lower: v.Parallelism, Upper: v.Parallelism}
	}
	return r, nil
}

// Require implements rest.Jobs. Bounds of other vertices than the job's, and a lower bound above the upper one, are refused.
func (j *Jobs) Require(_ context.Context, id graph.JobID, r dispatcher.Requirements) error {
	have, err := j.Requirements(id)
	if err != nil {
		return err
	}
	for vertex, b := range r {
		if _, ok := have[vertex]; !ok || b.Lower > b.Upper {
			return fmt.Errorf("%w: vertex %s, %d to %d", dispatcher.ErrRequirements, vertex, b.Lower, b.Upper)
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.jobs[id].required = r
	return nil
}
