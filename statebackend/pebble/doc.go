// Package pebble is the state backend "pebble": keyed state that doesn't fit into memory is kept in a Pebble database on
// local disk. An application has it when it links it,
//
//	import _ "github.com/weftstream/weft/statebackend/pebble"
//
// in any of its packages, best in the main package; a job uses it when state.backend.type is pebble. Applications that
// don't import it are smaller by what Pebble takes.
//
// What is used most is in memory as with hashmap (package runtime/state); a Store is what lies behind. One Store serves all
// subtasks of a task host. It has no write-ahead log: it is gone with the host, and checkpoints are what survives.
package pebble
