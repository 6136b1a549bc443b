// Command app is the application of the submission benchmarks: a job that does nothing. Each subtask writes the time of
// its first poll, in Unix nanoseconds, to a file named after it in the directory -marker, and the job ends when there is
// a file stop. Directory and cluster are on one machine.
package main

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/weftstream/weft/connector/discard"
	"github.com/weftstream/weft/stream"
)

// params are the job's.
type params struct {
	Marker      string
	Parallelism int
}

// marker is a source without records.
type marker struct{ dir string }

func (marker) Bounded() bool  { return false }
func (marker) String() string { return "Marker" }

func (marker) Splits(*stream.Runtime, []byte) (stream.Splits, error) { return &splits{}, nil }

func (m marker) Open(rt *stream.Runtime) (stream.SourceReader[int64], error) {
	return &reader{dir: m.dir, subtask: rt.Subtask}, nil
}

// splits gives each reader a split once: the job is not restored.
type splits struct{ given map[int]bool }

func (s *splits) Next(reader int) ([]byte, bool, error) {
	if s.given == nil {
		s.given = map[int]bool{}
	}
	if s.given[reader] {
		return nil, false, nil
	}
	s.given[reader] = true
	return []byte{}, false, nil
}

func (s *splits) TakeBack([][]byte)         {}
func (s *splits) Snapshot() ([]byte, error) { return nil, nil }

type reader struct {
	dir     string
	subtask int
	marked  bool
}

func (r *reader) Add([]byte) error { return nil }

func (r *reader) Poll(int, func(*int64, stream.Time)) (bool, error) {
	if !r.marked {
		r.marked = true
		now := strconv.FormatInt(time.Now().UnixNano(), 10)
		return true, os.WriteFile(filepath.Join(r.dir, strconv.Itoa(r.subtask)), []byte(now), 0o644)
	}
	_, err := os.Stat(filepath.Join(r.dir, "stop"))
	return err != nil, nil
}

func (r *reader) Wait() time.Duration         { return 100 * time.Millisecond }
func (r *reader) Snapshot() ([][]byte, error) { return nil, nil }

var job = stream.Define("marker", func(env *stream.Env, p params) error {
	env.Parallelism(p.Parallelism)
	stream.From(env, marker{p.Marker}).To(discard.Sink[int64]())
	return nil
})

func main() {
	stream.Main(func(ctx context.Context, d *stream.Driver) error {
		var p params
		flag.StringVar(&p.Marker, "marker", "", "directory for the times")
		flag.IntVar(&p.Parallelism, "subtasks", 1, "parallelism of the job")
		flag.Parse()
		_, err := job.Run(ctx, d, p)
		return err
	})
}
