package stream

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/weftstream/weft/link/linkpb"
)

// Client is a job that was started. Safe for concurrent use.
type Client struct {
	// ID is the job's id.
	ID JobID

	name  string
	exec  executor
	ended chan struct{} // closed by the watcher, which wrote result and err before
	res   *linkpb.JobResult
	err   error
}

// Start submits the job and returns. In the local role the job ends with the driver function: wait for it with Await.
func (j *Job[P]) Start(ctx context.Context, d *Driver, p P) (*Client, error) {
	id, exec, err := j.submit(ctx, d, "", p)
	if err != nil {
		return nil, err
	}
	c := &Client{ID: id, name: j.name, exec: exec, ended: make(chan struct{})}
	d.watchers.Add(1)
	go func() { // the watcher: ends with the job, or with the driver's Close
		defer d.watchers.Done()
		defer close(c.ended)
		c.res, c.err = exec.Await(d.stopped, id)
	}()
	return c, nil
}

// Await returns when the job has ended; a job that failed or was cancelled gives a *JobError. ctx ends the waiting, not
// the job.
func (c *Client) Await(ctx context.Context) (*Result, error) {
	select {
	case <-c.ended:
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for job %q (%s): %w", c.name, c.ID, context.Cause(ctx))
	}
	if c.err != nil {
		return nil, fmt.Errorf("wait for job %q (%s): %w", c.name, c.ID, c.err)
	}
	return resultOf(c.name, c.ID, c.res)
}

// Cancel asks for the job's cancellation and returns; Await waits for it.
func (c *Client) Cancel(ctx context.Context) error {
	if err := c.exec.Cancel(ctx, c.ID); err != nil {
		return fmt.Errorf("cancel job %q (%s): %w", c.name, c.ID, err)
	}
	return nil
}

// Status is RUNNING until the job has ended, then FINISHED, FAILED or CANCELED; it doesn't block.
func (c *Client) Status() string {
	select {
	case <-c.ended:
		if c.err == nil {
			return c.res.GetStatus().String()
		}
	default:
	}
	return linkpb.JobStatus_RUNNING.String()
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }
