package dispatcher

import (
	"cmp"
	"slices"
	"time"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/link/linkpb"
)

// storeLimits bound the finished jobs that are kept.
type storeLimits struct {
	expiration time.Duration
	capacity   int
}

func storeLimitsOf(c conf.Configuration) storeLimits {
	return storeLimits{expiration: time.Duration(conf.Get(c, conf.JobStoreExpirationTime)) * time.Second,
		capacity: conf.Get(c, conf.JobStoreMaxCapacity)}
}

// prune forgets finished jobs that are too old or too many; with the lock held. Whoever waits for one still gets it.
func (d *Dispatcher) prune() {
	now := time.Now()
	for len(d.finished) > 0 && (len(d.finished) > d.store.capacity || now.Sub(d.finished[0].end) > d.store.expiration) {
		delete(d.jobs, d.finished[0].id)
		d.finished[0] = nil
		d.finished = d.finished[1:]
	}
}

// job finds a job; nil if there is none.
func (d *Dispatcher) job(id graph.JobID) *job {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.prune()
	return d.jobs[id]
}

// Jobs returns all known jobs, newest first.
func (d *Dispatcher) Jobs() []JobSummary {
	d.mu.Lock()
	d.prune()
	all := make([]JobSummary, 0, len(d.jobs))
	for _, j := range d.jobs {
		all = append(all, j.summary())
	}
	d.mu.Unlock()
	slices.SortFunc(all, func(a, b JobSummary) int {
		return cmp.Or(cmp.Compare(b.Start, a.Start), slices.Compare(a.ID[:], b.ID[:]))
	})
	return all
}

func (j *job) summary() JobSummary {
	if j.ended() {
		return j.outcome.Details.JobSummary
	}
	return j.master.Summary()
}

// Job returns a job's details.
func (d *Dispatcher) Job(id graph.JobID) (JobDetails, bool) {
	j := d.job(id)
	switch {
	case j == nil:
		return JobDetails{}, false
	case j.ended():
		return j.outcome.Details, true
	}
	return j.master.Details(), true
}

// Result returns the result of a job that has ended; nil while it runs, and for one that was suspended. ok is false for an
// unknown job.
func (d *Dispatcher) Result(id graph.JobID) (r *linkpb.JobResult, ok bool) {
	j := d.job(id)
	switch {
	case j == nil:
		return nil, false
	case j.ended():
		return j.outcome.Result, true
	}
	return nil, true
}
