package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/weftstream/weft/client"
	"github.com/weftstream/weft/conf"
)

const (
	// sweepTimeout bounds the search for what ended clusters left behind, and sweepPatience how long a command that is
	// done waits for it.
	sweepTimeout  = 15 * time.Second
	sweepPatience = 2 * time.Second
)

// place is a provider's descriptor as a command holds it; close ends it.
type place struct {
	client.ClusterDescriptor
	s     *session
	done  chan struct{} // closed when the sweep has ended
	abort context.CancelFunc
}

// open opens the provider that serves the target, and sweeps in the background.
func (s *session) open(target string) (*place, error) {
	p, err := client.Find(s.Providers, target)
	if err != nil {
		return nil, &usageError{err: err}
	}
	d, err := p.Descriptor(s.conf, s.environment(s.log))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), sweepTimeout)
	place := &place{ClusterDescriptor: d, s: s, done: make(chan struct{}), abort: cancel}
	go func() { // joined by close
		defer close(place.done)
		if err := d.Sweep(ctx); err != nil {
			s.log.Debug("what ended clusters left behind couldn't be removed", "error", err)
		}
	}()
	return place, nil
}

// close gives the sweep a little more time and releases the descriptor.
func (p *place) close() {
	patience := time.NewTimer(sweepPatience)
	defer patience.Stop()
	select {
	case <-p.done:
	case <-patience.C:
	}
	p.abort()
	<-p.done
	if err := p.Close(); err != nil {
		p.s.log.Debug("closing connections failed", "error", err)
	}
}

// connection is a running cluster and its client.
type connection struct {
	place   *place
	cluster *client.Cluster
	*client.Client
}

func (c *connection) close() {
	c.Client.Close()
	c.place.close()
}

// connect finds the running cluster that the command is for.
func (s *session) connect(ctx context.Context) (*connection, error) {
	var id string
	switch s.target {
	case targetSession, targetApplication, targetPerJob:
		if id = conf.Get(s.conf, conf.YarnApplicationId); id == "" {
			return nil, errNoTarget()
		}
	case targetRemote:
		address, _ := conf.Lookup(s.conf, conf.RestAddress)
		if address == "" {
			return nil, usagef("-t remote: -m host:port, or rest.address, is missing")
		}
		id = fmt.Sprintf("%s:%d", address, conf.Get(s.conf, conf.RestPort))
	case "":
		return nil, errNoTarget()
	default:
		return nil, usagef("-t %s: there is no running cluster to find", s.target)
	}
	p, err := s.open(s.target)
	if err != nil {
		return nil, err
	}
	cluster, err := p.Retrieve(ctx, id)
	if err != nil {
		p.close()
		if s.properties != nil && (errors.Is(err, client.ErrEnded) || errors.Is(err, client.ErrNotFound)) {
			s.forget(err)
			return s.connect(ctx)
		}
		return nil, fmt.Errorf("Couldn't retrieve cluster %s: %w", id, err)
	}
	c, err := s.client(cluster)
	if err != nil {
		p.close()
		return nil, err
	}
	var unreachable *client.UnreachableError
	if err := c.Ready(ctx); errors.As(err, &unreachable) && ctx.Err() == nil {
		s.log.Warn("the cluster's endpoint can't be reached; requests are repeated for a while (rest.retry.*)",
			"endpoint", c.Endpoint(), "error", unreachable.Err)
	}
	return &connection{p, cluster, c}, nil
}

// client makes the client of a running cluster. more are options above the usual ones.
func (s *session) client(cluster *client.Cluster, more ...client.Option) (*client.Client, error) {
	return client.New(cluster.Endpoint, cluster.Token, append([]client.Option{client.WithConfiguration(s.conf),
		client.WithHeaders(s.Getenv("FLINK_REST_CLIENT_HEADERS")), client.WithLog(s.log)}, more...)...)
}

// impatient is a client that asks once: for what is asked again and again anyway.
func (s *session) impatient(cluster *client.Cluster) (*client.Client, error) {
	c, err := conf.With(s.conf, conf.RestRetryMaxAttempts, 0)
	if err != nil {
		return nil, err
	}
	return s.client(cluster, client.WithConfiguration(c))
}

// pause waits for d or the end of ctx, whose cause it returns.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

// eventually calls f until it says it is done, every d; it returns the cause of ctx's end if that comes first.
func eventually(ctx context.Context, d time.Duration, f func() bool) error {
	for !f() {
		if err := pause(ctx, d); err != nil {
			return err
		}
	}
	return nil
}
