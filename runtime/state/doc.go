// Package state holds keyed state: Table, an open-addressing hash table that is split by key group, with key, hash and
// value in one slot.
//
// A table belongs to one operator instance and is used by its subtask's goroutine only.
package state
