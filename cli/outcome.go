package cli

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/weftstream/weft/client"
	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/link/linkpb"
)

// outcome is how jobs ended, as far as the command saw. It is safe for concurrent use.
type outcome struct {
	mu               sync.Mutex // guards what follows
	failed, canceled bool
	cluster          *client.Cluster // where the jobs run; nil before there is one
	open             []graph.JobID   // submitted, end not seen
}

// on says where the jobs run.
func (o *outcome) on(c *client.Cluster) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.cluster = c
}

func (o *outcome) submitted(id graph.JobID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.open = append(o.open, id)
}

func (o *outcome) ended(r *linkpb.JobResult) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.failed = o.failed || r.GetStatus() == linkpb.JobStatus_FAILED
	o.canceled = o.canceled || r.GetStatus() == linkpb.JobStatus_CANCELED
	o.open = slices.DeleteFunc(o.open, func(id graph.JobID) bool { return bytes.Equal(id[:], r.GetJobId()) })
}

// code is the exit code of a command whose driver didn't end well.
func (o *outcome) code() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.failed:
		return ExitFailed
	case o.canceled:
		return ExitCanceled
	}
	return ExitError
}

// left returns the jobs whose end the command hasn't seen, and where they run.
func (o *outcome) left() ([]graph.JobID, *client.Cluster) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.open), o.cluster
}

// tellLeft says what becomes of the jobs that an attached command leaves behind. closeErr is what kept it from cancelling
// those that were to end with it.
func (s *session) tellLeft(o *outcome, closeErr error) {
	cancelled := conf.Get(s.conf, conf.ExecutionShutdownOnAttachedExit) && closeErr == nil
	jobs, cluster := o.left()
	for _, id := range jobs {
		if cancelled {
			s.log.Info("the job was cancelled with this command", "job", id)
		} else {
			s.log.Info("the job goes on without this command", "job", id, "cancel", s.cancelCommand(cluster, id))
		}
	}
}

// cancelCommand is what to type to cancel a job.
func (s *session) cancelCommand(cluster *client.Cluster, id graph.JobID) string {
	if s.target == targetRemote {
		_, address, _ := strings.Cut(cluster.Endpoint, "://")
		return fmt.Sprintf("weft cancel -m %s %s", address, id)
	}
	return fmt.Sprintf("weft cancel -t %s -D%s=%s %s", s.target, conf.YarnApplicationId.Key(), cluster.ID, id)
}
