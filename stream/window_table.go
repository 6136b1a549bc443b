package stream

import (
	"bytes"

	"github.com/weftstream/weft/codec"
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

// entryOverhead is about what an entry takes beyond its slot and what it points to.
const entryOverhead = 32

// formatOf is how a table of values with a codec is stored.
func formatOf[K comparable, V any](kt *codec.Key[K], vt *codec.Type[V]) state.Format[K, V] {
	f := state.Format[K, V]{Hash: kt.Hash, AppendKey: kt.EncodeValue, ReadKey: ownedReader(kt.Type), Append: vt.EncodeValue, Read: ownedReader(vt)}
	if kt.Pins() || vt.Pins() || copierOf(vt) != nil {
		f.Extra = func(n int) int64 { return int64(n) + entryOverhead }
	}
	return f
}

// ownedReader decodes values that own their memory.
func ownedReader[V any](t *codec.Type[V]) func(*V, []byte) error {
	return func(v *V, src []byte) error {
		if t.Pins() {
			src = bytes.Clone(src)
		}
		_, err := t.DecodeValue(v, src)
		return err
	}
}
