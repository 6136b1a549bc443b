package conf

import (
	"strings"
	"time"
)

// Options of the JobManager.
var (
	JobManagerRpcAddress = textOption("jobmanager.rpc.address",
		"Address under which the JobManager is reached; on YARN it is set to the container's host.")
	JobManagerRpcPort = portOption("jobmanager.rpc.port",
		"Port of the JobManager's RPC endpoint; on YARN any free port is taken.").or(6123)
	JobManagerRpcBindPort = portOption("jobmanager.rpc.bind-port",
		"Port the JobManager's RPC endpoint listens on if it is not jobmanager.rpc.port.")
	JobManagerBindHost = textOption("jobmanager.bind-host",
		"Address the JobManager's RPC endpoint listens on; unset, all of them (localhost is ignored on YARN).")
	JobManagerMemoryProcessSize = memoryOption("jobmanager.memory.process.size",
		"Memory of the JobManager's container, the driver of application mode included.").or(256*Mebibyte).
		older("jobmanager.memory.flink.size", "jobmanager.heap.size").
		differs("none in code, 1600m in the shipped config.yaml", "a Go JobManager has no metaspace, code cache or heap to reserve")
	JobManagerExecutionFailoverStrategy = enumOption("jobmanager.execution.failover-strategy",
		"What is restarted after a failure: the pipelined region or the full job.", "region", "full").or("region").in(ScopeJob)
	JobManagerScheduler = enumSynonyms("jobmanager.scheduler",
		"How slots decide over the parallelism: with Default a job runs with the one it was submitted with; with Adaptive also with less, down to 1, and with more again when slots come. Either rescales when asked over REST.",
		map[string]string{"adaptivebatch": "Default"}, "Default", "Adaptive").or("Default").in(ScopeJob)
	SchedulerMode = enumOption("scheduler-mode",
		"With REACTIVE, jobs use all the slots of a standalone cluster, up to their max parallelism.", "REACTIVE")
	AdaptiveSchedulerResourceWaitTimeout = declare("jobmanager.adaptive-scheduler.resource-wait-timeout", durationKind,
		"How long a job waits for all of its slots before it runs with those there are, or fails if they are too few; below 0, for ever (the default with scheduler-mode REACTIVE).").
		or(5 * time.Minute).older("jobmanager.adaptive-scheduler.submission.resource-wait-timeout").in(ScopeJob)
	AdaptiveSchedulerResourceStabilizationTimeout = durationOption("jobmanager.adaptive-scheduler.resource-stabilization-timeout",
		"How long a job that has slots to run with waits for the rest of those it wants (0 with scheduler-mode REACTIVE).").
		or(10 * time.Second).older("jobmanager.adaptive-scheduler.submission.resource-stabilization-timeout").in(ScopeJob)
	AdaptiveSchedulerCooldown = durationOption("jobmanager.adaptive-scheduler.scaling-interval.min",
		"The least time between two rescales because slots came; one that is asked for over REST doesn't wait.").
		or(30 * time.Second).older("jobmanager.adaptive-scheduler.executing.cooldown-after-rescaling").in(ScopeJob)
	AdaptiveSchedulerScalingIntervalMax = durationOption("jobmanager.adaptive-scheduler.scaling-interval.max",
		"Time after which a job is rescaled though its parallelism grows by less than jobmanager.adaptive-scheduler.min-parallelism-increase; unset, it isn't.").in(ScopeJob)
	AdaptiveSchedulerMinParallelismIncrease = positiveOption("jobmanager.adaptive-scheduler.min-parallelism-increase",
		"By how much the parallelism, summed over all vertices, must grow for a rescale because slots came.").or(1).in(ScopeJob)
	AdaptiveSchedulerMaxCheckpointFailures = countOption("jobmanager.adaptive-scheduler.rescale-trigger.max-checkpoint-failures",
		"Checkpoints for a rescale that may fail; after one more the job is rescaled from the latest one that is complete.").or(2).in(ScopeJob).own()
	AdaptiveSchedulerMaxDelay = durationOption("jobmanager.adaptive-scheduler.rescale-trigger.max-delay",
		"How long a rescale waits for the checkpoint that is taken for it, and for that one's commits; after that the job is rescaled from the latest one that is complete, once there is any. With 0 none is taken. Unset, execution.checkpointing.interval multiplied by one more than jobmanager.adaptive-scheduler.rescale-trigger.max-checkpoint-failures; without an interval, no limit.").in(ScopeJob).own()
	JobManagerExecutionAttemptsHistorySize = countOption("jobmanager.execution.attempts-history-size",
		"Earlier attempts kept of each subtask.").or(16).older("job-manager.max-attempts-history-size")
	JobManagerResourceId = textOption("jobmanager.resource-id",
		"Name of the JobManager in logs and the REST API.")
	JobManagerArchiveFsDir = textOption("jobmanager.archive.fs.dir",
		"Directory to which finished jobs are archived for the HistoryServer; unset, none are.")
	JobStoreExpirationTime = declare("jobstore.expiration-time", int64Kind,
		"How long a finished job stays visible.").or(3600).unit("s").
		where("a whole number, 0 or more", atLeast(int64(0)))
	JobStoreMaxCapacity = countOption("jobstore.max-capacity",
		"Finished jobs that stay visible.").or(1000).
		differs("unlimited, 50 MB of them in memory", "finished jobs are kept in memory only, so their number is bounded")
	WeftDriverMemoryFraction = fractionOption("weft.driver.memory.fraction",
		"Share of jobmanager.memory.process.size that the driver of application mode may use.").or(0.4)
	WeftClusterPlatform = textOption("weft.cluster.platform",
		"Platform of the cluster's nodes as GOOS/GOARCH; applications are built for it.").or("linux/amd64").
		where("GOOS/GOARCH, like linux/amd64 or linux/arm64", isPlatform)
)

func isPlatform(s string) bool {
	system, arch, ok := strings.Cut(s, "/")
	return ok && system != "" && arch != "" && !strings.ContainsAny(arch, "/ ") && !strings.Contains(system, " ")
}
