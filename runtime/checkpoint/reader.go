package checkpoint

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

// Reader reads the blocks of a subtask's state. Files are opened when they are first needed and stay open until Close. It
// belongs to one goroutine.
type Reader struct {
	ctx   context.Context
	files *filesystem.Set
	task  *linkpb.TaskState
	local *LocalCopies
	open  map[int32]filesystem.File
	data  []byte
}

// NewReader makes the Reader of task, which mustn't change meanwhile; files may be nil if all of it is inline. The end of ctx
// ends what is being read.
func NewReader(ctx context.Context, files *filesystem.Set, task *linkpb.TaskState) *Reader {
	return &Reader{ctx: ctx, files: files, task: task, open: map[int32]filesystem.File{}}
}

// Prefer has files read from their local copies, where there are; call it before the first Block.
func (r *Reader) Prefer(l *LocalCopies) { r.local = l }

// Operator is the state of one operator of the subtask.
func (r *Reader) Operator(o *linkpb.OperatorState) operator.StateReader {
	return &operatorReader{r: r, op: o}
}

// Block reads a block; the bytes are good until the next call.
func (r *Reader) Block(b *linkpb.StateBlock) ([]byte, error) {
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

func (r *Reader) file(i int32) (filesystem.File, error) {
	if f := r.open[i]; f != nil {
		return f, nil
	}
	uri := r.task.GetFiles()[i]
	if r.local != nil {
		f, err := r.local.Open(uri)
		if err == nil {
			r.local.log.Info("state is read from its local copy", "file", uri)
			r.open[i] = f
			return f, nil
		}
		r.local.log.Info("state is read from the checkpoint", "file", uri, "reason", err)
	}
	if r.files == nil {
		return nil, fmt.Errorf("open %s: this process has no file systems", uri)
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

// Close closes the files.
func (r *Reader) Close() {
	for _, f := range r.open {
		_ = f.Close()
	}
	clear(r.open)
}

// operatorReader is the operator.StateReader of one operator.
type operatorReader struct {
	r  *Reader
	op *linkpb.OperatorState
}

// States implements operator.StateReader.
func (o *operatorReader) States() []operator.StateDescriptor {
	all := make([]operator.StateDescriptor, 0, len(o.op.GetStates()))
	for _, s := range o.op.GetStates() {
		all = append(all, operator.StateDescriptor{Name: s.GetName(), Kind: operator.StateKind(s.GetKind()), Key: s.GetKeySchema(), Value: s.GetValueSchema()})
	}
	return all
}

// Blocks implements operator.StateReader.
func (o *operatorReader) Blocks(name string) iter.Seq2[operator.Block, error] {
	return func(yield func(operator.Block, error) bool) {
		for _, s := range o.op.GetStates() {
			if s.GetName() != name {
				continue
			}
			for b, err := range o.r.pairs(s) {
				if err != nil {
					err = fmt.Errorf("read state %q: %w", name, err)
				}
				if !yield(b, err) || err != nil {
					return
				}
			}
		}
	}
}
