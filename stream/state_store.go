package stream

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/weftstream/weft/runtime/state"
)

// A key of a processor that doesn't fit into memory is stored with all its states: of each a byte that says whether there is
// a value, then the time of expiry, the length of the value's encoding and the encoding. Timers stay in memory.

// storable is a state of which a slot can be stored.
type storable interface {
	// store appends the value of slot.
	store(dst []byte, slot int32) []byte
	// fetch reads it into a slot that holds nothing.
	fetch(slot int32, s storedState) error
	// clear removes the value of slot.
	clear(slot int32)
	// gone says that a stored value has expired at now.
	gone(s storedState, now int64) bool
}

// storedState is a state of a stored key.
type storedState struct {
	set    bool
	expiry int64
	value  []byte
}

// errStored is returned for bytes that no store wrote.
var errStored = errors.New("the local copy of a key's state is damaged")

// nextStored reads a state.
func nextStored(src []byte) (s storedState, rest []byte, err error) {
	if len(src) == 0 {
		return s, nil, errStored
	}
	if src[0] == 0 {
		return s, src[1:], nil
	}
	if len(src) < 9 {
		return s, nil, errStored
	}
	s.set, s.expiry = true, int64(binary.LittleEndian.Uint64(src[1:]))
	n, w := binary.Uvarint(src[9:])
	if w <= 0 || n > uint64(len(src)-9-w) {
		return s, nil, errStored
	}
	src = src[9+w:]
	s.value = src[:n]
	return s, src[n:], nil
}

// storedStateAt is state i of a stored key.
func storedStateAt(src []byte, i int) (s storedState, err error) {
	for ; i >= 0 && err == nil; i-- {
		s, src, err = nextStored(src)
	}
	return s, err
}

// gone says that a stored key has no state any more at now.
func (ks *keyedState) gone(src []byte, now int64) bool {
	for _, of := range ks.states {
		var s storedState
		var err error
		if s, src, err = nextStored(src); err != nil || s.set && !of.gone(s, now) {
			return false
		}
	}
	return true
}

func (c *cells[V]) gone(s storedState, now int64) bool { return c.ttl > 0 && now >= s.expiry }

func appendStoredValue(dst []byte, s storedState) []byte { return append(dst, s.value...) }

func appendStoredExpiry(dst []byte, s storedState) []byte { return appendInt64(dst, s.expiry) }

func (c *cells[V]) store(dst []byte, slot int32) []byte {
	e := c.at(slot)
	if !e.set {
		return append(dst, 0)
	}
	var expiry int64
	if c.ttl > 0 {
		expiry = c.expires[slot>>pageBits][slot&pageMask]
	}
	dst = appendInt64(append(dst, 1), expiry)
	c.stored = c.typ.EncodeValue(c.stored[:0], &e.val)
	return append(binary.AppendUvarint(dst, uint64(len(c.stored))), c.stored...)
}

func (c *cells[V]) fetch(slot int32, s storedState) error {
	src := s.value
	if c.typ.Pins() {
		src = bytes.Clone(src)
	}
	var v V
	if _, err := c.typ.DecodeValue(&v, src); err != nil {
		return fmt.Errorf("state %q: %w", c.name, err)
	}
	*c.edit(slot) = cell[V]{v, true}
	if c.own != nil {
		c.renewed(slot)
	}
	c.setExpiry(slot, s.expiry)
	c.ks.live[slot]++
	return nil
}

// format is how a key's states are stored: what the table holds is the key's slot.
func (p *processor[K, O]) format() state.Format[K, int32] {
	return state.Format[K, int32]{
		Hash: p.kt.Hash, AppendKey: p.kt.EncodeValue, ReadKey: ownedReader(p.kt.Type),
		Append: func(dst []byte, slot *int32) []byte {
			for _, s := range p.ks.states {
				dst = s.store(dst, *slot)
			}
			return dst
		},
		Read: func(slot *int32, src []byte) error {
			*slot = p.newSlot()
			for _, s := range p.ks.states {
				var stored storedState
				var err error
				if stored, src, err = nextStored(src); err == nil && stored.set {
					err = s.fetch(*slot, stored)
				}
				if err != nil {
					return err
				}
			}
			return nil
		},
		Evicted: func(slot *int32) {
			for _, s := range p.ks.states {
				s.clear(*slot)
			}
			p.free = append(p.free, *slot)
		},
		// In memory a value takes more than its encoding: its cell, and what it points to.
		Extra: func(n int) int64 { return int64(2*n + 2*entryOverhead) },
	}
}
