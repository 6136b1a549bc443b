package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/filesystem"
	"github.com/weftstream/weft/filesystem/hdfs"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/minicluster"
	"github.com/weftstream/weft/runtime/state"
)

// cancelWait bounds how long Run waits for a job to end after its context has ended.
const cancelWait = 30 * time.Second

// executor runs jobs: a MiniCluster, or the driver link.
type executor interface {
	Submit(ctx context.Context, g *graph.JobGraph) (graph.JobID, error)
	Await(ctx context.Context, id graph.JobID) (*linkpb.JobResult, error)
	Cancel(ctx context.Context, id graph.JobID) error
	Close() error
}

// Driver is the program's way to whatever runs its jobs: a MiniCluster in this process, or a cluster. Safe for concurrent
// use.
type Driver struct {
	// base is the cluster's configuration; connect makes the executor when the first job is submitted.
	base     map[string]string
	connect  func(conf.Configuration, *filesystem.Set) (executor, error)
	local    bool
	detached bool
	progress io.Writer

	mu       sync.Mutex // guards the fields below
	set      map[string]string
	exec     executor
	files    *filesystem.Set
	runs     map[string]int // by definition
	err      error
	watchers sync.WaitGroup
	stop     context.CancelFunc
	stopped  context.Context
}

// LocalOptions configure NewLocalDriver.
type LocalOptions struct {
	// Configuration holds configuration keys and values.
	Configuration map[string]string
	// Progress is where it is written that jobs were submitted and finished; nil: nowhere.
	Progress io.Writer
	// Log is the MiniCluster's; nil: nothing is logged.
	Log *slog.Logger
}

// NewLocalDriver makes a driver that runs jobs on a MiniCluster in this process, for tests and for programs that embed
// Weft. A program of its own uses Main instead. Close ends it.
func NewLocalDriver(o LocalOptions) *Driver {
	d := newDriver(o.Configuration, o.Progress)
	d.local = true
	d.connect = func(c conf.Configuration, files *filesystem.Set) (executor, error) {
		m, err := minicluster.New(minicluster.Config{Conf: c, Files: files, Log: o.Log,
			Build: func(name string, params []byte) (*graph.StreamGraph, error) { return buildGraph(name, params, files) }})
		if err != nil {
			return nil, fmt.Errorf("start a cluster in this process: %w", err)
		}
		return m, nil
	}
	return d
}

func newDriver(base map[string]string, progress io.Writer) *Driver {
	if progress == nil {
		progress = io.Discard
	}
	d := &Driver{base: maps.Clone(base), progress: progress, set: map[string]string{}, runs: map[string]int{}}
	d.stopped, d.stop = context.WithCancel(context.Background())
	return d
}

// Set sets a configuration key for the jobs submitted after it, above what the command line and the cluster say. A value
// that makes no sense is reported by Run.
func (d *Driver) Set(key, value string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.set[key] = value
}

// Configuration is what the next job gets: the cluster's, and what Set changed.
func (d *Driver) Configuration() (conf.Configuration, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.configuration()
}

func (d *Driver) configuration() (conf.Configuration, error) { return d.configurationOf(nil) }

// configurationOf is that of a job with settings of its own.
func (d *Driver) configurationOf(own map[string]string) (conf.Configuration, error) {
	var b conf.Builder
	for _, k := range sortedKeys(d.base) {
		b.Set(k, d.base[k], "")
	}
	for _, k := range sortedKeys(d.set) {
		b.Set(k, d.set[k], "Driver.Set")
	}
	for _, k := range sortedKeys(own) {
		b.Set(k, own[k], "Env.Set")
	}
	c, _, err := b.Build()
	return c, err
}

// Files are the file systems that the driver function may use: file: and hdfs:.
func (d *Driver) Files() (*filesystem.Set, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.openFiles()
}

func (d *Driver) openFiles() (*filesystem.Set, error) {
	if d.files == nil {
		c, err := d.configuration()
		if err != nil {
			return nil, err
		}
		if d.files, err = hdfs.NewSet(c, os.Getenv); err != nil {
			return nil, err
		}
	}
	return d.files, nil
}

// misused records a mistake that is reported by the next Run, or at the program's end.
func (d *Driver) misused(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err = errors.Join(d.err, err)
}

// started says whether any job was submitted, and what was misused.
func (d *Driver) started() (bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.runs) != 0, d.err
}

// Close cancels the jobs that run on a local driver and ends its cluster. Jobs on a cluster go on.
func (d *Driver) Close() error {
	d.stop()
	d.watchers.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	var errs []error
	if d.exec != nil {
		errs = append(errs, d.exec.Close())
		d.exec = nil
	}
	if d.files != nil {
		errs = append(errs, d.files.Close())
		d.files = nil
	}
	return errors.Join(errs...)
}

// submission is what one Run or Start hands over.
type submission struct {
	g    *graph.JobGraph
	exec executor
}

// prepare builds the job's JobGraph and connects.
func prepare[P any](d *Driver, j *Job[P], key string, p P) (*submission, error) {
	if d == nil {
		return nil, fmt.Errorf("run job %q: the driver is nil; use the one that stream.Main gives to its function", j.name)
	}
	params, err := encodeParams(j.name, p)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err != nil {
		return nil, d.err
	}
	d.runs[j.name]++
	if key == "" {
		key = "#" + strconv.Itoa(d.runs[j.name])
	}
	c, err := d.configuration()
	if err != nil {
		return nil, fmt.Errorf("run job %q: configuration: %w", j.name, err)
	}
	files, err := d.openFiles()
	if err != nil {
		return nil, fmt.Errorf("run job %q: %w", j.name, err)
	}
	sg, err := j.buildTwice(params, files)
	if err != nil {
		return nil, err
	}
	if err := checkMode(c, sg); err != nil {
		return nil, fmt.Errorf("build job %q: %w", j.name, err)
	}
	g, err := graph.JobGraphOf(sg, d.graphOptions(c))
	if err != nil {
		return nil, fmt.Errorf("build job %q: %w", j.name, err)
	}
	if err := addCachedFiles(g, c); err != nil {
		return nil, fmt.Errorf("run job %q: %w", j.name, err)
	}
	if name, isSet := conf.Lookup(c, conf.PipelineName); isSet && name != "" {
		g.Name = name
	}
	if err := d.linksBackend(g.Config); err != nil {
		return nil, fmt.Errorf("run job %q: %w", j.name, err)
	}
	id := graph.NewJobID()
	g.JobId, g.Definition, g.Key, g.Params, g.Config = id[:], j.name, key, params, merged(d.set, g.Config)
	if d.exec == nil {
		if d.exec, err = d.connect(c, files); err != nil {
			return nil, err
		}
	}
	return &submission{g, d.exec}, nil
}

// linksBackend refuses a job, with settings of its own, whose state backend isn't part of this program.
func (d *Driver) linksBackend(own map[string]string) error {
	c, err := d.configurationOf(own)
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	_, err = state.BackendOf(conf.StateBackendType.Key(), conf.Get(c, conf.StateBackendType))
	return err
}

// checkMode says why a job can't be executed in the way that execution.runtime-mode asks for.
func checkMode(c conf.Configuration, sg *graph.StreamGraph) error {
	bounded := true
	for _, n := range sg.Nodes {
		if !n.Source || n.Bounded {
			continue
		}
		bounded = false
		if conf.Get(c, conf.ExecutionRuntimeMode) == "BATCH" {
			return fmt.Errorf("%s: %s never ends, and execution.runtime-mode is BATCH: use a bounded source, or STREAMING or AUTOMATIC", n.At, n.Name)
		}
	}
	if path := conf.Get(c, conf.ExecutionStateRecoveryPath); path != "" && conf.Batch(c, bounded) {
		return fmt.Errorf("a batch starts from nothing, and execution.state-recovery.path names %s: use execution.runtime-mode STREAMING to start from a savepoint", path)
	}
	return nil
}

// merged is set with the settings of the program itself above it.
func merged(set, own map[string]string) map[string]string {
	if len(own) == 0 {
		return maps.Clone(set)
	}
	all := make(map[string]string, len(set)+len(own))
	maps.Copy(all, set)
	maps.Copy(all, own)
	return all
}

func (d *Driver) graphOptions(c conf.Configuration) graph.Options {
	o := graph.Options{Parallelism: conf.Get(c, conf.ParallelismDefault), NoChaining: !conf.Get(c, conf.PipelineOperatorChainingEnabled),
		MaxParallelism: max(0, conf.Get(c, conf.PipelineMaxParallelism))}
	if d.local {
		o.Parallelism = minicluster.DefaultParallelism(c)
	}
	return o
}

// Run submits the job and waits for it. In a driver that was submitted detached it returns after the submission. When ctx
// ends, the job is cancelled. A job that fails or is cancelled gives a *JobError.
//
// The n-th Run of a job is the n-th again when the driver function runs again after the JobManager's failure, and takes
// up the job that was submitted before: use RunAs where the order of runs isn't the same every time.
func (j *Job[P]) Run(ctx context.Context, d *Driver, p P) (*Result, error) {
	return j.run(ctx, d, "", p)
}

// RunAs is Run with a key that names this run among all runs of the job.
func (j *Job[P]) RunAs(ctx context.Context, d *Driver, key string, p P) (*Result, error) {
	if key == "" || key[0] == '#' {
		return nil, fmt.Errorf("run job %q: key %q: it must not be empty or begin with #", j.name, key)
	}
	return j.run(ctx, d, key, p)
}

func (j *Job[P]) run(ctx context.Context, d *Driver, key string, p P) (*Result, error) {
	id, exec, err := j.submit(ctx, d, key, p)
	if err != nil {
		return nil, err
	}
	if d.detached {
		return &Result{JobID: id, Status: linkpb.JobStatus_RUNNING.String(), detached: d}, nil
	}
	r, err := exec.Await(ctx, id)
	if ctx.Err() != nil && (err != nil || r == nil) {
		return nil, cancelled(ctx, exec, j.name, id)
	}
	if err != nil {
		return nil, fmt.Errorf("wait for job %q (%s): %w", j.name, id, err)
	}
	result, err := resultOf(j.name, id, r)
	if err == nil {
		fmt.Fprint(d.progress, result.summary())
	}
	return result, err
}

func (j *Job[P]) submit(ctx context.Context, d *Driver, key string, p P) (JobID, executor, error) {
	s, err := prepare(d, j, key, p)
	if err != nil {
		return JobID{}, nil, err
	}
	id, err := s.exec.Submit(ctx, s.g)
	if err != nil {
		return id, nil, fmt.Errorf("submit job %q: %w", j.name, err)
	}
	fmt.Fprintf(d.progress, "Job has been submitted with JobID %s\n", id)
	return id, s.exec, nil
}

// cancelled cancels a job whose caller has gone, waits for its end and returns the error for that.
func cancelled(ctx context.Context, exec executor, name string, id JobID) error {
	cause := context.Cause(ctx)
	wait, stop := context.WithTimeout(context.WithoutCancel(ctx), cancelWait)
	defer stop()
	if err := exec.Cancel(wait, id); err != nil {
		return fmt.Errorf("job %q (%s): %w; cancelling it failed: %w", name, id, cause, err)
	}
	r, err := exec.Await(wait, id)
	if err != nil {
		return fmt.Errorf("job %q (%s): %w; it was told to cancel, its end is not known: %w", name, id, cause, err)
	}
	if _, err := resultOf(name, id, r); err != nil {
		return fmt.Errorf("%w: %w", cause, err)
	}
	return fmt.Errorf("job %q (%s) finished while it was being cancelled: %w", name, id, cause)
}
