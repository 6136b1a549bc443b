package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/weftstream/weft/filesystem"
)

// submit submits a job of the application in application mode, one slot in each TaskManager, and returns the ids of
// application and job. options go to weft, args to the application.
func (c *cluster) submit(ctx context.Context, options []string, args ...string) (app, job string, err error) {
	line := append([]string{"run-application", "-t", "yarn-application", "-d", "-Dtaskmanager.numberOfTaskSlots=1"}, sizes...)
	line = append(append(append(line, options...), c.app), args...)
	out, err := output(c.command(ctx, c.weft, line...))
	if err != nil {
		return "", "", err
	}
	app = applicationID.FindString(out)
	if app == "" {
		return "", "", fmt.Errorf("weft run-application printed no application id: %s", out)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, runLimit, fmt.Errorf("%s has no job after %v", app, runLimit))
	defer cancel()
	err = until(ctx, 50*time.Millisecond, func() (bool, error) { // its driver begins once it runs
		out, err := output(c.command(ctx, c.weft, "list", "-a", "-t", "yarn-application", "-Dyarn.application.id="+app))
		job = jobID.FindString(out)
		return job != "", err
	})
	return app, job, err
}

var jobID = regexp.MustCompile(`[0-9a-f]{32}`)

// result waits for the application's end and returns the numbers that the job's consumer wrote. It is an error if that
// was in the producer's process.
func (c *cluster) result(ctx context.Context, app, dir string) ([]float64, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, runLimit, fmt.Errorf("%s did not end within %v", app, runLimit))
	defer cancel()
	if err := c.ended(ctx, app); err != nil {
		return nil, err
	}
	producer, err := os.ReadFile(filepath.Join(dir, "producer"))
	if err != nil {
		return nil, err
	}
	b, err := os.ReadFile(filepath.Join(dir, "result"))
	if err != nil {
		return nil, fmt.Errorf("%s has no result: %w", app, err)
	}
	fields := strings.Fields(string(b))
	if fields[0] == string(producer) {
		return nil, fmt.Errorf("%s: producer and consumer are one process, %s", app, producer)
	}
	var numbers []float64
	for _, f := range fields[1:] {
		n, err := strconv.ParseFloat(f, 64)
		if err != nil {
			return nil, fmt.Errorf("%s: result %q: %w", app, b, err)
		}
		numbers = append(numbers, n)
	}
	return numbers, nil
}

// exchange measures the rate of records of 16 bytes from one task host to another.
func (c *cluster) exchange(ctx context.Context, o options, t *table) error {
	records := int64(60_000_000 * o.scale)
	var rates []float64
	for range o.latencyRuns {
		dir, err := c.markerDir()
		if err != nil {
			return err
		}
		app, _, err := c.submit(ctx, nil, "-job", "exchange", "-marker", dir, "-records", strconv.FormatInt(records, 10))
		if err != nil {
			return err
		}
		out, err := c.result(ctx, app, dir)
		if err != nil {
			return err
		}
		rates = append(rates, out[0]/1e6)
	}
	return t.add(&valueRow{"exchange", "16 bytes, 2 task hosts", median(rates, func(r float64) float64 { return r }), "million records/s"})
}

// latency measures how long records take through a keyed exchange between two task hosts at a fixed rate.
func (c *cluster) latency(ctx context.Context, o options, t *table) error {
	const rate = 100_000
	var of [4][]float64
	for range o.latencyRuns {
		dir, err := c.markerDir()
		if err != nil {
			return err
		}
		app, _, err := c.submit(ctx, []string{"-Dexecution.buffer-timeout.interval=1ms"}, "-job", "latency", "-marker", dir,
			"-records", strconv.Itoa(10*rate), "-rate", strconv.Itoa(rate), "-keys", "10000")
		if err != nil {
			return err
		}
		out, err := c.result(ctx, app, dir)
		if err != nil {
			return err
		}
		for i, us := range out {
			of[i] = append(of[i], us/1000)
		}
	}
	for i, name := range []string{"median", "p99", "p99.9", "max"} {
		if err := t.add(&valueRow{"latency", "100 k records/s, " + name, median(of[i], func(v float64) float64 { return v }), "ms"}); err != nil {
			return err
		}
	}
	return nil
}

// checkpoint measures checkpoints of 1 M keys of 80 bytes to HDFS, while every record rewrites one: how long the command
// that takes one needs, beside writing the same bytes, and how long the subtasks stall.
func (c *cluster) checkpoint(ctx context.Context, o options, t *table) (err error) {
	const keys, rate, settle = 1_000_000, 200_000, 12 * time.Second
	dir, err := c.markerDir()
	if err != nil {
		return err
	}
	fsys, root, err := c.files.Resolve("hdfs:///bench/checkpoints")
	if err != nil {
		return err
	}
	// Without a timeout the consumer waits 10 ms for each full batch at this rate, which would be taken for stalls.
	settings := []string{"-Dexecution.checkpointing.dir=" + fsys.URI(root), "-Dexecution.buffer-timeout.interval=1ms"}
	app, job, err := c.submit(ctx, settings, "-job", "state", "-marker", dir, "-subtasks", "2",
		"-rate", strconv.Itoa(rate), "-keys", strconv.Itoa(keys))
	if err != nil {
		return err
	}
	if err := pause(ctx, settle); err != nil { // until every key has a value, and for as long again without a checkpoint
		return err
	}
	var took, floor []time.Duration
	var during, floors []span
	var size int64
	for range o.latencyRuns {
		begin := time.Now()
		if err := c.verb(ctx, app, "checkpoint", job); err != nil {
			return err
		}
		took = append(took, time.Since(begin))
		during = append(during, since(begin))
		if err := pause(ctx, 300*time.Millisecond); err != nil { // no tenth of a second in both
			return err
		}
		files, err := newestCheckpoint(ctx, fsys, path.Join(root, job))
		if err != nil {
			return err
		}
		begin = time.Now()
		if size, err = c.write(ctx, fsys, files); err != nil {
			return err
		}
		floor = append(floor, time.Since(begin))
		floors = append(floors, since(begin))
		if err := pause(ctx, 300*time.Millisecond); err != nil {
			return err
		}
	}
	if err := c.cancel(ctx, app, job); err != nil {
		return err
	}
	err = t.add(newLatencyRow("checkpoint", fmt.Sprintf("%.0f MB", float64(size)/1e6), took, floor))
	quiet := span{during[0][0] - 40, during[0][0] - 1}
	for _, of := range []struct {
		name  string
		spans []span
	}{{"during", during}, {"while the same bytes are written beside it", floors}, {"otherwise", []span{quiet}}} {
		longest, perr := longestPause(dir, 2, of.spans)
		err = errors.Join(err, perr, t.add(&valueRow{"checkpoint", "longest stall " + of.name, longest, "ms"}))
	}
	return err
}

// span is from when until when, in tenths of seconds of Unix time.
type span [2]int64

func since(begin time.Time) span { return span{begin.UnixMilli() / 100, time.Now().UnixMilli() / 100} }

// backpressure measures unaligned checkpoints of a job whose consumer is a hundred times slower than its source: how long the
// command that takes one needs.
func (c *cluster) backpressure(ctx context.Context, o options, t *table) (err error) {
	const settle = 3 * time.Second
	fsys, root, err := c.files.Resolve("hdfs:///bench/backpressure")
	if err != nil {
		return err
	}
	app, job, err := c.submit(ctx, []string{"-Dexecution.checkpointing.dir=" + fsys.URI(root), "-Dexecution.checkpointing.unaligned.enabled=true"},
		"-job", "slow", "-subtasks", "2", "-keys", "1000")
	if err != nil {
		return err
	}
	if err := pause(ctx, settle); err != nil { // until all buffers are full
		return err
	}
	var took []time.Duration
	for range o.latencyRuns {
		begin := time.Now()
		if err := c.verb(ctx, app, "checkpoint", job); err != nil {
			return err
		}
		took = append(took, time.Since(begin))
	}
	return errors.Join(c.cancel(ctx, app, job), t.add(newLatencyRow("backpressure", "unaligned checkpoint", took, nil)))
}

// verb has weft do something with a job of an application.
func (c *cluster) verb(ctx context.Context, app, verb, job string) error {
	_, err := output(c.command(ctx, c.weft, verb, job, "-t", "yarn-application", "-Dyarn.application.id="+app))
	return err
}

// cancel ends a job, and waits for the end of its application.
func (c *cluster) cancel(ctx context.Context, app, job string) error {
	if err := c.verb(ctx, app, "cancel", job); err != nil {
		return err
	}
	ctx, stop := context.WithTimeoutCause(ctx, runLimit, fmt.Errorf("%s did not end within %v", app, runLimit))
	defer stop()
	return c.ended(ctx, app)
}

// pause lets d pass.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// newestCheckpoint are the sizes of the files of the newest checkpoint in a job's directory. The one before may be there still.
func newestCheckpoint(ctx context.Context, fsys filesystem.FileSystem, dir string) (sizes []int64, err error) {
	entries, err := fsys.List(ctx, dir)
	if err != nil {
		return nil, err
	}
	newest, at := -1, ""
	for _, e := range entries {
		if n, ok := strings.CutPrefix(path.Base(e.Path), "chk-"); ok {
			if n, err := strconv.Atoi(n); err == nil && n > newest {
				newest, at = n, e.Path
			}
		}
	}
	if newest < 0 {
		return nil, fmt.Errorf("no checkpoint in %s", fsys.URI(dir))
	}
	if entries, err = fsys.List(ctx, at); err != nil {
		return nil, err
	}
	for _, e := range entries {
		sizes = append(sizes, e.Size)
	}
	return sizes, nil
}

// write writes files of these sizes at once.
func (c *cluster) write(ctx context.Context, fsys filesystem.FileSystem, sizes []int64) (total int64, err error) {
	_, dir, err := c.files.Resolve("hdfs:///bench/floor")
	if err != nil {
		return 0, err
	}
	if err := fsys.MkdirAll(ctx, dir, 0o755); err != nil {
		return 0, err
	}
	done := make(chan error, len(sizes))
	for i, size := range sizes {
		total += size
		go func() { done <- writeFile(ctx, fsys, fmt.Sprintf("%s/%d", dir, i), size) }()
	}
	for range sizes {
		err = errors.Join(err, <-done)
	}
	return total, errors.Join(err, fsys.Remove(ctx, dir, true))
}

func writeFile(ctx context.Context, fsys filesystem.FileSystem, name string, size int64) error {
	f, err := fsys.Create(ctx, name, filesystem.CreateOptions{Overwrite: true})
	if err != nil {
		return err
	}
	block := make([]byte, 256<<10)
	for i := range block {
		block[i] = byte(i * 7)
	}
	for size > 0 && err == nil {
		n := min(size, int64(len(block)))
		_, err = f.Write(block[:n])
		size -= n
	}
	return errors.Join(err, f.Close())
}

// longestPause is the longest pause of the subtasks in any of some spans, in milliseconds.
func longestPause(dir string, subtasks int, spans []span) (longest float64, err error) {
	for i := range subtasks {
		b, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("pauses-%d", i)))
		if err != nil {
			return 0, err
		}
		for line := range strings.Lines(string(b)) {
			var tenth, us int64
			if _, err := fmt.Sscan(line, &tenth, &us); err != nil {
				return 0, fmt.Errorf("read pauses of subtask %d: %w", i, err)
			}
			if slices.ContainsFunc(spans, func(s span) bool { return s[0] <= tenth && tenth <= s[1] }) {
				longest = max(longest, float64(us)/1000)
			}
		}
	}
	return longest, nil
}

// recover kills one process of an application again and again, and measures until all its subtasks run again.
func (c *cluster) recover(ctx context.Context, o options, t *table) error {
	for _, kind := range []string{"task host", "TaskManager", "JobManager"} {
		took, err := c.recoveries(ctx, kind, o.latencyRuns)
		if err != nil {
			return fmt.Errorf("kill -9 of a %s: %w", kind, err)
		}
		if err := t.add(newLatencyRow("recover", kind, took, nil)); err != nil {
			return err
		}
	}
	return nil
}

func (c *cluster) recoveries(ctx context.Context, kind string, runs int) (took []time.Duration, err error) {
	dir, err := c.markerDir()
	if err != nil {
		return nil, err
	}
	fsys, root, err := c.files.Resolve("hdfs:///bench/recover")
	if err != nil {
		return nil, err
	}
	app, _, err := c.submit(ctx, []string{"-Dexecution.checkpointing.interval=500ms", "-Dexecution.checkpointing.dir=" + fsys.URI(root),
		"-Drestart-strategy.type=fixed-delay", "-Drestart-strategy.fixed-delay.attempts=1000", "-Drestart-strategy.fixed-delay.delay=0ms",
		"-Dyarn.application-attempts=100"}, "-marker", dir, "-subtasks", "2")
	if err != nil {
		return nil, err
	}
	defer func() {
		_, e := output(c.command(context.WithoutCancel(ctx), c.weft, "yarn-session", "stop", app))
		err = errors.Join(err, e)
	}()
	for range runs {
		limited, cancel := context.WithTimeoutCause(ctx, runLimit, errors.New("not all subtasks ran again"))
		d, err := c.recovery(limited, dir, kind)
		cancel()
		if err != nil {
			return nil, err
		}
		took = append(took, d)
	}
	return took, nil
}

// recovery kills a process and waits until there are newer markers of both subtasks.
func (c *cluster) recovery(ctx context.Context, dir, kind string) (took time.Duration, err error) {
	if _, err := newMarkers(ctx, dir, time.Time{}); err != nil {
		return 0, err
	}
	if err := pause(ctx, 1500*time.Millisecond); err != nil { // a checkpoint or two
		return 0, err
	}
	found, err := processes(func(p process) bool { return p.kind() == kind && p.below(c.dir) })
	if err != nil {
		return 0, err
	}
	if len(found) == 0 {
		return 0, errors.New("there is none")
	}
	pid, err := strconv.Atoi(found[0].pid)
	if err != nil {
		return 0, err
	}
	begin := time.Now()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return 0, err
	}
	last, err := newMarkers(ctx, dir, begin)
	return last.Sub(begin), err
}

// newMarkers waits until both subtasks have a marker that is younger than after, and returns the time in the younger.
func newMarkers(ctx context.Context, dir string, after time.Time) (last time.Time, err error) {
	err = until(ctx, 5*time.Millisecond, func() (bool, error) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return false, err
		}
		seen := map[string]time.Time{}
		for _, e := range entries {
			subtask, _, _ := strings.Cut(e.Name(), ".")
			if subtask == "" {
				continue // being written
			}
			b, err := os.ReadFile(filepath.Join(dir, e.Name()))
			ns, notOne := strconv.ParseInt(string(b), 10, 64)
			if err != nil || notOne != nil {
				continue
			}
			if at := time.Unix(0, ns); at.After(after) && at.After(seen[subtask]) {
				seen[subtask] = at
			}
		}
		last = time.Time{}
		for _, at := range seen {
			if at.After(last) {
				last = at
			}
		}
		return len(seen) == 2, nil
	})
	return last, err
}
