package api

// Vertex is GET /jobs/:jobid/vertices/:vertexid.
type Vertex struct {
	ID             string     `json:"id"`
	Name           string     `json:"name"`
	Parallelism    int        `json:"parallelism"`
	MaxParallelism int        `json:"maxParallelism"`
	Now            int64      `json:"now"`
	Subtasks       []Subtask  `json:"subtasks"`
	Aggregated     Aggregated `json:"aggregated"`
}

// Subtask is an execution attempt of a subtask: GET /jobs/:jobid/vertices/:vertexid/subtasks/:subtaskindex and its
// /attempts/:attempt; without an attempt the current one.
type Subtask struct {
	Subtask       int       `json:"subtask"`
	Status        string    `json:"status"`
	Attempt       int       `json:"attempt"`
	Host          string    `json:"host"`
	Endpoint      string    `json:"endpoint"`
	StartTime     int64     `json:"start-time"`
	EndTime       int64     `json:"end-time"`
	Duration      int64     `json:"duration"`
	Metrics       IOMetrics `json:"metrics"`
	TaskManagerID string    `json:"taskmanager-id"`
	// StatusDuration is the milliseconds spent in each state that was entered.
	StatusDuration map[string]int64 `json:"status-duration"`
	// StartTimeOld is StartTime under its old name.
	StartTimeOld int64 `json:"start_time"`
}

// VertexAccumulators is GET /jobs/:jobid/vertices/:vertexid/accumulators: counters summed over the current attempts of the
// subtasks.
type VertexAccumulators struct {
	ID   string            `json:"id"`
	User []UserAccumulator `json:"user-accumulators"`
}

// SubtasksAccumulators is GET /jobs/:jobid/vertices/:vertexid/subtasks/accumulators.
type SubtasksAccumulators struct {
	ID          string                `json:"id"`
	Parallelism int                   `json:"parallelism"`
	Subtasks    []SubtaskAccumulators `json:"subtasks"`
}

// SubtaskAccumulators is the counters of a subtask's current attempt.
type SubtaskAccumulators struct {
	Subtask  int               `json:"subtask"`
	Attempt  int               `json:"attempt"`
	Host     string            `json:"host"`
	Endpoint string            `json:"endpoint"`
	User     []UserAccumulator `json:"user-accumulators"`
}

// AttemptAccumulators is GET /jobs/:jobid/vertices/:vertexid/subtasks/:subtaskindex/attempts/:attempt/accumulators. ID is of
// the attempt: vertex, subtask and attempt.
type AttemptAccumulators struct {
	Subtask int               `json:"subtask"`
	Attempt int               `json:"attempt"`
	ID      string            `json:"id"`
	User    []UserAccumulator `json:"user-accumulators"`
}

// Aggregated is statistics over subtasks: "min", "max", "avg", "sum", "median", "p25", "p75" and "p95" of each metric, and of
// the time spent in each state.
type Aggregated struct {
	Metrics        map[string]map[string]int64 `json:"metrics"`
	StatusDuration map[string]map[string]int64 `json:"status-duration"`
}

// SubtaskTimes is GET /jobs/:jobid/vertices/:vertexid/subtasktimes.
type SubtaskTimes struct {
	ID       string        `json:"id"`
	Name     string        `json:"name"`
	Now      int64         `json:"now"`
	Subtasks []SubtaskTime `json:"subtasks"`
}

// SubtaskTime is when a subtask entered each state; 0: never.
type SubtaskTime struct {
	Subtask    int              `json:"subtask"`
	Host       string           `json:"host"`
	Endpoint   string           `json:"endpoint"`
	Duration   int64            `json:"duration"`
	Timestamps map[string]int64 `json:"timestamps"`
}

// VertexTaskManagers is GET /jobs/:jobid/vertices/:vertexid/taskmanagers.
type VertexTaskManagers struct {
	ID           string              `json:"id"`
	Name         string              `json:"name"`
	Now          int64               `json:"now"`
	TaskManagers []VertexTaskManager `json:"taskmanagers"`
}

// VertexTaskManager is the subtasks of a vertex on one TaskManager.
type VertexTaskManager struct {
	Host          string         `json:"host"`
	Endpoint      string         `json:"endpoint"`
	Status        string         `json:"status"`
	StartTime     int64          `json:"start-time"`
	EndTime       int64          `json:"end-time"`
	Duration      int64          `json:"duration"`
	Metrics       IOMetrics      `json:"metrics"`
	StatusCounts  map[string]int `json:"status-counts"`
	TaskManagerID string         `json:"taskmanager-id"`
	Aggregated    Aggregated     `json:"aggregated"`
}

// Backpressure is the answer of GET /jobs/:jobid/vertices/:vertexid/backpressure. Levels are ok (up to 10 % of the time),
// low (up to 50 %) and high; each stands under two names, as Flink writes them.
type Backpressure struct {
	Status       string                `json:"status"`
	Level        string                `json:"backpressureLevel"`
	LevelOld     string                `json:"backpressure-level"`
	EndTimestamp int64                 `json:"end-timestamp"`
	Subtasks     []SubtaskBackpressure `json:"subtasks"`
}

// SubtaskBackpressure is how a subtask spends its time, as shares of 1.
type SubtaskBackpressure struct {
	Subtask   int     `json:"subtask"`
	Attempt   int     `json:"attempt-number"`
	Level     string  `json:"backpressureLevel"`
	LevelOld  string  `json:"backpressure-level"`
	Ratio     float64 `json:"ratio"`
	IdleRatio float64 `json:"idleRatio"`
	BusyRatio float64 `json:"busyRatio"`
}

// Watermark is an entry of GET /jobs/:jobid/vertices/:vertexid/watermarks: ID is subtask.currentInputWatermark.
type Watermark struct {
	ID    string `json:"id"`
	Value string `json:"value"`
}
