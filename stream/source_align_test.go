package stream

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/weftstream/weft/operator"
)

// alignSim is a job of n sources in one group.
func alignSim(t testing.TB, subtasks int, drift, every time.Duration, o []TimeOption, sources ...tickSource) *sourceSim {
	t.Helper()
	return newSourceSim(t, subtasks, func(env *Env) (all []Stream[tick]) {
		for _, src := range sources {
			all = append(all, From(env, src, EventTime(tickTime, append(o, Align("g", drift), AlignEvery(every))...)))
		}
		return all
	})
}

// spread checks after each Poll that no subtask is further ahead of the lowest than drift and what one batch can add.
func (s *sourceSim) spread(drift, batch int64) {
	s.after = func() {
		low, high := operator.MaxWatermark, operator.NoWatermark
		for _, subtasks := range s.sources {
			for _, x := range subtasks {
				last, mark := x.mark()
				high = max(high, mark)
				if !x.ended && last != operator.IdleWatermark {
					low = min(low, mark)
				}
			}
		}
		if low != operator.MaxWatermark && low != operator.NoWatermark && high > low+drift+batch {
			s.t.Fatalf("at %d ms: one source is at %d, another at %d: %d apart, %d are allowed and %d for a batch", s.now-simBegin, high, low, high-low, drift, batch)
		}
	}
}

func TestFastSourceWaitsForSlowOne(t *testing.T) {
	fast := tickSource{splits: [][]tick{ticks("f0", 400, 0, 100, simBegin, 0), ticks("f1", 400, 0, 100, simBegin, 0)}, turn: 4}
	slow := tickSource{splits: [][]tick{ticks("s0", 100, 0, 400, simBegin, 100), ticks("s1", 100, 0, 400, simBegin, 90)}}
	const drift = 10 * time.Second
	s := alignSim(t, 2, drift, time.Second, nil, fast, slow)
	s.spread(drift.Milliseconds(), 8*100)
	s.run()
	for i, src := range []tickSource{fast, slow} {
		checkAll(t, append(s.sources[i][0].records(), s.sources[i][1].records()...), src.splits)
	}
	took := s.now - simBegin
	if took < 9000 || took > 12_000 {
		t.Errorf("took %d ms, the slow source needs 9.9 s", took)
	}
	// One that is paused sleeps until the next report, and one answer wakes it.
	for _, x := range s.sources[0] {
		if most := 3*int(took/1000) + 2*400/4 + 10; x.polls > most {
			t.Errorf("%d polls of the fast source, want at most %d: it doesn't sleep while it is paused", x.polls, most)
		}
	}
	// Without a group nothing holds it.
	free := newSourceSim(t, 2, func(env *Env) []Stream[tick] {
		return []Stream[tick]{From(env, fast, EventTime(tickTime)), From(env, slow, EventTime(tickTime))}
	})
	free.runTo(time.Second)
	if len(free.sources[0][0].records()) != 400 {
		t.Error("the fast source is slow by itself: the test shows nothing")
	}
}

func TestAlignedSourcesAreNeverFarApart(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 3))
	for range 25 {
		drift := time.Duration(r.IntN(5000)) * time.Millisecond
		var sources []tickSource
		for range 1 + r.IntN(3) {
			src := tickSource{turn: 1 + r.IntN(3)}
			for range 2 {
				pace := r.Int64N(40)
				list := ticks("x", 1+r.IntN(300), 0, 0, simBegin, pace)
				at := int64(0)
				for i := range list {
					at += r.Int64N(100)
					list[i].At = Time(at)
				}
				src.splits = append(src.splits, list)
			}
			sources = append(sources, src)
		}
		s := alignSim(t, 2, drift, time.Duration(1+r.IntN(1000))*time.Millisecond, nil, sources...)
		s.spread(drift.Milliseconds(), 3*100)
		s.run()
		for i, src := range sources {
			checkAll(t, append(s.sources[i][0].records(), s.sources[i][1].records()...), src.splits)
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// A split that is ahead is left out while the others of its reader go on.
func TestSplitsOfOneReaderAreAligned(t *testing.T) {
	src := tickSource{splits: [][]tick{ticks("fast", 300, 0, 100, simBegin, 0), ticks("slow", 100, 0, 300, simBegin, 50)}}
	s := alignSim(t, 1, time.Second, 100*time.Millisecond, nil, src)
	addSplits(t, s, src.splits)
	x := s.sources[0][0]
	high := map[string]Time{}
	seen := 0
	s.after = func() {
		for _, v := range x.records()[seen:] {
			seen++
			high[v.Split] = v.At
			if slow, ok := high["slow"]; ok && v.Split == "fast" && high["slow"] < 29_700 && v.At > slow+1000+300+100 {
				t.Fatalf("the fast split is at %d, the slow one at %d", v.At, slow)
			}
		}
	}
	s.run()
	checkAll(t, x.records(), src.splits)
}

func TestIdleAndEndedSourcesHoldNobody(t *testing.T) {
	fast := tickSource{splits: [][]tick{ticks("f", 300, 0, 100, simBegin, 0)}}
	short := tickSource{splits: [][]tick{ticks("short", 3, 0, 100, simBegin, 0)}}
	silent := tickSource{splits: [][]tick{{{"silent", 0, 0, simBegin}, {"silent", 1, 40_000, simBegin + 100_000}}}}
	none := tickSource{endless: true} // its coordinator never has a split
	s := alignSim(t, 1, time.Second, 100*time.Millisecond, []TimeOption{Idle(2 * time.Second)}, fast, short, silent, none)
	s.runTo(time.Second)
	if n := len(s.sources[0][0].records()); n > 20 {
		t.Errorf("%d records of the fast source before the silent one is idle", n)
	}
	s.runTo(10 * time.Second)
	if x := s.sources[0][0]; !x.ended || len(x.records()) != 300 {
		t.Errorf("the fast source has read %d records of 300: it waits for one that is idle, has ended or has no split", len(x.records()))
	}
}

// A subtask that is lost holds nobody, and when it is back it takes part again.
func TestLostSubtasksLeaveTheGroup(t *testing.T) {
	g := &alignment{marks: map[aligned]int64{}}
	a, b := operator.ID{1}, operator.ID{2}
	g.join(a, 2)
	g.join(b, 1)
	if low := g.reached(a, 0, 100); low != operator.NoWatermark {
		t.Errorf("low %d before all have reported", low)
	}
	g.reached(a, 1, 50)
	if low := g.reached(b, 0, 70); low != 50 {
		t.Errorf("low %d, want 50", low)
	}
	c := &alignedSplits{&splitCoordinator{sp: &tickSplits{}, given: map[int][]givenSplit{}}, g, a}
	if err := c.Lost(1); err != nil {
		t.Fatal(err)
	}
	if low := g.reached(b, 0, 70); low != 70 {
		t.Errorf("low %d after the loss of the lowest, want 70", low)
	}
	g.reached(a, 1, 60)
	if low := g.reached(b, 0, operator.IdleWatermark); low != 60 {
		t.Errorf("low %d, want 60", low)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if low := g.reached(b, 0, operator.IdleWatermark); low != operator.MaxWatermark {
		t.Errorf("low %d with nobody but an idle one", low)
	}
}
