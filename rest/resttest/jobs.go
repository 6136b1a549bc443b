package resttest

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/operator"
	"github.com/weftstream/weft/rest/api"
	"github.com/weftstream/weft/runtime/checkpoint"
	"github.com/weftstream/weft/runtime/dispatcher"
	"github.com/weftstream/weft/runtime/jobmanager"
	"github.com/weftstream/weft/runtime/jobmaster"
	"github.com/weftstream/weft/runtime/resourcemanager"
)

// Jobs is a Dispatcher whose jobs do nothing until Finish. It is safe for concurrent use.
type Jobs struct {
	Held chan struct{} // see TriggerSavepoint

	mu    sync.Mutex
	order []graph.JobID
	jobs  map[graph.JobID]*job
	// Refuse, if it is set before use, may have Submit fail.
	Refuse func(*graph.JobGraph) error
	// Stubborn, if it is set before use, has jobs run on after Cancel.
	Stubborn bool
	// Stats, if it is set before use, are the checkpoints of every job.
	Stats checkpoint.Stats

	savepoints []dispatcher.SavepointRequest
}

type job struct {
	graph   *graph.JobGraph
	details dispatcher.JobDetails
	result  *linkpb.JobResult
	ended   chan struct{}
	cancels int
	// required is what Require was given last.
	required dispatcher.Requirements
}

func newJobs() *Jobs { return &Jobs{jobs: map[graph.JobID]*job{}} }

// Submit implements rest.Jobs.
func (j *Jobs) Submit(ctx context.Context, g *graph.JobGraph) (graph.JobID, error) {
	if j.Refuse != nil {
		if err := j.Refuse(g); err != nil {
			return graph.JobID{}, err
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	id := g.ID()
	if _, ok := j.jobs[id]; ok {
		return id, fmt.Errorf("%w: %s", dispatcher.ErrDuplicate, id)
	}
	for known, other := range j.jobs {
		if g.GetDefinition() != "" && other.graph.GetDefinition() == g.GetDefinition() && other.graph.GetKey() == g.GetKey() {
			return known, nil
		}
	}
	j.add(id, g, details(g))
	return id, nil
}

// Add makes a job known as it is described.
func (j *Jobs) Add(d dispatcher.JobDetails) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.add(d.ID, &graph.JobGraph{JobId: d.ID[:], Name: d.Name}, d)
}

func (j *Jobs) add(id graph.JobID, g *graph.JobGraph, d dispatcher.JobDetails) {
	j.order = append(j.order, id)
	j.jobs[id] = &job{graph: g, details: d, ended: make(chan struct{})}
}

func details(g *graph.JobGraph) dispatcher.JobDetails {
	d := dispatcher.JobDetails{JobSummary: dispatcher.JobSummary{ID: g.ID(), Name: g.GetName(), Status: linkpb.JobStatus_RUNNING,
		Start: 1000, End: -1, LastModified: 1000}, Bounded: g.GetBounded(), Config: g.GetConfig()}
	for _, v := range g.GetVertices() {
		d.Vertices = append(d.Vertices, jobmaster.VertexDetails{ID: operator.ID(v.GetId()), Name: v.GetName(), Start: -1, End: -1,
			Parallelism: int(v.GetParallelism()), MaxParallelism: int(v.GetMaxParallelism())})
	}
	return d
}

// Await implements rest.Jobs.
func (j *Jobs) Await(ctx context.Context, id graph.JobID) (*linkpb.JobResult, error) {
	j.mu.Lock()
	known := j.jobs[id]
	j.mu.Unlock()
	if known == nil {
		return nil, fmt.Errorf("%w: %s", dispatcher.ErrUnknownJob, id)
	}
	select {
	case <-known.ended:
		return known.result, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Recovered says no: there was no earlier JobManager.
func (j *Jobs) Recovered(*graph.JobGraph) bool { return false }

// Cancel implements rest.Jobs.
func (j *Jobs) Cancel(ctx context.Context, id graph.JobID) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	known := j.jobs[id]
	switch {
	case known == nil:
		return fmt.Errorf("%w: %s", dispatcher.ErrUnknownJob, id)
	case known.result != nil:
		return fmt.Errorf("%w: %s", dispatcher.ErrEnded, id)
	}
	known.cancels++
	if !j.Stubborn {
		known.finish(&linkpb.JobResult{Status: linkpb.JobStatus_CANCELED})
	}
	return nil
}

// Finish ends a job with r, of which job id and name are filled in.
func (j *Jobs) Finish(id graph.JobID, r *linkpb.JobResult) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.jobs[id].finish(r)
}

func (k *job) finish(r *linkpb.JobResult) {
	r.JobId, r.Name = k.details.ID[:], k.details.Name
	k.result, k.details.Status, k.details.End = r, r.GetStatus(), 2000
	close(k.ended)
}

// Jobs implements rest.Jobs.
func (j *Jobs) Jobs() []dispatcher.JobSummary {
	j.mu.Lock()
	defer j.mu.Unlock()
	var out []dispatcher.JobSummary
	for _, id := range slices.Backward(j.order) {
		out = append(out, j.jobs[id].details.JobSummary)
	}
	return out
}

// Job implements rest.Jobs.
func (j *Jobs) Job(id graph.JobID) (dispatcher.JobDetails, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if known := j.jobs[id]; known != nil {
		return known.details, true
	}
	return dispatcher.JobDetails{}, false
}

// Result implements rest.Jobs.
func (j *Jobs) Result(id graph.JobID) (*linkpb.JobResult, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if known := j.jobs[id]; known != nil {
		return known.result, true
	}
	return nil, false
}

// Graph returns what was submitted as a job; nil if it wasn't.
func (j *Jobs) Graph(id graph.JobID) *graph.JobGraph {
	j.mu.Lock()
	defer j.mu.Unlock()
	if known := j.jobs[id]; known != nil {
		return known.graph
	}
	return nil
}

// Cancels counts the cancellations of a job.
func (j *Jobs) Cancels(id graph.JobID) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.jobs[id].cancels
}

// JobManager is what the endpoint shows besides jobs.
type JobManager struct {
	jobs *Jobs

	mu            sync.Mutex
	taskManagers  []resourcemanager.TaskManagerInfo
	shutdown      chan struct{} // closed by the first request
	shutdownAsked bool
}

func newJobManager(jobs *Jobs) *JobManager {
	return &JobManager{jobs: jobs, shutdown: make(chan struct{})}
}

// Overview implements rest.Cluster.
func (m *JobManager) Overview() jobmanager.Overview {
	o := jobmanager.Overview{}
	for _, t := range m.TaskManagers() {
		o.TaskManagers++
		o.SlotsTotal += t.Slots
		o.SlotsFree += t.FreeSlots
	}
	for _, j := range m.jobs.Jobs() {
		switch {
		case !api.JobEnded(j.Status):
			o.JobsRunning++
		case j.Status == linkpb.JobStatus_FINISHED:
			o.JobsFinished++
		case j.Status == linkpb.JobStatus_FAILED:
			o.JobsFailed++
		default:
			o.JobsCancelled++
		}
	}
	return o
}

// AddTaskManager registers one.
func (m *JobManager) AddTaskManager(t resourcemanager.TaskManagerInfo) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.taskManagers = append(m.taskManagers, t)
}

// TaskManagers implements rest.Cluster.
func (m *JobManager) TaskManagers() []resourcemanager.TaskManagerInfo {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.taskManagers)
}

// TaskManager implements rest.Cluster.
func (m *JobManager) TaskManager(id string) (resourcemanager.TaskManagerInfo, bool) {
	for _, t := range m.TaskManagers() {
		if t.ResourceID == id {
			return t, true
		}
	}
	return resourcemanager.TaskManagerInfo{}, false
}

// RequestShutdown implements rest.Cluster.
func (m *JobManager) RequestShutdown(resourcemanager.FinalStatus, string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.shutdownAsked {
		m.shutdownAsked = true
		close(m.shutdown)
	}
}

// Shutdown is closed when a shutdown was requested.
func (m *JobManager) Shutdown() <-chan struct{} { return m.shutdown }
