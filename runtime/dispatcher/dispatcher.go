package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/filesystem"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/runtime/ha"
	"github.com/weftstream/weft/runtime/jobmaster"
	"github.com/weftstream/weft/runtime/resourcemanager"
)

// JobSummary and JobDetails are snapshots of jobs.
type (
	JobSummary = jobmaster.JobSummary
	JobDetails = jobmaster.JobDetails
)

var (
	// ErrUnknownJob is returned for a job id that the Dispatcher doesn't know, or no longer.
	ErrUnknownJob = errors.New("unknown job")
	// ErrDuplicate is returned by Submit for the id of a job that runs or has run.
	ErrDuplicate = errors.New("job was submitted before")
	// ErrInvalidGraph is returned by Submit for a JobGraph that contradicts itself or the cluster.
	ErrInvalidGraph = errors.New("invalid job graph")
	// ErrEnded is returned by Cancel for a job that has ended, or whose tasks have finished and whose output is being
	// committed.
	ErrEnded = errors.New("job has ended")
	// ErrShutdown is returned once the Dispatcher is shutting down.
	ErrShutdown = errors.New("dispatcher is shutting down")
)

// archiveTimeout bounds how long a finished job's archive may take.
const archiveTimeout = time.Minute

// Archive keeps finished jobs for the HistoryServer.
type Archive interface {
	// Archive stores a finished job; it may block on I/O until ctx ends.
	Archive(ctx context.Context, d *JobDetails, r *linkpb.JobResult) error
}

// Config makes a Dispatcher.
type Config struct {
	// Conf is the cluster's configuration; a job's own goes above it.
	Conf         conf.Configuration
	Slots        jobmaster.Slots
	TaskManagers jobmaster.TaskManagers
	// Log is the epoch log, Records what was in it.
	Log     jobmaster.EpochLog
	Records []ha.Record
	// Reattach: the driver of the jobs in Records runs again (application mode) and submits them by definition and key.
	// Otherwise Recover starts those without a result.
	Reattach bool
	// Archive may be nil.
	Archive Archive
	// Files are the file systems of checkpoints.
	Files  *filesystem.Set
	Logger *slog.Logger
	// Fatal is told once when the epoch log can't be written any more: another JobManager leads, or the log is broken.
	// It must not wait.
	Fatal func(error)
}

// Dispatcher owns the jobs of a cluster. It starts a goroutine for each job, which Shutdown stops and joins.
type Dispatcher struct {
	c       Config
	store   storeLimits
	stop    chan struct{} // closed to suspend the jobs that are left
	running sync.WaitGroup

	mu        sync.Mutex
	jobs      map[graph.JobID]*job
	finished  []*job // oldest first
	recovered recovered
	closed    bool
	suspended bool // stop is closed
	fatal     sync.Once
}

// job is one that runs or has ended.
type job struct {
	id     graph.JobID
	master *jobmaster.JobMaster // nil for one that ended under an earlier JobManager
	done   chan struct{}        // closed when outcome is set
	// outcome and end are set before done is closed.
	outcome jobmaster.Outcome
	end     time.Time
}

func (j *job) ended() bool {
	select {
	case <-j.done:
		return true
	default:
		return false
	}
}

// New makes a Dispatcher and reads c.Records; it starts nothing.
func New(c Config) (*Dispatcher, error) {
	if c.Slots == nil || c.TaskManagers == nil || c.Log == nil || c.Logger == nil || c.Fatal == nil {
		return nil, errors.New("make Dispatcher: slots, TaskManagers, epoch log, logger and fatal are required")
	}
	d := &Dispatcher{c: c, store: storeLimitsOf(c.Conf), stop: make(chan struct{}), jobs: map[graph.JobID]*job{}}
	var err error
	if d.recovered, err = readRecords(c.Records); err != nil {
		return nil, err
	}
	for _, r := range d.recovered.results {
		j := &job{id: graph.JobID(r.GetJobId()), done: make(chan struct{}), end: time.Now()}
		j.outcome = jobmaster.Outcome{Result: r, Details: detailsOf(r, d.recovered.graphs[graph.JobID(r.GetJobId())])}
		close(j.done)
		d.jobs[j.id] = j
		d.finished = append(d.finished, j)
	}
	return d, nil
}

// Submit checks g, records the job and starts it; it returns when the job is recorded. A job whose definition and key are
// in the records of an earlier JobManager re-attaches: the id of that job is returned, which runs with the cached files that it
// was submitted with, or has its result.
func (d *Dispatcher) Submit(ctx context.Context, g *graph.JobGraph) (graph.JobID, error) {
	if err := validate(g); err != nil {
		return graph.JobID{}, err
	}
	g = proto.CloneOf(g)
	if id, ok := d.reattach(g); ok {
		d.c.Logger.Info("job re-attached", "job", id.String(), "name", g.GetName())
		g.JobId = id[:]
		// What the job was submitted with: the machine of the driver may have other files now, or none.
		g.CachedFiles = d.recovered.graphs[id].GetCachedFiles()
		if d.job(id) != nil {
			return id, nil
		}
	}
	return g.ID(), d.start(ctx, g, true)
}

// start makes the JobMaster of a job and runs it; record says whether the job is new.
func (d *Dispatcher) start(ctx context.Context, g *graph.JobGraph, record bool) error {
	id := g.ID()
	c, err := d.configuration(g)
	if err != nil {
		return err
	}
	log := d.c.Logger.With("job", id.String(), "name", g.GetName())
	m, err := jobmaster.New(jobmaster.Config{Graph: g, Conf: c, TaskManagers: d.c.TaskManagers, Slots: d.c.Slots, Log: d.c.Log,
		Committed: d.recovered.committed[id], Checkpoint: d.recovered.checkpoints[id], Again: d.recovered.graphs[id] != nil,
		Requirements: d.recovered.requirements[id], Files: d.c.Files, Logger: log})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrInvalidGraph, err)
	}
	j := &job{id: id, master: m, done: make(chan struct{})}
	if err := d.enter(j); err != nil {
		return err
	}
	if record {
		if err := d.register(ctx, g); err != nil {
			d.leave(j)
			m.Discard(err)
			return fmt.Errorf("record job %s: %w", id, err)
		}
	}
	log.Info("job submitted", "vertices", len(g.GetVertices()))
	go func() {
		defer d.running.Done()
		d.finish(j, m.Run(d.stop))
	}()
	return nil
}

// configuration is the cluster's with the job's above it.
func (d *Dispatcher) configuration(g *graph.JobGraph) (conf.Configuration, error) {
	if v, ok := g.GetConfig()[conf.SchedulerMode.Key()]; ok && v != d.c.Conf.Map()[conf.SchedulerMode.Key()] {
		return conf.Configuration{}, fmt.Errorf("%w: job %q sets scheduler-mode to %s, which is the cluster's to set; set jobmanager.scheduler to Adaptive instead",
			ErrInvalidGraph, g.GetName(), v)
	}
	pairs := d.c.Conf.Map()
	maps.Copy(pairs, g.GetConfig())
	c, err := conf.FromMap(pairs)
	if err != nil {
		return c, fmt.Errorf("%w: configuration of job %q: %w", ErrInvalidGraph, g.GetName(), err)
	}
	return c, nil
}

// enter takes a job in, unless its id is taken, and counts its goroutine.
func (d *Dispatcher) enter(j *job) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return fmt.Errorf("job %s: %w", j.id, ErrShutdown)
	}
	if d.jobs[j.id] != nil {
		return fmt.Errorf("job %s: %w", j.id, ErrDuplicate)
	}
	d.jobs[j.id] = j
	d.running.Add(1)
	return nil
}

// leave takes back what enter did.
func (d *Dispatcher) leave(j *job) {
	d.mu.Lock()
	delete(d.jobs, j.id)
	d.mu.Unlock()
	d.running.Done()
}

// register records a job.
func (d *Dispatcher) register(ctx context.Context, g *graph.JobGraph) error {
	payload, err := proto.Marshal(g)
	if err != nil {
		return fmt.Errorf("encode the job graph: %w", err)
	}
	err = d.c.Log.Append(ctx, ha.Record{Kind: ha.KindJobRegistry, Key: g.ID().String(), Payload: payload})
	if errors.Is(err, ha.ErrFenced) {
		d.giveUp(err)
	}
	return err
}

// giveUp reports that the epoch log is lost.
func (d *Dispatcher) giveUp(err error) { d.fatal.Do(func() { d.c.Fatal(err) }) }

// finish keeps a job's outcome and archives it; it runs on the job's goroutine.
func (d *Dispatcher) finish(j *job, o jobmaster.Outcome) {
	d.mu.Lock()
	j.outcome, j.end = o, time.Now()
	close(j.done)
	d.finished = append(d.finished, j)
	d.prune()
	d.mu.Unlock()
	log := d.c.Logger.With("job", j.id.String(), "name", o.Details.Name)
	if o.Err != nil {
		log.Warn("job suspended", "error", o.Err)
		if !errors.Is(o.Err, jobmaster.ErrStopped) {
			d.giveUp(fmt.Errorf("job %s: %w", j.id, o.Err))
		}
		return
	}
	log.Info("job ended", "status", o.Result.GetStatus().String(), "runtime", time.Duration(o.Result.GetRuntimeMs())*time.Millisecond,
		"failure", o.Result.GetFailure().GetMessage())
	if d.c.Archive == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), archiveTimeout)
	defer cancel()
	if err := d.c.Archive.Archive(ctx, &o.Details, o.Result); err != nil {
		log.Warn("job could not be archived", "error", err)
	}
}

// Await returns the job's result when it has ended. A job that was suspended has none: the error says why.
func (d *Dispatcher) Await(ctx context.Context, id graph.JobID) (*linkpb.JobResult, error) {
	j := d.job(id)
	if j == nil {
		return nil, fmt.Errorf("job %s: %w", id, ErrUnknownJob)
	}
	select {
	case <-j.done:
	case <-ctx.Done():
		return nil, fmt.Errorf("job %s hasn't ended: %w", id, ctx.Err())
	}
	if j.outcome.Err != nil {
		return nil, fmt.Errorf("job %s was suspended: %w", id, j.outcome.Err)
	}
	return j.outcome.Result, nil
}

// Cancel asks for the job's cancellation; it doesn't wait for the job's end.
func (d *Dispatcher) Cancel(_ context.Context, id graph.JobID) error {
	j := d.job(id)
	switch {
	case j == nil:
		return fmt.Errorf("job %s: %w", id, ErrUnknownJob)
	case j.ended() || !j.master.Cancel():
		return fmt.Errorf("job %s: %w", id, ErrEnded)
	}
	return nil
}

// Recover starts the jobs of an earlier JobManager that have no result, unless their driver runs again and submits them.
func (d *Dispatcher) Recover(ctx context.Context) error {
	if d.c.Reattach {
		return nil
	}
	for _, g := range d.recovered.unfinished() {
		d.c.Logger.Info("job recovered", "job", g.ID().String(), "name", g.GetName())
		if err := d.start(ctx, g, false); err != nil && !errors.Is(err, ErrDuplicate) {
			return fmt.Errorf("recover job %s: %w", g.ID(), err)
		}
	}
	return nil
}

// Shutdown refuses further jobs and ends those that run: with StatusUndefined they are suspended, so that another
// JobManager can go on with them, else they are cancelled, and suspended only when ctx ends before they have. It waits for
// all of them and for their archives.
func (d *Dispatcher) Shutdown(ctx context.Context, status resourcemanager.FinalStatus) {
	d.mu.Lock()
	d.closed = true
	left := make([]*job, 0, len(d.jobs))
	for _, j := range d.jobs {
		if j.master != nil && !j.ended() {
			left = append(left, j)
		}
	}
	d.mu.Unlock()
	if status != resourcemanager.StatusUndefined {
		for _, j := range left {
			j.master.Cancel()
		}
		for _, j := range left {
			select {
			case <-j.done:
			case <-ctx.Done():
			}
		}
	}
	d.mu.Lock()
	if !d.suspended {
		d.suspended = true
		close(d.stop)
	}
	d.mu.Unlock()
	d.running.Wait()
}
