package executor_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weftstream/weft/executor"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/runtime/artifact"
)

// dispatcher keeps what it is given.
type dispatcher struct {
	recovered bool
	got       *graph.JobGraph
}

func (d *dispatcher) Submit(_ context.Context, g *graph.JobGraph) (graph.JobID, error) {
	d.got = g
	return g.ID(), nil
}
func (d *dispatcher) Await(context.Context, graph.JobID) (*linkpb.JobResult, error) { return nil, nil }
func (d *dispatcher) Cancel(context.Context, graph.JobID) error                     { return nil }
func (d *dispatcher) Recovered(*graph.JobGraph) bool                                { return d.recovered }

// TestEmbeddedCachedFiles: a file of the driver's machine goes where put brings it, and is refused without put. That of a job
// that runs already isn't needed any more: another machine may not have it.
func TestEmbeddedCachedFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	of := func(path string) *graph.JobGraph {
		id := graph.NewJobID()
		return &graph.JobGraph{JobId: id[:], CachedFiles: []*graph.CachedFile{{Name: "f", FileName: "f", Uri: path, Registered: "main.go:7"}}}
	}
	put := func(_ context.Context, p string) (artifact.Artifact, error) {
		if p != path {
			t.Errorf("put %s", p)
		}
		return artifact.Artifact{URI: "hdfs:///staging/f", Size: 1}, nil
	}
	d := &dispatcher{}
	g := of(path)
	if _, err := executor.NewEmbedded(d, nil, put, executor.Options{}).Submit(t.Context(), g); err != nil {
		t.Fatal(err)
	}
	if f := d.got.GetCachedFiles()[0]; f.GetUri() != "hdfs:///staging/f" || len(f.GetSha256()) != 32 || g.CachedFiles[0].GetUri() != path {
		t.Errorf("submitted %v of %v", f, g.CachedFiles[0])
	}
	d.got = nil
	_, err := executor.NewEmbedded(d, nil, nil, executor.Options{}).Submit(t.Context(), of(path))
	if err == nil || d.got != nil || !strings.Contains(err.Error(), "main.go:7") || !strings.Contains(err.Error(), "-Dpipeline.cached-files") {
		t.Errorf("without a place for it: %v", err)
	}
	if _, err := executor.NewEmbedded(d, nil, put, executor.Options{}).Submit(t.Context(), of(path+"-gone")); err == nil || d.got != nil {
		t.Errorf("a file that isn't there: %v", err)
	}
	d.recovered = true
	if _, err := executor.NewEmbedded(d, nil, put, executor.Options{}).Submit(t.Context(), of(path+"-gone")); err != nil || d.got == nil {
		t.Errorf("a job that runs already: %v", err)
	}
}
