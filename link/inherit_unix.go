//go:build unix

package link

import (
	"fmt"
	"net"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

func closeOnExec(fd int) error {
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil {
		return err // not open
	}
	unix.CloseOnExec(fd)
	return nil
}

// inheritedLink is the link of a process in the given role.
func inheritedLink(role Role) (net.Conn, error) {
	if inherited.err != nil {
		return nil, inherited.err
	}
	if inherited.role != role {
		return nil, fmt.Errorf("use the %s link: this process is in the %s role", role, inherited.role)
	}
	return inheritedConn(inherited.linkFD, "link", &linkTaken)
}

func inheritedConn(fd int, name string, taken *atomic.Bool) (net.Conn, error) {
	if taken.Swap(true) {
		return nil, fmt.Errorf("use the inherited %s socket: it is in use already", name)
	}
	return fdConn(fd, name)
}

// fdConn takes descriptor fd over.
func fdConn(fd int, name string) (net.Conn, error) {
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("use the %s socket: %w", name, err)
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close() // FileConn has its own copy
	conn, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("use the %s socket: %w", name, err)
	}
	return conn, nil
}
