package operator_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/weftstream/weft/operator"
)

// TestScatteringRoutersKeepRecordsWithTheirTimes sends records to random channels, to channels by a function and to the
// first: each arrives once, with its own time, and every channel gets the watermark and the end.
func TestScatteringRoutersKeepRecordsWithTheirTimes(t *testing.T) {
	const records = 1000
	for name, c := range map[string]struct {
		factory operator.RouterFactory
		right   func(v int64, channel int) bool
		idle    int // channels without a record
	}{
		"shuffle": {operator.NewShuffleRouter[int64](), func(int64, int) bool { return true }, 0},
		"global":  {operator.NewGlobalRouter[int64](), func(_ int64, i int) bool { return i == 0 }, 3},
		"custom": {operator.NewCustomRouter("p", func(v int64, n int) int { return int(v) % (n - 1) }),
			func(v int64, i int) bool { return int(v)%3 == i }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			r, recs := route(t, c.factory, 4)
			for i := int64(0); i < records; i += 10 {
				if err := r.Batch(batch(i, i+10)); err != nil {
					t.Fatal(err)
				}
			}
			if err := r.Watermark(99); err != nil {
				t.Fatal(err)
			}
			if err := r.End(); err != nil {
				t.Fatal(err)
			}
			var all []int64
			idle := 0
			for i, rec := range recs {
				if len(rec.v) == 0 {
					idle++
				}
				for k, v := range rec.v {
					if !c.right(v, i) || rec.ts[k] != v*10 {
						t.Fatalf("record %d with time %d on channel %d", v, rec.ts[k], i)
					}
				}
				if rec.ends != 1 || rec.mixed || !slices.Contains(rec.marks, 99) {
					t.Errorf("channel %d: %d ends, mixed %v, watermarks %v", i, rec.ends, rec.mixed, rec.marks)
				}
				all = append(all, rec.v...)
			}
			slices.Sort(all)
			if len(slices.Compact(all)) != records || len(all) != records || idle != c.idle {
				t.Errorf("%d records, %d different, want %d; %d idle channels, want %d", len(all), len(slices.Compact(all)), records, idle, c.idle)
			}
		})
	}
}

func TestCustomPartitionerOutOfRangeIsAnError(t *testing.T) {
	for _, result := range []int{-1, 4} {
		r, _ := route(t, operator.NewCustomRouter("the partitioner", func(int64, int) int { return result }), 4)
		if err := r.Batch(batch(0, 1)); err == nil || !strings.Contains(err.Error(), "the partitioner returned") || !strings.Contains(err.Error(), "0 to 3") {
			t.Errorf("%d: got %v", result, err)
		}
	}
}
