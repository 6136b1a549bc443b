package bare

import "testing"

// What the loops compute does not depend on how the records are split over tables or windows fired: a map does the same.
func TestWindowAgainstMaps(t *testing.T) {
	for _, par := range []int{1, 2} {
		if a, b := Window(50_000, 100, par), windowByMap(50_000, 100, par); a != b {
			t.Errorf("parallelism %d: %d by table, %d by map", par, a, b)
		}
	}
}

func BenchmarkStateless(b *testing.B) { Stateless(int64(b.N), 1) }
func BenchmarkWordCount(b *testing.B) { WordCount(int64(b.N), 1) }
func BenchmarkWindow10k(b *testing.B) { Window(int64(b.N), 10_000, 1) }
func BenchmarkWindow1M(b *testing.B)  { Window(int64(b.N), 1_000_000, 1) }
