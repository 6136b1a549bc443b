package codec

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"
)

// Limits of a schema's binary form, which may come from a file that nobody can vouch for.
const (
	schemaVersion = 1
	maxSchema     = 256 << 10 // bytes
	maxShapes     = 16 << 10
	maxDepth      = 64
	maxName       = 1 << 10
	maxArray      = 1 << 30
)

// ErrSchema is returned for bytes that are no schema, and for a schema that is too large to be one.
var ErrSchema = errors.New("invalid schema")

// MarshalBinary writes the schema: a byte of version, then the shapes, each before its parts. The same schema always has
// the same bytes. It fails for types beyond the limits of UnmarshalBinary: 64 levels, 16384 parts, 256 KiB.
func (s *Schema) MarshalBinary() ([]byte, error) {
	dst, err := s.AppendBinary(nil)
	if err != nil {
		return nil, err
	}
	if err := new(Schema).UnmarshalBinary(dst); err != nil { // so that whatever is written can be read
		return nil, fmt.Errorf("write a schema: %w", err)
	}
	return dst, nil
}

// AppendBinary appends what MarshalBinary writes; it doesn't check the limits.
func (s *Schema) AppendBinary(dst []byte) ([]byte, error) {
	if s.root == nil {
		return dst, fmt.Errorf("write a schema: %w: it is empty", ErrSchema)
	}
	return s.root.append(append(dst, schemaVersion)), nil
}

func (s *shape) append(dst []byte) []byte {
	dst = append(dst, byte(s.kind))
	switch s.kind {
	case shapeArray:
		dst = binary.AppendUvarint(dst, uint64(s.n))
	case shapeMap:
		dst = s.key.append(dst)
	case shapeStruct:
		dst = binary.AppendUvarint(dst, uint64(len(s.fields)))
		for i := range s.fields {
			f := &s.fields[i]
			dst = appendText(dst, f.name)
			dst = binary.AppendUvarint(dst, uint64(len(f.was)))
			for _, w := range f.was {
				dst = appendText(dst, w)
			}
			dst = f.append(dst)
		}
	}
	if s.elem != nil {
		dst = s.elem.append(dst)
	}
	return dst
}

func appendText(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// UnmarshalBinary reads what MarshalBinary wrote. Nothing is kept of b. The error wraps ErrSchema.
func (s *Schema) UnmarshalBinary(b []byte) error {
	if len(b) > maxSchema {
		return fmt.Errorf("%w: it has %d bytes, more than %d", ErrSchema, len(b), maxSchema)
	}
	if len(b) == 0 || b[0] != schemaVersion {
		return fmt.Errorf("%w: it does not begin with version %d", ErrSchema, schemaVersion)
	}
	d := schemaReader{src: b[1:]}
	root := &shape{}
	d.shape(root, 1)
	if d.err == nil && len(d.src) != 0 {
		d.fail("%d bytes follow it", len(d.src))
	}
	if d.err != nil {
		return d.err
	}
	s.root = root
	return nil
}

// schemaReader keeps its first error.
type schemaReader struct {
	src    []byte
	shapes int
	err    error
}

func (d *schemaReader) fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: %s", ErrSchema, fmt.Sprintf(format, args...))
	}
}

// count reads a number of at most limit.
func (d *schemaReader) count(what string, limit int) int {
	n, w := binary.Uvarint(d.src)
	if w <= 0 {
		d.fail("it ends in %s", what)
	} else if n > uint64(limit) {
		d.fail("%s of %d, more than %d", what, n, limit)
	}
	if d.err != nil {
		return 0
	}
	d.src = d.src[w:]
	return int(n)
}

func (d *schemaReader) text() string {
	n := d.count("a name's length", maxName)
	if n > len(d.src) {
		d.fail("it ends in a name")
	}
	if d.err != nil {
		return ""
	}
	s := string(d.src[:n])
	d.src = d.src[n:]
	if s == "" || !utf8.ValidString(s) {
		d.fail("%q is no field's name", s)
	}
	return s
}

func (d *schemaReader) shape(s *shape, depth int) {
	d.shapes++
	switch {
	case d.err != nil:
		return
	case depth > maxDepth:
		d.fail("it is deeper than %d levels", maxDepth)
		return
	case d.shapes > maxShapes:
		d.fail("it has more than %d parts", maxShapes)
		return
	case len(d.src) == 0:
		d.fail("it ends where a kind is due")
		return
	}
	s.kind = shapeKind(d.src[0])
	d.src = d.src[1:]
	if s.kind == 0 || s.kind >= shapeEnd {
		d.fail("unknown kind %d", s.kind)
		return
	}
	switch s.kind {
	case shapeArray:
		s.n = d.count("an array's length", maxArray)
	case shapeMap:
		s.key = &shape{}
		d.shape(s.key, depth+1)
	case shapeStruct:
		d.structure(s, depth)
	}
	if s.kind == shapeSlice || s.kind == shapeArray || s.kind == shapePointer || s.kind == shapeMap {
		s.elem = &shape{}
		d.shape(s.elem, depth+1)
	}
	if d.err == nil {
		s.measure()
	}
}

func (d *schemaReader) structure(s *shape, depth int) {
	// Fields are appended as they come: a count that the bytes don't hold reserves nothing.
	n := d.count("a number of fields", maxShapes)
	seen := map[string]bool{}
	for i := 0; i < n && d.err == nil; i++ {
		f := shapeField{name: d.text()}
		if seen[f.name] {
			d.fail("two fields are named %s", f.name)
		}
		seen[f.name] = true
		for range d.count("a number of earlier names", 1000) {
			if f.was = append(f.was, d.text()); d.err != nil {
				return
			}
		}
		d.shape(&f.shape, depth+1)
		s.fields = append(s.fields, f)
	}
}
