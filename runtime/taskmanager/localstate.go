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

// left removes a job's copies once the TaskManager has ended its host. They stay after a host that ended by itself: the job
// may start another one here and read them.
func (s *session) left(job graph.JobID) {
	if s.core.jobs[job] == nil {
		s.removeLocalState(job)
	}
}

// gaveBack removes the copies of a job that has given back its slots after its host had ended by itself, and doesn't ask for
// others within the time that it may wait for slots.
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
	if s.core.jobs[job] != nil || s.t.c.LocalStateDir == "" || s.t.c.SlotTimeout < 0 {
		return
	}
	s.after(s.t.c.SlotTimeout, func() []action {
		s.left(job)
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
