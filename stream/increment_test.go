package stream

import (
	"fmt"
	"testing"
	"time"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/operator"
)

// ledger has all a process function can keep of a key. A record with N == 0 clears it.
type ledger struct {
	sum   *Value[int64]
	brief *Value[int64]
	seen  *List[int64]
}

func newLedger(rt *Runtime) *ledger {
	return &ledger{ValueState[int64](rt, "sum"), ValueState[int64](rt, "brief", TTL(time.Hour)), ListState[int64](rt, "seen")}
}

func (l *ledger) Element(c *Context[int64, string], r rec) error {
	if r.N == 0 {
		l.sum.Clear()
		l.brief.Clear()
		l.seen.Clear()
		return nil
	}
	n, _ := l.sum.Get()
	l.sum.Set(n + r.N)
	l.brief.Set(r.N)
	l.seen.Add(r.N)
	c.EventTimer(Time(100_000 + r.N))
	c.ProcessingTimer(c.Now().Add(time.Hour))
	return nil
}

func (l *ledger) OnTimer(c *Context[int64, string], at Time) error {
	c.Emit(fmt.Sprint(c.Key, at))
	return nil
}

// TestOnlyChangesAreWritten: of many keys few change, and no more entries than those are written; with what was written before
// they are all that a savepoint has.
func TestOnlyChangesAreWritten(t *testing.T) {
	const keys, few, perKey = 3000, 5, 6 // a process function has three states, times of expiry, and timers of two kinds
	sum := func(a, b rec) rec { return rec{a.Key, a.N + b.N, a.Name} }
	for name, build := range map[string]func(env *Env) *graph.Node{
		"rolling":  keyedNode(func(k Keyed[int64, rec]) Stream[rec] { return k.Reduce(sum) }),
		"tumbling": keyedNode(func(k Keyed[int64, rec]) Stream[rec] { return k.Window(Tumbling(time.Hour)).Reduce(sum) }),
		"early": keyedNode(func(k Keyed[int64, rec]) Stream[rec] {
			return k.Window(Tumbling(time.Hour)).TriggerEvery(time.Millisecond).Reduce(sum)
		}),
		"at end":  keyedNode(func(k Keyed[int64, rec]) Stream[rec] { return k.Window(AtEnd()).Reduce(sum) }),
		"session": keyedNode(func(k Keyed[int64, rec]) Stream[rec] { return k.Window(Session(time.Hour)).Reduce(sum) }),
		"global":  keyedNode(func(k Keyed[int64, rec]) Stream[rec] { return k.Window(Global()).TriggerCount(1000).Reduce(sum) }),
		"process": keyedNode(func(k Keyed[int64, rec]) Stream[string] { return Process(k, newLedger) }),
	} {
		t.Run(name, func(t *testing.T) {
			for i, store := range rigStores(t) {
				r := newRigOn(t, store, build, []rigInput{rigKeyed(byKey)}, nil, 2)
				add := func(from, to, n int64) {
					for k := from; k < to; k++ {
						r.play([]rigStep{{rec: rec{k, n, "name"}, ts: 1000 + n}})
					}
				}
				var line []*rigImage
				take := func(base *rigImage, least, most int) *rigImage {
					t.Helper()
					r.flush()
					now := make(chan struct{})
					close(now)
					img, whole := r.image(int64(len(line)+1), base, now), r.image(0, nil, now)
					r.wait(img)
					r.wait(whole)
					total := 0
					for _, n := range img.entries() {
						total += n
					}
					if total < least || total > most {
						t.Errorf("store %d, checkpoint %d: %d entries, want %d to %d: %v", i, img.id, total, least, most, img.entries())
					}
					for _, p := range whole.parts {
						for _, s := range p.states {
							if got, want := bytesIn(img, s.Name), bytesIn(whole, s.Name); s.Kind == operator.KeyedState && got != want {
								t.Errorf("store %d, checkpoint %d: %d bytes of state %q, a savepoint has %d", i, img.id, got, s.Name, want)
							}
						}
					}
					line = append(line, img)
					return img
				}
				r.mark(0, 0)
				add(0, keys, 1)
				first := take(nil, keys, keys*perKey)
				r.mark(0, 10) // early results change nothing
				second := take(first, 0, 0)
				add(10, 10+few, 2)
				take(second, few, few*perKey) // doesn't complete
				add(20, 20+few, 3)
				fourth := take(second, 2*few, 2*few*perKey)
				take(fourth, 0, 0)
				add(keys, keys+few, 4)
				add(10, 10+few, 0) // the process function clears these
				take(line[len(line)-1], few, 2*few*perKey)
				r.mark(0, 100_003) // timers run
				r.mark(0, 100_004)
				if name == "process" {
					take(line[len(line)-1], 1, 20*keys)
				}
				r.close()
			}
		})
	}
}

// bytesIn is the size of a state in an image.
func bytesIn(img *rigImage, name string) (n int) {
	for _, p := range img.pairs(name) {
		n += len(p)
	}
	return n
}

// TestKeysWithoutStateLeaveNoChanges: records of keys that keep nothing cost no checkpoint anything.
func TestKeysWithoutStateLeaveNoChanges(t *testing.T) {
	r := newRig(t, keyedNode(func(k Keyed[int64, rec]) Stream[string] { return Process(k, newLedger) }), []rigInput{rigKeyed(byKey)}, nil, 1)
	now := make(chan struct{})
	close(now)
	first := r.image(1, nil, now)
	r.wait(first)
	for k := range int64(5000) {
		r.play([]rigStep{{rec: rec{k, 0, ""}, ts: 1}}) // there is nothing to clear
	}
	r.flush()
	second := r.image(2, first, now)
	r.wait(second)
	if n := second.entries(); len(n) != 0 {
		t.Errorf("entries are written: %v", n)
	}
	r.close()
}

// TestSweptStateIsAChange: what has expired is removed from what later checkpoints hold, though nobody looks at its key.
func TestSweptStateIsAChange(t *testing.T) {
	r := newRig(t, keyedNode(func(k Keyed[int64, rec]) Stream[string] { return Process(k, newRemembering) }), []rigInput{rigKeyed(byKey)}, nil, 1)
	now := make(chan struct{})
	close(now)
	for k := range int64(100) {
		r.play([]rigStep{{rec: rec{k, 1, "name"}, ts: 100}})
	}
	r.flush()
	first := r.image(1, nil, now)
	r.wait(first)
	if n := len(first.pairs("brief")); n != 100 {
		t.Fatalf("%d keys have the value that expires", n)
	}
	for at := range int64(1000) {
		r.advance(1_000_000 + 5*at)
	}
	second := r.image(2, first, now)
	r.wait(second)
	if n, m := len(second.pairs("brief")), len(second.pairs("deep")); n != 0 || m != 100 {
		t.Errorf("%d keys have the value that has expired, %d the other one", n, m)
	}
	r.close()
}

// TestNoAllocationPerRecordWhileChangesAreTracked is TestNoAllocationPerRecord between incremental snapshots.
func TestNoAllocationPerRecordWhileChangesAreTracked(t *testing.T) {
	for name, build := range allocCases {
		t.Run(name, func(t *testing.T) {
			f := newFeeder(t, build)
			op, ok := f.in.(operator.Incremental)
			if in, is := f.in.(interface{ incremental() operator.Incremental }); is {
				op, ok = in.incremental(), true
			}
			if !ok {
				return // no keyed state
			}
			for range 50 {
				f.batch(t)
			}
			for id := int64(1); id < 4; id++ {
				s, err := op.SnapshotSince(id, id-1)
				if err != nil {
					t.Fatal(err)
				}
				s.Release()
			}
			f.batch(t)
			if n := testing.AllocsPerRun(100, func() { f.batch(t) }) / allocBatch; n > 0.01 {
				t.Fatalf("%.3f allocations per record", n)
			}
		})
	}
}

func (i *processInput[K, T, O]) incremental() operator.Incremental { return i.p }
