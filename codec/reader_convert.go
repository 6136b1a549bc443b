package codec

import (
	"encoding/binary"
	"fmt"
	"math"
	"reflect"
	"strings"
	"unsafe"
)

// read reads a stored value into v, which is zero, and returns the rest of src. Strings point into src.
func (c *conversion) read(v unsafe.Pointer, src []byte) ([]byte, error) {
	switch c.action {
	case readInt:
		n, src, err := c.integer(src)
		if err == nil {
			bits := 64 - 8*shapeSizes[c.from.kind]
			store(v, c.to.size, uint64(int64(n<<bits)>>bits)) // extends the sign
		}
		return src, err
	case readUint:
		n, src, err := c.integer(src)
		if err == nil {
			store(v, c.to.size, n)
		}
		return src, err
	case readFloat:
		n, src, err := c.integer(src)
		if err == nil {
			*(*float64)(v) = float64(math.Float32frombits(uint32(n)))
		}
		return src, err
	case readSlice:
		return c.readSlice(v, src)
	case readArray:
		var err error
		for i := range c.to.n {
			if src, err = c.elem.read(unsafe.Add(v, uintptr(i)*c.to.elem.size), src); err != nil {
				return nil, err
			}
		}
		return src, nil
	case readPointer:
		return c.readPointer(v, src)
	case readMap:
		return c.readMap(v, src)
	case readStruct:
		return c.readStruct(v, src)
	}
	return c.to.decode(v, src)
}

// integer reads the stored kind's bytes, without sign.
func (c *conversion) integer(src []byte) (uint64, []byte, error) {
	size := shapeSizes[c.from.kind]
	if len(src) < size {
		return 0, nil, corrupt(c.to, "value")
	}
	var b [8]byte
	copy(b[:], src[:size])
	return binary.LittleEndian.Uint64(b[:]), src[size:], nil
}

func store(v unsafe.Pointer, size uintptr, n uint64) {
	switch size {
	case 2:
		*(*uint16)(v) = uint16(n)
	case 4:
		*(*uint32)(v) = uint32(n)
	case 8:
		*(*uint64)(v) = n
	}
}

func (c *conversion) readStruct(v unsafe.Pointer, src []byte) ([]byte, error) {
	var err error
	for i := range c.steps {
		s := &c.steps[i]
		if s.conversion == nil {
			src, err = s.skip.pass(src)
		} else {
			src, err = s.read(unsafe.Add(v, s.offset), src)
		}
		if err != nil {
			return nil, fmt.Errorf("field %s: %w", s.name, err)
		}
	}
	return src, nil
}

func (c *conversion) readSlice(v unsafe.Pointer, src []byte) ([]byte, error) {
	n, src, err := c.from.elements(src)
	if err != nil || n < 0 {
		return src, err // nil as it is
	}
	none := c.from.elem.none
	if size := c.to.elem.size; none && size > 0 && uintptr(n) > maxEmpty/size {
		return nil, corrupt(c.to, "length beyond all bounds")
	}
	s := reflect.MakeSlice(c.to.typ, n, n)
	base := s.UnsafePointer()
	for i := 0; i < n && !none; i++ {
		if src, err = c.elem.read(unsafe.Add(base, uintptr(i)*c.to.elem.size), src); err != nil {
			return nil, err
		}
	}
	reflect.NewAt(c.to.typ, v).Elem().Set(s)
	return src, nil
}

func (c *conversion) readPointer(v unsafe.Pointer, src []byte) ([]byte, error) {
	if len(src) == 0 {
		return nil, corrupt(c.to, "value")
	}
	if src[0] == 0 {
		return src[1:], nil
	}
	e := reflect.New(c.to.elem.typ)
	src, err := c.elem.read(e.UnsafePointer(), src[1:])
	reflect.NewAt(c.to.typ, v).Elem().Set(e.Convert(c.to.typ))
	return src, err
}

func (c *conversion) readMap(v unsafe.Pointer, src []byte) ([]byte, error) {
	n, src, err := c.from.elements(src)
	if err != nil || n < 0 {
		return src, err
	}
	m := reflect.MakeMap(c.to.typ)
	for range n {
		k, e := reflect.New(c.to.key.typ), reflect.New(c.to.elem.typ)
		if src, err = c.to.key.decode(k.UnsafePointer(), src); err != nil {
			return nil, err
		}
		if src, err = c.elem.read(e.UnsafePointer(), src); err != nil {
			return nil, err
		}
		m.SetMapIndex(k.Elem(), e.Elem())
	}
	reflect.NewAt(c.to.typ, v).Elem().Set(m)
	return src, nil
}

// own copies the strings of a value that was just decoded: everything else of it is its own, and nobody else's, already.
func (p *plan) own(v unsafe.Pointer) {
	if !p.pins {
		return
	}
	switch p.kind {
	case kindString:
		s := (*string)(v)
		*s = strings.Clone(*s)
	case kindStruct:
		for i := range p.fields {
			p.fields[i].plan.own(unsafe.Add(v, p.fields[i].offset))
		}
	case kindArray:
		for i := range p.n {
			p.elem.own(unsafe.Add(v, uintptr(i)*p.elem.size))
		}
	case kindSlice:
		s := (*sliceHeader)(v)
		for i := range s.len {
			p.elem.own(unsafe.Add(s.data, uintptr(i)*p.elem.size))
		}
	case kindPointer:
		if e := *(*unsafe.Pointer)(v); e != nil {
			p.elem.own(e)
		}
	case kindMap:
		p.ownMap(v)
	}
}

func (p *plan) ownMap(v unsafe.Pointer) {
	m := reflect.NewAt(p.typ, v).Elem()
	if m.IsNil() {
		return
	}
	out := reflect.MakeMapWithSize(p.typ, m.Len())
	for it := m.MapRange(); it.Next(); {
		k, e := reflect.New(p.key.typ), reflect.New(p.elem.typ)
		k.Elem().Set(it.Key())
		e.Elem().Set(it.Value())
		p.key.own(k.UnsafePointer())
		p.elem.own(e.UnsafePointer())
		out.SetMapIndex(k.Elem(), e.Elem())
	}
	m.Set(out)
}
