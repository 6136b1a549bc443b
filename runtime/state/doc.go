// Package state holds keyed state: Table, an open-addressing hash table that is split by key group, with key, hash and
// value in one slot.
//
// A table may be the cache before a store on local disk (Spill): then the tables of an operator instance share a Space, which
// bounds their memory, and whole key groups are moved to the store and read back key by key.
//
// A table can tell what has changed since an earlier snapshot (SnapshotSince): slots have stamps, removed keys are logged, and
// what was evicted from memory is logged in the store.
//
// A table belongs to one operator instance and is used by its subtask's goroutine only.
package state
