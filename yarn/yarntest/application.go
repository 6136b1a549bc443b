package yarntest

import (
	"fmt"
	"time"

	"github.com/weftstream/weft/hadoop"
	"github.com/weftstream/weft/hadoop/records"
	"github.com/weftstream/weft/yarn/webservice"
)

// application is what the ResourceManager knows of one.
type application struct {
	id          records.ApplicationID
	name, kind  string
	user, queue string
	tags        []string
	state       webservice.State
	final       records.FinalStatus
	diagnostics string
	tracking    string
	progress    float32
	started     time.Time
	finished    time.Time
	maxAttempts int
	keep        bool
	unmanaged   bool // its master is the test, not a container
	amResource  records.Resource
	launch      records.LaunchContext
	attempt     *attempt // the current one
	attempts    []*attempt
}

// attempt is one run of an application's master.
type attempt struct {
	id         records.AttemptID
	registered bool
	host       string
	rpcPort    int32
	responseID int32
	last       *Reply // to the last allocate, for its repetition
	asks       map[askKey]*ask
	missed     map[int32]int // heartbeats passed over for locality, by priority
	allocated  []*container  // granted and not yet handed out
	completed  []*container  // ended and not yet told
	updated    []*node       // whose state changed
	told       map[records.NodeID]bool
	recovered  []*container // of earlier attempts, for the registration
	master     *container
	finishing  bool
	nextID     int64
}

// forget is what a restart of the ResourceManager does to an attempt.
func (a *attempt) forget() {
	if a == nil {
		return
	}
	a.registered, a.responseID, a.last = false, 0, nil
	a.asks, a.missed = make(map[askKey]*ask), make(map[int32]int)
	a.told = make(map[records.NodeID]bool)
	for _, ct := range a.allocated {
		// Granted and never fetched: nobody knows of it.
		ct.kill(records.ExitAborted, "the ResourceManager restarted")
	}
	a.allocated = nil
}

func (c *Cluster) newApplicationID() records.ApplicationID {
	c.nextApp++
	return records.ApplicationID{ClusterTimestamp: c.timestamp, ID: c.nextApp}
}

// newAttempt begins the next attempt of an application.
func (c *Cluster) newAttempt(app *application) *attempt {
	a := &attempt{id: records.AttemptID{Application: app.id, Attempt: int32(len(app.attempts) + 1)}}
	a.forget()
	app.attempt = a
	app.attempts = append(app.attempts, a)
	return a
}

// nextContainerID numbers containers per attempt; the master's is 1.
func (c *Cluster) nextContainerID(a *attempt) records.ContainerID {
	a.nextID++
	return records.ContainerID{Attempt: a.id, ID: c.epoch<<40 | a.nextID}
}

// AddApplication makes an application whose master is the caller: it is waiting
// to be registered with that token. No container runs for it.
func (c *Cluster) AddApplication(name string) (records.AttemptID, hadoop.Token) {
	c.mu.Lock()
	defer c.mu.Unlock()
	app := &application{
		id: c.newApplicationID(), name: name, kind: "Test", user: "test", queue: c.cfg.Queues[0].Name,
		state: webservice.StateAccepted, started: time.Now(), maxAttempts: 1, unmanaged: true,
	}
	c.apps[app.id] = app
	c.order = append(c.order, app)
	a := c.newAttempt(app)
	a.nextID = 1
	c.notify()
	return a.id, c.keys.amrmToken(a.id, c.keys.current)
}

// AddAttempt ends the current attempt of an application made by AddApplication,
// keeps its containers and begins another.
func (c *Cluster) AddAttempt(id records.ApplicationID) (records.AttemptID, hadoop.Token) {
	c.mu.Lock()
	defer c.mu.Unlock()
	app := c.apps[id]
	a := c.newAttempt(app)
	a.nextID = 1
	c.inherit(app, a)
	return a.id, c.keys.amrmToken(a.id, c.keys.current)
}

// inherit hands the live containers of earlier attempts to a new one.
func (c *Cluster) inherit(app *application, a *attempt) {
	for _, ct := range c.sortedContainers() {
		if ct.app == app && !ct.master && (ct.state == containerAcquired || ct.state == containerRunning) {
			a.recovered = append(a.recovered, ct)
		}
	}
}

// masterEnded decides what follows the end of an application master's container.
func (c *Cluster) masterEnded(ct *container) {
	app := ct.app
	if app.state.Ended() || app.attempt.master != ct {
		return
	}
	if app.attempt.finishing {
		c.endApplication(app, webservice.StateFinished, app.final, app.diagnostics)
		return
	}
	why := fmt.Sprintf("AM Container for %s exited with  exitCode: %d\nDiagnostics: %s",
		app.attempt.id, ct.exit, ct.diagnostics)
	if len(app.attempts) >= app.maxAttempts {
		c.endApplication(app, webservice.StateFailed, records.FinalFailed, fmt.Sprintf(
			"Application %s failed %d times due to %s Failing this attempt.", app.id, len(app.attempts), why))
		return
	}
	c.cfg.Log.Info("next attempt", "application", app.id, "reason", why)
	if !app.keep {
		c.killContainers(app)
	}
	a := c.newAttempt(app)
	if app.keep {
		c.inherit(app, a)
	}
	app.state, app.diagnostics = webservice.StateAccepted, why
	c.notify()
}

// endApplication is the end, whatever the reason.
func (c *Cluster) endApplication(app *application, state webservice.State, final records.FinalStatus, diagnostics string) {
	app.state, app.final, app.diagnostics, app.finished = state, final, diagnostics, time.Now()
	c.killContainers(app)
	c.cfg.Log.Info("application ended", "application", app.id, "state", state, "diagnostics", diagnostics)
	c.notify()
}

func (c *Cluster) killContainers(app *application) {
	for _, ct := range c.sortedContainers() {
		if ct.app == app {
			ct.kill(records.ExitKilledAfterAppCompletion, "Container killed by the ResourceManager")
		}
	}
}

// amUsed sums up the application masters of a queue.
func (c *Cluster) amUsed(queue string) records.Resource {
	var sum records.Resource
	for _, ct := range c.containers {
		if ct.master && ct.app.queue == queue && ct.live() {
			sum = sum.Add(ct.resource)
		}
	}
	return sum
}

func (c *Cluster) amLimit(q QueueConfig) records.Resource {
	if q.AMLimit.MemoryMB > 0 {
		return q.AMLimit
	}
	total := c.capacity()
	return records.Resource{MemoryMB: total.MemoryMB / 2, VCores: total.VCores}
}

func (c *Cluster) capacity() records.Resource {
	var total records.Resource
	for _, n := range c.nodes {
		if n.state == records.NodeRunning {
			total = total.Add(n.capability)
		}
	}
	return total
}

func (c *Cluster) queue(name string) (QueueConfig, bool) {
	for _, q := range c.cfg.Queues {
		if q.Name == name || "root."+q.Name == name {
			return q, true
		}
	}
	return QueueConfig{}, false
}
