package conf

import "time"

// Options of the REST endpoint, its clients and the web dashboard.
var (
	RestAddress = textOption("rest.address",
		"Address at which clients reach the REST endpoint.").older("jobmanager.rpc.address")
	RestPort = portOption("rest.port",
		"Port at which clients reach the REST endpoint; its server listens there unless rest.bind-port is set.").or(8081).
		older("web.port")
	RestBindAddress = textOption("rest.bind-address",
		"Address the REST endpoint listens on; unset, all of them (localhost is ignored on YARN).").
		older("web.address", "jobmanager.web.address")
	RestBindPort = portsOption("rest.bind-port",
		"Port, range or list of ports the REST endpoint listens on; on YARN any free port if unset.").
		or(PortRange{{8081, 8081}}).older("rest.port", "web.port", "jobmanager.web.port")
	RestPath = textOption("rest.path",
		"Path before that of every request a client makes, for an endpoint behind a proxy.").or("").in(ScopeClient)
	RestUrlPrefix = textOption("rest.url-prefix",
		"Path before that of every request the endpoint answers.").or("/").
		where("a path that begins and ends with /", func(s string) bool { return s != "" && s[0] == '/' && s[len(s)-1] == '/' })
	RestConnectionTimeout = durationOption("rest.connection-timeout",
		"Time a client waits for a connection to the REST endpoint.").or(15 * time.Second).in(ScopeClient)
	RestIdlenessTimeout = durationOption("rest.idleness-timeout",
		"Time after which an idle connection is closed.").or(5 * time.Minute)
	RestAwaitLeaderTimeout = durationOption("rest.await-leader-timeout",
		"Time a client waits for the cluster to have a leading JobManager.").or(30 * time.Second).in(ScopeClient)
	RestRetryMaxAttempts = countOption("rest.retry.max-attempts",
		"Times a client repeats a request that failed for a passing reason.").or(20).in(ScopeClient)
	RestRetryDelay = durationOption("rest.retry.delay",
		"Pause before a client repeats a request.").or(3 * time.Second).in(ScopeClient)
	RestAsyncStoreDuration = durationOption("rest.async.store-duration",
		"How long the result of an asynchronous operation is kept.").or(5 * time.Minute)
	RestClientMaxContentLength = positiveOption("rest.client.max-content-length",
		"Largest response a client reads.").or(100 << 20).unit("bytes").in(ScopeClient)
	RestServerMaxContentLength = positiveOption("rest.server.max-content-length",
		"Largest request the endpoint reads, uploads of applications aside.").or(100 << 20).unit("bytes")

	WebAccessControlAllowOrigin = textOption("web.access-control-allow-origin",
		"Value of the Access-Control-Allow-Origin header of responses; unset, none is sent.").
		older("jobmanager.web.access-control-allow-origin").
		differs("*", "requests carry credentials, so other sites get no answer unless they are named")
	WebCancelEnable = boolOption("web.cancel.enable",
		"Whether the dashboard offers to cancel jobs.").or(true)
	WebSubmitEnable = boolOption("web.submit.enable",
		"Whether applications may be uploaded and run through the REST endpoint.").or(true).
		older("jobmanager.web.submit.enable")
	WebRefreshInterval = durationOption("web.refresh-interval",
		"Interval at which the dashboard refreshes.").or(3 * time.Second).older("jobmanager.web.refresh-interval")
	WebTimeout = durationOption("web.timeout",
		"Time the REST endpoint waits for the cluster's own components.").or(10 * time.Minute)
	WebTmpdir = textOption("web.tmpdir",
		"Directory for temporary files of the REST endpoint; unset, the first of io.tmp.dirs.").older("jobmanager.web.tmpdir").
		differs("/tmp", "the process's own temporary directory, which YARN removes with the container")
	WebUploadDir = textOption("web.upload.dir",
		"Directory for uploaded applications; unset, one below web.tmpdir.").older("jobmanager.web.upload.dir")
	WebLogPath = textOption("web.log.path",
		"Log file of the JobManager that the REST endpoint serves.").older("jobmanager.web.log.path")
	WebExceptionHistorySize = countOption("web.exception-history-size",
		"Failures kept of each job.").or(16)
	WebCheckpointsHistory = countOption("web.checkpoints.history",
		"Checkpoints kept in a job's statistics.").or(10).older("jobmanager.web.checkpoints.history")
)
