// Package stream is what users of Weft write: jobs, streams, windows, state and the main function.
//
// A job is a value made by Define at package level: a name and a function that builds the graph from params. Main is the
// first statement of main and decides by the process' role what runs: the driver function (local and driver role), or
// only the one job that this process is a task host of. The build function is therefore a pure function of its params;
// files, clocks and flags belong into the driver function.
//
// Stream, Keyed and Windowed are handles on the graph being built. Methods keep the element type, package functions
// change it. A mistake (a nil function, a key type that can't be a key, a window without an aggregate) is recorded with
// the user's line, and all of them are reported together when the build function has returned.
//
// Functions given to operators are shared by all subtasks of a process and must not keep mutable state. What has state is
// made per subtask: by the open function of Process and CoProcess, by a Source's or Sink's Open. Records that an operator
// emits may be shared with other operators: a function doesn't write through the slices, maps and pointers in a record
// that it was given.
//
// Handles are used by the goroutine that runs the build function only. Everything an operator does happens in the
// goroutine of its subtask.
package stream
