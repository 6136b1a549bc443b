package stream

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/weftstream/weft/operator"
)

func timedSim(t testing.TB, subtasks int, src tickSource, o ...TimeOption) *sourceSim {
	t.Helper()
	return newSourceSim(t, subtasks, func(env *Env) []Stream[tick] {
		return []Stream[tick]{From(env, src, EventTime(tickTime, o...))}
	})
}

// Two splits of which one is an hour behind the other: where each has its own watermark nothing is late.
func TestSplitsWithSkewedTimes(t *testing.T) {
	hour := Time(time.Hour.Milliseconds())
	src := tickSource{splits: [][]tick{ticks("ahead", 310, hour, 10, 0, 0), ticks("behind", 300, 0, 10, 0, 0)}}
	s := timedSim(t, 1, src)
	// A source asks for a split when it has none: the second one is added by hand, as by a restore.
	addSplits(t, s, src.splits)
	s.run()
	x := s.sources[0][0]
	checkAll(t, x.records(), src.splits)
	if late := x.late(); len(late) != 0 {
		t.Errorf("%d records are late, the first is %+v", len(late), late[0])
	}
	if _, low := x.mark(); low != int64(hour)+3089 {
		t.Errorf("the highest watermark is %d, want that of the split ahead", low)
	}

	src.mixed = true
	s = timedSim(t, 1, src)
	addSplits(t, s, src.splits)
	s.run()
	if late := s.sources[0][0].late(); len(late) == 0 {
		t.Error("nothing is late although the splits share a watermark: the test's input shows nothing")
	}
}

// addSplits gives all splits to the one subtask of s and leaves none to the coordinator.
func addSplits(t testing.TB, s *sourceSim, splits [][]tick) {
	t.Helper()
	sp := s.cos[0]
	if a, ok := sp.(*alignedSplits); ok {
		sp = a.splitCoordinator
	}
	left := sp.(*splitCoordinator).sp.(*tickSplits)
	for _, b := range left.left {
		if err := s.sources[0][0].op.r.Add(b); err != nil {
			t.Fatal(err)
		}
		s.sources[0][0].op.reading = true
	}
	left.left = nil
}

// randomSplits are splits out of order by up to late, which begin at any time and go at any speed.
func randomSplits(r *rand.Rand, late int64) [][]tick {
	var all [][]tick
	for _, name := range splitNames(1 + r.IntN(6)) {
		high, due := r.Int64N(100_000), int64(simBegin)
		list := make([]tick, r.IntN(200)+1)
		pace := r.Int64N(30)
		for i := range list {
			high += r.Int64N(50)
			list[i] = tick{name, i, Time(high - r.Int64N(late+1)), due}
			due += r.Int64N(pace + 1)
		}
		all = append(all, list)
	}
	return all
}

func TestWatermarkIsTheLowestOfTheOpenSplits(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	for range 60 {
		late := r.Int64N(3) * 100
		src := tickSource{splits: randomSplits(r, late), turn: 1 + r.IntN(4)}
		s := timedSim(t, 1, src, OutOfOrder(time.Duration(late)*time.Millisecond))
		addSplits(t, s, src.splits)
		x := s.sources[0][0]
		high, left := map[string]int64{}, map[string]int{}
		for _, list := range src.splits {
			high[list[0].Split], left[list[0].Split] = operator.NoWatermark, len(list)
		}
		seen, want := 0, operator.NoWatermark
		s.after = func() {
			for _, v := range x.records()[seen:] {
				seen++
				high[v.Split] = max(high[v.Split], int64(v.At))
				left[v.Split]--
			}
			want = max(want, lowest(high, late))
			for name, n := range left {
				if n == 0 {
					delete(high, name)
				}
			}
			want = max(want, lowest(high, late))
			if _, low := x.mark(); low != want {
				t.Fatalf("seed %d: the watermark is %d after %d records, want %d", seed, low, seen, want)
			}
		}
		s.run()
		checkAll(t, x.records(), src.splits)
		if late := x.late(); len(late) != 0 {
			t.Fatalf("seed %d: %d records are late, the first is %+v", seed, len(late), late[0])
		}
	}
}

func lowest(high map[string]int64, late int64) int64 {
	low := operator.MaxWatermark
	for _, h := range high {
		if h == operator.NoWatermark {
			return h
		}
		low = min(low, h-late-1)
	}
	if len(high) == 0 {
		return operator.NoWatermark
	}
	return low
}

// Splits that go on in other subtasks begin anew: what is read after a restore is never late there.
func TestRestoredSplitsHoldTheWatermark(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 2))
	for range 40 {
		src := tickSource{splits: randomSplits(r, 0)}
		s := timedSim(t, 1, src)
		addSplits(t, s, src.splits)
		x := s.sources[0][0]
		s.runTo(time.Duration(r.IntN(2000)) * time.Millisecond)
		var before []tick
		if !x.ended {
			before = x.records()
			shot, err := x.op.Snapshot(1)
			if err != nil {
				t.Fatal(err)
			}
			part := &rigPart{}
			if err := shot.Write(part); err != nil {
				t.Fatal(err)
			}
			x = s.open(0, 0)
			if err := x.op.Restore(rigReader{&rigImage{parts: []*rigPart{part}}, 0, 1}); err != nil {
				t.Fatal(err)
			}
		}
		s.run()
		checkAll(t, append(before, x.records()...), src.splits)
		if late := x.late(); len(late) != 0 {
			t.Fatalf("seed %d: %d records are late after the restore, the first is %+v", seed, len(late), late[0])
		}
	}
}

func TestIdleSplitsLeaveTheMinimum(t *testing.T) {
	quiet := []tick{{"quiet", 0, 5, 0}, {"quiet", 1, 20_000, simBegin + 10_000}}
	busy := append(ticks("busy", 40, 0, 100, simBegin, 100), tick{"busy", 40, 30_000, simBegin + 10_000})
	src := tickSource{splits: [][]tick{busy, quiet}}
	s := timedSim(t, 1, src, Idle(time.Second))
	addSplits(t, s, src.splits)
	x := s.sources[0][0]
	at := func(until time.Duration, what string, want int64) {
		t.Helper()
		s.runTo(until)
		if got, _ := x.mark(); got != want {
			t.Errorf("after %v, %s: watermark %d, want %d", until, what, got, want)
		}
	}
	at(500*time.Millisecond, "the quiet split is waited for", 4)
	at(2*time.Second, "the quiet split is idle", 1999)
	at(3950*time.Millisecond, "only the busy one counts", 3899)
	at(9*time.Second, "no split has records", operator.IdleWatermark)
	at(11*time.Second, "there are records again", 19_999)
	s.run()
	if late := x.late(); len(late) != 0 {
		t.Errorf("late: %+v", late)
	}
}

// Where nothing can be emitted for long, a split has records for all we know.
func TestTimeWithoutPollsIsNotIdleness(t *testing.T) {
	src := tickSource{splits: [][]tick{ticks("a", 1000, 0, 100, simBegin, 1), ticks("b", 50, 0, 10, simBegin, 20)}}
	s := timedSim(t, 1, src, Idle(time.Second))
	addSplits(t, s, src.splits)
	s.runTo(10 * time.Millisecond)
	s.now += time.Minute.Milliseconds()
	// a's turn comes first; b's records have been there all the time, too.
	b := s.sources[0][0].op.r.(*tickReader).open[1]
	for i := range b.left {
		b.left[i].Due += 60_050
	}
	s.step()
	if got, _ := s.sources[0][0].mark(); got > 10 {
		t.Errorf("watermark %d: the split without a turn is called idle", got)
	}
}

func TestGeneratorOfEachSplit(t *testing.T) {
	src := tickSource{splits: [][]tick{ticks("a", 30, 1, 10, simBegin, 10), ticks("b", 30, 5001, 10, simBegin, 10)}, turn: 2}
	made := 0
	s := newSourceSim(t, 1, func(env *Env) []Stream[tick] {
		return []Stream[tick]{From(env, src, EventTimeWith(tickTime, func(*Runtime) Watermarks { made++; return &stampedMarks{} }))}
	})
	addSplits(t, s, src.splits)
	x := s.sources[0][0]
	s.runTo(150 * time.Millisecond)
	if got, _ := x.mark(); got != operator.NoWatermark {
		t.Errorf("watermark %d before the generators were asked, and no record says one", got)
	}
	s.runTo(200 * time.Millisecond)
	if got, _ := x.mark(); got < 100 || got > 200 {
		t.Errorf("watermark %d, want the periodic one of the split behind", got)
	}
	s.run()
	if late := x.late(); len(late) != 0 || made != 2 {
		t.Errorf("%d generators, late: %+v", made, late)
	}
}

func TestNoIntervalNeverAsksGenerators(t *testing.T) {
	var events []event
	env := newEnv("test", nil)
	g := &stampedMarks{}
	st := From(env, tickSource{}, EventTimeWith(tickTime, func(*Runtime) Watermarks { return g }))
	rt := &fakeRuntime{outputs: map[string]operator.Input{"": capture[tick]{&events}}, now: simBegin}
	if _, err := st.named.Factory(&operator.Env{Parallelism: 1, BatchSize: 8, Runtime: rt}); err != nil {
		t.Fatal(err)
	}
	if rt.wake != 0 {
		t.Errorf("asks to be woken at %d", rt.wake)
	}
	behind := From(env, tickSource{}).TimestampsWith(tickTime, func(*Runtime) Watermarks { return g })
	if _, err := behind.named.Factory(&operator.Env{Parallelism: 1, BatchSize: 8, Runtime: rt}); err != nil {
		t.Fatal(err)
	}
	if rt.wake != 0 {
		t.Errorf("asks to be woken at %d", rt.wake)
	}
}

// The times that a source gives are kept where the program names no function.
func TestEventTimeOfTheSource(t *testing.T) {
	src := tickSource{splits: [][]tick{ticks("a", 10, 100, 10, simBegin, 1)}}
	s := newSourceSim(t, 1, func(env *Env) []Stream[tick] {
		return []Stream[tick]{From(env, src, EventTime[tick](nil))}
	})
	s.run()
	x := s.sources[0][0]
	for _, e := range x.events {
		if !e.mark && !e.end && e.at != int64(e.rec.(tick).At) {
			t.Errorf("record %+v at %d", e.rec, e.at)
		}
	}
	if _, low := x.mark(); low != 189 {
		t.Errorf("the highest watermark is %d, want 189", low)
	}
}

func TestEventTimeMistakes(t *testing.T) {
	for want, o := range map[string][]SourceOption[tick]{
		"negative duration":        {EventTime(tickTime, OutOfOrder(-time.Second))},
		"From with two options":    {EventTime(tickTime), EventTime(tickTime)},
		"the group needs a name":   {EventTime(tickTime, Align("", time.Second))},
		"drift of -1s is negative": {EventTime(tickTime, Align("g", -time.Second))},
		"AlignEvery(0s)":           {EventTime(tickTime, Align("g", time.Second), AlignEvery(0))},
	} {
		env := newEnv("test", nil)
		From(env, tickSource{}, o...)
		if err := env.g.Check(); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "source_times_test.go") {
			t.Errorf("got %v, want %q with the user's line", err, want)
		}
	}
	env := newEnv("test", nil)
	From(env, tickSource{}).Timestamps(tickTime, Align("g", time.Second))
	if err := env.g.Check(); err == nil || !strings.Contains(err.Error(), "Timestamps with Align: only a source can wait") {
		t.Errorf("Align on Timestamps: %v", err)
	}
}

func TestGeneratorThatIsMissing(t *testing.T) {
	for _, mixed := range []bool{false, true} {
		env := newEnv("test", nil)
		st := From(env, tickSource{mixed: mixed}, EventTimeWith(tickTime, nil))
		op, err := st.named.Factory(&operator.Env{Parallelism: 1, BatchSize: 8, Runtime: &fakeRuntime{}})
		if err == nil {
			o := op.(*sourceOperator[tick])
			if err = o.answer([]byte(fmt.Sprintf("%c%s", answerSplit, `[{"At":1}]`)), nil); err == nil {
				_, _, err = o.Poll()
			}
		}
		if err == nil || !strings.Contains(err.Error(), "no generator") {
			t.Errorf("mixed %v: %v", mixed, err)
		}
	}
}

// silentReader has a tracker and says nothing.
type silentReader struct{ *tickReader }

func (r silentReader) Track(*SplitTracker) {}

func TestReaderThatNamesNoSplit(t *testing.T) {
	src := tickSource{splits: [][]tick{ticks("a", 10, 100, 10, 0, 0)}}
	s := timedSim(t, 1, src)
	x := s.sources[0][0]
	spec := &sourceSpec[tick]{timed: true, at: tickTime}
	r := silentReader{&tickReader{rt: NewRuntime(&operator.Env{Runtime: x.rt}, nil), turn: 1}}
	var err error
	if x.op.times, err = spec.times(x.op.env, NewRuntime(&operator.Env{Runtime: x.rt}, nil), &x.op.out, r); err != nil {
		t.Fatal(err)
	}
	x.op.r, x.op.reading = r, true
	if err := r.Add([]byte(`[{"At":1}]`)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := x.op.Poll(); err != errNoSplit {
		t.Errorf("got %v", err)
	}
}
