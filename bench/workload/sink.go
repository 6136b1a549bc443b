package workload

import "github.com/weftstream/weft/stream"

// sink drops records after adding them to a checksum: open makes the writer of a subtask around its tally.
type sink[T any] struct {
	open func(t tally) stream.SinkWriter[T]
}

func (sink[T]) String() string { return "Checksum" }
func (sink[T]) Commits() bool  { return false }

func (s sink[T]) Open(rt *stream.Runtime) (stream.SinkWriter[T], error) {
	return s.open(tally{total: rt.Counter(Checksum)}), nil
}

func (sink[T]) Commit(*stream.Runtime, [][]byte) error { return nil }

// tally is the checksum of one subtask; writers embed it.
type tally struct {
	sum   uint64
	total *stream.Counter
}

// Flush is called at the end of the input.
func (t *tally) Flush() ([][]byte, error) {
	t.total.Add(int64(t.sum))
	t.sum = 0
	return nil, nil
}
