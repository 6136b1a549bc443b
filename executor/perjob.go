package executor

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/weftstream/weft/client"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/link"
	"github.com/weftstream/weft/link/linkpb"
)

// ErrOneJob is returned to an application in per-job mode that submits a second job.
var ErrOneJob = errors.New("per-job mode runs one job, and the application has submitted it already: run an application " +
	"with several jobs in application mode (weft run-application -t yarn-application) or in a session (weft run -t yarn-session)")

// resultTimeout is how long Close waits for the end of a job that it has cancelled.
const resultTimeout = 5 * time.Second

// Deploy deploys a cluster that runs g, and returns when it can be reached. If ctx ends before, it takes back what it
// deployed.
type Deploy func(ctx context.Context, g *graph.JobGraph) (*client.Client, error)

// PerJob serves a driver whose only job gets a cluster of its own. It is safe for concurrent use.
type PerJob struct {
	*remote
	deploy     Deploy
	executable string

	submitting sync.Mutex // held while the job is deployed

	job sync.Mutex
	id  graph.JobID
	c   *client.Client // nil before the job is deployed
}

var _ link.DriverService = (*PerJob)(nil)

// NewPerJob makes a PerJob. executable is the local file that task hosts run. The caller calls Close.
func NewPerJob(deploy Deploy, executable string, o Options) *PerJob {
	return &PerJob{remote: newRemote(o), deploy: deploy, executable: executable}
}

// Submit implements link.DriverService. After a deployment that failed it may be tried again.
func (p *PerJob) Submit(ctx context.Context, g *graph.JobGraph) (graph.JobID, error) {
	p.submitting.Lock()
	defer p.submitting.Unlock()
	if c, id := p.deployed(); c != nil {
		return graph.JobID{}, fmt.Errorf("it comes after job %s: %w", id, ErrOneJob)
	}
	g = withConfig(g, p.o.Conf)
	if g.Artifact == nil {
		g.Artifact = describe(p.executable)
	}
	c, err := p.deploy(ctx, g)
	if err != nil {
		return g.ID(), err
	}
	p.job.Lock()
	p.c, p.id = c, g.ID()
	p.job.Unlock()
	if err := p.hold(g.ID(), c); err != nil {
		return g.ID(), err
	}
	p.beat(g.ID())
	p.runs.submitted(g.ID(), g.GetName())
	return g.ID(), nil
}

// deployed returns nil before the job is deployed.
func (p *PerJob) deployed() (*client.Client, graph.JobID) {
	p.job.Lock()
	defer p.job.Unlock()
	return p.c, p.id
}

// Client returns the client of the cluster that was deployed, nil if none was.
func (p *PerJob) Client() *client.Client {
	c, _ := p.deployed()
	return c
}

func (p *PerJob) of(id graph.JobID) (*client.Client, error) {
	c, deployed := p.deployed()
	if c == nil || id != deployed {
		return nil, fmt.Errorf("job %s: %w: it isn't the job that this application submitted", id, client.ErrNotFound)
	}
	return c, nil
}

// Await implements link.DriverService.
func (p *PerJob) Await(ctx context.Context, id graph.JobID) (*linkpb.JobResult, error) {
	c, err := p.of(id)
	if err != nil {
		return nil, err
	}
	return p.await(ctx, c, id)
}

// Cancel implements link.DriverService.
func (p *PerJob) Cancel(ctx context.Context, id graph.JobID) error {
	c, err := p.of(id)
	if err != nil {
		return err
	}
	return c.Cancel(ctx, id)
}

// Close implements what remote's does. The cluster of a job that it cancels waits for somebody to learn the job's end, so
// that is asked for, too: else the cluster would outlive the client for a while.
func (p *PerJob) Close(ctx context.Context) error {
	c, id := p.deployed()
	tied := c != nil && p.isTied(id)
	if err := p.remote.Close(ctx); err != nil || !tied {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, resultTimeout)
	defer cancel()
	if _, err := c.Result(ctx, id); err != nil {
		p.o.log().Debug("the end of the cancelled job isn't known", "job", id, "error", err)
	}
	return nil
}

// describe names the executable for people and says its platform, so that a TaskManager on another can say what is wrong.
// One that can't be read is refused when it is uploaded.
func describe(executable string) *graph.Artifact {
	a := &graph.Artifact{Name: filepath.Base(executable)}
	if info, err := link.ReadExecutable(executable); err == nil {
		a.Platform = info.Platform()
	}
	return a
}
