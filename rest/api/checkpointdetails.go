package api

// CheckpointConfig is GET /jobs/:jobid/checkpoints/config. Times are in milliseconds.
type CheckpointConfig struct {
	// Mode is exactly_once or at_least_once.
	Mode string `json:"mode"`
	// Interval is the greatest int64 where there are no periodic checkpoints: Flink's dashboard knows it by that.
	Interval        int64           `json:"interval"`
	Timeout         int64           `json:"timeout"`
	MinPause        int64           `json:"min_pause"`
	MaxConcurrent   int             `json:"max_concurrent"`
	Externalization Externalization `json:"externalization"`
	StateBackend    string          `json:"state_backend"`
	Storage         string          `json:"checkpoint_storage"`
	Unaligned       bool            `json:"unaligned_checkpoints"`
	Tolerable       int             `json:"tolerable_failed_checkpoints"`
	AlignedTimeout  int64           `json:"aligned_checkpoint_timeout"`
	AfterFinish     bool            `json:"checkpoints_after_tasks_finish"`
	// Weft has no changelog; the fields are Flink's defaults.
	Changelog                bool   `json:"state_changelog_enabled"`
	ChangelogMaterialization int64  `json:"changelog_periodic_materialization_interval"`
	ChangelogStorage         string `json:"changelog_storage"`
}

// Externalization says whether checkpoints outlive their job.
type Externalization struct {
	Enabled              bool `json:"enabled"`
	DeleteOnCancellation bool `json:"delete_on_cancellation"`
}

// CheckpointTask is a checkpoint at one vertex. LatestAck and Duration, which is from the trigger to it, are -1 before the
// first acknowledgement.
type CheckpointTask struct {
	ID               int64  `json:"id"`
	Status           string `json:"status"`
	LatestAck        int64  `json:"latest_ack_timestamp"`
	CheckpointedSize int64  `json:"checkpointed_size"`
	StateSize        int64  `json:"state_size"`
	Duration         int64  `json:"end_to_end_duration"`
	AlignmentBuffer  int64  `json:"alignment_buffered"`
	Processed        int64  `json:"processed_data"`
	Persisted        int64  `json:"persisted_data"`
	Subtasks         int    `json:"num_subtasks"`
	Acknowledged     int    `json:"num_acknowledged_subtasks"`
}

// CheckpointVertex is GET /jobs/:jobid/checkpoints/details/:checkpointid/subtasks/:vertexid.
type CheckpointVertex struct {
	CheckpointTask
	Summary CheckpointVertexSummary `json:"summary"`
	// Details is of all subtasks, by index.
	Details []CheckpointSubtask `json:"subtasks"`
}

// CheckpointVertexSummary sums up the subtasks that have acknowledged. Flink has no percentiles here, Weft has.
type CheckpointVertexSummary struct {
	CheckpointedSize Summary           `json:"checkpointed_size"`
	StateSize        Summary           `json:"state_size"`
	Duration         Summary           `json:"end_to_end_duration"`
	Checkpoint       CheckpointPhases  `json:"checkpoint_duration"`
	Alignment        AlignmentsSummary `json:"alignment"`
	StartDelay       Summary           `json:"start_delay"`
}

// CheckpointPhases is how long subtasks took for their state: while they did nothing else, and while they went on.
type CheckpointPhases struct {
	Sync  Summary `json:"sync"`
	Async Summary `json:"async"`
}

// AlignmentsSummary sums up the alignment of barriers.
type AlignmentsSummary struct {
	Buffered  Summary `json:"buffered"`
	Processed Summary `json:"processed"`
	Persisted Summary `json:"persisted"`
	Duration  Summary `json:"duration"`
}

// CheckpointSubtask is a checkpoint at one subtask.
type CheckpointSubtask struct {
	// Class is completed or pending.
	Class string `json:"className"`
	Index int    `json:"index"`
	// CompletedSubtask is nil for a subtask that hasn't acknowledged: its fields are then left out, as in Flink.
	*CompletedSubtask
	// Status is completed or pending_or_failed.
	Status string `json:"status"`
}

// CompletedSubtask is what a subtask reported. Times are in milliseconds, sizes in bytes.
type CompletedSubtask struct {
	Ack              int64         `json:"ack_timestamp"`
	Duration         int64         `json:"end_to_end_duration"`
	CheckpointedSize int64         `json:"checkpointed_size"`
	StateSize        int64         `json:"state_size"`
	Checkpoint       SubtaskPhases `json:"checkpoint"`
	Alignment        Alignment     `json:"alignment"`
	StartDelay       int64         `json:"start_delay"`
	Unaligned        bool          `json:"unaligned_checkpoint"`
	Aborted          bool          `json:"aborted"`
}

// SubtaskPhases is CheckpointPhases of one subtask.
type SubtaskPhases struct {
	Sync  int64 `json:"sync"`
	Async int64 `json:"async"`
}

// Alignment of a subtask's barriers: bytes of records, and milliseconds.
type Alignment struct {
	Buffered  int64 `json:"buffered"`
	Processed int64 `json:"processed"`
	Persisted int64 `json:"persisted"`
	Duration  int64 `json:"duration"`
}
