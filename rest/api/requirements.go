package api

// ResourceRequirements are between which parallelisms the vertices of a job may run, by vertex id:
// GET and PUT /jobs/:jobid/resource-requirements.
type ResourceRequirements map[string]VertexRequirements

// VertexRequirements are those of one vertex.
type VertexRequirements struct {
	Parallelism ParallelismBounds `json:"parallelism"`
}

// ParallelismBounds are the lowest and the highest parallelism.
type ParallelismBounds struct {
	Lower int `json:"lowerBound"`
	Upper int `json:"upperBound"`
}
