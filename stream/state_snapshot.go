package stream

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/weftstream/weft/codec"
	"github.com/weftstream/weft/operator"
	"github.com/weftstream/weft/runtime/state"
)

// The states of a processor in a checkpoint: one keyed state for each of the user's, pairs of key and value; beside it, where
// there is a time to live, one of key and time of expiry; and two of timers, pairs of key and time.
const (
	expiryPrefix     = "_expires:"
	eventTimers      = "_event-timers"
	processingTimers = "_processing-timers"
)

func (c *cells[V]) label() string { return c.name }

func (c *cells[V]) schema() ([]byte, bool, error) {
	b, err := c.typ.Schema().MarshalBinary()
	return b, c.ttl > 0, err
}

// cellsView is the view of cells. What had expired when it was made isn't there.
type cellsView[V any] struct {
	columnView[V]
	typ   *codec.Type[V]
	timed bool
	now   int64
}

func (c *cells[V]) freeze() stateView {
	v := &cellsView[V]{columnView: c.column.freeze(), typ: c.typ, timed: c.ttl > 0}
	if v.timed {
		v.now = c.ks.now()
	}
	return v
}

func (v *cellsView[V]) touch(slots []int32) (set int) {
	for _, slot := range slots {
		if v.pages[slot>>pageBits][slot&pageMask].set {
			set++
		}
	}
	return set
}

// has says whether slot has a value.
func (v *cellsView[V]) has(slot int32) bool {
	i, j := slot>>pageBits, slot&pageMask
	return v.pages[i][j].set && !(v.timed && v.now >= v.expires[i][j])
}

func (v *cellsView[V]) encode(dst []byte, slot int32) ([]byte, bool) {
	if !v.has(slot) {
		return dst, false
	}
	return v.typ.EncodeValue(dst, &v.pages[slot>>pageBits][slot&pageMask].val), true
}

func (v *cellsView[V]) encodeExpiry(dst []byte, slot int32) ([]byte, bool) {
	if !v.has(slot) {
		return dst, false
	}
	return appendInt64(dst, v.expires[slot>>pageBits][slot&pageMask]), true
}

func (c *cells[V]) reader(schema []byte) (func(int32, []byte) ([]byte, error), error) {
	r, err := readerOf[V](schema)
	if err != nil {
		return nil, err
	}
	return func(slot int32, src []byte) ([]byte, error) {
		var v V
		rest, err := r.Read(&v, src)
		if err != nil {
			return nil, err
		}
		c.ks.slot = slot
		*c.renew() = v // of a state that had no time to live when it was saved, it begins now
		return rest, nil
	}, nil
}

func (c *cells[V]) setExpiry(slot int32, at int64) {
	if c.ttl > 0 {
		c.edit(slot)
		c.expires[slot>>pageBits][slot&pageMask] = at
	}
}

// processorView is what a processor held at a barrier.
type processorView[K comparable] struct {
	inc    increment
	kt     *codec.Key[K]
	r      state.Range
	keys   *state.Frozen[K, int32]
	states []namedView
	others *operatorView
	timers []*timersView[K]
	views  *atomic.Int32
	now    int64 // when it was made
	once   sync.Once
}

type namedView struct {
	name    string
	schema  []byte
	expires bool
	stateView
}

// Snapshot takes the states and timers of all keys, without copying them.
func (p *processor[K, O]) Snapshot(int64) (operator.StateSnapshot, error) {
	return p.snapshot(increment{})
}

// SnapshotSince is Snapshot that writes what has changed since base: of a key that was touched all states.
func (p *processor[K, O]) SnapshotSince(checkpoint, base int64) (operator.StateSnapshot, error) {
	return p.snapshot(increment{checkpoint, base})
}

func (p *processor[K, O]) snapshot(inc increment) (operator.StateSnapshot, error) {
	if err := p.space.Err(); err != nil {
		return nil, err
	}
	v := &processorView[K]{inc: inc, kt: p.kt, r: groupsOf(p.env), views: &p.ks.views, now: p.ks.now()}
	for _, s := range p.ks.states {
		schema, expires, err := s.schema()
		if err != nil {
			return nil, fmt.Errorf("describe state %q: %w", s.label(), err)
		}
		v.states = append(v.states, namedView{s.label(), schema, expires, s.freeze()})
	}
	var err error
	if v.others, err = p.states.freeze(); err != nil {
		return nil, err
	}
	v.timers = []*timersView[K]{p.event.freeze(eventTimers, v.r, inc), p.processing.freeze(processingTimers, v.r, inc)}
	v.keys = freezeTable(p.keys, inc)
	p.ks.views.Add(1)
	return v, nil
}

// Release lets the processor change what it had shared.
func (v *processorView[K]) Release() {
	v.once.Do(func() {
		v.keys.Release()
		v.others.Release()
		v.states, v.timers = nil, nil
		v.views.Add(-1)
	})
}

// Write writes the states and timers.
func (v *processorView[K]) Write(w operator.StateWriter) error {
	p, err := v.inc.writer(w)
	if err != nil {
		return err
	}
	key, err := v.kt.Schema().MarshalBinary()
	if err != nil {
		return err
	}
	number, err := int64Schema()
	if err != nil {
		return err
	}
	begin := func(name string, value []byte) error {
		return w.Begin(operator.StateDescriptor{Name: name, Kind: operator.KeyedState, Key: key, Value: value})
	}
	for i := range v.states {
		s := &v.states[i]
		if err := begin(s.name, s.schema); err != nil {
			return err
		}
		if err := v.pairs(p, i, s.encode, appendStoredValue); err != nil {
			return err
		}
		if !s.expires {
			continue
		}
		if err := begin(expiryPrefix+s.name, number); err != nil {
			return err
		}
		if err := v.pairs(p, i, s.encodeExpiry, appendStoredExpiry); err != nil {
			return err
		}
	}
	for _, t := range v.timers {
		if err := begin(t.name, number); err != nil {
			return err
		}
		if err := t.write(p, v.kt, v.r); err != nil {
			return err
		}
	}
	return v.others.Write(w)
}

// pairs writes a pair of every key for which value appends something of state i, or stored where the key is in the store.
func (v *processorView[K]) pairs(p *pairWriter, i int, value func(dst []byte, slot int32) ([]byte, bool), stored func([]byte, storedState) []byte) error {
	var near nearby[K]
	putNear := func() {
		v.states[i].touch(near.slots[:near.n])
		for at := range near.n {
			p.pair = v.kt.EncodeValue(p.pair[:0], near.keys[at])
			id, set := len(p.pair), false
			p.pair, set = value(p.pair, near.slots[at])
			p.putOrRemove(id, set)
		}
		near.n = 0
	}
	return p.part(v.r, nil, v.keys, func(group int) {
		each := v.keys.Each
		if removals(p, v.keys, group, v.kt.EncodeValue) {
			each = v.keys.EachChanged
		}
		each(group, func(k *K, slot *int32, src []byte) bool {
			if slot != nil {
				if near.add(k, *slot) {
					putNear()
				}
				return p.err == nil
			}
			p.pair = v.kt.EncodeValue(p.pair[:0], k)
			id := len(p.pair)
			s, err := storedStateAt(src, i)
			if err != nil {
				p.failed(err)
				return false
			}
			set := s.set && !(v.states[i].expires && v.now >= s.expiry)
			if set {
				p.pair = stored(p.pair, s)
			}
			p.putOrRemove(id, set)
			return p.err == nil
		})
		putNear()
		p.failed(v.keys.Err())
	})
}

// nearby gathers keys whose values are then read together: they are anywhere in memory, and what takes time is to wait for
// them one after the other.
type nearby[K comparable] struct {
	n     int
	keys  [32]*K
	slots [32]int32
}

// add says that there is no room for another one.
func (b *nearby[K]) add(k *K, slot int32) (full bool) {
	b.keys[b.n], b.slots[b.n] = k, slot
	b.n++
	return b.n == len(b.slots)
}

func int64Schema() ([]byte, error) {
	t, err := codec.Of[int64]()
	if err != nil {
		return nil, err
	}
	return t.Schema().MarshalBinary()
}

// appendInt64 is the codec's encoding of an int64.
func appendInt64(dst []byte, n int64) []byte { return binary.LittleEndian.AppendUint64(dst, uint64(n)) }

// Restore takes over the states and timers of this subtask's keys.
func (p *processor[K, O]) Restore(r operator.StateReader) error {
	if err := p.states.restore(r); err != nil {
		return err
	}
	bound := map[string]slotState{}
	for _, s := range p.ks.states {
		bound[s.label()] = s
	}
	// Values first: the times of their expiry change what they set.
	for _, d := range r.States() {
		if d.Name[0] == '_' || d.Kind != operator.KeyedState {
			continue
		}
		s := bound[d.Name]
		if s == nil {
			return notBound(d.Name)
		}
		fill, err := s.reader(d.Value)
		if err != nil {
			return fmt.Errorf("restore state %q: %w", d.Name, err)
		}
		if err := p.restorePairs(r, d, func(hash uint32, k K, src []byte) ([]byte, error) {
			slot, _ := p.slotOf(hash, k)
			return fill(slot, src)
		}); err != nil {
			return err
		}
	}
	for _, d := range r.States() {
		var take func(hash uint32, k K, n int64)
		switch {
		case d.Name == eventTimers:
			take = func(hash uint32, k K, n int64) { p.event.restore(hash, k, n) }
		case d.Name == processingTimers:
			take = func(hash uint32, k K, n int64) { p.processing.restore(hash, k, n) }
		case bytes.HasPrefix([]byte(d.Name), []byte(expiryPrefix)) && bound[d.Name[len(expiryPrefix):]] != nil:
			s := bound[d.Name[len(expiryPrefix):]]
			take = func(hash uint32, k K, n int64) { p.restoreExpiry(s, hash, k, n) }
		default:
			continue
		}
		err := p.restorePairs(r, d, func(hash uint32, k K, src []byte) ([]byte, error) {
			if len(src) < 8 {
				return nil, fmt.Errorf("%d bytes where a number was to be: the checkpoint is damaged", len(src))
			}
			take(hash, k, int64(binary.LittleEndian.Uint64(src)))
			return src[8:], nil
		})
		if err != nil {
			return err
		}
	}
	if p.event.heap.len()+p.processing.heap.len() > 0 && p.onTimer == nil {
		return fmt.Errorf("the checkpoint has timers of %q, but its function has no OnTimer method now", p.env.Name)
	}
	if p.processing.heap.len() > 0 {
		p.env.Runtime.WakeAt(p.processing.heap.first().at)
	}
	if p.ks.ttl > 0 {
		p.awaitSweep()
	}
	return nil
}

// restorePairs calls take for every key of a state; take reads the value behind it.
func (p *processor[K, O]) restorePairs(r operator.StateReader, d operator.StateDescriptor, take func(hash uint32, k K, src []byte) ([]byte, error)) error {
	keys, err := keyReaderOf[K](d.Key)
	if err != nil {
		return fmt.Errorf("restore state %q: its key: %w", d.Name, err)
	}
	for b, err := range r.Blocks(d.Name) {
		for data := b.Data; err == nil && len(data) > 0; {
			var k K
			if data, err = keys.Read(&k, data); err == nil {
				data, err = take(p.kt.Hash(k), k, data)
			}
		}
		if err != nil {
			return fmt.Errorf("restore state %q, key group %d: %w", d.Name, b.Group, err)
		}
	}
	return nil
}

// restore sets a timer again.
func (t *timers[K]) restore(hash uint32, k K, at int64) {
	id := timerKey[K]{at, k}
	if _, ok := t.set[id]; ok {
		return
	}
	if t.set == nil {
		t.set = map[timerKey[K]]struct{}{}
	}
	t.set[id] = struct{}{}
	t.heap.push(timer[K]{at: at, hash: hash, key: k})
}
