package stream

import (
	"fmt"

	"github.com/weftstream/weft/operator"
	"github.com/weftstream/weft/runtime/state"
)

// increment says what a snapshot is of: of a checkpoint that may hold no more than what has changed since its base. The zero
// value is a whole one, as savepoints are.
type increment struct{ checkpoint, base int64 }

// freezeTable takes a view of a table for a snapshot.
func freezeTable[K comparable, V any](t *state.Table[K, V], inc increment) *state.Frozen[K, V] {
	if inc.checkpoint == 0 {
		return t.Snapshot()
	}
	return t.SnapshotSince(inc.checkpoint, inc.base)
}

// writer makes what writes the keyed states of a snapshot: in blocks of pairs, or in parts.
func (inc increment) writer(w operator.StateWriter) (*pairWriter, error) {
	p := &pairWriter{w: w}
	if inc.checkpoint == 0 {
		return p, nil
	}
	var ok bool
	if p.parts, ok = w.(operator.ChangeWriter); !ok {
		return nil, fmt.Errorf("write checkpoint %d, which may build on others: %T takes whole ones only", inc.checkpoint, w)
	}
	return p, nil
}

// partView is what is known of the changes of a part of a state.
type partView interface {
	// Known says that what has changed since the base is known.
	Known() bool
	// Empty says that key group g has nothing.
	Empty(g int) bool
}

// part writes a part of the state: each puts what a key group has or, where p.changes is set, what has changed in it since
// the base. Where there are no parts that is all groups.
func (p *pairWriter) part(r state.Range, name []byte, of partView, each func(group int)) error {
	if p.parts == nil {
		return p.groups(r, each)
	}
	if err := p.parts.Part(name); err != nil {
		return err
	}
	return p.groups(r, func(group int) {
		if of.Empty(group) {
			return
		}
		p.changes = of.Known() && p.parts.Builds(group)
		if each(group); p.changes && !p.wrote && len(p.block) == 0 && p.err == nil {
			p.err = p.parts.Changes(group, nil) // it stays as it was
		}
	})
}

// remove notes that there is nothing any more under the id in p.pair.
func (p *pairWriter) remove() {
	p.block = operator.AppendRemoval(p.block, p.pair)
	p.added()
}

// removals notes which keys of a group are gone, where p.changes is set, and says so.
func removals[K comparable, V any](p *pairWriter, of *state.Frozen[K, V], group int, key func(dst []byte, k *K) []byte) bool {
	if !p.changes {
		return false
	}
	for k := range of.Removed(group) {
		p.pair = key(p.pair[:0], k)
		p.remove()
	}
	return true
}

// pairsOf calls each with the pairs that a group of a view has or, where p.changes is set, with those that have changed since
// the base; what is gone is noted.
func pairsOf[K comparable, V any](p *pairWriter, of *state.Frozen[K, V], group int, key func(dst []byte, k *K) []byte, each func(k *K, v *V)) {
	pairs := of.Group
	if removals(p, of, group, key) {
		pairs = of.Changed
	}
	for k, v := range pairs(group) {
		each(k, v)
	}
	p.failed(of.Err())
}
