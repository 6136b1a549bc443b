package state

import (
	"errors"

	"github.com/weftstream/weft/operator"
)

// Drain is All and then Clear. What is in the store is read once and neither brought into memory nor written back. yield
// may change the value it gets; when it returns false the rest is removed unseen.
func (t *Table[K, V]) Drain(yield func(hash uint32, k *K, v *V) bool) {
	if t.spill == nil {
		t.All(yield)
		t.Clear()
		return
	}
	var view operator.StateView
	for i := range t.groups {
		g := &t.groups[i]
		if g.frozen {
			t.thaw(g)
		}
		more := true
		for j := range g.slots {
			if s := &g.slots[j]; s.used && !yield(s.hash, &s.key, &s.val) {
				more = false
				break
			}
		}
		if more && g.stored {
			more = t.drainStored(&view, i, yield)
		}
		if !more {
			break
		}
	}
	if view != nil {
		if err := view.Close(); err != nil {
			t.spill.space.fail(err)
		}
	}
	t.Clear()
}

// drainStored yields what of group i is in the store only; view is opened when it is needed first.
func (t *Table[K, V]) drainStored(view *operator.StateView, i int, yield func(hash uint32, k *K, v *V) bool) bool {
	p := t.spill
	var err error
	if *view == nil {
		if *view, err = p.space.store.View(); err != nil {
			p.space.fail(err)
			return false
		}
	}
	err = t.scan(*view, i, func(hash uint32, k K, value []byte) error {
		var v V
		if err := p.f.Read(&v, value); err != nil {
			return err
		}
		if !yield(hash, &k, &v) {
			return errStop
		}
		return nil
	})
	if err != nil && !errors.Is(err, errStop) {
		p.space.fail(err)
	}
	return err == nil
}
