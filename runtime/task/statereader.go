package task

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/weftstream/weft/filesystem"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/operator"
)

// maxBlock bounds a block that is read, against a damaged checkpoint.
const maxBlock = 1 << 30

// stateReader is the operator.StateReader of one operator. Files stay open from one block to the next and are closed by
// close.
type stateReader struct {
	ctx   context.Context
	files *filesystem.Set
	task  *linkpb.TaskState
	op    *linkpb.OperatorState
	open  map[int32]filesystem.File
	data  []byte
}

// States implements operator.StateReader.
func (r *stateReader) States() []operator.StateDescriptor {
	all := make([]operator.StateDescriptor, 0, len(r.op.GetStates()))
	for _, s := range r.op.GetStates() {
		all = append(all, operator.StateDescriptor{Name: s.GetName(), Kind: operator.StateKind(s.GetKind()), Key: s.GetKeySchema(), Value: s.GetValueSchema()})
	}
	return all
}

// Blocks implements operator.StateReader.
func (r *stateReader) Blocks(name string) iter.Seq2[operator.Block, error] {
	return func(yield func(operator.Block, error) bool) {
		for _, s := range r.op.GetStates() {
			if s.GetName() != name {
				continue
			}
			for _, b := range s.GetBlocks() {
				data, err := r.read(b)
				if err != nil {
					yield(operator.Block{}, fmt.Errorf("read state %q: %w", name, err))
					return
				}
				if !yield(operator.Block{Group: int(b.GetGroup()), Data: data}, nil) {
					return
				}
			}
		}
	}
}

func (r *stateReader) read(b *linkpb.StateBlock) ([]byte, error) {
	if b.GetFile() < 0 {
		return b.GetData(), nil
	}
	if int(b.GetFile()) >= len(r.task.GetFiles()) || b.GetLength() < 0 || b.GetLength() > maxBlock {
		return nil, fmt.Errorf("block of %d bytes in file %d of %d: the checkpoint is damaged", b.GetLength(), b.GetFile(), len(r.task.GetFiles()))
	}
	f, err := r.file(b.GetFile())
	if err != nil {
		return nil, err
	}
	if int64(cap(r.data)) < b.GetLength() {
		r.data = make([]byte, b.GetLength())
	}
	r.data = r.data[:b.GetLength()]
	if n, err := f.ReadAt(r.data, b.GetOffset()); n < len(r.data) {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("%s at %d: %w", r.task.GetFiles()[b.GetFile()], b.GetOffset(), err)
	}
	return r.data, nil
}

func (r *stateReader) file(i int32) (filesystem.File, error) {
	if f := r.open[i]; f != nil {
		return f, nil
	}
	uri := r.task.GetFiles()[i]
	if r.files == nil {
		return nil, fmt.Errorf("open %s: this host has no file systems", uri)
	}
	fsys, p, err := r.files.Resolve(uri)
	if err != nil {
		return nil, err
	}
	f, err := fsys.Open(r.ctx, p)
	if err != nil {
		return nil, err
	}
	r.open[i] = f
	return f, nil
}

func (r *stateReader) close() {
	for _, f := range r.open {
		_ = f.Close()
	}
}

// restore gives the operators of the chain the state that the task starts from.
func (t *Task) restore() error {
	s := t.spec.GetRestore()
	if err := t.newReplay(s); err != nil {
		return err
	}
	if len(s.GetOperators()) == 0 {
		return nil
	}
	open := map[int32]filesystem.File{}
	for _, o := range s.GetOperators() {
		at := t.position(o.GetOperator())
		if at < 0 {
			return fmt.Errorf("restore the task: the checkpoint has state of operator %x, which isn't in this chain", o.GetOperator())
		}
		op, ok := t.chain[at].op.(operator.Checkpointed)
		if !ok {
			return t.blame(at, fmt.Errorf("restore the operator: the checkpoint has state of it, but it keeps none in this program"))
		}
		r := &stateReader{ctx: t.ctx, files: t.job.Files, task: s, op: o, open: open}
		t.current = at
		err := op.Restore(r)
		if err != nil {
			r.close()
			return t.blame(at, fmt.Errorf("restore the operator: %w", err))
		}
	}
	(&stateReader{open: open}).close()
	t.current = -1
	return nil
}

// position is where an operator stands in the chain; -1 if it doesn't.
func (t *Task) position(id []byte) int {
	for i, l := range t.chain {
		own := l.node.OperatorID()
		if string(own[:]) == string(id) {
			return i
		}
	}
	return -1
}
