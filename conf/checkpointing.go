package conf

import (
	"math"
	"time"
)

// maxInt is how "no bound" is written for a number of things.
const maxInt = math.MaxInt32

// Options of checkpoints, savepoints and state.
var (
	ExecutionCheckpointingInterval = durationOption("execution.checkpointing.interval",
		"Interval between checkpoints; unset, there are none.").in(ScopeJob)
	ExecutionCheckpointingMinPause = durationOption("execution.checkpointing.min-pause",
		"Least time between the end of a checkpoint and the start of the next.").or(0).in(ScopeJob)
	ExecutionCheckpointingTimeout = durationOption("execution.checkpointing.timeout",
		"Time after which a checkpoint is given up.").or(10 * time.Minute).in(ScopeJob)
	ExecutionCheckpointingMode = enumOption("execution.checkpointing.mode",
		"How often a record takes effect on state after a failure.", "EXACTLY_ONCE", "AT_LEAST_ONCE").
		or("EXACTLY_ONCE").in(ScopeJob)
	ExecutionCheckpointingMaxConcurrentCheckpoints = positiveOption("execution.checkpointing.max-concurrent-checkpoints",
		"Checkpoints that may be under way at once.").or(1).in(ScopeJob)
	ExecutionCheckpointingTolerableFailedCheckpoints = countOption("execution.checkpointing.tolerable-failed-checkpoints",
		"Consecutive failed checkpoints before the job fails.").or(0).in(ScopeJob)
	ExecutionCheckpointingExternalizedCheckpointRetention = enumOption("execution.checkpointing.externalized-checkpoint-retention",
		"What becomes of the last checkpoints when the job is cancelled.",
		"NO_EXTERNALIZED_CHECKPOINTS", "DELETE_ON_CANCELLATION", "RETAIN_ON_CANCELLATION").
		or("NO_EXTERNALIZED_CHECKPOINTS").in(ScopeJob)
	ExecutionCheckpointingNumRetained = positiveOption("execution.checkpointing.num-retained",
		"Completed checkpoints that are kept.").or(1).older("state.checkpoints.num-retained").in(ScopeJob)
	ExecutionCheckpointingDir = textOption("execution.checkpointing.dir",
		"Directory of checkpoints, a URI or a path of the default file system.").
		older("state.checkpoints.dir", "state.backend.fs.checkpointdir").in(ScopeJob)
	ExecutionCheckpointingCreateSubdir = boolOption("execution.checkpointing.create-subdir",
		"Whether each job has a directory of its own below the checkpoint directory.").or(true).
		older("state.checkpoints.create-subdir").in(ScopeJob)
	ExecutionCheckpointingSavepointDir = textOption("execution.checkpointing.savepoint-dir",
		"Directory of savepoints that are asked for without one.").
		older("state.savepoints.dir", "savepoints.state.backend.fs.dir").in(ScopeJob)
	ExecutionCheckpointingStorage = enumOption("execution.checkpointing.storage",
		"Where checkpoints are kept; unset, in the file system if a directory is set.", "jobmanager", "filesystem").
		older("state.checkpoint-storage").in(ScopeJob)
	ExecutionCheckpointingIncremental = boolOption("execution.checkpointing.incremental",
		"Whether a checkpoint writes only the keyed state that changed since the last one, and refers to files of earlier ones for the rest, with both state backends. It needs a checkpoint directory; savepoints are always whole.").or(false).
		older("state.backend.incremental").in(ScopeJob)
	ExecutionCheckpointingDataInlineThreshold = memoryOption("execution.checkpointing.data-inline-threshold",
		"State smaller than this goes into the checkpoint's metadata instead of a file.").or(20*Kibibyte).
		older("state.storage.fs.memory-threshold", "state.backend.fs.memory-threshold").in(ScopeJob)
	ExecutionCheckpointingUnalignedEnabled = boolOption("execution.checkpointing.unaligned.enabled",
		"Whether barriers overtake records, which are then part of the checkpoint.").or(false).
		older("execution.checkpointing.unaligned").in(ScopeJob)
	ExecutionCheckpointingAlignedCheckpointTimeout = durationOption("execution.checkpointing.aligned-checkpoint-timeout",
		"Time after which an aligned checkpoint becomes an unaligned one.").or(0).
		older("execution.checkpointing.alignment-timeout").in(ScopeJob)
	ExecutionCheckpointingCheckpointsAfterTasksFinish = boolOption("execution.checkpointing.checkpoints-after-tasks-finish",
		"Whether checkpoints go on when some subtasks have finished.").or(true).
		older("execution.checkpointing.checkpoints-after-tasks-finish.enabled").in(ScopeJob)
	ExecutionCheckpointingLocalBackupEnabled = boolOption("execution.checkpointing.local-backup.enabled",
		"Whether a TaskManager keeps a copy of the state that it writes for the latest checkpoint, in its working directory.").or(false).
		older("execution.state-recovery.from-local", "state.backend.local-recovery").in(ScopeJob)
	StateBackendType = textOption("state.backend.type",
		"State backend: hashmap keeps state in memory; pebble keeps on local disk what doesn't fit (the application imports statebackend/pebble).").
		or("hashmap").older("state.backend").in(ScopeJob)
	StateBackendPebbleMemoryFixedPerHost = memoryOption("state.backend.pebble.memory.fixed-per-host",
		"Memory for the pebble state backend in a task host; unset, the managed share (taskmanager.memory.managed.*) of the host's memory.").
		own().in(ScopeJob)
	StateBackendPebbleMemoryCacheRatio = fractionOption("state.backend.pebble.memory.cache-ratio",
		"Share of that memory in which keys and values are kept ready for use; the rest is for Pebble's blocks and write buffers.").
		or(0.6).own().in(ScopeJob)
)
