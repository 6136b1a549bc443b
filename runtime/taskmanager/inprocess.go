package taskmanager

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/weftstream/weft/link"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/runtime/host"
	"github.com/weftstream/weft/runtime/network"
)

// abandonAfter is how long goroutines of an in-process host may go on after Kill before the host is reported as ended
// without them: a goroutine can't be killed.
const abandonAfter = 5 * time.Second

// InProcess is the HostStarter of the MiniCluster: host.Run in goroutines of this process. A panic in it is the host's
// failure and not this process's, as far as host.Run's own goroutine goes.
type InProcess struct {
	// Options makes the options of a host, Build at least. Data and Version are filled in by the starter.
	Options func(HostSpec) host.Options
	// TempDir is where hosts get their directories; "" is the system's.
	TempDir string
}

// Start implements HostStarter.
func (p *InProcess) Start(_ context.Context, spec HostSpec) (Host, error) {
	dir, err := os.MkdirTemp(p.TempDir, "weft-taskhost-"+spec.JobID.String()[:8]+"-*")
	if err != nil {
		return nil, fmt.Errorf("make the task host's directory: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	h := &inProcessHost{
		cancel: cancel, dir: dir,
		to: make(chan *linkpb.ToHost), from: make(chan *linkpb.FromHost), events: make(chan *linkpb.FromHost),
		conns: make(chan dataConn, dataBacklog), ended: make(chan struct{}),
	}
	o := p.Options(spec)
	o.Data, o.Version = &inProcessData{h: h, closed: make(chan struct{})}, link.ThisVersion()
	first := spec.start(spec.Limits(), dir)
	result := make(chan *linkpb.HostExit, 1)
	go func() { result <- h.run(ctx, o, first) }()
	go h.forward(ctx, result)
	return h, nil
}

// dataBacklog bounds the data connections that the host hasn't accepted yet.
const dataBacklog = 64

// inProcessHost implements Host. Its goroutines: run's, and forward's, which ends with the last event.
type inProcessHost struct {
	cancel context.CancelFunc
	dir    string
	to     chan *linkpb.ToHost
	from   chan *linkpb.FromHost
	events chan *linkpb.FromHost
	conns  chan dataConn
	ended  chan struct{} // closed when the host counts as ended

	mu     sync.Mutex // orders a PassConn and the end
	closed bool
}

type dataConn struct {
	conn     net.Conn
	preamble network.Preamble
}

// run is host.Run with its panics caught.
func (h *inProcessHost) run(ctx context.Context, o host.Options, first *linkpb.ToHost) (exit *linkpb.HostExit) {
	defer func() {
		if v := recover(); v != nil {
			exit = &linkpb.HostExit{ExitCode: 2, Reason: fmt.Sprintf("panic: %v", v), StderrTail: string(debug.Stack())}
		}
	}()
	if err := host.Run(ctx, &inProcessLink{h: h, ctxDone: ctx.Done(), first: first}, o); err != nil {
		return &linkpb.HostExit{ExitCode: 1, Reason: firstLine(err.Error())}
	}
	return &linkpb.HostExit{Reason: "ended"}
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// forward yields the host's events and, when it has ended, the last one.
func (h *inProcessHost) forward(ctx context.Context, result <-chan *linkpb.HostExit) {
	var exit *linkpb.HostExit
	killed, abandon := ctx.Done(), (<-chan time.Time)(nil)
	for exit == nil {
		select {
		case m := <-h.from:
			h.events <- m
		case exit = <-result:
		case <-killed:
			killed, abandon = nil, time.After(abandonAfter)
		case <-abandon:
			exit = &linkpb.HostExit{ExitCode: -1,
				Reason: fmt.Sprintf("did not end within %s of being killed: its goroutines are left behind", abandonAfter)}
		}
	}
	close(h.ended)
	h.cancel()
	h.dropConns()
	if err := os.RemoveAll(h.dir); err != nil {
		exit.StderrTail += fmt.Sprintf("\nremove the task host's directory: %v", err)
	}
	h.events <- &linkpb.FromHost{Message: &linkpb.FromHost_Exit{Exit: exit}}
	close(h.events)
}

// dropConns closes the connections that the host never accepted.
func (h *inProcessHost) dropConns() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for {
		select {
		case c := <-h.conns:
			c.conn.Close()
		default:
			return
		}
	}
}

// Send implements Host.
func (h *inProcessHost) Send(m *linkpb.ToHost) error {
	select {
	case h.to <- proto.CloneOf(m):
		return nil
	case <-h.ended:
		return errors.New("send to the task host: it has ended")
	}
}

// Events implements Host.
func (h *inProcessHost) Events() <-chan *linkpb.FromHost { return h.events }

// PassConn implements Host.
func (h *inProcessHost) PassConn(conn net.Conn, preamble []byte) error {
	p, err := network.ReadPreamble(bytes.NewReader(preamble))
	if err != nil {
		return errors.Join(err, conn.Close())
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return errors.Join(errNoHost, conn.Close())
	}
	select {
	case h.conns <- dataConn{conn, p}:
		return nil
	default:
		return errors.Join(errors.New("the task host doesn't accept its data connections"), conn.Close())
	}
}

// SetLimits does nothing: all hosts share this process.
func (h *inProcessHost) SetLimits(Limits) {}

// Resident implements Host.
func (h *inProcessHost) Resident() int64 { return 0 }

// Kill implements Host.
func (h *inProcessHost) Kill() { h.cancel() }

// inProcessLink implements host.Link.
type inProcessLink struct {
	h       *inProcessHost
	ctxDone <-chan struct{}
	first   *linkpb.ToHost
}

func (l *inProcessLink) Send(m *linkpb.FromHost) error {
	select {
	case l.h.from <- proto.CloneOf(m):
		return nil
	case <-l.h.ended:
		return io.EOF
	}
}

func (l *inProcessLink) Recv() (*linkpb.ToHost, error) {
	if m := l.first; m != nil {
		l.first = nil
		return m, nil
	}
	select {
	case m := <-l.h.to:
		return m, nil
	case <-l.ctxDone:
		return nil, context.Canceled
	}
}

// inProcessData implements host.DataListener.
type inProcessData struct {
	h      *inProcessHost
	closed chan struct{}
	once   sync.Once
}

func (d *inProcessData) Accept() (net.Conn, network.Preamble, error) {
	select {
	case c := <-d.h.conns:
		return c.conn, c.preamble, nil
	case <-d.closed:
	case <-d.h.ended:
	}
	return nil, network.Preamble{}, net.ErrClosed
}

func (d *inProcessData) Close() error {
	d.once.Do(func() { close(d.closed) })
	return nil
}
