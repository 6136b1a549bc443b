package datagen

import (
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
