package network

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"

	"github.com/weftstream/weft/operator"
)

// consumerConn is dialled to a producing host: data comes in on it, openings and credits go out.
type consumerConn struct {
	conn
	stop context.CancelFunc // ends the dial

	// Guarded by mu.
	channels map[uint32]*channel
	last     uint32
	control  []byte     // openings to be sent
	granting []*channel // whose granted isn't zero
}

func newConsumerConn(peer string, stop context.CancelFunc) *consumerConn {
	c := &consumerConn{channels: map[uint32]*channel{}, stop: stop}
	c.init(peer)
	return c
}

// attach makes nc the connection, unless that is over already.
func (c *consumerConn) attach(nc net.Conn) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		nc.Close()
		return c.err
	}
	c.net = nc
	return nil
}

// open gives ch a number and has its opening sent.
func (c *consumerConn) open(ch *channel) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.lost(c.err)
	}
	c.last++
	ch.remote, ch.number = c, c.last
	c.channels[ch.number] = ch
	c.control = appendOpen(c.control, ch.number, ch.spec.ID, ch.credits)
	c.changed.Signal()
	return nil
}

// forget drops ch: what still comes for it is read and dropped.
func (c *consumerConn) forget(ch *channel) {
	c.mu.Lock()
	delete(c.channels, ch.number)
	c.mu.Unlock()
}

// grant has n credits for ch sent; those that pile up while the connection is busy become one frame.
func (c *consumerConn) grant(ch *channel, n int) {
	c.mu.Lock()
	if ch.granted == 0 {
		c.granting = append(c.granting, ch)
	}
	ch.granted += n
	c.mu.Unlock()
	c.changed.Signal()
}

// write is the writer goroutine.
func (c *consumerConn) write() {
	var out []byte
	for {
		c.mu.Lock()
		for len(c.control) == 0 && len(c.granting) == 0 && c.err == nil {
			c.changed.Wait()
		}
		if c.err != nil {
			c.mu.Unlock()
			return
		}
		out, c.control = c.control, out[:0]
		for i, ch := range c.granting {
			at := len(out)
			out = append(out, make([]byte, headerSize)...)
			header{channel: ch.number, kind: frameCredit, value: int64(ch.granted)}.put(out[at:])
			ch.granted = 0
			c.granting[i] = nil
		}
		c.granting = c.granting[:0]
		c.mu.Unlock()
		if _, err := c.net.Write(out); err != nil {
			c.fail(err)
			return
		}
	}
}

// read is the reader goroutine.
func (c *consumerConn) read() {
	c.fail(c.readAll(c.net))
}

func (c *consumerConn) readAll(from io.Reader) error {
	r := bufio.NewReaderSize(from, readBuffer)
	var buf [headerSize]byte
	for {
		h, err := readHeader(r, buf[:])
		if err != nil {
			return err
		}
		c.mu.Lock()
		ch, known := c.channels[h.channel], h.channel <= c.last
		c.mu.Unlock()
		if ch == nil {
			// A channel that was given up may still get what had been granted.
			if !known {
				return fmt.Errorf("frame for channel %d, which isn't open: %w", h.channel, ErrFrame)
			}
			if _, err := r.Discard(h.length); err != nil {
				return err
			}
			continue
		}
		it := item{mark: operator.NoWatermark}
		switch h.kind {
		case frameData, framePart:
			it.part = h.kind == framePart
			if !it.part {
				it.mark = h.value
			}
			if it.frame, err = readPayload(r, h.length, ch.spec.Type.Pins()); err != nil {
				return err
			}
		case frameEnd:
			it.event.Kind = operator.EndOfInput
		case frameBarrier, frameUrgent:
			it.event.Kind, it.event.ID = operator.Barrier, h.value
			it.urgent = h.kind == frameUrgent
		default:
			return fmt.Errorf("frame of kind %d from a producer: %w", h.kind, ErrFrame)
		}
		if err := ch.receive(it); err != nil {
			return err
		}
	}
}

// fail ends the connection and with it every gate that still waits for something from it.
func (c *consumerConn) fail(err error) {
	c.mu.Lock()
	first := c.end(err)
	channels := c.channels
	if first {
		c.channels = map[uint32]*channel{}
	}
	c.mu.Unlock()
	if !first {
		return
	}
	c.stop()
	for _, ch := range channels {
		ch.fail(c.lost(err))
	}
}
