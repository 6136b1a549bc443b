package codec

import (
	"fmt"
	"math/bits"
	"reflect"
	"strings"
	"unsafe"

	"github.com/cespare/xxhash/v2"
)

// Key is what the engine needs of a key type.
type Key[K comparable] struct {
	*Type[K]
	hash  func(k K) uint32 // by value: a pointer would make every call allocate its key
	owned bool
}

// KeyOf checks that K may be a key and makes its hash. Pointers, interfaces and channels are refused, since they compare
// by identity; floats, since NaN is equal to nothing and 0 to -0. The error wraps ErrUnsupported and names the field.
func KeyOf[K comparable]() (*Key[K], error) {
	t := reflect.TypeFor[K]()
	if err := checkKey(t, t.String()); err != nil {
		return nil, err
	}
	typ, err := Of[K]()
	if err != nil {
		return nil, err
	}
	return &Key[K]{Type: typ, hash: hasher[K](t, typ.p), owned: !typ.p.pins}, nil
}

func checkKey(t reflect.Type, path string) error {
	switch t.Kind() {
	case reflect.Pointer, reflect.Interface, reflect.Chan, reflect.UnsafePointer:
		return fmt.Errorf("%w: key %s is a %s, which compares by identity; use a value", ErrUnsupported, path, t)
	case reflect.Float32, reflect.Float64, reflect.Complex64, reflect.Complex128:
		return fmt.Errorf("%w: key %s is a %s: NaN is equal to nothing, itself included; use an integer or a string", ErrUnsupported, path, t)
	case reflect.Array:
		return checkKey(t.Elem(), path+"[]")
	case reflect.Struct:
		if t == timeType {
			return fmt.Errorf("%w: key %s is a time.Time, whose == also compares the location; use UnixMilli", ErrUnsupported, path)
		}
		for i := range t.NumField() {
			if err := checkKey(t.Field(i).Type, path+"."+t.Field(i).Name); err != nil {
				return err
			}
		}
	}
	return nil
}

// Hash is the stable 32-bit hash of k.
func (c *Key[K]) Hash(k K) uint32 { return c.hash(k) }

// Clone returns k with its strings copied.
func (c *Key[K]) Clone(k K) K {
	if !c.owned {
		if s, ok := any(&k).(*string); ok {
			*s = strings.Clone(*s)
			return k
		}
		c.Type.Clone(&k)
	}
	return k
}

func hasher[K comparable](t reflect.Type, p *plan) func(K) uint32 {
	switch t.Kind() {
	case reflect.Int64, reflect.Int, reflect.Uint64, reflect.Uint:
		return func(k K) uint32 { return hash8(*(*uint64)(unsafe.Pointer(&k))) }
	case reflect.Int32:
		return func(k K) uint32 { return hash8(uint64(int64(*(*int32)(unsafe.Pointer(&k))))) }
	case reflect.Uint32:
		return func(k K) uint32 { return hash8(uint64(*(*uint32)(unsafe.Pointer(&k)))) }
	case reflect.Int16:
		return func(k K) uint32 { return hash8(uint64(int64(*(*int16)(unsafe.Pointer(&k))))) }
	case reflect.Uint16:
		return func(k K) uint32 { return hash8(uint64(*(*uint16)(unsafe.Pointer(&k)))) }
	case reflect.Int8:
		return func(k K) uint32 { return hash8(uint64(int64(*(*int8)(unsafe.Pointer(&k))))) }
	case reflect.Uint8, reflect.Bool:
		return func(k K) uint32 { return hash8(uint64(*(*uint8)(unsafe.Pointer(&k)))) }
	case reflect.String:
		return func(k K) uint32 { return fold(xxhash.Sum64String(*(*string)(unsafe.Pointer(&k)))) }
	}
	return func(k K) uint32 {
		var buf [128]byte
		return fold(xxhash.Sum64(p.encode(buf[:0], unsafe.Pointer(&k))))
	}
}

func fold(h uint64) uint32 { return uint32(h>>32) ^ uint32(h) }

// The primes of XXH64.
const (
	prime1 = 11400714785074694791
	prime2 = 14029467366897019727
	prime3 = 1609587929392839161
	prime4 = 9650029242287828579
	prime5 = 2870177450012600261
)

// hash8 is fold(XXH64) of the 8 little-endian bytes of v, seed 0 (xxhash specification, input of 8 bytes).
func hash8(v uint64) uint32 {
	p1, p2 := uint64(prime1), uint64(prime2)
	h := uint64(prime5) + 8
	h ^= bits.RotateLeft64(v*p2, 31) * p1
	h = bits.RotateLeft64(h, 27)*p1 + prime4
	h ^= h >> 33
	h *= p2
	h ^= h >> 29
	h *= prime3
	return fold(h ^ h>>32)
}
