package ha

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/weftstream/weft/filesystem"
)

// directoryEpoch is the holder's end of an epoch.
type directoryEpoch struct {
	d        *directory
	n        uint64
	owner    owner
	sequence uint64
	// unsettled is the temporary file of an append whose outcome is unknown. Its rename may still be under way: it has
	// to be gone before the next append.
	unsettled string
}

func (e *directoryEpoch) number() uint64 { return e.n }

func (e *directoryEpoch) openDir() string {
	return path.Join(e.d.epochDir(e.n), openPrefix+e.owner.String())
}

func (e *directoryEpoch) sealedDir() string {
	return path.Join(e.d.epochDir(e.n), sealedPrefix+e.owner.String())
}

func (e *directoryEpoch) append(ctx context.Context, r Record) (string, error) {
	if err := e.settle(ctx); err != nil {
		return "", err
	}
	e.sequence++
	it := &item{typ: recordItem, epoch: e.n, sequence: e.sequence, owner: e.owner, Record: r}
	name := fmt.Sprintf("%020d", e.sequence)
	temp, err := e.writeTemp(ctx, name, it.encode())
	if err != nil {
		// Nothing can have been appended. If the epoch is over, that is the better news.
		if cerr := e.check(ctx); errors.Is(cerr, ErrFenced) {
			return "", cerr
		}
		return "", err
	}
	ref := path.Join(e.openDir(), name)
	if err := e.d.fs.Rename(ctx, temp, ref, false); err != nil {
		return e.resolve(ctx, temp, name, err)
	}
	return ref, nil
}

// writeTemp writes a file into the epoch's directory, and again under another name if a DataNode fails. It makes no
// directory: where there is none the epoch is over.
func (e *directoryEpoch) writeTemp(ctx context.Context, name string, data []byte) (string, error) {
	var last error
	for range renameAttempts {
		temp := filesystem.TempName(path.Join(e.d.epochDir(e.n), name))
		w, err := e.d.fs.Create(ctx, temp, filesystem.CreateOptions{Mode: 0o600})
		if err == nil {
			if _, err = w.Write(data); err == nil {
				err = w.Close()
			}
			if err == nil {
				return temp, nil
			}
			_ = w.Abort()
		}
		e.d.removeQuietly(ctx, temp)
		last = err
		if !filesystem.Transient(err) || ctx.Err() != nil {
			break
		}
	}
	return "", last
}

// resolve finds out what became of a rename that returned an error, and repeats it if it had no effect.
func (e *directoryEpoch) resolve(ctx context.Context, temp, name string, cause error) (string, error) {
	e.unsettled = temp
	unknown := func(err error) (string, error) {
		return "", fmt.Errorf("%w (and to see what became of it: %w)", cause, err)
	}
	for range renameAttempts {
		for _, dir := range []string{e.openDir(), e.sealedDir()} {
			// The name is of this epoch and this sequence number: it is the record or nothing.
			there, err := filesystem.Exists(ctx, e.d.fs, path.Join(dir, name))
			if err != nil {
				return unknown(err)
			}
			if there {
				e.unsettled = ""
				return path.Join(dir, name), nil
			}
		}
		if err := e.check(ctx); err != nil {
			return unknown(err)
		}
		if cause = e.d.fs.Rename(ctx, temp, path.Join(e.openDir(), name), false); cause == nil {
			e.unsettled = ""
			return path.Join(e.openDir(), name), nil
		}
	}
	return "", fmt.Errorf("after %d attempts: %w", renameAttempts, cause)
}

func (e *directoryEpoch) settle(ctx context.Context) error {
	if e.unsettled == "" {
		return nil
	}
	if err := e.d.fs.Remove(ctx, e.unsettled, false); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("settle an earlier append whose outcome is unknown: %w", err)
	}
	e.unsettled = ""
	return nil
}

func (e *directoryEpoch) discard(ctx context.Context, ref string) error {
	err := e.d.fs.Remove(ctx, ref, false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (e *directoryEpoch) check(ctx context.Context) error {
	open, err := filesystem.Exists(ctx, e.d.fs, e.openDir())
	if err == nil && !open {
		return ErrFenced
	}
	return err
}
