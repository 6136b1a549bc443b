package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// sizes are the containers' of Weft; the floor's are the same.
var sizes = []string{"-Djobmanager.memory.process.size=1024m", "-Dtaskmanager.memory.process.size=1024m"}

// started is something that was submitted and runs.
type started struct {
	latency time.Duration // from the command's start until the last of its parts ran
	app     string        // id of the application, if the command printed one
	stop    string        // file that ends it
}

// start runs a command that makes n markers appear. args is given the marker directory.
func (c *cluster) start(ctx context.Context, n int, args func(dir string) []string) (*started, error) {
	dir, err := c.markerDir()
	if err != nil {
		return nil, err
	}
	return c.startIn(ctx, dir, n, args)
}

// markerDir makes a directory for the files of a job.
func (c *cluster) markerDir() (string, error) {
	c.count++
	dir := filepath.Join(c.dir, "marker-"+strconv.Itoa(c.count))
	return dir, os.Mkdir(dir, 0o777)
}

// startIn is start with a marker directory that is there. It is safe for concurrent use.
func (c *cluster) startIn(ctx context.Context, dir string, n int, args func(dir string) []string) (*started, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, runLimit, fmt.Errorf("not everything ran within %v", runLimit))
	defer cancel()
	argv := args(dir)
	begin := time.Now()
	out, err := output(c.command(ctx, argv[0], argv[1:]...))
	if err != nil {
		return nil, err
	}
	last, err := markers(ctx, dir, n)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", strings.Join(argv, " "), err)
	}
	return &started{last.Sub(begin), applicationID.FindString(out), filepath.Join(dir, "stop")}, nil
}

// markers waits until there are n, and returns the time in the last.
func markers(ctx context.Context, dir string, n int) (last time.Time, err error) {
	seen := 0
	err = until(ctx, 20*time.Millisecond, func() (bool, error) {
		entries, err := os.ReadDir(dir)
		if err != nil || len(entries) < n {
			return false, err
		}
		seen = 0
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), ".") {
				continue // being written
			}
			b, err := os.ReadFile(filepath.Join(dir, e.Name()))
			ns, notYet := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
			if err != nil || notYet != nil {
				return false, err
			}
			seen++
			if t := time.Unix(0, ns); t.After(last) {
				last = t
			}
		}
		return seen >= n, nil
	})
	return last, err
}

// finish ends what was started, and waits for the application where there is one.
func (c *cluster) finish(ctx context.Context, s *started) error {
	ctx, cancel := context.WithTimeoutCause(ctx, runLimit, fmt.Errorf("%s did not end within %v", s.app, runLimit))
	defer cancel()
	if err := os.WriteFile(s.stop, nil, 0o644); err != nil {
		return err
	}
	return c.ended(ctx, s.app)
}

// application submits the marker application in application mode, one slot in each of n TaskManagers.
func (c *cluster) application(n int) func(dir string) []string {
	return func(dir string) []string {
		args := append([]string{c.weft, "run-application", "-t", "yarn-application", "-d", "-Dtaskmanager.numberOfTaskSlots=1"}, sizes...)
		return append(args, c.app, "-marker", dir, "-subtasks", strconv.Itoa(n))
	}
}

// bare submits the bare ApplicationMaster with n containers.
func (c *cluster) bare(n int) func(dir string) []string {
	return func(dir string) []string {
		return []string{c.floor, "-marker", dir, "-containers", strconv.Itoa(n), "submit"}
	}
}

// once starts and finishes.
func (c *cluster) once(ctx context.Context, n int, args func(string) []string) (time.Duration, error) {
	s, err := c.start(ctx, n, args)
	if err != nil {
		return 0, err
	}
	return s.latency, c.finish(ctx, s)
}

// submissions measures Weft and the bare ApplicationMaster in turn, n containers each.
func (c *cluster) submissions(ctx context.Context, name string, n, runs int) (*latencyRow, error) {
	var weft, floor []time.Duration
	for range runs {
		w, err := c.once(ctx, n, c.application(n))
		if err != nil {
			return nil, err
		}
		f, err := c.once(ctx, n, c.bare(n))
		if err != nil {
			return nil, err
		}
		weft, floor = append(weft, w), append(floor, f)
	}
	return newLatencyRow(name, fmt.Sprintf("taskmanagers=%d", n), weft, floor), nil
}

// yarnBenchmarks are the names of what needs a real Hadoop.
var yarnBenchmarks = []string{"submit", "ramp", "session-submit", "many-jobs", "memory", "exchange", "latency", "checkpoint", "backpressure", "recover", "submit-async"}

func runYARN(ctx context.Context, o options, t *table) error {
	var errs []error
	plain := false
	for _, n := range yarnBenchmarks {
		plain = plain || n != "submit-async" && o.wanted(n)
	}
	if plain {
		errs = append(errs, withHadoop(ctx, nil, func(c *cluster) error { return c.plain(ctx, o, t) }))
	}
	if o.wanted("submit-async") {
		settings := []string{"capacity-scheduler:yarn.scheduler.capacity.schedule-asynchronously.enable=true"}
		errs = append(errs, withHadoop(ctx, settings, func(c *cluster) error {
			if err := c.warm(ctx, nil); err != nil {
				return err
			}
			return t.addResult(c.submissions(ctx, "submit-async", 1, o.latencyRuns))
		}))
	}
	return errors.Join(errs...)
}

// plain is what runs on a cluster with the default scheduler.
func (c *cluster) plain(ctx context.Context, o options, t *table) error {
	if err := c.warm(ctx, t); err != nil {
		return err
	}
	var errs []error
	if o.wanted("submit") {
		errs = append(errs, t.addResult(c.submissions(ctx, "submit", 1, o.latencyRuns)))
	}
	if o.wanted("ramp") {
		errs = append(errs, t.addResult(c.submissions(ctx, "ramp", 10, o.latencyRuns)))
	}
	if o.wanted("session-submit") || o.wanted("many-jobs") || o.wanted("memory") {
		errs = append(errs, c.session(ctx, o, t))
	}
	for _, b := range []struct {
		name string
		run  func(context.Context, options, *table) error
	}{{"exchange", c.exchange}, {"latency", c.latency}, {"checkpoint", c.checkpoint}, {"backpressure", c.backpressure}, {"recover", c.recover}} {
		if o.wanted(b.name) {
			if err := b.run(ctx, o, t); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", b.name, err))
			}
		}
	}
	return errors.Join(errs...)
}

// warm brings all executables to HDFS and to all nodes. It reports what the second submission still puts into HDFS.
func (c *cluster) warm(ctx context.Context, t *table) error {
	for _, args := range []func(string) []string{c.bare(9), c.application(9)} {
		if _, err := c.once(ctx, 9, args); err != nil {
			return fmt.Errorf("warm up: %w", err)
		}
	}
	if t == nil {
		return nil
	}
	before, err := c.staged(ctx)
	if err != nil {
		return err
	}
	s, err := c.start(ctx, 1, c.application(1))
	if err != nil {
		return err
	}
	after, err := c.staged(ctx)
	if err = errors.Join(err, c.finish(ctx, s)); err != nil {
		return err
	}
	var executables, own int64
	for path, f := range after {
		switch {
		case before[path] == f:
		case strings.Contains(path, "/cache/"):
			executables += f.size
		default:
			own += f.size
		}
	}
	if err := t.add(&valueRow{"second-submission", "executables uploaded", float64(executables), "bytes"}); err != nil {
		return err
	}
	return t.add(&valueRow{"second-submission", "files of the application", float64(own), "bytes"})
}

type stagedFile struct{ size, mtime int64 }

// staged lists the files below Weft's staging directory.
func (c *cluster) staged(ctx context.Context) (map[string]stagedFile, error) {
	fsys, _, err := c.files.Resolve("hdfs:///")
	if err != nil {
		return nil, err
	}
	out := map[string]stagedFile{}
	dirs := []string{fsys.Home() + "/.weft"}
	for len(dirs) > 0 {
		entries, err := fsys.List(ctx, dirs[0])
		if errors.Is(err, fs.ErrNotExist) { // an application's own, which has ended since
			entries, err = nil, nil
		}
		if err != nil {
			return nil, err
		}
		dirs = dirs[1:]
		for _, e := range entries {
			if e.IsDir {
				dirs = append(dirs, e.Path)
			} else {
				out[e.Path] = stagedFile{e.Size, e.MTime}
			}
		}
	}
	return out, nil
}
