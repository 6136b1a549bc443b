//go:build !linux

package link

import "os/exec"

// dieWithParent does nothing where the kernel has no such signal: the end of the link remains.
func dieWithParent(*exec.Cmd) {}
