// Package networktest is what the tests of the runtime share: a record type with a hand-written operator.Type, and a check
// for goroutines left behind.
package networktest

import (
	"encoding/binary"
	"errors"
	"unsafe"

	"github.com/weftstream/weft/operator"
)

// Record is the tests' record.
type Record struct {
	Key string
	N   int64
}

// Vec is a batch of records.
type Vec = operator.Vec[Record]

// Type is the operator.Type of Record. With Alias decoded keys point into the frame.
type Type struct{ Alias bool }

var _ operator.Type = Type{}

var errShort = errors.New("decode records: short input")

// Signature names the type.
func (Type) Signature() string { return "Record{Key string, N int64}" }

// New makes a batch.
func (Type) New(capacity int) operator.Batch { return operator.NewVec[Record](capacity) }

// Reset empties b.
func (Type) Reset(b operator.Batch) {
	v := b.(*Vec)
	clear(v.V)
	v.Reset()
}

// Pins says whether decoded keys point into the frame.
func (t Type) Pins() bool { return t.Alias }

// Copy appends src to dst.
func (Type) Copy(dst, src operator.Batch) { dst.(*Vec).AppendAll(src.(*Vec)) }

// Encode writes: count, number of timestamps, number of hashes; then the columns.
func (Type) Encode(dst []byte, b operator.Batch, from, to int) []byte {
	v := b.(*Vec)
	dst = binary.AppendUvarint(dst, uint64(to-from))
	var flags byte
	if len(v.TS) > 0 {
		flags |= 1
	}
	if len(v.H) > 0 {
		flags |= 2
	}
	dst = append(dst, flags)
	for _, r := range v.V[from:to] {
		dst = binary.AppendUvarint(dst, uint64(len(r.Key)))
		dst = append(dst, r.Key...)
		dst = binary.AppendVarint(dst, r.N)
	}
	if len(v.TS) > 0 {
		for _, ts := range v.TS[from:to] {
			dst = binary.AppendVarint(dst, ts)
		}
	}
	if len(v.H) > 0 {
		for _, h := range v.H[from:to] {
			dst = binary.LittleEndian.AppendUint32(dst, h)
		}
	}
	return dst
}

// Decode reads what Encode wrote.
func (t Type) Decode(b operator.Batch, src []byte) error {
	v := b.(*Vec)
	n, w := binary.Uvarint(src)
	if w <= 0 || n > uint64(len(src)) || len(src) < w+1 {
		return errShort
	}
	flags := src[w]
	src = src[w+1:]
	for range n {
		size, w := binary.Uvarint(src)
		if w <= 0 || size > uint64(len(src)-w) {
			return errShort
		}
		key := src[w : w+int(size)]
		src = src[w+int(size):]
		x, w := binary.Varint(src)
		if w <= 0 {
			return errShort
		}
		src = src[w:]
		r := Record{N: x}
		if t.Alias && size > 0 {
			r.Key = unsafe.String(&key[0], len(key))
		} else {
			r.Key = string(key)
		}
		v.V = append(v.V, r)
	}
	if flags&1 != 0 {
		for range n {
			ts, w := binary.Varint(src)
			if w <= 0 {
				return errShort
			}
			src = src[w:]
			v.TS = append(v.TS, ts)
		}
	}
	if flags&2 != 0 {
		if uint64(len(src)) < 4*n {
			return errShort
		}
		for i := range n {
			v.H = append(v.H, binary.LittleEndian.Uint32(src[4*i:]))
		}
	}
	return nil
}

// Hash fills the hashes of a batch's keys (FNV-1a and a finalizer), for operator.NewKeyedRouter.
func Hash(v *Vec) {
	v.H = v.H[:0]
	for i := range v.V {
		h := uint32(2166136261)
		for _, c := range []byte(v.V[i].Key) {
			h = (h ^ uint32(c)) * 16777619
		}
		h ^= h >> 16
		h *= 0x85ebca6b
		h ^= h >> 13
		v.H = append(v.H, h)
	}
}
