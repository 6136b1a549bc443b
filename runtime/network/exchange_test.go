package network_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/weftstream/weft/internal/testkit"
	"github.com/weftstream/weft/operator"
	. "github.com/weftstream/weft/runtime/network"
	"github.com/weftstream/weft/runtime/network/networktest"
)

// both runs f in a host and between two hosts, with and without pinned frames, encryption and compression.
func both(t *testing.T, f func(t *testing.T, from, to *node, typ operator.Type)) {
	t.Run("local", func(t *testing.T) {
		testkit.NoLeak(t)
		a := newNode(t, "a", nil)
		f(t, a, a, networktest.Type{})
	})
	for _, alias := range []bool{false, true} {
		t.Run(fmt.Sprintf("remote, pinned=%v", alias), func(t *testing.T) {
			testkit.NoLeak(t)
			f(t, newNode(t, "a", nil), newNode(t, "b", nil), networktest.Type{Alias: alias})
		})
	}
	t.Run("remote, encrypted and compressed", func(t *testing.T) {
		testkit.NoLeak(t)
		change := func(c *Config) { c.Encrypt, c.Compress = true, true }
		f(t, newNode(t, "a", change), newNode(t, "b", change), networktest.Type{})
	})
}

func TestChannelKeepsOrderRecordsMarksAndEvents(t *testing.T) {
	both(t, func(t *testing.T, from, to *node, typ operator.Type) {
		rng := rand.New(rand.NewPCG(1, 2))
		var want []string
		o, _, cancel := from.producer(t, 0, 0, typ)
		defer cancel()
		big := strings.Repeat("x", 3*MaxFrame+5)
		var sender sync.WaitGroup
		type step struct {
			sizes []int
			mark  int64
			event operator.Event
		}
		var steps []step
		for i := range 300 {
			s := step{mark: operator.NoWatermark}
			switch i % 7 {
			case 3:
				s.event = operator.Event{Kind: operator.Barrier, ID: int64(i)}
			case 5:
				s.mark = int64(i) // without records
			default:
				for range rng.IntN(40) {
					s.sizes = append(s.sizes, rng.IntN(30))
				}
				if i%50 == 1 {
					s.sizes = append(s.sizes, len(big), 1, len(big)-1, 0, 2*MaxFrame, MaxFrame)
				}
				if i%2 == 0 {
					s.mark = int64(i)
				}
			}
			steps = append(steps, s)
			for _, n := range s.sizes {
				want = append(want, fmt.Sprint("record ", n))
			}
			if s.mark != operator.NoWatermark {
				want = append(want, fmt.Sprint("mark ", s.mark))
			}
			if s.event.Kind != 0 {
				want = append(want, fmt.Sprint("event ", s.event))
			}
		}
		want = append(want, fmt.Sprint("event ", operator.Event{Kind: operator.EndOfInput}))
		sender.Go(func() {
			var b operator.Batch = operator.NewVec[networktest.Record](8)
			for _, s := range steps {
				var err error
				if s.event.Kind != 0 {
					err = o.Event(s.event)
				} else if len(s.sizes) > 0 || s.mark != operator.NoWatermark {
					v := b.(*networktest.Vec)
					for i, n := range s.sizes {
						v.V = append(v.V, networktest.Record{Key: big[:n], N: int64(n)})
						v.TS, v.H = append(v.TS, int64(i)), append(v.H, uint32(n))
					}
					v.WM = s.mark
					b, err = o.Send(v)
				}
				if err != nil {
					t.Error(err)
					return
				}
				if b.Len() != 0 || b.Mark() != operator.NoWatermark {
					t.Errorf("the batch that came back has %d records and mark %d", b.Len(), b.Mark())
				}
			}
			if err := o.Event(operator.Event{Kind: operator.EndOfInput}); err != nil {
				t.Error(err)
			}
		})
		g, w := to.gate(t, "a", from.address, typ, 0)
		var got []string
		for {
			e, err := next(g, w)
			if err != nil {
				t.Fatal(err)
			}
			if e.Batch == nil {
				got = append(got, fmt.Sprint("event ", e.Event))
				if e.Event.Kind == operator.EndOfInput {
					break
				}
				continue
			}
			v := e.Batch.(*networktest.Vec)
			for i, r := range v.V {
				if len(r.Key) != int(r.N) || len(v.TS) != v.Len() || v.H[i] != uint32(r.N) {
					t.Fatalf("record %d of %d: key of %d bytes, N %d", i, v.Len(), len(r.Key), r.N)
				}
				got = append(got, fmt.Sprint("record ", r.N))
			}
			if v.WM != operator.NoWatermark {
				got = append(got, fmt.Sprint("mark ", v.WM))
			}
		}
		sender.Wait()
		if !slices.Equal(got, want) {
			t.Errorf("got %d elements, want %d; or another order", len(got), len(want))
		}
	})
}

func TestAliasedRecordsOutliveTheirFrame(t *testing.T) {
	testkit.NoLeak(t)
	from, to := newNode(t, "a", nil), newNode(t, "b", nil)
	typ := networktest.Type{Alias: true}
	o, _, cancel := from.producer(t, 0, 0, typ)
	defer cancel()
	g, w := to.gate(t, "a", from.address, typ, 0)
	var kept []networktest.Record
	for i := range 100 {
		if _, err := o.Send(batch(i, 1)); err != nil {
			t.Fatal(err)
		}
		e, err := next(g, w)
		if err != nil {
			t.Fatal(err)
		}
		kept = append(kept, e.Batch.(*networktest.Vec).V...)
	}
	for i, r := range kept {
		if r.Key != fmt.Sprint("key ", i) {
			t.Fatalf("record %d became %q", i, r.Key)
		}
	}
}

// channelRoom is what a channel of a gate with few channels holds.
const channelRoom = 16

// fill sends records of that size, a batch each, until the output blocks with want batches sent, and then cancels it.
func fill(t *testing.T, o *Output, p *Producer, cancel func(), size, want int) {
	t.Helper()
	var sent atomic.Int64
	ended := make(chan error)
	go func() {
		for {
			v := operator.NewVec[networktest.Record](1)
			v.V = append(v.V, networktest.Record{Key: strings.Repeat("x", size)})
			if _, err := o.Send(v); err != nil {
				ended <- err
				return
			}
			sent.Add(1)
		}
	}()
	testkit.Eventually(t, "the producer is blocked", func() bool { return int(sent.Load()) >= want && p.Backpressured.Running() })
	cancel()
	if err := <-ended; !errors.Is(err, operator.ErrCancelled) {
		t.Errorf("blocked in Send, then cancelled: %v", err)
	}
	if n := int(sent.Load()); n != want {
		t.Errorf("%d batches were taken, want %d", n, want)
	}
}

func TestSlowConsumerBoundsMemoryAndCancelEndsTheWait(t *testing.T) {
	both(t, func(t *testing.T, from, to *node, typ operator.Type) {
		o, p, cancel := from.producer(t, 0, 0, typ)
		g, w := to.gate(t, "a", from.address, typ, 0)
		// The consumer takes nothing: what is sent is what the channel may hold.
		fill(t, o, p, cancel, 20<<10, channelRoom)
		if b := p.BytesWritten(); b > 17*MaxFrame {
			t.Errorf("%d bytes under way", b)
		}
		for range channelRoom {
			if _, err := next(g, w); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestOneRecordAboveAllCreditsArrives(t *testing.T) {
	both(t, func(t *testing.T, from, to *node, typ operator.Type) {
		o, _, cancel := from.producer(t, 0, 0, typ)
		defer cancel()
		g, w := to.gate(t, "a", from.address, typ, 0)
		key := strings.Repeat("y", 40*MaxFrame)
		var sender sync.WaitGroup
		sender.Go(func() {
			v := operator.NewVec[networktest.Record](1)
			v.V = append(v.V, networktest.Record{Key: key, N: 7})
			if _, err := o.Send(v); err != nil {
				t.Error(err)
			}
		})
		e, err := next(g, w)
		if err != nil {
			t.Fatal(err)
		}
		if v := e.Batch.(*networktest.Vec); v.Len() != 1 || v.V[0].Key != key {
			t.Error("the record changed")
		}
		sender.Wait()
	})
}

func TestNoChannelWaitsBehindAnother(t *testing.T) {
	both(t, func(t *testing.T, from, to *node, typ operator.Type) {
		busy, p, cancel := from.producer(t, 0, 0, typ)
		quiet, _, stop := from.producer(t, 1, 0, typ)
		defer stop()
		g, w := to.gate(t, "a", from.address, typ, 0, 1)
		fill(t, busy, p, cancel, 10, channelRoom)
		if _, err := quiet.Send(batch(0, 1)); err != nil {
			t.Fatal(err)
		}
		// Until the quiet channel's batch has arrived, the busy one may be served; then it is its turn.
		order := []int{}
		for range channelRoom + 1 {
			e, err := next(g, w)
			if err != nil {
				t.Fatal(err)
			}
			order = append(order, e.Channel)
			if e.Channel == 0 && from == to && len(order) > 2 && !slices.Contains(order, 1) {
				t.Fatalf("order %v: the quiet channel waits", order)
			}
		}
		if !slices.Contains(order, 1) {
			t.Errorf("order %v", order)
		}
	})
}

func TestFullChannelsTakeTurns(t *testing.T) {
	testkit.NoLeak(t)
	a := newNode(t, "a", nil)
	typ := networktest.Type{}
	g, w := a.gate(t, "a", "", typ, 0, 1, 2)
	for i := range 3 {
		o, _, cancel := a.producer(t, i, 0, typ)
		defer cancel()
		for range 5 {
			if _, err := o.Send(batch(0, 1)); err != nil {
				t.Fatal(err)
			}
		}
	}
	var order []int
	for range 15 {
		e, err := next(g, w)
		if err != nil {
			t.Fatal(err)
		}
		order = append(order, e.Channel)
	}
	if want := []int{0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2}; !slices.Equal(order, want) {
		t.Errorf("order %v", order)
	}
}

func TestBlockedChannelKeepsItsElements(t *testing.T) {
	testkit.NoLeak(t)
	a := newNode(t, "a", nil)
	typ := networktest.Type{}
	g, w := a.gate(t, "a", "", typ, 0, 1)
	send := func(o *Output) {
		t.Helper()
		if _, err := o.Send(batch(0, 1)); err != nil {
			t.Fatal(err)
		}
	}
	o, _, cancel := a.producer(t, 0, 0, typ)
	defer cancel()
	p, _, stop := a.producer(t, 1, 0, typ)
	defer stop()
	send(o)
	g.Block(0)
	send(o)
	if g.Ready() {
		t.Error("a blocked channel is ready")
	}
	send(p)
	if e, err := next(g, w); err != nil || e.Channel != 1 {
		t.Fatalf("got %v, %v", e, err)
	}
	if _, ok, err := g.Next(); ok || err != nil {
		t.Fatalf("a blocked channel was served: %v", err)
	}
	g.Unblock(0)
	for range 2 {
		if e, err := next(g, w); err != nil || e.Channel != 0 {
			t.Fatalf("got %v, %v", e, err)
		}
	}
}

func TestLocalBatchesAreReused(t *testing.T) {
	testkit.NoLeak(t)
	a := newNode(t, "a", nil)
	typ := networktest.Type{}
	o, _, cancel := a.producer(t, 0, 0, typ)
	defer cancel()
	g, w := a.gate(t, "a", "", typ, 0)
	seen := map[operator.Batch]bool{}
	var b operator.Batch = operator.NewVec[networktest.Record](8)
	for range 1000 {
		b.(*networktest.Vec).V = append(b.(*networktest.Vec).V, networktest.Record{Key: "k"})
		var err error
		if b, err = o.Send(b); err != nil {
			t.Fatal(err)
		}
		seen[b] = true
		if _, err := next(g, w); err != nil {
			t.Fatal(err)
		}
	}
	if len(seen) > 4 {
		t.Errorf("%d batches were made for one under way", len(seen))
	}
}

func TestCutConnectionNamesThePeerOnBothSides(t *testing.T) {
	testkit.NoLeak(t)
	from, to := newNode(t, "a", nil), newNode(t, "b", nil)
	typ := networktest.Type{}
	o, p, cancel := from.producer(t, 0, 0, typ)
	defer cancel()
	ended, _, cancel2 := from.producer(t, 1, 0, typ)
	defer cancel2()
	g, w := to.gate(t, "a", from.address, typ, 0)
	complete, w2 := to.gate(t, "a", from.address, typ, 1)
	if err := ended.Event(operator.Event{Kind: operator.EndOfInput}); err != nil {
		t.Fatal(err)
	}
	if _, err := next(complete, w2); err != nil {
		t.Fatal(err)
	}
	failed := make(chan error)
	go func() {
		for {
			if _, err := o.Send(batch(0, 1)); err != nil {
				failed <- err
				return
			}
		}
	}()
	testkit.Eventually(t, "the producer is blocked", p.Backpressured.Running)
	from.cut()
	var lost *PeerLostError
	if err := <-failed; !errors.As(err, &lost) || lost.Peer != "b" {
		t.Errorf("producer: %v", err)
	}
	for {
		_, err := next(g, w)
		if err == nil {
			continue // had arrived
		}
		if !errors.As(err, &lost) || lost.Peer != "a" {
			t.Errorf("consumer: %v", err)
		}
		break
	}
	if _, ok, err := complete.Next(); ok || err != nil {
		t.Errorf("the gate whose channels had ended: %v", err)
	}
}

func TestUnreachableHostIsALostPeer(t *testing.T) {
	testkit.NoLeak(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	to := newNode(t, "b", func(c *Config) { c.DialTimeout = 1 })
	g, w := to.gate(t, "a", l.Addr().String(), networktest.Type{}, 0)
	var lost *PeerLostError
	if _, err := next(g, w); !errors.As(err, &lost) || lost.Peer != "a" {
		t.Errorf("got %v", err)
	}
}

func TestDialIsTriedAgainUntilTheHostIsUp(t *testing.T) {
	testkit.NoLeak(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	dialled := make(chan struct{}, 100)
	// The first connection is closed as a TaskManager does that has no host of this job.
	go func() {
		c, err := l.Accept()
		if err == nil {
			c.Close()
		}
		l.Close()
		dialled <- struct{}{}
	}()
	to := newNode(t, "b", nil)
	g, w := to.gate(t, "a", address, networktest.Type{}, 0)
	<-dialled
	l2, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	from := serveNode(t, "a", l2, nil)
	o, _, cancel := from.producer(t, 0, 0, networktest.Type{})
	defer cancel()
	if _, err := o.Send(batch(3, 1)); err != nil {
		t.Fatal(err)
	}
	if e, err := next(g, w); err != nil || e.Batch.(*networktest.Vec).V[0].N != 3 {
		t.Errorf("got %v, %v", e, err)
	}
}

// TestWhatGoesOverTheWire: encryption hides the records, compression makes repetitive ones small, and both change nothing
// else.
func TestWhatGoesOverTheWire(t *testing.T) {
	const records, size = 200, 1000
	secret := strings.Repeat("secret", size/6)
	for _, c := range []struct{ encrypt, compress bool }{{}, {true, false}, {false, true}, {true, true}} {
		t.Run(fmt.Sprintf("encrypt %v compress %v", c.encrypt, c.compress), func(t *testing.T) {
			testkit.NoLeak(t)
			wire := &recorder{}
			change := func(cfg *Config) {
				cfg.Encrypt, cfg.Compress = c.encrypt, c.compress
				cfg.Dial = func(ctx context.Context, address string) (net.Conn, error) {
					nc, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
					return &recorded{nc, wire}, err
				}
			}
			from, to := newNode(t, "a", change), newNode(t, "b", change)
			o, _, cancel := from.producer(t, 0, 0, networktest.Type{})
			defer cancel()
			var sender sync.WaitGroup
			sender.Go(func() {
				var b operator.Batch = operator.NewVec[networktest.Record](8)
				for i := range records {
					v := b.(*networktest.Vec)
					v.V = append(v.V, networktest.Record{Key: secret, N: int64(i)})
					var err error
					if b, err = o.Send(v); err != nil {
						t.Error(err)
						return
					}
				}
				if err := o.Event(operator.Event{Kind: operator.EndOfInput}); err != nil {
					t.Error(err)
				}
			})
			g, w := to.gate(t, "a", from.address, networktest.Type{}, 0)
			for i := 0; ; i++ {
				e, err := next(g, w)
				if err != nil {
					t.Fatal(err)
				}
				if e.Batch == nil {
					if i != records {
						t.Errorf("%d records", i)
					}
					break
				}
				if r := e.Batch.(*networktest.Vec).V[0]; r.N != int64(i) || r.Key != secret {
					t.Fatalf("record %d has number %d and %d bytes", i, r.N, len(r.Key))
				}
			}
			sender.Wait()
			seen := wire.bytes()
			if bytes.Contains(seen, []byte("secret")) != (!c.encrypt) {
				t.Errorf("%d bytes on the wire: the records can be read: %v", len(seen), c.encrypt)
			}
			if small := len(seen) < records*size/4; small != c.compress {
				t.Errorf("%d bytes on the wire for %d", len(seen), records*size)
			}
		})
	}
}

// recorder keeps what is read from connections.
type recorder struct {
	mu   sync.Mutex
	read []byte
}

func (r *recorder) bytes() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.read
}

type recorded struct {
	net.Conn
	to *recorder
}

func (c *recorded) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.to.mu.Lock()
	defer c.to.mu.Unlock()
	c.to.read = append(c.to.read, b[:n]...)
	return n, err
}

func TestHandshakeRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		peer         string
		both, change func(*Config)
	}{
		"another key":              {"a", nil, func(c *Config) { c.Key = bytes.Repeat([]byte("k"), 32) }},
		"another key of a secured": {"a", func(c *Config) { c.Encrypt = true }, func(c *Config) { c.Encrypt, c.Key = true, bytes.Repeat([]byte("k"), 32) }},
		"another host":             {"c", nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			testkit.NoLeak(t)
			from, to := newNode(t, "a", c.both), newNode(t, "b", c.change)
			w := NewWaker()
			g, err := to.Gate(w, []ChannelSpec{{Type: networktest.Type{}, Peer: c.peer, Address: from.address}})
			if err == nil { // it may be known at once
				_, err = next(g, w)
				to.ReleaseGate(g)
			}
			if !errors.Is(err, ErrHandshake) {
				t.Errorf("got %v", err)
			}
			// The producer never learns of the channel.
			o, p, cancel := from.producer(t, 0, 0, networktest.Type{})
			fill(t, o, p, cancel, 1, 0)
		})
	}
}

func TestAcceptorRefusesAnotherJob(t *testing.T) {
	testkit.NoLeak(t)
	a := newNode(t, "a", nil)
	c, err := net.Dial("tcp", a.address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := WritePreamble(c, Preamble{Job: [16]byte{9}, Resource: "b"}); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Error("a challenge came for a job that isn't here")
	}
}

func TestReleasedGateDropsWhatStillComes(t *testing.T) {
	testkit.NoLeak(t)
	from, to := newNode(t, "a", nil), newNode(t, "b", nil)
	typ := networktest.Type{}
	o, p, cancel := from.producer(t, 0, 0, typ)
	gone, _ := to.gate(t, "a", from.address, typ, 0)
	other, _, stop := from.producer(t, 1, 0, typ)
	defer stop()
	g, w := to.gate(t, "a", from.address, typ, 1)
	if _, err := other.Send(batch(0, 1)); err != nil { // the channels are open
		t.Fatal(err)
	}
	to.ReleaseGate(gone)
	fill(t, o, p, cancel, 100, channelRoom)
	if _, err := other.Send(batch(1, 1)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := next(g, w); err != nil {
			t.Errorf("the other channel of the connection: %v", err)
		}
	}
}

func TestCloseEndsWhoWaits(t *testing.T) {
	both(t, func(t *testing.T, from, to *node, typ operator.Type) {
		g, w := to.gate(t, "a", from.address, typ, 0)
		o, p, cancel := from.producer(t, 0, 0, typ)
		fill(t, o, p, cancel, 10, channelRoom)
		for range channelRoom {
			if _, err := next(g, w); err != nil {
				t.Fatal(err)
			}
		}
		from.Close()
		to.Close()
		if from != to {
			if _, err := next(g, w); err == nil {
				t.Error("the gate of a closed exchange delivers")
			}
		}
		if _, err := to.Gate(NewWaker(), []ChannelSpec{{ID: ChannelID{Producer: 5}, Type: typ, Peer: "a"}}); !errors.Is(err, ErrClosed) {
			t.Errorf("gate of a closed exchange: %v", err)
		}
		if _, err := from.Output(p, ChannelID{Producer: 5}, typ, 1); !errors.Is(err, ErrClosed) {
			t.Errorf("output of a closed exchange: %v", err)
		}
	})
}

func TestExchangeRefusesDoublesAndBadNames(t *testing.T) {
	testkit.NoLeak(t)
	a := newNode(t, "a", nil)
	_, p, cancel := a.producer(t, 0, 0, networktest.Type{})
	defer cancel()
	if _, err := a.Output(p, ChannelID{}, networktest.Type{}, 1); err == nil {
		t.Error("the same output was made twice")
	}
	if _, err := NewExchange(Config{Resource: strings.Repeat("x", MaxResourceID+1)}); err == nil {
		t.Error("a resource id that doesn't fit was taken")
	}
}
