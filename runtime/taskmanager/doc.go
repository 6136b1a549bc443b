// Package taskmanager is the TaskManager role: it owns task slots and runs a task host for every job that has slots here.
//
// A TaskManager registers with the JobManager over an rpc.Connector and then does what the stream says: a slot that is
// allocated starts the job's task host (once) and is offered to the JobMaster, commands for a host go to it in order,
// and what a host reports goes back in order. The job's executable and cached files are brought here before that. A
// host that ends is reported at once, with its reason and the tail of its stderr. The end of the JobManager's stream
// ends all hosts: without high availability there is nobody they could report to.
//
// Task hosts are started by a HostStarter: ProcessStarter makes a process for each job, InProcess runs host.Run in this
// process for the MiniCluster.
//
// Goroutines. TaskManager.Run's caller is the actor: it alone touches the slot table (core), and never waits for a host,
// for an executable or for a data connection. Each job has a runner with two goroutines (commands, events) beside what
// its Host owns; a registration has a reader; the data port has an accepter and one goroutine for each connection until
// it has been passed on. Run joins them all.
package taskmanager
