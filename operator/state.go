package operator

import "iter"

// StateKind says how the parts of a state are spread over the subtasks that restore it.
type StateKind uint8

// The kinds of state. The values are in savepoints: never change one.
const (
	// KeyedState goes by key group: a subtask gets the blocks of the groups it owns.
	KeyedState StateKind = 1 + iota
	// ListState is dealt out: each block goes to one subtask.
	ListState
	// UnionState goes to every subtask, all blocks of all subtasks.
	UnionState
	// BroadcastState is the same in every subtask; each gets one whole copy.
	BroadcastState
)

// StateDescriptor describes a state of an operator, so that tools and later versions of a program can read it.
type StateDescriptor struct {
	// Name is unique in the operator. Names that begin with "_" are the engine's own (timers, windows).
	Name string
	Kind StateKind
	// Key and Value are the schemas (codec.Schema in its binary form) of the pairs that the blocks hold: of a keyed or
	// broadcast state key then value, of others a value. Nil where the bytes are the operator's own.
	Key, Value []byte
}

// Block is a run of a state's bytes. A pair is its key's encoding followed by its value's; a block holds whole pairs,
// one after the other.
type Block struct {
	// Group is the key group of a keyed state, else -1.
	Group int
	Data  []byte
}

// Checkpointed is an operator with state. An operator that isn't one has none.
type Checkpointed interface {
	// Snapshot takes the state as it is, at the barrier of a checkpoint. It runs on the subtask's goroutine and must be
	// fast (copy on write, not encoding): everything slow belongs into the StateSnapshot, which is used by another
	// goroutine while the operator goes on. A nil StateSnapshot says that there is no state.
	Snapshot(checkpoint int64) (StateSnapshot, error)
	// Restore is called once, before the first batch and before Poll, when the operator has state to start from.
	Restore(r StateReader) error
}

// StateSnapshot is the state of one operator instance at one barrier.
type StateSnapshot interface {
	// Write writes it; called at most once, not by the subtask's goroutine.
	Write(w StateWriter) error
	// Release frees what the snapshot holds; called once, after Write or instead of it, by any goroutine.
	Release()
}

// StateWriter takes a snapshot's states, one after the other.
type StateWriter interface {
	// Begin begins a state.
	Begin(d StateDescriptor) error
	// Block writes a block of it; data may be reused after the call. A group may have several blocks, in order.
	Block(group int, data []byte) error
}

// StateReader is what an operator instance starts from.
type StateReader interface {
	// States describes the operator's states.
	States() []StateDescriptor
	// Blocks yields this subtask's blocks of a state, in no particular order of groups; Data is good until the next. A
	// name without a state yields nothing. After an error no more is yielded.
	Blocks(name string) iter.Seq2[Block, error]
}

// CheckpointListener is an operator that wants to know what became of checkpoints. Calls come through the mailbox.
// Checkpoints may complete without a call.
type CheckpointListener interface {
	// CheckpointComplete says that checkpoint id, and with it all earlier ones, is complete.
	CheckpointComplete(id int64) error
	// CheckpointAborted says that checkpoint id will not complete.
	CheckpointAborted(id int64) error
}
