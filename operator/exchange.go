package operator

// EventKind says what an Event is.
type EventKind uint8

// The kinds of events, in the order in which their values travel on the wire.
const (
	// EndOfInput: the sender is complete; nothing follows on this channel.
	EndOfInput EventKind = 1 + iota
	// Barrier: what came before belongs to checkpoint Event.ID, what follows to the next.
	Barrier
)

// Event is what travels between batches on a channel and keeps its place among them.
type Event struct {
	Kind EventKind
	// ID is the checkpoint id of a Barrier.
	ID int64
	// Urgent is set on a Barrier that is sent whether or not the receiver has room, and of which the receiver hears at
	// once, whatever is queued in front of it. It keeps its place.
	Urgent bool
}

// Writer is one channel of an exchange, from one subtask to another: a local queue, or an encoder and a connection.
type Writer interface {
	// Send hands b over and returns an empty batch of the same type. It blocks while the receiver grants no credit and
	// returns ErrCancelled when the subtask is cancelled meanwhile. A batch without records that carries a watermark is
	// sent too.
	Send(b Batch) (Batch, error)
	// Event sends e behind everything sent before it. Unless e is urgent it waits like Send.
	Event(e Event) error
}

// Router spreads a stream over the channels of an exchange. It is the Input that the last operator of a chain emits to.
type Router interface {
	Input
	// Event flushes and then sends e on every channel.
	Event(e Event) error
	// Flush sends what is pending, also partial batches and watermarks.
	Flush() error
	// Pending says that Flush would send something.
	Pending() bool
}

// RouterEnv is what a router is told.
type RouterEnv struct {
	// Subtask is the sending subtask; MaxParallelism that of the receiving vertex.
	Subtask, MaxParallelism int
	// BatchSize is the number of records after which a batch is sent.
	BatchSize int
	// Type makes the batches.
	Type Type
}

// RouterFactory makes the router of an edge in one subtask; out holds a writer per receiving subtask it reaches, in order.
type RouterFactory func(env RouterEnv, out []Writer) Router

// channels is what all routers share: a pending batch per channel.
type channels[T any] struct {
	out     []Writer
	pending []*Vec[T]
	size    int
	dirty   bool
	timed   bool // what is pending has timestamps
}

func newChannels[T any](env RouterEnv, out []Writer) channels[T] {
	c := channels[T]{out: out, pending: make([]*Vec[T], len(out)), size: env.BatchSize}
	for i := range out {
		c.pending[i] = env.Type.New(env.BatchSize).(*Vec[T])
	}
	return c
}

func (c *channels[T]) send(i int) error {
	b, err := c.out[i].Send(c.pending[i])
	if err != nil {
		return err
	}
	c.pending[i] = b.(*Vec[T])
	return nil
}

// take prepares for the records of v. A batch has timestamps or has none, so what is pending goes first where v differs:
// in a union of streams with and without event time, for instance.
func (c *channels[T]) take(v *Vec[T]) (timed bool, err error) {
	c.dirty = true
	timed = len(v.TS) != 0
	if timed != c.timed && len(v.V) != 0 {
		c.timed = timed
		err = c.Flush()
		c.dirty = true
	}
	return timed, err
}

// Watermark lets t ride in the pending batches. It doesn't flush: an idle channel gets it with the next Flush. Only
// IdleWatermark, which takes no watermark's place, sends the one that rides there.
func (c *channels[T]) Watermark(t int64) error {
	for i, p := range c.pending {
		if t == IdleWatermark && p.WM != NoWatermark && p.WM != t {
			if err := c.send(i); err != nil {
				return err
			}
		}
		c.pending[i].WM = t
	}
	c.dirty = true
	return nil
}

// Flush sends every batch that has records or a watermark.
func (c *channels[T]) Flush() error {
	c.dirty = false
	for i, p := range c.pending {
		if len(p.V) == 0 && p.WM == NoWatermark {
			continue
		}
		if err := c.send(i); err != nil {
			return err
		}
	}
	return nil
}

// Pending says that there is something to flush.
func (c *channels[T]) Pending() bool { return c.dirty }

// Event flushes, then sends e everywhere.
func (c *channels[T]) Event(e Event) error {
	if err := c.Flush(); err != nil {
		return err
	}
	for _, w := range c.out {
		if err := w.Event(e); err != nil {
			return err
		}
	}
	return nil
}

// End tells every receiver that this sender is complete.
func (c *channels[T]) End() error { return c.Event(Event{Kind: EndOfInput}) }

type keyedRouter[T any] struct {
	channels[T]
	hash   func(*Vec[T])
	target []int32 // by key group
}

// NewKeyedRouter makes the factory of routers that send a record to the subtask that owns its key group. hash fills
// b.H from b.V with the key's hash.
func NewKeyedRouter[T any](hash func(b *Vec[T])) RouterFactory {
	return func(env RouterEnv, out []Writer) Router {
		r := &keyedRouter[T]{channels: newChannels[T](env, out), hash: hash, target: make([]int32, env.MaxParallelism)}
		for g := range r.target {
			r.target[g] = int32(SubtaskFor(g, env.MaxParallelism, len(out)))
		}
		return r
	}
}

func (r *keyedRouter[T]) Batch(b Batch) error {
	v := b.(*Vec[T])
	r.hash(v)
	timed, err := r.take(v)
	if err != nil {
		return err
	}
	if len(r.out) == 1 {
		return r.all(v)
	}
	groups := uint64(len(r.target))
	for i := range v.V {
		h := v.H[i]
		t := r.target[uint64(h)*groups>>32]
		p := r.pending[t]
		p.V = append(p.V, v.V[i])
		p.H = append(p.H, h)
		if timed {
			p.TS = append(p.TS, v.TS[i])
		}
		if len(p.V) >= r.size {
			if err := r.send(int(t)); err != nil {
				return err
			}
		}
	}
	return nil
}

// all is Batch where there is one receiver: records are copied in one go instead of one by one.
func (r *keyedRouter[T]) all(v *Vec[T]) error {
	for from := 0; from < len(v.V); {
		p := r.pending[0]
		to := min(len(v.V), from+max(1, r.size-len(p.V)))
		p.V = append(p.V, v.V[from:to]...)
		p.H = append(p.H, v.H[from:to]...)
		if len(v.TS) != 0 {
			p.TS = append(p.TS, v.TS[from:to]...)
		}
		from = to
		if len(p.V) >= r.size {
			if err := r.send(0); err != nil {
				return err
			}
		}
	}
	return nil
}

type turnRouter[T any] struct {
	channels[T]
	next int
}

// NewRebalanceRouter makes the factory of routers that fill the channels in turn, a batch each. With one channel it is
// the router of a forward edge.
func NewRebalanceRouter[T any]() RouterFactory {
	return func(env RouterEnv, out []Writer) Router {
		return &turnRouter[T]{channels: newChannels[T](env, out), next: env.Subtask % max(1, len(out))}
	}
}

func (r *turnRouter[T]) Batch(b Batch) error {
	v := b.(*Vec[T])
	if _, err := r.take(v); err != nil {
		return err
	}
	p := r.pending[r.next]
	p.V = append(p.V, v.V...)
	p.TS = append(p.TS, v.TS...)
	if len(p.V) < r.size {
		return nil
	}
	err := r.send(r.next)
	r.next = (r.next + 1) % len(r.out)
	return err
}

type broadcastRouter[T any] struct{ channels[T] }

// NewBroadcastRouter makes the factory of routers that send every record to every channel.
func NewBroadcastRouter[T any]() RouterFactory {
	return func(env RouterEnv, out []Writer) Router { return &broadcastRouter[T]{newChannels[T](env, out)} }
}

func (r *broadcastRouter[T]) Batch(b Batch) error {
	v := b.(*Vec[T])
	if _, err := r.take(v); err != nil {
		return err
	}
	for i, p := range r.pending {
		p.V = append(p.V, v.V...)
		p.TS = append(p.TS, v.TS...)
		if len(p.V) >= r.size {
			if err := r.send(i); err != nil {
				return err
			}
		}
	}
	return nil
}

// Tee gives every batch to several consumers, copies to all but the last.
type Tee struct {
	t    Type
	outs []Input
	copy Batch
}

// NewTee makes a Tee over outs, which are at least two.
func NewTee(t Type, outs []Input) *Tee { return &Tee{t: t, outs: outs, copy: t.New(0)} }

// Batch passes b on.
func (t *Tee) Batch(b Batch) error {
	last := len(t.outs) - 1
	for _, o := range t.outs[:last] {
		t.t.Reset(t.copy)
		t.t.Copy(t.copy, b)
		if err := o.Batch(t.copy); err != nil {
			return err
		}
	}
	return t.outs[last].Batch(b)
}

// Watermark passes the watermark on.
func (t *Tee) Watermark(w int64) error {
	for _, o := range t.outs {
		if err := o.Watermark(w); err != nil {
			return err
		}
	}
	return nil
}

// End passes the end on.
func (t *Tee) End() error {
	for _, o := range t.outs {
		if err := o.End(); err != nil {
			return err
		}
	}
	return nil
}

// Drop is the output without a consumer.
type Drop struct{}

// Batch drops b.
func (Drop) Batch(Batch) error { return nil }

// Watermark drops it.
func (Drop) Watermark(int64) error { return nil }

// End drops it.
func (Drop) End() error { return nil }
