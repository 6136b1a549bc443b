package conf

import "time"

// Options of how a job is run.
var (
	ParallelismDefault = positiveOption("parallelism.default",
		"Parallelism of operators that set none.").or(1).in(ScopeJob)
	PipelineMaxParallelism = intOption("pipeline.max-parallelism",
		"Number of key groups, to which a job can be scaled; -1 takes 128, or more if the parallelism asks for it.").or(-1).
		where("-1 or a whole number from 1 to 32768", func(n int) bool { return n == -1 || n >= 1 && n <= 32768 }).in(ScopeJob)
	PipelineName = textOption("pipeline.name",
		"Name of the job; unset, the name it is defined with.").in(ScopeJob)
	PipelineOperatorChainingEnabled = boolOption("pipeline.operator-chaining.enabled",
		"Whether operators that need no exchange of records run in one subtask.").or(true).
		older("pipeline.operator-chaining").in(ScopeJob)
	PipelineAutoWatermarkInterval = durationOption("pipeline.auto-watermark-interval",
		"Interval at which watermark generators of the program are asked without a record; 0 never asks. Watermarks that follow from records are sent behind each batch, whatever the interval.").or(200 * time.Millisecond).in(ScopeJob)
	PipelineGlobalJobParameters = mapOption("pipeline.global-job-parameters",
		"Parameters shown with the job in the dashboard and the REST API.").in(ScopeJob)
	PipelineCachedFiles = declare("pipeline.cached-files", cachedFilesKind,
		"Files and directories that each TaskManager brings to its local disk before it runs tasks of the job, which find them by their names (Runtime.CachedFile). A path is an hdfs: URI, or a file: URI or path without scheme on the machine that submits, from where it is uploaded. executable:true sets the permission to execute. A name that the program registers itself is the program's.").in(ScopeJob)
	PipelineAutoGenerateUids = boolOption("pipeline.auto-generate-uids",
		"Whether operators without a uid get one; false refuses such a job.").or(true).in(ScopeJob)

	ExecutionTarget = textOption("execution.target",
		"Where the job runs: local, remote, yarn-session, yarn-per-job or yarn-application.").in(ScopeClient)
	ExecutionAttached = boolOption("execution.attached",
		"Whether the client waits for the job's result.").or(false).in(ScopeClient)
	ExecutionShutdownOnAttachedExit = boolOption("execution.shutdown-on-attached-exit",
		"Whether the job, and a cluster of its own, ends when the client that waits for it dies.").or(false).in(ScopeClient)
	ExecutionShutdownOnApplicationFinish = boolOption("execution.shutdown-on-application-finish",
		"Whether an application cluster ends when the application and its jobs have ended.").or(true)
	ExecutionRuntimeMode = enumOption("execution.runtime-mode",
		"How a job is executed. BATCH is for jobs whose sources all end: time doesn't advance before the end of the input, so that nothing is late and each result comes once, and no checkpoints are taken. AUTOMATIC is BATCH for such jobs and STREAMING for others.",
		"STREAMING", "BATCH", "AUTOMATIC").or("STREAMING").in(ScopeJob)
	ExecutionBufferTimeoutEnabled = boolOption("execution.buffer-timeout.enabled",
		"Whether buffers that are not full are sent after a time.").or(true).in(ScopeJob)
	ExecutionBufferTimeoutInterval = durationOption("execution.buffer-timeout.interval",
		"Time after which a buffer that is not full is sent; 0 sends after every batch of records.").or(100 * time.Millisecond).
		older("execution.buffer-timeout").in(ScopeJob)
	ExecutionProgramConfigEnabled = boolOption("execution.program-config.enabled",
		"Whether the program may set options itself.").or(true).
		older("execution.allow-client-job-configurations").in(ScopeJob)
	ExecutionStateRecoveryPath = textOption("execution.state-recovery.path",
		"Savepoint or checkpoint to start from: its directory, a URI or a path of the default file system.").older("execution.savepoint.path").in(ScopeJob)
	ExecutionStateRecoveryIgnoreUnclaimedState = boolOption("execution.state-recovery.ignore-unclaimed-state",
		"Whether state that no operator of the job claims is left out.").or(false).
		older("execution.savepoint.ignore-unclaimed-state").in(ScopeJob)
	ExecutionStateRecoveryFromLocal = boolOption("execution.state-recovery.from-local",
		"Whether a subtask that starts again on the TaskManager where it was reads its state from the copy there; execution.checkpointing.local-backup.enabled is then on unless it is set.").or(false).
		older("state.backend.local-recovery").in(ScopeJob)
	ExecutionStateRecoveryClaimMode = enumOption("execution.state-recovery.claim-mode",
		"Who owns the savepoint or checkpoint that a job starts from: its user (NO_CLAIM; LEGACY means the same), or the job, which removes it once newer checkpoints have superseded it (CLAIM).", "NO_CLAIM", "CLAIM", "LEGACY").or("NO_CLAIM").
		older("execution.savepoint-restore-mode").in(ScopeJob)
)

// Batch says whether c has a job executed as a batch; bounded says that all its sources end.
func Batch(c Configuration, bounded bool) bool {
	switch Get(c, ExecutionRuntimeMode) {
	case "BATCH":
		return true
	case "AUTOMATIC":
		return bounded
	}
	return false
}

// Options of restart strategies.
var (
	RestartStrategyType = enumSynonyms("restart-strategy.type",
		"What happens after a failure; unset, exponential-delay if the job has checkpoints, else none. The first restart of any strategy is without delay.",
		map[string]string{
			"off": "none", "disable": "none", "false": "none",
			"fixeddelay": "fixed-delay", "failurerate": "failure-rate", "exponentialdelay": "exponential-delay",
		},
		"none", "fixed-delay", "failure-rate", "exponential-delay").older("restart-strategy").in(ScopeJob)
	RestartStrategyFixedDelayAttempts = countOption("restart-strategy.fixed-delay.attempts",
		"Restarts before the job fails.").or(1).in(ScopeJob)
	RestartStrategyFixedDelayDelay = durationOption("restart-strategy.fixed-delay.delay",
		"Pause before a restart.").or(time.Second).in(ScopeJob)
	RestartStrategyFailureRateMaxFailuresPerInterval = countOption("restart-strategy.failure-rate.max-failures-per-interval",
		"Failures within the interval before the job fails.").or(1).in(ScopeJob)
	RestartStrategyFailureRateFailureRateInterval = durationOption("restart-strategy.failure-rate.failure-rate-interval",
		"Interval in which failures are counted.").or(time.Minute).in(ScopeJob)
	RestartStrategyFailureRateDelay = durationOption("restart-strategy.failure-rate.delay",
		"Pause before a restart.").or(time.Second).in(ScopeJob)
	RestartStrategyExponentialDelayInitialBackoff = durationOption("restart-strategy.exponential-delay.initial-backoff",
		"Pause before the first restart.").or(time.Second).in(ScopeJob)
	RestartStrategyExponentialDelayMaxBackoff = durationOption("restart-strategy.exponential-delay.max-backoff",
		"Longest pause before a restart.").or(time.Minute).in(ScopeJob)
	RestartStrategyExponentialDelayBackoffMultiplier = declare("restart-strategy.exponential-delay.backoff-multiplier", floatKind,
		"Factor by which the pause grows with each failure.").or(1.5).in(ScopeJob).
		where("a number of at least 1", atLeast(1.0))
	RestartStrategyExponentialDelayJitterFactor = fractionOption("restart-strategy.exponential-delay.jitter-factor",
		"Random share of the pause that is added or taken off.").or(0.1).in(ScopeJob)
	RestartStrategyExponentialDelayResetBackoffThreshold = durationOption("restart-strategy.exponential-delay.reset-backoff-threshold",
		"Time without a failure after which the pause is the first one again.").or(time.Hour).in(ScopeJob)
	RestartStrategyExponentialDelayAttemptsBeforeResetBackoff = positiveOption("restart-strategy.exponential-delay.attempts-before-reset-backoff",
		"Restarts before the job fails unless the pause was reset between them.").or(maxInt).in(ScopeJob)
)
