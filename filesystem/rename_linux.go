package filesystem

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// rename is renameat2(2), whose RENAME_NOREPLACE makes the refusal of an existing target atomic.
func rename(src, dst string, overwrite bool) error {
	if overwrite {
		return unix.Rename(src, dst)
	}
	err := unix.Renameat2(unix.AT_FDCWD, src, unix.AT_FDCWD, dst, unix.RENAME_NOREPLACE)
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOSYS) {
		return renameByLink(src, dst) // a file system without the flag, such as NFS
	}
	return err
}

func ids(fi os.FileInfo) (uid, gid int, ok bool) {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0, false
	}
	return int(st.Uid), int(st.Gid), true
}
