package entrypoint

import (
	"context"
	"errors"
	"io"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/runtime/artifact"
	"github.com/weftstream/weft/runtime/rpc"
)

// fromJobManager opens what the JobManager has, over the TaskManager's present connection.
func fromJobManager(get rpc.Artifacts) artifact.Opener {
	return func(ctx context.Context, a artifact.Artifact) (io.ReadCloser, error) { return get(ctx, a.SHA256) }
}

// executables is the taskmanager.Artifacts of a process: the file where it has a URI, else the JobManager's copy.
type executables struct {
	fetcher *artifact.Fetcher
	dir     string
}

// Fetch implements taskmanager.Artifacts.
func (e executables) Fetch(ctx context.Context, a *graph.Artifact, get rpc.Artifacts) (string, error) {
	want := artifact.Artifact{URI: a.GetUri(), Size: a.GetSize()}
	if len(a.GetSha256()) != len(want.SHA256) {
		return "", errors.New("fetch the job's executable: the job doesn't say its SHA-256")
	}
	copy(want.SHA256[:], a.GetSha256())
	fetcher := e.fetcher
	if want.URI == "" {
		var err error
		if fetcher, err = artifact.NewFetcher(e.dir, fromJobManager(get)); err != nil {
			return "", err
		}
	}
	return fetcher.Fetch(ctx, want)
}
