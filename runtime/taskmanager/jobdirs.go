package taskmanager

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/runtime/cachedfile"
	"github.com/weftstream/weft/runtime/rpc/rpcpb"
)

// localState is where the hosts of a job keep copies of their state; "": nowhere.
func (c *Config) localState(job graph.JobID) string { return ofJob(c.LocalStateDir, job) }

func ofJob(root string, job graph.JobID) string {
	if root == "" {
		return ""
	}
	return filepath.Join(root, job.String())
}

// roots are the directories that have one for each job.
func (c *Config) roots() []string {
	var roots []string
	for _, root := range []string{c.LocalStateDir, c.CachedFileDir} {
		if root != "" {
			roots = append(roots, root)
		}
	}
	return roots
}

// cachedFiles brings the job's cached files here, unless an earlier host of the job has them already.
func (r *runner) cachedFiles(ctx context.Context) (map[string]string, error) {
	files := r.info.GetGraph().GetCachedFiles()
	if len(files) == 0 {
		return nil, nil
	}
	c := &r.s.t.c
	if c.CachedFileDir == "" {
		return nil, errors.New("the job has cached files, and this TaskManager has no room for them")
	}
	return cachedfile.Source{Files: c.Files, JobManager: r.s.conn.Artifact}.Fetch(ctx, ofJob(c.CachedFileDir, r.job), files)
}

// left is the end of a job's host. With the last of its slots gone the job's directories go, too; a host that ended by itself
// leaves them for a while: the job may start another one here that reads them.
func (s *session) left(r *runner) {
	switch {
	case s.core.jobs[r.job] != nil:
	case r.byItself:
		s.linger(r.job)
	default:
		s.removeDirs(r.job)
	}
}

// gaveBack looks whether a job has given back its last slot here after its host had ended by itself.
func (s *session) gaveBack(m *rpcpb.ToTaskManager) {
	var job graph.JobID
	switch {
	case m.GetFree() != nil:
		job = jobID(m.GetFree().GetJobId())
	case m.GetRelease() != nil:
		job = jobID(m.GetRelease().GetJobId())
	default:
		return
	}
	if s.core.jobs[job] == nil {
		s.linger(job)
	}
}

// linger removes the directories of a job that has no slots here if it doesn't ask for others within the time that it may
// wait for slots.
func (s *session) linger(job graph.JobID) {
	if len(s.t.c.roots()) == 0 {
		return
	}
	wait := s.t.c.SlotTimeout
	if wait < 0 {
		wait = DefaultSlotTimeout
	}
	s.after(wait, func() []action {
		if s.core.jobs[job] == nil {
			s.removeDirs(job)
		}
		return nil
	})
}

// removeDirs moves a job's directories out of the way at once, since the job may come back, and removes them aside.
func (s *session) removeDirs(job graph.JobID) {
	for _, root := range s.t.c.roots() {
		dir := ofJob(root, job)
		s.epoch++
		gone := dir + ".gone-" + strconv.Itoa(s.epoch)
		if os.Rename(dir, gone) != nil {
			continue // there is none
		}
		s.wg.Go(func() {
			if err := os.RemoveAll(gone); err != nil {
				s.t.c.Log.Warn("local files of a job left behind", "job", job, "error", err)
			}
		})
	}
}

// removeAllDirs ends the session: another JobManager starts its jobs from their checkpoints.
func (s *session) removeAllDirs() {
	for _, root := range s.t.c.roots() {
		if err := os.RemoveAll(root); err != nil {
			s.t.c.Log.Warn("local files of jobs left behind", "error", err)
		}
	}
}
