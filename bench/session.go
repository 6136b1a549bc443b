package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

const (
	// sessionSlots are in each of the session's three TaskManagers.
	sessionSlots = 8
	manyJobs     = 20
)

// session measures on a running session with free slots.
func (c *cluster) session(ctx context.Context, o options, t *table) (err error) {
	out, err := output(c.command(ctx, c.weft, "yarn-session", "-d", "-Djobmanager.memory.process.size=1024m",
		"-Dtaskmanager.memory.process.size=2048m", fmt.Sprintf("-Dtaskmanager.numberOfTaskSlots=%d", sessionSlots), "-Dyarn.containers.vcores=1",
		"-Dresourcemanager.taskmanager-timeout=600000"))
	if err != nil {
		return err
	}
	app := applicationID.FindString(out)
	if app == "" {
		return fmt.Errorf("weft yarn-session printed no application id: %s", out)
	}
	defer func() {
		_, e := output(c.command(context.WithoutCancel(ctx), c.weft, "yarn-session", "stop", app))
		err = errors.Join(err, e)
	}()
	submit := func(subtasks int) func(string) []string {
		return func(dir string) []string {
			return []string{c.weft, "run", "-t", "yarn-session", "-Dyarn.application.id=" + app, "-d", c.app, "-marker", dir,
				"-subtasks", fmt.Sprint(subtasks)}
		}
	}
	if o.wanted("memory") {
		if err := c.memory(t, app, "idle", "JobManager"); err != nil {
			return err
		}
	}
	// A job that needs all slots leaves the TaskManagers behind.
	s, err := c.start(ctx, 3*sessionSlots, submit(3*sessionSlots))
	if err != nil {
		return err
	}
	if o.wanted("memory") {
		err = c.memory(t, app, "one job", "JobManager", "TaskManager", "task host")
	}
	if err = errors.Join(err, c.finishSession(ctx, s)); err != nil {
		return err
	}
	if o.wanted("session-submit") {
		if err := t.addResult(c.sessionSubmits(ctx, o.latencyRuns, submit(1))); err != nil {
			return err
		}
	}
	if o.wanted("many-jobs") {
		return t.addResult(c.manyJobs(ctx, submit(1)))
	}
	return nil
}

func (c *cluster) sessionSubmits(ctx context.Context, runs int, args func(string) []string) (*latencyRow, error) {
	var took []time.Duration
	for range runs {
		s, err := c.start(ctx, 1, args)
		if err != nil {
			return nil, err
		}
		took = append(took, s.latency)
		if err := c.finishSession(ctx, s); err != nil {
			return nil, err
		}
	}
	return newLatencyRow("session-submit", "free slots", took, nil), nil
}

// finishSession ends all jobs of the session and waits until their task hosts are gone, so that the slots are free.
func (c *cluster) finishSession(ctx context.Context, jobs ...*started) error {
	for _, s := range jobs {
		if err := os.WriteFile(s.stop, nil, 0o644); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, runLimit, errors.New("the jobs' task hosts did not end"))
	defer cancel()
	return until(ctx, 50*time.Millisecond, func() (bool, error) {
		hosts, err := processes(func(p process) bool { return p.kind() == "task host" && p.below(c.dir) })
		return len(hosts) == 0, err
	})
}

// manyJobs submits jobs at once. Its row has the time of each job.
func (c *cluster) manyJobs(ctx context.Context, args func(string) []string) (*latencyRow, error) {
	var mu sync.Mutex // guards the three below
	var took []time.Duration
	var errs []error
	var running []*started
	var wg sync.WaitGroup
	for i := range manyJobs {
		dir := filepath.Join(c.dir, fmt.Sprintf("many-%d", i))
		if err := os.Mkdir(dir, 0o777); err != nil {
			return nil, err
		}
		wg.Go(func() {
			s, err := c.startIn(ctx, dir, 1, args)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				errs = append(errs, err)
				return
			}
			took, running = append(took, s.latency), append(running, s)
		})
	}
	wg.Wait()
	errs = append(errs, c.finishSession(ctx, running...))
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("%d of %d jobs ran: %w", len(took), manyJobs, err)
	}
	return newLatencyRow("many-jobs", fmt.Sprintf("jobs=%d", manyJobs), took, nil), nil
}

// memory reports the resident size of an application's processes.
func (c *cluster) memory(t *table, app, when string, kinds ...string) error {
	for _, kind := range kinds {
		found, err := processes(func(p process) bool { return p.kind() == kind && p.below(c.dir) })
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return fmt.Errorf("memory: %s has no process that is a %s", app, kind)
		}
		rss := median(found, func(p process) float64 { return residentOf(p.pid, "VmRSS:") })
		if err := t.add(&valueRow{"memory", kind + ", " + when, rss, "MB"}); err != nil {
			return err
		}
	}
	return nil
}

// process is one of a cluster's.
type process struct {
	pid, cwd, command string
}

// kind is what a process of Weft is; "" for all others.
func (p process) kind() string {
	switch {
	case strings.Contains(p.command, "weft entrypoint yarn-taskmanager"):
		return "TaskManager"
	case strings.Contains(p.command, "weft entrypoint yarn-"):
		return "JobManager"
	}
	if parent := parentOf(p.pid); parent != "" {
		if b, err := os.ReadFile("/proc/" + parent + "/cmdline"); err == nil && strings.Contains(string(b), "yarn-taskmanager") {
			return "task host"
		}
	}
	return ""
}

func (p process) below(dir string) bool { return strings.HasPrefix(p.cwd, dir) }

func parentOf(pid string) string {
	b, err := os.ReadFile("/proc/" + pid + "/status")
	if err != nil {
		return ""
	}
	_, rest, _ := strings.Cut(string(b), "PPid:")
	parent, _, _ := strings.Cut(strings.TrimSpace(rest), "\n")
	return parent
}

// processes lists those of this machine that match. One that ends meanwhile is left out.
func processes(match func(process) bool) (found []process, err error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	for _, e := range entries {
		if e.Name()[0] < '0' || e.Name()[0] > '9' {
			continue
		}
		b, err := os.ReadFile("/proc/" + e.Name() + "/cmdline")
		cwd, err2 := os.Readlink("/proc/" + e.Name() + "/cwd")
		if err != nil || err2 != nil || len(b) == 0 {
			continue
		}
		p := process{e.Name(), cwd, strings.ReplaceAll(string(b), "\x00", " ")}
		// The shell that YARN starts has the same words in its command line.
		if !strings.HasPrefix(p.command, "/bin/bash") && match(p) {
			found = append(found, p)
		}
	}
	return found, nil
}
