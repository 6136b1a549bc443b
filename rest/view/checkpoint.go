package view

import (
	"github.com/weftstream/weft/rest/api"
	"github.com/weftstream/weft/runtime/checkpoint"
)

// Checkpoints is GET /jobs/:jobid/checkpoints.
func Checkpoints(s *checkpoint.Stats) api.Checkpoints {
	out := api.Checkpoints{Counts: api.CheckpointCounts(s.Counts), History: []api.Checkpoint{}}
	for _, r := range s.History {
		out.History = append(out.History, *checkpointOf(r))
	}
	out.Latest = api.CheckpointsLatest{Completed: checkpointOf(s.LatestCompleted), Savepoint: checkpointOf(s.LatestSavepoint), Failed: checkpointOf(s.LatestFailed)}
	if r := s.Restored; r != nil {
		out.Latest.Restored = &api.RestoredCheckpoint{ID: r.ID, Time: r.Time, IsSavepoint: r.Savepoint, Path: r.Path}
	}
	out.Summary = api.CheckpointSummary{CheckpointedSize: summary(s, func(r *checkpoint.Record) int64 { return r.Written }),
		StateSize: summary(s, func(r *checkpoint.Record) int64 { return r.StateSize }),
		Duration:  summary(s, duration), Processed: summary(s, func(r *checkpoint.Record) int64 { return r.Processed }),
		Persisted: summary(s, func(r *checkpoint.Record) int64 { return r.Persisted })}
	return out
}

func summary(s *checkpoint.Stats, figure func(*checkpoint.Record) int64) api.Summary {
	f, _ := s.Summarize(figure)
	return summaryOf(f)
}

func summaryOf(f checkpoint.Summary) api.Summary {
	return api.Summary{Min: f.Min, Max: f.Max, Avg: f.Avg, P50: float64(f.P50), P90: float64(f.P90), P95: float64(f.P95), P99: float64(f.P99), P999: float64(f.P999)}
}

// duration is from the trigger to the end, or to the latest acknowledgement of one in progress, -1 before the first.
func duration(r *checkpoint.Record) int64 {
	end := max(r.End, r.LatestAck)
	if end == 0 {
		return -1
	}
	return max(0, end-r.Trigger)
}

// orNever is a time that may not have come yet.
func orNever(ms int64) int64 {
	if ms == 0 {
		return -1
	}
	return ms
}

func checkpointOf(r *checkpoint.Record) *api.Checkpoint {
	if r == nil {
		return nil
	}
	c := &api.Checkpoint{ID: r.ID, Status: string(r.Status), IsSavepoint: r.Savepoint, Trigger: r.Trigger, LatestAck: orNever(r.LatestAck),
		CheckpointedSize: r.Written, StateSize: r.StateSize, Duration: duration(r), Processed: r.Processed, Persisted: r.Persisted,
		Subtasks: r.Tasks, Acknowledged: r.Acknowledged, Type: "CHECKPOINT", Tasks: map[string]api.CheckpointTask{}}
	switch {
	case r.Savepoint:
		format := "CANONICAL"
		c.Type, c.Format = "SAVEPOINT", &format
	case r.Unaligned:
		c.Type = "UNALIGNED_CHECKPOINT"
	}
	switch r.Status {
	case checkpoint.InProgress:
		c.Class = "in_progress"
	case checkpoint.Completed:
		discarded := r.Discarded
		c.Class, c.Path, c.Discarded = "completed", r.Path, &discarded
	case checkpoint.Failed:
		c.Class, c.FailedAt, c.Failure = "failed", r.FailedAt, r.Failure
	}
	return c
}
