package network

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/weftstream/weft/operator"
)

// maxPending bounds the opened channels whose producer isn't deployed in this host (yet).
const maxPending = 1 << 16

// maxHandshakes bounds the connections that are accepted but haven't proved anything yet.
const maxHandshakes = 64

// DefaultDialTimeout is how long a host tries to reach another one.
const DefaultDialTimeout = 30 * time.Second

// dialRetry is the pause between two tries.
const dialRetry = 100 * time.Millisecond

// Config says what an Exchange is part of.
type Config struct {
	// Job is the job's id, Resource the resource id of the host's TaskManager.
	Job      [16]byte
	Resource string
	// Key is the job key that connections are proved with.
	Key []byte
	// Dial connects to a TaskManager's data port; TCP when nil.
	Dial Dialer
	// DialTimeout bounds all tries to reach another host; DefaultDialTimeout when 0. A host that isn't up yet refuses or
	// closes connections, so these are tried again; a failed handshake isn't.
	DialTimeout time.Duration
	// Encrypt puts the connections under TLS, Compress compresses what goes over them. All hosts of a job must agree.
	Encrypt, Compress bool
	// Log gets a line per connection made and refused; slog.Default when nil.
	Log *slog.Logger
}

// Exchange is where the channels of one job in one host meet: outputs made by producing subtasks, gates by consuming
// ones, and the connections to other hosts. Safe for concurrent use.
type Exchange struct {
	cfg   Config
	self  Preamble
	tls   *tls.Config    // nil without encryption
	group sync.WaitGroup // the reader of every connection, from its dial or handshake on

	mu        sync.Mutex
	closed    bool
	outputs   map[ChannelID]*Output
	pending   map[ChannelID]*receiver // opened before their output was made
	consumers map[string]*consumerConn
	producers map[*producerConn]struct{}
	greeting  map[net.Conn]struct{} // in their handshake
}

// NewExchange makes an exchange without connections. Close it.
func NewExchange(cfg Config) (*Exchange, error) {
	if len(cfg.Resource) == 0 || len(cfg.Resource) > MaxResourceID {
		return nil, fmt.Errorf("make exchange: resource id %q has %d bytes, want 1 to %d", cfg.Resource, len(cfg.Resource), MaxResourceID)
	}
	if cfg.Dial == nil {
		cfg.Dial = func(ctx context.Context, address string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", address)
		}
	}
	if cfg.DialTimeout == 0 {
		cfg.DialTimeout = DefaultDialTimeout
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	var secure *tls.Config
	if cfg.Encrypt {
		var err error
		if secure, err = secureConfig(cfg.Key); err != nil {
			return nil, err
		}
	}
	return &Exchange{
		cfg: cfg, tls: secure, self: Preamble{Job: cfg.Job, Resource: cfg.Resource},
		outputs: map[ChannelID]*Output{}, pending: map[ChannelID]*receiver{}, consumers: map[string]*consumerConn{},
		producers: map[*producerConn]struct{}{}, greeting: map[net.Conn]struct{}{},
	}, nil
}

// Output makes the writer of a channel; batchSize is the room of the batches that Send returns. The consumer may have
// opened the channel before.
func (x *Exchange) Output(p *Producer, id ChannelID, t operator.Type, batchSize int) (*Output, error) {
	o := &Output{p: p, id: id, typ: t, size: batchSize}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.closed {
		return nil, ErrClosed
	}
	if x.outputs[id] != nil {
		return nil, fmt.Errorf("make output of edge %d from subtask %d to %d: it exists", id.Edge, id.Producer, id.Consumer)
	}
	x.outputs[id] = o
	if r := x.pending[id]; r != nil {
		delete(x.pending, id)
		o.bind(r)
	}
	return o, nil
}

// ReleaseOutputs forgets the outputs of a subtask that has ended.
func (x *Exchange) ReleaseOutputs(outputs []*Output) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, o := range outputs {
		delete(x.outputs, o.id)
	}
}

// Gate makes the input of a subtask and opens its channels. w is woken when Next may have something. Connections are
// dialled in the background; one that can't be made shows as the gate's error. Release it.
func (x *Exchange) Gate(w *Waker, specs []ChannelSpec) (*Gate, error) {
	g := newGate(w, specs)
	for _, c := range g.channels {
		if err := x.open(c); err != nil {
			x.ReleaseGate(g)
			return nil, fmt.Errorf("open channel of edge %d from subtask %d on %s: %w", c.spec.ID.Edge, c.spec.ID.Producer, c.spec.Peer, err)
		}
	}
	return g, nil
}

// ReleaseGate closes the gate's channels and drops what is in them. The subtask must have ended.
func (x *Exchange) ReleaseGate(g *Gate) {
	for _, c := range g.channels {
		if c.remote != nil {
			c.remote.forget(c)
			continue
		}
		x.mu.Lock()
		if r := x.pending[c.spec.ID]; r != nil && r.local == c {
			delete(x.pending, c.spec.ID)
		}
		x.mu.Unlock()
	}
	g.close()
}

func (x *Exchange) open(c *channel) error {
	if c.spec.Peer == x.cfg.Resource {
		return x.bind(c.spec.ID, &receiver{local: c})
	}
	conn, err := x.consumer(c.spec.Peer, c.spec.Address)
	if err != nil {
		return err
	}
	return conn.open(c)
}

// bind leads a channel to r, now or when its output is made.
func (x *Exchange) bind(id ChannelID, r *receiver) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.closed {
		return ErrClosed
	}
	if o := x.outputs[id]; o != nil {
		if o.to.Load() != nil {
			return fmt.Errorf("edge %d from subtask %d to %d opened twice: %w", id.Edge, id.Producer, id.Consumer, ErrFrame)
		}
		o.bind(r)
		return nil
	}
	if len(x.pending) >= maxPending {
		return fmt.Errorf("edge %d from subtask %d to %d: %d opened channels wait for their producer: %w", id.Edge, id.Producer, id.Consumer, maxPending, ErrFrame)
	}
	x.pending[id] = r
	return nil
}
