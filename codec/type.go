package codec

import (
	"encoding/binary"
	"fmt"
	"reflect"
	"sync"
	"unsafe"

	"github.com/weftstream/weft/operator"
)

// Type is the codec of T. It implements operator.Type.
type Type[T any] struct{ p *plan }

var _ operator.Type = (*Type[int])(nil)

var plans sync.Map // reflect.Type -> *plan or error

func planOf(t reflect.Type) (*plan, error) {
	if v, ok := plans.Load(t); ok {
		if p, ok := v.(*plan); ok {
			return p, nil
		}
		return nil, v.(error)
	}
	name := t.String()
	p, err := compile(t, name, nil)
	if err != nil {
		plans.Store(t, err)
		return nil, err
	}
	plans.Store(t, p)
	return p, nil
}

// Of compiles the codec of T, once per process. The error wraps ErrUnsupported and names the field.
func Of[T any]() (*Type[T], error) {
	p, err := planOf(reflect.TypeFor[T]())
	if err != nil {
		return nil, err
	}
	return &Type[T]{p}, nil
}

// Signature is the schema in words: field names and kinds, not the names of Go types.
func (t *Type[T]) Signature() string { return t.p.sig }

// Pins says that T holds strings, so that decoded values point into what they were decoded from.
func (t *Type[T]) Pins() bool { return t.p.pins }

// New makes an empty batch.
func (t *Type[T]) New(capacity int) operator.Batch { return operator.NewVec[T](capacity) }

// Reset empties b and drops what its records point to.
func (t *Type[T]) Reset(b operator.Batch) {
	v := b.(*operator.Vec[T])
	if !t.p.plain {
		clear(v.V)
	}
	v.Reset()
}

// Copy appends src's records to dst.
func (t *Type[T]) Copy(dst, src operator.Batch) {
	dst.(*operator.Vec[T]).AppendAll(src.(*operator.Vec[T]))
}

// EncodeValue appends v's encoding to dst.
func (t *Type[T]) EncodeValue(dst []byte, v *T) []byte { return t.p.encode(dst, unsafe.Pointer(v)) }

// DecodeValue reads one value and returns what follows it. Strings point into src.
func (t *Type[T]) DecodeValue(v *T, src []byte) ([]byte, error) {
	return t.p.decode(unsafe.Pointer(v), src)
}

// Clone makes *v own everything it points to, so that it can be kept beyond its frame.
func (t *Type[T]) Clone(v *T) { t.p.clone(unsafe.Pointer(v)) }

const (
	hasTimes  = 1
	hasHashes = 2
)

// Encode writes uvarint count, a byte of flags, timestamps, hashes, values.
func (t *Type[T]) Encode(dst []byte, b operator.Batch, from, to int) []byte {
	v := b.(*operator.Vec[T])
	dst = binary.AppendUvarint(dst, uint64(to-from))
	var flags byte
	if len(v.TS) != 0 {
		flags |= hasTimes
	}
	if len(v.H) != 0 {
		flags |= hasHashes
	}
	dst = append(dst, flags)
	if from == to {
		return dst
	}
	if flags&hasTimes != 0 {
		dst = append(dst, memory(v.TS[from:to])...)
	}
	if flags&hasHashes != 0 {
		dst = append(dst, memory(v.H[from:to])...)
	}
	if t.p.plain {
		return append(dst, memory(v.V[from:to])...)
	}
	for i := from; i < to; i++ {
		dst = t.p.encode(dst, unsafe.Pointer(&v.V[i]))
	}
	return dst
}

// Decode appends what one Encode wrote. On an error b holds what was read before it.
func (t *Type[T]) Decode(b operator.Batch, src []byte) error {
	v := b.(*operator.Vec[T])
	count, w := binary.Uvarint(src)
	if w <= 0 || len(src) == w {
		return corrupt(t.p, "batch header")
	}
	flags := src[w]
	src = src[w+1:]
	if flags > hasTimes|hasHashes || t.p.size > 0 && count > uint64(len(src)) || count > 1<<24 {
		return corrupt(t.p, "batch header")
	}
	n := int(count)
	if len(v.V) != 0 && n != 0 && (flags&hasTimes != 0) != (len(v.TS) != 0) {
		return fmt.Errorf("%w: batch of %s mixes records with and without timestamps", ErrCorrupt, t.p.sig)
	}
	var err error
	if flags&hasTimes != 0 {
		if v.TS, src, err = take(t.p, v.TS, src, n); err != nil {
			return err
		}
	}
	if flags&hasHashes != 0 {
		if v.H, src, err = take(t.p, v.H, src, n); err != nil {
			return err
		}
	}
	if t.p.plain && !t.p.hasBool() {
		v.V, src, err = take(t.p, v.V, src, n)
	} else {
		start := len(v.V)
		v.V = grow(v.V, n)
		for i := range n {
			if src, err = t.decodeOne(&v.V[start+i], src); err != nil {
				v.V = v.V[:start+i]
				break
			}
		}
	}
	if err == nil && len(src) != 0 {
		err = corrupt(t.p, "bytes after a batch")
	}
	if err != nil { // keep the lengths equal
		n := len(v.V)
		v.TS, v.H = v.TS[:min(n, len(v.TS))], v.H[:min(n, len(v.H))]
	}
	return err
}

func (t *Type[T]) decodeOne(v *T, src []byte) ([]byte, error) {
	if t.p.plain { // memory, but with bools to check
		if uintptr(len(src)) < t.p.size {
			return nil, corrupt(t.p, "value")
		}
		copy(unsafe.Slice((*byte)(unsafe.Pointer(v)), t.p.size), src)
		t.p.fixBools(unsafe.Pointer(v))
		return src[t.p.size:], nil
	}
	return t.p.decode(unsafe.Pointer(v), src)
}

// hasBool says that a plain type holds bools, whose bytes must be 0 or 1.
func (p *plan) hasBool() bool {
	switch p.kind {
	case kindFixed:
		return p.typ.Kind() == reflect.Bool
	case kindArray:
		return p.elem.hasBool()
	case kindStruct:
		for i := range p.fields {
			if p.fields[i].plan.hasBool() {
				return true
			}
		}
	}
	return false
}

func (p *plan) fixBools(v unsafe.Pointer) {
	switch p.kind {
	case kindFixed:
		if p.typ.Kind() == reflect.Bool {
			*(*byte)(v) &= 1
		}
	case kindArray:
		for i := range p.n {
			p.elem.fixBools(unsafe.Add(v, uintptr(i)*p.elem.size))
		}
	case kindStruct:
		for i := range p.fields {
			p.fields[i].plan.fixBools(unsafe.Add(v, p.fields[i].offset))
		}
	}
}

// memory is the bytes of s.
func memory[E any](s []E) []byte {
	var e E
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), uintptr(len(s))*unsafe.Sizeof(e))
}

// take appends n elements copied from src to dst.
func take[E any](p *plan, dst []E, src []byte, n int) ([]E, []byte, error) {
	var e E
	size := int(unsafe.Sizeof(e))
	if len(src) < n*size {
		return dst, nil, corrupt(p, "batch shorter than its header says")
	}
	start := len(dst)
	dst = grow(dst, n)
	copy(memory(dst[start:]), src[:n*size])
	return dst, src[n*size:], nil
}

func grow[E any](s []E, n int) []E {
	if cap(s)-len(s) >= n {
		return s[:len(s)+n]
	}
	out := make([]E, len(s)+n, max(2*cap(s), len(s)+n))
	copy(out, s)
	return out
}
