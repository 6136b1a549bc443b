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

// InWord says whether a byte of lower-case text belongs to a word.
func InWord(c byte) bool { return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '_' }

// WordSum is what one result of wordcount adds to the checksum: the count × the four letters as a big-endian number.
func WordSum(word string, count int64) uint64 {
	if len(word) < 4 {
		return 0
	}
	return uint64(count) * uint64(uint32(word[0])<<24|uint32(word[1])<<16|uint32(word[2])<<8|uint32(word[3]))
}

// WordCount counts words one by one and returns the sum of WordSum over every count put out.
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
				for end < len(text) && InWord(text[end]) {
					end++
				}
				if w := text[start:end]; w != "" {
					n, _ := counts.At(key.Hash(w), w)
					*n++
					sum += WordSum(w, *n)
				}
				start = end + 1
			}
		}
	}
	return sum
}

type agg struct{ count, sum int64 }

// PaneSum is what one window of one key adds to the checksum; start is in milliseconds.
func PaneSum(key, count, sum, start int64) uint64 {
	return uint64(key+1) * uint64(count+3*sum) * uint64(start/1000+1)
}

// Window counts and sums per key and second of event time, and returns the sum of PaneSum over all results.
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
				sum += PaneSum(*k, a.count, a.sum, start)
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
