package task

import (
	"context"
	"errors"
	"fmt"

	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/operator"
)

// What StateBlock.file says while a state is written; from earlierFiles on it is a file of an earlier checkpoint.
const (
	ownFile = iota
	sharedFile
	earlierFiles
)

// stateWriter writes the state of one subtask: into a file of the checkpoint's own or, where there is little, into the
// TaskState itself. It is the operator.StateWriter of all its operators, one after the other.
type stateWriter struct {
	ctx   context.Context
	own   *stateFile
	state *linkpb.TaskState
	op    *linkpb.OperatorState
	named *linkpb.NamedState
	share *sharing // of an incremental checkpoint, else nil
}

// newStateWriter makes the writer of a state of which nothing is shared with other checkpoints.
func (t *Task) newStateWriter(ctx context.Context, directory string, inline int64) *stateWriter {
	return &stateWriter{ctx: ctx, own: t.newStateFile(ctx, directory, inline), state: &linkpb.TaskState{}}
}

// operator begins the states of an operator.
func (w *stateWriter) operator(id operator.ID) {
	w.op, w.named = &linkpb.OperatorState{Operator: id[:]}, nil
}

// Begin implements operator.StateWriter.
func (w *stateWriter) Begin(d operator.StateDescriptor) error {
	if d.Name == "" || d.Kind < operator.KeyedState || d.Kind > operator.BroadcastState {
		return fmt.Errorf("begin state %q of kind %d: it needs a name and a kind", d.Name, d.Kind)
	}
	if len(w.op.States) == 0 {
		w.state.Operators = append(w.state.Operators, w.op)
	}
	for _, s := range w.op.States {
		if s.GetName() == d.Name {
			return fmt.Errorf("begin state %q: the operator has written one of that name", d.Name)
		}
	}
	w.named = &linkpb.NamedState{Name: d.Name, Kind: int32(d.Kind), KeySchema: d.Key, ValueSchema: d.Value}
	w.op.States = append(w.op.States, w.named)
	return nil
}

// Block implements operator.StateWriter.
func (w *stateWriter) Block(group int, data []byte) error {
	switch {
	case w.named == nil:
		return errors.New("write a block of state: no state was begun")
	case (group < 0) == (operator.StateKind(w.named.GetKind()) == operator.KeyedState):
		return fmt.Errorf("write a block of state %q: key group %d doesn't suit its kind", w.named.GetName(), group)
	}
	if err := w.ctx.Err(); err != nil {
		return err
	}
	b, err := w.put(group, data)
	w.named.Blocks = append(w.named.Blocks, b)
	return err
}

// channel writes the records in flight on a channel.
func (w *stateWriter) channel(f *inFlight) error {
	from := 0
	for _, to := range f.ends {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		b, err := w.put(-1, f.data[from:to])
		if err != nil {
			return err
		}
		f.state.Batches = append(f.state.Batches, b)
		from = to
	}
	w.state.Channels = append(w.state.Channels, f.state)
	return nil
}

// put gathers a block's bytes for the file.
func (w *stateWriter) put(group int, data []byte) (*linkpb.StateBlock, error) {
	at, err := w.own.put(data)
	w.state.Bytes += int64(len(data))
	return &linkpb.StateBlock{Group: int32(group), Offset: at, Length: int64(len(data))}, err
}

// finish makes everything durable and returns the state.
func (w *stateWriter) finish() (*linkpb.TaskState, error) {
	if w.share != nil {
		if err := errors.Join(w.share.gather(), w.share.fill()); err != nil {
			return nil, err
		}
	}
	var files []*stateFile
	for _, f := range w.stateFiles() {
		if !f.small() {
			if err := f.close(); err != nil {
				return nil, err
			}
			w.state.Files = append(w.state.Files, f.uri)
		}
		w.state.Written += f.size()
		files = append(files, f)
	}
	if w.share != nil {
		for _, e := range w.share.earlier {
			w.state.Files = append(w.state.Files, e.uri)
		}
	}
	if w.share != nil || len(w.state.Files) == 0 {
		w.place(files)
	}
	return w.state, nil
}

func (w *stateWriter) stateFiles() []*stateFile {
	if w.share == nil {
		return []*stateFile{w.own}
	}
	return []*stateFile{w.own, w.share.file}
}

// place has the blocks say where their bytes are, which are in files or weren't enough for them.
func (w *stateWriter) place(files []*stateFile) {
	next := int32(0)
	index := make([]int32, len(files)) // in the TaskState's files; -1: inline
	for i, f := range files {
		if index[i] = -1; f.uri != "" {
			index[i] = next
			next++
		}
	}
	place := func(blocks []*linkpb.StateBlock) {
		for _, b := range blocks {
			switch i := int(b.GetFile()); {
			case i < 0: // inline in the base, and here
			case i >= len(files):
				b.File += next - int32(len(files))
			case index[i] >= 0:
				b.File = index[i]
			default:
				b.File, b.Data = -1, files[i].buffer[b.Offset:b.Offset+b.Length:b.Offset+b.Length]
				b.Offset = 0
			}
		}
	}
	for _, o := range w.state.GetOperators() {
		for _, s := range o.GetStates() {
			place(s.GetBlocks())
		}
	}
	for _, ch := range w.state.GetChannels() {
		place(ch.GetBatches())
	}
}

// discard removes the files of a state that isn't needed.
func (w *stateWriter) discard() error {
	err := w.own.discard()
	if w.share != nil {
		err = errors.Join(err, w.share.file.discard())
	}
	return err
}
