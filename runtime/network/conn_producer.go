package network

import (
	"bufio"
	"fmt"
	"io"
	"net"
)

// producerConn was dialled by a consuming host: data goes out on it, openings and credits come in.
type producerConn struct {
	conn
	bind func(id ChannelID, r *receiver) error

	// Guarded by mu.
	queue   []*frame
	queued  int
	waiting []*Producer // for the queue to be written
	senders map[uint32]*sender
}

// sender is the producing end of a channel on a connection. Its fields are guarded by c.mu.
type sender struct {
	c        *producerConn
	number   uint32
	credits  int
	waiting  bool
	producer *Producer // nil while the producing subtask isn't deployed
}

func newProducerConn(peer string, c net.Conn, bind func(ChannelID, *receiver) error) *producerConn {
	p := &producerConn{bind: bind, senders: map[uint32]*sender{}}
	p.init(peer)
	p.net = c
	return p
}

// send queues f once there is a credit for it and room in the queue. f is the connection's from then on.
func (s *sender) send(f *frame) error {
	c := s.c
	for {
		c.mu.Lock()
		if c.err != nil {
			defer c.mu.Unlock()
			return c.lost(c.err)
		}
		p := s.producer
		switch {
		case s.credits == 0:
			s.waiting = true
		case c.queued >= maxQueued:
			c.waiting = append(c.waiting, p)
		default:
			s.credits--
			c.put(f)
			c.mu.Unlock()
			return nil
		}
		c.mu.Unlock()
		if err := p.wait(); err != nil {
			return err
		}
	}
}

// urge queues f, which needs neither a credit nor room in the queue. Nothing but urgent barriers goes this way: a few
// bytes for each checkpoint and channel.
func (s *sender) urge(f *frame) error {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.lost(c.err)
	}
	c.put(f)
	return nil
}

// put queues f for the writer; c.mu is held.
func (c *producerConn) put(f *frame) {
	c.queue = append(c.queue, f)
	c.queued += len(f.b)
	if len(c.queue) == 1 {
		c.changed.Signal()
	}
}

// write is the writer goroutine: it sends all that is queued with one system call where it can.
func (c *producerConn) write() {
	var taken []*frame
	var vectors [][]byte
	var buffers net.Buffers
	for {
		c.mu.Lock()
		for len(c.queue) == 0 && c.err == nil {
			c.changed.Wait()
		}
		if c.err != nil {
			c.mu.Unlock()
			return
		}
		taken, c.queue = c.queue, taken[:0]
		c.queued = 0
		for _, p := range c.waiting {
			p.wake()
		}
		c.waiting = c.waiting[:0]
		c.mu.Unlock()

		vectors = vectors[:0]
		for _, f := range taken {
			vectors = append(vectors, f.b)
		}
		buffers = vectors
		_, err := buffers.WriteTo(c.net)
		for i, f := range taken {
			f.recycle()
			taken[i], vectors[i] = nil, nil
		}
		if err != nil {
			c.fail(err)
			return
		}
	}
}

// read is the reader goroutine.
func (c *producerConn) read() {
	c.fail(c.readAll(c.net))
}

func (c *producerConn) readAll(from io.Reader) error {
	r := bufio.NewReaderSize(from, 4<<10)
	var buf [headerSize + openSize]byte
	for {
		h, err := readHeader(r, buf[:headerSize])
		if err != nil {
			return err
		}
		switch h.kind {
		case frameOpen:
			if _, err := io.ReadFull(r, buf[headerSize:]); err != nil {
				return err
			}
			err = c.open(h.channel, buf[headerSize:])
		case frameCredit:
			err = c.credit(h.channel, int(h.value))
		default:
			err = fmt.Errorf("frame of kind %d from a consumer: %w", h.kind, ErrFrame)
		}
		if err != nil {
			return err
		}
	}
}

func (c *producerConn) open(number uint32, body []byte) error {
	id, credits, err := parseOpen(body)
	if err != nil {
		return err
	}
	s := &sender{c: c, number: number, credits: credits}
	c.mu.Lock()
	if c.senders[number] != nil {
		c.mu.Unlock()
		return fmt.Errorf("channel %d opened twice: %w", number, ErrFrame)
	}
	c.senders[number] = s
	c.mu.Unlock()
	return c.bind(id, &receiver{remote: s})
}

func (c *producerConn) credit(number uint32, n int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.senders[number]
	if s == nil {
		return fmt.Errorf("credits for channel %d, which isn't open: %w", number, ErrFrame)
	}
	if s.credits+n > maxCredits {
		return fmt.Errorf("channel %d has %d credits, %d more are above %d: %w", number, s.credits, n, maxCredits, ErrFrame)
	}
	s.credits += n
	if s.waiting {
		s.waiting = false
		s.producer.wake()
	}
	return nil
}

// fail ends the connection; its senders return the error.
func (c *producerConn) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.end(err) {
		return
	}
	for _, s := range c.senders {
		if s.producer != nil {
			s.producer.wake()
		}
	}
	for _, f := range c.queue {
		f.recycle()
	}
	c.queue, c.waiting = nil, nil
}
