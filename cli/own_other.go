//go:build !unix

package cli

import "io/fs"

const noFollow = 0

// ownFile is always true: temporary directories are the user's own here.
func ownFile(fs.FileInfo) bool { return true }
