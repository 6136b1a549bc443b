package stream

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// brief has a state that expires and, for odd keys, one that doesn't.
type brief struct{ gone, kept *Value[int64] }

func newBrief(rt *Runtime) *brief {
	return &brief{ValueState[int64](rt, "gone", TTL(time.Minute)), ValueState[int64](rt, "kept")}
}

func (p *brief) Element(c *Context[int64, string], r rec) error {
	n, had := p.gone.Get()
	_, kept := p.kept.Get()
	c.Emit(fmt.Sprint(r.Key, " ", n, had, kept))
	p.gone.Set(r.N)
	if r.Key%2 == 1 {
		p.kept.Set(r.N)
	}
	return nil
}

func newBriefBench(t *testing.T) (*bench[int64, rec, string], *processor[int64, string]) {
	b := newBench(t, 1, byKey, func(k Keyed[int64, rec]) Stream[string] { return Process(k, newBrief) })
	return b, b.ops[0].(*processor[int64, string])
}

// TestExpiredStateGoesUnseen: a walk takes steps that are short, though there are many keys, lets records pass in between,
// and forgets everything that has expired within a number of steps that follows from the number of keys.
func TestExpiredStateGoesUnseen(t *testing.T) {
	const keys = 60_000
	b, p := newBriefBench(t)
	rt := b.rts[0]
	rt.now = 1000
	for k := range int64(keys) {
		b.add(rec{Key: k, N: k}, 0)
	}
	b.flush(0)
	if rt.wake != 1000+time.Minute.Milliseconds() {
		t.Fatalf("the first walk is to begin at %d", rt.wake)
	}
	steps := 0
	for over := false; !over; {
		if rt.now = rt.wake; rt.now > 70_000 {
			t.Fatalf("%d keys are left after %d steps", p.keys.Len(), steps)
		}
		before := p.keys.Len()
		rt.wake = 0
		if err := p.ProcessingTime(rt.now); err != nil {
			t.Fatal(err)
		}
		steps++
		over = p.sweeper.began == 0
		if rt.wake <= rt.now {
			t.Fatalf("step %d at %d: the next one is planned for %d", steps, rt.now, rt.wake)
		}
		if n := before - p.keys.Len(); n > sweepPlaces {
			t.Fatalf("step %d let %d keys go", steps, n)
		}
		switch steps {
		case 3: // a view shares what is walked through
			v, err := p.Snapshot(1)
			if err != nil {
				t.Fatal(err)
			}
			defer v.Release()
		case 10: // one comes to life again
			for range 2 {
				b.add(rec{Key: 2, N: -1}, 0)
				b.flush(0)
			}
			if got := b.events[0][len(b.events[0])-1].rec; got != "2 -1 true false" {
				t.Fatalf("between two steps: %v", got)
			}
		}
	}
	// A table is at least a quarter full, as it doubles; every group is a place, too.
	if most := keys*4/sweepPlaces + 2; steps > most || steps < keys/sweepPlaces {
		t.Errorf("the walk took %d steps, want at most %d, at least %d", steps, most, keys/sweepPlaces)
	}
	if n := p.keys.Len(); n != keys/2+1 {
		t.Errorf("%d keys are left, want those %d with state that doesn't expire, and one", n, keys/2)
	}
	for k := range int64(100) {
		b.add(rec{Key: k, N: 0}, 0)
	}
	b.flush(0)
	for k, e := range b.events[0][len(b.events[0])-100:] {
		if want := fmt.Sprint(k, " 0 false ", k%2 == 1); e.rec != want && k != 2 {
			t.Fatalf("afterwards key %d has %v, want %s", k, e.rec, want)
		}
	}
}

// TestExpiredStateIsNotInCheckpoints: neither what had expired at the checkpoint is restored nor what has since.
func TestExpiredStateIsNotInCheckpoints(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	r := newRig(t, keyedNode(func(k Keyed[int64, rec]) Stream[string] { return Process(k, newBrief) }), []rigInput{rigKeyed(byKey)}, nil, 2)
	const keys = 2000
	began, written := r.now, make([]int64, keys)
	for k := range written {
		written[k] = began + int64(k)*60
		r.now = written[k]
		for _, rt := range r.rts {
			rt.now = r.now
		}
		r.play([]rigStep{{rec: rec{Key: int64(k), N: int64(k)}}})
		r.flush()
	}
	ttl := time.Minute.Milliseconds()
	atSnapshot := r.now
	img := r.checkpoint()
	r.wait(img)
	values, times := 0, 0
	for _, p := range img.parts {
		for i, s := range p.states {
			for _, b := range p.blocks[i] {
				switch s.Name {
				case "gone":
					values += len(b.Data)
				case expiryPrefix + "gone":
					times += len(b.Data)
				}
			}
		}
	}
	live := func(now int64) (n int) {
		for _, w := range written {
			if now < w+ttl {
				n++
			}
		}
		return n
	}
	if n := live(atSnapshot); values != 16*n || times != 16*n || n == keys {
		t.Errorf("the checkpoint has %d bytes of values and %d of times, want 16 for each of %d keys", values, times, n)
	}
	r.now += random.Int64N(ttl - 1000)
	r.restore(img, 3)
	slots, n := 0, 0
	for _, op := range r.ops {
		p := op.(*processor[int64, string])
		n += p.keys.Len()
		slots += len(p.ks.live) - len(p.free)
	}
	want := 0 // those with state that stays, and those of the others that live
	for k, w := range written {
		if k%2 == 1 || r.now < w+ttl {
			want++
		}
	}
	if n != want || slots != want {
		t.Errorf("%d keys in %d slots are restored, want %d", n, slots, want)
	}
}
