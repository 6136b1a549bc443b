package stream

import (
	"github.com/weftstream/weft/runtime/state"
)

// newTable makes the table of an operator with keyed state. own makes a value, copied bit by bit, own what is changed in
// place; nil where nothing is.
func newTable[K comparable, V any](r state.Range, clone func(K) K, own func(*V)) *state.Table[K, V] {
	t := state.NewTable[K, V](r, clone)
	if own != nil {
		t.CopyValues(own)
	}
	return t
}
