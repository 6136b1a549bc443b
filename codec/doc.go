// Package codec knows how a Go type is written: its schema, the encoding of values and of whole batches, and the stable
// hash of keys.
//
// Of compiles a type once into a plan of fields and offsets; encoding walks the plan without reflection. Bool, integers,
// floats, strings, slices, arrays, maps, pointers, structs and time.Time are served; unexported fields too, since a record
// that crosses an exchange must be whole. Interfaces, channels, functions and recursive types are refused, naming the
// field.
//
// A batch of a type without pointers is copied as memory: both ends of an exchange run the same executable on the same
// platform. Everything else (values in state, and batches of types with pointers) is written field by field: integers
// little endian and fixed, lengths as unsigned varints, maps sorted by their encoded keys, so that the same value always
// has the same bytes, on every platform: the package compiles for 64-bit little endian ones only. docs/state-evolution.md
// has the table.
//
// State holds a Schema beside its values. ReaderOf makes a Reader of what was written under the schema of an earlier
// version of a type, Schema.Value decodes without the type.
//
// KeyOf gives the hash that decides a key's key group: XXH64 (seed 0) of the key's encoding, its halves combined by
// exclusive or. Integers are widened to 8 bytes, a key that is a string is hashed as its bytes alone. The values in
// testdata/hashes.txt must never change: state is found by them.
//
// All values of this package are immutable after they are made and safe for concurrent use.
package codec
