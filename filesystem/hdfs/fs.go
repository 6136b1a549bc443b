package hdfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	hdfs "github.com/colinmarc/hdfs/v2"

	"github.com/weftstream/weft/filesystem"
)

// FS is the file system of one nameservice.
type FS struct {
	cfg       Config
	authority string
	pool      *pool
	defaults  createDefaults

	// answered is set once a NameNode has answered: from then on silence is taken for a restart and waited out.
	answered atomic.Bool

	mu     sync.Mutex     // guards closed, and the order of calls.Add and calls.Wait
	closed bool           //
	calls  sync.WaitGroup // one for each call in flight
	stop   chan struct{}  // closed by Close: ends the waits between attempts
}

var _ filesystem.FileSystem = (*FS)(nil)

func newFS(cfg Config, authority string, options hdfs.ClientOptions) *FS {
	return &FS{
		cfg: cfg, authority: authority, pool: newPool(options, cfg), stop: make(chan struct{}),
		defaults: defaultsFrom(cfg.Site),
	}
}

// URI implements filesystem.FileSystem.
func (f *FS) URI(p string) string { return "hdfs://" + f.authority + p }

// User implements filesystem.FileSystem.
func (f *FS) User() string { return f.pool.options.User }

// Home implements filesystem.FileSystem.
func (f *FS) Home() string {
	prefix := f.cfg.Site["dfs.user.home.dir.prefix"]
	if prefix == "" {
		prefix = "/user"
	}
	return path.Join(prefix, f.User())
}

// Stat implements filesystem.FileSystem.
func (f *FS) Stat(ctx context.Context, p string) (filesystem.Info, error) {
	fi, err := f.status(ctx, p)
	if err != nil {
		return filesystem.Info{}, f.wrap("stat", p, err)
	}
	return info(p, fi), nil
}

func (f *FS) status(ctx context.Context, p string) (os.FileInfo, error) {
	return call(ctx, f, idempotent, func(c *client) (os.FileInfo, error) { return c.lib.Stat(p) })
}

// List implements filesystem.FileSystem.
func (f *FS) List(ctx context.Context, p string) ([]filesystem.Info, error) {
	fis, err := call(ctx, f, idempotent, func(c *client) ([]os.FileInfo, error) {
		r, err := c.lib.Open(p)
		if err != nil {
			return nil, err
		}
		defer r.Close()
		if !r.Stat().IsDir() {
			return nil, &remoteError{exception: "PathIsNotDirectoryException", err: syscall.ENOTDIR}
		}
		return r.Readdir(0)
	})
	if err != nil {
		return nil, f.wrap("list", p, err)
	}
	infos := make([]filesystem.Info, len(fis))
	for i, fi := range fis {
		infos[i] = info(path.Join(p, fi.Name()), fi)
	}
	sort.Slice(infos, func(i, j int) bool { return infos[i].Path < infos[j].Path })
	return infos, nil
}

// MkdirAll implements filesystem.FileSystem.
func (f *FS) MkdirAll(ctx context.Context, p string, mode fs.FileMode) error {
	_, err := call(ctx, f, idempotent, func(c *client) (struct{}, error) {
		return struct{}{}, c.lib.MkdirAll(p, wireMode(mode))
	})
	return f.wrap("mkdir", p, err)
}

// Chmod implements filesystem.FileSystem.
func (f *FS) Chmod(ctx context.Context, p string, mode fs.FileMode) error {
	_, err := call(ctx, f, idempotent, func(c *client) (struct{}, error) {
		return struct{}{}, c.lib.Chmod(p, wireMode(mode))
	})
	return f.wrap("chmod", p, err)
}

// Remove implements filesystem.FileSystem.
func (f *FS) Remove(ctx context.Context, p string, recursive bool) error {
	lost := false // the answer to an earlier attempt: then a missing file is what was asked for
	_, err := call(ctx, f, idempotent, func(c *client) (struct{}, error) {
		_, err := c.lib.Stat(p)
		if err == nil {
			if recursive {
				err = c.lib.RemoveAll(p)
			} else {
				err = c.lib.Remove(p)
			}
		}
		if lost && errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		lost = lost || err != nil && !isRemote(err)
		return struct{}{}, err
	})
	return f.wrap("remove", p, err)
}

// Rename implements filesystem.FileSystem. If the answer is lost, it looks whether the file that was to move is at its
// new or its old place; only if it is at neither is the outcome unknown.
func (f *FS) Rename(ctx context.Context, src, dst string, overwrite bool) error {
	err := f.rename(ctx, src, dst, overwrite)
	if err != nil {
		return fmt.Errorf("rename %s to %s: %w", f.URI(src), dst, err)
	}
	return nil
}

func (f *FS) rename(ctx context.Context, src, dst string, overwrite bool) error {
	before, err := f.status(ctx, src)
	if err != nil {
		return err
	}
	for {
		if target, err := f.status(ctx, dst); err == nil {
			if path.Clean(src) != path.Clean(dst) && fileID(target) == fileID(before) {
				return nil // an attempt that seemed to fail has succeeded
			}
			if !overwrite {
				return syscall.EEXIST
			}
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		_, err = call(ctx, f, once, func(c *client) (struct{}, error) { return struct{}{}, c.lib.Rename(src, dst) })
		if err == nil {
			return nil
		}
		if !errors.Is(err, filesystem.ErrUnknownOutcome) {
			return f.renameRefused(ctx, src, dst, err)
		}
		if after, serr := f.status(ctx, dst); serr == nil && fileID(after) == fileID(before) {
			return nil
		} else if serr != nil && !errors.Is(serr, fs.ErrNotExist) {
			return err
		}
		if after, serr := f.status(ctx, src); serr != nil || fileID(after) != fileID(before) {
			return err
		}
	}
}

// renameRefused makes a refusal for which the NameNode has no exception of its own, because of what is at dst, an
// fs.ErrExist.
func (f *FS) renameRefused(ctx context.Context, src, dst string, err error) error {
	var remote *remoteError
	if !errors.As(err, &remote) || remote.exception != "IOException" {
		return err
	}
	if _, serr := f.status(ctx, dst); serr != nil {
		return err
	}
	if _, serr := f.status(ctx, src); serr != nil {
		return err
	}
	return filesystem.WithKind(fs.ErrExist, err)
}

// Glob implements filesystem.FileSystem.
func (f *FS) Glob(ctx context.Context, pattern string) ([]filesystem.Info, error) {
	return filesystem.Glob(ctx, f, pattern)
}

// Close ends all connections and calls, and returns when their goroutines are done.
func (f *FS) Close() error {
	f.mu.Lock()
	if !f.closed {
		f.closed = true
		close(f.stop)
	}
	f.mu.Unlock()
	f.pool.close()
	f.calls.Wait()
	return nil
}

// repeatable says whether a call may be sent a second time when the first answer is lost.
type repeatable bool

const (
	idempotent repeatable = true
	once       repeatable = false
)

const (
	firstPause = 100 * time.Millisecond
	maxPause   = 2 * time.Second
)

// call runs fn on a client. It repeats what wasn't sent or may be sent twice, for as long as the retry window lasts.
func call[T any](ctx context.Context, f *FS, repeat repeatable, fn func(*client) (T, error)) (T, error) {
	deadline := time.Now().Add(f.cfg.RetryWindow)
	for pause := firstPause; ; pause = min(2*pause, maxPause) {
		v, sent, err := attempt(ctx, f, fn)
		if err == nil || !again(err, sent, repeat) {
			return v, err
		}
		if !f.answered.Load() || time.Now().After(deadline) {
			return v, err
		}
		f.cfg.Logger.Warn("hdfs: call failed, trying again", "authority", f.authority, "pause", pause, "error", err)
		if perr := f.pause(ctx, pause); perr != nil {
			return v, fmt.Errorf("%w, while waiting after: %w", perr, err)
		}
	}
}

// pause waits, but not beyond the end of ctx or of f.
func (f *FS) pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-f.stop:
		return filesystem.ErrClosed
	}
}

func again(err error, sent bool, repeat repeatable) bool {
	switch {
	case errors.Is(err, filesystem.ErrUnknownOutcome):
		return repeat == idempotent
	case errors.Is(err, filesystem.ErrSafeMode):
		return true
	case errors.Is(err, filesystem.ErrUnavailable):
		return !sent || repeat == idempotent
	}
	return false
}

// abandoner is a result that holds something: it is told when nobody waits for it any more.
type abandoner interface{ abandon() }

// attempt runs fn once, in a goroutine of its own: the library doesn't know of contexts. If ctx ends first the
// goroutine goes on until the answer or the connection's deadline comes, and Close waits for it.
func attempt[T any](ctx context.Context, f *FS, fn func(*client) (T, error)) (v T, sent bool, err error) {
	if err := ctx.Err(); err != nil {
		return v, false, err
	}
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		return v, false, filesystem.ErrClosed
	}
	f.calls.Add(1)
	f.mu.Unlock()
	type result struct {
		v    T
		sent bool
		err  error
	}
	done := make(chan result)
	go func() {
		defer f.calls.Done()
		v, sent, err := run(ctx, f, fn)
		select {
		case done <- result{v, sent, err}:
		case <-ctx.Done():
			if a, ok := any(v).(abandoner); ok && err == nil {
				a.abandon()
			}
		}
	}()
	select {
	case r := <-done:
		return r.v, r.sent, r.err
	case <-ctx.Done():
		return v, true, filesystem.WithKind(filesystem.ErrUnknownOutcome, context.Cause(ctx))
	}
}

func run[T any](ctx context.Context, f *FS, fn func(*client) (T, error)) (v T, sent bool, err error) {
	c, err := f.pool.get(ctx)
	if err != nil {
		if isRemote(err) {
			f.answered.Store(true)
			return v, false, f.cause(errors.Unwrap(err))
		}
		return v, false, f.unavailable(err)
	}
	f.answered.Store(true)
	v, err = fn(c)
	switch {
	case err == nil:
		f.pool.put(c, false)
		return v, true, nil
	case isRemote(err):
		cause := f.cause(err)
		f.pool.put(c, errors.Is(cause, filesystem.ErrUnavailable))
		return v, false, cause
	}
	f.pool.put(c, true)
	if strings.Contains(err.Error(), "no available namenodes") {
		return v, false, f.unavailable(err) // the library had no connection to send on
	}
	return v, true, filesystem.WithKind(filesystem.ErrUnknownOutcome, f.unavailable(err))
}

func info(p string, fi os.FileInfo) filesystem.Info {
	i := filesystem.Info{
		Path: p, MTime: fi.ModTime().UnixMilli(), IsDir: fi.IsDir(),
		Mode: fi.Mode() & fs.ModePerm,
	}
	if st, ok := fi.Sys().(*hdfs.FileStatus); ok {
		i.Owner, i.Group, i.BlockSize = st.GetOwner(), st.GetGroup(), int64(st.GetBlocksize())
		if st.GetPermission().GetPerm()&sticky != 0 {
			i.Mode |= fs.ModeSticky
		}
	}
	if i.IsDir {
		i.Mode |= fs.ModeDir
	} else {
		i.Size = fi.Size()
	}
	return i
}

// fileID is the number that a file or directory keeps when it is renamed.
func fileID(fi os.FileInfo) uint64 {
	if st, ok := fi.Sys().(*hdfs.FileStatus); ok {
		return st.GetFileId()
	}
	return 0
}

const sticky = 0o1000

// wireMode gives the library the bits as HDFS numbers them: it passes them on as they are, and so would lose
// fs.ModeSticky.
func wireMode(m fs.FileMode) os.FileMode {
	w := m.Perm()
	if m&fs.ModeSticky != 0 {
		w |= sticky
	}
	return w
}
