package standalone

import (
	"context"
	"errors"
	"net"
	"strconv"
	"sync"
	"testing"

	"github.com/weftstream/weft/entrypoint"
)

// muffler stands between a TaskManager and its JobManager, and can keep back what they say.
type muffler struct {
	l     net.Listener
	to    string
	mu    sync.RWMutex // locked while it keeps everything back
	conns sync.WaitGroup
}

// newMuffler passes on to an address until the test ends.
func newMuffler(t *testing.T, to string) *muffler {
	t.Helper()
	l, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &muffler{l: l, to: to}
	m.conns.Go(m.accept)
	t.Cleanup(func() {
		l.Close()
		m.conns.Wait()
	})
	return m
}

func (m *muffler) port() string { return strconv.Itoa(m.l.Addr().(*net.TCPAddr).Port) }

func (m *muffler) accept() {
	for {
		near, err := m.l.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", m.to)
		if err != nil {
			near.Close()
			continue
		}
		m.conns.Go(func() { m.pass(near, far) })
		m.conns.Go(func() { m.pass(far, near) })
	}
}

func (m *muffler) pass(from, to net.Conn) {
	defer to.Close()
	b := make([]byte, 64<<10)
	for {
		n, err := from.Read(b)
		m.mu.RLock()
		_, werr := to.Write(b[:n])
		m.mu.RUnlock()
		if err = errors.Join(err, werr); err != nil {
			return
		}
	}
}

// A TaskManager that was silent for so long that it was taken for dead registers again when it is heard of.
func TestTaskManagerTakenForDeadRegistersAgain(t *testing.T) {
	ports := freePorts(t)
	c := configuration(t, "jobmanager.rpc.port", ports[0], "rest.port", ports[1], "rest.retry.max-attempts", "0",
		"heartbeat.interval", "50ms", "heartbeat.timeout", "500ms")
	jm := startJobManager(t, c)
	m := newMuffler(t, "localhost:"+ports[0])
	through, err := c.WithRaw("jobmanager.rpc.port", m.port())
	if err != nil {
		t.Fatal(err)
	}
	p, err := OpenTaskManager(t.Context(), through, noEnv)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	tm := start(t, func(ctx context.Context) (int, error) { return entrypoint.RunTaskManager(ctx, p) })
	awaitTaskManagers(t, c, 1)
	m.mu.Lock()
	awaitTaskManagers(t, c, 0)
	m.mu.Unlock()
	awaitTaskManagers(t, c, 1)
	select {
	case code := <-tm.code:
		t.Fatalf("the TaskManager ended with %d", code)
	default:
	}
	tm.end(t, "the TaskManager")
	jm.end(t, "the JobManager")
}
