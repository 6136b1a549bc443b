package stream

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/weftstream/weft/codec"
	"github.com/weftstream/weft/operator"
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

func (c *cells[V]) encode(dst []byte, slot int32) ([]byte, bool) {
	if !c.set[slot] {
		return dst, false
	}
	return c.typ.EncodeValue(dst, &c.vals[slot]), true
}

func (c *cells[V]) expiry(slot int32) int64 { return c.expires[slot] }

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
		if !c.set[slot] {
			c.set[slot] = true
			c.ks.live[slot]++
		}
		c.vals[slot] = v
		if c.ttl > 0 {
			// Of a state that had no time to live when it was saved, it begins now.
			c.expires[slot] = c.ks.now() + c.ttl
		}
		return rest, nil
	}, nil
}

func (c *cells[V]) setExpiry(slot int32, at int64) {
	if c.ttl > 0 {
		c.expires[slot] = at
	}
}

// groupBlocks are the pairs of one state by key group.
type groupBlocks struct {
	d      operator.StateDescriptor
	first  int // key group
	blocks [][]byte
}

// stateBlocks is a StateSnapshot that has been encoded already.
type stateBlocks []*groupBlocks

// Write writes the states that hold something.
func (s stateBlocks) Write(w operator.StateWriter) error {
	for _, g := range s {
		if err := w.Begin(g.d); err != nil {
			return err
		}
		for i, b := range g.blocks {
			if len(b) == 0 {
				continue
			}
			if err := w.Block(g.first+i, b); err != nil {
				return err
			}
		}
	}
	return nil
}

// Release has nothing to do.
func (s stateBlocks) Release() {}

// Snapshot takes the states and timers of all keys.
func (p *processor[K, O]) Snapshot(int64) (operator.StateSnapshot, error) {
	r := groupsOf(p.env)
	keySchema, err := p.kt.Schema().MarshalBinary()
	if err != nil {
		return nil, err
	}
	number, err := int64Schema()
	if err != nil {
		return nil, err
	}
	var all stateBlocks
	add := func(name string, value []byte) *groupBlocks {
		g := &groupBlocks{d: operator.StateDescriptor{Name: name, Kind: operator.KeyedState, Key: keySchema, Value: value}, first: r.From,
			blocks: make([][]byte, r.To-r.From)}
		all = append(all, g)
		return g
	}
	values, expiries := make([]*groupBlocks, len(p.ks.states)), make([]*groupBlocks, len(p.ks.states))
	for i, s := range p.ks.states {
		schema, expires, err := s.schema()
		if err != nil {
			return nil, fmt.Errorf("describe state %q: %w", s.label(), err)
		}
		values[i] = add(s.label(), schema)
		if expires {
			expiries[i] = add(expiryPrefix+s.label(), number)
		}
	}
	p.keys.All(func(hash uint32, k *K, slot *int32) bool {
		at := operator.KeyGroup(hash, r.Max) - r.From
		for i, s := range p.ks.states {
			b := &values[i].blocks[at]
			begin := len(*b)
			withKey := p.kt.EncodeValue(*b, k)
			encoded, set := s.encode(withKey, *slot)
			if !set {
				*b = withKey[:begin]
				continue
			}
			*b = encoded
			if e := expiries[i]; e != nil {
				e.blocks[at] = appendInt64(p.kt.EncodeValue(e.blocks[at], k), s.expiry(*slot))
			}
		}
		return true
	})
	for name, of := range map[string]*timers[K]{eventTimers: &p.event, processingTimers: &p.processing} {
		g := add(name, number)
		for i := range of.heap.list {
			t := &of.heap.list[i]
			b := &g.blocks[operator.KeyGroup(t.hash, r.Max)-r.From]
			*b = appendInt64(p.kt.EncodeValue(*b, &t.key), t.at)
		}
	}
	return all, nil
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
	bound := map[string]slotState{}
	for _, s := range p.ks.states {
		bound[s.label()] = s
	}
	// Values first: the times of their expiry change what they set.
	for _, d := range r.States() {
		if d.Name[0] == '_' {
			continue
		}
		s := bound[d.Name]
		if s == nil {
			return fmt.Errorf("state %q is in the checkpoint, but the program doesn't bind it: bind it, or give the operator another UID and leave its state out", d.Name)
		}
		fill, err := s.reader(d.Value)
		if err != nil {
			return fmt.Errorf("restore state %q: %w", d.Name, err)
		}
		if err := p.restorePairs(r, d, func(hash uint32, k K, src []byte) ([]byte, error) { return fill(p.slotOf(hash, k), src) }); err != nil {
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
			take = func(hash uint32, k K, n int64) { s.setExpiry(p.slotOf(hash, k), n) }
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
	if len(p.event.heap.list)+len(p.processing.heap.list) > 0 && p.onTimer == nil {
		return fmt.Errorf("the checkpoint has timers of %q, but its function has no OnTimer method now", p.env.Name)
	}
	if len(p.processing.heap.list) > 0 {
		p.env.Runtime.WakeAt(p.processing.heap.list[0].at)
	}
	if p.ks.ttl > 0 && p.keys.Len() > 0 {
		p.sweepAt = p.env.Runtime.Now() + p.sweepEvery()
		p.env.Runtime.WakeAt(p.sweepAt)
	}
	return nil
}

// slotOf is the slot of a key, made if it has none.
func (p *processor[K, O]) slotOf(hash uint32, k K) int32 {
	slot, fresh := p.keys.At(hash, k)
	if fresh {
		*slot = p.newSlot()
	}
	return *slot
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
