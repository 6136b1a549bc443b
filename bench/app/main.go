// Command app is the application of the benchmarks on YARN. Its jobs write what they measure to files in the directory
// -marker, which is on the machine that the cluster is on.
//
//	marker    does nothing: each subtask writes the time of its first poll, in Unix nanoseconds, to a file named after it
//	          (the later attempts to subtask.attempt), and the job ends when there is a file stop
//	exchange  one subtask sends records of 16 bytes to another one; the result is the rate
//	latency   the same at a fixed rate through a keyed exchange; the result is how long records took
//	state     rewrites a value of 80 bytes per key with every record; the results are each subtask's longest pauses
//	slow      takes 10 k records per second and subtask from a source that could make many more
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/weftstream/weft/connector/discard"
	"github.com/weftstream/weft/stream"
)

// params are the jobs'.
type params struct {
	Marker      string
	Parallelism int
	Records     int64
	Rate        float64
	Keys        int64
}

// marker is a source without records.
type marker struct{ dir string }

func (marker) Bounded() bool  { return false }
func (marker) String() string { return "Marker" }

func (marker) Splits(*stream.Runtime, []byte) (stream.Splits, error) { return &splits{}, nil }

func (m marker) Open(rt *stream.Runtime) (stream.SourceReader[int64], error) {
	name := strconv.Itoa(rt.Subtask)
	if rt.Attempt() > 0 {
		name += "." + strconv.Itoa(rt.Attempt())
	}
	return &reader{dir: m.dir, name: name}, nil
}

// splits gives each reader a split once. A job that is restored gives it again.
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
	dir, name string
	marked    bool
}

func (r *reader) Add([]byte) error { return nil }

func (r *reader) Poll(int, func(*int64, stream.Time)) (bool, error) {
	if !r.marked {
		r.marked = true
		return true, put(r.dir, r.name, strconv.FormatInt(time.Now().UnixNano(), 10))
	}
	_, err := os.Stat(filepath.Join(r.dir, "stop"))
	return err != nil, nil
}

func (r *reader) Wait() time.Duration         { return 100 * time.Millisecond }
func (r *reader) Snapshot() ([][]byte, error) { return nil, nil }

// put makes a file that is complete as soon as it is there.
func put(dir, name, content string) error {
	temporary := filepath.Join(dir, "."+name)
	if err := os.WriteFile(temporary, []byte(content), 0o644); err != nil {
		return err
	}
	return os.Rename(temporary, filepath.Join(dir, name))
}

var markers = stream.Define("marker", func(env *stream.Env, p params) error {
	env.Parallelism(p.Parallelism)
	stream.From(env, marker{p.Marker}).To(discard.Sink[int64]())
	return nil
})

var jobs = map[string]*stream.Job[params]{"marker": markers, "exchange": exchange, "latency": latency, "state": state, "slow": slow}

func main() {
	stream.Main(func(ctx context.Context, d *stream.Driver) error {
		var p params
		name := flag.String("job", "marker", "which")
		flag.StringVar(&p.Marker, "marker", "", "directory for the results")
		flag.IntVar(&p.Parallelism, "subtasks", 1, "parallelism of the job")
		flag.Int64Var(&p.Records, "records", 0, "how many are made; 0: as many as come before there is a file stop")
		flag.Float64Var(&p.Rate, "rate", 0, "records per second of all subtasks; 0: as fast as it goes")
		flag.Int64Var(&p.Keys, "keys", 1, "number of keys")
		flag.Parse()
		job := jobs[*name]
		if job == nil {
			return fmt.Errorf("-job %s: there is none of that name", *name)
		}
		_, err := job.Run(ctx, d, p)
		return err
	})
}
