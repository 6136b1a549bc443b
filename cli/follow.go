package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/weftstream/weft/client"
	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/link"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/rest/api"
)

const (
	// reportInterval is how often an attached command asks the provider how the cluster is, and lostInterval how often
	// once the cluster's endpoint has gone.
	reportInterval = time.Second
	lostInterval   = 200 * time.Millisecond
	// jobsInterval is how often it asks the cluster for its jobs.
	jobsInterval = 250 * time.Millisecond
	// reportPatience is how long the provider may give no answer before the command gives up.
	reportPatience = time.Minute
	// failurePatience is how long a job's failure isn't shown because the application's end is expected to tell of it.
	failurePatience = 3 * time.Second
	// lastResults is how long results are waited for once the provider says that the cluster has ended.
	lastResults = time.Second
)

// follower watches a deployed application cluster to its end.
type follower struct {
	s       *session
	place   *place
	cluster *client.Cluster

	mu     sync.Mutex // guards untold
	untold []failure
}

// failure is why a job failed, until the user has been told.
type failure struct {
	result *linkpb.JobResult
	since  time.Time
}

// detached says how to go on without this command.
func (f *follower) detached(ctx context.Context) error {
	r, err := f.place.Report(ctx, f.cluster.ID)
	if err == nil && r.State.Ended() { // it was that short
		f.s.print.ended(r)
		return endError("application", r)
	}
	f.s.log.Info("the application goes on without this command", "stop", "weft yarn-session stop "+f.cluster.ID,
		"kill", "yarn application -kill "+f.cluster.ID)
	return nil
}

// attached prints what happens until the application has ended, and returns its end as an error.
func (f *follower) attached(ctx context.Context) error {
	watching, stop := context.WithCancel(ctx)
	defer stop()
	lost := make(chan struct{})
	var watch sync.WaitGroup
	if f.cluster.Endpoint != "" {
		c, err := f.s.impatient(f.cluster)
		if err != nil {
			return err
		}
		defer c.Close()
		watch.Go(func() { f.watchJobs(watching, c, lost) })
	}
	r, err := f.awaitEnd(ctx, lost)
	if err == nil && f.cluster.Endpoint != "" { // results may be on their way
		late := time.NewTimer(lastResults)
		defer late.Stop()
		select {
		case <-lost:
		case <-late.C:
		}
	}
	stop()
	watch.Wait()
	f.tellFailures(0, r.Diagnostics)
	if err != nil && ctx.Err() != nil {
		return f.interrupted(ctx)
	}
	if err != nil {
		return fmt.Errorf("follow application %s: %w; it goes on, and `yarn application -status %s` says how it is",
			f.cluster.ID, err, f.cluster.ID)
	}
	f.s.print.ended(r)
	f.s.log.Info("application ended", "applicationId", r.ID, "finalStatus", r.State)
	return endError("application", r)
}

// awaitEnd asks the provider until the cluster has ended. lost is closed when the endpoint has gone.
func (f *follower) awaitEnd(ctx context.Context, lost <-chan struct{}) (client.Report, error) {
	state := client.Running
	answered := time.Now()
	interval := reportInterval
	for {
		r, err := f.place.Report(ctx, f.cluster.ID)
		switch {
		case ctx.Err() != nil:
			return r, context.Cause(ctx)
		case err != nil && time.Since(answered) > reportPatience: // a YARN that restarts doesn't know it at first
			return r, err
		case err != nil:
			f.s.log.Warn("the application's state isn't known", "error", err)
		case r.State.Ended():
			return r, nil
		default:
			answered = time.Now()
			if r.State != state {
				state = r.State
				f.s.log.Info("application", "applicationId", r.ID, "state", state)
			}
		}
		timer := time.NewTimer(interval)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-lost:
			interval, lost = lostInterval, nil
		}
		timer.Stop()
	}
}

// interrupted is what happens after Ctrl-C: with -sae the application ends, too.
func (f *follower) interrupted(ctx context.Context) error {
	cause := context.Cause(ctx)
	if !conf.Get(f.s.conf, conf.ExecutionShutdownOnAttachedExit) {
		f.s.log.Info("the application goes on without this command", "applicationId", f.cluster.ID,
			"stop", "weft yarn-session stop "+f.cluster.ID, "kill", "yarn application -kill "+f.cluster.ID)
		return &exitError{ExitError, cause}
	}
	if err := f.s.shutdown(context.WithoutCancel(ctx), f.place, f.cluster); err != nil {
		return fmt.Errorf("end application %s with this command: %w", f.cluster.ID, err)
	}
	return &exitError{ExitError, cause}
}

// shutdown ends a cluster in order, and the hard way if that takes longer than client.timeout.
func (s *session) shutdown(ctx context.Context, p *place, cluster *client.Cluster) error {
	s.log.Info("ending the cluster", "id", cluster.ID)
	patience := conf.Get(s.conf, conf.ClientTimeout)
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c, err := s.impatient(cluster)
	if err == nil {
		defer c.Close()
		err = c.Shutdown(limited)
	}
	if err == nil {
		err = eventually(limited, lostInterval, func() bool {
			r, err := p.Report(limited, cluster.ID)
			return err == nil && r.State.Ended() || errors.Is(err, client.ErrNotFound)
		})
	}
	if err == nil {
		return nil
	}
	s.log.Warn("the cluster doesn't end by itself and is killed", "id", cluster.ID, "cause", err)
	limited, cancel = context.WithTimeout(ctx, patience)
	defer cancel()
	return p.Kill(limited, cluster.ID)
}

// watchJobs prints the jobs that come, their states, and their results, until ctx or the endpoint has ended; then it
// closes lost. Who submitted a job waits for its result as well, so each result is asked for while the job runs.
func (f *follower) watchJobs(ctx context.Context, c *client.Client, lost chan<- struct{}) {
	defer close(lost)
	var results sync.WaitGroup
	defer results.Wait()
	states := map[string]string{}
	waits := newWaits(c, f.s.log)
	failures := 0
	for {
		jobs, err := c.Jobs(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			// A single failure may be anything; an endpoint that is gone refuses at once.
			if failures++; failures >= 3 || errors.Is(err, client.ErrUnreachable) {
				f.s.log.Debug("the cluster's endpoint has gone", "error", err)
				return
			}
		} else {
			failures = 0
		}
		for i := len(jobs) - 1; i >= 0; i-- { // oldest first
			f.observe(ctx, c, &results, states, waits, jobs[i])
		}
		f.tellFailures(failurePatience, "")
		if pause(ctx, jobsInterval) != nil {
			return
		}
	}
}

// observe prints what is new of a job.
func (f *follower) observe(ctx context.Context, c *client.Client, results *sync.WaitGroup, states map[string]string,
	waits *waits, j api.JobOverview) {
	id, err := graph.ParseJobID(j.ID)
	if err != nil {
		return
	}
	last, known := states[j.ID]
	if !known {
		f.s.print.submitted(id, j.Name)
		results.Go(func() { f.awaitResult(ctx, c, id) })
	}
	if last != j.State {
		states[j.ID] = j.State
		f.s.log.Info("job "+j.State, "job", j.ID, "name", j.Name)
	}
	waits.observe(ctx, time.Now(), id, j)
}

// awaitResult prints a job's result once it is there. A connection that breaks is no reason to give up, an endpoint that
// can't be reached any more is.
func (f *follower) awaitResult(ctx context.Context, c *client.Client, id graph.JobID) {
	for attempt := 0; attempt < 3; attempt++ {
		r, err := c.Result(ctx, id)
		if err == nil {
			f.s.print.result(r)
			if r.GetFailure() != nil {
				f.mu.Lock()
				f.untold = append(f.untold, failure{r, time.Now()})
				f.mu.Unlock()
			}
			return
		}
		f.s.log.Debug("the job's result isn't known", "job", id, "error", err)
		if pause(ctx, jobsInterval) != nil {
			return
		}
	}
}

// tellFailures shows the failures of jobs that are known for so long, except those that the application's diagnostics
// tell of: they are shown with its end.
func (f *follower) tellFailures(age time.Duration, diagnostics string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var later []failure
	for _, u := range f.untold {
		r := u.result
		why := r.GetFailure()
		switch {
		case time.Since(u.since) < age:
			later = append(later, u)
			continue
		case diagnostics != "" && strings.Contains(diagnostics, why.GetMessage()):
			continue
		}
		f.s.log.Error(fmt.Sprintf("job %q ended %s: %s", r.GetName(), r.GetStatus(), link.FailureText(why.GetMessage(), why.GetOperator(),
			int(why.GetSubtask()))), "job", api.JobResultOf(r).ID)
		if why.GetStack() != "" {
			fmt.Fprintf(f.s.Err, "%s\n", why.GetStack())
		}
	}
	f.untold = later
}
