package checkpoint

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/weftstream/weft/codec"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/operator"
	"github.com/weftstream/weft/runtime/checkpoint/checkpointpb"
)

// OperatorContent is what a checkpoint holds of an operator.
type OperatorContent struct {
	ID operator.ID
	// UID is the one that the program gave it; "" for none.
	UID, Name                   string
	Parallelism, MaxParallelism int
	// States are by name.
	States []StateContent
}

// StateContent is what a checkpoint holds of a state.
type StateContent struct {
	Name string
	Kind operator.StateKind
	// Key and Value are nil where the state has none: its bytes are the operator's own, or it has no keys.
	Key, Value *codec.Schema
	// Blocks and Bytes are those of all subtasks.
	Blocks int
	Bytes  int64
}

// Opaque says that only the operator can read the state's bytes.
func (s *StateContent) Opaque() bool { return s.Value == nil }

// Operators says what md holds, in the order of the job's operators.
func Operators(md *checkpointpb.Metadata) ([]OperatorContent, error) {
	var all []OperatorContent
	at := map[operator.ID]int{}
	for _, o := range md.GetOperators() {
		id := idOf(o.GetId())
		at[id] = len(all)
		all = append(all, OperatorContent{ID: id, UID: o.GetUid(), Name: o.GetName(), Parallelism: int(o.GetParallelism()), MaxParallelism: int(o.GetMaxParallelism())})
	}
	for o, err := range operatorStates(md) {
		if err != nil {
			return nil, err
		}
		i, known := at[idOf(o.GetOperator())]
		if !known {
			return nil, fmt.Errorf("describe checkpoint %s: it has state of operator %x, which it doesn't list: the checkpoint is damaged", md.GetDirectory(), o.GetOperator())
		}
		for _, s := range o.GetStates() {
			if err := all[i].add(s); err != nil {
				return nil, fmt.Errorf("describe checkpoint %s: state %q of %q: %w", md.GetDirectory(), s.GetName(), all[i].Name, err)
			}
		}
	}
	return all, nil
}

// operatorStates yields the states of all subtasks.
func operatorStates(md *checkpointpb.Metadata) iter.Seq2[*linkpb.OperatorState, error] {
	return func(yield func(*linkpb.OperatorState, error) bool) {
		for _, v := range md.GetVertices() {
			for _, t := range v.GetSubtasks() {
				for _, o := range t.GetOperators() {
					if len(o.GetOperator()) != len(operator.ID{}) {
						yield(nil, fmt.Errorf("describe checkpoint %s: operator id of %d bytes: the checkpoint is damaged", md.GetDirectory(), len(o.GetOperator())))
						return
					}
					if !yield(o, nil) {
						return
					}
				}
			}
		}
	}
}

// add adds what one subtask has.
func (o *OperatorContent) add(s *linkpb.NamedState) error {
	i, found := slices.BinarySearchFunc(o.States, s.GetName(), func(c StateContent, name string) int { return bytes.Compare([]byte(c.Name), []byte(name)) })
	if !found {
		c := StateContent{Name: s.GetName(), Kind: operator.StateKind(s.GetKind())}
		var err error
		if c.Key, c.Value, err = schemas(s); err != nil {
			return err
		}
		o.States = slices.Insert(o.States, i, c)
	}
	c := &o.States[i]
	c.Blocks += len(s.GetBlocks())
	for _, b := range s.GetBlocks() {
		if b.GetFile() < 0 {
			c.Bytes += int64(len(b.GetData()))
		} else {
			c.Bytes += b.GetLength()
		}
	}
	return nil
}

func schemas(s *linkpb.NamedState) (key, value *codec.Schema, err error) {
	read := func(what string, data []byte) *codec.Schema {
		if len(data) == 0 || err != nil {
			return nil
		}
		c := &codec.Schema{}
		if err = c.UnmarshalBinary(data); err != nil {
			err = fmt.Errorf("schema of its %s: %w", what, err)
		}
		return c
	}
	key, value = read("keys", s.GetKeySchema()), read("values", s.GetValueSchema())
	return key, value, err
}

// Entry is one of a state: a pair, a value, or a block of which only the operator knows what is in it.
type Entry struct {
	Subtask int
	// Group is the key group of a keyed state, else -1.
	Group int
	// Key and Value are as codec.Schema's Value makes them; Key is nil where the state has no keys.
	Key, Value any
	// Raw is the block of an opaque state, good until the next Entry; nil otherwise.
	Raw []byte
}

var errNoBytes = errors.New("an entry without any bytes: the checkpoint is damaged, or its format newer than this program")

// Entries reads a state of an operator, subtask by subtask, without the program's types. Of a broadcast state, which every
// subtask has whole, it yields one copy. After an error it yields no more.
func (s *Storage) Entries(ctx context.Context, md *checkpointpb.Metadata, id operator.ID, state string) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for _, v := range md.GetVertices() {
			for subtask, t := range v.GetSubtasks() {
				more, last, err := s.entriesOf(ctx, t, subtask, id, state, yield)
				if err != nil {
					yield(Entry{}, fmt.Errorf("read checkpoint %s: state %q of subtask %d: %w", md.GetDirectory(), state, subtask, err))
				}
				if !more || last || err != nil {
					return
				}
			}
		}
	}
}

// entriesOf yields what one subtask has; last says that the others have the same.
func (s *Storage) entriesOf(ctx context.Context, t *linkpb.TaskState, subtask int, id operator.ID, state string, yield func(Entry, error) bool) (more, last bool, err error) {
	r := NewReader(ctx, s.files, t)
	defer r.Close()
	for _, o := range t.GetOperators() {
		for _, n := range o.GetStates() {
			if idOf(o.GetOperator()) != id || n.GetName() != state {
				continue
			}
			last = operator.StateKind(n.GetKind()) == operator.BroadcastState
			key, value, err := schemas(n)
			if err != nil {
				return false, last, err
			}
			for b, err := range r.pairs(n) {
				if err == nil {
					err = ctx.Err()
				}
				if err != nil {
					return false, last, err
				}
				if more, err = split(b.Data, key, value, Entry{Subtask: subtask, Group: b.Group}, yield); err != nil {
					return false, last, fmt.Errorf("key group %d: %w", b.Group, err)
				}
				if !more {
					return false, last, nil
				}
			}
		}
	}
	return true, last, nil
}

// split takes the entries of a block apart.
func split(data []byte, key, value *codec.Schema, e Entry, yield func(Entry, error) bool) (more bool, err error) {
	if value == nil {
		e.Raw = data
		return yield(e, nil), nil
	}
	for len(data) != 0 {
		rest := data
		if key != nil {
			if e.Key, rest, err = key.Value(rest); err != nil {
				return false, fmt.Errorf("key: %w", err)
			}
		}
		if e.Value, rest, err = value.Value(rest); err != nil {
			return false, fmt.Errorf("value: %w", err)
		}
		if len(rest) == len(data) {
			return false, errNoBytes
		}
		if !yield(e, nil) {
			return false, nil
		}
		data = rest
	}
	return true, nil
}
