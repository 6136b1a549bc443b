// Package fstest helps to test file systems and what is built on them.
//
// Run is the conformance suite that every filesystem.FileSystem passes. Memory is a file system in memory that behaves
// as HDFS does. Faulty wraps a file system and makes chosen calls fail before or after their effect.
package fstest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"sort"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/weftstream/weft/filesystem"
)

// Memory is a file system in memory with the semantics of HDFS: no links, a rename that refuses a directory with
// entries as its target, writers that follow their file when a directory above it moves, and a length that readers see
// only once the writer has closed. It checks no permissions, but keeps owners and modes. As returns it for other users.
type Memory struct {
	user string
	tree *tree
}

type tree struct {
	mu   sync.Mutex // guards everything below root
	root *node
	now  int64
}

type node struct {
	children map[string]*node // nil for files
	data     []byte
	info     filesystem.Info // without path and size
}

// NewMemory returns an empty file system used by the named user.
func NewMemory(user string) *Memory {
	m := &Memory{user: user, tree: &tree{now: time.Now().UnixMilli()}}
	m.tree.root = m.newNode(fs.ModeDir | 0o755)
	return m
}

// As returns the same files seen by another user.
func (m *Memory) As(user string) *Memory { return &Memory{user: user, tree: m.tree} }

// Chown changes the owner of a file or directory.
func (m *Memory) Chown(p, owner string) error {
	m.tree.mu.Lock()
	defer m.tree.mu.Unlock()
	n, err := m.find("chown", p)
	if err == nil {
		n.info.Owner = owner
	}
	return err
}

// URI implements filesystem.FileSystem.
func (m *Memory) URI(p string) string { return "memory://" + p }

// User implements filesystem.FileSystem.
func (m *Memory) User() string { return m.user }

// Home implements filesystem.FileSystem.
func (m *Memory) Home() string { return "/user/" + m.user }

// Close does nothing.
func (m *Memory) Close() error { return nil }

func (m *Memory) newNode(mode fs.FileMode) *node {
	m.tree.now++ // a time that always moves, so that every change shows
	n := &node{info: filesystem.Info{Mode: mode, Owner: m.user, Group: "users", IsDir: mode.IsDir(), MTime: m.tree.now}}
	if mode.IsDir() {
		n.children = map[string]*node{}
	} else {
		n.info.BlockSize = 128 << 20
	}
	return n
}

func (n *node) at(p string) filesystem.Info {
	i := n.info
	i.Path, i.Size = p, int64(len(n.data))
	return i
}

func (m *Memory) find(op, p string) (*node, error) {
	n := m.tree.root
	for _, name := range strings.Split(strings.Trim(path.Clean(p), "/"), "/") {
		if name == "" {
			continue
		}
		if n.children == nil {
			return nil, &fs.PathError{Op: op, Path: p, Err: syscall.ENOTDIR}
		}
		if n = n.children[name]; n == nil {
			return nil, &fs.PathError{Op: op, Path: p, Err: fs.ErrNotExist}
		}
	}
	return n, nil
}

// parent returns the directory in which p is or would be.
func (m *Memory) parent(op, p string) (*node, string, error) {
	n, err := m.find(op, path.Dir(path.Clean(p)))
	if err == nil && n.children == nil {
		err = &fs.PathError{Op: op, Path: p, Err: syscall.ENOTDIR}
	}
	return n, path.Base(p), err
}

// Stat implements filesystem.FileSystem.
func (m *Memory) Stat(ctx context.Context, p string) (filesystem.Info, error) {
	m.tree.mu.Lock()
	defer m.tree.mu.Unlock()
	n, err := m.find("stat", p)
	if err = errors.Join(ctx.Err(), err); err != nil {
		return filesystem.Info{}, err
	}
	return n.at(path.Clean(p)), nil
}

// List implements filesystem.FileSystem.
func (m *Memory) List(ctx context.Context, p string) ([]filesystem.Info, error) {
	m.tree.mu.Lock()
	defer m.tree.mu.Unlock()
	n, err := m.find("list", p)
	if err == nil && n.children == nil {
		err = &fs.PathError{Op: "list", Path: p, Err: syscall.ENOTDIR}
	}
	if err = errors.Join(ctx.Err(), err); err != nil {
		return nil, err
	}
	infos := make([]filesystem.Info, 0, len(n.children))
	for name, c := range n.children {
		infos = append(infos, c.at(path.Join(p, name)))
	}
	sort.Slice(infos, func(i, j int) bool { return infos[i].Path < infos[j].Path })
	return infos, nil
}

// MkdirAll implements filesystem.FileSystem.
func (m *Memory) MkdirAll(ctx context.Context, p string, mode fs.FileMode) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.tree.mu.Lock()
	defer m.tree.mu.Unlock()
	n := m.tree.root
	for _, name := range strings.Split(strings.Trim(path.Clean(p), "/"), "/") {
		if name == "" {
			continue
		}
		child := n.children[name]
		if child == nil {
			child = m.newNode(fs.ModeDir | mode.Perm() | mode&fs.ModeSticky)
			n.children[name] = child
		} else if child.children == nil {
			return &fs.PathError{Op: "mkdir", Path: p, Err: fs.ErrExist}
		}
		n = child
	}
	return nil
}

// Rename implements filesystem.FileSystem.
func (m *Memory) Rename(ctx context.Context, src, dst string, overwrite bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.tree.mu.Lock()
	defer m.tree.mu.Unlock()
	fail := func(err error) error {
		return fmt.Errorf("rename %s to %s: %w", src, dst, err)
	}
	n, err := m.find("rename", src)
	if err != nil {
		return fail(err)
	}
	from, fromName, _ := m.parent("rename", src)
	to, toName, err := m.parent("rename", dst)
	if err != nil {
		return fail(err)
	}
	if strings.HasPrefix(path.Clean(dst)+"/", path.Clean(src)+"/") {
		return fail(fs.ErrInvalid)
	}
	if old := to.children[toName]; old != nil {
		switch {
		case !overwrite, (old.children == nil) != (n.children == nil):
			return fail(fs.ErrExist)
		case len(old.children) > 0:
			return fail(syscall.ENOTEMPTY)
		}
	}
	delete(from.children, fromName)
	to.children[toName] = n
	return nil
}

// Remove implements filesystem.FileSystem.
func (m *Memory) Remove(ctx context.Context, p string, recursive bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.tree.mu.Lock()
	defer m.tree.mu.Unlock()
	n, err := m.find("remove", p)
	if err != nil {
		return err
	}
	if len(n.children) > 0 && !recursive {
		return &fs.PathError{Op: "remove", Path: p, Err: syscall.ENOTEMPTY}
	}
	dir, name, err := m.parent("remove", p)
	if err == nil {
		delete(dir.children, name)
	}
	return err
}

// Chmod implements filesystem.FileSystem.
func (m *Memory) Chmod(ctx context.Context, p string, mode fs.FileMode) error {
	m.tree.mu.Lock()
	defer m.tree.mu.Unlock()
	n, err := m.find("chmod", p)
	if err = errors.Join(ctx.Err(), err); err != nil {
		return err
	}
	n.info.Mode = n.info.Mode&fs.ModeDir | mode.Perm() | mode&fs.ModeSticky
	return nil
}

// Glob implements filesystem.FileSystem.
func (m *Memory) Glob(ctx context.Context, pattern string) ([]filesystem.Info, error) {
	return filesystem.Glob(ctx, m, pattern)
}

// Open implements filesystem.FileSystem.
func (m *Memory) Open(ctx context.Context, p string) (filesystem.File, error) {
	m.tree.mu.Lock()
	defer m.tree.mu.Unlock()
	n, err := m.find("open", p)
	if err == nil && n.children != nil {
		err = &fs.PathError{Op: "open", Path: p, Err: syscall.EISDIR}
	}
	if err = errors.Join(ctx.Err(), err); err != nil {
		return nil, err
	}
	return &memoryFile{Reader: bytes.NewReader(n.data)}, nil
}

type memoryFile struct {
	*bytes.Reader
	mu     sync.Mutex
	closed bool
}

func (f *memoryFile) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	return nil
}

func (f *memoryFile) open() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return filesystem.ErrClosed
	}
	return nil
}

func (f *memoryFile) Read(p []byte) (int, error) {
	if err := f.open(); err != nil {
		return 0, err
	}
	return f.Reader.Read(p)
}

func (f *memoryFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.open(); err != nil {
		return 0, err
	}
	return f.Reader.ReadAt(p, off)
}

var _ io.Seeker = (*memoryFile)(nil)

// Create implements filesystem.FileSystem.
func (m *Memory) Create(ctx context.Context, p string, o filesystem.CreateOptions) (filesystem.Writer, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.tree.mu.Lock()
	defer m.tree.mu.Unlock()
	dir, name, err := m.parent("create", p)
	if err != nil {
		return nil, err
	}
	if old := dir.children[name]; old != nil && (!o.Overwrite || old.children != nil) {
		return nil, &fs.PathError{Op: "create", Path: p, Err: fs.ErrExist}
	}
	mode := o.Mode
	if mode == 0 {
		mode = 0o644
	}
	n := m.newNode(mode)
	dir.children[name] = n
	return &memoryWriter{m: m, n: n, path: p}, nil
}

type memoryWriter struct {
	m    *Memory
	n    *node
	path string
	buf  bytes.Buffer
	done bool
}

func (w *memoryWriter) Write(p []byte) (int, error) {
	if w.done {
		return 0, filesystem.ErrClosed
	}
	return w.buf.Write(p)
}

func (w *memoryWriter) Close() error {
	if w.done {
		return nil
	}
	w.done = true
	w.m.tree.mu.Lock()
	defer w.m.tree.mu.Unlock()
	w.n.data = w.buf.Bytes()
	w.m.tree.now++
	w.n.info.MTime = w.m.tree.now
	return nil
}

func (w *memoryWriter) Abort() error {
	if w.done {
		return nil
	}
	w.done = true
	w.m.tree.mu.Lock()
	defer w.m.tree.mu.Unlock()
	dir, name, err := w.m.parent("remove", w.path)
	if err == nil && dir.children[name] == w.n {
		delete(dir.children, name)
	}
	return nil
}
