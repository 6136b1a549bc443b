package resttest

import (
	"context"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weftstream/weft/rest"
)

// Token is what a Cluster wants to see.
const Token = "test-token"

// Cluster is a REST endpoint and what is behind it.
type Cluster struct {
	// Endpoint is its URL, before which Intercept works. Direct is that of the server itself.
	Endpoint   string
	Direct     string
	Jobs       *Jobs
	JobManager *JobManager
	Store      *rest.Store
	Server     *rest.Server

	intercept atomic.Pointer[func(http.ResponseWriter, *http.Request, http.Handler)]
	requests  atomic.Pointer[[]string]
	stop      context.CancelFunc
	done      chan struct{}
}

// Start starts a Cluster that ends with the test. change, which may be nil, may change its configuration.
func Start(t testing.TB, change func(*rest.Config)) *Cluster {
	t.Helper()
	c := New(t, change)
	c.Server.SetBackend(rest.Backend{Jobs: c.Jobs, Cluster: c.JobManager})
	return c
}

// New is Start of a Cluster that is still starting up: SetBackend makes it ready.
func New(t testing.TB, change func(*rest.Config)) *Cluster {
	t.Helper()
	store, err := rest.NewStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	jobs := newJobs()
	c := &Cluster{Jobs: jobs, JobManager: newJobManager(jobs), Store: store, done: make(chan struct{})}
	config := rest.Config{Token: Token, Artifacts: store}
	if change != nil {
		change(&config)
	}
	if c.Server, err = rest.New(config); err != nil {
		t.Fatal(err)
	}
	// The endpoint itself, and before it a server that a test can have lose requests and answers.
	inner, outer := listen(t), listen(t)
	ctx, stop := context.WithCancel(context.Background())
	c.stop = stop
	front := &http.Server{Handler: http.HandlerFunc(c.serve), ReadHeaderTimeout: time.Minute}
	c.Endpoint, c.Direct = "http://"+outer.Addr().String(), "http://"+inner.Addr().String()
	go func() {
		defer close(c.done)
		served := make(chan struct{})
		go func() { defer close(served); _ = front.Serve(outer) }()
		if err := c.Server.Serve(ctx, inner); err != nil {
			t.Errorf("serve REST: %v", err)
		}
		front.Close()
		<-served
	}()
	t.Cleanup(c.Close)
	return c
}

func listen(t testing.TB) net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// Close stops the endpoint and waits for its end. It may be called again.
func (c *Cluster) Close() { c.stop(); <-c.done }

// Intercept has f answer requests; it may call next for the real answer. nil ends it.
func (c *Cluster) Intercept(f func(w http.ResponseWriter, r *http.Request, next http.Handler)) {
	if f == nil {
		c.intercept.Store(nil)
		return
	}
	c.intercept.Store(&f)
}

// Requests lists the requests so far: "GET /v1/overview".
func (c *Cluster) Requests() []string {
	if list := c.requests.Load(); list != nil {
		return *list
	}
	return nil
}

func (c *Cluster) serve(w http.ResponseWriter, r *http.Request) {
	for {
		old := c.requests.Load()
		var list []string
		if old != nil {
			list = append(list, *old...)
		}
		list = append(list, r.Method+" "+r.URL.Path)
		if c.requests.CompareAndSwap(old, &list) {
			break
		}
	}
	if f := c.intercept.Load(); f != nil {
		(*f)(w, r, c.Server)
		return
	}
	c.Server.ServeHTTP(w, r)
}
