package stream

import (
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/operator"
)

// Rescale spreads the records over a share of the subtasks of whatever reads the stream, in turn: from 2 subtasks to 4,
// each feeds two of its own; from 4 to 2, two feed the same. It opens fewer connections than Rebalance and evens out
// less: a subtask with many records burdens only its own share.
func (s Stream[T]) Rescale() Stream[T] {
	return s.redistribute(caller(), "Rescale", graph.Partitioning_RESCALE)
}

// Shuffle sends every record to a random subtask of whatever reads the stream. Records may go elsewhere when they are
// sent again after a restart.
func (s Stream[T]) Shuffle() Stream[T] {
	return s.redistribute(caller(), "Shuffle", graph.Partitioning_SHUFFLE)
}

// Global sends every record to subtask 0 of whatever reads the stream; its other subtasks get watermarks only.
func (s Stream[T]) Global() Stream[T] {
	return s.redistribute(caller(), "Global", graph.Partitioning_GLOBAL)
}

// Forward sends the records of each subtask to the subtask of the same number. That both sides have the same parallelism
// is checked when the job is submitted; a stream without Forward is rebalanced where they differ.
func (s Stream[T]) Forward() Stream[T] {
	r := s.redistribute(caller(), "Forward", graph.Partitioning_FORWARD)
	for i := range r.parts {
		r.parts[i].exact = true
	}
	return r
}

// PartitionCustom sends every record to the subtask that part chooses for its key, of the n of whatever reads the
// stream. A result outside 0 to n-1 fails the job. key and part are pure functions, called by several subtasks at once.
// Unlike KeyBy it makes no keyed stream: there is no state by key behind it.
func PartitionCustom[T, K any](s Stream[T], key func(T) K, part func(key K, n int) int) Stream[T] {
	at := caller()
	r := s.redistribute(at, "PartitionCustom", graph.Partitioning_CUSTOM)
	if key == nil || part == nil {
		s.env.fail(at, "PartitionCustom with a nil function")
		return r
	}
	router := operator.NewCustomRouter("the partitioner given to PartitionCustom at "+at,
		func(v T, n int) int { return part(key(v), n) })
	for i := range r.parts {
		r.parts[i].router = router
	}
	return r
}

// routerOf makes the routers of a part that isn't keyed.
func routerOf[T any](p part) operator.RouterFactory {
	switch p.partitioning {
	case graph.Partitioning_BROADCAST:
		return operator.NewBroadcastRouter[T]()
	case graph.Partitioning_SHUFFLE:
		return operator.NewShuffleRouter[T]()
	case graph.Partitioning_GLOBAL:
		return operator.NewGlobalRouter[T]()
	case graph.Partitioning_CUSTOM:
		return p.router
	}
	return operator.NewRebalanceRouter[T]()
}
