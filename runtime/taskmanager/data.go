package taskmanager

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/runtime/network"
)

const (
	// preambleTimeout bounds how long a connection on the data port may take to say which job it is for.
	preambleTimeout = 10 * time.Second

	// passTimeout bounds how long a connection waits for a task host that is being started.
	passTimeout = 2 * time.Minute

	// maxPending bounds the connections that haven't been passed on; more are closed, and their dialler tries again.
	maxPending = 512
)

// serveData starts the data port and returns what ends and joins it.
func (t *TaskManager) serveData() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { t.acceptData(ctx, &wg) })
	return func() {
		cancel()
		if err := t.c.Data.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			t.c.Log.Warn("close the data port", "error", err)
		}
		wg.Wait()
	}
}

// acceptData is the accepter's goroutine.
func (t *TaskManager) acceptData(ctx context.Context, wg *sync.WaitGroup) {
	pending := make(chan struct{}, maxPending)
	for {
		conn, err := t.c.Data.Accept()
		if errors.Is(err, net.ErrClosed) || ctx.Err() != nil {
			if err == nil {
				conn.Close()
			}
			return
		}
		if err != nil { // too many open files, say: passes
			t.c.Log.Warn("accept a data connection", "error", err)
			select {
			case <-time.After(minBackoff):
			case <-ctx.Done():
			}
			continue
		}
		select {
		case pending <- struct{}{}:
		default:
			t.c.Log.Warn("data connection closed: too many are pending", "remote", conn.RemoteAddr().String())
			conn.Close()
			continue
		}
		wg.Go(func() {
			defer func() { <-pending }()
			if err := t.passData(ctx, conn); err != nil && ctx.Err() == nil {
				t.c.Log.Warn("data connection closed", "remote", conn.RemoteAddr().String(), "error", err)
			}
		})
	}
}

// passData reads which job conn is for and passes it to the job's host. conn is the host's afterwards, or closed.
func (t *TaskManager) passData(ctx context.Context, conn net.Conn) error {
	preamble, p, err := readPreamble(ctx, conn)
	if err != nil {
		return errors.Join(err, conn.Close())
	}
	var r *runner
	if s := t.current.Load(); s != nil {
		r = s.runner(graph.JobID(p.Job))
	}
	if r == nil {
		return errors.Join(fmt.Errorf("for job %s: %w", graph.JobID(p.Job), errNoHost), conn.Close())
	}
	ctx, cancel := context.WithTimeoutCause(ctx, passTimeout, fmt.Errorf("the task host was not started within %s", passTimeout))
	defer cancel()
	if err := r.pass(ctx, conn, preamble); err != nil {
		return fmt.Errorf("for job %s: %w", graph.JobID(p.Job), err)
	}
	return nil
}

// readPreamble reads a preamble, and not a byte more, within preambleTimeout, and returns it also as it was read.
func readPreamble(ctx context.Context, conn net.Conn) ([]byte, network.Preamble, error) {
	var p network.Preamble
	if err := conn.SetReadDeadline(time.Now().Add(preambleTimeout)); err != nil {
		return nil, p, err
	}
	unwatch := context.AfterFunc(ctx, func() { conn.SetReadDeadline(time.Unix(1, 0)) })
	defer unwatch()
	var raw bytes.Buffer
	p, err := network.ReadPreamble(io.TeeReader(conn, &raw))
	if err != nil {
		return nil, p, err
	}
	if !unwatch() {
		return nil, p, context.Cause(ctx)
	}
	return raw.Bytes(), p, conn.SetReadDeadline(time.Time{})
}
