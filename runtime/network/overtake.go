package network

import (
	"github.com/weftstream/weft/operator"
)

// maxUrgent bounds the urgent barriers in one channel; the oldest makes room for one more. Its checkpoint doesn't complete
// then, which the newer barrier tells.
const maxUrgent = 64

// Keep gets a copy of a run of records that a barrier has overtaken on a channel, and the watermark after them: records
// is what Type.Encode wrote, empty for a watermark alone. It is valid during the call.
type Keep func(channel int, mark int64, records []byte)

// announcement says that an urgent barrier, or the end of an overtaken channel, is in a channel's queue.
type announcement struct {
	channel int
	event   operator.Event
}

// Announced takes the oldest announcement: of an urgent barrier, or of the end of a channel that Overtake waits for. The
// event itself is delivered in its place. Like Next it is called by the subtask's goroutine.
func (g *Gate) Announced() (channel int, e operator.Event, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.urgent.n == 0 {
		return 0, operator.Event{}, false
	}
	a := g.urgent.pop()
	return a.channel, a.event, true
}

// Announcing says whether Announced would return something.
func (g *Gate) Announcing() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.urgent.n > 0
}

// Overtake hands keep what is queued on a channel in front of the barrier of checkpoint id or of the channel's end; the
// records are delivered nevertheless. Complete says that one of these is in the queue, or that the channel has ended.
// Else nothing is handed over yet: keep then gets what the channel delivers, until Overtake is called again or Forget.
// Like Next it is called by the subtask's goroutine.
func (g *Gate) Overtake(index int, id int64, keep Keep) (complete bool) {
	c := g.channels[index]
	before, complete := c.before(id)
	if !complete {
		c.keep = keep
		return false
	}
	c.keep = nil
	partial := append([]byte(nil), c.partial...)
	for _, it := range before {
		switch {
		case it.batch != nil:
			c.keepBatch(it.batch, keep)
		case it.part:
			partial = append(partial, it.frame.b...)
		case len(partial) > 0:
			keep(index, it.mark, append(partial, it.frame.b...))
			partial = nil
		default:
			keep(index, it.mark, it.frame.b)
		}
	}
	return true
}

// before lists what is queued in front of a barrier or the end. Only the caller takes from the queue, so that the items
// can be read without the lock.
func (c *channel) before(id int64) (items []item, found bool) {
	c.gate.mu.Lock()
	defer c.gate.mu.Unlock()
	c.tell = false
	if c.ended {
		return nil, true
	}
	for i := range c.items.n {
		switch it := c.items.at(i); {
		case it.event.Kind == operator.EndOfInput, it.event.Kind == operator.Barrier && it.event.ID == id:
			return items, true
		case it.event.Kind != operator.Barrier:
			items = append(items, it)
		}
	}
	c.tell = true
	return nil, false
}

// Forget ends what Overtake began on a channel.
func (g *Gate) Forget(index int) {
	c := g.channels[index]
	c.keep = nil
	g.mu.Lock()
	c.tell = false
	g.mu.Unlock()
}

func (c *channel) keepBatch(b operator.Batch, keep Keep) {
	var records []byte
	if n := b.Len(); n > 0 {
		records = c.spec.Type.Encode(nil, b, 0, n)
	}
	keep(c.index, b.Mark(), records)
}

// full says that nothing more is taken, except what is urgent; gate.mu is held.
func (c *channel) full() bool { return c.items.n-c.urgent >= c.credits }

// add queues an item and announces it where that is due; gate.mu is held.
func (c *channel) add(it item) {
	g := c.gate
	if it.urgent {
		if c.urgent == maxUrgent {
			c.dropUrgent()
		}
		c.urgent++
		g.urgent.push(announcement{c.index, it.event})
	} else if c.tell && it.event.Kind == operator.EndOfInput {
		g.urgent.push(announcement{c.index, it.event})
	}
	c.items.push(it)
	c.list()
}

// dropUrgent takes the oldest urgent barrier out of the queue, and its announcement; gate.mu is held.
func (c *channel) dropUrgent() {
	var dropped operator.Event
	for range c.items.n {
		if it := c.items.pop(); it.urgent && dropped.Kind == 0 {
			dropped = it.event
		} else {
			c.items.push(it)
		}
	}
	c.urgent--
	c.gate.urgent.remove(announcement{c.index, dropped})
}
