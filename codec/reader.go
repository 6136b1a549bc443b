package codec

import (
	"errors"
	"fmt"
	"reflect"
	"unsafe"
)

// ErrIncompatible is returned when values of a schema can't be read as the program's type. The message names the field,
// what was stored and what the program has.
var ErrIncompatible = errors.New("stored values don't fit the program's type")

// Reader reads values that were written under a schema, perhaps by an earlier version of the program, as T. Safe for
// concurrent use.
type Reader[T any] struct{ root *conversion }

// ReaderOf makes the reader of values written under from. What may differ between from and T's own schema is in
// docs/state-evolution.md: fields may be added, removed, put in another order and renamed (with a tag), integers and
// floats widened. Anything else is refused with an error that wraps ErrIncompatible, or ErrUnsupported if T itself can't
// be encoded.
func ReaderOf[T any](from *Schema) (*Reader[T], error) {
	p, err := planOf(reflect.TypeFor[T]())
	if err != nil {
		return nil, err
	}
	if from == nil || from.root == nil {
		return nil, fmt.Errorf("read stored values as %s: %w: it is empty", p.typ, ErrSchema)
	}
	c, err := convert(from.root, p, rootName(p.typ))
	if err != nil {
		return nil, err
	}
	return &Reader[T]{c}, nil
}

// KeyReaderOf is ReaderOf for keys, whose schema must be the program's: a key is found by the hash of its encoding.
func KeyReaderOf[K comparable](from *Schema) (*Reader[K], error) {
	k, err := KeyOf[K]()
	if err != nil {
		return nil, err
	}
	if from == nil || from.root == nil {
		return nil, fmt.Errorf("read stored keys as %s: %w: it is empty", k.p.typ, ErrSchema)
	}
	if now := k.Schema(); !now.Equal(from) {
		return nil, fmt.Errorf("%w: key: stored %s, the program has %s; keys can't change, since their hash decides where state is",
			ErrIncompatible, from.root.short(), now.root.short())
	}
	return ReaderOf[K](from)
}

// Read reads one value and returns what follows it. *v owns all of its memory, nothing of src is kept. After an error,
// which wraps ErrCorrupt, *v is undefined.
func (r *Reader[T]) Read(v *T, src []byte) (rest []byte, err error) {
	var zero T
	*v = zero
	rest, err = r.root.read(unsafe.Pointer(v), src)
	if err == nil && r.root.to.pins {
		r.root.to.own(unsafe.Pointer(v))
	}
	return rest, err
}

func rootName(t reflect.Type) string {
	if t.Name() != "" {
		return t.Name()
	}
	return t.String()
}

// action is how a stored value becomes the program's.
type action uint8

const (
	readSame action = iota // by the plan
	readInt
	readUint
	readFloat
	readSlice
	readArray
	readPointer
	readMap
	readStruct
)

// conversion reads values of a shape as values of a plan; immutable.
type conversion struct {
	action action
	from   *shape
	to     *plan
	elem   *conversion // slice, array, pointer, map value
	steps  []step      // struct: in stored order
}

// step reads a stored field, or with a nil conversion skips it.
type step struct {
	*conversion
	name   string
	offset uintptr
	skip   *shape
}

func convert(from *shape, to *plan, path string) (*conversion, error) {
	c := &conversion{from: from, to: to}
	now := shapeOf(to)
	if from.equal(now) {
		return c, nil
	}
	var err error
	switch {
	case from.kind == shapeStruct && now.kind == shapeStruct:
		c.action = readStruct
		err = c.convertFields(path)
	case from.kind == shapeSlice && now.kind == shapeSlice:
		c.action = readSlice
		c.elem, err = convert(from.elem, to.elem, path+"[]")
	case from.kind == shapeArray && now.kind == shapeArray && from.n == now.n:
		c.action = readArray
		c.elem, err = convert(from.elem, to.elem, path+"[]")
	case from.kind == shapePointer && now.kind == shapePointer:
		c.action = readPointer
		c.elem, err = convert(from.elem, to.elem, path)
	case from.kind == shapeMap && now.kind == shapeMap:
		c.action = readMap
		if !from.key.equal(now.key) {
			return nil, fmt.Errorf("%w: key of map %s: stored %s, the program has %s; keys can't change",
				ErrIncompatible, path, from.key.short(), now.key.short())
		}
		c.elem, err = convert(from.elem, to.elem, path+"[]")
	case shapeInt8 <= from.kind && from.kind < now.kind && now.kind <= shapeInt64:
		c.action = readInt
	case shapeUint8 <= from.kind && from.kind < now.kind && now.kind <= shapeUint64:
		c.action = readUint
	case from.kind == shapeFloat32 && now.kind == shapeFloat64:
		c.action = readFloat
	default:
		what := "field "
		if path == rootName(to.typ) {
			what = "value of type "
		}
		err = fmt.Errorf("%w: %s: stored %s, the program has %s", ErrIncompatible, what+path, from.short(), now.short())
	}
	return c, err
}

// convertFields finds for each of the program's fields the stored one: that of its name, else that of a name it had.
func (c *conversion) convertFields(path string) error {
	stored := make(map[string]int, len(c.from.fields))
	for i := range c.from.fields {
		stored[c.from.fields[i].name] = i
	}
	into := make([]*field, len(c.from.fields))
	for i := range c.to.fields {
		f := &c.to.fields[i]
		at, ok := stored[f.name]
		if !ok {
			for _, w := range f.was {
				j, is := stored[w]
				if is && ok {
					return fmt.Errorf("%w: field %s.%s: it was %s by its tag, and stored are both %s and %s",
						ErrIncompatible, path, f.name, w, c.from.fields[at].name, w)
				}
				if is {
					at, ok = j, true
				}
			}
		}
		if !ok {
			continue // added since: stays zero
		}
		if other := into[at]; other != nil {
			return fmt.Errorf("%w: field %s.%s: stored is %s, and both %s and %s want it by their names and tags",
				ErrIncompatible, path, f.name, c.from.fields[at].name, other.name, f.name)
		}
		into[at] = f
	}
	for i := range c.from.fields {
		old := &c.from.fields[i]
		s := step{name: old.name, skip: &old.shape}
		if f := into[i]; f != nil {
			var err error
			if s.conversion, err = convert(&old.shape, f.plan, path+"."+f.name); err != nil {
				return err
			}
			s.offset, s.name = f.offset, f.name
		}
		c.steps = append(c.steps, s)
	}
	return nil
}
