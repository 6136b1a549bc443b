package gen

import "testing"

// The values are what other systems that run the same workloads must read, too.
func TestGolden(t *testing.T) {
	r := New(0)
	for i, want := range []uint64{973819730272012410, 6108091081255984487, 12125365036566318712} {
		if got := r.Next(); got != want {
			t.Errorf("number %d of subtask 0: %d, want %d", i, got, want)
		}
	}
	r = New(1)
	if got, want := string(r.AppendLine(nil)), "15ff 126j 14ml 15ih 122l 13w8 11mt 166j 156t 11cq"; got != want {
		t.Errorf("first line of subtask 1: %q, want %q", got, want)
	}
	r = New(1)
	if got, want := r.Event(10_000), (Event{7035, 27}); got != want {
		t.Errorf("first event of subtask 1: %v, want %v", got, want)
	}
	cars := NewTraffic(0)
	var car Car
	for range 1000 {
		car = cars.Next()
	}
	if want := (Car{535, 50, 26.38888888888889, 9}); car != want {
		t.Errorf("car 1000 of subtask 0: %+v, want %+v", car, want)
	}
}

func TestShare(t *testing.T) {
	for _, total := range []int64{0, 1, 7, 100} {
		for par := 1; par < 9; par++ {
			var sum int64
			for s := range par {
				sum += Share(total, s, par)
			}
			if sum != total {
				t.Errorf("the shares of %d records in %d subtasks add up to %d", total, par, sum)
			}
		}
	}
}
