package conf

// acceptedGroups lists the keys of Flink that Weft accepts without reading them, by reason. A key that is also declared
// as an Option stays listed until something reads it: its values are checked, and it counts as having no effect.
var acceptedGroups = []group{
	{"there is no JVM here", `
		classloader.check-leaked-classloader
		classloader.fail-on-metaspace-oom-error
		classloader.parent-first-patterns.additional
		classloader.parent-first-patterns.default
		classloader.resolve-order
		cluster.intercept-user-system-exit
		cluster.processes.halt-on-fatal-error
		cluster.uncaught-exception-handling
		env.hbase.conf.dir
		env.java.default-opts.all
		env.java.default-opts.jobmanager
		env.java.default-opts.taskmanager
		env.java.opts.all env.java.opts
		env.java.opts.client
		env.java.opts.historyserver
		env.java.opts.jobmanager
		env.java.opts.sql-gateway
		env.java.opts.taskmanager
		execution.job-listeners
		jobmanager.memory.enable-jvm-direct-memory-limit
		jobmanager.memory.heap.size
		jobmanager.memory.jvm-metaspace.size
		jobmanager.memory.jvm-overhead.fraction
		jobmanager.memory.jvm-overhead.max
		jobmanager.memory.jvm-overhead.min
		jobmanager.memory.off-heap.size
		pipeline.classpaths
		pipeline.closure-cleaner-level
		pipeline.force-avro
		pipeline.force-kryo
		pipeline.force-kryo-avro
		pipeline.generic-types
		pipeline.jars
		pipeline.serialization-config
		security.kerberos.login.contexts
		taskmanager.jvm-exit-on-oom
		taskmanager.memory.framework.off-heap.batch-shuffle.size
		taskmanager.memory.framework.off-heap.size
		taskmanager.memory.jvm-metaspace.size
		taskmanager.memory.jvm-overhead.fraction
		taskmanager.memory.jvm-overhead.max
		taskmanager.memory.jvm-overhead.min
		taskmanager.memory.task.heap.size
		taskmanager.memory.task.off-heap.size
		taskmanager.network.netty.client.connectTimeoutSec
		taskmanager.network.netty.client.tcp.keepCount
		taskmanager.network.netty.client.tcp.keepIdleSec
		taskmanager.network.netty.client.tcp.keepIntervalSec
		yarn.classpath.include-user-jar yarn.per-job-cluster.include-user-jar
		yarn.container-start-command-template
		yarn.flink-dist-jar
		yarn.provided.lib.dirs
		yarn.provided.usrlib.dir
		zookeeper.sasl.<key>
	`},
	{"Weft has no code in Python", `
		python.<key>
	`},
	{"calls go over gRPC, which needs no tuning by these keys", `
		akka.<key>
		pekko.<key>
	`},
	{"applications travel through Weft's own artifact store", `
		blob.client.connect.timeout
		blob.client.socket.timeout
		blob.fetch.backlog
		blob.fetch.num-concurrent
		blob.fetch.retries
		blob.offload.minsize
		blob.server.port
		blob.service.cleanup.interval library-cache-manager.cleanup.interval
		blob.service.ssl.enabled
		blob.storage.directory
		user.artifacts.<key>
	`},
	{"operators get batches of values and never share what they change", `
		pipeline.object-reuse
	`},
	{"a Weft process needs no start scripts, pid files or ssh", `
		env.pid.dir
		env.ssh.opts
		env.stdout-err.redirect-to-file
	`},
	{"connections between JobManager and TaskManagers always use mutual TLS with certificates made for each cluster", `
		security.ssl.internal.<key>
	`},
	{"the REST endpoint asks for a token (security.rest.authentication); this version doesn't serve it over TLS", `
		security.ssl.rest.<key>
	`},
	{"this version doesn't let ciphers, protocols or stores of TLS be chosen", `
		security.ssl.<key>
	`},
	{"tokens for YARN and HDFS are always obtained, those of other services never", `
		security.delegation.token.provider.<service>.enabled
		security.kerberos.token.provider.<service>.enabled
		security.kerberos.token.provider.hadoopfs.renewer
		yarn.security.appmaster.delegation.token.services
	`},
	{"this version has no ZooKeeper driver; on YARN none is needed", `
		high-availability.zookeeper.client.acl
		high-availability.zookeeper.client.authorization
		high-availability.zookeeper.client.connection-timeout recovery.zookeeper.client.connection-timeout
		high-availability.zookeeper.client.ensemble-tracker
		high-availability.zookeeper.client.max-close-wait
		high-availability.zookeeper.client.max-retry-attempts recovery.zookeeper.client.max-retry-attempts
		high-availability.zookeeper.client.retry-wait recovery.zookeeper.client.retry-wait
		high-availability.zookeeper.client.session-timeout recovery.zookeeper.client.session-timeout
		high-availability.zookeeper.client.simulated-session-expiration-percent
		high-availability.zookeeper.client.tolerate-suspended-connections
		high-availability.zookeeper.path.jobgraphs recovery.zookeeper.path.jobgraphs
		high-availability.zookeeper.path.root recovery.zookeeper.path.root
		high-availability.zookeeper.quorum recovery.zookeeper.quorum
	`},
	{"this version doesn't run on Kubernetes", `
		kubernetes.<key>
	`},
	{"Weft has no SQL", `
		sql-gateway.<key>
		table.<key>
	`},
	{"this version has no RocksDB state backend", `
		state.backend.rocksdb.<key>
	`},
	{"this version has no changelog state backend", `
		state.changelog.enabled state.backend.changelog.enabled
		state.changelog.max-failures-allowed
		state.changelog.periodic-materialize.enabled
		state.changelog.periodic-materialize.interval state.backend.changelog.periodic-materialize.interval
		state.changelog.storage state.backend.changelog.storage
	`},
	{"the parallelism of a bounded job is its own, and of a vertex what was asked for over REST", `
		execution.batch.adaptive.auto-parallelism.avg-data-volume-per-task jobmanager.adaptive-batch-scheduler.avg-data-volume-per-task
		execution.batch.adaptive.auto-parallelism.default-source-parallelism
		execution.batch.adaptive.auto-parallelism.enabled
		execution.batch.adaptive.auto-parallelism.max-parallelism jobmanager.adaptive-batch-scheduler.max-parallelism
		execution.batch.adaptive.auto-parallelism.min-parallelism jobmanager.adaptive-batch-scheduler.min-parallelism
		execution.batch.speculative.block-slow-node-duration jobmanager.adaptive-batch-scheduler.speculative.block-slow-node-duration
		execution.batch.speculative.enabled jobmanager.adaptive-batch-scheduler.speculative.enabled
		execution.batch.speculative.max-concurrent-executions jobmanager.adaptive-batch-scheduler.speculative.max-concurrent-executions
		pipeline.jobvertex-parallelism-overrides
		web.rescale.enable
	`},
	{"this version executes bounded jobs as it does unbounded ones", `
		execution.batch-shuffle-mode
		execution.batch-state-backend.enabled
		execution.batch.job-recovery.enabled
		execution.batch.job-recovery.previous-worker.recovery.timeout
		execution.batch.job-recovery.snapshot.min-pause
		execution.sort-keyed-partition.memory
		execution.sort-partition.memory
		execution.sorted-inputs.enabled
		execution.sorted-inputs.memory
		jobmanager.partition.hybrid.partition-data-consume-constraint
		jobmanager.partition.release-during-job-execution
		taskmanager.network.compression.codec
		taskmanager.network.hybrid-shuffle.external-remote-tier-factory.class
		taskmanager.network.hybrid-shuffle.remote.path
		taskmanager.network.sort-shuffle.min-buffers
		taskmanager.runtime.fs-timeout
		taskmanager.runtime.hashjoin-bloom-filters
		taskmanager.runtime.large-record-handler
		taskmanager.runtime.max-fan
		taskmanager.runtime.sort-spilling-threshold
	`},
	{"this version doesn't size network buffers by the load", `
		taskmanager.network.memory.buffer-debloat.enabled
		taskmanager.network.memory.buffer-debloat.period
		taskmanager.network.memory.buffer-debloat.samples
		taskmanager.network.memory.buffer-debloat.target
		taskmanager.network.memory.buffer-debloat.threshold-percentages
	`},
	{"this version doesn't keep such metrics", `
		metrics.fetcher.update-interval
		metrics.internal.query-service.port
		metrics.internal.query-service.thread-priority
		metrics.job.status.enable
		metrics.latency.granularity
		metrics.latency.history-size
		metrics.latency.interval
		metrics.reporter.<name>.<key>
		metrics.reporters
		metrics.scope.delimiter
		metrics.scope.jm
		metrics.scope.jm-job metrics.scope.jm.job
		metrics.scope.jm-operator
		metrics.scope.operator
		metrics.scope.task
		metrics.scope.tm
		metrics.scope.tm-job metrics.scope.tm.job
		metrics.system-resource
		metrics.system-resource-probing-interval
		state.latency-track.history-size
		state.latency-track.keyed-state-enabled state.backend.latency-track.keyed-state-enabled
		state.latency-track.sample-interval
		state.latency-track.state-name-as-variable
		taskmanager.debug.memory.log taskmanager.debug.memory.startLogThread
		taskmanager.debug.memory.log-interval
		taskmanager.network.detailed-metrics
		traces.reporter.<name>.<key>
		traces.reporters
	`},
	{"this version draws no flame graphs and takes no profiles", `
		rest.flamegraph.cleanup-interval
		rest.flamegraph.delay-between-samples
		rest.flamegraph.enabled
		rest.flamegraph.num-samples
		rest.flamegraph.refresh-interval
		rest.flamegraph.stack-depth
		rest.profiling.dir
		rest.profiling.duration-max
		rest.profiling.enabled
		rest.profiling.history-size
	`},
	{"external resources such as GPUs are not asked for in this version", `
		external-resource.<resource_name>.amount
		external-resource.<resource_name>.driver-factory.class
		external-resource.<resource_name>.param.<param>
		external-resource.<resource_name>.yarn.config-key
		external-resources
	`},
	{"a TaskManager keeps local copies of state in its working directory", `
		execution.checkpointing.local-backup.dirs
	`},
	{"a job is restored from a whole checkpoint in this version", `
		execution.state-recovery.approximate-local-recovery
	`},
	{"this version has no such choice for checkpoints", `
		execution.checkpointing.cleaner.parallel-mode state.checkpoint.cleaner.parallel-mode
		execution.checkpointing.file-merging.across-checkpoint-boundary
		execution.checkpointing.file-merging.enabled
		execution.checkpointing.file-merging.max-file-size
		execution.checkpointing.file-merging.max-space-amplification
		execution.checkpointing.file-merging.max-subtasks-per-file
		execution.checkpointing.file-merging.pool-blocking
		execution.checkpointing.interval-during-backlog
		execution.checkpointing.snapshot-compression
		execution.checkpointing.unaligned.forced
		execution.checkpointing.unaligned.interruptible-timers.enabled
		execution.checkpointing.unaligned.max-subtasks-per-channel-state-file
		execution.checkpointing.write-buffer-size
		execution.state-recovery.without-channel-state.checkpoint-id
	`},
	{"finished jobs are kept in memory", `
		jobstore.cache-size
		jobstore.type
	`},
	{"the HistoryServer of this version has no such choice", `
		historyserver.archive.clean-expired-jobs
		historyserver.archive.retained-jobs
		historyserver.log.jobmanager.url-pattern
		historyserver.log.taskmanager.url-pattern
		historyserver.web.refresh-interval
		historyserver.web.ssl.enabled
		historyserver.web.tmpdir
	`},
	{"managed memory is the state backend's alone", `
		taskmanager.memory.managed.consumer-weights
	`},
	{"results of jobs are kept with high availability's other records", `
		job-result-store.delete-on-commit
		job-result-store.storage-path
	`},
	{"the TaskManagers of an earlier JobManager are not waited for", `
		resourcemanager.previous-worker.recovery.timeout
	`},
	{"the last 16 attempts of a subtask are remembered", `
		jobmanager.execution.attempts-history-size
	`},
	{"this version has no history server", `
		historyserver.archive.fs.dir
		historyserver.archive.fs.refresh-interval
		jobmanager.archive.fs.dir
	`},
	{"this version has no Kerberos", `
		security.delegation.tokens.enabled
		security.delegation.tokens.renewal.retry.backoff
		security.delegation.tokens.renewal.time-ratio
		security.kerberos.access.hadoopFileSystems
		security.kerberos.krb5-conf.path
		security.kerberos.login.keytab
		security.kerberos.login.principal
		security.kerberos.login.use-ticket-cache
		security.kerberos.relogin.period
		yarn.security.kerberos.localized-keytab-path
		yarn.security.kerberos.ship-local-keytab
	`},
	{"this version has no dashboard and takes no uploads through one", `
		web.submit.enable
		web.tmpdir
		web.upload.dir
	`},
	{"need is declared and met at once, so there is nothing to wait for or to batch", `
		resourcemanager.standalone.start-up-time
		slot.idle.timeout
		slotmanager.declare-needed-resource.delay
		slotmanager.requirement-check.delay
	`},
	{"this version has no such choice", `
		client.retry-period
		cluster.io-pool.size
		cluster.registration.initial-timeout
		cluster.registration.max-timeout
		cluster.services.shutdown-timeout
		execution.program-config.enabled
		fs.overwrite-files
		heartbeat.rpc-failure-threshold
		high-availability.jobmanager.port
		pipeline.auto-generate-uids
		pipeline.global-job-parameters
		resourcemanager.job.timeout
		rest.await-leader-timeout
		slotmanager.max-total-resource.cpu
		slotmanager.max-total-resource.memory
		taskmanager.memory.segment-size
		taskmanager.network.request-backoff.initial
		taskmanager.network.request-backoff.max
		taskmanager.network.retries
		taskmanager.rpc.port
		web.log.path
		cluster.registration.error-delay
		cluster.registration.refused-registration-delay
		cluster.thread-dump.stacktrace-max-depth
		execution.program-config.wildcards
		execution.submit-failed-job-on-application-error
		fs.allowed-fallback-filesystems
		fs.output.always-create-directory
		jobmanager.failure-enrichers
		jobmanager.future-pool.size
		jobmanager.io-pool.size
		jobmanager.retrieve-taskmanager-hostname
		pipeline.operator-chaining.chain-operators-with-different-max-parallelism
		pipeline.vertex-description-mode
		pipeline.vertex-name-include-index-prefix
		pipeline.watermark-alignment.allow-unaligned-source-splits
		process.jobmanager.working-dir
		process.taskmanager.working-dir
		resourcemanager.rpc.port
		rest.cache.checkpoint-statistics.size
		rest.cache.checkpoint-statistics.timeout
		rest.server.numThreads
		rest.server.thread-priority
		slotmanager.min-total-resource.cpu
		slotmanager.min-total-resource.memory
		task.cancellation.timers.timeout timerservice.exceptional.shutdown.timeout
		taskmanager.collect-sink.port
		taskmanager.log.path
		taskmanager.memory.min-segment-size
		taskmanager.network.bind-policy
		taskmanager.network.memory.buffers-request-timeout
		taskmanager.network.memory.read-buffer.required-per-gate.max
		taskmanager.network.partition-request-timeout
		taskmanager.network.tcp-connection.enable-reuse-across-jobs
		taskmanager.rpc.bind-port
		taskmanager.system-out.log.cache-upper-size
		taskmanager.system-out.log.thread-name.enabled
		taskmanager.system-out.mode
		web.history jobmanager.web.history
	`},
}
