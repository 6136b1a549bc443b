package stream

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/runtime/cachedfile"
)

// CachedFile registers a file or directory that each TaskManager brings to its local disk before it runs tasks of the job,
// which find their copy with Runtime.CachedFile(name): a dictionary, a model, a program. uri is hdfs:///…, or a file: URI or
// a path of the machine that the driver function runs on, whatever fs.default-scheme says. Such a local file is read and
// uploaded when the job is submitted, by weft run from the client's machine; in application mode the driver function runs in
// the JobManager's container, where a file of the client's isn't: give that to the client with -Dpipeline.cached-files. A
// relative path starts at the driver's working directory.
//
// A file that the name stands for in pipeline.cached-files isn't used. A name that is registered twice, an empty name or
// location and a location that TaskManagers can't fetch from are mistakes in the program. A file that doesn't exist fails the
// submission if it is local, and else the tasks.
func (e *Env) CachedFile(name, uri string) { e.cachedFile(name, uri, false) }

// CachedExecutable is CachedFile, and sets the permission to execute; of a directory, that of all files in it. A local file
// that may be executed stays so without it.
func (e *Env) CachedExecutable(name, uri string) { e.cachedFile(name, uri, true) }

func (e *Env) cachedFile(name, uri string, executable bool) {
	at := caller()
	if name == "" {
		e.fail(at, "cached file %q: its name is empty", uri)
		return
	}
	for _, f := range e.g.CachedFiles {
		if f.GetName() == name {
			e.fail(at, "cached file %q is already registered at %s; give each file its own name", name, f.GetRegistered())
			return
		}
	}
	f, err := cachedfile.New(name, uri, executable, at)
	if err != nil {
		e.fail(at, "%v", err)
		return
	}
	e.g.CachedFiles = append(e.g.CachedFiles, f)
}

// addCachedFiles puts those of the configuration behind the program's own, which hide them.
func addCachedFiles(g *graph.JobGraph, c conf.Configuration) error {
	files, err := cachedfile.OfConfiguration(c)
	if err != nil {
		return err
	}
	for _, f := range files {
		if !slices.ContainsFunc(g.GetCachedFiles(), func(own *graph.CachedFile) bool { return own.GetName() == f.GetName() }) {
			g.CachedFiles = append(g.CachedFiles, f)
		}
	}
	return nil
}

// CachedFile is the path of the local copy of a file or directory that Env.CachedFile or pipeline.cached-files names. The copy
// is complete, belongs to all tasks of the job on this TaskManager, and must not be changed. It goes when the job has left the
// TaskManager. For a name that isn't registered the error lists those that are.
func (rt *Runtime) CachedFile(name string) (path string, err error) {
	if path, ok := rt.env.CachedFiles[name]; ok {
		return path, nil
	}
	known := "the job has none"
	if names := slices.Sorted(maps.Keys(rt.env.CachedFiles)); len(names) > 0 {
		known = "the job has " + strings.Join(names, ", ")
	}
	return "", fmt.Errorf("cached file %q isn't registered: %s", name, known)
}
