// Package yarntest is YARN in memory for tests: a ResourceManager (REST and
// scheduler RPC) and NodeManagers, on loopback and on the real wire, with token
// login. Its containers are functions or real local processes, so that a whole
// Weft cluster runs on it without a JVM.
//
//	Cluster      start, addresses, site configuration, time (Tick)
//	Intercept    hold, drop, delay or rewrite any call
//	Launcher     what a container is: Idle, a function, or Processes
//
// Time is Tick: each node heartbeats once, and YARN's Capacity Scheduler rules
// apply (one container per node and heartbeat for asks that name no host). With
// Config.HeartbeatInterval the cluster ticks by itself. Faults are methods of
// Cluster: StopRM and StartRM, FailOver, RollMasterKey, LoseNode, Preempt.
//
// One mutex guards the whole state; launchers run outside it, each on a
// goroutine of the cluster. Close ends and joins everything.
package yarntest

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/weftstream/weft/hadoop"
	"github.com/weftstream/weft/hadoop/ipc/ipctest"
	"github.com/weftstream/weft/hadoop/records"
)

// NodeConfig describes one NodeManager.
type NodeConfig struct {
	// Host is the node's name. It must be dialable; default 127.0.0.1. Nodes on
	// one machine differ by port; give them different loopback addresses
	// (127.0.0.2, …) to tell hosts apart.
	Host string
	Rack string // default /default-rack
	// Resource of the node. Default 8192 MiB and 8 vcores.
	Resource records.Resource
}

// QueueConfig describes one leaf queue below root.
type QueueConfig struct {
	Name string
	// Capacity in percent, for show.
	Capacity float64
	// AMLimit bounds what application masters of the queue may use together;
	// applications beyond it wait in ACCEPTED. Zero is half of the cluster.
	AMLimit records.Resource
}

// Config configures a Cluster. The zero value is one node and one queue,
// "default", where containers idle and time passes by Tick.
type Config struct {
	Nodes  []NodeConfig
	Queues []QueueConfig
	// ResourceManagers is 1, or 2 for high availability.
	ResourceManagers int
	// MinAllocation and MaxAllocation bound one container. Default 64 MiB and 1
	// vcore; 8192 MiB and 8 vcores.
	MinAllocation, MaxAllocation records.Resource
	// OffSwitch is how many containers a node grants per heartbeat to asks that
	// name no host. Default 1, as in YARN.
	OffSwitch int
	// MaxAttempts caps the attempts of an application. Default 2.
	MaxAttempts int
	// HeartbeatInterval makes the cluster tick by itself. 0 leaves it to Tick.
	HeartbeatInterval time.Duration
	// Launcher runs containers. Default Idle.
	Launcher Launcher
	// Log receives what the cluster does. Default: discarded.
	Log *slog.Logger
}

// Cluster is a running YARN.
type Cluster struct {
	cfg  Config
	stop chan struct{} // closed by Close
	wg   sync.WaitGroup

	mu         sync.Mutex // guards all state below, and that of nodes, apps and containers
	changed    *sync.Cond // signalled at each change, for Wait
	version    uint64     // counts the changes
	timestamp  int64
	nextApp    int32
	epoch      int64
	keys       masterKeys
	rms        []*resourceManager
	active     int  // index into rms
	down       bool // no ResourceManager is active
	nodes      []*node
	apps       map[records.ApplicationID]*application
	order      []*application // by submission
	hooks      []*hook
	closed     bool
	containers map[records.ContainerID]*container
}

// resourceManager is the pair of servers of one ResourceManager. The ports of
// one that isn't active stay open, but its scheduler port hangs up at once.
type resourceManager struct {
	id   string
	rpc  *ipctest.Server
	web  *http.Server
	addr string // of web
}

// Start brings a cluster up. It is ready when Start returns.
func Start(cfg Config) (*Cluster, error) {
	cfg.setDefaults()
	c := &Cluster{
		cfg: cfg, stop: make(chan struct{}), timestamp: time.Now().UnixMilli(), keys: newMasterKeys(),
		apps:       make(map[records.ApplicationID]*application),
		containers: make(map[records.ContainerID]*container),
	}
	c.changed = sync.NewCond(&c.mu)
	for i := range cfg.ResourceManagers {
		if err := c.startRM(i); err != nil {
			c.Close()
			return nil, err
		}
	}
	for _, nc := range cfg.Nodes {
		if err := c.startNode(nc); err != nil {
			c.Close()
			return nil, err
		}
	}
	c.mu.Lock()
	c.updateGates()
	c.mu.Unlock()
	if cfg.HeartbeatInterval > 0 {
		c.wg.Go(c.tickLoop)
	}
	return c, nil
}

func (cfg *Config) setDefaults() {
	if len(cfg.Nodes) == 0 {
		cfg.Nodes = []NodeConfig{{}}
	}
	for i := range cfg.Nodes {
		n := &cfg.Nodes[i]
		if n.Host == "" {
			n.Host = "127.0.0.1"
		}
		if n.Rack == "" {
			n.Rack = "/default-rack"
		}
		if n.Resource.MemoryMB == 0 {
			n.Resource = records.Resource{MemoryMB: 8192, VCores: 8}
		}
	}
	if len(cfg.Queues) == 0 {
		cfg.Queues = []QueueConfig{{Name: "default", Capacity: 100}}
	}
	if cfg.ResourceManagers == 0 {
		cfg.ResourceManagers = 1
	}
	if cfg.MinAllocation.MemoryMB == 0 {
		cfg.MinAllocation = records.Resource{MemoryMB: 64, VCores: 1}
	}
	if cfg.MaxAllocation.MemoryMB == 0 {
		cfg.MaxAllocation = records.Resource{MemoryMB: 8192, VCores: 8}
	}
	if cfg.OffSwitch == 0 {
		cfg.OffSwitch = 1
	}
	if cfg.MaxAttempts == 0 {
		cfg.MaxAttempts = 2
	}
	if cfg.Launcher == nil {
		cfg.Launcher = Idle
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
}

func (c *Cluster) startRM(i int) error {
	rm := &resourceManager{id: fmt.Sprintf("rm%d", i+1)}
	var err error
	rm.rpc, err = ipctest.Start(ipctest.Config{Password: c.amPassword, Handle: c.handleAM})
	if err != nil {
		return err
	}
	c.rms = append(c.rms, rm)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("start test ResourceManager: %w", err)
	}
	rm.addr = ln.Addr().String()
	rm.web = &http.Server{Handler: c.webHandler(i), ReadHeaderTimeout: 10 * time.Second}
	c.wg.Go(func() { _ = rm.web.Serve(ln) })
	return nil
}

// Close stops everything, kills all containers and waits for them.
func (c *Cluster) Close() {
	c.mu.Lock()
	c.closed = true
	c.notify()
	for _, ct := range c.containers {
		ct.kill(records.ExitAborted, "the test cluster was closed")
	}
	c.mu.Unlock()
	close(c.stop)
	for _, rm := range c.rms {
		rm.rpc.Close()
		if rm.web != nil {
			rm.web.Close()
		}
	}
	for _, n := range c.nodes {
		n.server.Close()
	}
	c.wg.Wait()
}

// WebAddresses returns the base URLs of the ResourceManagers.
func (c *Cluster) WebAddresses() []string {
	var out []string
	for _, rm := range c.rms {
		out = append(out, "http://"+rm.addr)
	}
	return out
}

// SchedulerAddresses returns host:port of the ResourceManagers' scheduler
// interfaces.
func (c *Cluster) SchedulerAddresses() []string {
	var out []string
	for _, rm := range c.rms {
		out = append(out, rm.rpc.Address())
	}
	return out
}

// SchedulerConnections counts the connections application masters ever opened.
func (c *Cluster) SchedulerConnections() int {
	n := 0
	for _, rm := range c.rms {
		n += rm.rpc.Opened()
	}
	return n
}

// Site is the client configuration of the cluster. The default file system is
// file:///.
func (c *Cluster) Site() *hadoop.Site {
	values := map[string]string{
		"fs.defaultFS":                         "file:///",
		"yarn.scheduler.minimum-allocation-mb": fmt.Sprint(c.cfg.MinAllocation.MemoryMB),
		"yarn.scheduler.maximum-allocation-mb": fmt.Sprint(c.cfg.MaxAllocation.MemoryMB),
	}
	var ids []string
	for i, rm := range c.rms {
		suffix := ""
		if len(c.rms) > 1 {
			suffix = "." + rm.id
			ids = append(ids, rm.id)
		}
		values["yarn.resourcemanager.scheduler.address"+suffix] = c.SchedulerAddresses()[i]
		values["yarn.resourcemanager.webapp.address"+suffix] = rm.addr
	}
	if len(ids) > 0 {
		values["yarn.resourcemanager.ha.enabled"] = "true"
		values["yarn.resourcemanager.ha.rm-ids"] = strings.Join(ids, ",")
	}
	return hadoop.NewSite(values)
}

// Nodes lists the NodeManagers in the order of the configuration.
func (c *Cluster) Nodes() []records.NodeID {
	var out []records.NodeID
	for _, n := range c.nodes {
		out = append(out, n.id)
	}
	return out
}

// Tick lets every live node heartbeat once, in order.
func (c *Cluster) Tick() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, n := range c.nodes {
		c.heartbeat(n)
	}
}

// TickUntil ticks until done returns true. It fails when ctx ends first.
func (c *Cluster) TickUntil(ctx context.Context, done func() bool) error {
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for !done() {
		c.Tick()
		select {
		case <-ctx.Done():
			return fmt.Errorf("tick the test cluster: %w", ctx.Err())
		case <-ticker.C:
		}
	}
	return nil
}

func (c *Cluster) tickLoop() {
	ticker := time.NewTicker(c.cfg.HeartbeatInterval)
	defer ticker.Stop()
	for {
		select {
		case <-c.stop:
			return
		case <-ticker.C:
			c.Tick()
		}
	}
}
