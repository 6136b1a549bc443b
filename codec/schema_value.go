package codec

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Object is a struct's value: its fields in their order. In JSON it is an object with its members in that order.
type Object []Member

// Member is a field of an Object.
type Member struct {
	Name  string
	Value any
}

// Get returns the value of a field.
func (o Object) Get(name string) (v any, ok bool) {
	for i := range o {
		if o[i].Name == name {
			return o[i].Value, true
		}
	}
	return nil, false
}

// MarshalJSON implements json.Marshaler.
func (o Object) MarshalJSON() ([]byte, error) {
	return appendMembers(len(o), func(i int) (string, any) { return o[i].Name, o[i].Value })
}

// Map is a map's value: its entries in the order of their encoded keys. In JSON it is an object where keys are strings,
// integers or bools, else an array of {"key": ..., "value": ...}.
type Map []Entry

// Entry is a pair of a Map.
type Entry struct {
	Key   any `json:"key"`
	Value any `json:"value"`
}

// MarshalJSON implements json.Marshaler.
func (m Map) MarshalJSON() ([]byte, error) {
	for i := range m {
		switch m[i].Key.(type) {
		case string, int64, uint64, bool:
		default:
			return json.Marshal([]Entry(m))
		}
	}
	return appendMembers(len(m), func(i int) (string, any) { return fmt.Sprint(m[i].Key), m[i].Value })
}

func appendMembers(n int, member func(i int) (string, any)) ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i := range n {
		name, value := member(i)
		if i > 0 {
			b.WriteByte(',')
		}
		k, err := json.Marshal(name)
		if err != nil {
			return nil, err
		}
		v, err := json.Marshal(value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		b.Write(k)
		b.WriteByte(':')
		b.Write(v)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// maxEmpty bounds the values without a byte that one Value yields, and the memory that those of a slice take in Read:
// nothing of src limits their number.
const maxEmpty = 1 << 20

// Value decodes one value without its Go type and returns what follows it: bool, string, int64 (all signed integers and
// the unsigned ones up to 32 bits), uint64, float64, time.Time, []byte (slices and arrays of bytes), []any, Object (a
// struct), Map; nil for a nil slice, map or pointer. What JSON has no form for is a string: NaN, infinities, complex
// numbers and times beyond the year 9999. The result owns its memory. The error wraps ErrCorrupt.
func (s *Schema) Value(src []byte) (v any, rest []byte, err error) {
	if s.root == nil {
		return nil, nil, fmt.Errorf("decode a value: %w: it is empty", ErrSchema)
	}
	d := valueReader{empty: maxEmpty}
	return d.value(s.root, src)
}

type valueReader struct{ empty int }

func (s *shape) corrupt(what string) error {
	return fmt.Errorf("%w: %s of type %s", ErrCorrupt, what, s.short())
}

// elements reads the length of a slice or map, -1 for nil, and refuses one that src can't hold.
func (s *shape) elements(src []byte) (int, []byte, error) {
	n, w := binary.Uvarint(src)
	if w <= 0 {
		return 0, nil, s.corrupt("length")
	}
	src = src[w:]
	least := s.elem.least
	if s.key != nil {
		least = min(least+s.key.least, tooLong)
	}
	if s.key != nil && s.key.none && n > 2 {
		return 0, nil, s.corrupt("more than one key without a byte")
	}
	if n > tooLong || n > 0 && least > 0 && n-1 > uint64(int64(len(src))/least) {
		return 0, nil, s.corrupt("length beyond the data")
	}
	return int(n) - 1, src, nil
}

func (d *valueReader) value(s *shape, src []byte) (any, []byte, error) {
	if int64(len(src)) < s.least {
		return nil, nil, s.corrupt("value")
	}
	if s.none {
		if d.empty--; d.empty < 0 {
			return nil, nil, s.corrupt("more values without a byte than can be shown")
		}
	}
	switch s.kind {
	case shapeString:
		b, src, err := s.text(src)
		return string(b), src, err
	case shapeSlice:
		n, src, err := s.elements(src)
		if err != nil || n < 0 {
			return nil, src, err
		}
		return d.list(s.elem, n, src)
	case shapeArray:
		return d.list(s.elem, s.n, src)
	case shapePointer:
		if src[0] == 0 {
			return nil, src[1:], nil
		}
		return d.value(s.elem, src[1:])
	case shapeMap:
		return d.pairs(s, src)
	case shapeStruct:
		o := make(Object, 0, len(s.fields))
		for i := range s.fields {
			f := &s.fields[i]
			v, rest, err := d.value(&f.shape, src)
			if err != nil {
				return nil, nil, fmt.Errorf("field %s: %w", f.name, err)
			}
			o, src = append(o, Member{f.name, v}), rest
		}
		return o, src, nil
	}
	size := shapeSizes[s.kind]
	return s.scalar(src[:size]), src[size:], nil
}

func (d *valueReader) list(elem *shape, n int, src []byte) (any, []byte, error) {
	if elem.kind == shapeUint8 {
		return bytes.Clone(src[:n:n]), src[n:], nil
	}
	out := []any{}
	for range n {
		v, rest, err := d.value(elem, src)
		if err != nil {
			return nil, nil, err
		}
		out, src = append(out, v), rest
	}
	return out, src, nil
}

func (d *valueReader) pairs(s *shape, src []byte) (any, []byte, error) {
	n, src, err := s.elements(src)
	if err != nil || n < 0 {
		return nil, src, err
	}
	out := Map{}
	for range n {
		k, rest, err := d.value(s.key, src)
		if err != nil {
			return nil, nil, err
		}
		v, rest, err := d.value(s.elem, rest)
		if err != nil {
			return nil, nil, err
		}
		out, src = append(out, Entry{k, v}), rest
	}
	return out, src, nil
}

// text reads a string's bytes, which still are src's.
func (s *shape) text(src []byte) (b, rest []byte, err error) {
	n, w := binary.Uvarint(src)
	if w <= 0 || n > uint64(len(src)-w) {
		return nil, nil, s.corrupt("value")
	}
	return src[w : w+int(n)], src[w+int(n):], nil
}

// scalar turns the bytes of a kind of fixed size into a value.
func (s *shape) scalar(b []byte) any {
	var w [16]byte
	copy(w[:], b)
	n := binary.LittleEndian.Uint64(w[:])
	switch s.kind {
	case shapeBool:
		return w[0] != 0
	case shapeInt8:
		return int64(int8(n))
	case shapeInt16:
		return int64(int16(n))
	case shapeInt32:
		return int64(int32(n))
	case shapeUint64:
		return n
	case shapeFloat32:
		return number(float64(math.Float32frombits(uint32(n))), 32)
	case shapeFloat64:
		return number(math.Float64frombits(n), 64)
	case shapeComplex64:
		return strconv.FormatComplex(complex(float64(math.Float32frombits(uint32(n))), float64(math.Float32frombits(uint32(n>>32)))), 'g', -1, 64)
	case shapeComplex128:
		im := math.Float64frombits(binary.LittleEndian.Uint64(w[8:]))
		return strconv.FormatComplex(complex(math.Float64frombits(n), im), 'g', -1, 128)
	case shapeTime:
		t := time.Unix(int64(n), int64(binary.LittleEndian.Uint32(w[8:]))).UTC()
		if t.Year() < 0 || t.Year() > 9999 {
			return t.String()
		}
		return t
	}
	return int64(n) // int64 and the shorter unsigned ones
}

// number shows a float32 with its own digits: 0.1, not 0.10000000149011612.
func number(f float64, bits int) any {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return strings.TrimPrefix(strconv.FormatFloat(f, 'g', -1, 64), "+")
	}
	if bits == 32 {
		f, _ = strconv.ParseFloat(strconv.FormatFloat(f, 'g', -1, 32), 64)
	}
	return f
}

// pass returns what follows a value.
func (s *shape) pass(src []byte) ([]byte, error) {
	if int64(len(src)) < s.least {
		return nil, s.corrupt("value")
	}
	var err error
	switch s.kind {
	case shapeString:
		_, src, err = s.text(src)
		return src, err
	case shapeSlice, shapeMap:
		n, src, err := s.elements(src)
		if err != nil || n < 0 {
			return src, err
		}
		return s.passMany(n, src)
	case shapeArray:
		return s.passMany(s.n, src)
	case shapePointer:
		if src[0] == 0 {
			return src[1:], nil
		}
		return s.elem.pass(src[1:])
	case shapeStruct:
		for i := range s.fields {
			if src, err = s.fields[i].pass(src); err != nil {
				return nil, fmt.Errorf("field %s: %w", s.fields[i].name, err)
			}
		}
		return src, nil
	}
	return src[shapeSizes[s.kind]:], nil
}

// passMany passes n elements or pairs.
func (s *shape) passMany(n int, src []byte) ([]byte, error) {
	if s.elem.none && (s.key == nil || s.key.none) {
		return src, nil
	}
	var err error
	for range n {
		if s.key != nil {
			if src, err = s.key.pass(src); err != nil {
				return nil, err
			}
		}
		if src, err = s.elem.pass(src); err != nil {
			return nil, err
		}
	}
	return src, nil
}
