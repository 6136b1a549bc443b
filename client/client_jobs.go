package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/rest/api"
)

// pollWait is how long the endpoint may wait for a job's end before it answers; proxies give up after a minute.
const pollWait = 30 * time.Second

// waiting is the query that has the endpoint wait.
var waiting = url.Values{"wait": {pollWait.String()}}.Encode()

func jobPath(id graph.JobID, more string) string { return "/jobs/" + id.String() + more }

func (c *Client) get(ctx context.Context, path string, out any) error {
	return c.call(ctx, request{method: http.MethodGet, path: path}, out)
}

// Status asks for the status of a job; ErrNotFound if there is no such job.
func (c *Client) Status(ctx context.Context, id graph.JobID) (linkpb.JobStatus, error) {
	return c.status(ctx, id, false)
}

func (c *Client) status(ctx context.Context, id graph.JobID, once bool) (linkpb.JobStatus, error) {
	var out api.JobStatus
	if err := c.call(ctx, request{method: http.MethodGet, path: jobPath(id, "/status"), once: once}, &out); err != nil {
		return 0, err
	}
	return api.ParseJobStatus(out.Status)
}

// Result waits for the end of a job and returns its result, whatever its status; ErrNotFound if there is no such job.
func (c *Client) Result(ctx context.Context, id graph.JobID) (*linkpb.JobResult, error) {
	for {
		asked := time.Now()
		var out api.JobResultAnswer
		err := c.call(ctx, request{method: http.MethodGet, path: "/weft/jobs/" + id.String() + "/result", query: waiting,
			patience: pollWait}, &out)
		if err != nil {
			return nil, err
		}
		if out.Result != nil {
			return out.Result.Proto()
		}
		if err := again(ctx, asked); err != nil {
			return nil, fmt.Errorf("wait for job %s: %w", id, err)
		}
	}
}

// again pauses before an endpoint that answered too early is asked once more: one that is too busy to have clients wait answers
// at once.
func again(ctx context.Context, asked time.Time) error {
	if rest := time.Second - time.Since(asked); rest > 0 {
		return sleep(ctx, rest)
	}
	return nil
}

// Jobs lists the jobs that the cluster knows, ended ones included, newest first.
func (c *Client) Jobs(ctx context.Context) ([]api.JobOverview, error) {
	var out api.JobsOverview
	err := c.get(ctx, "/jobs/overview", &out)
	return out.Jobs, err
}

// Job asks for the details of a job; ErrNotFound if there is no such job.
func (c *Client) Job(ctx context.Context, id graph.JobID) (*api.JobDetails, error) {
	out := &api.JobDetails{}
	if err := c.get(ctx, jobPath(id, ""), out); err != nil {
		return nil, err
	}
	return out, nil
}

// Exceptions asks for the failures of a job; ErrNotFound if there is no such job.
func (c *Client) Exceptions(ctx context.Context, id graph.JobID) (*api.Exceptions, error) {
	out := &api.Exceptions{}
	if err := c.get(ctx, jobPath(id, "/exceptions"), out); err != nil {
		return nil, err
	}
	return out, nil
}

// Cancel asks for the cancellation of a job and doesn't wait for its end; ErrNotFound if there is no such job, ErrConflict
// if it has ended.
func (c *Client) Cancel(ctx context.Context, id graph.JobID) error {
	return c.call(ctx, request{method: http.MethodPatch, path: jobPath(id, ""), query: "mode=cancel"}, nil)
}

// Heartbeat keeps a job that was submitted with a heartbeat timeout alive until expires. It is tried once: the next
// heartbeat is the repetition.
func (c *Client) Heartbeat(ctx context.Context, id graph.JobID, expires time.Time) error {
	body, n, err := jsonBody(api.Heartbeat{Expires: expires.UnixMilli()})
	if err != nil {
		return err
	}
	return c.call(ctx, request{method: http.MethodPatch, path: jobPath(id, "/clientHeartbeat"), body: body, length: n,
		header: contentType("application/json"), once: true}, nil)
}

// Shutdown ends the cluster: its jobs are cancelled. It returns when the endpoint has taken the request.
func (c *Client) Shutdown(ctx context.Context) error {
	return c.call(ctx, request{method: http.MethodDelete, path: "/cluster"}, nil)
}

// Overview counts jobs, TaskManagers and slots.
func (c *Client) Overview(ctx context.Context) (*api.ClusterOverview, error) {
	out := &api.ClusterOverview{}
	if err := c.get(ctx, "/overview", out); err != nil {
		return nil, err
	}
	return out, nil
}

// Config is the configuration of the JobManager, secrets masked.
func (c *Client) Config(ctx context.Context) (map[string]string, error) {
	var out []api.ConfigEntry
	if err := c.get(ctx, "/jobmanager/config", &out); err != nil {
		return nil, err
	}
	pairs := make(map[string]string, len(out))
	for _, e := range out {
		pairs[e.Key] = e.Value
	}
	return pairs, nil
}

// TaskManagers lists the registered TaskManagers.
func (c *Client) TaskManagers(ctx context.Context) ([]api.TaskManager, error) {
	var out api.TaskManagers
	err := c.get(ctx, "/taskmanagers", &out)
	return out.TaskManagers, err
}

// Ready asks once whether the endpoint answers: nil, or the error without any repetition.
func (c *Client) Ready(ctx context.Context) error {
	return c.call(ctx, request{method: http.MethodGet, path: "/overview", once: true}, &api.ClusterOverview{})
}

// notFound says that the endpoint doesn't know what was asked for.
func notFound(err error) bool { return errors.Is(err, ErrNotFound) }
