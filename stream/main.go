package stream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/filesystem"
	"github.com/weftstream/weft/filesystem/hdfs"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/link"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/runtime/host"
	"github.com/weftstream/weft/runtime/network"
)

// Exit codes of a program.
const (
	// ExitOK: the driver function returned nil.
	ExitOK = 0
	// ExitFailed: the driver function or a job failed, or there was nothing to run.
	ExitFailed = 1
	// ExitInterrupted and ExitTerminated: a local program got SIGINT or SIGTERM, and cancelled its jobs.
	ExitInterrupted = 128 + int(syscall.SIGINT)
	ExitTerminated  = 128 + int(syscall.SIGTERM)
)

// errNoJob is reported for a driver function that returned without a job.
var errNoJob = errors.New("The program didn't contain a Weft job. Perhaps you forgot to call Run or Start on a job.") // Flink's text, hence its form

// Main is the first and only statement of main; it doesn't return. What it does is decided by the process that started
// this one, never by a flag:
//
// Started by a person (go run .), it calls drive, and jobs run on a MiniCluster in this process, with as many subtasks as
// there are processors unless parallelism.default is set. SIGINT and SIGTERM end ctx and cancel the jobs. `weft run -t
// local` does the same, and gives the configuration of its command line and file, below what drive sets.
//
// Started by weft, it calls drive, and jobs run on the cluster.
//
// Started by a TaskManager, it builds the one job it is for and runs its subtasks. drive is never called, so drive may
// have effects: files, flags, deleting output, one job after another.
//
// All flags and arguments are drive's own. The process exits with one of the codes above.
func Main(drive func(ctx context.Context, d *Driver) error) {
	os.Exit(run(drive))
}

func run(drive func(ctx context.Context, d *Driver) error) int {
	role, err := link.Detect()
	if err == nil {
		err = definitionErrors()
	}
	if err == nil && drive == nil {
		err = errors.New("stream.Main with a nil function")
	}
	if err != nil {
		return report(os.Stderr, err)
	}
	switch role {
	case link.TaskHost:
		return report(os.Stderr, runHost(context.Background()))
	case link.Driver:
		return report(os.Stderr, runDriver(context.Background(), drive))
	}
	return runLocal(drive)
}

// report writes err for people and returns the exit code.
func report(w io.Writer, err error) int {
	if err == nil {
		return ExitOK
	}
	fmt.Fprintln(w, err)
	var job *JobError
	if errors.As(err, &job) && job.Stack != "" {
		fmt.Fprintf(w, "\n%s\n", job.Stack)
	}
	return ExitFailed
}

func runLocal(drive func(ctx context.Context, d *Driver) error) int {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	code := ExitFailed
	var watcher sync.WaitGroup
	watcher.Go(func() {
		select {
		case s := <-signals:
			signal.Stop(signals) // the next one kills
			code = 128 + int(s.(syscall.Signal))
			cancel(fmt.Errorf("got signal %v", s))
		case <-ctx.Done():
		}
	})
	d := NewLocalDriver(LocalOptions{Configuration: link.LocalConfiguration(), Progress: os.Stderr, Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))})
	err := drive(ctx, d)
	_, misused := d.started()
	interrupted := ctx.Err() != nil
	err = errors.Join(err, misused, d.Close())
	cancel(nil)
	watcher.Wait()
	if report(os.Stderr, err); err != nil && interrupted {
		return code
	}
	if err != nil {
		return ExitFailed
	}
	return ExitOK
}

// runDriver is the driver role: jobs go over the link.
func runDriver(ctx context.Context, drive func(ctx context.Context, d *Driver) error) error {
	client, err := link.ConnectDriver(ctx)
	if err != nil {
		return fmt.Errorf("connect to the process that started this one: %w", err)
	}
	d := newDriver(client.Config(), nil)
	d.detached = client.Detached()
	d.connect = func(conf.Configuration, *filesystem.Set) (executor, error) { return keepOpen{client}, nil }
	err = drive(ctx, d)
	ran, misused := d.started()
	if err == nil && !ran {
		err = errNoJob
	}
	return errors.Join(err, misused, d.Close(), client.Close())
}

// keepOpen leaves closing the link to runDriver: it is open even without a job.
type keepOpen struct{ *link.DriverClient }

func (keepOpen) Close() error { return nil }

// runHost is the task-host role.
func runHost(ctx context.Context) error {
	client, err := link.AttachHost(ctx)
	if err != nil {
		return fmt.Errorf("attach to the TaskManager: %w", err)
	}
	data, err := link.InheritedData()
	if err != nil {
		return errors.Join(fmt.Errorf("take over data connections: %w", err), client.Close())
	}
	h := &configured{HostClient: client}
	err = host.Run(ctx, h, host.Options{Build: h.build, Files: func() *filesystem.Set { return h.files }, Version: link.ThisVersion(), Data: dataListener{data}, Process: true,
		Log: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	if h.files != nil {
		err = errors.Join(err, h.files.Close())
	}
	return errors.Join(err, client.Close())
}

// configured is the host link, and picks the configuration out of HostStart for the file systems of this process.
type configured struct {
	*link.HostClient
	config map[string]string
	files  *filesystem.Set
}

func (h *configured) Recv() (*linkpb.ToHost, error) {
	m, err := h.HostClient.Recv()
	if start := m.GetStart(); err == nil && start != nil {
		h.config = start.GetConfig()
	}
	return m, err
}

// build is called after HostStart, by the goroutine that received it.
func (h *configured) build(name string, params []byte) (*graph.StreamGraph, error) {
	c, err := conf.FromMap(h.config)
	if err != nil {
		return nil, fmt.Errorf("configuration of the job: %w", err)
	}
	if h.files, err = hdfs.NewSet(c, os.Getenv); err != nil {
		return nil, err
	}
	return buildGraph(name, params, h.files)
}

type dataListener struct{ *link.DataSource }

// Accept reads the preamble back from the bytes that the TaskManager passed on.
func (l dataListener) Accept() (net.Conn, network.Preamble, error) {
	conn, b, err := l.DataSource.Accept()
	if err != nil {
		return nil, network.Preamble{}, err
	}
	p, err := network.ReadPreamble(bytes.NewReader(b))
	if err != nil {
		return nil, p, errors.Join(err, conn.Close())
	}
	return conn, p, nil
}
