// Package host is the main loop of a task host: the process (or, in a minicluster, the goroutines) that runs the subtasks
// of one job on one TaskManager.
//
// Run speaks with the TaskManager over a Link: it says hello, is told its job by HostStart, builds the StreamGraph,
// compares fingerprints, and then runs what Deploy names until HostShutdown or the end of the link.
//
// Goroutines. Run's caller receives from the link and owns the host's maps. One goroutine sends to the link, fed by a
// bounded queue; one accepts data connections; one reports metrics; every subtask and every coordinator has its own.
// Run returns when all of them have ended.
package host
