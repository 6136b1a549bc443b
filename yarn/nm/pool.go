// Package nm talks to NodeManagers: it starts, stops, signals and looks at
// containers (YARN's ContainerManagementProtocol).
//
// A Pool keeps one connection per NodeManager, opened by the first call with
// the token that the YARN ResourceManager gave for that node. Calls block and
// may take tens of milliseconds per container and node, so they belong on
// goroutines of their own and never on an application master's heartbeat;
// SetTokens never blocks. How many calls are under way at once is bounded.
//
// The pool owns one goroutine, which closes idle connections, and one per open
// connection (see package ipc). Close ends and joins them.
package nm

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/weftstream/weft/hadoop"
	"github.com/weftstream/weft/hadoop/ipc"
	"github.com/weftstream/weft/hadoop/records"
)

// Protocol is the name that YARN knows the protocol by.
const Protocol = "org.apache.hadoop.yarn.api.ContainerManagementProtocolPB"

var (
	// ErrNoToken is returned for a node whose token the pool was never given.
	ErrNoToken = errors.New("no NMToken for this node")
	// ErrClosed is returned after Close.
	ErrClosed = errors.New("the NodeManager pool is closed")
)

// Dialer opens connections; net.Dialer's DialContext is one.
type Dialer func(ctx context.Context, network, address string) (net.Conn, error)

// Config configures a Pool.
type Config struct {
	// Parallelism bounds the calls under way at once, over all nodes. Default 16.
	Parallelism int
	// CallTimeout bounds one call whose context has no nearer deadline,
	// including the connection it may have to open. Default 60 s.
	CallTimeout time.Duration
	// IdleTimeout is how long an unused connection stays open. Default 5 min.
	IdleTimeout time.Duration
	// Dial opens connections. Default a plain net.Dialer.
	Dial Dialer
}

// Pool is safe for concurrent use.
type Pool struct {
	cfg   Config
	slots chan struct{} // one element per call under way
	sweep chan struct{} // capacity 1: there are retired links to close
	stop  chan struct{} // closed by Close
	wg    sync.WaitGroup

	mu      sync.Mutex // guards what follows and the fields of node and link; never held over I/O
	nodes   map[records.NodeID]*node
	links   map[*link]struct{} // all that are open
	retired []*link            // out of use, to be closed by the sweeper
	closed  bool
}

// node is what the pool knows of one NodeManager.
type node struct {
	token   hadoop.Token
	dialing chan struct{} // closed when the dial under way has ended; nil if none
	link    *link         // nil if there is no connection
}

// link is one connection and who uses it.
type link struct {
	conn     *ipc.Conn
	users    int  // calls under way
	stale    bool // no new users; the last one retires it
	lastUsed time.Time
}

// NewPool starts the sweeper, which closes connections that are out of use;
// Close must be called.
func NewPool(cfg Config) *Pool {
	if cfg.Parallelism <= 0 {
		cfg.Parallelism = 16
	}
	if cfg.CallTimeout <= 0 {
		cfg.CallTimeout = time.Minute
	}
	if cfg.IdleTimeout <= 0 {
		cfg.IdleTimeout = 5 * time.Minute
	}
	p := &Pool{
		cfg: cfg, slots: make(chan struct{}, cfg.Parallelism), nodes: make(map[records.NodeID]*node),
		links: make(map[*link]struct{}),
		sweep: make(chan struct{}, 1), stop: make(chan struct{}),
	}
	p.wg.Go(p.sweeper)
	return p
}

// SetTokens takes tokens over; one for a known node replaces the old one, and
// later calls open a new connection with it. Calls under way end on the old one.
func (p *Pool) SetTokens(tokens ...records.NMToken) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range tokens {
		n := p.nodes[t.Node]
		if n == nil {
			n = &node{}
			p.nodes[t.Node] = n
		}
		if !n.token.Equal(t.Token) {
			n.token = t.Token
			p.detach(n)
		}
	}
}

// Forget drops the token and the connection of a node that is gone.
func (p *Pool) Forget(id records.NodeID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := p.nodes[id]; n != nil {
		p.detach(n)
		delete(p.nodes, id)
	}
}

// Close ends all calls and connections and waits for the sweeper.
func (p *Pool) Close() error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil
	}
	p.closed = true
	p.retired = slices.Collect(maps.Keys(p.links)) // also those with calls under way
	clear(p.nodes)
	p.mu.Unlock()
	close(p.stop)
	p.wg.Wait()
	return nil
}

// detach takes a node's connection out of use. The mutex is held.
func (p *Pool) detach(n *node) {
	if l := n.link; l != nil {
		n.link = nil
		p.makeStale(l)
	}
}

func (p *Pool) makeStale(l *link) {
	if l.stale = true; l.users > 0 {
		return
	}
	p.retired = append(p.retired, l)
	select {
	case p.sweep <- struct{}{}:
	default: // the sweeper will see this one too
	}
}

// sweeper closes retired and idle connections until the pool is closed.
func (p *Pool) sweeper() {
	ticker := time.NewTicker(max(p.cfg.IdleTimeout/4, time.Millisecond))
	defer ticker.Stop()
	for {
		select {
		case <-p.stop:
			p.closeRetired()
			return
		case <-p.sweep:
		case <-ticker.C:
			p.retireIdle()
		}
		p.closeRetired()
	}
}

func (p *Pool) retireIdle() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, n := range p.nodes {
		if l := n.link; l != nil && l.users == 0 && time.Since(l.lastUsed) >= p.cfg.IdleTimeout {
			p.detach(n)
		}
	}
}

func (p *Pool) closeRetired() {
	p.mu.Lock()
	retired := p.retired
	p.retired = nil
	p.mu.Unlock()
	for _, l := range retired {
		l.conn.Close()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range retired {
		delete(p.links, l)
	}
}

// acquire returns a connection to the node, opened now if need be. fresh tells
// that no call was made on it before. Concurrent callers share one dial.
func (p *Pool) acquire(ctx context.Context, id records.NodeID) (l *link, fresh bool, err error) {
	for {
		p.mu.Lock()
		n := p.nodes[id]
		switch {
		case p.closed:
			p.mu.Unlock()
			return nil, false, ErrClosed
		case n == nil:
			p.mu.Unlock()
			return nil, false, ErrNoToken
		}
		if l := n.usable(p); l != nil {
			l.users++
			p.mu.Unlock()
			return l, false, nil
		}
		if n.dialing == nil {
			n.dialing = make(chan struct{})
			token := n.token
			p.mu.Unlock()
			l, err := p.dial(ctx, id, n, token)
			return l, true, err
		}
		other := n.dialing
		p.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil, false, ctx.Err()
		}
	}
}

// usable returns the node's connection unless it broke. The mutex is held.
func (n *node) usable(p *Pool) *link {
	if n.link == nil {
		return nil
	}
	select {
	case <-n.link.conn.Done():
		p.detach(n)
		return nil
	default:
		return n.link
	}
}

// dial opens a connection and makes it the node's, unless the token has changed
// meanwhile: then it serves this caller alone.
func (p *Pool) dial(ctx context.Context, id records.NodeID, n *node, token hadoop.Token) (*link, error) {
	conn, err := ipc.Dial(ctx, ipc.Config{
		Address: id.String(), Protocol: Protocol, Token: &token,
		CallTimeout: p.cfg.CallTimeout, Dial: p.cfg.Dial,
	})
	p.mu.Lock()
	close(n.dialing)
	n.dialing = nil
	closed := p.closed
	l := &link{conn: conn, users: 1, lastUsed: time.Now()}
	if err == nil && !closed {
		p.links[l] = struct{}{}
		if p.nodes[id] == n && n.token.Equal(token) {
			n.link = l
		} else {
			l.stale = true
		}
	}
	p.mu.Unlock()
	switch {
	case err != nil:
		return nil, err
	case closed:
		conn.Close()
		return nil, ErrClosed
	}
	return l, nil
}

// release ends a call on a connection. One that broke under it is taken out of
// use at once: a call may hear of the end before the connection itself is done.
func (p *Pool) release(id records.NodeID, l *link, broken bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := p.nodes[id]; broken && n != nil && n.link == l {
		n.link, l.stale = nil, true
	}
	l.users--
	l.lastUsed = time.Now()
	if l.stale && l.users == 0 {
		p.makeStale(l)
	}
}

// call makes one call on the node. A connection that broke under a call is
// opened again and the call repeated once, if it was one that had been idle: the
// NodeManager may have closed it. repeated tells the caller of that.
func (p *Pool) call(ctx context.Context, id records.NodeID, method string, req, resp proto.Message) (repeated bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, p.cfg.CallTimeout)
	defer cancel()
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	case <-ctx.Done():
		return false, fmt.Errorf("%s on %s: wait for other calls: %w", method, id, ctx.Err())
	case <-p.stop:
		return false, fmt.Errorf("%s on %s: %w", method, id, ErrClosed)
	}
	for {
		l, fresh, err := p.acquire(ctx, id)
		if err != nil {
			return repeated, fmt.Errorf("%s on %s: %w", method, id, err)
		}
		err = l.conn.Call(ctx, method, req, resp)
		p.release(id, l, errors.Is(err, ipc.ErrConnectionLost))
		if fresh || repeated || !errors.Is(err, ipc.ErrConnectionLost) {
			return repeated, err
		}
		repeated = true
	}
}
