package stream

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/operator"
)

// deepAcc is an accumulator that points to memory which is changed in place.
type deepAcc struct {
	Names map[string]int64
	Sizes []int64
	Last  *int64
}

func (a *deepAcc) add(r rec) {
	if a.Names == nil {
		a.Names, a.Sizes, a.Last = map[string]int64{}, make([]int64, 4), new(int64)
	}
	a.Names[r.Name] += r.N
	a.Sizes[r.N%4]++
	*a.Last = max(*a.Last, r.N)
}

func (a *deepAcc) Merge(o *deepAcc) {
	for k, v := range o.Names {
		a.Names[k] += v
	}
	for i, n := range o.Sizes {
		a.Sizes[i] += n
	}
	*a.Last = max(*a.Last, *o.Last)
}

func deepOut(p Pane[int64], a *deepAcc) string {
	sum := int64(0)
	for _, n := range a.Names {
		sum += n
	}
	return fmt.Sprint(p.Key, p.Start, p.End, sum, len(a.Names), a.Sizes, *a.Last)
}

func keyedNode[O any](f func(k Keyed[int64, rec]) Stream[O]) func(env *Env) *graph.Node {
	return func(env *Env) *graph.Node { return f(KeyBy(From(env, fakeSource[rec]{}), byKey)).named }
}

var recLate = NewTag[rec]("late")

// windowShapes are all windows with all that changes what they do.
var windowShapes = map[string]func(k Keyed[int64, rec]) Windowed[int64, rec]{
	"tumbling": func(k Keyed[int64, rec]) Windowed[int64, rec] { return k.Window(Tumbling(time.Second)).LateTo(recLate) },
	"tumbling late": func(k Keyed[int64, rec]) Windowed[int64, rec] {
		return k.Window(Tumbling(time.Second)).AllowedLateness(700 * time.Millisecond).LateTo(recLate)
	},
	"tumbling early": func(k Keyed[int64, rec]) Windowed[int64, rec] {
		return k.Window(Tumbling(2 * time.Second)).TriggerEvery(300 * time.Millisecond)
	},
	"tumbling early, purged": func(k Keyed[int64, rec]) Windowed[int64, rec] {
		return k.Window(Tumbling(2 * time.Second)).TriggerEvery(300 * time.Millisecond).Purge()
	},
	"tumbling late, purged": func(k Keyed[int64, rec]) Windowed[int64, rec] {
		return k.Window(Tumbling(time.Second)).AllowedLateness(900 * time.Millisecond).Purge()
	},
	"sliding late": func(k Keyed[int64, rec]) Windowed[int64, rec] {
		return k.Window(Sliding(time.Second, 250*time.Millisecond)).AllowedLateness(300 * time.Millisecond).LateTo(recLate)
	},
	"session": func(k Keyed[int64, rec]) Windowed[int64, rec] {
		return k.Window(Session(300 * time.Millisecond)).LateTo(recLate)
	},
	"session late": func(k Keyed[int64, rec]) Windowed[int64, rec] {
		return k.Window(Session(300 * time.Millisecond)).AllowedLateness(400 * time.Millisecond).LateTo(recLate)
	},
	"session early": func(k Keyed[int64, rec]) Windowed[int64, rec] {
		return k.Window(Session(300 * time.Millisecond)).TriggerEvery(200 * time.Millisecond)
	},
	"at end":        func(k Keyed[int64, rec]) Windowed[int64, rec] { return k.Window(AtEnd()) },
	"count":         func(k Keyed[int64, rec]) Windowed[int64, rec] { return k.CountWindow(7) },
	"sliding count": func(k Keyed[int64, rec]) Windowed[int64, rec] { return k.SlidingCountWindow(10, 3) },
	"global delta, time": func(k Keyed[int64, rec]) Windowed[int64, rec] {
		return k.Window(Global()).EvictTime(300*time.Millisecond).TriggerDelta(50, func(last, v rec) float64 { return float64(v.N - last.N) })
	},
	"global every": func(k Keyed[int64, rec]) Windowed[int64, rec] { return k.Window(Global()).TriggerEvery(time.Second) },
	"global every, purge": func(k Keyed[int64, rec]) Windowed[int64, rec] {
		return k.Window(Global()).TriggerEvery(time.Second).Purge()
	},
}

func TestWindowsAreRestored(t *testing.T) {
	for name, shape := range windowShapes {
		functions := map[string]func(env *Env) *graph.Node{
			"reduce": keyedNode(func(k Keyed[int64, rec]) Stream[rec] {
				return shape(k).Reduce(func(a, b rec) rec { return rec{a.Key, a.N + b.N, min(a.Name, b.Name)} })
			}),
			"deep": keyedNode(func(k Keyed[int64, rec]) Stream[string] {
				return Aggregate(shape(k), func(a *deepAcc, r rec) { a.add(r) }, deepOut)
			}),
			"apply": keyedNode(func(k Keyed[int64, rec]) Stream[string] {
				return Apply(shape(k), func(p Pane[int64], in iter.Seq[rec], emit func(string)) {
					n, sum := 0, int64(0)
					for r := range in {
						n++
						sum += r.N
					}
					emit(fmt.Sprint(p, n, sum))
				})
			}),
		}
		for how, build := range functions {
			t.Run(name+"/"+how, func(t *testing.T) {
				t.Parallel()
				checkRestore(t, rigCase{build: build, in: []rigInput{rigKeyed(byKey)}, tags: []string{"late"},
					steps: rigSteps(randomSteps(uint64(len(name)), 1500, 11, 3000))})
			})
		}
	}
}

// randomTimes are records while the clock runs.
func randomTimes(seed uint64, n, keys int) []rigStep {
	r := rand.New(rand.NewPCG(seed, 5))
	now := int64(1_000_000)
	var steps []rigStep
	for i := range n {
		steps = append(steps, rigStep{rec: rec{int64(r.IntN(keys)), int64(i), fmt.Sprint("n", i)}, ts: operator.NoWatermark})
		if r.IntN(4) == 0 {
			now += r.Int64N(120)
			steps = append(steps, rigStep{now: true, ts: now})
		}
	}
	return append(steps, rigStep{now: true, ts: now + 100_000})
}

func TestWindowsOfProcessingTimeAreRestored(t *testing.T) {
	for name, w := range map[string]func(k Keyed[int64, rec]) Windowed[int64, rec]{
		"tumbling": func(k Keyed[int64, rec]) Windowed[int64, rec] {
			return k.Window(Tumbling(time.Second).ProcessingTime())
		},
		"sliding": func(k Keyed[int64, rec]) Windowed[int64, rec] {
			return k.Window(Sliding(time.Second, 400*time.Millisecond).ProcessingTime())
		},
		"session": func(k Keyed[int64, rec]) Windowed[int64, rec] {
			return k.Window(Session(200 * time.Millisecond).ProcessingTime())
		},
		"early": func(k Keyed[int64, rec]) Windowed[int64, rec] {
			return k.Window(Tumbling(time.Second).ProcessingTime()).TriggerEvery(300 * time.Millisecond)
		},
		"global": func(k Keyed[int64, rec]) Windowed[int64, rec] {
			return k.Window(Global()).TriggerEveryProcessingTime(300 * time.Millisecond).Purge()
		},
	} {
		t.Run(name, func(t *testing.T) {
			build := keyedNode(func(k Keyed[int64, rec]) Stream[sumResult] { return Aggregate(w(k), addRec, sumOut) })
			checkRestore(t, rigCase{build: build, in: []rigInput{rigKeyed(byKey)}, steps: randomTimes(3, 3000, 9)})
		})
	}
}

func TestRollingReduceIsRestored(t *testing.T) {
	checkRestore(t, rigCase{in: []rigInput{rigKeyed(byKey)}, steps: rigSteps(randomSteps(4, 1000, 20, 100)),
		build: keyedNode(func(k Keyed[int64, rec]) Stream[rec] {
			return k.Reduce(func(a, b rec) rec { return rec{a.Key, a.N + b.N, min(a.Name, b.Name)} })
		})})
}

func TestWindowJoinIsRestored(t *testing.T) {
	build := func(env *Env) *graph.Node {
		s := From(env, fakeSource[rec]{})
		return Join(KeyBy(s, byKey), KeyBy(s, byKey), Tumbling(time.Second), func(l, r rec) string { return fmt.Sprint(l, r) }).named
	}
	type pair = either[rec, rec]
	var steps []rigStep
	for i, s := range rigSteps(randomSteps(8, 800, 30, 500)) {
		if r, ok := s.rec.(rec); ok {
			if i%2 == 0 {
				s.rec = pair{L: r}
			} else {
				s.rec = pair{Right: true, R: r}
			}
		}
		steps = append(steps, s)
	}
	checkRestore(t, rigCase{build: build, steps: steps, in: []rigInput{rigKeyed(func(p pair) int64 { return p.L.Key + p.R.Key })}})
}

// TestProcessingTimeWindowsAgainstOracle counts by hand what falls into which window.
func TestProcessingTimeWindowsAgainstOracle(t *testing.T) {
	steps := randomTimes(7, 2000, 5)
	type id struct{ key, start int64 }
	want := map[id]int64{}
	now := int64(1_000_000)
	for _, s := range steps {
		if s.now {
			now = s.ts
			continue
		}
		want[id{s.rec.(rec).Key, now - now%500}]++
	}
	r := newRig(t, keyedNode(func(k Keyed[int64, rec]) Stream[sumResult] {
		return Aggregate(k.Window(Tumbling(500*time.Millisecond).ProcessingTime()), func(a *int64, _ rec) { *a++ },
			func(p Pane[int64], n *int64) sumResult { return sumResult{Key: p.Key, Start: int64(p.Start), N: *n} })
	}), []rigInput{rigKeyed(byKey)}, nil, 2)
	r.play(steps)
	got := r.end()
	if len(got) != len(want) {
		t.Fatalf("%d results, want %d", len(got), len(want))
	}
	for i, n := range want {
		text := fmt.Sprintf(": %+v @ %d", sumResult{Key: i.key, Start: i.start, N: n}, i.start+499)
		if !contains(got, text) {
			t.Fatalf("%q is missing", text)
		}
	}
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// TestEarlyResults fires at every multiple that the watermark passes, once, and at the end.
func TestEarlyResults(t *testing.T) {
	run := func(purge bool) string {
		b := newBench(t, 1, byKey, func(k Keyed[int64, rec]) Stream[sumResult] {
			w := k.Window(Tumbling(100 * time.Millisecond)).TriggerEvery(20 * time.Millisecond)
			if purge {
				w = w.Purge()
			}
			return Aggregate(w, addRec, sumOut)
		})
		b.mark(0)
		b.add(rec{Key: 1, N: 1}, 10)
		b.mark(15)
		b.add(rec{Key: 1, N: 10}, 30)
		b.mark(20)
		b.mark(25)
		b.add(rec{Key: 1, N: 100}, 35)
		b.mark(75)
		b.add(rec{Key: 1, N: 1000}, 90)
		b.mark(99)
		text := ""
		for _, r := range b.end() {
			text += fmt.Sprint(r.N, " ")
		}
		return text
	}
	if got := run(false); got != "11 111 1111 " {
		t.Fatalf("got %s", got)
	}
	if got := run(true); got != "11 100 1000 " {
		t.Fatalf("purged: got %s", got)
	}
}

// TestRestoredWindowFiresAgainOnlyForLateRecords: the watermark starts from the beginning, what has fired doesn't.
func TestRestoredWindowFiresAgainOnlyForLateRecords(t *testing.T) {
	for name, a := range map[string]Assigner{"tumbling": Tumbling(100 * time.Millisecond), "session": Session(50 * time.Millisecond)} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, keyedNode(func(k Keyed[int64, rec]) Stream[int64] {
				return Aggregate(k.Window(a).AllowedLateness(time.Second), addRec, func(_ Pane[int64], a *sumAcc) int64 { return a.N })
			}), []rigInput{rigKeyed(byKey)}, nil, 2)
			record := func(key, n, ts int64) rigStep { return rigStep{rec: rec{Key: key, N: n}, ts: ts} }
			r.play([]rigStep{record(1, 1, 10), record(2, 2, 10), {ts: 200}})
			img := r.checkpoint()
			r.wait(img)
			r.out = nil
			r.restore(img, 3)
			r.play([]rigStep{record(1, 10, 20), {ts: 5}})
			img = r.checkpoint() // the late record has not fired yet
			r.wait(img)
			r.restore(img, 1)
			r.play([]rigStep{{ts: 6}})
			if len(r.out) != 0 {
				t.Fatalf("fired before the watermark was there: %v", r.out)
			}
			r.play([]rigStep{{ts: 300}, {ts: 400}})
			if got := r.end(); len(got) != 1 || got[0][:4] != ": 11" {
				t.Fatalf("got %v, want the sum 11 once", got)
			}
		})
	}
}
