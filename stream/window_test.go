package stream

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weftstream/weft/operator"
)

type sumResult struct {
	Key, Start, End, N int64
	Count              int
	First              string
}

type sumAcc struct {
	N     int64
	Count int
	First string
}

func (a *sumAcc) Merge(o *sumAcc) {
	a.N += o.N
	a.Count += o.Count
	if o.First < a.First {
		a.First = o.First
	}
}

func (a *sumAcc) add(r rec) {
	a.N += r.N
	a.Count++
	if a.Count == 1 || r.Name < a.First {
		a.First = r.Name
	}
}

func addRec(a *sumAcc, r rec) { a.add(r) }

func sumOut(p Pane[int64], a *sumAcc) sumResult {
	return sumResult{p.Key, int64(p.Start), int64(p.End), a.N, a.Count, a.First}
}

// oracleAligned computes tumbling and sliding windows record by record, the slow way, from Flink's rules. A late firing
// gives one more result.
func oracleAligned(steps []step, size, slide, offset, lateness int64) (out []sumResult, late []rec) {
	type id struct{ key, start int64 }
	accs := map[id]*sumAcc{}
	fired := map[id]bool{}
	mark := operator.NoWatermark
	result := func(i id) {
		a := accs[i]
		out = append(out, sumResult{i.key, i.start, i.start + size, a.N, a.Count, a.First})
	}
	for _, s := range append(slices.Clone(steps), step{mark: true, ts: operator.MaxWatermark}) {
		if s.mark {
			mark = s.ts
			for i := range accs {
				if end := i.start + size; end-1 <= mark && !fired[i] {
					fired[i] = true
					result(i)
				}
			}
			continue
		}
		isLate := s.ts+lateness <= mark // one that is in no window, between two, is not late for that
		lowest := s.ts - size
		for start := lowest - slide; start <= s.ts; start++ {
			if (start-offset)%slide != 0 || start <= lowest || start+size-1+lateness <= mark {
				continue
			}
			isLate = false
			i := id{s.r.Key, start}
			if accs[i] == nil {
				accs[i] = &sumAcc{}
			}
			accs[i].add(s.r)
			if start+size-1 <= mark {
				fired[i] = true
				result(i)
			}
		}
		if isLate {
			late = append(late, s.r)
		}
	}
	return out, late
}

func TestAlignedWindowsAgainstOracle(t *testing.T) {
	for _, c := range []struct {
		name                          string
		a                             Assigner
		size, slide, offset, lateness int64
	}{
		{"tumbling", Tumbling(time.Second), 1000, 1000, 0, 0},
		{"tumbling late", Tumbling(time.Second), 1000, 1000, 0, 700},
		{"tumbling offset", Tumbling(time.Second).Offset(300 * time.Millisecond), 1000, 1000, 300, 0},
		{"sliding", Sliding(time.Second, 400*time.Millisecond), 1000, 400, 0, 0},
		{"sliding late", Sliding(time.Second, 250*time.Millisecond), 1000, 250, 0, 300},
		{"sliding with gaps", Sliding(300*time.Millisecond, time.Second), 300, 1000, 0, 0},
	} {
		for _, subtasks := range []int{1, 3} {
			t.Run(fmt.Sprintf("%s/%d", c.name, subtasks), func(t *testing.T) {
				steps := randomSteps(uint64(len(c.name)), 3000, 7, 4000)
				late := NewTag[rec]("late")
				b := newBench(t, subtasks, byKey, func(k Keyed[int64, rec]) Stream[sumResult] {
					w := k.Window(c.a).LateTo(late)
					if c.lateness > 0 {
						w = w.AllowedLateness(time.Duration(c.lateness) * time.Millisecond)
					}
					return Aggregate(w, addRec, sumOut)
				})
				got := play(b, steps)
				want, wantLate := oracleAligned(steps, c.size, c.slide, c.offset, c.lateness)
				sameSet(t, got, want)
				var gotLate []rec
				for _, e := range b.side {
					if !e.mark && !e.end {
						gotLate = append(gotLate, e.rec.(rec))
					}
				}
				sameSet(t, gotLate, wantLate)
				if c.slide <= c.size && len(wantLate) == 0 {
					t.Fatal("the test has no late records")
				}
			})
		}
	}
}

func TestResultsComeBeforeTheirWatermarkAndCarryTheWindowsEnd(t *testing.T) {
	b := newBench(t, 1, byKey, func(k Keyed[int64, rec]) Stream[sumResult] {
		return Aggregate(k.Window(Tumbling(10*time.Millisecond)), addRec, sumOut)
	})
	b.add(rec{Key: 1}, 3)
	b.add(rec{Key: 1}, 15)
	b.mark(8)
	b.mark(9)
	b.mark(30)
	b.end()
	var text []string
	for _, e := range b.events[0] {
		switch {
		case e.mark:
			text = append(text, fmt.Sprint("w", e.at))
		case !e.end:
			text = append(text, fmt.Sprint("r", e.at))
		}
	}
	if got, want := strings.Join(text, " "), fmt.Sprint("w8 r9 w9 r19 w30 w", operator.MaxWatermark); got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
}

// oracleSession merges the slow way.
func oracleSession(steps []step, gap, lateness int64) (out []sumResult, late []rec) {
	type sess struct {
		start, end int64
		fired      bool
		acc        sumAcc
	}
	open := map[int64][]*sess{}
	mark := operator.NoWatermark
	for _, s := range append(slices.Clone(steps), step{mark: true, ts: operator.MaxWatermark}) {
		if s.mark {
			mark = s.ts
			for k, list := range open {
				var left []*sess
				for _, x := range list {
					if x.end-1 <= mark && !x.fired {
						x.fired = true
						out = append(out, sumResult{k, x.start, x.end, x.acc.N, x.acc.Count, x.acc.First})
					}
					if later(x.end-1, lateness) > mark {
						left = append(left, x)
					}
				}
				open[k] = left
			}
			continue
		}
		n := &sess{start: s.ts, end: s.ts + gap}
		n.acc.add(s.r)
		var left []*sess
		merged := false
		for changed := true; changed; {
			changed = false
			left = nil
			for _, x := range open[s.r.Key] {
				if x.start <= n.end && n.start <= x.end {
					n.start, n.end = min(n.start, x.start), max(n.end, x.end)
					n.acc.Merge(&x.acc)
					changed, merged = true, true
					continue
				}
				left = append(left, x)
			}
			open[s.r.Key] = left
		}
		if !merged && later(n.end-1, lateness) <= mark {
			late = append(late, s.r)
			continue
		}
		if n.end-1 <= mark {
			n.fired = true
			out = append(out, sumResult{s.r.Key, n.start, n.end, n.acc.N, n.acc.Count, n.acc.First})
		}
		open[s.r.Key] = append(open[s.r.Key], n)
	}
	return out, late
}

func TestSessionWindowsAgainstOracle(t *testing.T) {
	for _, lateness := range []int64{0, 400} {
		for _, subtasks := range []int{1, 2} {
			t.Run(fmt.Sprintf("lateness %d/%d", lateness, subtasks), func(t *testing.T) {
				steps := randomSteps(uint64(lateness)+5, 4000, 40, 2500)
				late := NewTag[rec]("late")
				b := newBench(t, subtasks, byKey, func(k Keyed[int64, rec]) Stream[sumResult] {
					w := k.Window(Session(300 * time.Millisecond)).AllowedLateness(time.Duration(lateness) * time.Millisecond).LateTo(late)
					return Aggregate(w, addRec, sumOut)
				})
				got := play(b, steps)
				want, wantLate := oracleSession(steps, 300, lateness)
				sameSet(t, got, want)
				if len(wantLate) == 0 {
					t.Fatal("the test has no late records")
				}
				n := 0
				for _, e := range b.side {
					if !e.mark && !e.end {
						n++
					}
				}
				if n != len(wantLate) {
					t.Fatalf("%d late records, want %d", n, len(wantLate))
				}
				for _, op := range b.ops {
					if s := op.(*sessionWindow[int64, rec, sumAcc, sumResult]); s.keys.Len() != 0 || s.timers.len() != 0 {
						t.Fatalf("%d keys and %d timers are left at the end", s.keys.Len(), s.timers.len())
					}
				}
			})
		}
	}
}

func TestReduceAndApplySeeTheSameRecords(t *testing.T) {
	steps := randomSteps(9, 2000, 5, 1)
	for name, a := range map[string]Assigner{"tumbling": Tumbling(time.Second), "session": Session(20 * time.Millisecond), "at end": AtEnd()} {
		t.Run(name, func(t *testing.T) {
			sum := play(newBench(t, 2, byKey, func(k Keyed[int64, rec]) Stream[rec] {
				return k.Window(a).Reduce(func(a, b rec) rec { a.N += b.N; a.Name = min(a.Name, b.Name); return a })
			}), steps)
			applied := play(newBench(t, 2, byKey, func(k Keyed[int64, rec]) Stream[rec] {
				return Apply(k.Window(a), func(p Pane[int64], in iter.Seq[rec], emit func(rec)) {
					out := rec{Key: p.Key}
					for r := range in {
						out.N += r.N
						if out.Name == "" || r.Name < out.Name {
							out.Name = r.Name
						}
					}
					emit(out)
				})
			}), steps)
			sameSet(t, sum, applied)
			if len(sum) == 0 {
				t.Fatal("nothing came out")
			}
		})
	}
}

func TestAtEndNeedsNoTimeAndFiresOnce(t *testing.T) {
	b := newBench(t, 2, byKey, func(k Keyed[int64, rec]) Stream[rec] {
		return k.Window(AtEnd()).Reduce(func(a, b rec) rec { a.N += b.N; return a })
	})
	for i := range int64(100) {
		b.add(rec{Key: i % 3, N: i}, operator.NoWatermark)
	}
	b.mark(5)
	for _, es := range b.events {
		for _, e := range es {
			if !e.mark {
				t.Fatalf("fired before the end: %v", e)
			}
		}
	}
	sameSet(t, b.end(), []rec{{0, 1683, ""}, {1, 1617, ""}, {2, 1650, ""}})
}

func TestInputWithoutTimeNamesTheWindowAndTheRemedy(t *testing.T) {
	b := newBench(t, 1, byKey, func(k Keyed[int64, rec]) Stream[rec] {
		return k.Window(Tumbling(time.Second)).Reduce(func(a, b rec) rec { return a }).UID("per-second")
	})
	v := operator.NewVec[rec](1)
	v.V, v.H = append(v.V, rec{}), append(v.H, 0)
	err := b.ops[0].Input(0).Batch(v)
	if err == nil || !strings.Contains(err.Error(), `"per-second"`) || !strings.Contains(err.Error(), "Timestamps") {
		t.Fatalf("got %v", err)
	}
}

func TestLateRecordsAreCountedWhenNobodyWantsThem(t *testing.T) {
	b := newBench(t, 1, byKey, func(k Keyed[int64, rec]) Stream[rec] {
		return k.Window(Tumbling(time.Second)).Reduce(func(a, b rec) rec { return a })
	})
	b.mark(5000)
	b.add(rec{}, 10)
	b.end()
	if n := b.rts[0].Counter("numLateRecordsDropped").Value(); n != 1 {
		t.Fatalf("counted %d, want 1", n)
	}
}

// TestGlobalWindow compares TopSpeedWindowing's window, and counted ones, with Flink's rules.
func TestGlobalWindow(t *testing.T) {
	steps := randomSteps(3, 3000, 4, 200)
	faster := func(a, b rec) rec {
		if b.N%101 > a.N%101 {
			return b
		}
		return a
	}
	type kept struct {
		recs []step
		last *rec
		n    int
	}
	run := func(fires func(*kept, step) bool, evict func([]step) []step, purge bool) (out []rec) {
		keys := map[int64]*kept{}
		for _, s := range steps {
			if s.mark {
				continue
			}
			k := keys[s.r.Key]
			if k == nil {
				k = &kept{}
				keys[s.r.Key] = k
			}
			k.recs = append(k.recs, s)
			if !fires(k, s) {
				continue
			}
			k.recs = evict(k.recs)
			if len(k.recs) != 0 {
				r := k.recs[0].r
				for _, x := range k.recs[1:] {
					r = faster(r, x.r)
				}
				out = append(out, r)
			}
			if purge {
				k.recs = nil
			}
		}
		return out
	}
	delta := func(k *kept, s step) bool {
		if k.last == nil || float64(s.r.N-k.last.N) > 50 {
			first := k.last == nil
			k.last = &s.r
			return !first
		}
		return false
	}
	count := func(n int) func(*kept, step) bool {
		return func(k *kept, _ step) bool { k.n++; return k.n%n == 0 }
	}
	all := func(s []step) []step { return s }
	byTime := func(s []step) (left []step) {
		high := s[0].ts
		for _, x := range s {
			high = max(high, x.ts)
		}
		for _, x := range s {
			if x.ts > high-300 {
				left = append(left, x)
			}
		}
		return left
	}
	lastN := func(s []step) []step { return s[max(0, len(s)-10):] }
	for name, c := range map[string]struct {
		w    func(Windowed[int64, rec]) Windowed[int64, rec]
		want []rec
	}{
		"delta, time": {func(w Windowed[int64, rec]) Windowed[int64, rec] {
			return w.EvictTime(300*time.Millisecond).TriggerDelta(50, func(last, v rec) float64 { return float64(v.N - last.N) })
		}, run(delta, byTime, false)},
		"count":        {func(w Windowed[int64, rec]) Windowed[int64, rec] { return w.TriggerCount(7) }, run(count(7), all, false)},
		"count, purge": {func(w Windowed[int64, rec]) Windowed[int64, rec] { return w.TriggerCount(7).Purge() }, run(count(7), all, true)},
		"count, count": {func(w Windowed[int64, rec]) Windowed[int64, rec] { return w.EvictCount(10).TriggerCount(3) }, run(count(3), lastN, false)},
	} {
		t.Run(name, func(t *testing.T) {
			got := play(newBench(t, 2, byKey, func(k Keyed[int64, rec]) Stream[rec] { return c.w(k.Window(Global())).Reduce(faster) }), steps)
			sameSet(t, got, c.want)
			if len(got) < 10 {
				t.Fatalf("only %d results", len(got))
			}
		})
	}
}

func TestRollingReduce(t *testing.T) {
	steps := randomSteps(4, 1000, 5, 100)
	var want []rec
	accs := map[int64]rec{}
	for _, s := range steps {
		if s.mark {
			continue
		}
		a, ok := accs[s.r.Key]
		if ok {
			a.N += s.r.N
		} else {
			a = s.r
		}
		accs[s.r.Key] = a
		want = append(want, a)
	}
	sameSet(t, play(newBench(t, 3, byKey, func(k Keyed[int64, rec]) Stream[rec] {
		return k.Reduce(func(a, b rec) rec { a.N += b.N; return a })
	}), steps), want)
}
