// Package datagen is a source that makes its records: for tests, demonstrations and benchmarks.
package datagen

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/weftstream/weft/stream"
)

// Option changes a generator.
type Option func(*options)

type options struct {
	rate float64
}

// Rate bounds the records per second of all subtasks together. 0, the default, is no bound.
func Rate(perSecond float64) Option { return func(o *options) { o.rate = perSecond } }

// New makes events records, split evenly over the subtasks; 0 makes them for ever. open is called once per subtask, so
// what the function that it returns remembers belongs to that subtask alone. That function is called with the numbers of
// the subtask's records in turn: a subtask has every Parallelism-th number, beginning with its own index.
func New[T any](events int64, open func(rt *stream.Runtime) func(i int64) T, o ...Option) stream.Source[T] {
	s := &source[T]{events: events, open: open}
	for _, opt := range o {
		opt(&s.o)
	}
	return s
}

type source[T any] struct {
	events int64
	open   func(rt *stream.Runtime) func(i int64) T
	o      options
}

func (s *source[T]) String() string { return "Data Generator" }
func (s *source[T]) Bounded() bool  { return s.events > 0 }

func (s *source[T]) Splits(rt *stream.Runtime, snapshot []byte) (stream.Splits, error) {
	if s.open == nil {
		return nil, fmt.Errorf("datagen: the function that makes generators is nil")
	}
	if s.events < 0 {
		return nil, fmt.Errorf("datagen: %d events: 0 is for ever, anything else a number of records", s.events)
	}
	if s.o.rate < 0 {
		return nil, fmt.Errorf("datagen: rate of %v records per second: 0 is without bound", s.o.rate)
	}
	sp := &splits{given: make([]bool, rt.Parallelism)}
	for i := range snapshot {
		if i < len(sp.given) {
			sp.given[i] = snapshot[i] != 0
		}
	}
	return sp, nil
}

// splits gives every reader one split: the number of its first record.
type splits struct{ given []bool }

func (s *splits) Next(reader int) ([]byte, bool, error) {
	if s.given[reader] {
		return nil, false, nil
	}
	s.given[reader] = true
	return binary.AppendVarint(nil, int64(reader)), true, nil
}

func (s *splits) TakeBack(splits [][]byte) {
	for _, b := range splits {
		if first, n := binary.Varint(b); n > 0 && first < int64(len(s.given)) {
			s.given[first] = false
		}
	}
}

func (s *splits) Snapshot() ([]byte, error) {
	b := make([]byte, len(s.given))
	for i, g := range s.given {
		if g {
			b[i] = 1
		}
	}
	return b, nil
}

func (s *source[T]) Open(rt *stream.Runtime) (stream.SourceReader[T], error) {
	r := &reader[T]{make: s.open(rt), end: s.events, step: int64(rt.Parallelism), now: time.Now}
	if r.make == nil {
		return nil, fmt.Errorf("datagen: open returned a nil function")
	}
	if s.o.rate > 0 {
		r.rate = s.o.rate / float64(rt.Parallelism)
	}
	return r, nil
}

type reader[T any] struct {
	make      func(i int64) T
	next, end int64 // end 0: for ever
	step      int64
	rate      float64 // of this subtask, per second
	now       func() time.Time
	began     time.Time
	made      int64
	v         T // here, since what emit is given would escape
}

func (r *reader[T]) Add(split []byte) error {
	next, n := binary.Varint(split)
	if n <= 0 {
		return fmt.Errorf("datagen: split of %d bytes is not understood", len(split))
	}
	r.next = next
	return nil
}

func (r *reader[T]) Poll(max int, emit func(v *T, t stream.Time)) (bool, error) {
	if r.rate > 0 {
		max = min(max, r.allowed())
	}
	for range max {
		if r.end > 0 && r.next >= r.end {
			return false, nil
		}
		r.v = r.make(r.next)
		emit(&r.v, stream.NoTime)
		r.next += r.step
		r.made++
	}
	return r.end == 0 || r.next < r.end, nil
}

// allowed is how many records the rate lets out now.
func (r *reader[T]) allowed() int {
	now := r.now()
	if r.began.IsZero() {
		r.began = now
	}
	return int(min(float64(now.Sub(r.began))/float64(time.Second)*r.rate+1-float64(r.made), 1<<20))
}

// Wait is the time until the rate lets the next record out.
func (r *reader[T]) Wait() time.Duration {
	due := r.began.Add(time.Duration(float64(r.made) / r.rate * float64(time.Second)))
	return min(max(due.Sub(r.now()), time.Millisecond), 100*time.Millisecond)
}

func (r *reader[T]) Snapshot() ([][]byte, error) {
	return [][]byte{binary.AppendVarint(nil, r.next)}, nil
}
