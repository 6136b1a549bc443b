package codec

import (
	"errors"
	"fmt"
	"reflect"
	"sort"
	"strings"
	"time"
)

// ErrUnsupported is returned for a type that can't be encoded; the message names the field.
var ErrUnsupported = errors.New("type can't be encoded")

type kind uint8

const (
	kindFixed  kind = iota // size bytes of memory, little endian
	kindString             // uvarint length, bytes
	kindSlice              // uvarint length+1 (0 = nil), elements
	kindArray
	kindStruct
	kindPointer // one byte, then the value
	kindMap     // uvarint length+1, pairs sorted by encoded key
	kindTime    // seconds and nanoseconds of UTC
)

// plan is how one type is written.
type plan struct {
	kind   kind
	typ    reflect.Type
	size   uintptr     // of the Go value
	elem   *plan       // slice, array, pointer, map value
	key    *plan       // map
	n      int         // array
	fields []field     // struct
	flat   []flatField // struct of strings and plain memory, else nil
	// plain: no pointer inside, so memory can be copied. pins: decoding aliases the source.
	plain, pins bool
	sig         string
}

type field struct {
	name   string
	was    []string // earlier names, of the tag weft:"was=..."
	offset uintptr
	plan   *plan
}

var timeType = reflect.TypeFor[time.Time]()

func compile(t reflect.Type, path string, above []reflect.Type) (*plan, error) {
	for _, a := range above {
		if a == t {
			return nil, fmt.Errorf("%w: %s: type %s contains itself; send a flat form of it", ErrUnsupported, path, t)
		}
	}
	above = append(above, t)
	p := &plan{typ: t, size: t.Size()}
	if t == timeType {
		p.kind, p.sig = kindTime, "time"
		return p, nil
	}
	var err error
	switch t.Kind() {
	case reflect.Bool, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Int,
		reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uint,
		reflect.Float32, reflect.Float64, reflect.Complex64, reflect.Complex128:
		p.kind, p.plain, p.sig = kindFixed, true, t.Kind().String()
	case reflect.String:
		p.kind, p.pins, p.sig = kindString, true, "string"
	case reflect.Slice:
		p.kind = kindSlice
		if p.elem, err = compile(t.Elem(), path+"[]", above); err == nil {
			p.pins, p.sig = p.elem.pins, "[]"+p.elem.sig
		}
	case reflect.Array:
		p.kind, p.n = kindArray, t.Len()
		if p.elem, err = compile(t.Elem(), path+"[]", above); err == nil {
			p.plain, p.pins, p.sig = p.elem.plain, p.elem.pins, fmt.Sprintf("[%d]%s", p.n, p.elem.sig)
		}
	case reflect.Pointer:
		p.kind = kindPointer
		if p.elem, err = compile(t.Elem(), path, above); err == nil {
			p.pins, p.sig = p.elem.pins, "*"+p.elem.sig
		}
	case reflect.Map:
		p.kind = kindMap
		if p.key, err = compile(t.Key(), path+" (map key)", above); err == nil {
			p.elem, err = compile(t.Elem(), path+" (map value)", above)
		}
		if err == nil {
			p.pins, p.sig = p.key.pins || p.elem.pins, "map["+p.key.sig+"]"+p.elem.sig
		}
	case reflect.Struct:
		err = compileStruct(p, t, path, above)
	default:
		err = fmt.Errorf("%w: %s is a %s (%s); a record holds data only: no interface, channel, function or uintptr", ErrUnsupported, path, t, t.Kind())
	}
	return p, err
}

func compileStruct(p *plan, t reflect.Type, path string, above []reflect.Type) error {
	p.kind, p.plain = kindStruct, true
	var sig strings.Builder
	sig.WriteString("{")
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Name == "_" {
			continue
		}
		fp, err := compile(f.Type, path+"."+f.Name, above)
		if err != nil {
			return err
		}
		was, wrong := formerNames(f)
		if wrong != "" {
			return fmt.Errorf("%w: %s.%s: %s", ErrUnsupported, path, f.Name, wrong)
		}
		p.fields = append(p.fields, field{f.Name, was, f.Offset, fp})
		p.plain = p.plain && fp.plain
		p.pins = p.pins || fp.pins
		if len(p.fields) > 1 {
			sig.WriteString(" ")
		}
		sig.WriteString(f.Name + ":" + fp.sig)
	}
	sig.WriteString("}")
	p.sig = sig.String()
	p.flat = flatten(p)
	return nil
}

// sortPairs orders encoded map entries by key.
func sortPairs(p []pair) {
	sort.Slice(p, func(i, j int) bool { return string(p[i].key) < string(p[j].key) })
}

type pair struct{ key, value []byte }
