package task

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/weftstream/weft/filesystem"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/operator"
	"github.com/weftstream/weft/runtime/checkpoint"
)

// writeSize is how many bytes are gathered before they go to the file.
const writeSize = 256 << 10

// stateWriter writes the state of one subtask: into one file, made when there is more than inline bytes, or into the
// TaskState itself. It is the operator.StateWriter of all its operators, one after the other.
type stateWriter struct {
	ctx       context.Context
	files     *filesystem.Set
	directory string // "": everything goes inline
	name      string
	inline    int64

	state  *linkpb.TaskState
	op     *linkpb.OperatorState
	named  *linkpb.NamedState
	buffer []byte
	offset int64 // of buffer in the file
	w      filesystem.Writer
	fs     filesystem.FileSystem
	path   string

	local      *checkpoint.LocalCopies // where a copy of the file is kept; nil: nowhere
	checkpoint int64                   // that the copy belongs to
	copy       *checkpoint.LocalCopy
}

func (t *Task) newStateWriter(ctx context.Context, directory string, inline int64) *stateWriter {
	var unique [6]byte
	rand.Read(unique[:]) // never fails
	id := t.ID()
	return &stateWriter{ctx: ctx, files: t.job.Files, directory: directory, inline: inline, state: &linkpb.TaskState{},
		name: fmt.Sprintf("%x-%d-%d-%s", id.GetVertex()[:4], id.GetSubtask(), id.GetAttempt(), hex.EncodeToString(unique[:]))}
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
	b := &linkpb.StateBlock{Group: int32(group), Offset: w.offset + int64(len(w.buffer)), Length: int64(len(data))}
	w.buffer = append(w.buffer, data...)
	w.state.Bytes += int64(len(data))
	if w.directory != "" && w.state.Bytes > w.inline && len(w.buffer) >= writeSize {
		return b, w.flush()
	}
	return b, nil
}

// flush moves what was gathered into the file, which it makes first.
func (w *stateWriter) flush() error {
	if w.w == nil {
		if w.files == nil {
			return fmt.Errorf("write state to %s: this host has no file systems", w.directory)
		}
		f, p, err := w.files.Resolve(w.directory + "/" + w.name)
		if err != nil {
			return fmt.Errorf("write state: %w", err)
		}
		out, err := f.Create(w.ctx, p, filesystem.CreateOptions{})
		if err != nil {
			return fmt.Errorf("write state: %w", err)
		}
		w.fs, w.path, w.w = f, p, out
		w.state.Files = []string{f.URI(p)}
		w.copy = w.local.Create(w.checkpoint, f.URI(p))
	}
	if _, err := w.w.Write(w.buffer); err != nil {
		return fmt.Errorf("write state to %s: %w", w.state.GetFiles()[0], err)
	}
	w.copy.Write(w.buffer)
	w.offset += int64(len(w.buffer))
	w.buffer = w.buffer[:0]
	return nil
}

// finish makes everything durable and returns the state.
func (w *stateWriter) finish() (*linkpb.TaskState, error) {
	if w.w == nil && (w.directory == "" || w.state.Bytes <= w.inline) {
		w.inlineBlocks()
		return w.state, nil
	}
	if err := w.flush(); err != nil {
		return nil, err
	}
	out := w.w
	w.w = nil
	if err := out.Close(); err != nil {
		return nil, fmt.Errorf("write state to %s: %w", w.state.GetFiles()[0], err)
	}
	w.copy.Finish(w.state.GetFiles()[0])
	return w.state, nil
}

func (w *stateWriter) inlineBlocks() {
	inline := func(blocks []*linkpb.StateBlock) {
		for _, b := range blocks {
			b.File, b.Data = -1, w.buffer[b.Offset:b.Offset+b.Length:b.Offset+b.Length]
			b.Offset = 0
		}
	}
	for _, o := range w.state.GetOperators() {
		for _, s := range o.GetStates() {
			inline(s.GetBlocks())
		}
	}
	for _, ch := range w.state.GetChannels() {
		inline(ch.GetBatches())
	}
}

// discard removes the file of a state that isn't needed.
func (w *stateWriter) discard() error {
	if w.path == "" {
		return nil
	}
	w.copy.Abort()
	var err error
	if w.w != nil {
		_ = w.w.Close()
		w.w = nil
	}
	// The task may have been cancelled, and its context with it.
	if err = w.fs.Remove(context.WithoutCancel(w.ctx), w.path, false); err != nil {
		return fmt.Errorf("remove the state of a checkpoint that was given up: %w", err)
	}
	return nil
}
