package network_test

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"

	"github.com/weftstream/weft/operator"
	. "github.com/weftstream/weft/runtime/network"
	"github.com/weftstream/weft/runtime/network/networktest"
)

var (
	quiet = slog.New(slog.NewTextHandler(io.Discard, nil))
	key   = []byte("0123456789abcdef0123456789abcdef")
	job   = [16]byte{1, 2, 3}
)

// node is an exchange with a data port on loopback.
type node struct {
	*Exchange
	address string
	mu      sync.Mutex
	conns   []net.Conn
}

func newNode(t testing.TB, resource string, change func(*Config)) *node {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveNode(t, resource, l, change)
}

func serveNode(t testing.TB, resource string, l net.Listener, change func(*Config)) *node {
	t.Helper()
	cfg := Config{Job: job, Resource: resource, Key: key, Log: quiet}
	if change != nil {
		change(&cfg)
	}
	x, err := NewExchange(cfg)
	if err != nil {
		t.Fatal(err)
	}
	n := &node{Exchange: x, address: l.Addr().String()}
	var acceptor sync.WaitGroup
	acceptor.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p, err := ReadPreamble(c)
			if err != nil {
				c.Close()
				continue
			}
			n.mu.Lock()
			n.conns = append(n.conns, c)
			n.mu.Unlock()
			x.Accept(c, p)
		}
	})
	t.Cleanup(func() {
		l.Close()
		acceptor.Wait()
		x.Close()
	})
	return n
}

// cut closes the accepted connections under the exchange.
func (n *node) cut() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range n.conns {
		c.Close()
	}
}

// producer makes an output of n on channel producer -> consumer, with a way to cancel it.
func (n *node) producer(t testing.TB, producer, consumer int, typ operator.Type) (*Output, *Producer, func()) {
	t.Helper()
	done := make(chan struct{})
	p := NewProducer(done)
	o, err := n.Output(p, ChannelID{Producer: producer, Consumer: consumer}, typ, 8)
	if err != nil {
		t.Fatal(err)
	}
	return o, p, sync.OnceFunc(func() { close(done) })
}

// gate opens channels from the given producers, all on peer.
func (n *node) gate(t testing.TB, peer string, address string, typ operator.Type, producers ...int) (*Gate, *Waker) {
	t.Helper()
	w := NewWaker()
	var specs []ChannelSpec
	for _, p := range producers {
		specs = append(specs, ChannelSpec{ID: ChannelID{Producer: p}, Type: typ, Peer: peer, Address: address})
	}
	g, err := n.Gate(w, specs)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.ReleaseGate(g) })
	return g, w
}

// next waits for the gate's next element.
func next(g *Gate, w *Waker) (Element, error) {
	for {
		e, ok, err := g.Next()
		if ok || err != nil {
			return e, err
		}
		w.Prepare()
		if g.Ready() {
			w.Abandon()
			continue
		}
		<-w.C()
	}
}

func batch(from, n int) *networktest.Vec {
	v := operator.NewVec[networktest.Record](n)
	for i := range n {
		v.V = append(v.V, networktest.Record{Key: fmt.Sprint("key ", from+i), N: int64(from + i)})
	}
	return v
}
