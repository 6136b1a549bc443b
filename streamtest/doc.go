// Package streamtest is for the tests of programs written with package stream.
//
// Run runs a job in the test's process, on a MiniCluster with two subtasks per operator, so that a test under -race finds
// functions that share state they mustn't. From and Collect are its input and output. Rebuild checks that a job's build
// function is pure: it builds the job in another process and compares. NewRuntime makes what a Source or Sink of one's own
// is given, for testing it alone.
package streamtest
