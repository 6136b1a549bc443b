package taskmanager

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/link"
)

// ProcessStarter starts task hosts as processes, each the only one of its job on this TaskManager. The hard wall around
// a host's memory is RLIMIT_DATA, which counts at the allocation; it is set right after the start, before the host is
// told its job. The starter owns a thread that all hosts are started from and, with ProcessConfig.Subreaper, a reaper.
type ProcessStarter struct {
	c        ProcessConfig
	spawner  *link.Spawner
	children *children
	logs     *hostLogs
	count    atomic.Int64 // of hosts started, for names
}

// NewProcessStarter checks c and starts the starter's goroutines, which Close ends.
func NewProcessStarter(c ProcessConfig) (*ProcessStarter, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	p := &ProcessStarter{c: c, logs: &hostLogs{dir: c.LogDir, keep: c.LogMaxHosts}}
	children, err := newChildren(c.Subreaper)
	if err != nil {
		return nil, fmt.Errorf("make a starter of task hosts: %w", err)
	}
	p.children, p.spawner = children, link.NewSpawner()
	return p, nil
}

// Close ends the starter's goroutines, and with them every host that still runs: the TaskManager has ended before.
func (p *ProcessStarter) Close() {
	p.spawner.Close()
	p.children.close()
}

// Start implements HostStarter.
func (p *ProcessStarter) Start(ctx context.Context, spec HostSpec) (_ Host, err error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	if spec.Executable == "" {
		return nil, fmt.Errorf("start the task host of job %s: the job has no executable", spec.JobID)
	}
	h, err := p.prepare(spec)
	if err != nil {
		return nil, fmt.Errorf("start the task host of job %s: %w", spec.JobID, err)
	}
	if err := h.launch(p.spawner); err != nil {
		return nil, errors.Join(fmt.Errorf("start the task host of job %s: %w", spec.JobID, err), h.discard())
	}
	return h, nil
}

// prepare makes everything that a host needs before it is started.
func (p *ProcessStarter) prepare(spec HostSpec) (h *processHost, err error) {
	name := hostName(spec.JobID, p.count.Add(1))
	h = newProcessHost(p, spec, name)
	defer func() {
		if err != nil {
			err = errors.Join(err, h.discard())
		}
	}()
	if h.dir, err = os.MkdirTemp(p.c.TempDir, name+"-*"); err != nil {
		return nil, fmt.Errorf("make its working directory: %w", err)
	}
	for i, stream := range []string{".out", ".err"} {
		if h.output[i], err = p.newOutput(filepath.Join(p.c.LogDir, name+stream)); err != nil {
			return nil, err
		}
	}
	h.mark = envHostID + "=" + name + "-" + filepath.Base(h.dir)
	if h.child, err = link.Command(link.TaskHost, spec.Executable); err != nil {
		return nil, err
	}
	limits := spec.Limits()
	env := p.c.environment("TMPDIR="+h.dir, "GOTRACEBACK=all", h.mark)
	if limits.Memory > 0 {
		env = append(env, "GOMEMLIMIT="+strconv.FormatInt(limits.Memory, 10))
	}
	if limits.Processors > 0 {
		env = append(env, "GOMAXPROCS="+strconv.Itoa(limits.Processors))
	}
	h.child.Cmd.Env, h.child.Cmd.Dir = env, h.dir
	h.child.Cmd.Stdout, h.child.Cmd.Stderr = h.output[0].w, h.output[1].w
	return h, nil
}

func hostName(id graph.JobID, n int64) string {
	return fmt.Sprintf("taskhost-%s-%d", id.String()[:8], n)
}

// output is one of a host's two streams: a pipe, whose reader keeps the tail and writes the rolled file.
type output struct {
	r, w *os.File
	file *rollingFile
	tail link.Tail
	done chan struct{} // closed when the reader has ended
	err  error         // of the file; the stream is read on, so that the host never waits for it
}

func (p *ProcessStarter) newOutput(path string) (*output, error) {
	file, err := openRolling(path, p.c.LogMaxSize, p.c.LogMaxFiles)
	if err != nil {
		return nil, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make a pipe for its output: %w", err), file.Close())
	}
	return &output{r: r, w: w, file: file, done: make(chan struct{})}, nil
}

// copy is the reader's goroutine: it ends when all writers have closed the pipe, or at the deadline that drain sets.
func (o *output) copy() {
	defer close(o.done)
	buffer := make([]byte, 32<<10)
	for {
		n, err := o.r.Read(buffer)
		if n > 0 {
			_, _ = o.tail.Write(buffer[:n])
			if o.err == nil {
				_, o.err = o.file.Write(buffer[:n])
			}
		}
		if err != nil {
			return
		}
	}
}

// drain waits until the rest was read; something that the host left behind may hold the pipe open, so not for long.
func (o *output) drain(d time.Duration) error {
	if err := o.r.SetReadDeadline(time.Now().Add(d)); err != nil {
		return err
	}
	<-o.done
	return o.err
}

func (o *output) close() error {
	return errors.Join(closeFile(o.w), closeFile(o.r), o.file.Close())
}

func closeFile(f *os.File) error {
	if err := f.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}

// preferToKill makes a process a better victim than this one when the node runs out of memory.
func preferToKill(pid int) error {
	const more, most = 500, 1000
	own, err := os.ReadFile("/proc/self/oom_score_adj")
	if err != nil {
		return fmt.Errorf("read oom_score_adj: %w", err)
	}
	score, err := strconv.Atoi(strings.TrimSpace(string(own)))
	if err != nil {
		return fmt.Errorf("read oom_score_adj: %w", err)
	}
	name := fmt.Sprintf("/proc/%d/oom_score_adj", pid)
	if err := os.WriteFile(name, []byte(strconv.Itoa(min(score+more, most))), 0); err != nil {
		return ignoreGone(fmt.Errorf("set oom_score_adj of process %d: %w", pid, err))
	}
	return nil
}

func ignoreGone(err error) error {
	if errors.Is(err, unix.ESRCH) || errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}
