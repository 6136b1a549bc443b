package rest

import (
	"github.com/weftstream/weft/operator"
	"github.com/weftstream/weft/rest/api"
	"github.com/weftstream/weft/runtime/dispatcher"
)

// requirements shows between which parallelisms a job's vertices may run.
func (s *Server) requirements(c *call) (any, error) {
	id, err := s.runningJob(c)
	if err != nil {
		return nil, err
	}
	r, err := c.Jobs.Requirements(id)
	if err != nil {
		return nil, err
	}
	out := api.ResourceRequirements{}
	for vertex, b := range r {
		out[vertex.String()] = api.VertexRequirements{Parallelism: api.ParallelismBounds{Lower: b.Lower, Upper: b.Upper}}
	}
	return out, nil
}

// require changes them, with any scheduler. The answer says that they are recorded; the job is rescaled later.
func (s *Server) require(c *call) (any, error) {
	id, err := s.runningJob(c)
	if err != nil {
		return nil, err
	}
	var q api.ResourceRequirements
	if err := decode(c, &q); err != nil {
		return nil, err
	}
	r := dispatcher.Requirements{}
	for name, v := range q {
		vertex, err := operator.ParseID(name)
		if err != nil {
			return nil, badRequest("%q isn't the id of a vertex: %s", name, err)
		}
		r[vertex] = dispatcher.Bounds{Lower: v.Parallelism.Lower, Upper: v.Parallelism.Upper}
	}
	if err := c.Jobs.Require(c.Context(), id, r); err != nil {
		return nil, err
	}
	return struct{}{}, nil
}

// rescaling is the endpoint of Flink's that has been switched off for long.
func (s *Server) rescaling(*call) (any, error) {
	return nil, unavailable("Rescaling is temporarily disabled. PUT the bounds of the parallelism to /jobs/:jobid/resource-requirements instead.")
}
