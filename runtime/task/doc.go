// Package task runs subtasks. A Task builds the operator chain of its vertex, runs it in one goroutine, and reports what
// becomes of it.
//
// That goroutine (Run's caller) alone calls the operators, the routers and the gate. Others reach it through the mailbox:
// answers of coordinators, the timer, Cancel. It sleeps only when there is neither mail, nor input, nor a source that
// wants to be polled; and it waits inside a Writer when a receiver is slow. Cancel ends both.
//
// Time is taken when the subtask goes to sleep or blocks, and when a timer is set, never per record and not per batch.
package task
