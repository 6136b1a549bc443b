package network

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/weftstream/weft/operator"
)

// ChannelID names a channel of a job: an edge, and the two executions that it connects.
type ChannelID struct {
	Edge                      int
	Producer, ProducerAttempt int
	Consumer, ConsumerAttempt int
}

// ChannelSpec is one channel of a gate.
type ChannelSpec struct {
	ID   ChannelID
	Type operator.Type
	// Peer is the resource id of the producer's host, Address its TaskManager's data port. With the host's own resource id
	// the channel is a local queue.
	Peer, Address string
	// Reserve is the room beyond what producers use while they can choose: see Producer.Reserve.
	Reserve int
}

// Element is what a channel delivers: a batch or an event. It is valid until the next call of Next.
type Element struct {
	// Channel is the position of the channel among the gate's.
	Channel int
	// Batch is nil for an event.
	Batch operator.Batch
	Event operator.Event
}

// Gate is the input of a subtask. Next, Block and Unblock are called by the subtask's goroutine only.
type Gate struct {
	waker     *Waker
	channels  []*channel
	current   *channel // whose batch was delivered last, and is given back by the next call of Next
	delivered operator.Batch
	local     bool // delivered belongs to a local channel's pool
	bytes     atomic.Int64

	mu     sync.Mutex
	ready  queue[*channel] // channels that have elements and aren't blocked
	urgent queue[announcement]
	err    error
	closed bool
}

// item is an element in a channel: a batch, a frame that holds records or a part of one, or an event.
type item struct {
	batch operator.Batch
	frame *frame
	part  bool
	event operator.Event
	mark  int64
	// urgent: it came whether or not there was room, and holds no credit.
	urgent bool
}

// channel is the consumer's end of a channel.
type channel struct {
	gate *Gate
	spec ChannelSpec
	// index is its position in the gate.
	index int

	// Guarded by gate.mu.
	items   queue[item]
	credits int  // the most that items may hold, the urgent ones not counted
	urgent  int  // of items
	tell    bool // the end of input is announced, too
	listed  bool
	blocked bool
	ended   bool

	// Of a local channel, guarded by gate.mu.
	free     []operator.Batch
	producer *Producer
	waiting  bool

	// Of a remote channel, used by the subtask's goroutine.
	remote   *consumerConn
	number   uint32
	batchful int // credits without the reserve
	keep     Keep
	decoder  *decoder
	partial  []byte
	consumed int
	// granted is guarded by remote.mu: credits to be sent.
	granted int
}

// decoder holds what the channels of one edge decode into: one batch, since one element is delivered at a time.
type decoder struct{ batch operator.Batch }

// creditsFor is how many batches or frames one of n channels of a gate may hold.
func creditsFor(n int) int { return min(16, max(2, 128/max(1, n))) }

// newGate makes a gate whose channels aren't open yet; w is woken when there is something to take.
func newGate(w *Waker, specs []ChannelSpec) *Gate {
	g := &Gate{waker: w}
	decoders := map[int]*decoder{}
	for i, s := range specs {
		d := decoders[s.ID.Edge]
		if d == nil {
			d = &decoder{}
			decoders[s.ID.Edge] = d
		}
		g.channels = append(g.channels, &channel{gate: g, spec: s, index: i, credits: creditsFor(len(specs)) + s.Reserve, batchful: creditsFor(len(specs)), decoder: d})
	}
	return g
}

// Len is the number of channels.
func (g *Gate) Len() int { return len(g.channels) }

// BytesRead is the number of payload bytes that came over connections. Safe for concurrent use.
func (g *Gate) BytesRead() int64 { return g.bytes.Load() }

// Ready says whether Next would return something.
func (g *Gate) Ready() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.ready.n > 0 || g.urgent.n > 0 || g.err != nil
}

// Next takes the next element, from each channel in turn; ok is false when there is none. The element before it is given
// back. After an error there is nothing more.
func (g *Gate) Next() (e Element, ok bool, err error) {
	if g.delivered != nil {
		g.current.spec.Type.Reset(g.delivered)
	}
	for {
		c, it, err := g.take()
		if c == nil || err != nil {
			return Element{}, false, err
		}
		e := Element{Channel: c.index, Event: it.event}
		switch {
		case it.batch != nil:
			g.current, g.delivered, g.local = c, it.batch, true
			if c.keep != nil {
				c.keepBatch(it.batch, c.keep)
			}
			e.Batch = it.batch
			return e, true, nil
		case it.frame == nil:
			if !it.urgent {
				c.credit()
			}
			return e, true, nil
		}
		whole, err := c.decode(it)
		c.credit()
		if err != nil {
			return Element{}, false, err
		}
		if whole {
			g.current, g.delivered, g.local = c, c.decoder.batch, false
			e.Batch = c.decoder.batch
			return e, true, nil
		}
	}
}

// take pops one item and gives the batch delivered before back to its channel's pool.
func (g *Gate) take() (*channel, item, error) {
	g.mu.Lock()
	if g.delivered != nil && g.local {
		g.current.free = append(g.current.free, g.delivered)
	}
	g.delivered = nil
	if g.err != nil || g.ready.n == 0 {
		err := g.err
		g.mu.Unlock()
		return nil, item{}, err
	}
	c := g.ready.pop()
	it := c.items.pop()
	if c.items.n > 0 {
		g.ready.push(c)
	} else {
		c.listed = false
	}
	if it.event.Kind == operator.EndOfInput {
		c.ended = true
	}
	if it.urgent {
		c.urgent--
	}
	// The producer is woken when there is room for several batches, so that the two don't take turns for each.
	wake := c.waiting && c.items.n <= c.batchful/2
	producer := c.producer
	if wake {
		c.waiting = false
	}
	g.mu.Unlock()
	if wake {
		producer.wake()
	}
	return c, it, nil
}

// Block keeps what the channel has and will get from being delivered, until Unblock.
func (g *Gate) Block(index int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	c := g.channels[index]
	c.blocked = true
	if c.listed {
		g.ready.remove(c)
		c.listed = false
	}
}

// Unblock ends Block.
func (g *Gate) Unblock(index int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	c := g.channels[index]
	c.blocked = false
	c.list()
}

// fail makes Next return err.
func (g *Gate) fail(err error) {
	g.mu.Lock()
	if g.err == nil {
		g.err = err
	}
	g.mu.Unlock()
	g.waker.Wake()
}

// close drops everything.
func (g *Gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed, g.err = true, ErrClosed
	g.ready, g.urgent = queue[*channel]{}, queue[announcement]{}
	for _, c := range g.channels {
		for c.items.n > 0 {
			if it := c.items.pop(); it.frame != nil && !c.spec.Type.Pins() {
				it.frame.recycle()
			}
		}
		c.free = nil
	}
}

// list puts the channel on the ready list if it belongs there; gate.mu is held.
func (c *channel) list() {
	if !c.listed && !c.blocked && c.items.n > 0 {
		c.listed = true
		c.gate.ready.push(c)
	}
}

// offer hands an item over; ok is false while there is no room, and then the producer is woken once there is. A local
// batch is answered with an empty one, or nil when the pool has none.
func (c *channel) offer(it item) (empty operator.Batch, ok bool) {
	g := c.gate
	g.mu.Lock()
	if !it.urgent && c.full() || g.closed {
		c.waiting = true
		g.mu.Unlock()
		return nil, false
	}
	c.add(it)
	if n := len(c.free); n > 0 && it.batch != nil {
		empty, c.free[n-1] = c.free[n-1], nil
		c.free = c.free[:n-1]
	}
	g.mu.Unlock()
	g.waker.Wake()
	return empty, true
}

// receive queues what a connection read. It drops it when the gate is closed and returns an error when the producer sent
// more than was granted.
func (c *channel) receive(it item) error {
	g := c.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return nil
	}
	if !it.urgent && c.full() {
		return fmt.Errorf("frame beyond the %d credits of channel %d: %w", c.credits, c.number, ErrFrame)
	}
	c.add(it)
	g.waker.Wake()
	return nil
}

// credit gives the producer a credit back for a consumed frame, half of them at a time.
func (c *channel) credit() {
	if c.remote == nil {
		return
	}
	c.consumed++
	if c.consumed >= (c.batchful+1)/2 {
		c.remote.grant(c, c.consumed)
		c.consumed = 0
	}
}

// decode reads a frame into the edge's batch. whole is false for a part, which only waits for the rest.
func (c *channel) decode(it item) (whole bool, err error) {
	t := c.spec.Type
	payload := it.frame.b
	c.gate.bytes.Add(int64(len(payload)))
	if it.part || len(c.partial) > 0 {
		if len(c.partial)+len(payload) > maxRecord {
			return false, fmt.Errorf("read a record of edge %d: above %d MiB: %w", c.spec.ID.Edge, maxRecord>>20, ErrFrame)
		}
		c.partial = append(c.partial, payload...)
		it.frame.recycle()
		if it.part {
			return false, nil
		}
		payload, it.frame, c.partial = c.partial, nil, nil
	}
	if c.decoder.batch == nil {
		c.decoder.batch = t.New(0)
	}
	if c.keep != nil {
		c.keep(c.index, it.mark, payload)
	}
	if len(payload) > 0 {
		if err := t.Decode(c.decoder.batch, payload); err != nil {
			return false, fmt.Errorf("decode records of edge %d from subtask %d on %s: %w", c.spec.ID.Edge, c.spec.ID.Producer, c.spec.Peer, err)
		}
	}
	c.decoder.batch.SetMark(it.mark)
	if it.frame != nil && !t.Pins() {
		it.frame.recycle()
	}
	return true, nil
}

// fail reports the loss of the channel's connection, unless the channel had ended before: its end is the last thing that
// was queued, or was taken.
func (c *channel) fail(err error) {
	g := c.gate
	g.mu.Lock()
	complete := c.ended
	for i := range c.items.n {
		if c.items.at(i).event.Kind == operator.EndOfInput {
			complete = true
		}
	}
	g.mu.Unlock()
	if !complete {
		g.fail(err)
	}
}
