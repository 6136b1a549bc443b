package conf

import "time"

// Options of the command line, and of what all processes share.
var (
	ClientTimeout = durationOption("client.timeout",
		"Time the client waits for the cluster to act.").or(time.Minute).older("akka.client.timeout").in(ScopeClient)
	ClientRetryPeriod = durationOption("client.retry-period",
		"Interval at which the client asks for a job's status.").or(2 * time.Second).in(ScopeClient)
	ClientHeartbeatInterval = durationOption("client.heartbeat.interval",
		"Interval of the heartbeats of a client whose job ends with it.").or(30 * time.Second).in(ScopeClient)
	ClientHeartbeatTimeout = durationOption("client.heartbeat.timeout",
		"Time without a heartbeat after which the job of such a client is cancelled.").or(3 * time.Minute).in(ScopeClient)

	ClusterIoPoolSize = positiveOption("cluster.io-pool.size",
		"Blocking operations a JobManager or TaskManager has under way at once; unset, four for each processor.")
	ClusterServicesShutdownTimeout = durationOption("cluster.services.shutdown-timeout",
		"Time a process has to stop in good order.").or(30 * time.Second)
	ClusterRegistrationInitialTimeout = durationOption("cluster.registration.initial-timeout",
		"First pause before a registration is repeated.").or(100 * time.Millisecond)
	ClusterRegistrationMaxTimeout = durationOption("cluster.registration.max-timeout",
		"Longest pause before a registration is repeated.").or(30 * time.Second)

	IoTmpDirs = textOption("io.tmp.dirs",
		"Directories for temporary files, separated by commas; unset, YARN's local directories, else the system's own.").
		older("taskmanager.tmp.dirs").
		differs("/tmp", "the same where TMPDIR is not set; on YARN both take YARN's local directories")
	ProcessWorkingDir = textOption("process.working-dir",
		"Directory below which processes keep their local files; unset, one below io.tmp.dirs.")
	FsDefaultScheme = textOption("fs.default-scheme",
		"File system of paths without a scheme, as a URI; unset, Hadoop's fs.defaultFS on YARN, else the local one.")
	FsOverwriteFiles = boolOption("fs.overwrite-files",
		"Whether sinks replace files that exist.").or(false).in(ScopeJob)

	EnvLogLevel = enumSynonyms("env.log.level",
		"Least severe level that is logged.",
		map[string]string{"trace": "DEBUG", "warning": "WARN", "fatal": "ERROR"},
		"DEBUG", "INFO", "WARN", "ERROR", "OFF").or("INFO")
	EnvLogDir = textOption("env.log.dir",
		"Directory of log files; on YARN the container's.")
	EnvLogMax = countOption("env.log.max",
		"Rolled log files that are kept.").or(10)
	EnvHadoopConfDir = textOption("env.hadoop.conf.dir",
		"Directory of Hadoop's site files if HADOOP_CONF_DIR is not set.").in(ScopeClient)
	EnvYarnConfDir = textOption("env.yarn.conf.dir",
		"Directory of YARN's site files if YARN_CONF_DIR is not set.").in(ScopeClient)

	HistoryServerArchiveFsDir = textOption("historyserver.archive.fs.dir",
		"Directories of archived jobs the HistoryServer shows, separated by commas.")
	HistoryServerArchiveFsRefreshInterval = durationOption("historyserver.archive.fs.refresh-interval",
		"Interval at which the HistoryServer looks for archived jobs.").or(10 * time.Second)
	HistoryServerWebAddress = textOption("historyserver.web.address",
		"Address the HistoryServer listens on, and under which YARN links to it once an application has ended.")
	HistoryServerWebPort = portOption("historyserver.web.port",
		"Port the HistoryServer listens on.").or(8082)
)
