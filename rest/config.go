package rest

import (
	"context"
	"errors"
	"io"
	"log/slog"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/runtime/artifact"
	"github.com/weftstream/weft/runtime/dispatcher"
	"github.com/weftstream/weft/runtime/jobmanager"
	"github.com/weftstream/weft/runtime/resourcemanager"
)

// Jobs is the Dispatcher as the endpoint needs it; *dispatcher.Dispatcher is one.
type Jobs interface {
	Submit(ctx context.Context, g *graph.JobGraph) (graph.JobID, error)
	Await(ctx context.Context, id graph.JobID) (*linkpb.JobResult, error)
	Cancel(ctx context.Context, id graph.JobID) error
	Jobs() []dispatcher.JobSummary
	Job(id graph.JobID) (dispatcher.JobDetails, bool)
	// Result returns nil for a job that runs, and ok = false for an unknown one.
	Result(id graph.JobID) (r *linkpb.JobResult, ok bool)
	checkpointing
	// Requirements are the bounds of the parallelism of a job's vertices; Require changes them.
	Requirements(id graph.JobID) (dispatcher.Requirements, error)
	Require(ctx context.Context, id graph.JobID, r dispatcher.Requirements) error
}

// Cluster is the JobManager as the endpoint needs it; *jobmanager.JobManager is one.
type Cluster interface {
	Overview() jobmanager.Overview
	TaskManagers() []resourcemanager.TaskManagerInfo
	TaskManager(resourceID string) (resourcemanager.TaskManagerInfo, bool)
	RequestShutdown(status resourcemanager.FinalStatus, diagnostics string)
}

var (
	_ Jobs    = (*dispatcher.Dispatcher)(nil)
	_ Cluster = (*jobmanager.JobManager)(nil)
)

// Backend is what the endpoint shows.
type Backend struct {
	Jobs    Jobs
	Cluster Cluster
}

// Artifacts keeps uploaded executables; *Store is one. Its methods are called concurrently.
type Artifacts interface {
	// Size returns ok = false for an executable that isn't there.
	Size(ctx context.Context, key artifact.Key) (size int64, ok bool, err error)
	// Put reads the executable, checks it against key and keeps it. Of one that differs (artifact.ErrChecksum), that
	// can't be read to its end or for which there is no room (ErrNoRoom), nothing is kept.
	Put(ctx context.Context, key artifact.Key, r io.Reader) (size int64, err error)
}

// Config makes a Server.
type Config struct {
	// Conf is the cluster's configuration.
	Conf conf.Configuration
	// Token is what clients have to show, unless security.rest.authentication is none.
	Token string
	// Artifacts may be nil: then no executables can be uploaded.
	Artifacts Artifacts
	// SubmitRefused says why this cluster takes no jobs through REST, as one in application or per-job mode; "" if it does.
	SubmitRefused string
	// LogDir is the directory of the JobManager's log files, "" for none. LogFile and StdoutFile are names in it that
	// /jobmanager/log and /jobmanager/stdout show.
	LogDir, LogFile, StdoutFile string
	// ResultDelivered is called when a client has been told a job's result (on the request's goroutine), and when a job is
	// cancelled because its client, which would have asked, is gone; it may be nil.
	// A cluster whose client is attached may end then.
	ResultDelivered func(graph.JobID)
	Log             *slog.Logger
}

var errNoToken = errors.New("make REST endpoint: security.rest.authentication is token, but there is no token; " +
	"give the cluster one, or set security.rest.authentication to none to let everyone in")

// authenticated says whether clients have to show the token.
func (c *Config) authenticated() bool {
	return conf.Get(c.Conf, conf.SecurityRestAuthentication) != "none"
}
