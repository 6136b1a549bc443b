package pebble_test

import (
	"maps"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/weftstream/weft/operator"
	"github.com/weftstream/weft/runtime/state"
)

// increment is what a view says, kept as a checkpoint that builds on its base keeps it: by key group.
type increment struct {
	id, base int64
	frozen   *state.Frozen[int, []int]
	want     map[int]int // what the table held
	image    []map[int]int
	entries  int // that were read
	whole    bool
}

// read makes the image from the view and that of the base.
func (c *increment) read(t *testing.T, images map[int64][]map[int]int) {
	c.whole = !c.frozen.Known()
	for g := range 16 {
		m := map[int]int{}
		pairs := c.frozen.Group
		if !c.whole {
			m = maps.Clone(images[c.base][g])
			for k := range c.frozen.Removed(g) {
				delete(m, *k)
			}
			pairs = c.frozen.Changed
		}
		for k, v := range pairs(g) {
			m[*k] = (*v)[0]
			c.entries++
		}
		if c.frozen.Empty(g) && len(m) != 0 {
			t.Errorf("checkpoint %d: group %d is empty and has %d keys", c.id, g, len(m))
		}
		c.image = append(c.image, m)
	}
	if err := c.frozen.Err(); err != nil {
		t.Error(err)
	}
	c.frozen.Release()
}

// TestChangesAgainstModel takes random snapshots, of which some are read late and some complete, while a table changes. What
// the base had, with the changes, must be what the table held, whatever became of the checkpoints between.
func TestChangesAgainstModel(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	backends(t, func(t *testing.T, s *state.Space) {
		for run := range uint64(3) {
			changesAgainstModel(t, s, rand.New(rand.NewPCG(run, seed)))
		}
	})
}

func changesAgainstModel(t *testing.T, s *state.Space, r *rand.Rand) {
	table, model := table(s), map[int]int{}
	images := map[int64][]map[int]int{}
	var pending []*increment
	id, base := 65534*r.Int64N(3)+65000+r.Int64N(534), int64(0) // stamps go round
	incremental, keys := 0, 40+r.IntN(700)
	finish := func(n int) {
		for _, c := range pending[:n] {
			c.read(t, images)
			got := map[int]int{}
			for _, m := range c.image {
				maps.Copy(got, m)
			}
			if !maps.Equal(got, c.want) {
				t.Fatalf("checkpoint %d on %d (whole: %v): %d keys, want %d", c.id, c.base, c.whole, len(got), len(c.want))
			}
			if !c.whole {
				incremental++
			}
			if r.IntN(3) != 0 && c.base >= base { // complete
				base, images = c.id, map[int64][]map[int]int{base: images[base], c.id: c.image}
			}
		}
		pending = pending[n:]
	}
	for i := range 8000 {
		k := r.IntN(keys)
		if r.IntN(3) != 0 {
			k %= 16 // some change all the time
		}
		switch op := r.IntN(3000); {
		case op == 0:
			table.Clear()
			clear(model)
		case op == 1:
			table.Drain(func(uint32, *int, *[]int) bool { return true })
			clear(model)
		case op == 2:
			table.All(func(_ uint32, k *int, v *[]int) bool { (*v)[0], model[*k] = i, i; return true })
		case op == 3:
			table.PeekAll(func(_ uint32, k *int, v *[]int) bool {
				if (*v)[0] != model[*k] {
					t.Fatalf("step %d: key %d is %d, want %d", i, *k, (*v)[0], model[*k])
				}
				return true
			})
		case op == 4:
			for group, end := 0, false; !end; {
				end = table.Prune(&group, func(value []byte) bool { return value[0]%16 == 3 })
			}
			for k := range model {
				if table.Peek(hash(k), k) == nil {
					delete(model, k)
				}
			}
		case op == 5:
			f := table.Snapshot() // of a savepoint: doesn't count
			f.Release()
		case op < 60:
			c := &increment{id: id, base: base, want: maps.Clone(model)}
			c.frozen = table.SnapshotSince(id, base)
			pending = append(pending, c)
			id += 1 + r.Int64N(3)
			if r.IntN(100) == 0 {
				id += 65500 + r.Int64N(100)
			}
		case op < 130 && len(pending) > 0:
			finish(1 + r.IntN(len(pending)))
		case op < 700:
			table.Delete(hash(k), k)
			delete(model, k)
		case op < 1000:
			if v := table.Find(hash(k), k); v != nil {
				(*v)[0], model[k] = i, i
			}
		case op < 1300:
			table.Peek(hash(k), k)
		case op < 1400:
			if v, fresh := table.At(hash(k), k); fresh {
				*v = []int{i}
				table.Discard(hash(k), k)
			} else {
				(*v)[0], model[k] = i, i
			}
		default:
			v, fresh := table.At(hash(k), k)
			if fresh {
				*v = []int{0, 7, 7}
			}
			(*v)[0], model[k] = i, i
		}
	}
	finish(len(pending))
	if incremental < 15 {
		t.Errorf("only %d checkpoints built on others", incremental)
	}
	if table.Len() != len(model) {
		t.Errorf("Len %d, want %d", table.Len(), len(model))
	}
	table.Drop()
}

// counting counts what is written into a store.
type counting struct {
	operator.StateStore
	sets *int
}

type countingBatch struct {
	operator.StateBatch
	sets *int
}

func (c counting) Apply(fill func(operator.StateBatch) error) error {
	return c.StateStore.Apply(func(b operator.StateBatch) error { return fill(countingBatch{b, c.sets}) })
}

func (b countingBatch) Set(k, v []byte) error {
	*b.sets++
	return b.StateBatch.Set(k, v)
}

// TestOnlyChangesAreWrittenBack: what was only read is not written when it is evicted; what was changed is, once, with one
// note where changes are tracked.
func TestOnlyChangesAreWrittenBack(t *testing.T) {
	s := open(t, nil, filepath.Join(t.TempDir(), "db"))
	defer closed(t, s)
	sets := 0
	space := state.NewSpace(counting{tight{s, 0}, &sets})
	defer space.Close()
	table := table(space)
	const keys = 100
	for k := range keys {
		v, _ := table.At(hash(k), k)
		*v = []int{k}
	}
	evicted := func() (n int) { // another key takes the room
		for k := keys; k < keys+2; k++ {
			v, _ := table.At(hash(k), k)
			*v = []int{k}
		}
		n, sets = sets, 0
		return n
	}
	evicted()
	for k := range keys {
		if v := table.Peek(hash(k), k); v == nil || (*v)[0] != k {
			t.Fatalf("key %d: %v", k, v)
		}
	}
	table.PeekAll(func(uint32, *int, *[]int) bool { return true })
	if n := evicted(); n > 3 {
		t.Errorf("%d entries are written after %d were read", n, keys)
	}
	table.All(func(_ uint32, _ *int, v *[]int) bool { (*v)[0]++; return true })
	if n := evicted(); n < keys || n > keys+5 {
		t.Errorf("%d entries are written after %d changed", n, keys)
	}
	table.SnapshotSince(1, 0).Release()
	for k := range 10 {
		(*table.Find(hash(k), k))[0] = -k
		table.Peek(hash(50), 50)
	}
	if n := evicted(); n < 20 || n > 26 {
		t.Errorf("%d entries are written after 10 changed, with notes", n)
	}
	f := table.SnapshotSince(2, 1)
	defer f.Release()
	got := map[int]int{}
	for g := range 16 {
		for k, v := range f.Changed(g) {
			got[*k] = (*v)[0]
		}
	}
	delete(got, keys)
	delete(got, keys+1)
	if len(got) != 10 || got[3] != -3 {
		t.Errorf("the view has these changes: %v", got)
	}
}
