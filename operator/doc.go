// Package operator is the contract between typed user code and the untyped runtime.
//
// Package stream implements it once per Go type (an operator is a generic struct over its element types) and package
// runtime/task only calls it. The unit of work is a Batch, always a *Vec[T]: one interface call and one type assertion
// are paid per batch and operator, none per record.
//
// Ownership of a batch. Whoever calls Input.Batch keeps owning the batch and reuses it as soon as the call returns. The
// callee may change its contents in place during the call (a map of T to T overwrites, a filter compacts) and keeps
// neither the batch nor its slices. An operator output with several consumers goes through a Tee, which copies for all
// consumers but the last. A Writer is the one exception: Send takes the batch for good and returns another one.
//
// Concurrency. All methods of the operators of one chain, and of its routers, are called by the goroutine of their
// subtask, never concurrently. Methods of Runtime are called by that same goroutine; what runs elsewhere (timers, answers
// of a coordinator) comes back through the subtask's mailbox.
package operator
