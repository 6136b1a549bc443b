package network_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/weftstream/weft/operator"
	. "github.com/weftstream/weft/runtime/network"
	"github.com/weftstream/weft/runtime/network/networktest"
)

// TestUrgentBarrierNeedsNoRoom: it arrives on a channel that takes nothing more, is announced at once, keeps its place,
// and what is in front of it is handed out whole and still delivered.
func TestUrgentBarrierNeedsNoRoom(t *testing.T) {
	both(t, func(t *testing.T, from, to *node, typ operator.Type) {
		seed := rand.Uint64()
		t.Log("seed", seed)
		rnd := rand.New(rand.NewPCG(seed, 1))
		o, p, cancel := from.producer(t, 0, 0, typ)
		defer cancel()
		p.Reserve = 8
		notified := make(chan struct{}, 1)
		p.Notify = func() {
			select {
			case notified <- struct{}{}:
			default:
			}
		}
		w := NewWaker()
		g, err := to.Gate(w, []ChannelSpec{{Type: typ, Peer: "a", Address: from.address, Reserve: 8}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { to.ReleaseGate(g) })
		want := 0
		for p.Ready() {
			n := 1 + rnd.IntN(4)
			if _, err := o.Send(batch(want, n)); err != nil {
				t.Fatal(err)
			}
			want += n
		}
		// The reserve takes what was begun: a record of several frames, among others.
		big := batch(want, 1)
		big.V[0].Key = string(make([]byte, 3*MaxFrame))
		if _, err := o.Send(big); err != nil {
			t.Fatal(err)
		}
		want++
		if err := o.Event(operator.Event{Kind: operator.Barrier, ID: 7, Urgent: true}); err != nil {
			t.Fatal(err)
		}
		for {
			if _, e, ok := g.Announced(); ok {
				if e.Kind != operator.Barrier || e.ID != 7 {
					t.Fatalf("announced %v", e)
				}
				break
			}
			w.Prepare()
			if g.Announcing() {
				w.Abandon()
				continue
			}
			<-w.C()
		}
		var kept []networktest.Record
		keep := func(_ int, mark int64, records []byte) {
			v := operator.NewVec[networktest.Record](0)
			if err := (networktest.Type{}).Decode(v, records); err != nil {
				t.Fatal(err)
			}
			kept = append(kept, v.V...)
		}
		if !g.Overtake(0, 7, keep) {
			t.Fatal("the barrier that was announced isn't in the queue")
		}
		if p.Ready() {
			t.Error("there is room while nothing was taken")
		}
		seen := 0
		for seen <= want {
			e, err := next(g, w)
			if err != nil {
				t.Fatal(err)
			}
			if e.Batch == nil {
				break
			}
			for _, r := range e.Batch.(*networktest.Vec).V {
				if seen >= len(kept) || kept[seen].N != r.N || kept[seen].Key != r.Key {
					t.Fatalf("record %d is delivered, and not what was overtaken", r.N)
				}
				seen++
			}
		}
		if seen != want || len(kept) != want {
			t.Errorf("in front of the barrier %d records were delivered and %d overtaken, want %d", seen, len(kept), want)
		}
		for deadline := time.After(30 * time.Second); !p.Ready(); {
			select {
			case <-notified:
			case <-deadline:
				t.Fatal("the producer isn't told that there is room again")
			}
		}
	})
}

// TestOvertakingFollowsAChannelUntilItsEnd: what is delivered before the barrier is known is handed out, and then the end
// is announced.
func TestOvertakingFollowsAChannelUntilItsEnd(t *testing.T) {
	both(t, func(t *testing.T, from, to *node, typ operator.Type) {
		o, _, cancel := from.producer(t, 0, 0, typ)
		defer cancel()
		g, w := to.gate(t, "a", from.address, typ, 0)
		var kept []int
		keep := func(_ int, _ int64, records []byte) {
			v := operator.NewVec[networktest.Record](0)
			if err := (networktest.Type{}).Decode(v, records); err != nil {
				t.Fatal(err)
			}
			kept = append(kept, v.Len())
		}
		if g.Overtake(0, 1, keep) {
			t.Fatal("an empty channel has a barrier")
		}
		send := func(n int) {
			if _, err := o.Send(batch(0, n)); err != nil {
				t.Fatal(err)
			}
		}
		send(1)
		if _, err := next(g, w); err != nil {
			t.Fatal(err)
		}
		send(2)
		send(3)
		if err := o.Event(operator.Event{Kind: operator.EndOfInput}); err != nil {
			t.Fatal(err)
		}
		for !g.Announcing() {
			w.Prepare()
			if g.Announcing() {
				w.Abandon()
				break
			}
			<-w.C()
		}
		if _, e, ok := g.Announced(); !ok || e.Kind != operator.EndOfInput {
			t.Fatalf("announced %v, %v", e, ok)
		}
		if !g.Overtake(0, 1, keep) {
			t.Fatal("the end isn't in the queue")
		}
		for range 2 {
			if _, err := next(g, w); err != nil {
				t.Fatal(err)
			}
		}
		if len(kept) != 3 || kept[0] != 1 || kept[1] != 2 || kept[2] != 3 {
			t.Errorf("kept batches of %v records, want 1, 2 and 3", kept)
		}
	})
}
