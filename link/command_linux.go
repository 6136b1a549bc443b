package link

import (
	"os/exec"
	"syscall"
)

// DieWithParent has the kernel kill c's process when the thread that starts it ends: lock it to the goroutine, or use a Spawner. It
// stands beside the end of the link for the child that is too stuck to notice that, or has none. No session or process group of its own: YARN measures and kills a
// container by its process tree.
func DieWithParent(c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
