package stream

import (
	"fmt"
	"iter"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/weftstream/weft/operator"
)

// TestPurgeForgetsTheLatestTime: what EvictTime keeps follows from the records that are there, not from those that a purge
// has taken, also after a restore.
func TestPurgeForgetsTheLatestTime(t *testing.T) {
	for _, restored := range []bool{false, true} {
		r := newRig(t, keyedNode(func(k Keyed[int64, rec]) Stream[int64] {
			w := k.Window(Global()).TriggerCount(2).EvictTime(10 * time.Millisecond).Purge()
			return Aggregate(w, addRec, func(_ Pane[int64], a *sumAcc) int64 { return a.N })
		}), []rigInput{rigKeyed(byKey)}, nil, 1)
		r.play([]rigStep{{rec: rec{N: 1}, ts: 100}, {rec: rec{N: 2}, ts: 101}})
		r.flush()
		if restored {
			img := r.checkpoint()
			r.wait(img)
			r.restore(img, 1)
		}
		r.play([]rigStep{{rec: rec{N: 10}, ts: 50}, {rec: rec{N: 20}, ts: 51}, {rec: rec{N: 100}, ts: 30}, {rec: rec{N: 200}, ts: 45}})
		if got, want := r.end(), []string{": 3 @ 101", ": 30 @ 51", ": 200 @ 45"}; !slices.Equal(got, want) {
			t.Errorf("restored %v: got %q, want %q", restored, got, want)
		}
	}
}

// TestEarlyResultsOfGlobalWindowsHaveATime: those of the end of the input and of a processing time are no record of a time
// that is past, and windows behind can take them.
func TestEarlyResultsOfGlobalWindowsHaveATime(t *testing.T) {
	build := func(change func(Windowed[int64, rec]) Windowed[int64, rec]) *rig {
		return newRig(t, keyedNode(func(k Keyed[int64, rec]) Stream[string] {
			return Aggregate(change(k.Window(Global())), addRec, func(p Pane[int64], a *sumAcc) string { return fmt.Sprint(p.Key, " ", a.N) })
		}), []rigInput{rigKeyed(byKey)}, nil, 1)
	}
	type window = Windowed[int64, rec]
	for name, evict := range map[string]func(window) window{
		"kept":    func(w window) window { return w },
		"evicted": func(w window) window { return w.EvictCount(10) },
	} {
		event := build(func(w window) window { return evict(w.TriggerEvery(20 * time.Millisecond)) })
		event.play([]rigStep{{rec: rec{Key: 1, N: 1}, ts: 10}, {ts: 25}, {rec: rec{Key: 1, N: 2}, ts: 38}, {rec: rec{Key: 1, N: 4}, ts: 36}, {ts: 30}})
		img := event.checkpoint()
		event.wait(img)
		event.restore(img, 1)
		event.play([]rigStep{{ts: 31}, {rec: rec{Key: 2, N: 8}, ts: 28}})
		got := event.end()
		slices.Sort(got)
		if want := []string{": 1 1 @ 25", ": 1 7 @ 38", ": 2 8 @ 32"}; !slices.Equal(got, want) {
			t.Errorf("%s, event time: got %q, want %q", name, got, want)
		}

		clock := build(func(w window) window { return evict(w.TriggerEveryProcessingTime(time.Second)) })
		clock.play([]rigStep{{rec: rec{Key: 1, N: 1}, ts: 10}, {now: true, ts: 1_001_000}, {ts: 15}, {rec: rec{Key: 2, N: 8}, ts: 20}, {now: true, ts: 1_002_000}})
		got = clock.end()
		slices.Sort(got)
		if want := []string{": 1 1 @ 10", ": 1 1 @ 16", ": 2 8 @ 20"}; !slices.Equal(got, want) {
			t.Errorf("%s, processing time: got %q, want %q", name, got, want)
		}

		untimed := build(func(w window) window { return evict(w.TriggerEveryProcessingTime(time.Second)) })
		untimed.play([]rigStep{{rec: rec{Key: 1, N: 1}, ts: operator.NoWatermark}, {now: true, ts: 1_001_000}})
		if got, want := untimed.end(), []string{": 1 1"}; !slices.Equal(got, want) {
			t.Errorf("%s, without times: got %q, want %q", name, got, want)
		}
	}
}

// TestEvictionAgainstOracle: times in any order, near and far, with restores between; what fires is what a plain list would hold.
func TestEvictionAgainstOracle(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 9))
		keep, keepN, every, purge := int64(r.IntN(4))*7, r.IntN(3)*5, 1+r.IntN(6), r.IntN(2) == 0
		if keep == 0 && keepN == 0 {
			keep = 3
		}
		g := newRig(t, keyedNode(func(k Keyed[int64, rec]) Stream[string] {
			w := k.Window(Global()).TriggerCount(every)
			if keep > 0 {
				w = w.EvictTime(time.Duration(keep) * time.Millisecond)
			}
			if keepN > 0 {
				w = w.EvictCount(keepN)
			}
			if purge {
				w = w.Purge()
			}
			return Apply(w, func(_ Pane[int64], in iter.Seq[rec], emit func(string)) {
				text := ""
				for r := range in {
					text += fmt.Sprint(r.N, " ")
				}
				emit(text)
			})
		}), []rigInput{rigKeyed(byKey)}, nil, 1)
		var held []step
		var want []string
		base := []int64{math.MinInt64 + 30, 0, 1_000_000, math.MaxInt64 - 30}
		at, high := base[r.IntN(len(base))], int64(math.MinInt64)
		for i := range int64(300) {
			switch r.IntN(40) {
			case 0:
				at = base[r.IntN(len(base))]
			case 1:
				img := g.checkpoint()
				g.wait(img)
				g.restore(img, 1)
			}
			s := step{r: rec{N: i}, ts: at + r.Int64N(40) - 20}
			g.play([]rigStep{{rec: s.r, ts: s.ts}})
			held = append(held, s)
			high = max(high, s.ts) // since a purge
			if (i+1)%int64(every) != 0 {
				continue
			}
			if keep > 0 {
				held = slices.DeleteFunc(held, func(x step) bool {
					return new(big.Int).Sub(big.NewInt(high), big.NewInt(x.ts)).Cmp(big.NewInt(keep)) >= 0
				})
			}
			if keepN > 0 {
				held = held[max(0, len(held)-keepN):]
			}
			text := ": "
			for _, x := range held {
				text += fmt.Sprint(x.r.N, " ")
			}
			if want = append(want, fmt.Sprint(text, " @ ", s.ts)); purge {
				held, high = nil, math.MinInt64
			}
		}
		if got := g.end(); !slices.Equal(got, want) {
			for i := range min(len(got), len(want)) {
				if got[i] != want[i] {
					t.Fatalf("seed %d, keep %d ms, %d records, every %d, purge %v: result %d is %q, want %q", seed, keep, keepN, every, purge, i, got[i], want[i])
				}
			}
			t.Fatalf("seed %d: %d results, want %d", seed, len(got), len(want))
		}
	}
}
