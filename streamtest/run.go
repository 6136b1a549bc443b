package streamtest

import (
	"context"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weftstream/weft/stream"
)

// Timeout is how long Run waits for a job.
const Timeout = time.Minute

var jobs atomic.Int64

// Option changes a Run.
type Option func(map[string]string)

// Set sets a configuration key.
func Set(key, value string) Option { return func(c map[string]string) { c[key] = value } }

// Parallelism sets parallelism.default; without it Run uses 2.
func Parallelism(n int) Option { return Set("parallelism.default", strconv.Itoa(n)) }

// Run builds a job, runs it to its end in this process and fails the test if that fails. Values of the test may be used
// by build: there is only one process. (A program's build function must not: see Rebuild.)
func Run(t testing.TB, build func(env *stream.Env), o ...Option) *stream.Result {
	t.Helper()
	r, err := Try(t, build, o...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Try is Run for jobs that are expected to fail.
func Try(t testing.TB, build func(env *stream.Env), o ...Option) (*stream.Result, error) {
	t.Helper()
	name := fmt.Sprintf("streamtest-%d %s", jobs.Add(1), strings.ReplaceAll(t.Name(), "/", " "))
	return RunJob(t, stream.Define(name, func(env *stream.Env, _ struct{}) error { build(env); return nil }), struct{}{}, o...)
}

// RunJob runs a job that the program defines.
func RunJob[P any](t testing.TB, j *stream.Job[P], p P, o ...Option) (*stream.Result, error) {
	t.Helper()
	d := Driver(t, o...)
	ctx, stop := context.WithTimeout(t.Context(), Timeout)
	defer stop()
	return j.Run(ctx, d, p)
}

// Driver is a driver whose jobs run in this process, for testing a whole driver function. It is closed when the test ends.
func Driver(t testing.TB, o ...Option) *stream.Driver {
	t.Helper()
	c := map[string]string{"parallelism.default": "2"}
	for _, opt := range o {
		opt(c)
	}
	d := stream.NewLocalDriver(stream.LocalOptions{Configuration: c})
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("close the cluster of the test: %v", err)
		}
	})
	return d
}

// Timed is a record with its event time.
type Timed[T any] struct {
	V T
	// At is its event time.
	At stream.Time
}

// From is a source of the given records without event times. Subtask i of n has the records i, i+n, i+2n and so on, in
// this order.
func From[T any](values ...T) stream.Source[T] {
	timed := make([]Timed[T], len(values))
	for i, v := range values {
		timed[i] = Timed[T]{v, stream.NoTime}
	}
	return valuesSource[T]{timed}
}

// FromTimed is From for records with event times. Watermarks come from Timestamps, as always.
func FromTimed[T any](values ...Timed[T]) stream.Source[T] { return valuesSource[T]{values} }

type valuesSource[T any] struct{ values []Timed[T] }

func (valuesSource[T]) String() string { return "Test Values" }

func (s valuesSource[T]) Splits(rt *stream.Runtime, _ []byte) (stream.Splits, error) {
	return &shares{given: make([]bool, rt.Parallelism)}, nil
}

func (s valuesSource[T]) Open(rt *stream.Runtime) (stream.SourceReader[T], error) {
	return &valuesReader[T]{values: s.values, step: rt.Parallelism}, nil
}

// shares gives each reader its own share.
type shares struct{ given []bool }

func (s *shares) Next(reader int) ([]byte, bool, error) {
	if s.given[reader] {
		return nil, false, nil
	}
	s.given[reader] = true
	return binary.AppendUvarint(nil, uint64(reader)), true, nil
}

func (s *shares) TakeBack(splits [][]byte) {
	for _, b := range splits {
		if i, n := binary.Uvarint(b); n > 0 {
			s.given[i] = false
		}
	}
}

func (s *shares) Snapshot() ([]byte, error) { return nil, nil }

type valuesReader[T any] struct {
	values     []Timed[T]
	next, step int
}

func (r *valuesReader[T]) Add(split []byte) error {
	i, _ := binary.Uvarint(split)
	r.next = int(i)
	return nil
}

func (r *valuesReader[T]) Poll(max int, emit func(v *T, t stream.Time)) (bool, error) {
	// Small batches, so that a short input is more than one.
	for range min(max, 7) {
		if r.next >= len(r.values) {
			return false, nil
		}
		emit(&r.values[r.next].V, r.values[r.next].At)
		r.next += r.step
	}
	return r.next < len(r.values), nil
}

func (r *valuesReader[T]) Snapshot() ([][]byte, error) { return nil, nil }

// Collected is a sink that keeps what it gets. Safe for concurrent use.
type Collected[T any] struct {
	mu      sync.Mutex // guards the fields below
	records []Timed[T]
	more    chan struct{} // closed by the next record; nil when nobody waits
}

// Collect makes a sink that keeps what it gets.
func Collect[T any]() *Collected[T] { return &Collected[T]{} }

// Records are what came, in no particular order; of one subtask in order.
func (c *Collected[T]) Records() []T {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]T, len(c.records))
	for i := range c.records {
		out[i] = c.records[i].V
	}
	return out
}

// Await returns the records as soon as there are n, for jobs that never end.
func (c *Collected[T]) Await(ctx context.Context, n int) ([]T, error) {
	for {
		c.mu.Lock()
		have := len(c.records)
		if have < n && c.more == nil {
			c.more = make(chan struct{})
		}
		more := c.more
		c.mu.Unlock()
		if have >= n {
			return c.Records(), nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for %d records, %d came: %w", n, have, ctx.Err())
		}
	}
}

// Timed are the records with their event times.
func (c *Collected[T]) Timed() []Timed[T] {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Timed[T](nil), c.records...)
}

// String is the sink's name.
func (c *Collected[T]) String() string { return "Collect" }

// Commits says that there is nothing to commit.
func (c *Collected[T]) Commits() bool { return false }

// Open makes a writer.
func (c *Collected[T]) Open(*stream.Runtime) (stream.SinkWriter[T], error) { return c, nil }

// Commit does nothing.
func (c *Collected[T]) Commit(*stream.Runtime, [][]byte) error { return nil }

// Write keeps a record.
func (c *Collected[T]) Write(v *T, t stream.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.records = append(c.records, Timed[T]{*v, t})
	if c.more != nil {
		close(c.more)
		c.more = nil
	}
	return nil
}

// Flush does nothing.
func (c *Collected[T]) Flush() ([][]byte, error) { return nil, nil }
