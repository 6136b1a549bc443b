package codec

import (
	"encoding/binary"
	"unsafe"
)

// flatField is a part of a struct that is copied as it is in memory; with size 0 it is a string.
type flatField struct{ offset, size uintptr }

// flatten lists what a struct is written as, if that is strings and plain memory only: most records are, and a walk over
// a list is faster than one over plans. The bytes are the same. It returns nil for other structs.
func flatten(p *plan) []flatField {
	var out []flatField
	for i := range p.fields {
		f := &p.fields[i]
		switch {
		case f.plan.kind == kindString:
			out = append(out, flatField{offset: f.offset})
		case f.plan.kind == kindFixed && !f.plan.hasBool(): // a bool's byte is checked when it is read
			last := len(out) - 1
			if last >= 0 && out[last].size != 0 && out[last].offset+out[last].size == f.offset {
				out[last].size += f.plan.size
				continue
			}
			out = append(out, flatField{f.offset, f.plan.size})
		default:
			return nil
		}
	}
	return out
}

func (p *plan) encodeFlat(dst []byte, v unsafe.Pointer) []byte {
	for i := range p.flat {
		f := &p.flat[i]
		at := unsafe.Add(v, f.offset)
		switch f.size {
		case 0:
			s := *(*string)(at)
			if len(s) < 0x80 {
				dst = append(dst, byte(len(s)))
			} else {
				dst = binary.AppendUvarint(dst, uint64(len(s)))
			}
			dst = append(dst, s...)
		case 4:
			dst = append(dst, (*[4]byte)(at)[:]...)
		case 8:
			dst = append(dst, (*[8]byte)(at)[:]...)
		default:
			dst = append(dst, unsafe.Slice((*byte)(at), f.size)...)
		}
	}
	return dst
}

// decodeFlat says ok=false for what encodeFlat didn't write; the walk over the fields finds out what is wrong with it.
func (p *plan) decodeFlat(v unsafe.Pointer, src []byte) (rest []byte, ok bool) {
	for i := range p.flat {
		f := &p.flat[i]
		at := unsafe.Add(v, f.offset)
		if f.size == 0 {
			if len(src) == 0 || src[0] >= 0x80 {
				return nil, false // long strings take the other way, too
			}
			n := int(src[0])
			if src = src[1:]; n > len(src) {
				return nil, false
			}
			*(*string)(at) = unsafe.String(unsafe.SliceData(src), n)
			src = src[n:]
			continue
		}
		if uintptr(len(src)) < f.size {
			return nil, false
		}
		if f.size == 8 {
			*(*[8]byte)(at) = [8]byte(src)
		} else {
			copy(unsafe.Slice((*byte)(at), f.size), src)
		}
		src = src[f.size:]
	}
	return src, true
}
