package state

import (
	"errors"
	"iter"
	"slices"
)

// changes is what a Frozen knows of the time since its base.
type changes[K comparable] struct {
	base, last      int64 // the base, and the last checkpoint before
	touched, logged []bool
	removed         []removal[K]
	sorted          bool // removed is a copy, by group
}

// Known says that the view knows what has changed since its base. Where it doesn't, all must be taken.
func (f *Frozen[K, V]) Known() bool { return f.since != nil }

// Empty says that key group g holds nothing. It may be false where all that was in the store has been deleted.
func (f *Frozen[K, V]) Empty(g int) bool {
	return f.groups[g-f.from] == nil && (f.keep == nil || !f.keep[g-f.from])
}

// Removed yields the keys of group g that were removed since the base: some that weren't there then, and some that have
// been put in again.
func (f *Frozen[K, V]) Removed(g int) iter.Seq[*K] {
	return func(yield func(*K) bool) {
		c, i := f.since, g-f.from
		if !c.sorted {
			c.removed, c.sorted = slices.Clone(c.removed), true
			slices.SortFunc(c.removed, func(a, b removal[K]) int { return a.group - b.group })
		}
		at, _ := slices.BinarySearchFunc(c.removed, i, func(r removal[K], i int) int { return r.group - i })
		for ; at < len(c.removed) && c.removed[at].group == i; at++ {
			if !yield(&c.removed[at].key) {
				return
			}
		}
	}
}

// Changed is Group for what may have changed since the base, which is to be Known. It takes time for the places of groups in
// which something has changed only. A key may come more than once.
func (f *Frozen[K, V]) Changed(g int) iter.Seq2[*K, *V] { return f.pairs(g, f.EachChanged) }

// EachChanged is Each for what Changed yields.
func (f *Frozen[K, V]) EachChanged(g int, yield func(k *K, v *V, stored []byte) bool) {
	c, i := f.since, g-f.from
	if c.touched[i] {
		slots := f.groups[i]
		for j := range slots {
			if s := &slots[j]; c.has(s.used, s.stamp) && !yield(&s.key, &s.val, nil) {
				return
			}
		}
	}
	if c.logged[i] && f.store != nil {
		f.eachLogged(i, yield)
	}
}

// has says that a slot with that stamp has changed since the base.
func (c *changes[K]) has(used bool, stamp uint16) bool {
	return used && behind(stamp, c.last) >= c.base
}

// eachLogged yields what was evicted after it had changed.
func (f *Frozen[K, V]) eachLogged(i int, yield func(k *K, v *V, stored []byte) bool) {
	c, p := f.since, f.spill
	cached := group[K, V]{slots: f.groups[i], n: len(f.groups[i])}
	for at := c.base; at <= c.last && f.err == nil; at++ {
		err := f.store.Scan(p.logOf(nil, at, i), p.logOf(nil, at, i+1), func(key, _ []byte) error {
			var k K
			if err := p.f.ReadKey(&k, key[logPrefix:]); err != nil {
				return err
			}
			if j := cached.find(p.f.Hash(k), k); j >= 0 {
				// It was read back. What has changed since then was yielded.
				if s := &cached.slots[j]; !c.has(true, s.stamp) && !yield(&k, &s.val, nil) {
					return errStop
				}
				return nil
			}
			more := true
			p.key = append(p.prefixOf(p.key[:0], i), key[logPrefix:]...)
			_, err := f.store.Get(p.key, func(value []byte) error {
				more = yield(&k, nil, value)
				return nil
			})
			if err == nil && !more {
				err = errStop
			}
			return err
		})
		if errors.Is(err, errStop) {
			return
		}
		f.err = err
	}
}
