//go:build !unix

package link

import (
	"errors"
	"fmt"
	"net"
)

var errPlatform = fmt.Errorf("inherited sockets: %w on this platform: only `go run` works here", errors.ErrUnsupported)

func closeOnExec(int) error { return errPlatform }

func inheritedLink(Role) (net.Conn, error) { return nil, errPlatform }
