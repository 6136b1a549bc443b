// Package dispatcher owns the jobs of a cluster: it takes submissions, makes a JobMaster for each, keeps results and the
// snapshots of finished jobs (jobstore.* bounds them), and re-attaches a driver that submits a job again after a failover.
//
// The methods of Dispatcher are safe for concurrent use. A job's own goroutine never runs while the Dispatcher's lock is
// held, so a job that misbehaves holds up nobody else.
package dispatcher
