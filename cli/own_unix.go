//go:build unix

package cli

import (
	"io/fs"
	"os"
	"syscall"
)

// noFollow has opening a symbolic link fail.
const noFollow = syscall.O_NOFOLLOW

// ownFile says whether the file is this user's.
func ownFile(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return !ok || int(st.Uid) == os.Getuid()
}
