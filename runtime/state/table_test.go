package state

import (
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
	"unsafe"

	"github.com/weftstream/weft/operator"
)

func spread(k int) uint32 { return uint32(k) * 2654435761 }

// TestAgainstMap drives a table and a Go map with the same random calls, with good hashes and with bad ones.
func TestAgainstMap(t *testing.T) {
	for name, hash := range map[string]func(int) uint32{"spread": spread, "same group": func(k int) uint32 { return uint32(k) },
		"all equal": func(int) uint32 { return 7 }, "wrapping": func(k int) uint32 { return 0xfffffff0 + uint32(k%32) }} {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 9))
			table := NewTable[int, int](Range{0, 128, 128}, nil)
			model := map[int]int{}
			for step := range 20000 {
				k := r.IntN(300)
				switch r.IntN(10) {
				case 0, 1, 2, 3, 4:
					v, inserted := table.At(hash(k), k)
					if _, had := model[k]; had == inserted {
						t.Fatalf("step %d: key %d inserted=%v", step, k, inserted)
					}
					*v += step
					model[k] += step
				case 5, 6, 7:
					_, had := model[k]
					if table.Delete(hash(k), k) != had {
						t.Fatalf("step %d: delete %d", step, k)
					}
					delete(model, k)
				default:
					v, had := model[k]
					p := table.Find(hash(k), k)
					if had != (p != nil) || had && *p != v {
						t.Fatalf("step %d: find %d", step, k)
					}
				}
				if r.IntN(5000) == 0 {
					table.Clear()
					clear(model)
				}
			}
			got := map[int]int{}
			table.All(func(h uint32, k, v *int) bool {
				if h != hash(*k) {
					t.Fatalf("key %d kept with another hash", *k)
				}
				got[*k] = *v
				return true
			})
			if !maps.Equal(got, model) || table.Len() != len(model) {
				t.Fatalf("got %d keys (Len %d), want %d", len(got), table.Len(), len(model))
			}
		})
	}
}

func TestOnlyOwnKeyGroups(t *testing.T) {
	from, to := operator.KeyGroupRange(1, 128, 3)
	table := NewTable[int, int](Range{from, to, 128}, nil)
	n := 0
	for k := range 10000 {
		h := spread(k)
		if operator.SubtaskFor(operator.KeyGroup(h, 128), 128, 3) == 1 {
			table.At(h, k)
			n++
		}
	}
	if table.Len() != n || n < 2000 {
		t.Fatalf("%d keys, want %d", table.Len(), n)
	}
}

func TestInsertedKeysAreCloned(t *testing.T) {
	table := NewTable[string, int](Range{0, 1, 1}, strings.Clone)
	b := []byte("key")
	table.At(1, unsafe.String(&b[0], 3))
	b[0] = 'X'
	if table.Find(1, "key") == nil {
		t.Fatal("the key changed with the buffer it came from")
	}
}

func BenchmarkAt(b *testing.B) {
	for _, keys := range []int{10_000, 1_000_000} {
		b.Run(map[int]string{10_000: "10k", 1_000_000: "1M"}[keys], func(b *testing.B) {
			table := NewTable[int, [2]int64](Range{0, 128, 128}, nil)
			x := uint64(88172645463325252)
			b.ReportAllocs()
			for b.Loop() {
				x ^= x << 13
				x ^= x >> 7
				x ^= x << 17
				k := int(x>>33) % keys
				v, _ := table.At(spread(k), k)
				v[0]++
			}
		})
	}
}

// TestWalk: a walk in pieces yields every key that was there all the time, whatever is added meanwhile, and looks at few
// places in a call.
func TestWalk(t *testing.T) {
	for name, hash := range map[string]func(int) uint32{"spread": spread, "same group": func(k int) uint32 { return uint32(k) },
		"wrapping": func(k int) uint32 { return 0xfffffff0 + uint32(k%32) }} {
		t.Run(name, func(t *testing.T) {
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			r := rand.New(rand.NewPCG(seed, 1))
			table := NewTable[int, int](Range{0, 16, 16}, nil)
			next := 0
			add := func(n int) {
				for range n {
					v, _ := table.At(hash(next), next)
					*v = next
					next++
				}
			}
			add(500)
			var c Cursor
			for walk := range 8 {
				old, seen := next, map[int]int{}
				if walk == 4 {
					f := table.Snapshot() // what a view has is walked through, too
					defer f.Release()
				}
				calls := 0
				for end := false; !end; calls++ {
					n := 0
					end = table.Walk(&c, 10, func(h uint32, k, v int) {
						if n++; h != hash(k) || v != k {
							t.Fatalf("key %d has hash %d and value %d", k, h, v)
						}
						seen[k]++
					})
					if n > 10 {
						t.Fatalf("%d keys in a call", n)
					}
					if r.IntN(4) == 0 {
						add(r.IntN(8))
					}
				}
				for k := range old {
					if seen[k] == 0 {
						t.Fatalf("walk %d left key %d out, of %d", walk, k, old)
					}
				}
				if c != (Cursor{}) || calls > 4*next {
					t.Fatalf("after %d calls the cursor is %+v", calls, c)
				}
			}
			// With deletions between, all that is looked for is gone after some walks.
			for walk := 0; table.Len() > 0; walk++ {
				if walk == 5 {
					t.Fatalf("%d keys are left after %d walks", table.Len(), walk)
				}
				for end := false; !end; {
					var dead []int
					end = table.Walk(&c, 10, func(_ uint32, k, _ int) { dead = append(dead, k) })
					for _, k := range dead {
						table.Delete(hash(k), k)
					}
				}
			}
		})
	}
}
