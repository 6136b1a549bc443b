package api

// SavepointRequest is the body of POST /jobs/:jobid/savepoints.
type SavepointRequest struct {
	Directory string `json:"target-directory"`
	Cancel    bool   `json:"cancel-job"`
	Format    string `json:"formatType,omitempty"`
	TriggerID string `json:"triggerId,omitempty"`
}

// StopRequest is the body of POST /jobs/:jobid/stop.
type StopRequest struct {
	Directory string `json:"targetDirectory"`
	Drain     bool   `json:"drain"`
	Format    string `json:"formatType,omitempty"`
	TriggerID string `json:"triggerId,omitempty"`
}

// CheckpointRequest is the body of POST /jobs/:jobid/checkpoints.
type CheckpointRequest struct {
	// Type is CONFIGURED, FULL or INCREMENTAL; it makes no difference: execution.checkpointing.incremental
	// says what checkpoints are, and savepoints are always full.
	Type      string `json:"checkpointType,omitempty"`
	TriggerID string `json:"triggerId,omitempty"`
}

// DisposalRequest is the body of POST /savepoint-disposal.
type DisposalRequest struct {
	Path string `json:"savepoint-path"`
}

// Triggered answers a request that takes its time.
type Triggered struct {
	RequestID string `json:"request-id"`
}

// OperationStatus is how far something is that was triggered; Operation, which is how it ended, is null before.
type OperationStatus[T any] struct {
	Status    AsyncStatus `json:"status"`
	Operation *T          `json:"operation"`
}

// SavepointOperation is how a savepoint ended.
type SavepointOperation struct {
	Location string     `json:"location,omitempty"`
	Failure  *Throwable `json:"failure-cause,omitempty"`
}

// CheckpointOperation is how a checkpoint ended that was asked for.
type CheckpointOperation struct {
	ID      int64      `json:"checkpointId,omitempty"`
	Failure *Throwable `json:"failureCause,omitempty"`
}

// DisposalOperation is how the removal of a savepoint ended.
type DisposalOperation struct {
	Failure *Throwable `json:"failure-cause,omitempty"`
}

// Checkpoints is GET /jobs/:jobid/checkpoints.
type Checkpoints struct {
	Counts  CheckpointCounts  `json:"counts"`
	Summary CheckpointSummary `json:"summary"`
	Latest  CheckpointsLatest `json:"latest"`
	History []Checkpoint      `json:"history"`
}

// CheckpointCounts counts checkpoints.
type CheckpointCounts struct {
	Restored   int64 `json:"restored"`
	Total      int64 `json:"total"`
	InProgress int64 `json:"in_progress"`
	Completed  int64 `json:"completed"`
	Failed     int64 `json:"failed"`
}

// CheckpointSummary sums up the completed checkpoints.
type CheckpointSummary struct {
	CheckpointedSize Summary `json:"checkpointed_size"`
	StateSize        Summary `json:"state_size"`
	Duration         Summary `json:"end_to_end_duration"`
	AlignmentBuffer  Summary `json:"alignment_buffered"`
	Processed        Summary `json:"processed_data"`
	Persisted        Summary `json:"persisted_data"`
}

// Summary is a figure over many checkpoints.
type Summary struct {
	Min  int64   `json:"min"`
	Max  int64   `json:"max"`
	Avg  int64   `json:"avg"`
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P95  float64 `json:"p95"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
}

// CheckpointsLatest is the latest checkpoint of each kind.
type CheckpointsLatest struct {
	Completed *Checkpoint         `json:"completed"`
	Savepoint *Checkpoint         `json:"savepoint"`
	Failed    *Checkpoint         `json:"failed"`
	Restored  *RestoredCheckpoint `json:"restored"`
}

// Checkpoint tells of one checkpoint: GET /jobs/:jobid/checkpoints/details/:checkpointid. LatestAck and Duration are -1
// before the first acknowledgement.
type Checkpoint struct {
	Class       string `json:"className"`
	ID          int64  `json:"id"`
	Status      string `json:"status"`
	IsSavepoint bool   `json:"is_savepoint"`
	// Format is null for what is no savepoint.
	Format           *string `json:"savepointFormat"`
	Trigger          int64   `json:"trigger_timestamp"`
	LatestAck        int64   `json:"latest_ack_timestamp"`
	CheckpointedSize int64   `json:"checkpointed_size"`
	StateSize        int64   `json:"state_size"`
	Duration         int64   `json:"end_to_end_duration"`
	AlignmentBuffer  int64   `json:"alignment_buffered"`
	Processed        int64   `json:"processed_data"`
	Persisted        int64   `json:"persisted_data"`
	Subtasks         int     `json:"num_subtasks"`
	Acknowledged     int     `json:"num_acknowledged_subtasks"`
	Type             string  `json:"checkpoint_type"`
	// Tasks is by vertex id; it is empty in Checkpoints, as in Flink.
	Tasks map[string]CheckpointTask `json:"tasks"`

	Path      string `json:"external_path,omitempty"`
	Discarded *bool  `json:"discarded,omitempty"`

	FailedAt int64  `json:"failure_timestamp,omitempty"`
	Failure  string `json:"failure_message,omitempty"`
}

// RestoredCheckpoint is what the job started from.
type RestoredCheckpoint struct {
	ID          int64  `json:"id"`
	Time        int64  `json:"restore_timestamp"`
	IsSavepoint bool   `json:"is_savepoint"`
	Path        string `json:"external_path,omitempty"`
}
