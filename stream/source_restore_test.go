package stream

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/operator"
)

// countingReader reads splits "from-to", all open ones in turn.
type countingReader struct{ open [][2]int }

func (r *countingReader) Add(split []byte) error {
	from, to, ok := strings.Cut(string(split), "-")
	a, err := strconv.Atoi(from)
	b, err2 := strconv.Atoi(to)
	if err = errors.Join(err, err2); err != nil || !ok {
		return fmt.Errorf("split %q: %w", split, err)
	}
	r.open = append(r.open, [2]int{a, b})
	return nil
}

func (r *countingReader) Poll(max int, emit func(*int, Time)) (bool, error) {
	for range max {
		if len(r.open) == 0 {
			return false, nil
		}
		s := r.open[0]
		emit(&s[0], NoTime)
		r.open = r.open[1:]
		if s[0]++; s[0] < s[1] {
			r.open = append(r.open, s)
		}
	}
	return len(r.open) != 0, nil
}

func (r *countingReader) Snapshot() (splits [][]byte, err error) {
	for _, s := range r.open {
		splits = append(splits, fmt.Appendf(nil, "%d-%d", s[0], s[1]))
	}
	return splits, nil
}

type countingSource struct{}

func (countingSource) Splits(*Runtime, []byte) (Splits, error)  { return nil, nil }
func (countingSource) Open(*Runtime) (SourceReader[int], error) { return &countingReader{}, nil }

func countingNode(env *Env) *graph.Node { return From(env, countingSource{}).named }

func poll(t *testing.T, r *rig, i int) {
	t.Helper()
	if _, _, err := r.ops[i].(operator.Source).Poll(); err != nil {
		t.Fatal(err)
	}
}

func TestOpenSplitsGoOnElsewhere(t *testing.T) {
	for _, after := range []int{1, 2, 5} {
		r := newRig(t, countingNode, nil, nil, 2)
		var want []string
		for i, split := range []string{"0-20", "100-160", "200-203"} {
			op := r.ops[i%2].(*sourceOperator[int])
			if err := op.answer(append([]byte{answerSplit}, split...), nil); err != nil {
				t.Fatal(err)
			}
		}
		for _, s := range [][2]int{{0, 20}, {100, 160}, {200, 203}} {
			for n := s[0]; n < s[1]; n++ {
				want = append(want, fmt.Sprintf(": %d", n))
			}
		}
		poll(t, r, 0)
		poll(t, r, 1)
		img := r.checkpoint()
		poll(t, r, 1) // lost
		r.wait(img)
		r.restore(img, after)
		for range 20 {
			for i := range r.ops {
				if len(r.ops[i].(*sourceOperator[int]).r.(*countingReader).open) != 0 {
					poll(t, r, i)
				}
			}
		}
		slices.Sort(want)
		slices.Sort(r.out)
		sameTexts(t, after, r.out, want)
	}
}

// givingSplits gives the numbers from next on.
type givingSplits struct {
	next  int
	taken []string
}

func (s *givingSplits) Next(int) ([]byte, bool, error) {
	s.next++
	return []byte(strconv.Itoa(s.next)), true, nil
}
func (s *givingSplits) TakeBack(splits [][]byte) {
	for _, x := range splits {
		s.taken = append(s.taken, string(x))
	}
}
func (s *givingSplits) Snapshot() ([]byte, error) { return nil, nil }

func TestCoordinatorTakesBackWhatNoCompleteCheckpointHolds(t *testing.T) {
	sp := &givingSplits{}
	c := &splitCoordinator{sp: sp, given: map[int][]givenSplit{}}
	give := func(subtask int) {
		if _, err := c.Handle(subtask, nil); err != nil {
			t.Fatal(err)
		}
	}
	snapshot := func(id int64) {
		if _, err := c.Snapshot(id); err != nil {
			t.Fatal(err)
		}
	}
	give(0) // 1
	give(1) // 2
	snapshot(1)
	give(0) // 3
	snapshot(2)
	give(0) // 4
	if err := errors.Join(c.CheckpointComplete(1), c.CheckpointAborted(2)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.Lost(0), c.Lost(1), c.Lost(0)); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(sp.taken, " "); got != "3 4" {
		t.Fatalf("took back %q, want 3 and 4: checkpoint 1 holds 1 and 2", got)
	}
}

// rememberingWriter writes in transactions of its own and remembers the one that is open.
type rememberingWriter struct {
	lines, flushed, got []string
	next                string
}

func (w *rememberingWriter) Write(v *rec, _ Time) error {
	w.lines = append(w.lines, v.Name)
	return nil
}

func (w *rememberingWriter) Flush() ([][]byte, error) {
	w.flushed, w.lines = append(w.flushed, w.lines...), nil
	return nil, nil
}

func (w *rememberingWriter) Snapshot() ([][]byte, error) {
	if len(w.lines) != 0 {
		return nil, errors.New("not flushed before the snapshot")
	}
	return [][]byte{[]byte(w.next)}, nil
}

func (w *rememberingWriter) Restore(parts [][]byte) error {
	for _, p := range parts {
		w.got = append(w.got, string(p))
	}
	return nil
}

type rememberingSink struct{ commits bool }

func (s rememberingSink) Open(rt *Runtime) (SinkWriter[rec], error) {
	return &rememberingWriter{next: fmt.Sprint("tx", rt.Subtask)}, nil
}
func (rememberingSink) Commit(*Runtime, [][]byte) error { return nil }
func (s rememberingSink) Commits() bool                 { return s.commits }

func TestSinkFlushesAtTheBarrierAndRemembers(t *testing.T) {
	for _, commits := range []bool{false, true} {
		r := newRig(t, func(env *Env) *graph.Node {
			s := From(env, fakeSource[rec]{})
			return s.To(rememberingSink{commits}).named
		}, []rigInput{rigSpread[rec]()}, nil, 3)
		writer := func(i int) *rememberingWriter {
			if c, ok := r.ops[i].(*committingSink[rec]); ok {
				return c.w.(*rememberingWriter)
			}
			return r.ops[i].(*sinkOperator[rec]).w.(*rememberingWriter)
		}
		for i := range 30 {
			r.play([]rigStep{{rec: rec{Name: fmt.Sprint(i)}, ts: 1}})
		}
		img := r.checkpoint()
		r.wait(img)
		flushed := 0
		for i := range r.ops {
			flushed += len(writer(i).flushed)
		}
		if flushed != 30 {
			t.Fatalf("commits %v: %d records were flushed at the barrier, want 30", commits, flushed)
		}
		r.restore(img, 2)
		var got []string
		for i := range r.ops {
			got = append(got, writer(i).got...)
		}
		slices.Sort(got)
		if !slices.Equal(got, []string{"tx0", "tx1", "tx2"}) {
			t.Fatalf("commits %v: restored %v", commits, got)
		}
	}
}
