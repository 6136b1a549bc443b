package bare

import "github.com/weftstream/weft/bench/gen"

func windowByMap(records int64, keys uint64, parallelism int) (sum uint64) {
	type at struct{ key, start int64 }
	m := map[at][2]int64{}
	for s := range parallelism {
		r := gen.New(s)
		for i := range gen.Share(records, s, parallelism) {
			e := r.Event(keys)
			k := at{e.Key, i / 1000 / 1000}
			a := m[k]
			m[k] = [2]int64{a[0] + 1, a[1] + e.Value}
		}
	}
	for k, a := range m {
		sum += uint64(k.key+1) * uint64(a[0]+3*a[1]) * uint64(k.start+1)
	}
	return sum
}
