// Package executor gets an application's jobs onto a cluster. RunDriver starts the application in the driver role and
// serves its driver link; what the application submits goes where the DriverService sends it, of which there is one for
// each kind of target, as Flink has a PipelineExecutor for each:
//
//	Embedded  to the Dispatcher in this process: application mode, where the JobManager runs the driver
//	Session   to a running cluster, through its REST endpoint
//	PerJob    to a cluster that is deployed for the first job, and for it alone
//
// Goroutines: RunDriver joins its own before it returns. A Session and a PerJob with ShutdownOnAttachedExit have one for
// each job, which sends heartbeats; Close stops and joins them.
package executor
