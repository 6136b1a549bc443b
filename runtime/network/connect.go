package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// consumer returns the connection to peer and dials it when there is none.
func (x *Exchange) consumer(peer, address string) (*consumerConn, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.closed {
		return nil, ErrClosed
	}
	if c := x.consumers[peer]; c != nil {
		return c, nil
	}
	ctx, stop := context.WithTimeout(context.Background(), x.cfg.DialTimeout)
	c := newConsumerConn(peer, stop)
	x.consumers[peer] = c
	x.group.Go(func() { x.dial(ctx, c, address) })
	return c, nil
}

// dial makes the connection c and reads it until it ends.
func (x *Exchange) dial(ctx context.Context, c *consumerConn, address string) {
	defer c.stop()
	defer func() {
		x.mu.Lock()
		defer x.mu.Unlock()
		if x.consumers[c.peer] == c {
			delete(x.consumers, c.peer)
		}
	}()
	if err := x.reach(ctx, c, address); err != nil {
		c.fail(err)
		return
	}
	x.cfg.Log.Debug("connected to task host", "peer", c.peer, "address", address)
	var writer sync.WaitGroup
	writer.Go(c.write)
	c.read()
	writer.Wait()
}

// reach dials and shakes hands, again and again until ctx ends, as the other host may still be starting.
func (x *Exchange) reach(ctx context.Context, c *consumerConn, address string) error {
	pause := time.NewTimer(0)
	defer pause.Stop()
	var last error
	for {
		select {
		case <-ctx.Done():
			if last == nil {
				last = ctx.Err()
			}
			return fmt.Errorf("dial %s for %s: %w", address, x.cfg.DialTimeout, last)
		case <-pause.C:
		}
		last = x.try(ctx, c, address)
		if last == nil || errors.Is(last, ErrHandshake) || errors.Is(last, ErrPreamble) {
			return last
		}
		pause.Reset(dialRetry)
	}
}

func (x *Exchange) try(ctx context.Context, c *consumerConn, address string) error {
	nc, err := x.cfg.Dial(ctx, address)
	if err != nil {
		return err
	}
	nc.SetWriteDeadline(time.Now().Add(handshakeTimeout))
	if err := WritePreamble(nc, x.self); err != nil {
		nc.Close()
		return err
	}
	nc = x.secured(nc, false)
	// Attached before it is proved, so that a Close ends the handshake.
	if err := c.attach(nc); err != nil {
		return err
	}
	if err := dialHandshake(nc, x.self, c.peer, x.cfg.Key); err != nil {
		nc.Close()
		return err
	}
	if x.cfg.Compress {
		return c.attach(newDecompressing(nc))
	}
	return nil
}

// Accept takes over a connection whose preamble p has been read: it shakes hands and serves it in the background. The
// connection is closed when the other side can't prove the job key, or too many are trying to at once.
func (x *Exchange) Accept(c net.Conn, p Preamble) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.closed || len(x.greeting) >= maxHandshakes {
		c.Close()
		return
	}
	x.greeting[c] = struct{}{}
	x.group.Go(func() { x.serve(c, p) })
}

func (x *Exchange) serve(raw net.Conn, p Preamble) {
	c := x.secured(raw, true)
	err := acceptHandshake(c, p, x.self, x.cfg.Key)
	if x.cfg.Compress {
		c = newCompressing(c)
	}
	x.mu.Lock()
	delete(x.greeting, raw)
	closed := x.closed
	pc := newProducerConn(p.Resource, c, x.bind)
	if err == nil && !closed {
		x.producers[pc] = struct{}{}
	}
	x.mu.Unlock()
	if err != nil || closed {
		c.Close()
		if !closed {
			x.cfg.Log.Warn("data connection refused", "peer", p.Resource, "address", c.RemoteAddr().String(), "error", err)
		}
		return
	}
	var writer sync.WaitGroup
	writer.Go(pc.write)
	pc.read()
	writer.Wait()
	x.mu.Lock()
	delete(x.producers, pc)
	for id, r := range x.pending {
		if r.remote != nil && r.remote.c == pc {
			delete(x.pending, id)
		}
	}
	x.mu.Unlock()
}

// Close ends all connections and waits for their goroutines. Gates and outputs that are still in use fail with ErrClosed;
// subtasks should have ended before.
func (x *Exchange) Close() {
	x.mu.Lock()
	x.closed = true
	var ends []func(error)
	for _, c := range x.consumers {
		ends = append(ends, c.fail)
	}
	for c := range x.producers {
		ends = append(ends, c.fail)
	}
	for c := range x.greeting {
		c.Close()
	}
	x.outputs, x.pending = map[ChannelID]*Output{}, map[ChannelID]*receiver{}
	x.mu.Unlock()
	for _, end := range ends {
		end(ErrClosed)
	}
	x.group.Wait()
}
