package dispatcher

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/runtime/checkpoint/checkpointpb"
	"github.com/weftstream/weft/runtime/ha"
	"github.com/weftstream/weft/runtime/jobmaster"
)

// recovered is what the epoch log says about the jobs of earlier JobManagers. It is only read after readRecords.
type recovered struct {
	order     []graph.JobID // of registration
	graphs    map[graph.JobID]*graph.JobGraph
	committed map[graph.JobID]*linkpb.TaskUpdate
	results   map[graph.JobID]*linkpb.JobResult
	// checkpoints holds the latest completed checkpoint of each job.
	checkpoints map[graph.JobID]*checkpointpb.Pointer
	// requirements holds the bounds of each job that were asked for last.
	requirements map[graph.JobID]*graph.ResourceRequirements
	// byKey finds the latest job of a definition and key.
	byKey map[[2]string]graph.JobID
}

func readRecords(records []ha.Record) (recovered, error) {
	r := recovered{graphs: map[graph.JobID]*graph.JobGraph{}, committed: map[graph.JobID]*linkpb.TaskUpdate{},
		results: map[graph.JobID]*linkpb.JobResult{}, checkpoints: map[graph.JobID]*checkpointpb.Pointer{},
		requirements: map[graph.JobID]*graph.ResourceRequirements{}, byKey: map[[2]string]graph.JobID{}}
	for _, rec := range records {
		var m proto.Message
		switch rec.Kind {
		case ha.KindJobRegistry:
			m = &graph.JobGraph{}
		case ha.KindCommittedOutput:
			m = &linkpb.TaskUpdate{}
		case ha.KindCheckpoint:
			m = &checkpointpb.Pointer{}
		case ha.KindRequirements:
			m = &graph.ResourceRequirements{}
		case ha.KindJobResult:
			m = &linkpb.JobResult{}
		default:
			continue
		}
		id, err := graph.ParseJobID(rec.Key)
		if err == nil {
			err = proto.Unmarshal(rec.Payload, m)
		}
		if err != nil {
			return r, fmt.Errorf("read %s record %q of the high-availability log: %w", rec.Kind, rec.Key, err)
		}
		switch m := m.(type) {
		case *graph.JobGraph:
			r.order = append(r.order, id)
			r.graphs[id] = m
			if m.GetDefinition() != "" {
				r.byKey[[2]string{m.GetDefinition(), m.GetKey()}] = id
			}
		case *linkpb.TaskUpdate:
			r.committed[id] = m
		case *checkpointpb.Pointer:
			r.checkpoints[id] = m
		case *graph.ResourceRequirements:
			r.requirements[id] = m
		case *linkpb.JobResult:
			m.JobId = id[:]
			r.results[id] = m
		}
	}
	return r, nil
}

// unfinished lists the jobs without a result in the order of registration.
func (r *recovered) unfinished() []*graph.JobGraph {
	var all []*graph.JobGraph
	for _, id := range r.order {
		if r.results[id] == nil {
			all = append(all, r.graphs[id])
		}
	}
	return all
}

// reattach finds the earlier run of a job that its driver, which runs again, submits.
func (d *Dispatcher) reattach(g *graph.JobGraph) (graph.JobID, bool) {
	if !d.c.Reattach || g.GetDefinition() == "" {
		return graph.JobID{}, false
	}
	id, ok := d.recovered.byKey[[2]string{g.GetDefinition(), g.GetKey()}]
	return id, ok
}

// Recovered says that Submit of g would take up a run of an earlier JobManager's, and not look at g's cached files.
func (d *Dispatcher) Recovered(g *graph.JobGraph) bool {
	_, ok := d.reattach(g)
	return ok
}

// detailsOf is what is known of a job that ended under an earlier JobManager.
func detailsOf(r *linkpb.JobResult, g *graph.JobGraph) JobDetails {
	d := JobDetails{JobSummary: JobSummary{ID: graph.JobID(r.GetJobId()), Name: r.GetName(), Status: r.GetStatus(),
		Start: r.GetStartMs(), End: r.GetEndMs(), LastModified: r.GetEndMs()},
		Bounded: g.GetBounded(), MaxParallelism: int(g.GetMaxParallelism()), Counters: r.GetCounters(), Config: g.GetConfig(),
		Definition: g.GetDefinition(), Key: g.GetKey()}
	d.Timestamps[linkpb.JobStatus_INITIALIZING] = r.GetStartMs()
	if s := int(r.GetStatus()); s < len(d.Timestamps) {
		d.Timestamps[s] = r.GetEndMs()
	}
	if f := r.GetFailure(); f != nil {
		d.Failures = []jobmaster.FailureDetails{{Message: f.GetMessage(), Stack: f.GetStack(), Operator: f.GetOperator(),
			Vertex: f.GetVertex(), Subtask: int(f.GetSubtask()), ResourceID: f.GetHost(), Time: f.GetTimeMs()}}
	}
	return d
}
