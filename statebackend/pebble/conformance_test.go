package pebble_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/weftstream/weft/operator"
	"github.com/weftstream/weft/runtime/state"
	"github.com/weftstream/weft/statebackend/pebble"
)

// tight is a store whose caches have room for a few entries only, so that nearly every access goes to disk.
type tight struct {
	operator.StateStore
	share int64
}

func (s tight) Share() int64 { return s.share }

// backends runs a test on every state backend; the space is nil for hashmap.
func backends(t *testing.T, run func(t *testing.T, s *state.Space)) {
	t.Run("hashmap", func(t *testing.T) { run(t, nil) })
	for name, share := range map[string]int64{"pebble": 64 << 20, "pebble with 8 KB of cache": 8 << 10, "pebble without cache": 0} {
		t.Run(name, func(t *testing.T) {
			s := open(t, vfs.Default, filepath.Join(t.TempDir(), "db"))
			t.Cleanup(func() { closed(t, s) })
			space := state.NewSpace(tight{s, share})
			defer space.Close()
			run(t, space)
			if err := space.Err(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func open(t *testing.T, fs vfs.FS, dir string) *pebble.Store {
	t.Helper()
	s, err := pebble.Open(pebble.Config{Dir: dir, Memory: 8 << 20, CacheRatio: 0.5, FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func closed(t *testing.T, s *pebble.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func hash(k int) uint32 { return uint32(k) * 2654435761 }

// table is one whose values are changed through what they point to.
func table(s *state.Space) *state.Table[int, []int] {
	t := state.NewTable[int, []int](state.Range{From: 0, To: 16, Max: 16}, nil)
	t.CopyValues(func(v *[]int) { *v = slices.Clone(*v) })
	t.Spill(s, state.Format[int, []int]{
		Hash:      hash,
		AppendKey: func(dst []byte, k *int) []byte { return binary.LittleEndian.AppendUint64(dst, uint64(*k)) },
		ReadKey:   func(k *int, src []byte) error { *k = int(binary.LittleEndian.Uint64(src)); return nil },
		Append: func(dst []byte, v *[]int) []byte {
			for _, n := range *v {
				dst = binary.LittleEndian.AppendUint64(dst, uint64(n))
			}
			return dst
		},
		Read: func(v *[]int, src []byte) error {
			*v = nil
			for ; len(src) > 0; src = src[8:] {
				*v = append(*v, int(binary.LittleEndian.Uint64(src)))
			}
			return nil
		},
		Extra: func(n int) int64 { return int64(n) },
	})
	return t
}

// TestAgainstModel drives tables of one space with random calls, beside maps. Views taken in between are read by another
// goroutine while the tables change.
func TestAgainstModel(t *testing.T) {
	const seed = 5
	t.Logf("seed %d", seed)
	backends(t, func(t *testing.T, s *state.Space) {
		r := rand.New(rand.NewPCG(1, seed))
		tables := []*state.Table[int, []int]{table(s), table(s)}
		models := []map[int]int{{}, {}}
		type result struct {
			got, want map[int]int
			err       error
		}
		results, views, pruned := make(chan result, 1000), 0, 0
		for i := range 8000 {
			at := r.IntN(2)
			table, model, k := tables[at], models[at], r.IntN(700)
			switch op := r.IntN(2000); {
			case op == 0:
				table.Clear()
				clear(model)
			case op == 1:
				got := map[int]int{}
				table.Drain(func(h uint32, k *int, v *[]int) bool {
					if _, twice := got[*k]; twice || h != hash(*k) {
						t.Fatalf("step %d: key %d came twice, or with another hash", i, *k)
					}
					got[*k] = (*v)[0]
					(*v)[0] = -1 // a view mustn't see this
					return true
				})
				if !maps.Equal(got, model) {
					t.Fatalf("step %d: Drain yields %d keys, want %d", i, len(got), len(model))
				}
				clear(model)
			case op < 10:
				f, want := table.Snapshot(), maps.Clone(model)
				views++
				go func() {
					got := map[int]int{}
					for g := range 16 {
						for k, v := range f.Group(g) {
							if _, twice := got[*k]; twice {
								t.Errorf("key %d is in the view twice", *k)
							}
							got[*k] = (*v)[0]
						}
					}
					err := f.Err()
					f.Release()
					results <- result{got, want, err}
				}()
			case op < 12:
				for group, end := 0, false; !end; {
					end = table.Prune(&group, func(value []byte) bool { return value[0]%16 == 3 })
				}
				var c state.Cursor
				for end := false; !end; {
					end = table.Walk(&c, 100, func(_ uint32, k int, v []int) {
						if v[0] != model[k] {
							t.Fatalf("step %d: key %d in memory is %d, want %d", i, k, v[0], model[k])
						}
					})
				}
				for k, v := range model {
					switch p := table.Peek(hash(k), k); {
					case p == nil && v%16 != 3:
						t.Fatalf("step %d: key %d, %d, was pruned", i, k, v)
					case p == nil:
						delete(model, k)
						pruned++
					}
				}
			case op < 13:
				n := 0
				table.All(func(h uint32, k *int, v *[]int) bool {
					if h != hash(*k) {
						t.Fatalf("key %d came with another hash", *k)
					}
					(*v)[0]++
					model[*k]++
					n++
					return true
				})
				if n != len(model) {
					t.Fatalf("step %d: All yields %d keys of %d", i, n, len(model))
				}
			case op < 400:
				if _, had := model[k]; table.Delete(hash(k), k) != had {
					t.Fatalf("step %d: Delete(%d) says it was there: %v", i, k, !had)
				}
				delete(model, k)
			case op < 700:
				if v := table.Find(hash(k), k); v != nil {
					(*v)[0], model[k] = i, i
				}
			default:
				v, fresh := table.At(hash(k), k)
				if _, had := model[k]; had == fresh {
					t.Fatalf("step %d: At(%d) says it is new: %v", i, k, fresh)
				}
				if fresh {
					*v = []int{0, 7, 7}
				}
				(*v)[0], model[k] = i, i
			}
			v := table.Peek(hash(k), k)
			if want, ok := model[k]; ok != (v != nil) || ok && (*v)[0] != want {
				t.Fatalf("step %d: key %d: %v, want %d, %v", i, k, v, want, ok)
			}
			if table.Len() != len(model) {
				t.Fatalf("step %d: Len %d, want %d", i, table.Len(), len(model))
			}
		}
		if strings.Contains(t.Name(), "cache") != (pruned != 0) {
			t.Errorf("%d keys were pruned", pruned)
		}
		for range views {
			if r := <-results; r.err != nil || !maps.Equal(r.got, r.want) {
				t.Fatalf("a view holds %d keys, want %d (%v)", len(r.got), len(r.want), r.err)
			}
		}
	})
}

// TestStoreErrors breaks the disk: the space must say so, nothing may crash, and closing ends.
func TestStoreErrors(t *testing.T) {
	errBroken := errors.New("the disk is broken")
	var broken atomic.Bool
	fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if broken.Load() && op.Kind == errorfs.OpFileReadAt {
			return errBroken
		}
		return nil
	}))
	s := open(t, fs, "db")
	space := state.NewSpace(tight{s, 0})
	table := table(space)
	for k := range 12000 {
		v, _ := table.At(hash(k), k)
		*v = make([]int, 200)
	}
	if err := space.Err(); err != nil {
		t.Fatal(err)
	}
	broken.Store(true)
	for k := range 12000 {
		table.Find(hash(k), k)
	}
	if err := space.Err(); !errors.Is(err, errBroken) {
		t.Errorf("the disk is broken; the space says: %v", err)
	}
	f := table.Snapshot()
	for g := range 16 {
		for range f.Group(g) {
			continue
		}
	}
	if !errors.Is(f.Err(), errBroken) {
		t.Errorf("the disk is broken; the view says: %v", f.Err())
	}
	f.Release()
	space.Close()
	broken.Store(false)
	closed(t, s)
}

func TestNothingIsLeftBehind(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "db")
	s := open(t, nil, dir)
	if _, err := os.Stat(dir); err != nil {
		t.Fatal(err)
	}
	closed(t, s)
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("the directory is left: %v", err)
	}
	if _, err := pebble.Open(pebble.Config{Dir: dir, Memory: 1, CacheRatio: 0.5}); err == nil {
		t.Fatal("a store with one byte of memory opens")
	}
}

// TestShare has members come and go.
func TestShare(t *testing.T) {
	s := open(t, nil, filepath.Join(t.TempDir(), "db"))
	defer closed(t, s)
	a, b := state.NewSpace(s), state.NewSpace(s)
	table(a)
	table(b)
	if got := s.Share(); got != 2<<20 {
		t.Fatalf("one of two has %d bytes", got)
	}
	a.Close()
	a.Close()
	if got := s.Share(); got != 4<<20 {
		t.Fatalf("the one that is left has %d bytes", got)
	}
	b.Close()
}

// TestWriteErrors fills the disk: the space must say so soon instead of waiting, and when there is room again the store is
// as good as before.
func TestWriteErrors(t *testing.T) {
	errFull := errors.New("the disk is full")
	var full atomic.Bool
	fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if full.Load() && op.Kind == errorfs.OpCreate && filepath.Ext(op.Path) == ".sst" {
			return errFull
		}
		return nil
	}))
	s := open(t, fs, "db")
	full.Store(true)
	space := state.NewSpace(tight{s, 0})
	broken := table(space)
	for k := 0; space.Err() == nil; k++ {
		v, _ := broken.At(hash(k), k)
		*v = make([]int, 200)
	}
	if err := space.Err(); !errors.Is(err, errFull) {
		t.Errorf("the disk is full; the space says: %v", err)
	}
	space.Close()
	full.Store(false)
	deadline := time.Now().Add(time.Minute)
	for k := 1; ; k++ {
		space := state.NewSpace(tight{s, 0})
		again := table(space)
		v, _ := again.At(hash(k), k)
		*v = []int{k}
		again.At(hash(0), 0) // evicts k
		v = again.Find(hash(k), k)
		err := space.Err()
		space.Close()
		if err == nil && v != nil && (*v)[0] == k {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("there is room on the disk again; the space says: %v", err)
		}
	}
	closed(t, s)
}

// TestClosedSpaceLeavesNothing: the store may outlive an operator, and what that kept must not stay.
func TestClosedSpaceLeavesNothing(t *testing.T) {
	s := open(t, nil, filepath.Join(t.TempDir(), "db"))
	defer closed(t, s)
	keys := func() (n int) {
		view, err := s.View()
		if err != nil {
			t.Fatal(err)
		}
		defer view.Close()
		if err := view.Scan([]byte{0}, bytes.Repeat([]byte{0xff}, 16), func(_, _ []byte) error { n++; return nil }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for range 2 {
		space := state.NewSpace(tight{s, 0})
		a, b := table(space), table(space)
		a.SnapshotSince(1, 0).Release() // from now on there are notes of changes, too
		for k := range 100 {
			a.At(hash(k), k)
			b.At(hash(k), k)
		}
		b.Drop()
		if n := keys(); n <= 100 || n > 200 {
			t.Fatalf("%d keys are stored, of 100 and as many notes", n)
		}
		space.Close()
		if n := keys(); n != 0 {
			t.Fatalf("%d keys are stored after the space was closed", n)
		}
	}
}
