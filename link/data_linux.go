package link

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// MaxPreamble bounds the bytes that travel beside a data connection.
const MaxPreamble = 1024

// passTimeout bounds how long a task host may leave connections in its socket before another is refused.
const passTimeout = 10 * time.Second

// DataSender passes data connections to a task host. It is safe for concurrent use.
type DataSender struct {
	conn *net.UnixConn
	mu   sync.Mutex // orders the deadline and its write
}

// Send passes conn with the bytes that were read from it, 1 to MaxPreamble of them. Afterwards conn is the host's: it is
// closed here, also on an error.
func (s *DataSender) Send(conn net.Conn, preamble []byte) error {
	defer conn.Close()
	if len(preamble) == 0 || len(preamble) > MaxPreamble {
		return fmt.Errorf("pass a data connection: preamble of %d bytes, want 1 to %d", len(preamble), MaxPreamble)
	}
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return fmt.Errorf("pass a data connection: %T has no descriptor", conn)
	}
	fd, err := duplicate(sc)
	if err != nil {
		return fmt.Errorf("pass a data connection: %w", err)
	}
	defer unix.Close(fd)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.conn.SetWriteDeadline(time.Now().Add(passTimeout)); err != nil {
		return fmt.Errorf("pass a data connection: %w", err)
	}
	if _, _, err := s.conn.WriteMsgUnix(preamble, unix.UnixRights(fd), nil); err != nil {
		return fmt.Errorf("pass a data connection to the task host: %w", err)
	}
	return nil
}

// Close ends the host's Accept.
func (s *DataSender) Close() error { return s.conn.Close() }

// duplicate copies the descriptor, so that it stays valid outside of Control.
func duplicate(sc syscall.Conn) (int, error) {
	raw, err := sc.SyscallConn()
	if err != nil {
		return -1, err
	}
	fd, dupErr := -1, error(nil)
	err = raw.Control(func(own uintptr) { fd, dupErr = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 0) })
	return fd, errors.Join(err, dupErr)
}

// DataSource receives data connections in a task host. Accept is for one goroutine; Close is safe for concurrent use.
type DataSource struct{ conn *net.UnixConn }

// InheritedData is the source of data connections of a process in the TaskHost role.
func InheritedData() (*DataSource, error) {
	if inherited.err != nil {
		return nil, inherited.err
	}
	if inherited.role != TaskHost {
		return nil, fmt.Errorf("receive data connections: this process is in the %s role", inherited.role)
	}
	conn, err := inheritedConn(inherited.dataFD, "data", &dataTaken)
	if err != nil {
		return nil, err
	}
	return newDataSource(conn)
}

func newDataSource(conn net.Conn) (*DataSource, error) {
	u, ok := conn.(*net.UnixConn)
	if !ok {
		conn.Close()
		return nil, fmt.Errorf("receive data connections: the inherited socket is a %T", conn)
	}
	return &DataSource{u}, nil
}

// maxRefused bounds the messages in a row that Accept can't use.
const maxRefused = 1000

// Accept waits for the next connection and returns it with the bytes that were read from it: the preamble. It returns
// net.ErrClosed after Close and when the TaskManager has closed its end. A connection that can't be received (because
// this process has too many files open, say) is dropped, which its dialler notices, and Accept goes on with the next.
func (d *DataSource) Accept() (conn net.Conn, preamble []byte, err error) {
	for range maxRefused {
		var fatal bool
		conn, preamble, fatal, err = d.receive()
		if err == nil || fatal {
			break
		}
	}
	return conn, preamble, err
}

// receive takes one message; after an error that isn't fatal the next one may be well.
func (d *DataSource) receive() (conn net.Conn, preamble []byte, fatal bool, err error) {
	data, control := make([]byte, MaxPreamble), make([]byte, unix.CmsgSpace(4*4))
	n, controlN, flags, _, err := d.conn.ReadMsgUnix(data, control)
	if err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, unix.ECONNRESET) || errors.Is(err, net.ErrClosed) {
			return nil, nil, true, net.ErrClosed
		}
		return nil, nil, true, fmt.Errorf("receive a data connection: %w", err)
	}
	fd, err := onlyDescriptor(control[:controlN])
	if err != nil {
		return nil, nil, false, fmt.Errorf("receive a data connection: %w", err)
	}
	if flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0 {
		unix.Close(fd)
		return nil, nil, false, errors.New("receive a data connection: message too long")
	}
	conn, err = fdConn(fd, "data connection")
	return conn, data[:n], false, err
}

// Close ends Accept.
func (d *DataSource) Close() error { return d.conn.Close() }

// onlyDescriptor takes the one descriptor out of a control message and closes what shouldn't be there.
func onlyDescriptor(control []byte) (int, error) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return -1, err
	}
	var fds []int
	for i := range messages {
		rights, err := unix.ParseUnixRights(&messages[i])
		if err == nil {
			fds = append(fds, rights...)
		}
	}
	if len(fds) == 1 {
		return fds[0], nil
	}
	for _, fd := range fds {
		unix.Close(fd)
	}
	return -1, fmt.Errorf("%d descriptors in one message, want 1", len(fds))
}

// dataPair makes the sockets for data connections: the parent's end and the child's descriptor. It keeps message
// boundaries, so that a preamble and its connection can't be torn apart.
func dataPair() (*DataSender, int, error) {
	conn, fd, err := socketpair(unix.SOCK_SEQPACKET, "data")
	if err != nil {
		return nil, -1, err
	}
	return &DataSender{conn: conn.(*net.UnixConn)}, fd, nil
}
