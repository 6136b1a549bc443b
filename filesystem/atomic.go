package filesystem

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"time"
)

const (
	// writeAttempts is how often WriteFile writes the whole file.
	writeAttempts = 4
	// cleanupTimeout bounds the removal of a temporary file after the caller's context has ended.
	cleanupTimeout = 10 * time.Second
)

// TempName returns a name in the directory of p that is hidden (it starts with a dot) and that nobody else uses.
func TempName(p string) string {
	var b [12]byte
	rand.Read(b[:]) // never fails
	return path.Join(path.Dir(p), "."+path.Base(p)+".tmp-"+hex.EncodeToString(b[:]))
}

// AtomicWriter writes a file that appears under its name when Commit returns, complete, or not at all. It belongs to
// one goroutine.
type AtomicWriter struct {
	fs        FileSystem
	path      string
	temp      string
	overwrite bool
	w         Writer
	done      bool
}

// CreateAtomic begins an AtomicWriter for path, whose parent must exist. o.Overwrite says what Commit does with an
// existing file; what Rename says about several contenders holds here too.
func CreateAtomic(ctx context.Context, fsys FileSystem, path string, o CreateOptions) (*AtomicWriter, error) {
	a := &AtomicWriter{fs: fsys, path: path, temp: TempName(path), overwrite: o.Overwrite}
	o.Overwrite = false
	w, err := fsys.Create(ctx, a.temp, o)
	if err != nil {
		if errors.Is(err, ErrUnknownOutcome) {
			a.cleanup(ctx)
		}
		return nil, err
	}
	a.w = w
	return a, nil
}

// Write implements io.Writer.
func (a *AtomicWriter) Write(p []byte) (int, error) {
	if a.done {
		return 0, ErrClosed
	}
	return a.w.Write(p)
}

// Commit closes the file and gives it its name. After an error nothing is left behind as far as that is possible, and
// unless the error is an ErrUnknownOutcome the name is as it was.
func (a *AtomicWriter) Commit(ctx context.Context) error {
	if a.done {
		return ErrClosed
	}
	a.done = true
	if err := a.w.Close(); err != nil {
		a.cleanup(ctx)
		return err
	}
	if err := a.fs.Rename(ctx, a.temp, a.path, a.overwrite); err != nil {
		a.cleanup(ctx)
		return err
	}
	return nil
}

// Abort gives the file up. After Commit it does nothing, so that it can be deferred.
func (a *AtomicWriter) Abort() error {
	if a.done {
		return nil
	}
	a.done = true
	return a.w.Abort()
}

// cleanup removes the temporary file even if ctx has ended. Its own failure leaves a hidden file and is no news.
func (a *AtomicWriter) cleanup(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	_ = a.fs.Remove(ctx, a.temp, false)
}

// WriteFile writes data to a file that appears complete or not at all. It does so again, from the beginning, when a
// DataNode or the NameNode fails in the middle (Transient).
func WriteFile(ctx context.Context, fsys FileSystem, path string, data []byte, o CreateOptions) error {
	for n := 1; ; n++ {
		err := writeOnce(ctx, fsys, path, data, o)
		if err == nil || n == writeAttempts || !Transient(err) || ctx.Err() != nil {
			return err
		}
		if errors.Is(err, ErrUnknownOutcome) && !o.Overwrite {
			return err // the file that a next attempt would find may be our own
		}
	}
}

func writeOnce(ctx context.Context, fsys FileSystem, path string, data []byte, o CreateOptions) error {
	a, err := CreateAtomic(ctx, fsys, path, o)
	if err != nil {
		return err
	}
	defer func() { _ = a.Abort() }()
	if _, err := a.Write(data); err != nil {
		return err
	}
	return a.Commit(ctx)
}

// ReadFile reads a whole file of at most limit bytes; a larger one is an error.
func ReadFile(ctx context.Context, fsys FileSystem, path string, limit int64) ([]byte, error) {
	f, err := fsys.Open(ctx, path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("read %s: larger than %d bytes", fsys.URI(path), limit)
	}
	return data, nil
}

// Exists reports whether path exists.
func Exists(ctx context.Context, fsys FileSystem, path string) (bool, error) {
	_, err := fsys.Stat(ctx, path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
