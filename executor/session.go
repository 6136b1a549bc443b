package executor

import (
	"context"

	"github.com/weftstream/weft/client"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/link"
	"github.com/weftstream/weft/link/linkpb"
)

// Session serves a driver against a cluster that runs already, and that other clients use too. It is safe for concurrent
// use.
type Session struct {
	*remote
	c          *client.Client
	executable string
	// run tells the jobs of this run of the application from those of others: in a session the same application may be
	// run many times, and each time its jobs are new ones.
	run string
}

var _ link.DriverService = (*Session)(nil)

// NewSession makes a Session for one run of an application. executable is the local file that task hosts run; it is
// uploaded unless the cluster has it. The caller calls Close.
func NewSession(c *client.Client, executable string, o Options) *Session {
	return &Session{remote: newRemote(o), c: c, executable: executable, run: graph.NewJobID().String()}
}

// Submit implements link.DriverService.
func (s *Session) Submit(ctx context.Context, g *graph.JobGraph) (graph.JobID, error) {
	g = withConfig(g, s.o.Conf)
	g.Key = s.run + "/" + g.GetKey()
	if g.Artifact == nil {
		g.Artifact = describe(s.executable)
	}
	if err := s.hold(g.ID(), s.c); err != nil {
		return g.ID(), err
	}
	var o client.SubmitOptions
	if s.o.tied() {
		o.HeartbeatTimeout = s.heartbeatTimeout()
	}
	id, err := s.c.SubmitWith(ctx, g, s.executable, o)
	if err != nil {
		if refused(err) {
			s.release(g.ID())
		}
		return id, err
	}
	if id != g.ID() { // the application's own key: the job runs already
		s.release(g.ID())
		if err := s.hold(id, s.c); err != nil {
			return id, err
		}
	}
	s.beat(id)
	s.runs.submitted(id, g.GetName())
	return id, nil
}

// Await implements link.DriverService.
func (s *Session) Await(ctx context.Context, id graph.JobID) (*linkpb.JobResult, error) {
	return s.await(ctx, s.c, id)
}

// Cancel implements link.DriverService.
func (s *Session) Cancel(ctx context.Context, id graph.JobID) error { return s.c.Cancel(ctx, id) }
