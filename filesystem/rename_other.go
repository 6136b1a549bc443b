//go:build !linux

package filesystem

import "os"

func rename(src, dst string, overwrite bool) error {
	if overwrite {
		return unwrapLink(os.Rename(src, dst))
	}
	return renameByLink(src, dst)
}

func ids(os.FileInfo) (uid, gid int, ok bool) { return 0, 0, false }
