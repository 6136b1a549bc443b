package yarn

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/runtime/cachedfile"
)

// cachedFiles are those that the deployment brings along: of the one job, or of the configuration that an application's jobs
// will have. They are the caller's to change. Jobs of a session bring their own.
func (d *Descriptor) cachedFiles(r *request) ([]*graph.CachedFile, error) {
	switch r.mode {
	case modePerJob:
		return proto.CloneOf(r.graph).GetCachedFiles(), nil
	case modeApplication:
		return cachedfile.OfConfiguration(d.conf)
	}
	return nil, nil
}

// withCachedFiles has the paths in pipeline.cached-files be those in staging: the application's driver runs elsewhere.
func withCachedFiles(c conf.Configuration, files []*graph.CachedFile) (conf.Configuration, error) {
	if len(files) == 0 {
		return c, nil
	}
	entries := make([]conf.CachedFile, len(files))
	for i, f := range files {
		entries[i] = cachedfile.Entry(f)
	}
	pairs := c.Map()
	pairs[conf.PipelineCachedFiles.Key()] = conf.PipelineCachedFiles.Format(entries)
	out, err := conf.FromMap(pairs)
	if err != nil {
		return c, fmt.Errorf("name the cached files in staging: %w", err)
	}
	return out, nil
}
