//go:build !linux

package link

import (
	"errors"
	"fmt"
	"net"
)

// MaxPreamble bounds the bytes that travel beside a data connection.
const MaxPreamble = 1024

var errTaskHost = fmt.Errorf("task hosts as processes: %w: they run on Linux", errors.ErrUnsupported)

// DataSender passes data connections to a task host; on Linux only.
type DataSender struct{}

// Send fails on this platform.
func (s *DataSender) Send(conn net.Conn, preamble []byte) error {
	return errors.Join(errTaskHost, conn.Close())
}

// Close does nothing.
func (s *DataSender) Close() error { return nil }

// DataSource receives data connections in a task host; on Linux only.
type DataSource struct{}

// InheritedData fails on this platform.
func InheritedData() (*DataSource, error) { return nil, errTaskHost }

// Accept fails on this platform.
func (d *DataSource) Accept() (conn net.Conn, preamble []byte, err error) {
	return nil, nil, errTaskHost
}

// Close does nothing.
func (d *DataSource) Close() error { return nil }

func dataPair() (*DataSender, int, error) { return nil, -1, errTaskHost }
