package operator

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Incremental is an operator that can tell what has changed since an earlier snapshot.
type Incremental interface {
	Checkpointed
	// SnapshotSince is Snapshot for a checkpoint that may hold no more than what changed since the barrier of checkpoint
	// base. That is one for which SnapshotSince was called before, and it is complete; 0 says that there is none. It never
	// goes back: what is known of the changes before base may be forgotten. A job calls either SnapshotSince for all of its
	// checkpoints, or never; Snapshot is still called for savepoints, and doesn't count.
	SnapshotSince(checkpoint, base int64) (StateSnapshot, error)
}

// ChangeWriter is the StateWriter that a snapshot of SnapshotSince gets. Its keyed states may be made of parts, whose groups
// are written whole, or as changes to what they were at the base. A group of a part that is neither has nothing in it. Both
// take entries, as AppendEntry and AppendRemoval make them; data may be reused after the call. A state is written with Block
// only, or with the methods of ChangeWriter only.
type ChangeWriter interface {
	StateWriter
	// Part begins a part of the keyed state that was begun, under a name of its own; a state may do with one, of any name.
	// What readers get of a state is what all its parts hold, without their names.
	Part(name []byte) error
	// Builds says whether the part's group may be written as changes. It is false where the base has nothing of it, and now
	// and then where so much has changed over time that writing it whole is better.
	Builds(group int) bool
	// Whole writes entries of a group of the part, of which there is nothing else: pairs, each id once. More than one call
	// adds more.
	Whole(group int, entries []byte) error
	// Changes keeps what the base has of a group of the part, and then makes these changes, in order. More than one call
	// makes more; one without entries keeps what there is. It is an error where Builds is false.
	Changes(group int, entries []byte) error
}

// An entry is the id of a pair and the rest of it: the pair is the one, and then the other. Pairs that come and go together may
// be one entry, whose rest ends with the further pairs. Within a group of a part an id stands for one entry; a later one
// replaces an earlier one. In bytes: the id's length, 0 for a removal or the length of the rest plus 1, both as unsigned
// varints, the id, the rest.

// AppendEntry appends a pair. id is what precedes rest in it, as a rule its key.
func AppendEntry(dst, id, rest []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(id)))
	dst = binary.AppendUvarint(dst, uint64(len(rest))+1)
	return append(append(dst, id...), rest...)
}

// AppendRemoval appends that there is no pair of that id any more. There needn't have been one.
func AppendRemoval(dst, id []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(id)))
	return append(binary.AppendUvarint(dst, 0), id...)
}

// Entry is what AppendEntry or AppendRemoval appended.
type Entry struct {
	ID      []byte
	Pair    []byte // the id and the rest; nil of a removal
	Removed bool
}

var errEntry = errors.New("an entry of state is cut off: the checkpoint is damaged")

// ReadEntry reads the first entry of src, which it aliases, and returns what follows.
func ReadEntry(src []byte) (e Entry, rest []byte, err error) {
	id, n := binary.Uvarint(src)
	size, m := 0, 0
	if n > 0 {
		var u uint64
		if u, m = binary.Uvarint(src[n:]); m > 0 && u <= uint64(len(src)) {
			size = int(u)
		} else {
			m = 0
		}
	}
	if n <= 0 || m <= 0 {
		return Entry{}, nil, errEntry
	}
	src = src[n+m:]
	if id > uint64(len(src)) || size > 1 && uint64(size-1) > uint64(len(src))-id {
		return Entry{}, nil, fmt.Errorf("%w: %d bytes of %d and %d", errEntry, len(src), id, max(0, size-1))
	}
	e.ID = src[:id:id]
	if size == 0 {
		e.Removed = true
		return e, src[id:], nil
	}
	end := int(id) + size - 1
	e.Pair = src[:end:end]
	return e, src[end:], nil
}
