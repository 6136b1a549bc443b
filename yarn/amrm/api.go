package amrm

import (
	"context"
	"log/slog"
	"net"
	"time"

	"github.com/weftstream/weft/hadoop"
	"github.com/weftstream/weft/hadoop/records"
)

// Dialer opens connections; net.Dialer's DialContext is one.
type Dialer func(ctx context.Context, network, address string) (net.Conn, error)

// ClientConfig says how to reach the YARN ResourceManager.
type ClientConfig struct {
	// Addresses are the scheduler addresses (host:port) of all YARN
	// ResourceManagers, see hadoop.Site.RMSchedulerAddresses. At least one.
	Addresses []string
	// Token is the AMRMToken from the container's token file.
	Token hadoop.Token
	// CallTimeout bounds one call whose context has no nearer deadline,
	// including the connection it may have to open. Default 30 s.
	CallTimeout time.Duration
	// Dial opens connections. Default a plain net.Dialer.
	Dial Dialer
}

// Registration is what an application master tells of itself.
type Registration struct {
	// Host and RPCPort are shown in the application report as amRPCAddress.
	// Flink's client takes them for the REST endpoint's.
	Host        string
	RPCPort     int
	TrackingURL string
}

// NodeHost is one node that containers should be spread to.
type NodeHost struct {
	Host string
	// Rack is the node's rack, such as /default-rack. Empty means that one.
	Rack string
}

// Want declares how many containers of one kind are still wanted. One priority
// has one capability and node label.
type Want struct {
	// Priority names the kind; lower numbers are served first. From 0.
	Priority   int
	Capability records.Resource
	// Count is how many more containers are wanted, not counting those that
	// were granted already.
	Count int
	// Spread lists nodes over which the containers are asked evenly, by host,
	// rack and "any". Empty asks for any node. YARN grants at most one "any"
	// container per node heartbeat by default, so spreading is what makes many
	// containers come quickly; other nodes may still be given.
	Spread []NodeHost
	// NodeLabel is a node label expression; empty is the queue's default. YARN
	// accepts a label only on "any" asks, so Spread is ignored with one.
	NodeLabel string
}

// SessionConfig configures a Session.
type SessionConfig struct {
	Client       *Client
	Registration Registration
	// FastInterval is the time between heartbeats while containers are wanted or
	// releases are unconfirmed. Default 500 ms.
	FastInterval time.Duration
	// SlowInterval is the time between heartbeats otherwise. Default 5 s. It
	// must be well below yarn.am.liveness-monitor.expiry-interval-ms.
	SlowInterval time.Duration
	// MinBackoff and MaxBackoff bound the wait after a failed call. Default
	// 100 ms and 10 s.
	MinBackoff, MaxBackoff time.Duration
	// OnEvent receives every event in order, on the goroutine of Run. It must
	// not block: heartbeats wait for it. It may call the Session's methods,
	// except Finish.
	OnEvent func(Event)
	// Log receives debug messages on connections. Default: discarded.
	Log *slog.Logger
}

func (c *SessionConfig) setDefaults() {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&c.FastInterval, 500 * time.Millisecond}, {&c.SlowInterval, 5 * time.Second},
		{&c.MinBackoff, 100 * time.Millisecond}, {&c.MaxBackoff, 10 * time.Second},
	} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	if c.OnEvent == nil {
		c.OnEvent = func(Event) {}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
}
