package stream

import (
	"fmt"
	"iter"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/weftstream/weft/codec"
	"github.com/weftstream/weft/operator"
)

// operatorStates are the states of a process function that belong to no key.
type operatorStates struct {
	states   []operatorState
	names    map[string]bool // of all states of the operator
	writable bool            // broadcast state may be changed now
	fail     func(error)     // fails the job
	views    atomic.Int32    // snapshots that are still read
}

// operatorState is one state, whatever its type.
type operatorState interface {
	// describe is what a checkpoint says of it.
	describe() (operator.StateDescriptor, error)
	// freeze makes what writes the blocks of what the state holds now, while the state changes.
	freeze() func(b *blockWriter)
	// restore replaces what the state holds by its blocks.
	restore(d operator.StateDescriptor, r operator.StateReader) error
}

// bindOperator is where a state without key belongs to; a mistake is kept in rt and stops the task before its first record.
func bindOperator(rt *Runtime, what, name string, kept ...func() error) *operatorStates {
	s := rt.operator
	if s == nil {
		rt.fail("%s(%q): operator state can be had in the open function of process functions only", what, name)
		s = &operatorStates{names: map[string]bool{}, fail: func(error) {}}
	}
	bindName(rt, s.names, what, name, kept)
	return s
}

// operatorView is what the states held when a snapshot was taken.
type operatorView struct {
	states []frozenState
	views  *atomic.Int32
	once   sync.Once
}

type frozenState struct {
	operator.StateDescriptor
	blocks func(b *blockWriter)
}

// freeze takes all states, without copying them; nil if there are none.
func (s *operatorStates) freeze() (*operatorView, error) {
	if len(s.states) == 0 {
		return nil, nil
	}
	v := &operatorView{views: &s.views}
	for _, one := range s.states {
		d, err := one.describe()
		if err != nil {
			return nil, fmt.Errorf("describe state %q: %w", d.Name, err)
		}
		v.states = append(v.states, frozenState{d, one.freeze()})
	}
	s.views.Add(1)
	return v, nil
}

func (v *operatorView) Write(w operator.StateWriter) error {
	if v == nil {
		return nil
	}
	for _, s := range v.states {
		if err := w.Begin(s.StateDescriptor); err != nil {
			return err
		}
		b := &blockWriter{w: w}
		s.blocks(b)
		if b.flush(); b.err != nil {
			return b.err
		}
	}
	return nil
}

func (v *operatorView) Release() {
	if v != nil {
		v.once.Do(func() {
			v.states = nil
			v.views.Add(-1)
		})
	}
}

// restore takes over the states that belong to no key.
func (s *operatorStates) restore(r operator.StateReader) error {
	for _, d := range r.States() {
		if d.Kind == operator.KeyedState || d.Name[0] == '_' {
			continue
		}
		found := false
		for _, one := range s.states {
			have, err := one.describe()
			if err != nil {
				return fmt.Errorf("describe state %q: %w", have.Name, err)
			}
			if have.Name != d.Name {
				continue
			}
			if have.Kind != d.Kind {
				return fmt.Errorf("restore state %q: the checkpoint has %s of that name, the program binds %s; give one of them another name",
					d.Name, kindName(d.Kind), kindName(have.Kind))
			}
			if err := one.restore(d, r); err != nil {
				return fmt.Errorf("restore state %q: %w", d.Name, err)
			}
			found = true
		}
		if !found {
			return notBound(d.Name)
		}
	}
	return nil
}

func notBound(name string) error {
	return fmt.Errorf("state %q is in the checkpoint, but the program doesn't bind it: bind it, or give the operator another UID and leave its state out", name)
}

func kindName(k operator.StateKind) string {
	switch k {
	case operator.ListState:
		return "an operator list state"
	case operator.UnionState:
		return "a union list state"
	}
	return "a broadcast state"
}

// blockWriter gathers values into blocks.
type blockWriter struct {
	w     operator.StateWriter
	block []byte
	n     int // values in block
	count int
	most  int // values in a block; 0: as many as fit
	err   error
}

// added ends a block that is large enough.
func (b *blockWriter) added() {
	if b.n++; b.n == b.most || len(b.block) >= pairBlockSize {
		b.flush()
	}
	if b.count++; b.count%yieldEvery == 0 {
		runtime.Gosched()
	}
}

func (b *blockWriter) flush() {
	if b.n != 0 && b.err == nil {
		b.err = b.w.Block(-1, b.block)
	}
	b.block, b.n = b.block[:0], 0
}

// OperatorList is a list of values that belongs to a subtask, not to a key. It is made in an open function and used by the
// methods of the function, from their goroutine.
type OperatorList[V any] struct {
	name string
	kind operator.StateKind
	vals []V
	typ  *codec.Type[V]
	keep keeper[V]
}

// OperatorListState makes the list name of a process function's subtask. The name is unique in the operator. A restored job
// deals the values of all subtasks out over its own, however many they are; which subtask gets which isn't said. What
// open puts into the list is its beginning where there is nothing to restore.
func OperatorListState[V any](rt *Runtime, name string) *OperatorList[V] {
	return operatorList[V](rt, "OperatorListState", name, operator.ListState)
}

// UnionListState is OperatorListState, but a restored subtask gets the values of all subtasks. Keep only what is this
// subtask's then, or the list grows with every restore.
func UnionListState[V any](rt *Runtime, name string) *OperatorList[V] {
	return operatorList[V](rt, "UnionListState", name, operator.UnionState)
}

func operatorList[V any](rt *Runtime, what, name string, kind operator.StateKind) *OperatorList[V] {
	s := &OperatorList[V]{name: name, kind: kind}
	if t, err := codec.Of[V](); err == nil {
		s.typ, s.keep = t, keeperOf(t)
	}
	to := bindOperator(rt, what, name, encodable[V]())
	to.states = append(to.states, s)
	return s
}

// Add appends v to the list.
func (s *OperatorList[V]) Add(v V) {
	s.keep.keep(&v)
	s.vals = append(s.vals, v)
}

// Len is the length of the list.
func (s *OperatorList[V]) Len() int { return len(s.vals) }

// All yields the list in order. Neither the list nor what its values point to must be changed meanwhile; Set takes a
// sequence made of it.
func (s *OperatorList[V]) All() iter.Seq[V] {
	return func(yield func(V) bool) {
		for _, v := range s.vals {
			if !yield(v) {
				return
			}
		}
	}
}

// Set replaces the list by what seq yields, which may come from the list itself.
func (s *OperatorList[V]) Set(seq iter.Seq[V]) {
	var l []V // a snapshot may have the old one
	for v := range seq {
		s.keep.keep(&v)
		l = append(l, v)
	}
	s.vals = l
}

// Clear empties the list.
func (s *OperatorList[V]) Clear() { s.vals = nil }

func (s *OperatorList[V]) describe() (operator.StateDescriptor, error) {
	b, err := s.typ.Schema().MarshalBinary()
	return operator.StateDescriptor{Name: s.name, Kind: s.kind, Value: b}, err
}

// listBlocks is about how many blocks a subtask's list is dealt out in.
const listBlocks = 256

// freeze needs no copy: values are appended, and what is there isn't changed.
func (s *OperatorList[V]) freeze() func(b *blockWriter) {
	vals := s.vals[:len(s.vals):len(s.vals)]
	return func(b *blockWriter) {
		if s.kind == operator.ListState {
			b.most = 1 + len(vals)/listBlocks
		}
		for i := range vals {
			b.block = s.typ.EncodeValue(b.block, &vals[i])
			b.added()
		}
	}
}

func (s *OperatorList[V]) restore(d operator.StateDescriptor, r operator.StateReader) error {
	read, err := readerOf[V](d.Value)
	if err != nil {
		return err
	}
	s.vals = nil
	for b, err := range r.Blocks(s.name) {
		for data := b.Data; err == nil && len(data) > 0; {
			var v V
			if data, err = read.Read(&v, data); err == nil {
				s.vals = append(s.vals, v)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}
