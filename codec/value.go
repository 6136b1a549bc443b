package codec

import (
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"
	"unsafe"
)

// ErrCorrupt is returned for bytes that no Encode wrote.
var ErrCorrupt = errors.New("corrupt encoding")

func (p *plan) encode(dst []byte, v unsafe.Pointer) []byte {
	switch p.kind {
	case kindFixed:
		return append(dst, unsafe.Slice((*byte)(v), p.size)...)
	case kindString:
		s := *(*string)(v)
		dst = binary.AppendUvarint(dst, uint64(len(s)))
		return append(dst, s...)
	case kindStruct:
		if p.flat != nil {
			return p.encodeFlat(dst, v)
		}
		for i := range p.fields {
			f := &p.fields[i]
			dst = f.plan.encode(dst, unsafe.Add(v, f.offset))
		}
		return dst
	case kindArray:
		for i := range p.n {
			dst = p.elem.encode(dst, unsafe.Add(v, uintptr(i)*p.elem.size))
		}
		return dst
	case kindSlice:
		s := (*sliceHeader)(v)
		if s.data == nil {
			return append(dst, 0)
		}
		dst = binary.AppendUvarint(dst, uint64(s.len)+1)
		if p.elem.kind == kindFixed {
			return append(dst, unsafe.Slice((*byte)(s.data), uintptr(s.len)*p.elem.size)...)
		}
		for i := range s.len {
			dst = p.elem.encode(dst, unsafe.Add(s.data, uintptr(i)*p.elem.size))
		}
		return dst
	case kindPointer:
		e := *(*unsafe.Pointer)(v)
		if e == nil {
			return append(dst, 0)
		}
		return p.elem.encode(append(dst, 1), e)
	case kindMap:
		return p.encodeMap(dst, v)
	case kindTime:
		t := *(*time.Time)(v)
		dst = binary.LittleEndian.AppendUint64(dst, uint64(t.Unix()))
		return binary.LittleEndian.AppendUint32(dst, uint32(t.Nanosecond()))
	}
	return dst
}

type sliceHeader struct {
	data unsafe.Pointer
	len  int
	cap  int
}

func (p *plan) encodeMap(dst []byte, v unsafe.Pointer) []byte {
	m := reflect.NewAt(p.typ, v).Elem()
	if m.IsNil() {
		return append(dst, 0)
	}
	pairs := make([]pair, 0, m.Len())
	k, e := reflect.New(p.key.typ), reflect.New(p.elem.typ)
	for it := m.MapRange(); it.Next(); {
		k.Elem().Set(it.Key())
		e.Elem().Set(it.Value())
		pairs = append(pairs, pair{p.key.encode(nil, k.UnsafePointer()), p.elem.encode(nil, e.UnsafePointer())})
	}
	sortPairs(pairs)
	dst = binary.AppendUvarint(dst, uint64(len(pairs))+1)
	for _, pr := range pairs {
		dst = append(append(dst, pr.key...), pr.value...)
	}
	return dst
}

func corrupt(p *plan, what string) error {
	return fmt.Errorf("%w: %s of type %s", ErrCorrupt, what, p.sig)
}

// length reads a count and refuses one that the rest of src can't hold at unit bytes each.
func length(p *plan, src []byte, unit int) (int, []byte, error) {
	n, w := binary.Uvarint(src)
	if w <= 0 {
		return 0, nil, corrupt(p, "length")
	}
	src = src[w:]
	if unit > 0 && n > uint64(len(src)/unit)+1 || n > 1<<31 {
		return 0, nil, corrupt(p, "length beyond the data")
	}
	return int(n), src, nil
}

// decode reads a value into v and returns the rest of src. Strings point into src.
func (p *plan) decode(v unsafe.Pointer, src []byte) ([]byte, error) {
	var err error
	switch p.kind {
	case kindFixed:
		if uintptr(len(src)) < p.size {
			return nil, corrupt(p, "value")
		}
		copy(unsafe.Slice((*byte)(v), p.size), src)
		if p.typ.Kind() == reflect.Bool && *(*byte)(v) > 1 {
			*(*byte)(v) = 1
		}
		return src[p.size:], nil
	case kindString:
		n, rest, err := length(p, src, 1)
		if err != nil || n > len(rest) {
			return nil, corrupt(p, "value")
		}
		*(*string)(v) = unsafe.String(unsafe.SliceData(rest), n)
		return rest[n:], nil
	case kindStruct:
		if p.flat != nil {
			if rest, ok := p.decodeFlat(v, src); ok {
				return rest, nil
			}
		}
		for i := range p.fields {
			f := &p.fields[i]
			if src, err = f.plan.decode(unsafe.Add(v, f.offset), src); err != nil {
				return nil, fmt.Errorf("field %s: %w", f.name, err)
			}
		}
		return src, nil
	case kindArray:
		for i := range p.n {
			if src, err = p.elem.decode(unsafe.Add(v, uintptr(i)*p.elem.size), src); err != nil {
				return nil, err
			}
		}
		return src, nil
	case kindSlice:
		return p.decodeSlice(v, src)
	case kindPointer:
		if len(src) == 0 {
			return nil, corrupt(p, "value")
		}
		if src[0] == 0 {
			*(*unsafe.Pointer)(v) = nil
			return src[1:], nil
		}
		e := reflect.New(p.elem.typ)
		src, err = p.elem.decode(e.UnsafePointer(), src[1:])
		reflect.NewAt(p.typ, v).Elem().Set(e.Convert(p.typ))
		return src, err
	case kindMap:
		return p.decodeMap(v, src)
	case kindTime:
		if len(src) < 12 {
			return nil, corrupt(p, "value")
		}
		*(*time.Time)(v) = time.Unix(int64(binary.LittleEndian.Uint64(src)), int64(binary.LittleEndian.Uint32(src[8:]))).UTC()
		return src[12:], nil
	}
	return src, nil
}

func (p *plan) decodeSlice(v unsafe.Pointer, src []byte) ([]byte, error) {
	unit := 1
	if p.elem.kind == kindFixed {
		unit = int(p.elem.size)
	} else if p.elem.size == 0 {
		unit = 0
	}
	n, src, err := length(p, src, unit)
	if err != nil {
		return nil, err
	}
	out := reflect.NewAt(p.typ, v).Elem()
	if n == 0 {
		out.SetZero()
		return src, nil
	}
	n--
	s := reflect.MakeSlice(p.typ, n, n)
	base := s.UnsafePointer()
	size := p.elem.size
	if p.elem.kind == kindFixed && !p.elem.hasBool() {
		if uintptr(len(src))/size < uintptr(n) {
			return nil, corrupt(p, "value")
		}
		copy(unsafe.Slice((*byte)(base), uintptr(n)*size), src)
		out.Set(s)
		return src[uintptr(n)*size:], nil
	}
	for i := 0; i < n && size > 0; i++ { // nothing is stored of values without size
		if src, err = p.elem.decode(unsafe.Add(base, uintptr(i)*size), src); err != nil {
			return nil, err
		}
	}
	out.Set(s)
	return src, nil
}

func (p *plan) decodeMap(v unsafe.Pointer, src []byte) ([]byte, error) {
	n, src, err := length(p, src, 1)
	if err != nil {
		return nil, err
	}
	out := reflect.NewAt(p.typ, v).Elem()
	if n == 0 {
		out.SetZero()
		return src, nil
	}
	m := reflect.MakeMap(p.typ)
	for range n - 1 {
		k, e := reflect.New(p.key.typ), reflect.New(p.elem.typ)
		if src, err = p.key.decode(k.UnsafePointer(), src); err != nil {
			return nil, err
		}
		if src, err = p.elem.decode(e.UnsafePointer(), src); err != nil {
			return nil, err
		}
		m.SetMapIndex(k.Elem(), e.Elem())
	}
	out.Set(m)
	return src, nil
}

// clone makes the value at v own everything it points to.
func (p *plan) clone(v unsafe.Pointer) {
	if p.plain || p.kind == kindTime {
		return
	}
	switch p.kind {
	case kindString:
		s := (*string)(v)
		*s = strings.Clone(*s)
	case kindStruct:
		for i := range p.fields {
			p.fields[i].plan.clone(unsafe.Add(v, p.fields[i].offset))
		}
	case kindArray:
		for i := range p.n {
			p.elem.clone(unsafe.Add(v, uintptr(i)*p.elem.size))
		}
	default:
		// Slices, pointers and maps: what their encoding holds is what they own.
		b := p.encode(nil, v)
		_, _ = p.decode(v, b) // own encoding: always decodes
	}
}
