package view

import (
	"cmp"
	"fmt"

	"github.com/weftstream/weft/rest/api"
	"github.com/weftstream/weft/runtime/jobmaster"
)

// Subtask is GET /jobs/:jobid/vertices/:vertexid/subtasks/:subtaskindex, and of an earlier attempt its /attempts/:attempt.
func Subtask(s *jobmaster.SubtaskDetails, now int64) api.Subtask { return subtask(s, now) }

// Attempt is the attempt of subtask s that has the number; nil if there is none, or it isn't remembered any more.
func Attempt(s *jobmaster.SubtaskDetails, number int) *jobmaster.SubtaskDetails {
	if s.Attempt == number {
		return s
	}
	for i := range s.Earlier {
		if s.Earlier[i].Attempt == number {
			return &s.Earlier[i]
		}
	}
	return nil
}

// VertexAccumulators is GET /jobs/:jobid/vertices/:vertexid/accumulators.
func VertexAccumulators(v *jobmaster.VertexDetails) api.VertexAccumulators {
	sums := map[string]int64{}
	for i := range v.Subtasks {
		for name, n := range v.Subtasks[i].Counters {
			sums[name] += n
		}
	}
	return api.VertexAccumulators{ID: v.ID.String(), User: userAccumulators(sums)}
}

// SubtasksAccumulators is GET /jobs/:jobid/vertices/:vertexid/subtasks/accumulators.
func SubtasksAccumulators(v *jobmaster.VertexDetails) api.SubtasksAccumulators {
	out := api.SubtasksAccumulators{ID: v.ID.String(), Parallelism: v.Parallelism, Subtasks: make([]api.SubtaskAccumulators, 0, len(v.Subtasks))}
	for i := range v.Subtasks {
		s := &v.Subtasks[i]
		out.Subtasks = append(out.Subtasks, api.SubtaskAccumulators{Subtask: s.Subtask, Attempt: s.Attempt,
			Host: cmp.Or(s.Host, unassigned), Endpoint: cmp.Or(s.Endpoint, unassigned), User: userAccumulators(s.Counters)})
	}
	return out
}

// AttemptAccumulators is GET /jobs/:jobid/vertices/:vertexid/subtasks/:subtaskindex/attempts/:attempt/accumulators.
func AttemptAccumulators(v *jobmaster.VertexDetails, s *jobmaster.SubtaskDetails) api.AttemptAccumulators {
	return api.AttemptAccumulators{Subtask: s.Subtask, Attempt: s.Attempt, ID: fmt.Sprintf("%s_%d_%d", v.ID, s.Subtask, s.Attempt),
		User: userAccumulators(s.Counters)}
}
