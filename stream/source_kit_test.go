package stream

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/operator"
)

// The harness for sources with event time: splits that are written down beforehand, subtasks and coordinators that are run
// by hand, and a clock that only moves when nothing else is left to do.

// tick is a record: what is read of a split at processing time Due or later.
type tick struct {
	Split string
	N     int
	At    Time
	Due   int64
}

func tickTime(v tick) Time { return v.At }

// tickSource reads splits of ticks, turn by turn.
type tickSource struct {
	splits  [][]tick
	mixed   bool // the readers don't tell which split a record is of
	turn    int  // records read of a split in its turn; 0 is 1
	endless bool
}

func (s tickSource) Bounded() bool { return !s.endless }

func (s tickSource) Splits(_ *Runtime, snapshot []byte) (Splits, error) {
	sp := &tickSplits{endless: s.endless}
	for _, list := range s.splits {
		b, err := json.Marshal(list)
		if err != nil {
			return nil, err
		}
		sp.left = append(sp.left, b)
	}
	return sp, nil
}

func (s tickSource) Open(rt *Runtime) (SourceReader[tick], error) {
	r := &tickReader{rt: rt, turn: max(1, s.turn)}
	if s.mixed {
		return struct{ SourceReader[tick] }{r}, nil
	}
	return r, nil
}

type tickSplits struct {
	left    [][]byte
	endless bool
}

func (s *tickSplits) Next(int) ([]byte, bool, error) {
	if len(s.left) == 0 {
		return nil, s.endless, nil
	}
	next := s.left[0]
	s.left = s.left[1:]
	return next, true, nil
}
func (s *tickSplits) TakeBack(splits [][]byte)  { s.left = append(s.left, splits...) }
func (s *tickSplits) Snapshot() ([]byte, error) { return json.Marshal(s.left) }

type tickReader struct {
	rt    *Runtime
	track *SplitTracker
	turn  int
	open  []*tickSplit
}

type tickSplit struct {
	id   int
	left []tick
}

func (r *tickReader) Track(t *SplitTracker) { r.track = t }

func (r *tickReader) Add(split []byte) error {
	s := &tickSplit{id: r.track.Open()}
	r.open = append(r.open, s)
	return json.Unmarshal(split, &s.left)
}

func (r *tickReader) Poll(most int, emit func(*tick, Time)) (bool, error) {
	now := int64(r.rt.Now())
	for _, s := range slices.Clone(r.open) {
		for range r.turn {
			if len(s.left) == 0 || s.left[0].Due > now || most == 0 || r.track.Paused(s.id) {
				break
			}
			r.track.Select(s.id)
			emit(&s.left[0], s.left[0].At)
			s.left = s.left[1:]
			most--
		}
		if len(s.left) == 0 {
			r.track.Close(s.id)
			r.open = slices.DeleteFunc(r.open, func(o *tickSplit) bool { return o == s })
		}
	}
	return len(r.open) != 0, nil
}

func (r *tickReader) Snapshot() ([][]byte, error) {
	var all [][]byte
	for _, s := range r.open {
		b, err := json.Marshal(s.left)
		if err != nil {
			return nil, err
		}
		all = append(all, b)
	}
	return all, nil
}

// askingRuntime is a fakeRuntime whose requests reach a coordinator; answers come as mails.
type askingRuntime struct {
	fakeRuntime
	subtask int
	co      func() operator.Coordinator
	mails   []func() error
	woken   bool
}

func (r *askingRuntime) Wake() { r.woken = true }

func (r *askingRuntime) Ask(request []byte, reply func([]byte, error) error) {
	answer, err := r.co().Handle(r.subtask, request)
	r.mails = append(r.mails, func() error { return reply(answer, err) })
}

// simSubtask is one subtask of a source.
type simSubtask struct {
	op     *sourceOperator[tick]
	rt     *askingRuntime
	events []event
	resume int64 // not polled before, unless woken
	polls  int
	ended  bool
}

// mark is the last watermark, IdleWatermark included; low the highest.
func (s *simSubtask) mark() (last, low int64) {
	last, low = operator.NoWatermark, operator.NoWatermark
	for _, e := range s.events {
		if e.mark {
			last = e.at
			low = max(low, e.at)
		}
	}
	return last, low
}

func (s *simSubtask) records() (out []tick) {
	for _, e := range s.events {
		if !e.mark && !e.end {
			out = append(out, e.rec.(tick))
		}
	}
	return out
}

// late are the records behind a watermark that was said before them.
func (s *simSubtask) late() (out []tick) {
	low := operator.NoWatermark
	for _, e := range s.events {
		if e.mark {
			low = max(low, e.at)
		} else if !e.end && e.at <= low {
			out = append(out, e.rec.(tick))
		}
	}
	return out
}

// sourceSim is a job of sources alone, each with its coordinator.
type sourceSim struct {
	t       testing.TB
	now     int64
	nodes   []*graph.Node
	cos     []operator.Coordinator
	sources [][]*simSubtask
	after   func() // called after each Poll
}

const simBegin = 1_000_000

func newSourceSim(t testing.TB, subtasks int, build func(env *Env) []Stream[tick]) *sourceSim {
	t.Helper()
	env := newEnv("test", nil)
	streams := build(env)
	env.sinks++
	env.finish()
	if err := env.g.Check(); err != nil {
		t.Fatal(err)
	}
	s := &sourceSim{t: t, now: simBegin}
	for i, st := range streams {
		s.nodes = append(s.nodes, st.named)
		co, err := st.named.Coordinator(&operator.Env{ID: operator.ID{byte(i)}, Subtask: -1, Parallelism: subtasks})
		if err != nil {
			t.Fatal(err)
		}
		s.cos = append(s.cos, co)
		s.sources = append(s.sources, make([]*simSubtask, subtasks))
		for j := range subtasks {
			s.open(i, j)
		}
	}
	return s
}

// open starts a subtask, or starts it again.
func (s *sourceSim) open(source, subtask int) *simSubtask {
	s.t.Helper()
	x := &simSubtask{}
	x.rt = &askingRuntime{subtask: subtask, co: func() operator.Coordinator { return s.cos[source] }}
	x.rt.now, x.rt.outputs, x.rt.counters = s.now, map[string]operator.Input{"": capture[tick]{&x.events}}, map[string]*operator.Counter{}
	n := s.nodes[source]
	op, err := n.Factory(&operator.Env{ID: operator.ID{byte(source)}, Name: n.Name, Subtask: subtask, Parallelism: len(s.sources[source]),
		MaxParallelism: testGroups, BatchSize: 8, WatermarkInterval: 200, Runtime: x.rt})
	if err != nil {
		s.t.Fatal(err)
	}
	x.op = op.(*sourceOperator[tick])
	s.sources[source][subtask] = x
	return x
}

// step gives each subtask its turn and says whether one had something to do.
func (s *sourceSim) step() (worked bool) {
	s.t.Helper()
	for _, subtasks := range s.sources {
		for _, x := range subtasks {
			worked = s.turn(x) || worked
		}
	}
	return worked
}

func (s *sourceSim) turn(x *simSubtask) bool {
	s.t.Helper()
	if x.ended {
		return false
	}
	x.rt.now = s.now
	mails := x.rt.mails
	x.rt.mails = nil
	for _, m := range mails {
		if err := m(); err != nil {
			s.t.Fatal(err)
		}
		x.rt.woken = true
	}
	if x.rt.wake != 0 && x.rt.wake <= s.now {
		x.rt.wake = 0
		if err := x.op.ProcessingTime(s.now); err != nil {
			s.t.Fatal(err)
		}
	}
	if !x.rt.woken && s.now < x.resume {
		return false
	}
	x.rt.woken = false
	x.polls++
	wait, ended, err := x.op.Poll()
	if err != nil {
		s.t.Fatal(err)
	}
	x.ended, x.resume = ended, s.now+wait.Milliseconds()
	if s.after != nil {
		s.after()
	}
	return true
}

// runTo goes on until the clock shows until ms since the begin.
func (s *sourceSim) runTo(until time.Duration) {
	s.t.Helper()
	for to := simBegin + until.Milliseconds(); ; s.now++ {
		for s.step() {
		}
		if s.now >= to {
			return
		}
	}
}

// run goes on until all sources have ended.
func (s *sourceSim) run() {
	s.t.Helper()
	for limit := s.now + time.Hour.Milliseconds(); ; s.now++ {
		for s.step() {
		}
		if !slices.ContainsFunc(slices.Concat(s.sources...), func(x *simSubtask) bool { return !x.ended }) {
			return
		}
		if s.now > limit {
			s.t.Fatal("the sources don't end: after an hour of processing time some still wait")
		}
	}
}

// checkAll says that every tick of the splits came out once.
func checkAll(t testing.TB, got []tick, splits [][]tick) {
	t.Helper()
	sameSet(t, got, slices.Concat(splits...))
}

// ticks are n records of a split, every ms of event time, due every pace ms.
func ticks(name string, n int, from, every Time, due, pace int64) []tick {
	list := make([]tick, n)
	for i := range list {
		list[i] = tick{name, i, from + Time(i)*every, due + int64(i)*pace}
	}
	return list
}

func splitNames(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprint("s", i)
	}
	return out
}
