package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/graph"
)

var (
	// ErrNotFound is returned for a cluster, or a job, that the other side doesn't know.
	ErrNotFound = errors.New("not found")
	// ErrEnded is returned for a cluster that ran once and has ended.
	ErrEnded = errors.New("the cluster has ended")
	// ErrUnauthorized is returned when the REST endpoint refuses the token.
	ErrUnauthorized = errors.New("not authorised")
)

// Environment is what a Provider may use of the client process.
type Environment struct {
	// Getenv reads an environment variable (HADOOP_CONF_DIR, HADOOP_USER_NAME …).
	Getenv func(string) string
	// Log is for progress that people follow; Err is standard error, for a progress bar when Terminal is true.
	Log      *slog.Logger
	Err      io.Writer
	Terminal bool
	// Weft is the path of the weft executable that clusters run.
	Weft string
	// User is the operating system's user name.
	User string
}

// Provider is one kind of place where clusters run.
type Provider interface {
	// Name is for people: "YARN".
	Name() string
	// Targets are the values of execution.target that it serves.
	Targets() []string
	// Descriptor makes a ClusterDescriptor for c. It reads configuration and checks that it can serve; it contacts nobody.
	Descriptor(c conf.Configuration, env Environment) (ClusterDescriptor, error)
}

// Find returns the provider that serves target, or an error that lists all targets.
func Find(providers []Provider, target string) (Provider, error) {
	targets := []string{"local"}
	for _, p := range providers {
		if slices.Contains(p.Targets(), target) {
			return p, nil
		}
		targets = append(targets, p.Targets()...)
	}
	return nil, fmt.Errorf("no provider serves the target %q; -t takes one of %v", target, targets)
}

// Application is a user's executable and the arguments that follow it on the command line.
type Application struct {
	// Path is a local file, or a URI such as hdfs:///apps/wordcount.
	Path string
	// Driver is the local executable that runs here, where it differs from Path (built for another platform); else "".
	Driver string
	Args   []string
}

// ClusterDescriptor deploys, finds and kills the clusters of one Provider.
//
// A deploy call returns when the cluster accepts connections, or an error that says what the provider knows of the reason.
// If ctx ends before it does, what was deployed so far is taken back: the application is killed, its staging removed.
type ClusterDescriptor interface {
	// DeploySession starts a cluster that waits for jobs.
	DeploySession(ctx context.Context) (*Cluster, error)
	// DeployPerJob starts a cluster that lives for one job; the executable in app serves its task hosts.
	DeployPerJob(ctx context.Context, g *graph.JobGraph, app Application) (*Cluster, error)
	// DeployApplication starts a cluster that runs app as its driver and ends with it.
	DeployApplication(ctx context.Context, app Application) (*Cluster, error)
	// Retrieve finds a running cluster by id. It returns ErrNotFound or ErrEnded with what is known of it.
	Retrieve(ctx context.Context, id string) (*Cluster, error)
	// Report says how the cluster is; it also serves clusters that have ended.
	Report(ctx context.Context, id string) (Report, error)
	// Kill ends a cluster the hard way and removes its staging. Killing an ended cluster is no error.
	Kill(ctx context.Context, id string) error
	// Sweep removes what ended clusters of this user left behind. It is called at the start of a command; errors are for
	// the log only.
	Sweep(ctx context.Context) error
	// Close releases connections.
	Close() error
}

// Cluster is a running cluster as its descriptor sees it.
type Cluster struct {
	// ID is the provider's name of it: application_… on YARN.
	ID string
	// Endpoint is the REST endpoint, Token what it wants to see ("" where it wants none).
	Endpoint string
	Token    string
	// TrackingURL is for browsers.
	TrackingURL string
}

// State is the life of a cluster.
type State int

// The states, in order.
const (
	// Pending: submitted, not running yet.
	Pending State = iota
	Running
	Succeeded
	Failed
	Killed
)

// Ended says that the state is final.
func (s State) Ended() bool { return s >= Succeeded }

// String names the state as YARN does.
func (s State) String() string {
	return [...]string{"ACCEPTED", "RUNNING", "SUCCEEDED", "FAILED", "KILLED"}[s]
}

// Report is what a provider knows of a cluster.
type Report struct {
	ID, Name, User, Queue string
	State                 State
	// Diagnostics is the provider's text: why it waits, why it failed.
	Diagnostics string
	TrackingURL string
	// Endpoint is the REST endpoint while the cluster runs.
	Endpoint string
	// StartMS and EndMS are Unix milliseconds; EndMS is 0 while it lives.
	StartMS, EndMS int64
}
