package filesystem

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// renameByLink refuses an existing target atomically for files. Directories can't be linked: for them the target is
// looked up before the rename, and rename(2) itself still refuses a directory that has entries.
func renameByLink(src, dst string) error {
	fi, err := os.Lstat(src)
	if err != nil {
		return unwrapLink(err)
	}
	if fi.IsDir() {
		if _, err := os.Lstat(dst); err == nil {
			return syscall.EEXIST
		} else if !errors.Is(err, fs.ErrNotExist) {
			return unwrapLink(err)
		}
		return unwrapLink(os.Rename(src, dst))
	}
	if err := os.Link(src, dst); err != nil {
		return unwrapLink(err)
	}
	return unwrapLink(os.Remove(src))
}

// unwrapLink drops the paths that os puts into its errors, since Rename names both.
func unwrapLink(err error) error {
	var le *os.LinkError
	var pe *fs.PathError
	switch {
	case errors.As(err, &le):
		return le.Err
	case errors.As(err, &pe):
		return pe.Err
	}
	return err
}
