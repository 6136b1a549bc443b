package checkpoint

import "slices"

// Stats is what there is to tell about a job's checkpoints: Flink's /jobs/:jobid/checkpoints. Times are in Unix
// milliseconds, durations in milliseconds, sizes in bytes. A Stats isn't changed after it was made.
type Stats struct {
	Counts Counts
	// Latest of each kind; nil where there is none.
	LatestCompleted, LatestSavepoint, LatestFailed *Record
	Restored                                       *Restored
	// History is newest first, those in progress included.
	History []*Record
	Config  Config
}

// Counts counts checkpoints and savepoints since the JobMaster began.
type Counts struct{ Restored, Total, InProgress, Completed, Failed int64 }

// Status of a checkpoint.
type Status string

// The values are Flink's.
const (
	InProgress Status = "IN_PROGRESS"
	Completed  Status = "COMPLETED"
	Failed     Status = "FAILED"
)

// Record tells of one checkpoint.
type Record struct {
	ID                  int64
	Status              Status
	Savepoint           bool
	Trigger, LatestAck  int64
	End                 int64 // 0 while in progress
	StateSize           int64 // of all that it holds
	Written             int64 // of that, what wasn't in an earlier checkpoint
	Processed           int64 // while aligning
	Persisted           int64 // of records in flight
	Acknowledged, Tasks int
	Unaligned           bool
	Path                string
	Discarded           bool
	Failure             string
	FailedAt            int64
	// Expired: it failed for its timeout; explained: Failure says where a subtask was.
	Expired   bool
	explained bool
	// Vertices are in the order of the job's; empty before the first acknowledgement.
	Vertices []VertexRecord
}

// VertexRecord tells of a checkpoint at one vertex.
type VertexRecord struct {
	ID       string
	Subtasks []SubtaskRecord
}

// SubtaskRecord tells of a checkpoint at one subtask. Acknowledged is 0 while it hasn't.
type SubtaskRecord struct {
	Index                              int
	Acknowledged                       int64
	StateSize, Written                 int64
	StartDelay, Alignment, Sync, Async int64
	Processed, Persisted               int64
	Unaligned                          bool
	// Finished says that the subtask had ended before, and its last state stands for it.
	Finished bool
}

// Restored is the checkpoint that the job started from last.
type Restored struct {
	ID        int64
	Time      int64
	Savepoint bool
	Path      string
}

// Record returns what there is to tell about a checkpoint: nil for one that isn't remembered any more, or never was. The
// latest of each kind is remembered beyond the history.
func (s *Stats) Record(id int64) *Record {
	for _, r := range append(slices.Clone(s.History), s.LatestCompleted, s.LatestSavepoint, s.LatestFailed) {
		if r != nil && r.ID == id {
			return r
		}
	}
	return nil
}

// Summary sums up a figure: its least and greatest value, its mean, and for each percentage the smallest value that this
// share of the values doesn't exceed. They are all 0 where there is no value.
type Summary struct{ Min, Max, Avg, P50, P90, P95, P99, P999 int64 }

// Summarize sums up a figure over the completed checkpoints of the history. ok is false while there is none.
func (s *Stats) Summarize(figure func(*Record) int64) (sum Summary, ok bool) {
	var all []int64
	for _, r := range s.History {
		if r.Status == Completed {
			all = append(all, figure(r))
		}
	}
	return summaryOf(all), len(all) > 0
}

// Summarize sums up a figure over the subtasks that have acknowledged the checkpoint.
func (v *VertexRecord) Summarize(figure func(*SubtaskRecord) int64) Summary {
	var all []int64
	for i := range v.Subtasks {
		if s := &v.Subtasks[i]; s.Acknowledged > 0 {
			all = append(all, figure(s))
		}
	}
	return summaryOf(all)
}

// summaryOf sorts all.
func summaryOf(all []int64) Summary {
	if len(all) == 0 {
		return Summary{}
	}
	slices.Sort(all)
	total := int64(0)
	for _, n := range all {
		total += n
	}
	// The nearest rank.
	rank := func(permille int) int64 { return all[max(0, (len(all)*permille+999)/1000-1)] }
	return Summary{Min: all[0], Max: all[len(all)-1], Avg: total / int64(len(all)), P50: rank(500), P90: rank(900), P95: rank(950),
		P99: rank(990), P999: rank(999)}
}

// Stats is a copy of what there is to tell.
func (c *Coordinator) Stats() Stats {
	s := c.stats
	s.History = make([]*Record, len(c.stats.History))
	copies := map[*Record]*Record{}
	clone := func(r *Record) *Record {
		if r == nil {
			return nil
		}
		if copies[r] == nil {
			k := *r
			k.Vertices = make([]VertexRecord, len(r.Vertices))
			for i, v := range r.Vertices {
				k.Vertices[i] = VertexRecord{ID: v.ID, Subtasks: slices.Clone(v.Subtasks)}
			}
			copies[r] = &k
		}
		return copies[r]
	}
	for i, r := range c.stats.History {
		s.History[i] = clone(r)
	}
	s.LatestCompleted, s.LatestSavepoint, s.LatestFailed = clone(s.LatestCompleted), clone(s.LatestSavepoint), clone(s.LatestFailed)
	if s.Restored != nil {
		r := *s.Restored
		s.Restored = &r
	}
	return s
}
