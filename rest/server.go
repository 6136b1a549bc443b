package rest

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/rest/api"
)

const (
	// headerTimeout is how long a client may take for a request's header, bodyTimeout how long it may pause within its
	// body, and answerTimeout how long it may take to read an answer, or a piece of a file.
	headerTimeout = 10 * time.Second
	bodyTimeout   = 30 * time.Second
	answerTimeout = 30 * time.Second
	// shutdownTimeout is how long requests under way have once Serve is to end.
	shutdownTimeout = 5 * time.Second

	maxHeaderBytes = 64 << 10
	// maxIgnoredBody is how much of a body is read where none is needed: Flink's client sends {} with every request.
	maxIgnoredBody = 64 << 10
	// maxUploads and maxWaiting bound uploads at once, and clients that wait for a job's result at once.
	maxUploads = 8
	maxWaiting = 1024
)

// Server is the REST endpoint.
type Server struct {
	c          Config
	log        *slog.Logger
	token      []byte // nil: everyone is let in
	origin     string
	prefix     string
	mux        *http.ServeMux
	backend    atomic.Pointer[Backend]
	heartbeats *heartbeats
	operations *operations
	uploads    chan struct{}
	waiting    chan struct{}
	now        func() time.Time

	mu    sync.Mutex // guards what follows
	asked time.Time  // when the last request came or was answered; zero: there was none
	under int        // requests under way
}

// New checks c and makes a Server; Serve starts it.
func New(c Config) (*Server, error) {
	s := &Server{c: c, log: c.Log, mux: http.NewServeMux(), uploads: make(chan struct{}, maxUploads),
		waiting: make(chan struct{}, maxWaiting), now: time.Now}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if c.authenticated() {
		if c.Token == "" {
			return nil, errNoToken
		}
		s.token = []byte(c.Token)
	}
	s.origin = conf.Get(c.Conf, conf.WebAccessControlAllowOrigin)
	s.prefix = strings.TrimSuffix(conf.Get(c.Conf, conf.RestUrlPrefix), "/")
	s.heartbeats = newHeartbeats(s.log, s.now)
	s.operations = newOperations(conf.Get(c.Conf, conf.RestAsyncStoreDuration), s.now)
	s.routes()
	return s, nil
}

// SetBackend ends the time of start-up, in which every request is answered with 503.
func (s *Server) SetBackend(b Backend) { s.backend.Store(&b) }

// Serve serves l until ctx ends, and returns nil then; before that only if l fails. Clients that wait for a job's result
// are told to come back, other requests have a few seconds to be answered. It closes l. It is called once.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	requests, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	server := &http.Server{
		Handler:           s,
		BaseContext:       func(net.Listener) context.Context { return requests },
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       conf.Get(s.c.Conf, conf.RestIdlenessTimeout),
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	beating := make(chan struct{})
	go func() {
		defer close(beating)
		s.heartbeats.run(requests, s.cancelSilent)
	}()
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()

	var err error
	select {
	case err = <-ended:
		stop()
	case <-ctx.Done():
		stop()
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		if server.Shutdown(limit) != nil {
			server.Close()
		}
		err = <-ended
	}
	<-beating
	s.operations.close()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	server.Close()
	return err
}

// DrainOperations waits until every savepoint that was triggered is complete and its client has heard of it, or until ctx
// ends: a job that is stopped with a savepoint may take its cluster along.
func (s *Server) DrainOperations(ctx context.Context) error { return s.operations.drain(ctx) }

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w := &answer{ResponseWriter: rw, control: http.NewResponseController(rw)}
	defer s.recovered(w, r)
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	if s.origin != "" {
		h.Set("Access-Control-Allow-Origin", s.origin)
		h.Set("Vary", "Origin")
		if r.Method == http.MethodOptions {
			h.Set("Access-Control-Allow-Methods", "GET, POST, PUT, PATCH, DELETE")
			h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type")
			w.WriteHeader(http.StatusNoContent)
			return
		}
	}
	if err := s.admit(r); err != nil {
		h.Set("WWW-Authenticate", `Bearer realm="weft"`)
		s.fail(w, r, err)
		return
	}
	if s.backend.Load() != nil { // who is told to come back hasn't gone
		s.noteRequest(1)
		defer s.noteRequest(-1)
	}
	s.dispatch(w, r)
}

// noteRequest says that a request that is let in begins (1) or ends (-1).
func (s *Server) noteRequest(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.under += n
	s.asked = s.now()
}

// Idle says for how long no client has had a request under way; ok = false: none has ever asked for anything. What
// authentication refuses doesn't count, nor do requests before SetBackend, which clients repeat seconds later.
func (s *Server) Idle() (d time.Duration, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.under > 0 {
		return 0, true
	}
	return s.now().Sub(s.asked), !s.asked.IsZero()
}

// dispatch finds the handler of a request, and says in JSON if there is none.
func (s *Server) dispatch(w *answer, sent *http.Request) {
	r, ok := withoutPrefix(sent, s.prefix)
	if !ok {
		s.fail(w, sent, notFound("Unable to load requested file %s.", sent.URL.Path))
		return
	}
	if versioned, ok := withoutPrefix(r, api.Prefix); ok {
		r = versioned
	}
	if _, pattern := s.mux.Handler(r); pattern != "" {
		s.mux.ServeHTTP(w, r)
		return
	}
	if allowed := s.methods(r); len(allowed) > 0 {
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		s.fail(w, r, fail(http.StatusMethodNotAllowed, "%s is no method of %s, which takes %s", r.Method, r.URL.Path,
			strings.Join(allowed, ", ")))
		return
	}
	s.fail(w, r, notFound("Unable to load requested file %s.", r.URL.Path))
}

// methods lists the methods that r's path takes.
func (s *Server) methods(r *http.Request) []string {
	var allowed []string
	for _, m := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		other := *r
		other.Method = m
		if _, pattern := s.mux.Handler(&other); pattern != "" {
			allowed = append(allowed, m)
		}
	}
	return allowed
}

// withoutPrefix is r without prefix ("" or "/x") before its path; false if it isn't there.
func withoutPrefix(r *http.Request, prefix string) (*http.Request, bool) {
	path, ok := strings.CutPrefix(r.URL.Path, prefix)
	if !ok || !strings.HasPrefix(path, "/") {
		return nil, false
	}
	u := *r.URL
	u.Path, u.RawPath = path, strings.TrimPrefix(u.RawPath, prefix)
	out := *r
	out.URL = &u
	return &out, true
}
