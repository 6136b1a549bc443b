package standalone

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/weftstream/weft/client"
	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/graph"
)

// TargetRemote is the value of execution.target that this provider serves.
const TargetRemote = "remote"

// errDeploy is returned by every deployment.
var errDeploy = errors.New("a standalone cluster isn't deployed by a client: start it with `weft jobmanager` and " +
	"`weft taskmanager`, and submit with `weft run -m host:port`")

// Provider makes Descriptors. Its zero value is ready.
type Provider struct{}

var _ client.Provider = Provider{}

// Name is "standalone".
func (Provider) Name() string { return "standalone" }

// Targets is "remote".
func (Provider) Targets() []string { return []string{TargetRemote} }

// Descriptor finds the directory of the REST token; it contacts nobody.
func (Provider) Descriptor(c conf.Configuration, env client.Environment) (client.ClusterDescriptor, error) {
	dir, err := securityDir(c)
	if err != nil {
		return nil, err
	}
	return &Descriptor{conf: c, dir: dir, log: env.Log, getenv: env.Getenv}, nil
}

// Descriptor is the client.ClusterDescriptor of standalone clusters; a cluster's id is its REST endpoint, host:port. It
// is safe for concurrent use.
type Descriptor struct {
	conf   conf.Configuration
	dir    string
	log    *slog.Logger
	getenv func(string) string
}

var _ client.ClusterDescriptor = (*Descriptor)(nil)

// DeploySession implements client.ClusterDescriptor: it is refused.
func (d *Descriptor) DeploySession(context.Context) (*client.Cluster, error) { return nil, errDeploy }

// DeployPerJob implements client.ClusterDescriptor: it is refused.
func (d *Descriptor) DeployPerJob(context.Context, *graph.JobGraph, client.Application) (*client.Cluster, error) {
	return nil, errDeploy
}

// DeployApplication implements client.ClusterDescriptor: it is refused.
func (d *Descriptor) DeployApplication(context.Context, client.Application) (*client.Cluster, error) {
	return nil, errDeploy
}

// Retrieve implements client.ClusterDescriptor. It contacts nobody: the first request shows whether the cluster is there.
func (d *Descriptor) Retrieve(_ context.Context, id string) (*client.Cluster, error) {
	token, err := readToken(d.dir)
	if err != nil {
		return nil, err
	}
	return &client.Cluster{ID: id, Endpoint: "http://" + id, Token: string(token), TrackingURL: "http://" + id}, nil
}

func (d *Descriptor) client(ctx context.Context, id string) (*client.Client, error) {
	cluster, err := d.Retrieve(ctx, id)
	if err != nil {
		return nil, err
	}
	options := []client.Option{client.WithConfiguration(d.conf)}
	if d.getenv != nil {
		options = append(options, client.WithHeaders(d.getenv("FLINK_REST_CLIENT_HEADERS")))
	}
	return client.New(cluster.Endpoint, cluster.Token, options...)
}

// Report implements client.ClusterDescriptor. A cluster whose endpoint can't be reached is ErrNotFound.
func (d *Descriptor) Report(ctx context.Context, id string) (client.Report, error) {
	c, err := d.client(ctx, id)
	if err != nil {
		return client.Report{}, err
	}
	defer c.Close()
	err = c.Ready(ctx)
	switch {
	case errors.Is(err, client.ErrUnreachable):
		return client.Report{}, fmt.Errorf("standalone cluster %s: %w: %w", id, client.ErrNotFound, err)
	case errors.Is(err, client.ErrUnavailable):
		return client.Report{ID: id, Name: "standalone", State: client.Pending, Diagnostics: err.Error()}, nil
	case err != nil:
		return client.Report{}, err
	}
	return client.Report{ID: id, Name: "standalone", State: client.Running, Endpoint: c.Endpoint(), TrackingURL: c.Endpoint()}, nil
}

// Kill implements client.ClusterDescriptor: the JobManager is asked to end, and cancels its jobs. TaskManagers stay, and
// wait for the next one.
func (d *Descriptor) Kill(ctx context.Context, id string) error {
	c, err := d.client(ctx, id)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Shutdown(ctx); err != nil && !errors.Is(err, client.ErrUnreachable) {
		return err
	}
	return nil
}

// Sweep implements client.ClusterDescriptor: nothing is left behind.
func (d *Descriptor) Sweep(context.Context) error { return nil }

// Close implements client.ClusterDescriptor.
func (d *Descriptor) Close() error { return nil }
