package workload

import (
	"github.com/weftstream/weft/bench/gen"
	"github.com/weftstream/weft/stream"
)

// source makes records in memory: open makes the generator of a subtask, which makes share of the records.
type source[T any] struct {
	records int64
	open    func(subtask int) generator[T]
}

// generator fills *v with the next record.
type generator[T any] interface{ next(v *T) }

func (s *source[T]) String() string { return "Generator" }

func (s *source[T]) Splits(rt *stream.Runtime, _ []byte) (stream.Splits, error) {
	return &splits{given: make([]bool, rt.Parallelism)}, nil
}

func (s *source[T]) Open(rt *stream.Runtime) (stream.SourceReader[T], error) {
	return &reader[T]{g: s.open(rt.Subtask), left: gen.Share(s.records, rt.Subtask, rt.Parallelism)}, nil
}

// splits gives every reader one split, its own share, which needs no description.
type splits struct{ given []bool }

func (s *splits) Next(reader int) ([]byte, bool, error) {
	if s.given[reader] {
		return nil, false, nil
	}
	s.given[reader] = true
	return []byte{}, false, nil
}

func (s *splits) TakeBack([][]byte)         {}
func (s *splits) Snapshot() ([]byte, error) { return nil, nil }

type reader[T any] struct {
	g    generator[T]
	left int64
	v    T // here, since what emit is given would escape
}

func (r *reader[T]) Add([]byte) error { return nil }

func (r *reader[T]) Poll(max int, emit func(v *T, t stream.Time)) (bool, error) {
	n := min(int64(max), r.left)
	for range n {
		r.g.next(&r.v)
		emit(&r.v, stream.NoTime)
	}
	r.left -= n
	return r.left > 0, nil
}

func (r *reader[T]) Snapshot() ([][]byte, error) { return [][]byte{{}}, nil }
