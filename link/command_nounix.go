//go:build !unix

package link

import (
	"net"
	"os"
)

func linkPair() (net.Conn, *os.File, error) { return nil, nil, errPlatform }
