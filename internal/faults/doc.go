// Package faults proves what Weft does when something breaks: the built weft executable on a real Hadoop, with daemons,
// nodes and Weft's own processes that are killed, stopped and silenced while applications run. All of it carries the build
// tag hadoop.
//
// Each test says which fault it brings about, what the application's end must be, in YARN's words and the user's, and
// compares what was written with an oracle. Each is a user of its own ([newUser]), and ends only when nothing of its
// applications is left: no container, no process, no staging directory.
//
// Tests that disturb Hadoop's daemons have the cluster to themselves and run one after another; those that disturb only
// their own application run side by side. Random choices come from a seed that is printed; WEFT_SEED sets it. Without
// WEFT_SOAK=1 a small sample of the choices is run, and the slowest tests are not.
//
// The users and their commands are those of package usertest, which says whose the commands' goroutines are.
package faults
