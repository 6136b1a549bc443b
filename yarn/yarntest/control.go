package yarntest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/weftstream/weft/hadoop/ipc/ipctest"
)

// ErrDrop returned by an Interceptor cuts the connection without a reply.
var ErrDrop = ipctest.ErrDrop

// Call is one call on the cluster.
type Call struct {
	// Method is an RPC's name, such as allocate or startContainers, or an HTTP
	// method and path, such as "POST /ws/v1/cluster/apps".
	Method string
	// Request of an RPC; nil for HTTP. It may be changed before next.
	Request proto.Message
	// Body of an HTTP request.
	Body []byte
}

// Reply is what a call returns.
type Reply struct {
	Message proto.Message // of an RPC; may be changed
	Status  int           // of HTTP
	Body    []byte
}

// Interceptor stands between a client and the cluster. It calls next to have
// the call executed, or not, and returns its reply, another one, or an error:
// ErrDrop, or what ipctest.Exception makes. Holding a call back delays it; it
// must return when ctx ends.
type Interceptor func(ctx context.Context, call *Call, next func() (*Reply, error)) (*Reply, error)

type hook struct {
	method string
	fn     Interceptor
}

// Intercept puts fn before every call of that method, until remove is called.
// The interceptor added last is called first.
func (c *Cluster) Intercept(method string, fn Interceptor) (remove func()) {
	h := &hook{method, fn}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hooks = append(c.hooks, h)
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.hooks = slices.DeleteFunc(c.hooks, func(o *hook) bool { return o == h })
	}
}

// Times limits an interceptor to the first n calls.
func Times(n int, fn Interceptor) Interceptor {
	var mu sync.Mutex
	return func(ctx context.Context, call *Call, next func() (*Reply, error)) (*Reply, error) {
		mu.Lock()
		use := n > 0
		n--
		mu.Unlock()
		if !use {
			return next()
		}
		return fn(ctx, call, next)
	}
}

// DropRequest cuts the connection before the call is executed.
func DropRequest(context.Context, *Call, func() (*Reply, error)) (*Reply, error) { return nil, ErrDrop }

// DropReply executes the call and cuts the connection instead of replying.
func DropReply(_ context.Context, _ *Call, next func() (*Reply, error)) (*Reply, error) {
	if _, err := next(); err != nil {
		return nil, err
	}
	return nil, ErrDrop
}

// Fail answers with a Java exception instead of executing the call.
func Fail(class, format string, args ...any) Interceptor {
	return func(context.Context, *Call, func() (*Reply, error)) (*Reply, error) {
		return nil, ipctest.Exception(class, format, args...)
	}
}

// run passes a call through the interceptors to execute.
func (c *Cluster) run(ctx context.Context, call *Call, execute func() (*Reply, error)) (*Reply, error) {
	c.mu.Lock()
	next := execute
	for _, h := range c.hooks {
		if h.method == call.Method {
			inner := next
			next = func() (*Reply, error) { return h.fn(ctx, call, inner) }
		}
	}
	c.mu.Unlock()
	return next()
}

// StopRM takes the ResourceManager down: connections break and new ones are
// hung up on. Containers live on.
func (c *Cluster) StopRM() {
	c.mu.Lock()
	c.down = true
	c.updateGates()
	c.mu.Unlock()
}

// StartRM brings it up again with recovery: it knows applications and
// containers, and has forgotten who had registered and what they asked for.
// Container ids carry the next epoch.
func (c *Cluster) StartRM() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down = false
	c.recover()
	c.updateGates()
}

// FailOver makes the other ResourceManager the active one.
func (c *Cluster) FailOver() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.active = (c.active + 1) % len(c.rms)
	c.recover()
	c.updateGates()
}

func (c *Cluster) recover() {
	c.epoch++
	for _, app := range c.apps {
		app.attempt.forget()
	}
}

// updateGates opens the scheduler port of the active ResourceManager alone and
// cuts the connections of the others.
func (c *Cluster) updateGates() {
	for i, rm := range c.rms {
		rm.rpc.SetRefusing(c.down || i != c.active)
	}
}

// CutSchedulerConnections breaks the application masters' connections.
func (c *Cluster) CutSchedulerConnections() {
	for _, rm := range c.rms {
		rm.rpc.CloseConnections()
	}
}

// Wait waits until the condition holds. It is checked after every change of the
// cluster's state, and may call the cluster's methods.
func (c *Cluster) Wait(ctx context.Context, what string, condition func() bool) error {
	stop := context.AfterFunc(ctx, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.changed.Broadcast()
	})
	defer stop()
	for {
		c.mu.Lock()
		version, closed := c.version, c.closed
		c.mu.Unlock()
		switch {
		case condition():
			return nil
		case ctx.Err() != nil:
			return fmt.Errorf("wait until %s: %w", what, ctx.Err())
		case closed:
			return errors.New("wait until " + what + ": the test cluster is closed")
		}
		c.mu.Lock()
		for c.version == version && ctx.Err() == nil {
			c.changed.Wait()
		}
		c.mu.Unlock()
	}
}

// notify wakes who waits for a change. The mutex is held.
func (c *Cluster) notify() {
	c.version++
	c.changed.Broadcast()
}
