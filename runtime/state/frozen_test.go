package state

import (
	"maps"
	"math/rand"
	"testing"
)

// Views taken at random points keep what the table held, while it changes and they are read by other goroutines.
func TestFrozenKeepsWhatTheTableHeld(t *testing.T) {
	rnd := rand.New(rand.NewSource(1))
	table := NewTable[int, []int](Range{0, 16, 16}, nil)
	table.CopyValues(func(v *[]int) { *v = append([]int(nil), *v...) })
	oracle := map[int]int{}
	hash := func(k int) uint32 { return uint32(k) * 2654435761 }
	type result struct{ got, want map[int]int }
	results := make(chan result)
	views := 0
	for i := range 20000 {
		k := rnd.Intn(500)
		switch op := rnd.Intn(1000); {
		case op == 0:
			table.Clear()
			clear(oracle)
		case op < 300:
			table.Delete(hash(k), k)
			delete(oracle, k)
		case op < 350:
			if v := table.Find(hash(k), k); v != nil {
				(*v)[0], oracle[k] = i, i
			}
		case op < 355:
			f, want := table.Snapshot(), maps.Clone(oracle)
			views++
			go func() {
				got := map[int]int{}
				for g := range 16 {
					for k, v := range f.Group(g) {
						got[*k] = (*v)[0]
					}
				}
				f.Release()
				results <- result{got, want}
			}()
		case op < 356:
			table.All(func(_ uint32, k *int, v *[]int) bool { (*v)[0]++; oracle[*k]++; return true })
		default:
			v, inserted := table.At(hash(k), k)
			if inserted {
				*v = []int{0}
			}
			(*v)[0], oracle[k] = i, i
		}
		v := table.Peek(hash(k), k)
		if want, ok := oracle[k]; ok != (v != nil) || ok && (*v)[0] != want {
			t.Fatalf("key %d: %v, want %d, %v", k, v, want, ok)
		}
	}
	for range views {
		if r := <-results; !maps.Equal(r.got, r.want) {
			t.Fatalf("the view holds %v, want %v", r.got, r.want)
		}
	}
}
