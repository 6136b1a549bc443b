package hdfs

import (
	"context"
	"net"
	"sync"
	"time"

	hdfs "github.com/colinmarc/hdfs/v2"

	"github.com/weftstream/weft/filesystem"
)

// client is one connection to the active NameNode with what hangs on it: calls in flight and open files. The library
// serialises its calls, renews the leases of its writers once a second, and after a failure refuses for five seconds to
// dial the same NameNode again; so a client whose connection broke is retired and a new one made.
type client struct {
	lib     *hdfs.Client
	dialer  *dialer
	users   int  // guarded by pool.mu
	retired bool // guarded by pool.mu: gone from the pool, closed when its last user is
}

// pool keeps up to size clients of one nameservice.
type pool struct {
	options        hdfs.ClientOptions
	size           int
	connectTimeout time.Duration
	timeout        time.Duration

	// making holds one token: one client is made at a time, so that callers who find the NameNode gone do not all dial.
	making chan struct{}

	mu        sync.Mutex // guards the fields below and the users and retired of every client; never held while blocking
	clients   []*client
	all       map[*client]struct{} // those in clients and those retired but in use
	dialing   *dialer              // of the client being made
	preferred string               // the NameNode that answered last
	closed    bool
}

func newPool(options hdfs.ClientOptions, cfg Config) *pool {
	p := &pool{
		options: options, size: cfg.Connections, connectTimeout: cfg.ConnectTimeout, timeout: cfg.Timeout,
		making: make(chan struct{}, 1), all: map[*client]struct{}{},
	}
	p.making <- struct{}{}
	return p
}

// get returns a client, which the caller gives back with put. It makes one if all others are busy and there is room.
func (p *pool) get(ctx context.Context) (*client, error) {
	if c, err := p.take(false); c != nil || err != nil {
		return c, err
	}
	select {
	case <-p.making:
		defer func() { p.making <- struct{}{} }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if c, err := p.take(true); c != nil || err != nil {
		return c, err
	}
	c, err := p.connect()
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		c.close()
		return nil, filesystem.ErrClosed
	}
	c.users = 1
	p.clients = append(p.clients, c)
	p.all[c] = struct{}{}
	return c, nil
}

// take returns the least used client. It returns none if that one is busy and another may be made; a caller that
// waited for its turn to make one takes what others made meanwhile if it is idle.
func (p *pool) take(waited bool) (*client, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, filesystem.ErrClosed
	}
	var best *client
	for _, c := range p.clients {
		if best == nil || c.users < best.users {
			best = c
		}
	}
	if best == nil || best.users > 0 && len(p.clients) < p.size {
		return nil, nil
	}
	best.users++
	return best, nil
}

// put gives a client back. A broken one serves the files that are open on it and nobody else.
func (p *pool) put(c *client, broken bool) {
	p.mu.Lock()
	c.users--
	if broken && !c.retired {
		c.retired = true
		for i, other := range p.clients {
			if other == c {
				p.clients = append(p.clients[:i], p.clients[i+1:]...)
				break
			}
		}
	}
	last := c.retired && c.users == 0
	if last {
		delete(p.all, c)
	}
	if !broken {
		if a := c.dialer.lastNameNode(); a != "" {
			p.preferred = a
		}
	}
	p.mu.Unlock()
	if last {
		c.close()
	}
}

// addUser counts an open file on a client that the caller holds.
func (p *pool) addUser(c *client) {
	p.mu.Lock()
	c.users++
	p.mu.Unlock()
}

// connect makes a client and asks the NameNode for its defaults. That proves that it is there and active, which the
// library doesn't, and fills a cache that the library would fill in a race.
func (p *pool) connect() (*client, error) {
	d := &dialer{
		connectTimeout: p.connectTimeout, timeout: p.timeout,
		conns: map[*conn]struct{}{}, pending: map[*context.CancelFunc]struct{}{},
	}
	if !p.announce(d) {
		return nil, filesystem.ErrClosed
	}
	defer p.announce(nil)
	o := p.options
	o.Addresses = p.order()
	o.NamenodeDialFunc, o.DatanodeDialFunc = d.dialNameNode, d.dialDataNode
	lib, err := hdfs.NewClient(o)
	if err != nil {
		d.close()
		return nil, &connectError{err}
	}
	c := &client{lib: lib, dialer: d}
	if _, err := lib.ServerDefaults(); err != nil {
		c.close()
		return nil, &connectError{err}
	}
	return c, nil
}

// announce tells close which connections are being made. It returns false if it is too late.
func (p *pool) announce(d *dialer) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dialing = d
	return !p.closed
}

// order puts the NameNode that answered last in front: a dead one may cost a whole connect timeout.
func (p *pool) order() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	ordered := make([]string, 0, len(p.options.Addresses))
	for _, a := range p.options.Addresses {
		if a == p.preferred {
			ordered = append([]string{a}, ordered...)
		} else {
			ordered = append(ordered, a)
		}
	}
	return ordered
}

func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	clients, dialing := p.all, p.dialing
	p.all, p.clients = map[*client]struct{}{}, nil
	for c := range clients {
		c.retired = true
		c.users++ // so that put doesn't close it a second time
	}
	p.mu.Unlock()
	if dialing != nil {
		dialing.close()
	}
	for c := range clients {
		c.close()
	}
}

// close ends the client. The connections go first: the library waits for the call in flight.
func (c *client) close() {
	c.dialer.close()
	c.lib.Close()
}

// connectError is a failure before any request was sent.
type connectError struct{ err error }

func (e *connectError) Error() string { return e.err.Error() }
func (e *connectError) Unwrap() error { return e.err }

// dialer makes the connections of one client, with a deadline on each read and write, and closes them all at the end.
type dialer struct {
	connectTimeout, timeout time.Duration

	mu       sync.Mutex // guards the fields below
	conns    map[*conn]struct{}
	pending  map[*context.CancelFunc]struct{} // of dials under way
	nameNode string
	closed   bool
}

func (d *dialer) dialNameNode(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := d.dial(ctx, network, addr)
	if err == nil {
		d.mu.Lock()
		d.nameNode = addr
		d.mu.Unlock()
	}
	return c, err
}

func (d *dialer) dialDataNode(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := d.dial(ctx, network, addr)
	if cc, ok := c.(*conn); ok {
		cc.swallow = true
	}
	return c, err
}

func (d *dialer) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.connectTimeout)
	defer cancel()
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return nil, filesystem.ErrClosed
	}
	d.pending[&cancel] = struct{}{}
	d.mu.Unlock()
	nc, err := (&net.Dialer{KeepAlive: 30 * time.Second}).DialContext(ctx, network, addr)
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.pending, &cancel)
	if err != nil {
		return nil, err
	}
	if d.closed {
		nc.Close()
		return nil, filesystem.ErrClosed
	}
	c := &conn{Conn: nc, dialer: d}
	d.conns[c] = struct{}{}
	return c, nil
}

func (d *dialer) lastNameNode() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.nameNode
}

func (d *dialer) close() {
	d.mu.Lock()
	d.closed = true
	conns := d.conns
	d.conns = map[*conn]struct{}{}
	for cancel := range d.pending {
		(*cancel)()
	}
	d.mu.Unlock()
	for c := range conns {
		c.Conn.Close()
	}
}

// conn gives each read and write its deadline and closes itself at the first failure: an answer that comes late must
// not be taken for that of the next call.
type conn struct {
	net.Conn
	dialer *dialer
	// swallow makes writes on a broken connection seem to succeed; reads fail. The library's block writer ends its
	// goroutine that reads acknowledgements only if it could send its last packet, and it learns of the failure from
	// that goroutine too.
	swallow bool
	broken  bool // only used by the writing goroutine, under the library's write lock
}

func (c *conn) Read(b []byte) (int, error) {
	if err := c.Conn.SetReadDeadline(time.Now().Add(c.dialer.timeout)); err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(b)
	if err != nil {
		c.Close()
	}
	return n, err
}

func (c *conn) Write(b []byte) (int, error) {
	if c.broken {
		return len(b), nil
	}
	err := c.Conn.SetWriteDeadline(time.Now().Add(c.dialer.timeout))
	n := 0
	if err == nil {
		n, err = c.Conn.Write(b)
	}
	if err != nil {
		c.Close()
		if c.swallow {
			c.broken = true
			return len(b), nil
		}
	}
	return n, err
}

func (c *conn) Close() error {
	c.dialer.mu.Lock()
	delete(c.dialer.conns, c)
	c.dialer.mu.Unlock()
	return c.Conn.Close()
}

// SetDeadline leaves the deadlines to Read and Write: the library would remove them.
func (c *conn) SetDeadline(time.Time) error { return nil }
