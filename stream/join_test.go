package stream

import (
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/operator"
)

// twoInputs are records of two inputs, out of order, and watermarks that none of them is behind.
func twoInputs(seed uint64, n, keys int) (steps []rigStep, left, right []timedRec) {
	random := rand.New(rand.NewPCG(seed, 3))
	high := int64(10_000)
	for i := range n {
		high += random.Int64N(20)
		input := random.IntN(2)
		r := timedRec{rec{int64(random.IntN(keys)), int64(i), fmt.Sprint("n", i)}, high - random.Int64N(300)}
		steps = append(steps, rigStep{input: input, rec: r.r, ts: r.ts})
		if input == 0 {
			left = append(left, r)
		} else {
			right = append(right, r)
		}
		if random.IntN(15) == 0 {
			steps = append(steps, rigStep{input: random.IntN(2), ts: high - 301})
		}
	}
	return steps, left, right
}

type timedRec struct {
	r  rec
	ts int64
}

func TestIntervalJoin(t *testing.T) {
	for _, c := range []struct {
		lower, upper time.Duration
		options      []IntervalOption
		from, to     int64
	}{
		{-100 * time.Millisecond, 200 * time.Millisecond, nil, -100, 200},
		{-100 * time.Millisecond, 200 * time.Millisecond, []IntervalOption{LowerExclusive(), UpperExclusive()}, -99, 199},
		{50 * time.Millisecond, 150 * time.Millisecond, []IntervalOption{LowerExclusive()}, 51, 150},
		{-400 * time.Millisecond, -20 * time.Millisecond, []IntervalOption{UpperExclusive()}, -400, -21},
		{0, 0, nil, 0, 0},
	} {
		t.Run(fmt.Sprint(c.from, " to ", c.to), func(t *testing.T) {
			steps, left, right := twoInputs(uint64(c.to+1000), 3000, 6)
			build := func(env *Env) *graph.Node {
				s := From(env, fakeSource[rec]{})
				return IntervalJoin(KeyBy(s, byKey), KeyBy(s, byKey), c.lower, c.upper,
					func(l, r rec) string { return fmt.Sprint(l, r) }, c.options...).named
			}
			var want []string
			for _, l := range left {
				for _, r := range right {
					if d := r.ts - l.ts; l.r.Key == r.r.Key && d >= c.from && d <= c.to {
						want = append(want, fmt.Sprintf(": %v%v @ %d", l.r, r.r, max(l.ts, r.ts)))
					}
				}
			}
			in := []rigInput{rigKeyed(byKey), rigKeyed(byKey)}
			r := newRig(t, build, in, nil, 2)
			r.play(steps)
			ops := r.ops
			got := r.end()
			slices.Sort(got)
			slices.Sort(want)
			for i := range want {
				want[i] = strings.ReplaceAll(want[i], "}{", "} {")
			}
			for i := range got {
				got[i] = strings.ReplaceAll(got[i], "}{", "} {")
			}
			sameTexts(t, 0, got, want)
			for _, op := range ops {
				if p := op.(*processor[int64, string]); p.keys.Len() != 0 || p.event.heap.len() != 0 {
					t.Errorf("%d keys and %d timers are left at the end", p.keys.Len(), p.event.heap.len())
				}
			}
			checkRestore(t, rigCase{build: build, in: in, steps: steps})
		})
	}
}

// TestIntervalJoinKeepsNoMoreThanItNeeds: the state is bounded by the distance of the watermark.
func TestIntervalJoinKeepsNoMoreThanItNeeds(t *testing.T) {
	build := func(env *Env) *graph.Node {
		s := From(env, fakeSource[rec]{})
		return IntervalJoin(KeyBy(s, byKey), KeyBy(s, byKey), -50*time.Millisecond, 50*time.Millisecond, func(l, r rec) string { return "" }).named
	}
	r := newRig(t, build, []rigInput{rigKeyed(byKey), rigKeyed(byKey)}, nil, 1)
	for i := range int64(10_000) {
		r.play([]rigStep{{rec: rec{Key: 1, N: i}, ts: i}, {ts: i - 1}, {input: 1, ts: i - 1}})
	}
	p := r.ops[0].(*processor[int64, string])
	var kept int
	p.keys.All(func(_ uint32, _ *int64, slot *int32) bool {
		p.ks.slot = *slot
		kept += len(*p.fn.(*intervalJoin[int64, rec, rec, string]).left.c.get())
		return true
	})
	if kept > 60 || p.event.heap.len() > 60 {
		t.Errorf("%d records and %d timers are kept for 50 ms", kept, p.event.heap.len())
	}
	r.end()
}

func TestIntervalJoinLateRecords(t *testing.T) {
	late, other := NewTag[rec]("late"), NewTag[string]("other")
	build := func(o ...IntervalOption) func(env *Env) *graph.Node {
		return func(env *Env) *graph.Node {
			s := From(env, fakeSource[rec]{})
			out := IntervalJoin(KeyBy(s, byKey), KeyBy(s, byKey), -time.Second, time.Second, func(l, r rec) string { return fmt.Sprint(l.N, r.N) }, o...)
			Side(out, late)
			return out.named
		}
	}
	r := newRig(t, build(LateLeftTo(late)), []rigInput{rigKeyed(byKey), rigKeyed(byKey)}, []string{"late"}, 1)
	r.play([]rigStep{{rec: rec{N: 1}, ts: 1000}, {ts: 1500}, {input: 1, ts: 1500},
		{rec: rec{N: 2}, ts: 1499}, {input: 1, rec: rec{N: 3}, ts: 1499}, {input: 1, rec: rec{N: 4}, ts: 1501}, {rec: rec{N: 5}, ts: 1500}})
	got := r.end()
	slices.Sort(got)
	if want := []string{": 1 4 @ 1501", ": 5 4 @ 1501", "late: {Key:0 N:2 Name:} @ 1499"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if n := r.rts[0].Counter("numLateRecordsDropped").Value(); n != 1 {
		t.Errorf("%d records counted as dropped, want the right one", n)
	}
	env := newEnv("test", nil)
	build(LateLeftTo(other))(env)
	env.sinks++
	env.finish()
	if err := env.g.Check(); err == nil || !strings.Contains(err.Error(), "join_test.go") || !strings.Contains(err.Error(), "a tag of string") {
		t.Errorf("%v", err)
	}
	for _, o := range []IntervalOption{LateLeftTo(Tag[rec]{}), LateRightTo(Tag[rec]{})} {
		env := newEnv("test", nil)
		build(o)(env)
		env.sinks++
		env.finish()
		if err := env.g.Check(); err == nil || !strings.Contains(err.Error(), "join_test.go") || !strings.Contains(err.Error(), "needs a name") {
			t.Errorf("a tag without a name: %v", err)
		}
	}
}

// TestIntervalJoinAtTheEndsOfTime: records of extreme times find their partners and take no others with them.
func TestIntervalJoinAtTheEndsOfTime(t *testing.T) {
	r := newRig(t, func(env *Env) *graph.Node {
		s := From(env, fakeSource[rec]{})
		return IntervalJoin(KeyBy(s, byKey), KeyBy(s, byKey), -3*time.Second, time.Second, func(l, r rec) string { return fmt.Sprint(l.N, r.N) }).named
	}, []rigInput{rigKeyed(byKey), rigKeyed(byKey)}, nil, 1)
	const first, last = math.MinInt64 + 1, math.MaxInt64
	r.play([]rigStep{{rec: rec{N: 1}, ts: last}, {input: 1, rec: rec{N: 2}, ts: last}, {rec: rec{N: 3}, ts: 1000}, {input: 1, rec: rec{N: 4}, ts: last - 500},
		{rec: rec{N: 5}, ts: first}, {input: 1, rec: rec{N: 6}, ts: first + 10}, {input: 1, rec: rec{N: 7}, ts: 500},
		{ts: 900}, {input: 1, ts: 900}, {input: 1, rec: rec{N: 8}, ts: 1100}, {ts: 1200}, {input: 1, ts: 1200}, {input: 1, rec: rec{N: 9}, ts: 1300}})
	op := r.ops[0].(*processor[int64, string])
	got := r.end()
	slices.Sort(got)
	want := []string{fmt.Sprint(": 1 2 @ ", last), fmt.Sprint(": 1 4 @ ", last), ": 3 7 @ 1000", ": 3 8 @ 1100", ": 3 9 @ 1300", fmt.Sprint(": 5 6 @ ", first+10)}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if op.keys.Len() != 0 || op.event.heap.len() != 0 {
		t.Errorf("%d keys and %d timers are left at the end", op.keys.Len(), op.event.heap.len())
	}
}

// TestIntervalJoinWithAnIdleAndAnEndedInput: time doesn't end with one input while the other may go on.
func TestIntervalJoinWithAnIdleAndAnEndedInput(t *testing.T) {
	r := newRig(t, func(env *Env) *graph.Node {
		s := From(env, fakeSource[rec]{})
		return IntervalJoin(KeyBy(s, byKey), KeyBy(s, byKey), 0, time.Second, func(l, r rec) string { return fmt.Sprint(l.N, r.N) }).named
	}, []rigInput{rigKeyed(byKey), rigKeyed(byKey)}, nil, 1)
	r.play([]rigStep{{rec: rec{N: 1}, ts: 1000}, {input: 1, ts: 900}, {ts: operator.MaxWatermark}, {input: 1, ts: operator.IdleWatermark},
		{input: 1, rec: rec{N: 2}, ts: 1500}, {input: 1, ts: 1600}})
	if got, want := r.end(), []string{": 1 2 @ 1500"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestIntervalJoinAtTheWatermark compares with what Flink's operator does one record at a time, with many records that are
// late and many of the watermark's own time: those are joined with what is still kept, which is what has a time left at
// which a partner can come.
func TestIntervalJoinAtTheWatermark(t *testing.T) {
	type kept struct {
		timedRec
		until int64
	}
	for _, bounds := range [][2]int64{{-6, 9}, {0, 0}, {2, 7}, {-8, -3}, {0, 5}, {-5, 0}} {
		seed := rand.Uint64()
		t.Run(fmt.Sprint(bounds, " seed ", seed), func(t *testing.T) {
			lower, upper := bounds[0], bounds[1]
			lateLeft, lateRight := NewTag[rec]("left"), NewTag[rec]("right")
			build := func(env *Env) *graph.Node {
				s := From(env, fakeSource[rec]{})
				out := IntervalJoin(KeyBy(s, byKey), KeyBy(s, byKey), time.Duration(lower)*time.Millisecond, time.Duration(upper)*time.Millisecond,
					func(l, r rec) string { return fmt.Sprint(l.N, " ", r.N) }, LateLeftTo(lateLeft), LateRightTo(lateRight))
				Side(out, lateLeft)
				Side(out, lateRight)
				return out.named
			}
			random := rand.New(rand.NewPCG(seed, 9))
			var steps []rigStep
			var want []string
			var buffer [2][]kept
			mark, equal, late := operator.NoWatermark, 0, 0
			life := [2]int64{max(upper, 0), max(-lower, 0)}
			for i := range int64(4000) {
				if random.IntN(12) == 0 {
					mark = max(mark, 0) + 1 + random.Int64N(5)
					steps = append(steps, rigStep{ts: mark}, rigStep{input: 1, ts: mark})
					for side := range buffer {
						buffer[side] = slices.DeleteFunc(buffer[side], func(k kept) bool { return k.until <= mark })
					}
				}
				side := random.IntN(2)
				r := timedRec{rec{Key: random.Int64N(3), N: i}, max(mark, 0) + random.Int64N(12) - 3}
				steps = append(steps, rigStep{input: side, rec: r.r, ts: r.ts})
				if r.ts < mark {
					late++
					want = append(want, fmt.Sprintf("%s: %+v @ %d", []string{"left", "right"}[side], r.r, r.ts))
					continue
				}
				if r.ts == mark {
					equal++
				}
				for _, o := range buffer[1-side] {
					pair := [2]timedRec{r, o.timedRec}
					if side == 1 {
						pair = [2]timedRec{o.timedRec, r}
					}
					if d := pair[1].ts - pair[0].ts; o.r.Key == r.r.Key && d >= lower && d <= upper {
						want = append(want, fmt.Sprintf(": %d %d @ %d", pair[0].r.N, pair[1].r.N, max(r.ts, o.ts)))
					}
				}
				buffer[side] = append(buffer[side], kept{r, r.ts + life[side]})
			}
			if equal == 0 || late == 0 {
				t.Fatalf("%d records of the watermark's time, %d late: the input shows nothing", equal, late)
			}
			r := newRig(t, build, []rigInput{rigKeyed(byKey), rigKeyed(byKey)}, []string{"left", "right"}, 2)
			r.size = 1 // a record is behind the watermark before it
			r.play(steps)
			got := r.end()
			slices.Sort(got)
			slices.Sort(want)
			sameTexts(t, 0, got, want)
		})
	}
}

func TestCoGroup(t *testing.T) {
	group := func(p Pane[int64], left, right iter.Seq[rec], emit func(string)) {
		emit(groupText(p.Key, int64(p.Start), slices.Collect(left), slices.Collect(right)))
	}
	build := func(env *Env) *graph.Node {
		s := From(env, fakeSource[rec]{})
		return CoGroup(KeyBy(s, byKey), KeyBy(s, byKey), Sliding(time.Second, 500*time.Millisecond), group).named
	}
	type pair = either[rec, rec]
	steps, left, right := twoInputs(5, 2000, 9)
	type window struct{ key, start int64 }
	sides := map[window]*[2][]rec{}
	for i, side := range [][]timedRec{left, right} {
		for _, r := range side {
			for start := r.ts / 500 * 500; start > r.ts-1000; start -= 500 {
				w := window{r.r.Key, start}
				if sides[w] == nil {
					sides[w] = &[2][]rec{}
				}
				sides[w][i] = append(sides[w][i], r.r)
			}
		}
	}
	var want []string
	for w, s := range sides {
		want = append(want, fmt.Sprintf(": %s @ %d", groupText(w.key, w.start, s[0], s[1]), w.start+999))
	}
	var one []rigStep // the two inputs are a union in front of the window
	low := [2]int64{operator.NoWatermark, operator.NoWatermark}
	for _, s := range steps {
		if r, ok := s.rec.(rec); ok {
			if s.input == 0 {
				s.rec = pair{L: r}
			} else {
				s.rec = pair{Right: true, R: r}
			}
		} else {
			low[s.input] = s.ts
			if s.ts = min(low[0], low[1]); s.ts == operator.NoWatermark {
				continue
			}
		}
		s.input = 0
		one = append(one, s)
	}
	in := []rigInput{rigKeyed(func(p pair) int64 { return p.L.Key + p.R.Key })}
	r := newRig(t, build, in, nil, 3)
	r.play(one)
	got := r.end()
	slices.Sort(got)
	slices.Sort(want)
	sameTexts(t, 0, got, want)
	checkRestore(t, rigCase{build: build, in: in, steps: one})
}

// groupText doesn't depend on the order in which senders were read.
func groupText(key, start int64, left, right []rec) string {
	text := fmt.Sprint(key, " ", start)
	for _, side := range [][]rec{left, right} {
		var n []int64
		for _, r := range side {
			n = append(n, r.N)
		}
		slices.Sort(n)
		text += fmt.Sprint(" ", n)
	}
	return text
}

func TestConnectedStreams(t *testing.T) {
	env := newEnv("test", nil)
	l, r := From(env, fakeSource[rec]{}), From(env, fakeSource[int64]{})
	both := Connect(l, r)
	build := func(out Stream[string]) []string {
		var texts []string
		rt := &fakeRuntime{outputs: map[string]operator.Input{"": collectTexts{&texts}}, counters: map[string]*operator.Counter{}}
		op, err := out.named.Factory(&operator.Env{Parallelism: 1, MaxParallelism: testGroups, BatchSize: 4, Runtime: rt})
		if err != nil {
			t.Fatal(err)
		}
		v := operator.NewVec[either[rec, int64]](0)
		v.V = append(v.V, either[rec, int64]{L: rec{N: 1}}, either[rec, int64]{Right: true, R: 7}, either[rec, int64]{L: rec{N: 2}})
		if err := op.Input(0).Batch(v); err != nil {
			t.Fatal(err)
		}
		if err := op.Input(0).End(); err != nil {
			t.Fatal(err)
		}
		return texts
	}
	mapped := build(CoMap(both, func(v rec) string { return fmt.Sprint("left ", v.N) }, func(n int64) string { return fmt.Sprint("right ", n) }))
	if want := []string{": left 1", ": right 7", ": left 2"}; !slices.Equal(mapped, want) {
		t.Errorf("CoMap gives %q, want %q", mapped, want)
	}
	flat := build(CoFlatMap(both, func(rec, func(string)) {}, func(n int64, emit func(string)) { emit("a"); emit("b") }))
	if want := []string{": a", ": b"}; !slices.Equal(flat, want) {
		t.Errorf("CoFlatMap gives %q, want %q", flat, want)
	}
	if n := len(env.g.Nodes); n != 2+2*3 {
		t.Errorf("%d nodes", n)
	}
	other := newEnv("other", nil)
	Connect(l, From(other, fakeSource[int64]{}))
	CoMap[rec, int64, string](both, nil, nil)
	env.sinks++
	env.finish()
	if err := env.g.Check(); err == nil || !strings.Contains(err.Error(), "another Env") || !strings.Contains(err.Error(), "CoMap with a nil function") {
		t.Errorf("%v", err)
	}
}

// collectTexts keeps what is emitted.
type collectTexts struct{ to *[]string }

func (c collectTexts) Batch(b operator.Batch) error {
	*c.to = append(*c.to, rigText("", b)...)
	return nil
}
func (c collectTexts) Watermark(int64) error { return nil }
func (c collectTexts) End() error            { return nil }

// Windows of a join that are late fire again with all that they hold, and what is later still is counted.
func TestLateRecordsOfAJoin(t *testing.T) {
	const size, lateness = 1000, 700
	type pair = either[rec, rec]
	type pane struct{ key, end int64 }
	for _, grouped := range []bool{false, true} {
		build := func(env *Env) *graph.Node {
			k := KeyBy(From(env, fakeSource[rec]{}), byKey)
			if grouped {
				return CoGroup(k, k, Tumbling(size*time.Millisecond), func(_ Pane[int64], l, r iter.Seq[rec], emit func(string)) {
					for a := range l {
						for b := range r {
							emit(fmt.Sprint(a, b))
						}
					}
				}, JoinLateness(lateness*time.Millisecond)).named
			}
			return Join(k, k, Tumbling(size*time.Millisecond), func(l, r rec) string { return fmt.Sprint(l, r) }, JoinLateness(lateness*time.Millisecond)).named
		}
		left, right := map[pane][]rec{}, map[pane][]rec{}
		var want []string
		fire := func(p pane) {
			for _, a := range left[p] {
				for _, b := range right[p] {
					want = append(want, ": "+fmt.Sprint(a, b)+fmt.Sprint(" @ ", p.end-1))
				}
			}
		}
		mark, dropped, again := operator.NoWatermark, int64(0), 0
		fired := map[pane]bool{}
		advance := func(to int64) {
			mark = to
			for _, side := range []map[pane][]rec{left, right} {
				for p := range side {
					if p.end-1 <= to && !fired[p] {
						fired[p] = true
						fire(p)
					}
				}
			}
		}
		var steps []rigStep
		for i, s := range rigSteps(randomSteps(8, 1500, 5, 3000)) {
			r, ok := s.rec.(rec)
			if !ok {
				advance(s.ts)
				steps = append(steps, s)
				continue
			}
			v := pair{L: r}
			side := left
			if i%2 != 0 {
				v, side = pair{Right: true, R: r}, right
			}
			s.rec = v
			steps = append(steps, s)
			p := pane{r.Key, s.ts - (s.ts%size+size)%size + size}
			if p.end-1+lateness <= mark {
				dropped++
				continue
			}
			side[p] = append(side[p], r)
			if p.end-1 <= mark {
				fired[p] = true
				again++
				fire(p)
			}
		}
		advance(operator.MaxWatermark)
		if dropped == 0 || again == 0 {
			t.Fatalf("%d dropped, %d fired again: the input shows nothing", dropped, again)
		}
		g := newRig(t, build, []rigInput{rigKeyed(func(p pair) int64 { return p.L.Key + p.R.Key })}, nil, 1)
		g.size = 1 // a watermark is behind what came before it
		g.play(steps)
		got := g.end()
		slices.Sort(got)
		slices.Sort(want)
		sameTexts(t, 0, got, want)
		if n := g.rts[0].Counter("numLateRecordsDropped").Value(); n != dropped {
			t.Errorf("grouped %v: %d records are counted as late, want %d", grouped, n, dropped)
		}
	}
}

func TestJoinLatenessMistakes(t *testing.T) {
	for _, in := range []Assigner{AtEnd(), Tumbling(time.Second).ProcessingTime()} {
		env := newEnv("test", nil)
		k := KeyBy(From(env, fakeSource[rec]{}), byKey)
		Join(k, k, in, func(l, r rec) string { return "" }, JoinLateness(time.Second))
		if err := env.g.Check(); err == nil || !strings.Contains(err.Error(), "join_test.go") {
			t.Errorf("%v: %v", in, err)
		}
	}
}
