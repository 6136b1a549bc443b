// Package failover proves that of two JobManagers of one cluster only the newer one counts: the older one is stopped
// (SIGSTOP) at any step of its work, its successor takes the epoch log and goes on with the job, and the older one, which
// knows nothing of that, is continued at any moment of the successor's. What the job writes must be complete, each record
// once, and the older one must end by itself and do no harm.
//
// It also proves that a job whose task host is killed goes on from the copies of its state on the TaskManager's disk.
//
// It has no code but tests. Their executable is also the processes that they start: JobManagers ([role] jobManager), whose
// file system and messages pass through a counter of steps that stops the process at one of them; TaskManagers; and the
// task hosts of the job. Nothing in the code that is tested knows of it.
//
// Random choices come from a seed that is printed; WEFT_SEED sets it. Without WEFT_SOAK=1 a small sample of the steps is
// run.
package failover
