package yarn

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/weftstream/weft/hadoop/records"
	"github.com/weftstream/weft/runtime/resourcemanager"
	"github.com/weftstream/weft/yarn/amrm"
	"github.com/weftstream/weft/yarn/nm"
)

const (
	// explainInterval is how often the driver looks why containers don't come, once they haven't for so long.
	explainInterval = 3 * time.Second
	// settleTime is how long declarations are collected after a grant.
	settleTime = 20 * time.Millisecond
	// startTimeout and stopTimeout bound a NodeManager's answer to the start or stop of containers.
	startTimeout = time.Minute
	stopTimeout  = 5 * time.Second
	// returnedQuietly is how often in a row containers may be returned before that looks wrong.
	returnedQuietly = 5
	// diagnosticsLimit bounds what YARN is told of the application's end, in bytes.
	diagnosticsLimit = 16 << 10
)

// DriverConfig makes a Driver.
type DriverConfig struct {
	// Client reaches the YARN ResourceManager. Required.
	Client amrm.ClientConfig
	// Registration is what YARN shows of the application master.
	Registration amrm.Registration
	// FastInterval and SlowInterval are the heartbeats' while containers are asked for and otherwise. Package amrm's
	// defaults.
	FastInterval, SlowInterval time.Duration
	// Launch makes what a container is launched with. Required. It is called concurrently.
	Launch func(c records.Container, spec resourcemanager.WorkerSpec) (records.LaunchContext, error)
	// Nodes are the cluster's at the time of the deployment; what YARN reports of them later counts.
	Nodes []amrm.NodeHost
	// NodeLabel is the containers' node label expression; with one they aren't spread.
	NodeLabel string
	// Explain says why n containers of that size aren't granted, "" if it doesn't know; nil never does.
	Explain func(ctx context.Context, n int, size records.Resource) string
	// FinalTrackingURL is what YARN links to when the application has ended; "" for YARN's own page.
	FinalTrackingURL string
	// Cleanup removes what the application has in the staging directory, once YARN knows its end; it may be nil.
	Cleanup func(ctx context.Context) error
	// Log hears of grants, ends and trouble with YARN. Default: discarded.
	Log *slog.Logger
}

// Driver brings TaskManager containers from YARN. It is the resourcemanager.WorkerDriver of an application master.
type Driver struct {
	c       DriverConfig
	client  *amrm.Client
	session *amrm.Session
	pool    *nm.Pool

	registered chan struct{} // closed with the first registration
	ended      chan struct{} // closed when the heartbeat has ended; runErr is set then
	runErr     error
	stop       context.CancelFunc // ends the goroutines
	wg         sync.WaitGroup     // of all goroutines
	changed    chan struct{}      // capacity 1: something was declared
	once       sync.Once          // starts them
	last       sync.Once          // ends them; lastErr is set then
	lastErr    error

	// mu guards what follows. Nobody is called while it is held, except amrm.Session, whose methods only leave a message.
	mu        sync.Mutex
	runCtx    context.Context // of the goroutines; set when they start
	events    resourcemanager.WorkerEvents
	specs     []resourcemanager.WorkerSpec // the position plus one is the priority
	declared  map[int]int                  // by priority: containers still wanted
	returned  map[int]int                  // by priority: how often surplus was returned since the last grant
	workers   map[records.ContainerID]*worker
	nodes     map[string]amrm.NodeHost
	avoided   avoided
	blacklist []string  // what YARN was told to avoid
	since     time.Time // of the last grant or the first want after it
	granted   time.Time // of the last grant
	reason    string    // last said by Waiting
	trouble   string    // why YARN could not be asked at troubleAt
	troubleAt time.Time
	closing   bool // from Deregister on: YARN's orders are no surprise
}

// worker is a container that was granted.
type worker struct {
	container records.Container
	granted   time.Time
	released  bool // by us
}

var _ resourcemanager.WorkerDriver = (*Driver)(nil)

// NewDriver checks c; it starts nothing and connects to nothing.
func NewDriver(c DriverConfig) (*Driver, error) {
	if c.Launch == nil {
		return nil, errors.New("make the YARN driver: nothing to launch containers with")
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	d := &Driver{c: c, registered: make(chan struct{}), ended: make(chan struct{}), changed: make(chan struct{}, 1), declared: map[int]int{},
		returned: map[int]int{},
		workers:  map[records.ContainerID]*worker{}, nodes: map[string]amrm.NodeHost{}, avoided: avoided{}}
	for _, n := range c.Nodes {
		d.nodes[n.Host] = n
	}
	var err error
	if d.client, err = amrm.NewClient(c.Client); err != nil {
		return nil, err
	}
	d.session, err = amrm.NewSession(amrm.SessionConfig{
		Client: d.client, Registration: c.Registration, FastInterval: c.FastInterval,
		SlowInterval: max(c.SlowInterval, c.FastInterval), OnEvent: d.onEvent, Log: c.Log,
	})
	return d, err
}

// Register registers the application master and returns when YARN has it. It may be called before Start, so that the
// application is RUNNING for its client while the rest of the process still starts.
func (d *Driver) Register(ctx context.Context) error {
	d.once.Do(d.run)
	select {
	case <-d.registered:
		return nil
	case <-d.ended:
		return fmt.Errorf("register the application master: %w", d.runErr)
	case <-ctx.Done():
		return fmt.Errorf("register the application master: %w%s", ctx.Err(), d.troubleText())
	}
}

func (d *Driver) troubleText() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if t := d.currentTrouble(); t != "" {
		return " (" + t + ")"
	}
	return ""
}

// currentTrouble is why YARN can't be asked, as long as that is news: a failed call is repeated within amrm's longest
// backoff. The mutex is held.
func (d *Driver) currentTrouble() string {
	if time.Since(d.troubleAt) > 30*time.Second {
		return ""
	}
	return d.trouble
}

// run starts the goroutines.
func (d *Driver) run() {
	ctx, cancel := context.WithCancel(context.Background())
	d.stop, d.pool = cancel, nm.NewPool(nm.Config{})
	d.mu.Lock()
	d.runCtx = ctx
	d.mu.Unlock()
	d.wg.Go(func() {
		err := d.session.Run(ctx)
		d.mu.Lock()
		d.runErr = err
		events, expected := d.events, d.closing || ctx.Err() != nil
		d.mu.Unlock()
		close(d.ended)
		if err != nil && events != nil && !expected {
			events.Fatal(fmt.Errorf("the application master's heartbeat ended: %w", err))
		}
	})
	d.wg.Go(func() { d.explain(ctx) })
	d.wg.Go(func() { d.asker(ctx) })
}

// Start implements resourcemanager.WorkerDriver. Containers of an earlier attempt are given back: their TaskManagers
// have ended with its JobManager. The heartbeat outlives ctx until Deregister, which needs it: package entrypoint calls
// that on every way out.
func (d *Driver) Start(ctx context.Context, events resourcemanager.WorkerEvents) error {
	if err := d.Register(ctx); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.events = events
	select {
	case <-d.ended:
		return fmt.Errorf("the application master's heartbeat ended: %w", d.runErr)
	default:
		return nil
	}
}

// Declare implements resourcemanager.WorkerDriver.
func (d *Driver) Declare(spec resourcemanager.WorkerSpec, n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closing {
		return
	}
	p := d.priority(spec)
	if d.declared[p] == 0 && n > 0 {
		d.since = time.Now()
	}
	if d.declared[p] = n; n == 0 {
		delete(d.declared, p)
	}
	select {
	case d.changed <- struct{}{}:
	default: // the asker hasn't looked since the last one
	}
}

// asker asks for what was declared, until ctx ends. After a grant it lets the declarations settle: the ResourceManager
// counts off one grant at a time and declares the rest after each, and an ask made of a number between would replace the
// one under way, which names the nodes that haven't given theirs yet.
func (d *Driver) asker(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.changed:
		}
		d.mu.Lock()
		wait := settleTime - time.Since(d.granted)
		d.mu.Unlock()
		if wait > 0 && sleep(ctx, wait) != nil {
			return
		}
		d.mu.Lock()
		if !d.closing {
			d.ask()
		}
		d.mu.Unlock()
	}
}

// priority is the number under which YARN knows containers of that spec: one each, from 1.
func (d *Driver) priority(spec resourcemanager.WorkerSpec) int {
	for i, s := range d.specs {
		if s == spec {
			return i + 1
		}
	}
	d.specs = append(d.specs, spec)
	return len(d.specs)
}

// ask tells the heartbeat what is wanted. The mutex is held.
func (d *Driver) ask() {
	var wants []amrm.Want
	for p, n := range d.declared {
		wants = append(wants, amrm.Want{
			Priority: p, Capability: capability(d.specs[p-1]), Count: n, NodeLabel: d.c.NodeLabel, Spread: d.spread(),
		})
	}
	if err := d.session.SetWants(wants); err != nil {
		d.c.Log.Error("cannot ask YARN for containers", "error", err)
	}
}

// spread lists the nodes to ask for by name. Package amrm does that only where more containers are wanted than there are
// nodes, and keeps the shares of what is left as long as the list stays the same. The mutex is held.
func (d *Driver) spread() []amrm.NodeHost {
	if d.c.NodeLabel != "" {
		return nil
	}
	usable := maps.Clone(d.nodes)
	for _, host := range d.avoided.hosts(time.Now()) {
		delete(usable, host)
	}
	return sortedNodes(usable)
}

func capability(s resourcemanager.WorkerSpec) records.Resource {
	return records.Resource{MemoryMB: s.MemoryMB, VCores: int32(max(1, s.VCores))}
}

// Stop implements resourcemanager.WorkerDriver.
func (d *Driver) Stop(id, reason string) {
	cid, err := records.ParseContainerID(id)
	if err != nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	w := d.workers[cid]
	if w == nil || w.released || d.closing {
		return
	}
	w.released = true
	d.c.Log.Info("release container", "container", id, "node", w.container.Node.String(), "reason", reason)
	d.session.Release(cid)
	d.goStop(w.container)
}

// goStop has a NodeManager stop a container, which is quicker than the release. The mutex is held.
func (d *Driver) goStop(c records.Container) {
	ctx := d.runCtx
	d.wg.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, stopTimeout)
		defer cancel()
		if err := d.pool.StopContainers(ctx, c.Node, c.ID); err != nil && ctx.Err() == nil {
			d.c.Log.Debug("stop container", "container", c.ID.String(), "error", err)
		}
	})
}

// Deregister implements resourcemanager.WorkerDriver: containers that are left are stopped, YARN is told how the
// application ended, and its staging is removed. With StatusUndefined YARN is told nothing: the process' end is the
// attempt's, and another one may follow. Calls after the first do nothing and return its error.
func (d *Driver) Deregister(ctx context.Context, status resourcemanager.FinalStatus, diagnostics string) error {
	d.last.Do(func() { d.lastErr = d.deregister(ctx, status, diagnostics) })
	return d.lastErr
}

func (d *Driver) deregister(ctx context.Context, status resourcemanager.FinalStatus, diagnostics string) error {
	started := true
	d.once.Do(func() { started = false })
	if !started {
		return d.client.Close()
	}
	d.mu.Lock()
	d.closing = true
	clear(d.declared)
	d.ask()
	d.mu.Unlock()
	d.stopAll(ctx)

	var err error
	if status != resourcemanager.StatusUndefined {
		err = d.finish(ctx, status, diagnostics)
	}
	d.stop()
	d.wg.Wait()
	return errors.Join(err, d.pool.Close(), d.client.Close())
}

// finish unregisters and then cleans up. When YARN has ended the attempt itself (the application was killed), there is
// nobody to tell, and nobody who would need the staging.
func (d *Driver) finish(ctx context.Context, status resourcemanager.FinalStatus, diagnostics string) error {
	err := d.session.Finish(ctx, finalStatus(status), clip(diagnostics, diagnosticsLimit), d.c.FinalTrackingURL)
	if errors.Is(err, amrm.ErrNotRunning) && errors.Is(d.heartbeatError(), amrm.ErrShutdown) {
		err = amrm.ErrShutdown
	}
	if err != nil && !errors.Is(err, amrm.ErrShutdown) {
		return err
	}
	if d.c.Cleanup != nil {
		err = errors.Join(err, d.c.Cleanup(ctx))
	}
	return err
}

func (d *Driver) heartbeatError() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.runErr
}

// stopAll stops what still runs, all nodes side by side.
func (d *Driver) stopAll(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	byNode := map[records.NodeID][]records.ContainerID{}
	d.mu.Lock()
	for id, w := range d.workers {
		w.released = true
		byNode[w.container.Node] = append(byNode[w.container.Node], id)
	}
	d.mu.Unlock()
	var wg sync.WaitGroup
	for node, ids := range byNode {
		wg.Go(func() {
			if err := d.pool.StopContainers(ctx, node, ids...); err != nil {
				d.c.Log.Debug("stop containers", "node", node.String(), "error", err)
			}
		})
	}
	wg.Wait()
}

func finalStatus(s resourcemanager.FinalStatus) records.FinalStatus {
	switch s {
	case resourcemanager.StatusSucceeded:
		return records.FinalSucceeded
	case resourcemanager.StatusFailed:
		return records.FinalFailed
	case resourcemanager.StatusKilled:
		return records.FinalKilled
	}
	return records.FinalUndefined
}
