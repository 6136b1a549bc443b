package api

// JobIDs is GET /jobs.
type JobIDs struct {
	Jobs []JobIDStatus `json:"jobs"`
}

// JobIDStatus is a job in JobIDs.
type JobIDStatus struct {
	ID     string `json:"id"`
	Status string `json:"status"`
}

// JobsOverview is GET /jobs/overview.
type JobsOverview struct {
	Jobs []JobOverview `json:"jobs"`
}

// JobOverview is a job in JobsOverview.
type JobOverview struct {
	ID           string `json:"jid"`
	Name         string `json:"name"`
	StartTime    int64  `json:"start-time"`
	EndTime      int64  `json:"end-time"`
	Duration     int64  `json:"duration"`
	State        string `json:"state"`
	LastModified int64  `json:"last-modification"`
	// Tasks counts subtasks by the lower-case name of their state, and their "total".
	Tasks map[string]int `json:"tasks"`
}

// JobStatus is GET /jobs/:jobid/status.
type JobStatus struct {
	Status string `json:"status"`
}

// JobDetails is GET /jobs/:jobid.
type JobDetails struct {
	ID             string `json:"jid"`
	Name           string `json:"name"`
	IsStoppable    bool   `json:"isStoppable"`
	State          string `json:"state"`
	JobType        string `json:"job-type"`
	StartTime      int64  `json:"start-time"`
	EndTime        int64  `json:"end-time"`
	Duration       int64  `json:"duration"`
	MaxParallelism int64  `json:"maxParallelism"`
	Now            int64  `json:"now"`
	// Timestamps is when each status was entered last; 0: never.
	Timestamps map[string]int64 `json:"timestamps"`
	Vertices   []JobVertex      `json:"vertices"`
	// StatusCounts counts vertices by state.
	StatusCounts map[string]int `json:"status-counts"`
	Plan         Plan           `json:"plan"`
	// PendingSlots says why slots are missing; it is Weft's own and left out when there is nothing to say.
	PendingSlots string `json:"weft-pending-slots,omitempty"`
}

// The values of JobDetails.JobType and Plan.Type.
const (
	Batch     = "BATCH"
	Streaming = "STREAMING"
)

// JobVertex is a vertex in JobDetails.
type JobVertex struct {
	ID                 string         `json:"id"`
	SlotSharingGroupID string         `json:"slotSharingGroupId"`
	Name               string         `json:"name"`
	MaxParallelism     int            `json:"maxParallelism"`
	Parallelism        int            `json:"parallelism"`
	Status             string         `json:"status"`
	StartTime          int64          `json:"start-time"`
	EndTime            int64          `json:"end-time"`
	Duration           int64          `json:"duration"`
	Tasks              map[string]int `json:"tasks"`
	Metrics            IOMetrics      `json:"metrics"`
}

// IOMetrics is what a vertex or subtask read and wrote, and did with its time (milliseconds).
type IOMetrics struct {
	ReadBytes            int64   `json:"read-bytes"`
	ReadBytesComplete    bool    `json:"read-bytes-complete"`
	WriteBytes           int64   `json:"write-bytes"`
	WriteBytesComplete   bool    `json:"write-bytes-complete"`
	ReadRecords          int64   `json:"read-records"`
	ReadRecordsComplete  bool    `json:"read-records-complete"`
	WriteRecords         int64   `json:"write-records"`
	WriteRecordsComplete bool    `json:"write-records-complete"`
	Backpressured        int64   `json:"accumulated-backpressured-time"`
	Idle                 int64   `json:"accumulated-idle-time"`
	Busy                 float64 `json:"accumulated-busy-time"`
}

// JobPlan is GET /jobs/:jobid/plan.
type JobPlan struct {
	Plan Plan `json:"plan"`
}

// Plan is the graph of a job's vertices.
type Plan struct {
	JobID string     `json:"jid"`
	Name  string     `json:"name"`
	Type  string     `json:"type"`
	Nodes []PlanNode `json:"nodes"`
}

// PlanNode is a vertex in a Plan.
type PlanNode struct {
	ID                  string      `json:"id"`
	Parallelism         int         `json:"parallelism"`
	Operator            string      `json:"operator"`
	OperatorStrategy    string      `json:"operator_strategy"`
	Description         string      `json:"description"`
	Inputs              []PlanInput `json:"inputs,omitempty"` // sources have no such key
	OptimizerProperties Empty       `json:"optimizer_properties"`
}

// PlanInput is an edge into a PlanNode.
type PlanInput struct {
	Num          int    `json:"num"`
	ID           string `json:"id"`
	ShipStrategy string `json:"ship_strategy"`
	Exchange     string `json:"exchange"`
}

// JobConfig is GET /jobs/:jobid/config.
type JobConfig struct {
	ID              string          `json:"jid"`
	Name            string          `json:"name"`
	ExecutionConfig ExecutionConfig `json:"execution-config"`
}

// ExecutionConfig is how a job runs; UserConfig is its own configuration, secrets masked.
type ExecutionConfig struct {
	ExecutionMode   string            `json:"execution-mode"`
	RestartStrategy string            `json:"restart-strategy"`
	Parallelism     int               `json:"job-parallelism"`
	ObjectReuse     bool              `json:"object-reuse-mode"`
	UserConfig      map[string]string `json:"user-config"`
}

// Exceptions is GET /jobs/:jobid/exceptions. The first three fields repeat what History has, for old clients.
type Exceptions struct {
	RootException *string          `json:"root-exception"` // null while nothing failed
	Timestamp     *int64           `json:"timestamp"`
	All           []ExceptionEntry `json:"all-exceptions"`
	Truncated     bool             `json:"truncated"`
	History       ExceptionHistory `json:"exceptionHistory"`
}

// ExceptionEntry is an entry in the old form.
type ExceptionEntry struct {
	Exception     string `json:"exception"`
	Task          string `json:"task"`
	Location      string `json:"location"`
	Endpoint      string `json:"endpoint"`
	Timestamp     int64  `json:"timestamp"`
	TaskManagerID string `json:"taskManagerId"`
}

// ExceptionHistory is the failures of a job, newest first.
type ExceptionHistory struct {
	Entries   []RootException `json:"entries"`
	Truncated bool            `json:"truncated"`
}

// RootException is a failure with those that came while the job was failing for it.
type RootException struct {
	Exception
	Concurrent []Exception `json:"concurrentExceptions"`
}

// Exception is a failure; what isn't known of where it happened is null.
type Exception struct {
	Name          string            `json:"exceptionName"`
	Stacktrace    string            `json:"stacktrace"`
	Timestamp     int64             `json:"timestamp"`
	FailureLabels map[string]string `json:"failureLabels"`
	TaskName      *string           `json:"taskName"`
	Location      *string           `json:"location"`
	Endpoint      *string           `json:"endpoint"`
	TaskManagerID *string           `json:"taskManagerId"`
}

// JobAccumulators is GET /jobs/:jobid/accumulators: Weft's counters.
type JobAccumulators struct {
	// Job is always empty, as in Flink.
	Job  []Empty           `json:"job-accumulators"`
	User []UserAccumulator `json:"user-task-accumulators"`
	// Serialized would be Java objects; it is always empty.
	Serialized map[string]string `json:"serialized-user-task-accumulators"`
}

// UserAccumulator is a counter; Type is Flink's name of that kind.
type UserAccumulator struct {
	Name  string `json:"name"`
	Type  string `json:"type"`
	Value string `json:"value"`
}

// LongCounter is the Type of counters.
const LongCounter = "LongCounter"
