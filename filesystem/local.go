package filesystem

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"sort"
	"strconv"
	"syscall"
)

// Local is the file: scheme. The zero value is ready to use. Close of its Writer, Rename and Link are durable: file and
// directory are synced.
type Local struct{}

var _ interface {
	FileSystem
	Linker
} = Local{}

// URI returns file:// followed by path.
func (Local) URI(path string) string { return "file://" + path }

// User is the name of the effective user, or its number if it has no name.
func (Local) User() string { return userName(os.Geteuid()) }

// Home is the user's home directory.
func (Local) Home() string {
	if h, err := os.UserHomeDir(); err == nil && h != "" {
		return filepath.ToSlash(h)
	}
	if u, err := user.Current(); err == nil && u.HomeDir != "" {
		return filepath.ToSlash(u.HomeDir)
	}
	return "/"
}

// Open implements FileSystem.
func (Local) Open(ctx context.Context, path string) (File, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, localError(err)
	}
	return f, nil
}

// Create implements FileSystem. With Overwrite an existing file keeps its inode and owner.
func (Local) Create(ctx context.Context, path string, o CreateOptions) (Writer, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	flags := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if o.Overwrite {
		flags = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	mode := o.Mode
	if mode == 0 {
		mode = 0o644
	}
	f, err := os.OpenFile(path, flags, mode.Perm())
	if err != nil {
		return nil, localError(err)
	}
	if err := f.Chmod(mode); err != nil {
		f.Close()
		if !o.Overwrite {
			os.Remove(path)
		}
		return nil, localError(err)
	}
	return &localWriter{f: f}, nil
}

// Stat implements FileSystem. It follows symbolic links.
func (Local) Stat(ctx context.Context, path string) (Info, error) {
	if err := ctx.Err(); err != nil {
		return Info{}, err
	}
	fi, err := os.Stat(path)
	if err != nil {
		return Info{}, localError(err)
	}
	return localInfo(path, fi), nil
}

// List implements FileSystem. A symbolic link that leads nowhere is left out.
func (Local) List(ctx context.Context, path string) ([]Info, error) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, localError(err)
	}
	infos := make([]Info, 0, len(entries))
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		p := filepath.Join(path, e.Name())
		fi, err := os.Stat(p)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, localError(err)
		}
		infos = append(infos, localInfo(p, fi))
	}
	sort.Slice(infos, func(i, j int) bool { return infos[i].Path < infos[j].Path })
	return infos, nil
}

// MkdirAll implements FileSystem.
func (l Local) MkdirAll(ctx context.Context, path string, mode fs.FileMode) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if fi, err := os.Stat(path); err == nil {
		if fi.IsDir() {
			return nil
		}
		return &fs.PathError{Op: "mkdir", Path: path, Err: syscall.EEXIST}
	}
	if parent := filepath.Dir(path); parent != path {
		if err := l.MkdirAll(ctx, parent, mode); err != nil {
			return err
		}
	}
	err := os.Mkdir(path, mode.Perm())
	if errors.Is(err, fs.ErrExist) {
		if fi, serr := os.Stat(path); serr == nil && fi.IsDir() {
			return nil // another caller was faster
		}
	}
	if err == nil {
		err = os.Chmod(path, mode) // past the umask, and with the sticky bit
	}
	return localError(err)
}

// Rename implements FileSystem.
func (Local) Rename(ctx context.Context, src, dst string, overwrite bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := rename(src, dst, overwrite); err != nil {
		err = &os.LinkError{Op: "rename", Old: src, New: dst, Err: err}
		if errors.Is(err, syscall.ENOTDIR) {
			if fi, serr := os.Stat(dst); serr == nil && !fi.IsDir() {
				err = WithKind(fs.ErrExist, err) // a directory can't replace a file
			}
		}
		return localError(err)
	}
	if err := syncDir(filepath.Dir(dst)); err != nil {
		return fmt.Errorf("rename %s to %s: sync directory: %w", src, dst, err)
	}
	return nil
}

// Link implements Linker with link(2).
func (Local) Link(ctx context.Context, existing, name string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := os.Link(existing, name); err != nil {
		return localError(err)
	}
	if err := syncDir(filepath.Dir(name)); err != nil {
		return fmt.Errorf("link %s: sync directory: %w", name, err)
	}
	return nil
}

// Remove implements FileSystem.
func (Local) Remove(ctx context.Context, path string, recursive bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if recursive {
		if _, err := os.Lstat(path); err != nil {
			return localError(err)
		}
		return localError(os.RemoveAll(path))
	}
	return localError(os.Remove(path))
}

// Chmod implements FileSystem.
func (Local) Chmod(ctx context.Context, path string, mode fs.FileMode) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return localError(os.Chmod(path, mode))
}

// Glob implements FileSystem.
func (l Local) Glob(ctx context.Context, pattern string) ([]Info, error) {
	return Glob(ctx, l, pattern)
}

// Close does nothing: Local holds nothing open.
func (Local) Close() error { return nil }

type localWriter struct {
	f    *os.File
	done bool
}

func (w *localWriter) Write(p []byte) (int, error) {
	n, err := w.f.Write(p)
	return n, localError(err)
}

func (w *localWriter) Close() error {
	if w.done {
		return nil
	}
	w.done = true
	return localError(errors.Join(w.f.Sync(), w.f.Close()))
}

func (w *localWriter) Abort() error {
	if w.done {
		return nil
	}
	w.done = true
	return localError(errors.Join(w.f.Close(), os.Remove(w.f.Name())))
}

func localInfo(path string, fi fs.FileInfo) Info {
	info := Info{
		Path:  filepath.ToSlash(path),
		MTime: fi.ModTime().UnixMilli(),
		Mode:  fi.Mode() & (fs.ModePerm | fs.ModeDir | fs.ModeSticky),
		IsDir: fi.IsDir(),
	}
	if !info.IsDir {
		info.Size = fi.Size()
	}
	if uid, gid, ok := ids(fi); ok {
		info.Owner, info.Group = userName(uid), groupName(gid)
	}
	return info
}

func userName(id int) string {
	s := strconv.Itoa(id)
	if u, err := user.LookupId(s); err == nil {
		return u.Username
	}
	return s
}

func groupName(id int) string {
	s := strconv.Itoa(id)
	if g, err := user.LookupGroupId(s); err == nil {
		return g.Name
	}
	return s
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	// Some file systems can't sync a directory and say so; they have nothing to make durable.
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		err = nil
	}
	return errors.Join(err, d.Close())
}
