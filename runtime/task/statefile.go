package task

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/weftstream/weft/filesystem"
	"github.com/weftstream/weft/runtime/checkpoint"
)

// writeSize is how many bytes are gathered before they go to the file.
const writeSize = 256 << 10

// stateFile is a file of state that is being written. It is made when there is more than inline bytes.
type stateFile struct {
	ctx       context.Context
	files     *filesystem.Set
	directory string // "": everything goes inline
	name      string
	inline    int64
	shared    bool // the directory is the job's, and may not be there yet

	buffer []byte
	offset int64 // of buffer in the file
	w      filesystem.Writer
	fs     filesystem.FileSystem
	path   string
	uri    string

	local      *checkpoint.LocalCopies // where a copy of the file is kept; nil: nowhere
	checkpoint int64                   // that the copy belongs to
	copy       *checkpoint.LocalCopy
}

func (t *Task) newStateFile(ctx context.Context, directory string, inline int64) *stateFile {
	var unique [6]byte
	rand.Read(unique[:]) // never fails
	id := t.ID()
	return &stateFile{ctx: ctx, files: t.job.Files, directory: directory, inline: inline,
		name: fmt.Sprintf("%x-%d-%d-%s", id.GetVertex()[:4], id.GetSubtask(), id.GetAttempt(), hex.EncodeToString(unique[:]))}
}

// size is how many bytes were put.
func (f *stateFile) size() int64 { return f.offset + int64(len(f.buffer)) }

// small says that what was put needs no file.
func (f *stateFile) small() bool { return f.w == nil && (f.directory == "" || f.size() <= f.inline) }

// put gathers bytes for the file and returns where they will be.
func (f *stateFile) put(data []byte) (offset int64, err error) {
	offset = f.size()
	f.buffer = append(f.buffer, data...)
	if len(f.buffer) >= writeSize && !f.small() {
		return offset, f.flush()
	}
	return offset, nil
}

// flush moves what was gathered into the file, which it makes first.
func (f *stateFile) flush() error {
	if f.w == nil {
		if err := f.create(); err != nil {
			return err
		}
	}
	if _, err := f.w.Write(f.buffer); err != nil {
		return fmt.Errorf("write state to %s: %w", f.uri, err)
	}
	f.copy.Write(f.buffer)
	f.offset += int64(len(f.buffer))
	f.buffer = f.buffer[:0]
	return nil
}

func (f *stateFile) create() error {
	if f.files == nil {
		return fmt.Errorf("write state to %s: this host has no file systems", f.directory)
	}
	fsys, p, err := f.files.Resolve(f.directory + "/" + f.name)
	if err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	out, err := fsys.Create(f.ctx, p, filesystem.CreateOptions{})
	if f.shared && errors.Is(err, fs.ErrNotExist) { // the directory is made when it is needed
		if err = fsys.MkdirAll(f.ctx, path.Dir(p), 0o755); err == nil {
			out, err = fsys.Create(f.ctx, p, filesystem.CreateOptions{})
		}
	}
	if err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	f.fs, f.path, f.uri, f.w = fsys, p, fsys.URI(p), out
	f.copy = f.local.Create(f.checkpoint, f.uri)
	return nil
}

// close makes everything durable that isn't small.
func (f *stateFile) close() error {
	if err := f.flush(); err != nil {
		return err
	}
	out := f.w
	f.w = nil
	if err := out.Close(); err != nil {
		return fmt.Errorf("write state to %s: %w", f.uri, err)
	}
	f.copy.Finish(f.uri)
	return nil
}

// discard removes the file of a state that isn't needed.
func (f *stateFile) discard() error {
	if f == nil || f.path == "" {
		return nil
	}
	f.copy.Abort()
	if f.w != nil {
		_ = f.w.Close()
		f.w = nil
	}
	// The task may have been cancelled, and its context with it.
	if err := f.fs.Remove(context.WithoutCancel(f.ctx), f.path, false); err != nil {
		return fmt.Errorf("remove the state of a checkpoint that was given up: %w", err)
	}
	return nil
}
