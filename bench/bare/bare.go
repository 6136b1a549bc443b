// Package bare holds the plain loops that the engine is measured against: the same generator, the same hash table and
// the same window semantics, with nothing between them. One goroutine, one table: what the machine needs at least.
//
// Each function returns the checksum of its results (see the function), so that both sides can be compared.
package bare

import (
	"strings"

	"github.com/weftstream/weft/bench/gen"
	"github.com/weftstream/weft/codec"
	"github.com/weftstream/weft/runtime/state"
)

var all = state.Range{From: 0, To: 128, Max: 128}

// Stateless runs the map and filter chain over records random numbers and returns the sum of what is left.
func Stateless(records int64, parallelism int) (sum uint64) {
	for s := range parallelism {
		r := gen.New(s)
		for range gen.Share(records, s, parallelism) {
			x := int64(r.Next() >> 1)
			x = x*31 + 7
			if x%2 != 0 {
				continue
			}
			x ^= int64(uint64(x) >> 7)
			if x%3 == 0 {
				continue
			}
			sum += uint64(x + 1)
		}
	}
	return sum
}

// WordCount counts words one by one and returns the sum, over every count put out, of count × the word's hash.
func WordCount(words int64, parallelism int) (sum uint64) {
	key, err := codec.KeyOf[string]()
	if err != nil {
		return 0
	}
	counts := state.NewTable[string, int64](all, key.Clone)
	var line []byte
	for s := range parallelism {
		r := gen.New(s)
		for range gen.Share(words/gen.WordsPerLine, s, parallelism) {
			line = r.AppendLine(line[:0])
			text := strings.ToLower(string(line))
			for start := 0; start < len(text); {
				end := start
				for end < len(text) && text[end] != ' ' {
					end++
				}
				w := text[start:end]
				h := key.Hash(w)
				n, _ := counts.At(h, w)
				*n++
				sum += uint64(*n) * uint64(h)
				start = end + 1
			}
		}
	}
	return sum
}

type agg struct{ count, sum int64 }

// Window counts and sums per key and second of event time; it returns the sum over all windows of
// (key+1) × (count + 3 × sum) × (window start in seconds + 1).
func Window(records int64, keys uint64, parallelism int) (sum uint64) {
	key, err := codec.KeyOf[int64]()
	if err != nil {
		return 0
	}
	open := map[int64]*state.Table[int64, agg]{}
	var free []*state.Table[int64, agg]
	fire := func(watermark int64) {
		for start, t := range open {
			if start+999 > watermark {
				continue
			}
			t.All(func(_ uint32, k *int64, a *agg) bool {
				sum += uint64(*k+1) * uint64(a.count+3*a.sum) * uint64(start/1000+1)
				return true
			})
			t.Clear()
			free = append(free, t)
			delete(open, start)
		}
	}
	gens := make([]gen.Rand, parallelism)
	left := make([]int64, parallelism)
	for s := range gens {
		gens[s], left[s] = gen.New(s), gen.Share(records, s, parallelism)
	}
	var current *state.Table[int64, agg]
	currentStart := int64(-1)
	done := make([]int64, parallelism)
	for busy := true; busy; {
		busy = false
		watermark := int64(-1)
		for s := range gens { // a thousand records of each subtask in turn, then the watermark
			r := &gens[s]
			for range min(1000, left[s]-done[s]) {
				e := r.Event(keys)
				ts := done[s] / 1000
				done[s]++
				if start := ts - ts%1000; start != currentStart {
					t := open[start]
					if t == nil {
						if n := len(free); n > 0 {
							t, free = free[n-1], free[:n-1]
						} else {
							t = state.NewTable[int64, agg](all, nil)
						}
						open[start] = t
					}
					current, currentStart = t, start
				}
				a, _ := current.At(key.Hash(e.Key), e.Key)
				a.count++
				a.sum += e.Value
			}
			if done[s] < left[s] {
				busy = true
				if w := done[s]/1000 - 1; watermark < 0 || w < watermark {
					watermark = w
				}
			}
		}
		if busy {
			fire(watermark)
			currentStart = -1
		}
	}
	fire(1 << 62)
	return sum
}
