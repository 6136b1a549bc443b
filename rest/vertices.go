package rest

import (
	"strconv"

	"github.com/weftstream/weft/rest/view"
	"github.com/weftstream/weft/runtime/jobmaster"
)

// vertexOf is the vertex that the path names.
func (c *call) vertexOf() (*jobmaster.VertexDetails, error) {
	id, err := c.vertexID()
	if err != nil {
		return nil, err
	}
	d, err := c.job()
	if err != nil {
		return nil, err
	}
	v := d.Vertex(id)
	if v == nil {
		return nil, notFound("JobVertex %s not found in job %s", id, d.ID)
	}
	return v, nil
}

// number is a part of the path that is a whole number of at least 0.
func (c *call) number(name string) (int, error) {
	value := c.PathValue(name)
	n, err := strconv.Atoi(value)
	if err != nil || n < 0 {
		return 0, unresolved(name, value)
	}
	return n, nil
}

// subtaskOf is the current attempt of the subtask that the path names, or the attempt if it names one too, and its vertex.
func (c *call) subtaskOf() (*jobmaster.VertexDetails, *jobmaster.SubtaskDetails, error) {
	index, err := c.number("subtaskindex")
	if err != nil {
		return nil, nil, err
	}
	v, err := c.vertexOf()
	if err != nil {
		return nil, nil, err
	}
	if index >= len(v.Subtasks) {
		return nil, nil, notFound("Invalid subtask index %d for vertex %s, which has %d subtasks", index, v.ID, len(v.Subtasks))
	}
	s := &v.Subtasks[index]
	if c.PathValue("attempt") == "" {
		return v, s, nil
	}
	number, err := c.number("attempt")
	if err != nil {
		return nil, nil, err
	}
	a := view.Attempt(s, number)
	if a == nil {
		return nil, nil, notFound("Attempt %d of subtask %d of vertex %s not found; the current one is %d", number, index, v.ID, s.Attempt)
	}
	return v, a, nil
}

// ofVertex answers with f of the vertex that the path names.
func (s *Server) ofVertex(c *call, f func(*jobmaster.VertexDetails, int64) any) (any, error) {
	v, err := c.vertexOf()
	if err != nil {
		return nil, err
	}
	return f(v, s.nowMS()), nil
}

func (s *Server) vertex(c *call) (any, error) {
	return s.ofVertex(c, func(v *jobmaster.VertexDetails, now int64) any { return view.Vertex(v, now) })
}

func (s *Server) subtaskTimes(c *call) (any, error) {
	return s.ofVertex(c, func(v *jobmaster.VertexDetails, now int64) any { return view.SubtaskTimes(v, now) })
}

func (s *Server) backpressure(c *call) (any, error) {
	return s.ofVertex(c, func(v *jobmaster.VertexDetails, now int64) any { return view.Backpressure(v, now) })
}

func (s *Server) watermarks(c *call) (any, error) {
	return s.ofVertex(c, func(v *jobmaster.VertexDetails, _ int64) any { return view.Watermarks(v) })
}

func (s *Server) vertexTaskManagers(c *call) (any, error) {
	return s.ofVertex(c, func(v *jobmaster.VertexDetails, now int64) any { return view.VertexTaskManagers(v, now) })
}

func (s *Server) vertexAccumulators(c *call) (any, error) {
	return s.ofVertex(c, func(v *jobmaster.VertexDetails, _ int64) any { return view.VertexAccumulators(v) })
}

func (s *Server) subtasksAccumulators(c *call) (any, error) {
	return s.ofVertex(c, func(v *jobmaster.VertexDetails, _ int64) any { return view.SubtasksAccumulators(v) })
}

func (s *Server) subtask(c *call) (any, error) {
	_, t, err := c.subtaskOf()
	if err != nil {
		return nil, err
	}
	return view.Subtask(t, s.nowMS()), nil
}

func (s *Server) attemptAccumulators(c *call) (any, error) {
	v, t, err := c.subtaskOf()
	if err != nil {
		return nil, err
	}
	return view.AttemptAccumulators(v, t), nil
}
