//go:build !linux

package link

import "os/exec"

// DieWithParent does nothing where the kernel has no such signal: the end of the link remains.
func DieWithParent(*exec.Cmd) {}
