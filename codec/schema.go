package codec

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Schema describes how the values of a type are written: kinds, field names and element types, so that the bytes can be
// read by a later version of the program (ReaderOf) or without the program (Value). It doesn't know Go's type names: int
// and time.Duration are int64.
type Schema struct{ root *shape }

// shapeKind is part of the binary form of schemas: never change a value.
type shapeKind uint8

const (
	shapeBool shapeKind = 1 + iota
	shapeInt8
	shapeInt16
	shapeInt32
	shapeInt64
	shapeUint8
	shapeUint16
	shapeUint32
	shapeUint64
	shapeFloat32
	shapeFloat64
	shapeComplex64
	shapeComplex128
	shapeString
	shapeTime
	shapeSlice
	shapeArray
	shapePointer
	shapeMap
	shapeStruct
	shapeEnd // no kind
)

var shapeNames = [shapeEnd]string{
	shapeBool: "bool", shapeInt8: "int8", shapeInt16: "int16", shapeInt32: "int32", shapeInt64: "int64",
	shapeUint8: "uint8", shapeUint16: "uint16", shapeUint32: "uint32", shapeUint64: "uint64",
	shapeFloat32: "float32", shapeFloat64: "float64", shapeComplex64: "complex64", shapeComplex128: "complex128",
	shapeString: "string", shapeTime: "time",
}

// shapeSizes are the bytes of the kinds that always have the same number.
var shapeSizes = [shapeEnd]int{
	shapeBool: 1, shapeInt8: 1, shapeInt16: 2, shapeInt32: 4, shapeInt64: 8,
	shapeUint8: 1, shapeUint16: 2, shapeUint32: 4, shapeUint64: 8,
	shapeFloat32: 4, shapeFloat64: 8, shapeComplex64: 8, shapeComplex128: 16, shapeTime: 12,
}

// shape is a node of a schema; immutable.
type shape struct {
	kind   shapeKind
	n      int    // array: length
	key    *shape // map
	elem   *shape // slice, array, pointer, map value
	fields []shapeField
	least  int64 // bytes of the shortest value, at most tooLong
	none   bool  // no value has any bytes
}

type shapeField struct {
	name string
	was  []string // earlier names, of the tag
	shape
}

// tooLong is more than any encoding has.
const tooLong = 1 << 40

// measure sets least and none from the parts.
func (s *shape) measure() {
	s.none = false
	switch s.kind {
	case shapeString, shapeSlice, shapePointer, shapeMap:
		s.least = 1
	case shapeArray:
		s.none = s.n == 0 || s.elem.none
		switch {
		case s.none:
			s.least = 0
		case s.elem.least > tooLong/int64(s.n):
			s.least = tooLong
		default:
			s.least = s.elem.least * int64(s.n)
		}
	case shapeStruct:
		s.least, s.none = 0, true
		for i := range s.fields {
			s.least = min(s.least+s.fields[i].least, tooLong)
			s.none = s.none && s.fields[i].none
		}
	default:
		s.least = int64(shapeSizes[s.kind])
	}
}

// Schema describes T's encoding. It is the same for all types whose values are written alike under the same field names.
func (t *Type[T]) Schema() *Schema { return &Schema{shapeOf(t.p)} }

func shapeOf(p *plan) *shape {
	s := &shape{}
	switch p.kind {
	case kindFixed:
		s.kind = fixedShape(p.typ.Kind())
	case kindString:
		s.kind = shapeString
	case kindTime:
		s.kind = shapeTime
	case kindSlice:
		s.kind, s.elem = shapeSlice, shapeOf(p.elem)
	case kindArray:
		s.kind, s.n, s.elem = shapeArray, p.n, shapeOf(p.elem)
	case kindPointer:
		s.kind, s.elem = shapePointer, shapeOf(p.elem)
	case kindMap:
		s.kind, s.key, s.elem = shapeMap, shapeOf(p.key), shapeOf(p.elem)
	case kindStruct:
		s.kind = shapeStruct
		for i := range p.fields {
			f := &p.fields[i]
			s.fields = append(s.fields, shapeField{f.name, f.was, *shapeOf(f.plan)})
		}
	}
	s.measure()
	return s
}

// fixedShape: int and uint have 8 bytes on every platform that this package is built for.
func fixedShape(k reflect.Kind) shapeKind {
	switch k {
	case reflect.Bool:
		return shapeBool
	case reflect.Int8:
		return shapeInt8
	case reflect.Int16:
		return shapeInt16
	case reflect.Int32:
		return shapeInt32
	case reflect.Uint8:
		return shapeUint8
	case reflect.Uint16:
		return shapeUint16
	case reflect.Uint32:
		return shapeUint32
	case reflect.Uint64, reflect.Uint:
		return shapeUint64
	case reflect.Float32:
		return shapeFloat32
	case reflect.Float64:
		return shapeFloat64
	case reflect.Complex64:
		return shapeComplex64
	case reflect.Complex128:
		return shapeComplex128
	}
	return shapeInt64
}

// Equal says that s and o describe the same bytes under the same names. Rename tags don't count.
func (s *Schema) Equal(o *Schema) bool { return o != nil && s.root.equal(o.root) }

func (s *shape) equal(o *shape) bool {
	if s == nil || o == nil {
		return s == o
	}
	if s.kind != o.kind || s.n != o.n || len(s.fields) != len(o.fields) || !s.key.equal(o.key) || !s.elem.equal(o.elem) {
		return false
	}
	for i := range s.fields {
		if s.fields[i].name != o.fields[i].name || !s.fields[i].equal(&o.fields[i].shape) {
			return false
		}
	}
	return true
}

// String shows the schema much like a Go type: struct{ID int64; Tags []string; Total float64 "was=Sum"}.
func (s *Schema) String() string {
	var b strings.Builder
	s.root.write(&b)
	return b.String()
}

func (s *shape) write(b *strings.Builder) {
	if s == nil {
		b.WriteString("nothing")
		return
	}
	switch s.kind {
	case shapeSlice:
		b.WriteString("[]")
		s.elem.write(b)
	case shapeArray:
		b.WriteString("[" + strconv.Itoa(s.n) + "]")
		s.elem.write(b)
	case shapePointer:
		b.WriteString("*")
		s.elem.write(b)
	case shapeMap:
		b.WriteString("map[")
		s.key.write(b)
		b.WriteString("]")
		s.elem.write(b)
	case shapeStruct:
		b.WriteString("struct{")
		for i := range s.fields {
			if i > 0 {
				b.WriteString("; ")
			}
			b.WriteString(s.fields[i].name + " ")
			s.fields[i].write(b)
			if was := s.fields[i].was; len(was) != 0 {
				b.WriteString(` "was=` + strings.Join(was, ",was=") + `"`)
			}
		}
		b.WriteString("}")
	default:
		b.WriteString(shapeNames[s.kind])
	}
}

// short is String, cut for an error message.
func (s *shape) short() string {
	var b strings.Builder
	s.write(&b)
	if b.Len() <= 100 {
		return b.String()
	}
	cut := b.String()[:100]
	for !utf8.ValidString(cut) {
		cut = cut[:len(cut)-1]
	}
	return cut + "…"
}

// formerNames reads a field's tag: weft:"was=Old" or weft:"was=Older,was=Old".
func formerNames(f reflect.StructField) ([]string, string) {
	tag, ok := f.Tag.Lookup("weft")
	if !ok {
		return nil, ""
	}
	var was []string
	for part := range strings.SplitSeq(tag, ",") {
		name, ok := strings.CutPrefix(strings.TrimSpace(part), "was=")
		switch {
		case !ok || name == "" || strings.ContainsAny(name, `" ;{}`):
			return nil, `the tag weft:"` + tag + `" is not understood; it is was=OldName, several with commas`
		case name == f.Name:
			return nil, `the tag weft:"` + tag + `" names the field itself`
		case slices.Contains(was, name):
			return nil, `the tag weft:"` + tag + `" has a name twice`
		}
		was = append(was, name)
	}
	return was, ""
}
