package checkpoint

import (
	"github.com/weftstream/weft/conf"
)

// Config is how a job takes checkpoints. Times are in milliseconds.
type Config struct {
	// Interval between periodic checkpoints; 0: there are none.
	Interval int64
	// MinPause is the least time between the end of one and the beginning of the next, Timeout when one is given up.
	MinPause, Timeout int64
	// MaxConcurrent periodic checkpoints are under way at once.
	MaxConcurrent int
	// Tolerable failures in a row; one more fails the job.
	Tolerable int
	// Retained completed checkpoints are kept.
	Retained int
	// Retention is Flink's externalized-checkpoint-retention.
	Retention string
	// AfterFinish: checkpoints go on when some subtasks have finished.
	AfterFinish bool
	// ExactlyOnce: what comes behind a barrier isn't in its checkpoint; else barriers are only counted.
	ExactlyOnce bool
	// Unaligned: barriers overtake records, in checkpoints that have not been aligned AlignedTimeout after their trigger.
	// Only with ExactlyOnce, and then there is one checkpoint at a time. Savepoints are always aligned.
	Unaligned      bool
	AlignedTimeout int64
	// Directory of checkpoints and SavepointDirectory of savepoints; "": none. PerJob: a job has one of its own below.
	Directory, SavepointDirectory string
	PerJob                        bool
	// Incremental: a checkpoint holds only what changed since the last one, where operators can tell. Only with Directory.
	Incremental bool
	// InlineThreshold: state of a task below this many bytes goes into the metadata.
	InlineThreshold int64
	// History is how many are remembered for REST.
	History int
}

// Retentions of checkpoints after the end of a job.
const (
	RetainNone     = "NO_EXTERNALIZED_CHECKPOINTS"
	DeleteOnCancel = "DELETE_ON_CANCELLATION"
	RetainOnCancel = "RETAIN_ON_CANCELLATION"
)

// ConfigOf reads a job's configuration.
func ConfigOf(c conf.Configuration) Config {
	cfg := Config{
		Interval:           conf.Get(c, conf.ExecutionCheckpointingInterval).Milliseconds(),
		MinPause:           conf.Get(c, conf.ExecutionCheckpointingMinPause).Milliseconds(),
		Timeout:            conf.Get(c, conf.ExecutionCheckpointingTimeout).Milliseconds(),
		MaxConcurrent:      conf.Get(c, conf.ExecutionCheckpointingMaxConcurrentCheckpoints),
		Tolerable:          conf.Get(c, conf.ExecutionCheckpointingTolerableFailedCheckpoints),
		Retained:           conf.Get(c, conf.ExecutionCheckpointingNumRetained),
		Retention:          conf.Get(c, conf.ExecutionCheckpointingExternalizedCheckpointRetention),
		AfterFinish:        conf.Get(c, conf.ExecutionCheckpointingCheckpointsAfterTasksFinish),
		ExactlyOnce:        conf.Get(c, conf.ExecutionCheckpointingMode) == "EXACTLY_ONCE",
		Directory:          conf.Get(c, conf.ExecutionCheckpointingDir),
		SavepointDirectory: conf.Get(c, conf.ExecutionCheckpointingSavepointDir),
		PerJob:             conf.Get(c, conf.ExecutionCheckpointingCreateSubdir),
		InlineThreshold:    int64(conf.Get(c, conf.ExecutionCheckpointingDataInlineThreshold)),
		History:            max(1, conf.Get(c, conf.WebCheckpointsHistory)),
	}
	if conf.Get(c, conf.ExecutionCheckpointingStorage) == "jobmanager" {
		cfg.Directory = ""
	}
	cfg.Incremental = cfg.Directory != "" && conf.Get(c, conf.ExecutionCheckpointingIncremental)
	if cfg.MinPause > 0 {
		cfg.MaxConcurrent = 1 // as in Flink
	}
	if cfg.Unaligned = cfg.ExactlyOnce && conf.Get(c, conf.ExecutionCheckpointingUnalignedEnabled); cfg.Unaligned {
		cfg.AlignedTimeout = conf.Get(c, conf.ExecutionCheckpointingAlignedCheckpointTimeout).Milliseconds()
		cfg.MaxConcurrent = 1 // as in Flink
	}
	return cfg
}
