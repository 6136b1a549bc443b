package rest

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/rest/api"
	"github.com/weftstream/weft/rest/view"
)

// maxWait is the longest that a client may have the server wait for the end of a job or an operation.
const maxWait = time.Minute

func (s *Server) nowMS() int64 { return s.now().UnixMilli() }

func (s *Server) jobIDs(c *call) (any, error) {
	out := api.JobIDs{Jobs: []api.JobIDStatus{}}
	for _, j := range c.Jobs.Jobs() {
		out.Jobs = append(out.Jobs, api.JobIDStatus{ID: j.ID.String(), Status: api.JobStatusName(j.Status)})
	}
	return out, nil
}

func (s *Server) jobsOverview(c *call) (any, error) {
	out := api.JobsOverview{Jobs: []api.JobOverview{}}
	for _, j := range c.Jobs.Jobs() {
		out.Jobs = append(out.Jobs, view.Overview(&j, s.nowMS()))
	}
	return out, nil
}

func (s *Server) job(c *call) (any, error) {
	d, err := c.job()
	if err != nil {
		return nil, err
	}
	return view.Details(d, s.nowMS()), nil
}

func (s *Server) jobStatus(c *call) (any, error) {
	d, err := c.job()
	if err != nil {
		return nil, err
	}
	return api.JobStatus{Status: api.JobStatusName(d.Status)}, nil
}

func (s *Server) plan(c *call) (any, error) {
	d, err := c.job()
	if err != nil {
		return nil, err
	}
	return api.JobPlan{Plan: view.Plan(d)}, nil
}

func (s *Server) jobConfig(c *call) (any, error) {
	d, err := c.job()
	if err != nil {
		return nil, err
	}
	return view.Config(d), nil
}

func (s *Server) accumulators(c *call) (any, error) {
	d, err := c.job()
	if err != nil {
		return nil, err
	}
	return view.Accumulators(d), nil
}

func (s *Server) exceptions(c *call) (any, error) {
	limit := 0
	if q := c.URL.Query().Get("maxExceptions"); q != "" {
		n, err := strconv.Atoi(q)
		if err != nil || n < 1 {
			return nil, badRequest("maxExceptions is %q; it takes a whole number of at least 1", q)
		}
		limit = n
	}
	d, err := c.job()
	if err != nil {
		return nil, err
	}
	return view.Exceptions(d, limit), nil
}

// cancelJob answers 202 as soon as the cancellation is under way, also when it was before.
func (s *Server) cancelJob(c *call) (any, error) {
	id, err := c.jobID()
	if err != nil {
		return nil, err
	}
	if err := ignoreBody(c.w, c.Request); err != nil {
		return nil, err
	}
	if mode := c.URL.Query().Get("mode"); mode != "" && mode != "cancel" {
		return nil, badRequest("a job can't be ended with mode=%s, only with mode=cancel", mode)
	}
	if err := c.Jobs.Cancel(c.Context(), id); err != nil {
		return nil, err
	}
	return with(http.StatusAccepted, api.Empty{}), nil
}

// executionResult is for Flink's client, which asks again until the job has ended.
func (s *Server) executionResult(c *call) (any, error) {
	id, err := c.jobID()
	if err != nil {
		return nil, err
	}
	r, ok := c.Jobs.Result(id)
	if !ok {
		return nil, unknownJob(id)
	}
	return s.delivering(c, id, r, api.ExecutionResultOf(r)), nil
}

// result is Weft's own: it waits for the job's end.
func (s *Server) result(c *call) (any, error) {
	id, err := c.jobID()
	if err != nil {
		return nil, err
	}
	r, ok := c.Jobs.Result(id)
	if !ok {
		return nil, unknownJob(id)
	}
	wait, err := waitOf(c)
	if err != nil {
		return nil, err
	}
	if wait > 0 && r == nil {
		if r, err = s.await(c, id, wait); err != nil {
			return nil, err
		}
	}
	out := api.JobResultAnswer{Status: api.AsyncStatus{ID: api.InProgress}}
	if r == nil {
		d, ok := c.Jobs.Job(id)
		if !ok {
			return nil, unknownJob(id)
		}
		out.State = api.JobStatusName(d.Status)
		return out, nil
	}
	out.Status.ID, out.State, out.Result = api.Completed, api.JobStatusName(r.GetStatus()), api.JobResultOf(r)
	return s.delivering(c, id, r, out), nil
}

// waitOf is how long the client wants the server to wait for an end before it answers; 0: not at all.
func waitOf(c *call) (time.Duration, error) {
	text := c.URL.Query().Get("wait")
	if text == "" {
		return 0, nil
	}
	wait, err := time.ParseDuration(text)
	if err != nil || wait < 0 {
		return 0, badRequest("wait is %q; it takes a duration like 30s", text)
	}
	return min(wait, maxWait), nil
}

// hold calls wait, whose ctx ends after d or with the request, and says so; if too many clients wait already it doesn't.
func (s *Server) hold(c *call, d time.Duration, wait func(ctx context.Context)) bool {
	select {
	case s.waiting <- struct{}{}:
		defer func() { <-s.waiting }()
	default:
		return false
	}
	ctx, cancel := context.WithTimeout(c.Context(), d)
	defer cancel()
	wait(ctx)
	return true
}

// await returns nil if the job hasn't ended within wait. If too many clients wait already it doesn't wait.
func (s *Server) await(c *call, id graph.JobID, wait time.Duration) (*linkpb.JobResult, error) {
	var r *linkpb.JobResult
	var err error
	held := s.hold(c, wait, func(ctx context.Context) { r, err = c.Jobs.Await(ctx, id) })
	if !held || err == nil {
		return r, nil
	}
	// The job may have ended in the same moment.
	if r, ok := c.Jobs.Result(id); ok && r != nil {
		return r, nil
	}
	switch {
	case c.Context().Err() != nil:
		return nil, unavailable("the REST endpoint is shutting down; job %s hasn't ended yet", id)
	case errors.Is(err, context.DeadlineExceeded):
		return nil, nil
	}
	return nil, err
}

// delivering sends body at once if it holds a result, so that ResultDelivered is called when it has been sent.
func (s *Server) delivering(c *call, id graph.JobID, r *linkpb.JobResult, body any) any {
	if r == nil || s.c.ResultDelivered == nil || c.Method == http.MethodHead {
		return body
	}
	s.send(c.w, http.StatusOK, body)
	if c.w.control.Flush() == nil {
		s.c.ResultDelivered(id)
	}
	return written{}
}
