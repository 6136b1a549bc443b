// Package network moves batches between the subtasks of a job.
//
// A Gate is the input of one subtask: a bounded FIFO per channel and a list of the channels that have something, served
// in turn, so that no channel waits behind another. An Output is the other end: the operator.Writer of one channel. The
// two meet in the host's Exchange, whichever is made first. If both are in this host, the batch itself changes hands and
// an empty one comes back; else it is encoded by the sending subtask's goroutine into frames of at most MaxFrame bytes and
// decoded by the receiving subtask's.
//
// Credits bound all memory: a channel holds at most as many batches or frames as its consumer has room for, and nothing
// is sent before the consumer has opened the channel. Only an urgent barrier goes beyond them, at most maxUrgent to a
// channel: the gate announces it ahead of what is queued, and hands out what it has overtaken (Gate.Overtake). In jobs
// with such barriers a channel has a reserve, with which a subtask ends what it has begun: it looks at Producer.Ready
// before it begins with more, and so never waits inside an operator while a barrier wants to pass.
//
// Connections. A host dials one connection to every host it consumes from; data flows on it from the dialled host to the
// dialling one, and openings and credits the other way. So a pair of hosts has at most two connections, one a direction,
// and hosts that dial each other at the same time need not agree on anything. Each connection has a reader and a writer
// goroutine, owned by the Exchange and joined by Exchange.Close. Both ends prove that they know the job key; on request what
// follows goes under TLS with a key that is derived from it, and compressed.
package network
