package executor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/weftstream/weft/client"
	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/link/linkpb"
)

// remote is the jobs of a client on clusters that it reaches through REST: what Session and PerJob have in common.
type remote struct {
	o    Options
	runs runs

	beating sync.WaitGroup // heartbeats' goroutines

	mu     sync.Mutex
	closed bool
	tied   map[graph.JobID]*tiedJob // jobs that may run and end with the client
}

// tiedJob is a job that ends with the client.
type tiedJob struct {
	c    *client.Client
	stop context.CancelFunc // ends its heartbeats
}

func newRemote(o Options) *remote {
	return &remote{o: o, runs: runs{hooks: o.Hooks}, tied: map[graph.JobID]*tiedJob{}}
}

// Welcome implements link.DriverService.
func (r *remote) Welcome(context.Context) (map[string]string, bool, error) {
	return r.o.Conf.Map(), r.o.Detached, nil
}

// Jobs returns the jobs submitted so far, in that order.
func (r *remote) Jobs() []Run { return r.runs.all() }

// hold is called before a job is submitted: from then on Close cancels it. Heartbeats begin with beat.
func (r *remote) hold(id graph.JobID, c *client.Client) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return errors.New("the client is ending")
	}
	if r.o.tied() && r.tied[id] == nil {
		r.tied[id] = &tiedJob{c: c, stop: func() {}}
	}
	return nil
}

// release ends heartbeats of a job that has ended, or was never taken.
func (r *remote) release(id graph.JobID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t := r.tied[id]; t != nil {
		t.stop()
		delete(r.tied, id)
	}
}

// isTied says whether Close cancels the job.
func (r *remote) isTied(id graph.JobID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.tied[id] != nil
}

// beat sends heartbeats for a job that is held, until release or Close.
func (r *remote) beat(id graph.JobID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.tied[id]
	if t == nil || r.closed {
		return
	}
	t.stop()
	ctx, stop := context.WithCancel(context.Background())
	t.stop = stop
	interval, timeout := conf.Get(r.o.Conf, conf.ClientHeartbeatInterval), r.heartbeatTimeout()
	r.beating.Go(func() {
		tick := time.NewTicker(max(interval, time.Millisecond))
		defer tick.Stop()
		for {
			if err := t.c.Heartbeat(ctx, id, time.Now().Add(timeout)); err != nil && ctx.Err() == nil {
				r.o.log().Debug("heartbeat failed", "job", id, "error", err)
			}
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	})
}

func (r *remote) heartbeatTimeout() time.Duration {
	return conf.Get(r.o.Conf, conf.ClientHeartbeatTimeout)
}

// await asks c for a job's result.
func (r *remote) await(ctx context.Context, c *client.Client, id graph.JobID) (*linkpb.JobResult, error) {
	result, err := c.Result(ctx, id)
	if err != nil {
		return nil, err
	}
	r.release(id)
	r.runs.ended(id, result)
	return result, nil
}

// Close ends heartbeats. With ShutdownOnAttachedExit it cancels the jobs whose results haven't become known here, also one
// whose submission was broken off; without it they live on. It may be called again.
func (r *remote) Close(ctx context.Context) error {
	r.mu.Lock()
	r.closed = true
	tied := r.tied
	r.tied = map[graph.JobID]*tiedJob{}
	for _, t := range tied {
		t.stop()
	}
	r.mu.Unlock()
	r.beating.Wait()
	var errs []error
	for id, t := range tied {
		err := t.c.Cancel(ctx, id)
		if err != nil && !errors.Is(err, client.ErrNotFound) && !errors.Is(err, client.ErrConflict) {
			errs = append(errs, fmt.Errorf("cancel job %s, which was to end with this command: %w", id, err))
		}
	}
	return errors.Join(errs...)
}

// refused says that the cluster answered that it didn't take the job, so that it surely doesn't run.
func refused(err error) bool {
	e := (*client.APIError)(nil)
	return errors.As(err, &e) && e.Status >= http.StatusBadRequest && e.Status < http.StatusInternalServerError
}
