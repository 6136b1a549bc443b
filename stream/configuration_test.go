package stream

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/filesystem"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/link/linkpb"
)

// recording keeps what is submitted.
type recording struct {
	graphs []*graph.JobGraph
	refuse error
}

func (r *recording) Submit(_ context.Context, g *graph.JobGraph) (graph.JobID, error) {
	r.graphs = append(r.graphs, g)
	return g.ID(), r.refuse
}

func (r *recording) Await(_ context.Context, id graph.JobID) (*linkpb.JobResult, error) {
	return &linkpb.JobResult{JobId: id[:], Status: linkpb.JobStatus_FINISHED}, nil
}

func (*recording) Cancel(context.Context, graph.JobID) error { return nil }
func (*recording) Close() error                              { return nil }

var configuredJob = Define("test-configured", func(env *Env, _ struct{}) error {
	Map(From(env, fakeSource[rec]{}), func(r rec) int64 { return r.N }).To(nothing[int64]{})
	return nil
})

// driverOf is a driver whose jobs are recorded: local, or at the other end of a link.
func driverOf(t *testing.T, local bool, config map[string]string) (*Driver, *recording) {
	t.Helper()
	d, r := newDriver(config, nil), &recording{}
	d.local = local
	d.connect = func(conf.Configuration, *filesystem.Set) (executor, error) { return r, nil }
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d, r
}

// TestConfigurationMakesTheJobGraph: what the command line says of a job is in the JobGraph, in both roles in which a
// driver runs; what the program sets is above it, and alone travels with the job.
func TestConfigurationMakesTheJobGraph(t *testing.T) {
	for _, local := range []bool{false, true} {
		d, r := driverOf(t, local, map[string]string{"pipeline.name": "x", "parallelism.default": "3", "pipeline.max-parallelism": "12",
			"pipeline.operator-chaining.enabled": "false", "execution.buffer-timeout.interval": "7 ms"})
		if _, err := configuredJob.Run(t.Context(), d, struct{}{}); err != nil {
			t.Fatal(err)
		}
		g := r.graphs[0]
		if g.GetName() != "x" || g.GetDefinition() != "test-configured" || g.GetMaxParallelism() != 12 || len(g.GetVertices()) != 3 || len(g.GetConfig()) != 0 {
			t.Errorf("local %v: %v", local, g)
		}
		for _, v := range g.GetVertices() {
			if v.GetParallelism() != 3 || v.GetMaxParallelism() != 12 {
				t.Errorf("local %v: %s has parallelism %d of %d", local, v.GetName(), v.GetParallelism(), v.GetMaxParallelism())
			}
		}
		c, err := d.Configuration()
		if err != nil || conf.Get(c, conf.ExecutionBufferTimeoutInterval).Milliseconds() != 7 {
			t.Errorf("local %v: configuration %v, %v", local, c, err)
		}
		d.Set("pipeline.name", "own")
		d.Set("parallelism.default", "2")
		d.Set("pipeline.operator-chaining.enabled", "true")
		if _, err := configuredJob.Run(t.Context(), d, struct{}{}); err != nil {
			t.Fatal(err)
		}
		g = r.graphs[1]
		if g.GetName() != "own" || len(g.GetVertices()) != 1 || g.GetVertices()[0].GetParallelism() != 2 || g.GetMaxParallelism() != 12 ||
			g.GetConfig()["pipeline.name"] != "own" || len(g.GetConfig()) != 3 {
			t.Errorf("local %v: what the program sets: %v", local, g)
		}
	}
}

// TestSubmissionErrorNamesTheJobOnce: the driver says which job, and nobody below it again.
func TestSubmissionErrorNamesTheJobOnce(t *testing.T) {
	d, r := driverOf(t, false, nil)
	r.refuse = errors.New("queue etl is full")
	_, err := configuredJob.Run(t.Context(), d, struct{}{})
	if want := `submit job "test-configured": queue etl is full`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestJobErrorSaysWhereOnce: most messages begin with the operator and the subtask.
func TestJobErrorSaysWhereOnce(t *testing.T) {
	for message, want := range map[string]string{
		"Map (2/4): panic: boom": "failed: Map (2/4): panic: boom",
		"panic: boom":            "failed: panic: boom (in Map, subtask 1)",
		"":                       "failed: (in Map, subtask 1)",
	} {
		err := &JobError{Name: "x", Status: "FAILED", Message: message, Operator: "Map", Subtask: 1}
		if !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%q: got %q, want %q", message, err, want)
		}
	}
}
