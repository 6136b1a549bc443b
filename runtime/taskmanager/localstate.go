package taskmanager

import (
	"os"
	"path/filepath"
	"strconv"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/runtime/rpc/rpcpb"
)

// localState is where the hosts of a job keep copies of their state; "": nowhere.
func (c *Config) localState(job graph.JobID) string {
	if c.LocalStateDir == "" {
		return ""
	}
	return filepath.Join(c.LocalStateDir, job.String())
}

// left is the end of a job's host. With the last of its slots gone the job's copies go, too; a host that ended by itself
// leaves them for a while: the job may start another one here and read them.
func (s *session) left(r *runner) {
	switch {
	case s.core.jobs[r.job] != nil:
	case r.byItself:
		s.linger(r.job)
	default:
		s.removeLocalState(r.job)
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

// linger removes the copies of a job that has no slots here if it doesn't ask for others within the time that it may wait for
// slots.
func (s *session) linger(job graph.JobID) {
	if s.t.c.LocalStateDir == "" || s.t.c.SlotTimeout < 0 {
		return
	}
	s.after(s.t.c.SlotTimeout, func() []action {
		if s.core.jobs[job] == nil {
			s.removeLocalState(job)
		}
		return nil
	})
}

// removeLocalState moves a job's copies out of the way at once, since the job may come back, and removes them aside.
func (s *session) removeLocalState(job graph.JobID) {
	dir := s.t.c.localState(job)
	if dir == "" {
		return
	}
	s.epoch++
	gone := dir + ".gone-" + strconv.Itoa(s.epoch)
	if os.Rename(dir, gone) != nil {
		return // there are none
	}
	s.wg.Go(func() {
		if err := os.RemoveAll(gone); err != nil {
			s.t.c.Log.Warn("local copies of state left behind", "job", job, "error", err)
		}
	})
}

// removeAllLocalState ends the session: another JobManager starts its jobs from their checkpoints.
func (s *session) removeAllLocalState() {
	if s.t.c.LocalStateDir == "" {
		return
	}
	if err := os.RemoveAll(s.t.c.LocalStateDir); err != nil {
		s.t.c.Log.Warn("local copies of state left behind", "error", err)
	}
}
