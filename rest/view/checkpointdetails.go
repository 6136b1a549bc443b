package view

import (
	"math"

	"github.com/weftstream/weft/rest/api"
	"github.com/weftstream/weft/runtime/checkpoint"
	"github.com/weftstream/weft/runtime/dispatcher"
)

// CheckpointConfig is GET /jobs/:jobid/checkpoints/config.
func CheckpointConfig(c *checkpoint.Config) api.CheckpointConfig {
	out := api.CheckpointConfig{Mode: "at_least_once", Interval: c.Interval, Timeout: c.Timeout, MinPause: c.MinPause, MaxConcurrent: c.MaxConcurrent,
		Externalization: api.Externalization{Enabled: c.Retention != checkpoint.RetainNone, DeleteOnCancellation: c.Retention != checkpoint.RetainOnCancel},
		StateBackend:    "HashMapStateBackend", Storage: "JobManagerCheckpointStorage", Unaligned: c.Unaligned, Tolerable: c.Tolerable,
		AlignedTimeout: c.AlignedTimeout, AfterFinish: c.AfterFinish, ChangelogMaterialization: 600_000, ChangelogStorage: "memory"}
	if c.ExactlyOnce {
		out.Mode = "exactly_once"
	}
	if out.Interval <= 0 {
		out.Interval = math.MaxInt64
	}
	if c.Directory != "" {
		out.Storage = "FileSystemCheckpointStorage"
	}
	return out
}

// CheckpointDetails is GET /jobs/:jobid/checkpoints/details/:checkpointid, of a checkpoint of job d.
func CheckpointDetails(r *checkpoint.Record, d *dispatcher.JobDetails) api.Checkpoint {
	out := checkpointOf(r)
	for _, v := range vertexRecords(r, d) {
		out.Tasks[v.ID] = checkpointTask(r, &v)
	}
	return *out
}

// CheckpointVertex is GET /jobs/:jobid/checkpoints/details/:checkpointid/subtasks/:vertexid. ok is false for a vertex that the
// checkpoint doesn't have.
func CheckpointVertex(r *checkpoint.Record, d *dispatcher.JobDetails, vertex string) (out api.CheckpointVertex, ok bool) {
	for _, v := range vertexRecords(r, d) {
		if v.ID == vertex {
			return checkpointVertex(r, &v), true
		}
	}
	return out, false
}

// vertexRecords is of all vertices, also before the first acknowledgement.
func vertexRecords(r *checkpoint.Record, d *dispatcher.JobDetails) []checkpoint.VertexRecord {
	if len(r.Vertices) > 0 {
		return r.Vertices
	}
	var all []checkpoint.VertexRecord
	for i := range d.Vertices {
		v := checkpoint.VertexRecord{ID: d.Vertices[i].ID.String(), Subtasks: make([]checkpoint.SubtaskRecord, d.Vertices[i].Parallelism)}
		for k := range v.Subtasks {
			v.Subtasks[k].Index = k
		}
		all = append(all, v)
	}
	return all
}

func checkpointTask(r *checkpoint.Record, v *checkpoint.VertexRecord) api.CheckpointTask {
	out := api.CheckpointTask{ID: r.ID, Status: string(r.Status), LatestAck: -1, Duration: -1, Subtasks: len(v.Subtasks)}
	for i := range v.Subtasks {
		s := &v.Subtasks[i]
		if s.Acknowledged == 0 {
			continue
		}
		out.Acknowledged++
		out.LatestAck = max(out.LatestAck, s.Acknowledged)
		out.Duration = max(out.Duration, subtaskDuration(r, s))
		out.CheckpointedSize += s.Written
		out.StateSize += s.StateSize
		out.Processed += s.Processed
		out.Persisted += s.Persisted
	}
	return out
}

// subtaskDuration is from the trigger to the acknowledgement.
func subtaskDuration(r *checkpoint.Record, s *checkpoint.SubtaskRecord) int64 {
	return max(0, s.Acknowledged-r.Trigger)
}

func checkpointVertex(r *checkpoint.Record, v *checkpoint.VertexRecord) api.CheckpointVertex {
	sum := func(figure func(s *checkpoint.SubtaskRecord) int64) api.Summary {
		return summaryOf(v.Summarize(figure))
	}
	out := api.CheckpointVertex{CheckpointTask: checkpointTask(r, v), Details: make([]api.CheckpointSubtask, 0, len(v.Subtasks)),
		Summary: api.CheckpointVertexSummary{CheckpointedSize: sum(func(s *checkpoint.SubtaskRecord) int64 { return s.Written }),
			StateSize: sum(func(s *checkpoint.SubtaskRecord) int64 { return s.StateSize }),
			Duration:  sum(func(s *checkpoint.SubtaskRecord) int64 { return subtaskDuration(r, s) }),
			Checkpoint: api.CheckpointPhases{Sync: sum(func(s *checkpoint.SubtaskRecord) int64 { return s.Sync }),
				Async: sum(func(s *checkpoint.SubtaskRecord) int64 { return s.Async })},
			Alignment: api.AlignmentsSummary{Processed: sum(func(s *checkpoint.SubtaskRecord) int64 { return s.Processed }),
				Persisted: sum(func(s *checkpoint.SubtaskRecord) int64 { return s.Persisted }),
				Duration:  sum(func(s *checkpoint.SubtaskRecord) int64 { return s.Alignment })},
			StartDelay: sum(func(s *checkpoint.SubtaskRecord) int64 { return s.StartDelay })}}
	for i := range v.Subtasks {
		out.Details = append(out.Details, checkpointSubtask(r, &v.Subtasks[i]))
	}
	return out
}

func checkpointSubtask(r *checkpoint.Record, s *checkpoint.SubtaskRecord) api.CheckpointSubtask {
	if s.Acknowledged == 0 {
		return api.CheckpointSubtask{Class: "pending", Index: s.Index, Status: "pending_or_failed"}
	}
	return api.CheckpointSubtask{Class: "completed", Index: s.Index, Status: "completed", CompletedSubtask: &api.CompletedSubtask{
		Ack: s.Acknowledged, Duration: subtaskDuration(r, s), CheckpointedSize: s.Written, StateSize: s.StateSize,
		Checkpoint: api.SubtaskPhases{Sync: s.Sync, Async: s.Async},
		Alignment:  api.Alignment{Processed: s.Processed, Persisted: s.Persisted, Duration: s.Alignment},
		StartDelay: s.StartDelay, Unaligned: s.Unaligned}}
}
