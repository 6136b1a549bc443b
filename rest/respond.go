package rest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/operator"
	"github.com/weftstream/weft/rest/api"
	"github.com/weftstream/weft/runtime/artifact"
	"github.com/weftstream/weft/runtime/dispatcher"
)

// answer is a response that knows whether it has begun.
type answer struct {
	http.ResponseWriter
	control *http.ResponseController
	began   bool
}

func (a *answer) WriteHeader(status int) {
	a.began = true
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(b []byte) (int, error) {
	a.began = true
	_ = a.control.SetWriteDeadline(time.Now().Add(answerTimeout)) // without deadlines (a recorder): no matter
	return a.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// call is what a handler gets: the request, and what the endpoint shows.
type call struct {
	*http.Request
	w *answer
	Backend
}

// handler returns the body of the answer: any value, which is sent as JSON with 200, or one made by with, or written.
type handler func(c *call) (any, error)

type status struct {
	code int
	body any
}

// with is a body with another status than 200.
func with(code int, body any) status { return status{code, body} }

// written says that the handler has answered by itself.
type written struct{}

// failure is an answer that isn't a success.
type failure struct {
	status  int
	message string
	detail  string
}

func (f *failure) Error() string { return f.message }

func fail(status int, format string, args ...any) error {
	return &failure{status: status, message: fmt.Sprintf(format, args...)}
}

func notFound(format string, args ...any) error { return fail(http.StatusNotFound, format, args...) }

func badRequest(format string, args ...any) error {
	return fail(http.StatusBadRequest, format, args...)
}

func unavailable(format string, args ...any) error {
	return fail(http.StatusServiceUnavailable, format, args...)
}

// failureOf finds the status for an error of the runtime.
func failureOf(err error) *failure {
	if f := (*failure)(nil); errors.As(err, &f) {
		return f
	}
	f := &failure{status: http.StatusInternalServerError, message: err.Error()}
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		f.status = http.StatusRequestEntityTooLarge
		f.message = fmt.Sprintf("the request is larger than %d bytes (rest.server.max-content-length)", tooLarge.Limit)
		return f
	}
	for _, known := range []struct {
		err    error
		status int
	}{
		{dispatcher.ErrUnknownJob, http.StatusNotFound},
		{dispatcher.ErrEnded, http.StatusConflict},
		{dispatcher.ErrDuplicate, http.StatusConflict},
		{dispatcher.ErrInvalidGraph, http.StatusBadRequest},
		{dispatcher.ErrRequirements, http.StatusBadRequest},
		{dispatcher.ErrNotScalable, http.StatusConflict},
		{dispatcher.ErrShutdown, http.StatusServiceUnavailable},
		{artifact.ErrChecksum, http.StatusBadRequest},
		{ErrNoRoom, http.StatusInsufficientStorage},
		{context.DeadlineExceeded, http.StatusGatewayTimeout},
		{context.Canceled, http.StatusServiceUnavailable},
	} {
		if errors.Is(err, known.err) {
			f.status = known.status
			break
		}
	}
	return f
}

// route has h answer requests of pattern.
func (s *Server) route(pattern string, h handler) {
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { s.run(w.(*answer), r, h) })
}

// run calls h and sends what it returns.
func (s *Server) run(w *answer, r *http.Request, h handler) {
	b := s.backend.Load()
	if b == nil {
		s.fail(w, r, unavailable("the JobManager is starting up; try again"))
		return
	}
	if r.Method != http.MethodPost && r.Method != http.MethodPut && r.Method != http.MethodPatch {
		if err := ignoreBody(w, r); err != nil {
			s.fail(w, r, err)
			return
		}
	}
	body, err := h(&call{Request: r, w: w, Backend: *b})
	if err != nil {
		s.fail(w, r, err)
		return
	}
	switch body := body.(type) {
	case written:
	case status:
		s.send(w, body.code, body.body)
	default:
		s.send(w, http.StatusOK, body)
	}
}

// ignoreBody reads what a client sends where nothing is needed, so that the connection can go on to be used, and watched
// while the client waits.
func ignoreBody(w *answer, r *http.Request) error {
	if r.ContentLength == 0 {
		return nil
	}
	_, err := io.Copy(io.Discard, body(w, r, maxIgnoredBody))
	_ = w.control.SetReadDeadline(time.Time{})
	if err != nil {
		return fmt.Errorf("read body: %w", err)
	}
	return nil
}

// body is r's body, at most limit bytes of it (0: no limit), from a client that doesn't pause for long. The read deadline
// has to be taken back afterwards.
func body(w *answer, r *http.Request, limit int64) io.Reader {
	b := r.Body
	if limit > 0 {
		b = http.MaxBytesReader(w.ResponseWriter, b, limit)
	}
	return &patientReader{b, w.control}
}

// patientReader gives every read bodyTimeout.
type patientReader struct {
	r       io.Reader
	control *http.ResponseController
}

func (p *patientReader) Read(b []byte) (int, error) {
	_ = p.control.SetReadDeadline(time.Now().Add(bodyTimeout))
	return p.r.Read(b)
}

// readJSON reads a small JSON body; an empty one leaves v unchanged.
func (c *call) readJSON(v any) error {
	data, err := io.ReadAll(body(c.w, c.Request, maxIgnoredBody))
	_ = c.w.control.SetReadDeadline(time.Time{})
	if err != nil {
		return fmt.Errorf("read body: %w", err)
	}
	if len(data) == 0 {
		return nil
	}
	if err := json.Unmarshal(data, v); err != nil {
		return badRequest("the body isn't the JSON expected here: %v", err)
	}
	return nil
}

func (s *Server) send(w *answer, code int, body any) {
	data, err := json.Marshal(body)
	if err != nil {
		s.log.Error("REST answer can't be written as JSON", "error", err)
		code, data = http.StatusInternalServerError, []byte(`{"errors":["the answer can't be written as JSON"]}`)
	}
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	w.WriteHeader(code)
	_, _ = w.Write(data) // an error means that the client has gone
}

// fail answers with an error, unless something was answered already: then the connection is broken off.
func (s *Server) fail(w *answer, r *http.Request, err error) {
	f := failureOf(err)
	s.log.Debug("REST request failed", "method", r.Method, "path", r.URL.Path, "status", f.status, "error", f.message)
	if w.began {
		panic(http.ErrAbortHandler)
	}
	// net/http reads what is left of a body before the connection is used again.
	_ = w.control.SetReadDeadline(time.Now().Add(bodyTimeout))
	errs := []string{f.message}
	if f.detail != "" {
		errs = append(errs, f.detail)
	}
	if f.status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	s.send(w, f.status, api.Errors{Errors: errs})
}

// recovered is deferred: a defect of a handler ends the request, not the JobManager.
func (s *Server) recovered(w *answer, r *http.Request) {
	p := recover()
	if p == nil {
		return
	}
	if p == http.ErrAbortHandler { //nolint:errorlint // net/http compares it so
		panic(p) // net/http's own way to break off; it recovers
	}
	stack := debug.Stack()
	s.log.Error("REST handler panicked", "method", r.Method, "path", r.URL.Path, "panic", p, "stack", string(stack))
	if w.began {
		panic(http.ErrAbortHandler)
	}
	s.send(w, http.StatusInternalServerError, api.Errors{Errors: []string{fmt.Sprintf("internal error: %v", p), string(stack)}})
}

// jobID is the job that the path names.
func (c *call) jobID() (graph.JobID, error) {
	value := c.PathValue("jobid")
	id, err := graph.ParseJobID(value)
	if err != nil {
		return id, unresolved("jobid", value)
	}
	return id, nil
}

// job is the job that the path names, as it is.
func (c *call) job() (*dispatcher.JobDetails, error) {
	id, err := c.jobID()
	if err != nil {
		return nil, err
	}
	d, ok := c.Jobs.Job(id)
	if !ok {
		return nil, unknownJob(id)
	}
	return &d, nil
}

func unknownJob(id graph.JobID) error { return notFound("Job %s not found", id) }

func unresolved(name, value string) error {
	return badRequest("Bad request, could not parse parameters: Cannot resolve path parameter (%s) from value %q.", name, value)
}

func (c *call) vertexID() (operator.ID, error) {
	value := c.PathValue("vertexid")
	id, err := operator.ParseID(value)
	if err != nil {
		return id, unresolved("vertexid", value)
	}
	return id, nil
}
