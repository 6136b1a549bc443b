package state

import "github.com/weftstream/weft/operator"

// Prune removes keys that are in the store and not in memory for which drop, given the encoding of the value, says so: those
// of one key group, the next from *group on. It says whether it has come to the end; then *group is 0 again. It brings
// nothing into memory.
func (t *Table[K, V]) Prune(group *int, drop func(value []byte) bool) (end bool) {
	for ; *group < len(t.groups); *group++ {
		if g := &t.groups[*group]; g.stored {
			if err := t.pruneGroup(*group, g, drop); err != nil {
				t.spill.space.fail(err)
			}
			*group++
			return false
		}
	}
	*group = 0
	return true
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
			t.deleted(i, k)
			return b.Delete(key)
		})
	})
	t.n -= n
	if e := view.Close(); err == nil {
		err = e
	}
	return err
}
