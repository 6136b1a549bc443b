package rest

import (
	"github.com/weftstream/weft/link"
)

// routes is the table of endpoints.
func (s *Server) routes() {
	s.route("GET /config", s.config)
	s.route("GET /overview", s.overview)
	s.route("DELETE /cluster", s.shutdown)
	s.route("GET /datasets", s.datasets)
	s.route("GET /taskmanagers", s.taskManagers)
	s.route("GET /taskmanagers/{taskmanagerid}", s.taskManager)
	s.route("GET /jobmanager/config", s.jobManagerConfig)
	s.route("GET /jobmanager/environment", s.environment)
	s.route("GET /jobmanager/logs", s.logs)
	s.route("GET /jobmanager/logs/{filename}", s.logFile)
	s.route("GET /jobmanager/log", s.namedLog(s.c.LogFile))
	s.route("GET /jobmanager/stdout", s.namedLog(s.c.StdoutFile))

	s.route("GET /jobs", s.jobIDs)
	s.route("POST /jobs", s.submit)
	s.route("GET /jobs/overview", s.jobsOverview)
	s.route("GET /jobs/{jobid}", s.job)
	s.route("PATCH /jobs/{jobid}", s.cancelJob)
	s.route("GET /jobs/{jobid}/yarn-cancel", s.cancelJob)
	s.route("PUT /jobs/{jobid}/yarn-cancel", s.cancelJob)
	s.route("PATCH /jobs/{jobid}/clientHeartbeat", s.heartbeat)
	s.route("GET /jobs/{jobid}/status", s.jobStatus)
	s.route("GET /jobs/{jobid}/plan", s.plan)
	s.route("GET /jobs/{jobid}/config", s.jobConfig)
	s.route("GET /jobs/{jobid}/exceptions", s.exceptions)
	s.route("GET /jobs/{jobid}/accumulators", s.accumulators)
	s.route("GET /jobs/{jobid}/execution-result", s.executionResult)
	s.route("GET /jobs/{jobid}/resource-requirements", s.requirements)
	s.route("PUT /jobs/{jobid}/resource-requirements", s.require)
	s.route("PATCH /jobs/{jobid}/rescaling", s.rescaling)
	s.route("GET /jobs/{jobid}/rescaling/{triggerid}", s.rescaling)
	s.route("POST /jobs/{jobid}/savepoints", s.savepoint)
	s.route("GET /jobs/{jobid}/savepoints/{triggerid}", s.savepointStatus)
	s.route("POST /jobs/{jobid}/stop", s.stopJob)
	s.route("GET /jobs/{jobid}/checkpoints", s.checkpoints)
	s.route("POST /jobs/{jobid}/checkpoints", s.checkpoint)
	s.route("GET /jobs/{jobid}/checkpoints/{triggerid}", s.checkpointStatus)
	s.route("GET /jobs/{jobid}/checkpoints/config", s.checkpointConfig)
	s.route("GET /jobs/{jobid}/checkpoints/details/{checkpointid}", s.checkpointDetails)
	s.route("GET /jobs/{jobid}/checkpoints/details/{checkpointid}/subtasks/{vertexid}", s.checkpointVertex)
	s.route("POST /savepoint-disposal", s.disposal)
	s.route("GET /savepoint-disposal/{triggerid}", s.disposalStatus)
	s.route("GET /jobs/{jobid}/jobmanager/config", s.jobManagerConfig)
	s.route("GET /jobs/{jobid}/jobmanager/environment", s.environment)
	s.route("GET /jobs/{jobid}/vertices/{vertexid}", s.vertex)
	s.route("GET /jobs/{jobid}/vertices/{vertexid}/subtasktimes", s.subtaskTimes)
	s.route("GET /jobs/{jobid}/vertices/{vertexid}/taskmanagers", s.vertexTaskManagers)
	s.route("GET /jobs/{jobid}/vertices/{vertexid}/backpressure", s.backpressure)
	s.route("GET /jobs/{jobid}/vertices/{vertexid}/watermarks", s.watermarks)
	s.route("GET /jobs/{jobid}/vertices/{vertexid}/accumulators", s.vertexAccumulators)
	s.route("GET /jobs/{jobid}/vertices/{vertexid}/subtasks/accumulators", s.subtasksAccumulators)
	s.route("GET /jobs/{jobid}/vertices/{vertexid}/subtasks/{subtaskindex}", s.subtask)
	s.route("GET /jobs/{jobid}/vertices/{vertexid}/subtasks/{subtaskindex}/attempts/{attempt}", s.subtask)
	s.route("GET /jobs/{jobid}/vertices/{vertexid}/subtasks/{subtaskindex}/attempts/{attempt}/accumulators", s.attemptAccumulators)

	s.route("HEAD /weft/artifacts/{sha256}", s.hasArtifact)
	s.route("PUT /weft/artifacts/{sha256}", s.putArtifact)
	s.route("GET /weft/jobs/{jobid}/result", s.result)

	for subject, patterns := range absent {
		for _, p := range patterns {
			s.route(p, func(c *call) (any, error) {
				return nil, notFound("%s %s: Weft %s has no %s", c.Method, c.URL.Path, link.Version, subject)
			})
		}
	}
}

// absent is what clients of Flink ask for and Weft doesn't have: subject and endpoints.
var absent = map[string][]string{
	"end of a job without cancellation and without savepoint": {"GET /jobs/{jobid}/yarn-stop", "PUT /jobs/{jobid}/yarn-stop"},
	"jars: submit applications with weft run": {
		"GET /jars", "POST /jars/upload", "DELETE /jars/{jarid}", "GET /jars/{jarid}/plan", "POST /jars/{jarid}/plan",
		"POST /jars/{jarid}/run",
	},
	"metrics in its REST API": {
		"GET /jobmanager/metrics", "GET /taskmanagers/metrics", "GET /taskmanagers/{taskmanagerid}/metrics",
		"GET /jobs/metrics", "GET /jobs/{jobid}/metrics", "GET /jobs/{jobid}/vertices/{vertexid}/metrics",
		"GET /jobs/{jobid}/vertices/{vertexid}/subtasks/metrics", "GET /jobs/{jobid}/vertices/{vertexid}/subtasks/{subtaskindex}/metrics",
	},
	"coordination requests: results of a job are read from its sinks": {"POST /jobs/{jobid}/coordinators/{operatorid}"},
	"dashboard": {"GET /{$}", "GET /index.html"},
}
