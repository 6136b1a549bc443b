// Package linkpb is the generated code of link.proto: the messages between an application and the Weft process that
// started it, and those of a task host that the JobManager and the TaskManager pass on.
package linkpb
