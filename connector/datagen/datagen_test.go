package datagen

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/weftstream/weft/stream"
	"github.com/weftstream/weft/streamtest"
)

func numbers(*stream.Runtime) func(int64) int64 { return func(i int64) int64 { return i } }

func TestEveryNumberOnceWhateverTheParallelism(t *testing.T) {
	for _, readers := range []int{1, 2, 7} {
		s := New(20, numbers)
		sp, err := s.Splits(streamtest.NewRuntime(t, -1, readers), nil)
		if err != nil {
			t.Fatal(err)
		}
		var got []int64
		for i := range readers {
			r, err := s.Open(streamtest.NewRuntime(t, i, readers))
			if err != nil {
				t.Fatal(err)
			}
			split, _, _ := sp.Next(i)
			if err := r.Add(split); err != nil {
				t.Fatal(err)
			}
			if again, more, _ := sp.Next(i); again != nil || more {
				t.Fatal("a second split for the same reader")
			}
			for more := true; more; {
				if more, err = r.Poll(3, func(v *int64, _ stream.Time) { got = append(got, *v) }); err != nil {
					t.Fatal(err)
				}
			}
		}
		slices.Sort(got)
		for i := range int64(20) {
			if len(got) != 20 || got[i] != i {
				t.Fatalf("%d readers made %v", readers, got)
			}
		}
	}
}

func TestRateIsPerSecondOfAllSubtasks(t *testing.T) {
	rd, err := New(0, numbers, Rate(100)).Open(streamtest.NewRuntime(t, 1, 2))
	if err != nil {
		t.Fatal(err)
	}
	r := rd.(*reader[int64])
	if err := r.Add(appendRuns(nil, run{1, 2})); err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1000, 0)
	r.now = func() time.Time { return now }
	made := 0
	for range 1000 {
		if more, err := r.Poll(8, func(*int64, stream.Time) { made++ }); err != nil || !more {
			t.Fatal("ended", err)
		}
		if w := r.Wait(); w <= 0 || w > 100*time.Millisecond {
			t.Fatalf("waits %v", w)
		}
		now = now.Add(time.Millisecond)
	}
	if made < 49 || made > 52 {
		t.Fatalf("made %d records in a second, want 50", made)
	}
}

func TestBadArguments(t *testing.T) {
	rt := streamtest.NewRuntime(t, -1, 1)
	for name, s := range map[string]stream.Source[int64]{"events": New(-1, numbers), "nil": New[int64](1, nil), "rate": New(1, numbers, Rate(-1))} {
		if _, err := s.Splits(rt, nil); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// A checkpoint at any moment, restored with any parallelism, any number of times: every number once in total.
func TestEveryNumberOnceOverRestores(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	for range 200 {
		events := r.Int64N(60) + 1
		s := New(events, numbers)
		var got []int64
		emit := func(v *int64, _ stream.Time) { got = append(got, *v) }
		var snapshot []byte
		var open [][]byte
		for round := 0; ; round++ {
			n := r.IntN(5) + 1
			sp, err := s.Splits(streamtest.NewRuntime(t, -1, n), snapshot)
			if err != nil {
				t.Fatal(err)
			}
			readers := make([]stream.SourceReader[int64], n)
			for i := range readers {
				if readers[i], err = s.Open(streamtest.NewRuntime(t, i, n)); err != nil {
					t.Fatal(err)
				}
			}
			for _, b := range open {
				if err := readers[r.IntN(n)].Add(b); err != nil {
					t.Fatal(err)
				}
			}
			last := round == 5
			for i, rd := range readers {
				for range r.IntN(4) {
					if _, err := rd.Poll(r.IntN(4), emit); err != nil {
						t.Fatal(err)
					}
				}
				if last || r.IntN(3) != 0 {
					b, more, _ := sp.Next(i)
					if (b != nil) != more {
						t.Fatal("a split without more, or more without a split")
					}
					if b != nil && r.IntN(3) == 0 { // given, but lost
						sp.TakeBack([][]byte{b})
						b, _, _ = sp.Next(i)
					}
					if b != nil {
						if err := rd.Add(b); err != nil {
							t.Fatal(err)
						}
					}
				}
				for more := last; more; {
					if more, err = rd.Poll(3, emit); err != nil {
						t.Fatal(err)
					}
				}
			}
			if last {
				break
			}
			if snapshot, err = sp.Snapshot(); err != nil || len(snapshot) == 0 {
				t.Fatalf("snapshot %x, %v: an empty one is that of a job that hasn't begun", snapshot, err)
			}
			open = nil
			for _, rd := range readers {
				b, err := rd.Snapshot()
				if err != nil {
					t.Fatal(err)
				}
				open = append(open, b...)
			}
		}
		slices.Sort(got)
		for i := range events {
			if int64(len(got)) != events || got[i] != i {
				t.Fatalf("seed %d: %d events: made %v", seed, events, got)
			}
		}
	}
}

func TestEndlessRunsTakeTurns(t *testing.T) {
	rd, err := New(0, numbers).Open(streamtest.NewRuntime(t, 0, 1))
	if err != nil {
		t.Fatal(err)
	}
	if err := rd.Add(appendRuns(nil, run{0, 3}, run{7, 3})); err != nil {
		t.Fatal(err)
	}
	if err := rd.Add(appendRuns(nil, run{2, 3})); err != nil {
		t.Fatal(err)
	}
	var got []int64
	for range 4 {
		if _, err := rd.Poll(2, func(v *int64, _ stream.Time) { got = append(got, *v) }); err != nil {
			t.Fatal(err)
		}
	}
	if want := []int64{0, 3, 7, 10, 2, 5, 6, 9}; !slices.Equal(got, want) {
		t.Fatalf("made %v, want %v", got, want)
	}
}

func TestBadSplits(t *testing.T) {
	s := New(1, numbers)
	rd, err := s.Open(streamtest.NewRuntime(t, 0, 1))
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range [][]byte{{0}, {1, 2}, {0, 0}, {0x80}} {
		if err := rd.Add(b); err == nil {
			t.Errorf("split % x was added", b)
		}
		if _, err := s.Splits(streamtest.NewRuntime(t, -1, 1), append([]byte{snapshotVersion}, b...)); err == nil {
			t.Errorf("a snapshot with split % x was taken", b)
		}
	}
	if _, err := s.Splits(streamtest.NewRuntime(t, -1, 1), []byte{9}); err == nil {
		t.Error("a snapshot of another version was taken")
	}
}
