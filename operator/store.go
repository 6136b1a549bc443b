package operator

// StateStore keeps on local disk the keyed state that doesn't fit into memory. It is a cache: what it holds is gone with
// the host, and checkpoints are written from it. One store belongs to all subtasks of a host; its methods are safe for
// concurrent use. Keys are ordered by their bytes.
type StateStore interface {
	// Prefix returns four bytes that no earlier caller got, for the keys of one table.
	Prefix() uint32
	// Join says that another operator instance keeps state in memory before the store, Leave that it is gone. Share is how
	// many bytes each of them may keep; it changes with their number.
	Join()
	Leave()
	Share() int64
	// Get calls use with the value of key, which is good during the call, and says whether there is one.
	Get(key []byte, use func(value []byte) error) (bool, error)
	// Apply calls fill, which puts what it likes, and makes it visible, a lot of it in parts.
	Apply(fill func(StateBatch) error) error
	// DeleteRange removes the keys from <= key < to.
	DeleteRange(from, to []byte) error
	// View freezes what the store holds. Open views keep disk space.
	View() (StateView, error)
}

// StateBatch gathers changes; keys and values may be reused after a call.
type StateBatch interface {
	Set(key, value []byte) error
	Delete(key []byte) error
}

// StateView is what a StateStore held at one time.
type StateView interface {
	// Get is that of StateStore.
	Get(key []byte, use func(value []byte) error) (bool, error)
	// Scan yields the keys from <= key < to in order; what is yielded is good until the next.
	Scan(from, to []byte, yield func(key, value []byte) error) error
	Close() error
}

// StateBackend is a state backend besides hashmap, which an application links if it wants to have it.
type StateBackend interface {
	// Name is what state.backend.type calls it.
	Name() string
	// Open makes an empty store. The caller closes it when nothing uses it any more.
	Open(o StateBackendOptions) (ClosableStateStore, error)
}

// StateBackendOptions is what a StateBackend makes a store with.
type StateBackendOptions struct {
	// Dir is where it may keep its files; it doesn't exist yet.
	Dir string
	// Memory bounds what the store and the caches before it take, in bytes.
	Memory int64
	// CacheRatio is the share of Memory that is for the caches, between 0 and 1.
	CacheRatio float64
}

// ClosableStateStore is a StateStore in the hands of its owner.
type ClosableStateStore interface {
	StateStore
	// Close ends the store and removes its files.
	Close() error
}
