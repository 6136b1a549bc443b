// Package datagen is a source that makes its records: for tests, demonstrations and benchmarks.
package datagen

import (
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
//
// A job that starts from a checkpoint goes on where that was taken: each number is made once in total, if the function
// depends on the number alone. With another parallelism the runs of numbers are dealt to the subtasks as they are: with
// more subtasks some have none, with less some have several, which take turns.
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
	sp := &splits{readers: int64(rt.Parallelism)}
	if len(snapshot) != 0 {
		if err := sp.restore(snapshot); err != nil {
			return nil, fmt.Errorf("datagen: splits of the snapshot: %w", err)
		}
		return sp, nil
	}
	for i := range sp.readers {
		sp.left = append(sp.left, run{i, sp.readers})
	}
	return sp, nil
}

func (s *source[T]) Open(rt *stream.Runtime) (stream.SourceReader[T], error) {
	r := &reader[T]{make: s.open(rt), end: s.events, total: s.o.rate, now: time.Now}
	if r.make == nil {
		return nil, fmt.Errorf("datagen: open returned a nil function")
	}
	return r, nil
}

type reader[T any] struct {
	make  func(i int64) T
	runs  []run // those that have numbers left, in the order of their turns
	end   int64 // 0: for ever
	total float64
	rate  float64 // of this subtask's runs, per second; 0 without bound
	now   func() time.Time
	began time.Time
	made  int64 // since began
	v     T     // here, since what emit is given would escape
}

// Add takes runs beside those that there are.
func (r *reader[T]) Add(split []byte) error {
	runs, err := parseRuns(split)
	if err != nil {
		return fmt.Errorf("datagen: split of %d bytes: %w", len(split), err)
	}
	for _, add := range runs {
		if r.end == 0 || add.next < r.end {
			r.runs = append(r.runs, add)
		}
	}
	r.share()
	return nil
}

// share makes the rate that of the runs there are, each of which has a step-th of the whole.
func (r *reader[T]) share() {
	r.rate = 0
	for i := range r.runs {
		r.rate += r.total / float64(r.runs[i].step)
	}
	r.began, r.made = time.Time{}, 0
}

func (r *reader[T]) Poll(max int, emit func(v *T, t stream.Time)) (bool, error) {
	if len(r.runs) == 0 {
		return false, nil
	}
	if r.rate > 0 {
		max = min(max, r.allowed())
	}
	if max <= 0 {
		return true, nil
	}
	run := &r.runs[0]
	for range max {
		r.v = r.make(run.next)
		emit(&r.v, stream.NoTime)
		run.next += run.step
		r.made++
		if r.end > 0 && run.next >= r.end {
			r.runs = r.runs[1:]
			r.share()
			return len(r.runs) != 0, nil
		}
	}
	if len(r.runs) > 1 { // the next one's turn
		done := *run
		copy(r.runs, r.runs[1:])
		r.runs[len(r.runs)-1] = done
	}
	return true, nil
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

// Snapshot gives each run as a split of its own, so that another number of subtasks can share them.
func (r *reader[T]) Snapshot() ([][]byte, error) {
	var out [][]byte
	for i := range r.runs {
		out = append(out, appendRuns(nil, r.runs[i]))
	}
	return out, nil
}
