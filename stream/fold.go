package stream

import (
	"reflect"
	"slices"
	"time"
	"unsafe"

	"github.com/weftstream/weft/codec"
)

// fold adds records to an accumulator that is kept beyond the batch, so nothing in it may point into a frame.
type fold[T, A any] struct {
	// add adds *v. fresh says that *a is the zero value, without a record.
	add func(a *A, v *T, fresh bool)
	// many adds all records to the zero value; nil where adding one after the other is as good.
	many func(a *A, all []T)
	// merge adds what is in from, which isn't used any more; nil where A can't be merged.
	merge func(into, from *A)
}

// addAll adds all records to the zero value.
func (f *fold[T, A]) addAll(a *A, all []T) {
	if f.many != nil && len(all) > 0 {
		f.many(a, all)
		return
	}
	for i := range all {
		f.add(a, &all[i], i == 0)
	}
}

// keeper makes a value that is kept own its strings.
type keeper[T any] struct {
	clone func(*T)
	kind  keepKind
	// strings are the offsets of T's strings, where all of them are directly in it.
	strings []uintptr
}

type keepKind uint8

const (
	keepPlain keepKind = iota // no strings: nothing to do
	keepFlat                  // strings directly in T: a change shows in their addresses
	keepDeep                  // strings behind slices, maps or pointers
)

func keeperOf[T any](t *codec.Type[T]) keeper[T] {
	if !t.Pins() {
		return keeper[T]{}
	}
	k := keeper[T]{clone: t.Clone, kind: keepFlat}
	if !stringOffsets(reflect.TypeFor[T](), 0, &k.strings) {
		k.kind, k.strings = keepDeep, nil
	}
	return k
}

// stringOffsets lists where t has strings; false when some are behind a pointer.
func stringOffsets(t reflect.Type, at uintptr, to *[]uintptr) bool {
	switch t.Kind() {
	case reflect.String:
		*to = append(*to, at)
	case reflect.Slice, reflect.Map, reflect.Pointer:
		return false
	case reflect.Array:
		for i := range t.Len() {
			if !stringOffsets(t.Elem(), at+uintptr(i)*t.Elem().Size(), to) {
				return false
			}
		}
	case reflect.Struct:
		for i := range t.NumField() {
			if f := t.Field(i); !stringOffsets(f.Type, at+f.Offset, to) {
				return false
			}
		}
	}
	return len(*to) <= 64
}

// copierOf is a deep copy for a value of which a snapshot holds a shallow one; nil where a shallow copy is as good.
func copierOf[T any](t *codec.Type[T]) func(*T) {
	if !pointsToMutable(reflect.TypeFor[T]()) {
		return nil
	}
	return t.Clone
}

// pointsToMutable says that a value of type t shares memory with its shallow copy that can be changed in place.
func pointsToMutable(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Slice, reflect.Map, reflect.Pointer:
		return true
	case reflect.Array:
		return pointsToMutable(t.Elem())
	case reflect.Struct:
		if t == reflect.TypeFor[time.Time]() {
			return false
		}
		for i := range t.NumField() {
			if pointsToMutable(t.Field(i).Type) {
				return true
			}
		}
	}
	return false
}

// keep makes *v own its strings.
func (k *keeper[T]) keep(v *T) {
	if k.kind != keepPlain {
		k.clone(v)
	}
}

// changed makes *v, which came from the kept value old, own its strings: if they are still old's, they already are its own.
func (k *keeper[T]) changed(old, v *T) {
	for _, at := range k.strings {
		a := (*string)(unsafe.Add(unsafe.Pointer(old), at))
		b := (*string)(unsafe.Add(unsafe.Pointer(v), at))
		if unsafe.StringData(*a) != unsafe.StringData(*b) {
			k.clone(v)
			return
		}
	}
}

// reduceFold is the fold of a Reduce: the accumulator is a record.
func reduceFold[T any](f func(a, b T) T, t *codec.Type[T]) fold[T, T] {
	k := keeperOf(t)
	fd := fold[T, T]{merge: func(into, from *T) { *into = f(*into, *from) }}
	switch k.kind {
	case keepPlain:
		fd.add = func(a, v *T, fresh bool) {
			if fresh {
				*a = *v
				return
			}
			*a = f(*a, *v)
		}
		fd.many = func(a *T, all []T) {
			sum, rest := all[0], all[1:]
			for len(rest) >= 8 { // what the loop costs is a third of what a small f does
				v := (*[8]T)(rest)
				sum = f(f(f(f(f(f(f(f(sum, v[0]), v[1]), v[2]), v[3]), v[4]), v[5]), v[6]), v[7])
				rest = rest[8:]
			}
			for i := range rest {
				sum = f(sum, rest[i])
			}
			*a = sum
		}
	case keepFlat:
		fd.add = func(a, v *T, fresh bool) {
			if fresh {
				*a = *v
				k.clone(a)
				return
			}
			old := *a
			*a = f(old, *v)
			k.changed(&old, a)
		}
	default:
		fd.add = func(a, v *T, fresh bool) {
			own := *v
			k.clone(&own)
			if fresh {
				*a = own
				return
			}
			*a = f(*a, own)
		}
	}
	return fd
}

// merger is what an accumulator needs for session windows.
type merger[A any] interface{ Merge(*A) }

// aggregateFold is the fold of an Aggregate with an accumulator of the user's own.
func aggregateFold[T, A any](add func(*A, T), t *codec.Type[T], a *codec.Type[A]) fold[T, A] {
	var fd fold[T, A]
	if _, ok := any((*A)(nil)).(merger[A]); ok {
		fd.merge = func(into, from *A) { any(into).(merger[A]).Merge(from) }
	}
	in, acc := keeperOf(t), keeperOf(a)
	switch {
	case in.kind == keepPlain || acc.kind == keepPlain:
		fd.add = func(a *A, v *T, _ bool) { add(a, *v) }
	case acc.kind == keepFlat:
		fd.add = func(a *A, v *T, _ bool) {
			old := *a
			add(a, *v)
			acc.changed(&old, a)
		}
	default:
		// What add keeps of the record can't be found again in the accumulator, so the record is made to own it.
		fd.add = func(a *A, v *T, _ bool) {
			own := *v
			in.clone(&own)
			add(a, own)
		}
	}
	return fd
}

// listFold keeps the records themselves, for Apply.
func listFold[T any](t *codec.Type[T]) fold[T, []T] {
	k := keeperOf(t)
	return fold[T, []T]{
		add: func(a *[]T, v *T, _ bool) {
			*a = append(*a, *v)
			k.keep(&(*a)[len(*a)-1])
		},
		merge: func(into, from *[]T) { *into = slices.Concat(*into, *from) },
	}
}
