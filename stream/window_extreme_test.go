package stream

import (
	"fmt"
	"math"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/weftstream/weft/operator"
)

// extremeTimes are as far from the epoch as times can be, and near it.
var extremeTimes = []int64{math.MaxInt64, math.MaxInt64, math.MaxInt64 - 1, math.MaxInt64 - 700, math.MinInt64 + 1, math.MinInt64 + 2,
	math.MinInt64 + 1500, -1, 0, 1, 1_700_000_000_123}

// clampedTime is the time nearest to t.
func clampedTime(t *big.Int) int64 {
	switch {
	case t.IsInt64():
		return t.Int64()
	case t.Sign() < 0:
		return math.MinInt64
	}
	return math.MaxInt64
}

// windowsOfExtremes says how many records which window has, computed without bounds and then cut to what times there are.
func windowsOfExtremes(size, slide, offset int64) (want []string) {
	count := map[[2]int64]int{}
	for _, ts := range extremeTimes {
		t, step := big.NewInt(ts), big.NewInt(slide)
		start := new(big.Int).Sub(t, big.NewInt(offset))
		start.Sub(t, start.Mod(start, step)) // Mod is Euclidean
		for ; new(big.Int).Add(start, big.NewInt(size)).Cmp(t) > 0; start.Sub(start, step) {
			count[[2]int64{clampedTime(start), clampedTime(new(big.Int).Add(start, big.NewInt(size)))}]++
		}
	}
	for w, n := range count {
		want = append(want, fmt.Sprintf(": [%d %d) %d @ %d", w[0], w[1], n, w[1]-1))
	}
	slices.Sort(want)
	return want
}

// TestWindowsAtTheEndsOfTime: bounds don't overflow, and what is in a checkpoint is restored.
func TestWindowsAtTheEndsOfTime(t *testing.T) {
	const ms = time.Millisecond
	for name, c := range map[string]struct {
		a    Assigner
		want []string
	}{
		"tumbling":        {Tumbling(1000 * ms), windowsOfExtremes(1000, 1000, 0)},
		"offset":          {Tumbling(1000 * ms).Offset(300 * ms), windowsOfExtremes(1000, 1000, 300)},
		"negative offset": {Tumbling(1000 * ms).Offset(-2300 * ms), windowsOfExtremes(1000, 1000, -2300)},
		"far offset":      {Tumbling(1000 * ms).Offset(math.MaxInt64), windowsOfExtremes(1000, 1000, math.MaxInt64/1_000_000)},
		"sliding":         {Sliding(1000*ms, 400*ms), windowsOfExtremes(1000, 400, 0)},
		"sliding offset":  {Sliding(1000*ms, 400*ms).Offset(-90 * ms), windowsOfExtremes(1000, 400, -90)},
		"gaps":            {Sliding(300*ms, 1000*ms), windowsOfExtremes(300, 1000, 0)},
		"session": {Session(500 * ms), []string{
			fmt.Sprintf(": [%d %d) 2 @ %d", math.MinInt64+1, math.MinInt64+502, math.MinInt64+501),
			fmt.Sprintf(": [%d %d) 1 @ %d", math.MinInt64+1500, math.MinInt64+2000, math.MinInt64+1999),
			": [-1 501) 3 @ 500", ": [1700000000123 1700000000623) 1 @ 1700000000622",
			fmt.Sprintf(": [%d %d) 1 @ %d", math.MaxInt64-700, math.MaxInt64-200, math.MaxInt64-201),
			fmt.Sprintf(": [%d %d) 3 @ %d", math.MaxInt64-1, math.MaxInt64, math.MaxInt64-1)}},
		"session of the last time": {Session(math.MaxInt64), []string{
			fmt.Sprintf(": [%d %d) 3 @ %d", math.MinInt64+1, math.MinInt64+1500+math.MaxInt64/1_000_000, math.MinInt64+1499+math.MaxInt64/1_000_000),
			fmt.Sprintf(": [-1 %d) 4 @ %d", 1_700_000_000_123+math.MaxInt64/1_000_000, 1_700_000_000_122+math.MaxInt64/1_000_000),
			fmt.Sprintf(": [%d %d) 4 @ %d", math.MaxInt64-700, math.MaxInt64, math.MaxInt64-1)}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, restored := range []bool{false, true} {
				r := newRig(t, keyedNode(func(k Keyed[int64, rec]) Stream[string] {
					return Aggregate(k.Window(c.a), addRec, func(p Pane[int64], a *sumAcc) string {
						return fmt.Sprintf("[%d %d) %d", p.Start, p.End, a.Count)
					})
				}), []rigInput{rigKeyed(byKey)}, nil, 1)
				for _, ts := range extremeTimes {
					r.play([]rigStep{{rec: rec{Key: 1}, ts: ts}})
				}
				if restored {
					img := r.checkpoint()
					r.wait(img)
					r.restore(img, 2)
				}
				got := r.end()
				slices.Sort(got)
				slices.Sort(c.want)
				if !slices.Equal(got, c.want) {
					t.Fatalf("restored %v:\ngot  %q\nwant %q", restored, got, c.want)
				}
			}
		})
	}
}

// TestSessionOfTheLastTimeIsRestored: its bounds are equal.
func TestSessionOfTheLastTimeIsRestored(t *testing.T) {
	r := newRig(t, keyedNode(func(k Keyed[int64, rec]) Stream[int64] {
		return Aggregate(k.Window(Session(time.Second)), addRec, func(_ Pane[int64], a *sumAcc) int64 { return a.N })
	}), []rigInput{rigKeyed(byKey)}, nil, 1)
	r.play([]rigStep{{rec: rec{N: 7}, ts: operator.MaxWatermark}, {ts: operator.MaxWatermark - 5000}})
	img := r.checkpoint()
	r.wait(img)
	r.restore(img, 1)
	if got := r.end(); len(got) != 1 || got[0] != fmt.Sprintf(": 7 @ %d", operator.MaxWatermark-1) {
		t.Fatalf("got %q", got)
	}
}
