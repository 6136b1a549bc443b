package stream

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/weftstream/weft/codec"
	"github.com/weftstream/weft/operator"
	"github.com/weftstream/weft/runtime/state"
)

// snapshotOf is a StateSnapshot made of functions.
type snapshotOf struct {
	write   func(w operator.StateWriter) error
	release func() // may be nil
}

func (s *snapshotOf) Write(w operator.StateWriter) error { return s.write(w) }

func (s *snapshotOf) Release() {
	if s.release != nil {
		s.release()
	}
}

// listSnapshot is a list state whose parts are opaque, a block each; nil without parts.
func listSnapshot(name string, parts [][]byte) operator.StateSnapshot {
	if len(parts) == 0 {
		return nil
	}
	return &snapshotOf{write: func(w operator.StateWriter) error {
		if err := w.Begin(operator.StateDescriptor{Name: name, Kind: operator.ListState}); err != nil {
			return err
		}
		for _, p := range parts {
			if err := w.Block(-1, p); err != nil {
				return err
			}
		}
		return nil
	}}
}

// pairBlockSize is the size after which a block of pairs is written.
const pairBlockSize = 1 << 20

// pairCodec writes and reads a keyed state whose values are of the operator's own type V.
type pairCodec[K comparable, V any] struct {
	name string
	key  *codec.Key[K]
	val  *codec.Type[V]
}

func newPairCodec[K comparable, V any](name string, key *codec.Key[K]) (pairCodec[K, V], error) {
	val, err := codec.Of[V]()
	return pairCodec[K, V]{name: name, key: key, val: val}, err
}

// begin begins the state.
func (c *pairCodec[K, V]) begin(w operator.StateWriter) error {
	d := operator.StateDescriptor{Name: c.name, Kind: operator.KeyedState}
	var err, errKey error
	d.Key, errKey = c.key.Schema().MarshalBinary()
	d.Value, err = c.val.Schema().MarshalBinary()
	if err = errors.Join(errKey, err); err != nil {
		return fmt.Errorf("describe state %q: %w", c.name, err)
	}
	return w.Begin(d)
}

// read calls take with every pair of the state that is this subtask's. The values own what they point to.
func (c *pairCodec[K, V]) read(r operator.StateReader, take func(hash uint32, k K, v *V) error) error {
	var d *operator.StateDescriptor
	for _, s := range r.States() {
		if s.Name == c.name {
			d = &s
		}
	}
	if d == nil {
		return nil
	}
	keys, errKey := keyReaderOf[K](d.Key)
	vals, err := readerOf[V](d.Value)
	if err = errors.Join(errKey, err); err != nil {
		return fmt.Errorf("restore state %q: %w", c.name, err)
	}
	for b, err := range r.Blocks(c.name) {
		if err != nil {
			return fmt.Errorf("restore state %q: %w", c.name, err)
		}
		for data := b.Data; len(data) != 0; {
			var k K
			var v V
			if data, err = keys.Read(&k, data); err == nil {
				data, err = vals.Read(&v, data)
			}
			if err == nil {
				err = take(c.key.Hash(k), k, &v)
			}
			if err != nil {
				return fmt.Errorf("restore state %q, key group %d: %w", c.name, b.Group, err)
			}
		}
	}
	return nil
}

// readerOf reads values of type T that were written under schema.
func readerOf[T any](schema []byte) (*codec.Reader[T], error) {
	var s codec.Schema
	if err := s.UnmarshalBinary(schema); err != nil {
		return nil, err
	}
	return codec.ReaderOf[T](&s)
}

// keyReaderOf is readerOf for keys.
func keyReaderOf[K comparable](schema []byte) (*codec.Reader[K], error) {
	var s codec.Schema
	if err := s.UnmarshalBinary(schema); err != nil {
		return nil, err
	}
	return codec.KeyReaderOf[K](&s)
}

// pairWriter gathers pairs into blocks, or entries into the groups of parts, key group by key group.
type pairWriter struct {
	w       operator.StateWriter
	parts   operator.ChangeWriter // nil: there are none, pairs are written
	changes bool                  // what is put changes what the base has of the group
	group   int
	wrote   bool   // something of the group
	pair    []byte // the one that is being put
	block   []byte
	pairs   int
	err     error
}

// yieldEvery is after how many pairs a writer lets others run: the subtask, where its host has one processor.
const yieldEvery = 256

// added ends a block that is large enough.
func (p *pairWriter) added() {
	if len(p.block) >= pairBlockSize {
		p.flush()
	}
	if p.pairs++; p.pairs%yieldEvery == 0 {
		runtime.Gosched()
	}
}

// groups calls each for every key group of r, which puts the pairs of that group.
func (p *pairWriter) groups(r state.Range, each func(group int)) error {
	for p.group = r.From; p.group < r.To && p.err == nil; p.group++ {
		p.changes, p.wrote = false, false
		each(p.group)
		p.flush()
	}
	return p.err
}

func (p *pairWriter) flush() {
	switch {
	case len(p.block) == 0 || p.err != nil:
	case p.parts == nil:
		p.err = p.w.Block(p.group, p.block)
	case p.changes:
		p.err = p.parts.Changes(p.group, p.block)
	default:
		p.err = p.parts.Whole(p.group, p.block)
	}
	p.wrote = p.wrote || len(p.block) != 0
	p.block = p.block[:0]
}

// failed keeps err, if there is one: no more is written.
func (p *pairWriter) failed(err error) {
	if p.err == nil {
		p.err = err
	}
}

// put adds p.pair to the current group. Its first id bytes are what it is known by: an id stands for what was put under it
// last, one pair or several, all beginning with the same key.
func (p *pairWriter) put(id int) {
	if p.parts == nil {
		p.block = append(p.block, p.pair...)
	} else {
		p.block = operator.AppendEntry(p.block, p.pair[:id], p.pair[id:])
	}
	p.added()
}

// putOrRemove is put where there is something under the id in p.pair, and remove where there is nothing any more.
func (p *pairWriter) putOrRemove(id int, there bool) {
	switch {
	case there:
		p.put(id)
	case p.changes:
		p.pair = p.pair[:id]
		p.remove()
	}
}

// putPair adds the pair of a key that has one.
func putPair[K comparable, V any](p *pairWriter, c *pairCodec[K, V], k *K, v *V) {
	p.pair = c.key.EncodeValue(p.pair[:0], k)
	id := len(p.pair)
	p.pair = c.val.EncodeValue(p.pair, v)
	p.put(id)
}
