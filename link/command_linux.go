package link

import (
	"os/exec"
	"syscall"
)

// dieWithParent has the kernel kill the child when the thread that started it ends. It stands beside the end of the link
// for the child that is too stuck to notice that. No session or process group of its own: YARN measures and kills a
// container by its process tree.
func dieWithParent(c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
