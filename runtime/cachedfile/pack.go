package cachedfile

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
)

const (
	tempPrefix     = "weft-cached-file-"
	copyBufferSize = 1 << 20
)

// pack makes a temporary tar archive of a directory and returns its path. The same names, contents and permissions to
// execute make the same archive, so that it is uploaded once. Symbolic links to files are followed.
func pack(ctx context.Context, dir string) (_ string, err error) {
	if dir, err = filepath.EvalSymlinks(dir); err != nil { // of the directory itself, which isn't followed below
		return "", err
	}
	f, err := os.CreateTemp("", tempPrefix)
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close(), os.Remove(f.Name()))
		}
	}()
	w := tar.NewWriter(f)
	// The order is that of names within each directory.
	err = filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil || p == dir {
			return err
		}
		name, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		return packEntry(ctx, w, p, filepath.ToSlash(name))
	})
	if err != nil {
		return "", err
	}
	if err = w.Close(); err != nil {
		return "", err
	}
	if err = f.Close(); err != nil {
		return "", err
	}
	return f.Name(), nil
}

func packEntry(ctx context.Context, w *tar.Writer, p, name string) error {
	info, err := os.Stat(p)
	if err != nil {
		return err
	}
	header := &tar.Header{Name: name, Mode: 0o400, Format: tar.FormatPAX}
	link, err := os.Lstat(p)
	switch {
	case err != nil:
		return err
	case info.IsDir() && link.Mode()&fs.ModeSymlink != 0:
		return fmt.Errorf("%s is a symbolic link to a directory, which isn't followed: put the directory itself there", p)
	case info.IsDir():
		header.Typeflag, header.Name, header.Mode = tar.TypeDir, name+"/", 0o700
		return w.WriteHeader(header)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is neither a file nor a directory (%s)", p, info.Mode())
	}
	if info.Mode().Perm()&0o100 != 0 {
		header.Mode = 0o500
	}
	header.Typeflag, header.Size = tar.TypeReg, info.Size()
	if err := w.WriteHeader(header); err != nil {
		return err
	}
	in, err := os.Open(p)
	if err != nil {
		return err
	}
	defer in.Close()
	n, err := io.Copy(w, reader{ctx, in})
	if errors.Is(err, tar.ErrWriteTooLong) || err == nil && n != info.Size() {
		return fmt.Errorf("%s changed while it was read: submit again when it is complete", p)
	}
	return err
}

// unpack makes the files of an archive below dir, which exists and is empty. executable makes all of them executable.
func unpack(r io.Reader, dir string, executable bool) error {
	t := tar.NewReader(r)
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			_, err = io.Copy(io.Discard, r) // what follows the archive's end counts for its hash
			return err
		}
		if err != nil {
			return fmt.Errorf("read the archive: %w", err)
		}
		name := path.Clean(h.Name)
		if !filepath.IsLocal(filepath.FromSlash(name)) {
			return fmt.Errorf("read the archive: %q leads out of it", h.Name)
		}
		target := filepath.Join(dir, filepath.FromSlash(name))
		switch h.Typeflag {
		case tar.TypeDir:
			err = os.MkdirAll(target, dirMode)
		case tar.TypeReg:
			err = write(target, t, executable || h.Mode&0o100 != 0)
		default:
			err = fmt.Errorf("read the archive: %q is neither a file nor a directory", h.Name)
		}
		if err != nil {
			return err
		}
	}
}

// reader ends with its context.
type reader struct {
	ctx context.Context
	r   io.Reader
}

func (r reader) Read(b []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(b)
}
