package stream

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"

	"github.com/weftstream/weft/filesystem"
	"github.com/weftstream/weft/graph"
)

// Job is a named, typed recipe for a graph. Make it with Define, run it from the driver function that Main is given.
type Job[P any] struct {
	name  string
	at    string
	build func(env *Env, p P) error
}

// definition is a Job whatever its params.
type definition interface {
	definedAt() string
	graph(params []byte, files *filesystem.Set) (*graph.StreamGraph, error)
}

// registry holds the jobs that this executable defines: a task host finds the one it is for by name.
var registry struct {
	mu     sync.Mutex
	byName map[string]definition
	errs   []error
}

// Define makes a job; it belongs at package level, so that every process of the executable has it.
//
// build must be a pure function of p. It runs twice in the driver, where both graphs must agree, and once in every task
// host, with p carried as JSON in the JobGraph: no files, clocks, flags, environment or random numbers.
//
// The name is unique in the executable; Main reports a name used twice.
func Define[P any](name string, build func(env *Env, p P) error) *Job[P] {
	j := &Job[P]{name: name, at: caller(), build: build}
	registry.mu.Lock()
	defer registry.mu.Unlock()
	first := registry.byName[name]
	switch {
	case name == "":
		registry.errs = append(registry.errs, fmt.Errorf("%s: stream.Define without a name", j.at))
	case build == nil:
		registry.errs = append(registry.errs, fmt.Errorf("%s: stream.Define(%q) with a nil function", j.at, name))
	case first != nil:
		registry.errs = append(registry.errs, fmt.Errorf("%s: job %q is already defined at %s; give each job its own name", j.at, name, first.definedAt()))
	default:
		if registry.byName == nil {
			registry.byName = map[string]definition{}
		}
		registry.byName[name] = j
	}
	return j
}

// definitionErrors is what is wrong with the jobs of this executable.
func definitionErrors() error {
	registry.mu.Lock()
	defer registry.mu.Unlock()
	return errors.Join(registry.errs...)
}

// buildGraph makes the graph of a job of this executable.
func buildGraph(name string, params []byte, files *filesystem.Set) (*graph.StreamGraph, error) {
	registry.mu.Lock()
	d := registry.byName[name]
	registry.mu.Unlock()
	if d == nil {
		return nil, fmt.Errorf("build job %q: this executable doesn't define it; stream.Define must be called at package level", name)
	}
	return d.graph(params, files)
}

// Name is the name given to Define.
func (j *Job[P]) Name() string { return j.name }

func (j *Job[P]) definedAt() string { return j.at }

// Graph builds the job's graph without running it, as a task host does: with params that went through JSON.
func (j *Job[P]) Graph(p P) (*graph.StreamGraph, error) {
	params, err := encodeParams(j.name, p)
	if err != nil {
		return nil, err
	}
	return j.graph(params, nil)
}

func (j *Job[P]) graph(params []byte, files *filesystem.Set) (*graph.StreamGraph, error) {
	var p P
	d := json.NewDecoder(bytes.NewReader(params))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		return nil, fmt.Errorf("build job %q: read its params: %w", j.name, err)
	}
	env := newEnv(j.name, files)
	if err := j.call(env, p); err != nil {
		return nil, err
	}
	env.finish()
	if err := env.g.Check(); err != nil {
		return nil, fmt.Errorf("build job %q: %w", j.name, err)
	}
	return env.g, nil
}

// call runs the user's build function and turns a panic into an error.
func (j *Job[P]) call(env *Env, p P) (err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case misuse:
			env.fail(r.at, "%s", r.text)
			err = fmt.Errorf("build job %q: %w", j.name, env.g.Check())
		default:
			err = fmt.Errorf("build job %q: %s: panic: %v\n%s", j.name, panicLine(), r, debug.Stack())
		}
	}()
	if j.build == nil {
		return fmt.Errorf("%s: job %q has no build function", j.at, j.name)
	}
	if err := j.build(env, p); err != nil {
		return fmt.Errorf("build job %q: %w", j.name, err)
	}
	return nil
}

// panicLine is file:line of the nearest function below a panic that is neither Go's runtime nor this package.
func panicLine() string {
	var pcs [64]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs[:])])
	for {
		f, more := frames.Next()
		if !strings.HasPrefix(f.Function, "runtime.") && (!strings.HasPrefix(f.Function, packagePath) || strings.HasSuffix(f.File, "_test.go")) {
			return fmt.Sprintf("%s:%d", f.File, f.Line)
		}
		if !more {
			return "unknown line"
		}
	}
}

// buildTwice makes the graph and checks that building it again gives the same one.
func (j *Job[P]) buildTwice(params []byte, files *filesystem.Set) (*graph.StreamGraph, error) {
	first, err := j.graph(params, files)
	if err != nil {
		return nil, err
	}
	again, err := j.graph(params, files)
	if err != nil {
		return nil, fmt.Errorf("the second build of the same job failed, so build isn't a pure function of its params: %w", err)
	}
	if err := graph.CompareFingerprints(first.Fingerprint(), again.Fingerprint()); err != nil {
		return nil, fmt.Errorf("build job %q twice with the same params: %w", j.name, err)
	}
	return first, nil
}
