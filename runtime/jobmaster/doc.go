// Package jobmaster runs one job: the ExecutionGraph, its slots, deployment, failure, cancellation and the commit of its
// output.
//
// The decisions are a pure core (type core: event in; state and actions out; time passed in with the event) that is
// tested by text scripts in testdata. JobMaster is the actor around it: its goroutine, that of Run, owns the core and
// executes actions: it sends to TaskManagers, has the ResourceManager told of the job's need, and appends to the epoch log
// aside, posting the outcome back. Tables in status.go and execution.go hold every legal transition of a job and of an
// execution; another one is a defect and fails the job.
//
// A job's life, in Flink's states:
//
//	INITIALIZING → CREATED → RUNNING → FINISHED
//	                  │         ├──→ FAILING → FAILED
//	                  └─────────┴──→ CANCELLING → CANCELED
//
// The methods of JobMaster are safe for concurrent use and never wait for a TaskManager.
package jobmaster
