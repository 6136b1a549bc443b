package fstest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"

	"github.com/weftstream/weft/filesystem"
)

// ErrInjected is the cause of every failure that Faulty makes up.
var ErrInjected = errors.New("injected fault")

// Op is a kind of call.
type Op string

// The kinds of calls that can fail. Write and Close are those of a Writer, Read those of a File.
const (
	OpOpen   Op = "open"
	OpCreate Op = "create"
	OpStat   Op = "stat"
	OpList   Op = "list"
	OpMkdir  Op = "mkdir"
	OpRename Op = "rename"
	OpRemove Op = "remove"
	OpChmod  Op = "chmod"
	OpLink   Op = "link"
	OpWrite  Op = "write"
	OpClose  Op = "close"
	OpRead   Op = "read"
)

// Call is one call as a hook sees it.
type Call struct {
	// N counts the calls to this Faulty, from 1.
	N int
	// Op is what is called, Path the file it is about and Target the new name in a rename or link.
	Op           Op
	Path, Target string
}

// Fault says what to do with a call. The zero value lets it pass.
type Fault struct {
	// Before fails the call before it has any effect.
	Before error
	// After fails it when it has had its effect: a lost answer.
	After error
}

// Faulty is a file system whose calls pass through a hook. It is a filesystem.Linker if what it wraps is one; make it
// with NewFaulty. Glob passes through its own Stat and List.
type Faulty struct {
	under filesystem.FileSystem

	mu   sync.Mutex // guards the fields below; held while the hook runs
	hook func(Call) Fault
	n    int
}

// NewFaulty wraps a file system. The *Faulty controls the faults of the FileSystem returned with it.
func NewFaulty(under filesystem.FileSystem) (filesystem.FileSystem, *Faulty) {
	f := &Faulty{under: under}
	if l, ok := under.(filesystem.Linker); ok {
		return &faultyLinker{Faulty: f, linker: l}, f
	}
	return f, f
}

// SetHook replaces the hook; nil removes it. The count of calls starts again.
func (f *Faulty) SetHook(hook func(Call) Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hook, f.n = hook, 0
}

// Calls returns the number of calls since the last SetHook.
func (f *Faulty) Calls() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.n
}

// FailNth returns a hook that applies the fault to the nth call (from 1) of one of the given kinds, or of all.
func FailNth(n int, fault Fault, ops ...Op) func(Call) Fault {
	seen := 0
	return func(c Call) Fault {
		if len(ops) > 0 && !slices.Contains(ops, c.Op) {
			return Fault{}
		}
		if seen++; seen == n {
			return fault
		}
		return Fault{}
	}
}

// CrashAt returns a hook that lets n-1 calls pass and fails all others, the nth one after its effect if after is set:
// what a process does that dies there.
func CrashAt(n int, after bool) func(Call) Fault {
	return func(c Call) Fault {
		switch {
		case c.N < n:
			return Fault{}
		case c.N == n && after:
			return Fault{After: ErrInjected}
		}
		return Fault{Before: ErrInjected}
	}
}

func (f *Faulty) around(op Op, path, target string, do func() error) error {
	f.mu.Lock()
	f.n++
	var fault Fault
	if f.hook != nil {
		fault = f.hook(Call{N: f.n, Op: op, Path: path, Target: target})
	}
	f.mu.Unlock()
	if fault.Before != nil {
		return fmt.Errorf("%s %s: %w", op, path, fault.Before)
	}
	err := do()
	if fault.After != nil {
		return filesystem.WithKind(filesystem.ErrUnknownOutcome, fmt.Errorf("%s %s: answer lost: %w", op, path, fault.After))
	}
	return err
}

// URI implements filesystem.FileSystem.
func (f *Faulty) URI(path string) string { return f.under.URI(path) }

// User implements filesystem.FileSystem.
func (f *Faulty) User() string { return f.under.User() }

// Home implements filesystem.FileSystem.
func (f *Faulty) Home() string { return f.under.Home() }

// Close implements filesystem.FileSystem.
func (f *Faulty) Close() error { return f.under.Close() }

// Open implements filesystem.FileSystem.
func (f *Faulty) Open(ctx context.Context, path string) (filesystem.File, error) {
	var file filesystem.File
	err := f.around(OpOpen, path, "", func() (err error) {
		file, err = f.under.Open(ctx, path)
		return err
	})
	if err != nil {
		if file != nil {
			file.Close()
		}
		return nil, err
	}
	return &faultyFile{File: file, f: f, path: path}, nil
}

type faultyFile struct {
	filesystem.File
	f    *Faulty
	path string
}

func (r *faultyFile) Read(p []byte) (n int, err error) {
	ferr := r.f.around(OpRead, r.path, "", func() error {
		n, err = r.File.Read(p)
		return nil
	})
	if ferr != nil {
		return 0, ferr
	}
	return n, err
}

// Create implements filesystem.FileSystem.
func (f *Faulty) Create(ctx context.Context, path string, o filesystem.CreateOptions) (filesystem.Writer, error) {
	var w filesystem.Writer
	err := f.around(OpCreate, path, "", func() (err error) {
		w, err = f.under.Create(ctx, path, o)
		return err
	})
	if err != nil {
		if w != nil {
			w.Close() // the file stays, as when the answer of a real create is lost
		}
		return nil, err
	}
	return &faultyWriter{Writer: w, f: f, path: path}, nil
}

type faultyWriter struct {
	filesystem.Writer
	f    *Faulty
	path string
}

func (w *faultyWriter) Write(p []byte) (n int, err error) {
	err = w.f.around(OpWrite, w.path, "", func() (err error) {
		n, err = w.Writer.Write(p)
		return err
	})
	return n, err
}

func (w *faultyWriter) Close() error {
	err := w.f.around(OpClose, w.path, "", w.Writer.Close)
	if err != nil {
		w.Writer.Close() // releases the descriptor when the fault came before
	}
	return err
}

// Stat implements filesystem.FileSystem.
func (f *Faulty) Stat(ctx context.Context, path string) (i filesystem.Info, err error) {
	err = f.around(OpStat, path, "", func() (err error) {
		i, err = f.under.Stat(ctx, path)
		return err
	})
	return i, err
}

// List implements filesystem.FileSystem.
func (f *Faulty) List(ctx context.Context, path string) (is []filesystem.Info, err error) {
	err = f.around(OpList, path, "", func() (err error) {
		is, err = f.under.List(ctx, path)
		return err
	})
	return is, err
}

// MkdirAll implements filesystem.FileSystem.
func (f *Faulty) MkdirAll(ctx context.Context, path string, mode fs.FileMode) error {
	return f.around(OpMkdir, path, "", func() error { return f.under.MkdirAll(ctx, path, mode) })
}

// Rename implements filesystem.FileSystem.
func (f *Faulty) Rename(ctx context.Context, src, dst string, overwrite bool) error {
	return f.around(OpRename, src, dst, func() error { return f.under.Rename(ctx, src, dst, overwrite) })
}

// Remove implements filesystem.FileSystem.
func (f *Faulty) Remove(ctx context.Context, path string, recursive bool) error {
	return f.around(OpRemove, path, "", func() error { return f.under.Remove(ctx, path, recursive) })
}

// Chmod implements filesystem.FileSystem.
func (f *Faulty) Chmod(ctx context.Context, path string, mode fs.FileMode) error {
	return f.around(OpChmod, path, "", func() error { return f.under.Chmod(ctx, path, mode) })
}

// Glob implements filesystem.FileSystem.
func (f *Faulty) Glob(ctx context.Context, pattern string) ([]filesystem.Info, error) {
	return filesystem.Glob(ctx, f, pattern)
}

type faultyLinker struct {
	*Faulty
	linker filesystem.Linker
}

// Link implements filesystem.Linker.
func (f *faultyLinker) Link(ctx context.Context, existing, name string) error {
	return f.around(OpLink, existing, name, func() error { return f.linker.Link(ctx, existing, name) })
}
