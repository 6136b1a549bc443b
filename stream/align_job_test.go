package stream_test

import (
	"context"
	"encoding/binary"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weftstream/weft/stream"
	"github.com/weftstream/weft/streamtest"
)

// gated is a source of the times 0, 10, 20 and so on, which goes on behind the first one when its gate opens.
type gated struct {
	n    int64
	gate <-chan struct{} // nil: open
}

func (g gated) Splits(*stream.Runtime, []byte) (stream.Splits, error) { return &oneSplit{}, nil }
func (g gated) Open(rt *stream.Runtime) (stream.SourceReader[int64], error) {
	return &gatedReader{gated: g, rt: rt}, nil
}

type oneSplit struct{ given bool }

func (s *oneSplit) Next(int) ([]byte, bool, error) {
	if s.given {
		return nil, false, nil
	}
	s.given = true
	return []byte{0}, true, nil
}
func (s *oneSplit) TakeBack([][]byte)         { s.given = false }
func (s *oneSplit) Snapshot() ([]byte, error) { return []byte{}, nil }

type gatedReader struct {
	gated
	rt   *stream.Runtime
	next int64
}

func (r *gatedReader) Add([]byte) error { return nil }
func (r *gatedReader) Poll(most int, emit func(*int64, stream.Time)) (bool, error) {
	for range most {
		if r.next == 1 && r.gate != nil {
			select {
			case <-r.gate:
			default:
				return true, nil
			}
		}
		if r.next >= r.n {
			return false, nil
		}
		at := r.next * 10
		emit(&at, stream.Time(at))
		r.next++
	}
	return r.next < r.n, nil
}
func (r *gatedReader) Snapshot() ([][]byte, error) { return [][]byte{{0}}, nil }

// commitCounter tells of each completed checkpoint.
type commitCounter struct {
	n, flushes *atomic.Int64
	once       *sync.Once
	// third is closed by the third commit.
	third chan struct{}
}

func (c commitCounter) Open(*stream.Runtime) (stream.SinkWriter[int64], error) { return c, nil }
func (c commitCounter) Write(*int64, stream.Time) error                        { return nil }
func (c commitCounter) Flush() ([][]byte, error) {
	return [][]byte{binary.AppendVarint(nil, c.flushes.Add(1))}, nil
}
func (c commitCounter) Commit(*stream.Runtime, [][]byte) error {
	if c.n.Add(1) >= 3 {
		c.once.Do(func() { close(c.third) })
	}
	return nil
}

// Two sources of a group in a job of its own processes: the one that is ahead waits, its checkpoints don't, and when the
// other one goes on all records come.
func TestAlignedSourcesOfAJob(t *testing.T) {
	const n = 20_000
	gate := make(chan struct{})
	fast := streamtest.Collect[int64]()
	commits := commitCounter{&atomic.Int64{}, &atomic.Int64{}, &sync.Once{}, make(chan struct{})}
	job := stream.Define("test-aligned-sources", func(env *stream.Env, _ struct{}) error {
		at := func(v int64) stream.Time { return stream.Time(v) }
		align := []stream.TimeOption{stream.Align("g", time.Second), stream.AlignEvery(10 * time.Millisecond)}
		a := stream.From(env, gated{n: n}, stream.EventTime(at, align...))
		b := stream.From(env, gated{n: n, gate: gate}, stream.EventTime(at, align...))
		a.To(fast)
		a.Union(b).To(commits)
		return nil
	})
	d := streamtest.Driver(t, streamtest.Parallelism(1), streamtest.Set("execution.checkpointing.interval", "20ms"))
	ctx, stop := context.WithTimeout(t.Context(), streamtest.Timeout)
	defer stop()
	c, err := job.Start(ctx, d, struct{}{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fast.Await(ctx, 1); err != nil {
		t.Fatal(err)
	}
	select {
	case <-commits.third:
	case <-ctx.Done():
		t.Fatal("no checkpoints complete while a source is paused")
	}
	if got := len(fast.Records()); got > 2000 {
		t.Errorf("%d records of the source that is ahead, it may read 100 and what a batch holds", got)
	}
	close(gate)
	if _, err := c.Await(ctx); err != nil {
		t.Fatal(err)
	}
	if got := len(fast.Records()); got != n {
		t.Errorf("%d records, want %d", got, n)
	}
}
