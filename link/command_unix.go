//go:build unix

package link

import (
	"fmt"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// socketpair makes two connected sockets: the parent's end, and the child's as a descriptor.
func socketpair(kind int, name string) (net.Conn, int, error) {
	// Without SOCK_CLOEXEC, which not every Unix has: the lock keeps another fork from inheriting them.
	syscall.ForkLock.RLock()
	fds, err := unix.Socketpair(unix.AF_UNIX, kind, 0)
	if err == nil {
		unix.CloseOnExec(fds[0])
		unix.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, -1, fmt.Errorf("make the %s sockets: %w", name, err)
	}
	conn, err := fdConn(fds[0], name)
	if err != nil {
		unix.Close(fds[1])
		return nil, -1, err
	}
	return conn, fds[1], nil
}

func linkPair() (net.Conn, *os.File, error) {
	conn, fd, err := socketpair(unix.SOCK_STREAM, "link")
	if err != nil {
		return nil, nil, err
	}
	return conn, os.NewFile(uintptr(fd), "link"), nil
}
