package state

import "github.com/weftstream/weft/operator"

// Cached yields the keys that are in memory, of a table without a Space all. The table must not be changed meanwhile, nor
// the values.
func (t *Table[K, V]) Cached(yield func(hash uint32, k *K, v *V) bool) {
	for i := range t.groups {
		slots := t.groups[i].slots
		for j := range slots {
			if s := &slots[j]; s.used && !yield(s.hash, &s.key, &s.val) {
				return
			}
		}
	}
}

// Prune removes the keys that are in the store and not in memory for which drop, given the encoding of the value, says so.
// It brings none of them into memory.
func (t *Table[K, V]) Prune(drop func(value []byte) bool) {
	for i := range t.groups {
		if g := &t.groups[i]; g.stored {
			if err := t.pruneGroup(i, g, drop); err != nil {
				t.spill.space.fail(err)
				return
			}
		}
	}
}

func (t *Table[K, V]) pruneGroup(i int, g *group[K, V], drop func(value []byte) bool) error {
	p := t.spill
	view, err := p.space.store.View()
	if err != nil {
		return err
	}
	n := 0
	err = p.space.store.Apply(func(b operator.StateBatch) error {
		return view.Scan(p.prefixOf(nil, i), p.prefixOf(nil, i+1), func(key, value []byte) error {
			if !drop(value) {
				return nil
			}
			var k K
			if err := p.f.ReadKey(&k, key[storePrefix:]); err != nil || g.find(p.f.Hash(k), k) >= 0 {
				return err // one in memory is newer
			}
			n++
			return b.Delete(key)
		})
	})
	t.n -= n
	if e := view.Close(); err == nil {
		err = e
	}
	return err
}
