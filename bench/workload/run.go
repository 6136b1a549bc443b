package workload

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/weftstream/weft/bench/bare"
	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/minicluster"
	"github.com/weftstream/weft/stream"
)

// Outcome is what one execution gave.
type Outcome struct {
	// Wall is the time from RUNNING to FINISHED; of a bare loop, how long it took.
	Wall time.Duration
	// Checksum of the results.
	Checksum uint64
}

// Run executes a workload through the public API, all subtasks in one TaskManager of this process.
func Run(ctx context.Context, name string, p Params) (o Outcome, err error) {
	j := Jobs[name]
	if j == nil {
		return o, fmt.Errorf("run workload %q: there is none of that name", name)
	}
	d := stream.NewLocalDriver(stream.LocalOptions{Configuration: settings(name)})
	defer func() { err = errors.Join(err, d.Close()) }()
	r, err := j.Run(ctx, d, p)
	if err != nil {
		return o, err
	}
	return Outcome{r.Runtime, uint64(r.Counter(Checksum))}, nil
}

// RunSpread executes a workload with one slot in each of p.Parallelism TaskManagers, so that the exchange crosses task
// hosts over TCP. The TaskManagers and task hosts are all in this process.
func RunSpread(ctx context.Context, name string, p Params) (o Outcome, err error) {
	g, err := jobGraph(name, p)
	if err != nil {
		return o, err
	}
	var b conf.Builder
	for k, v := range settings(name) {
		b.Set(k, v, "")
	}
	c, _, err := b.Build()
	if err != nil {
		return o, err
	}
	m, err := minicluster.New(minicluster.Config{Conf: c, TaskManagers: p.Parallelism, SlotsPerTaskManager: 1, Build: Build})
	if err != nil {
		return o, err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	id, err := m.Submit(ctx, g)
	if err != nil {
		return o, fmt.Errorf("submit workload %q: %w", name, err)
	}
	r, err := m.Await(ctx, id)
	if err != nil {
		return o, fmt.Errorf("wait for workload %q: %w", name, err)
	}
	if r.GetStatus() != linkpb.JobStatus_FINISHED {
		return o, fmt.Errorf("workload %q ended %s: %s", name, r.GetStatus(), r.GetFailure().GetMessage())
	}
	return Outcome{time.Duration(r.GetRuntimeMs()) * time.Millisecond, uint64(r.GetCounters()[Checksum])}, nil
}

func jobGraph(name string, p Params) (*graph.JobGraph, error) {
	params, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	sg, err := Build(name, params)
	if err != nil {
		return nil, err
	}
	g, err := graph.JobGraphOf(sg, graph.Options{Parallelism: p.Parallelism})
	if err != nil {
		return nil, fmt.Errorf("build job %q: %w", name, err)
	}
	id := graph.NewJobID()
	g.JobId, g.Definition, g.Key, g.Params = id[:], name, "#1", params
	return g, nil
}

// Bare executes the bare loop of a workload.
func Bare(name string, p Params) (o Outcome, err error) {
	start := time.Now()
	switch name {
	case "stateless":
		o.Checksum = bare.Stateless(p.Records, p.Parallelism)
	case "topspeed":
		o.Checksum = bare.TopSpeed(p.Records, p.Parallelism)
	case "window":
		o.Checksum = bare.Window(p.Records, p.Keys, p.Parallelism)
	case "pebble10k", "pebble1m", "pebblespill":
		o.Checksum, err = windowOnPebble(name, p)
	case "wordcount":
		o.Checksum = bare.WordCount(p.Records, p.Parallelism)
	default:
		return o, fmt.Errorf("run the bare loop of %q: there is none of that name", name)
	}
	o.Wall = time.Since(start)
	return o, err
}

func windowOnPebble(name string, p Params) (sum uint64, err error) {
	dir, err := os.MkdirTemp("", "weft-bench-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	return bare.WindowOnPebble(p.Records, p.Keys, p.Parallelism, filepath.Join(dir, "db"), pebbleMemory[name])
}

// Comparable says whether the checksum of a workload doesn't depend on how the records of several subtasks interleave.
func Comparable(name string, parallelism int) bool { return name != "topspeed" || parallelism == 1 }
