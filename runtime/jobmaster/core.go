package jobmaster

import (
	"fmt"
	"slices"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/operator"
	"github.com/weftstream/weft/runtime/checkpoint"
)

// settings are the options of the core; times are in milliseconds.
type settings struct {
	slotTimeout   int64
	cancelTimeout int64 // 0: never
	history       int   // failures kept
	checkpoints   checkpoint.Config
	restart       checkpoint.RestartStrategy
	failover      string // what restarts after a failure: failoverRegion, or everything
	// ignoreUnclaimed leaves out state that no operator claims.
	ignoreUnclaimed bool
	// claim makes the job the owner of the checkpoint that it is started from.
	claim bool
	run   string // tells this JobMaster from earlier ones of the job
	// uncheckpointed says that the job takes no checkpoints, as it is a batch, although an interval is configured.
	uncheckpointed bool
	// whole says that checkpoints are whole, having no directory, although incremental ones are configured.
	whole bool
	scalingSettings
}

// failoverRegion is the value of jobmanager.execution.failover-strategy with which only the affected regions restart.
const failoverRegion = "region"

// settingsOf reads a job's configuration; bounded says that all its sources end.
func settingsOf(c conf.Configuration, bounded bool) settings {
	cp := checkpoint.ConfigOf(c)
	without := cp.Interval > 0 && conf.Batch(c, bounded)
	if without {
		cp.Interval = 0
	}
	return settings{
		uncheckpointed: without,
		whole:          cp.Interval > 0 && !cp.Incremental && conf.Get(c, conf.ExecutionCheckpointingIncremental),
		checkpoints:    cp, restart: checkpoint.NewRestartStrategy(c, cp.Interval > 0),
		ignoreUnclaimed: conf.Get(c, conf.ExecutionStateRecoveryIgnoreUnclaimedState),
		failover:        conf.Get(c, conf.JobManagerExecutionFailoverStrategy),
		claim:           conf.Get(c, conf.ExecutionStateRecoveryClaimMode) == "CLAIM",
		slotTimeout:     conf.Get(c, conf.SlotRequestTimeout).Milliseconds(),
		cancelTimeout:   conf.Get(c, conf.TaskCancellationTimeout).Milliseconds(),
		history:         max(1, conf.Get(c, conf.WebExceptionHistorySize)),
		scalingSettings: scalingSettingsOf(c),
	}
}

// causeTime is how long a failure that follows from something else waits for its cause, in milliseconds.
const causeTime = 500

// maxText bounds a failure's message and maxStack its stack, in bytes: both go into the result and the epoch log.
const (
	maxText  = 4 << 10
	maxStack = 64 << 10
)

// core decides. Every method is an event at a time in Unix milliseconds; what follows from it is in actions, which the
// caller takes, in order, after each event.
type core struct {
	*executionGraph
	settings
	g  *graph.JobGraph
	id graph.JobID

	status     linkpb.JobStatus
	timestamps [StatusCount]int64
	modified   int64

	slotPool
	coordination
	commitment
	failures  []FailureDetails // newest first
	truncated bool
	suspect   *FailureDetails // a secondary failure that waits for its cause
	suspectIn regionSet
	appending *pendingAppend
	done      bool

	checkpointing
	restartPlan
	scaling

	// Deadlines, 0 where there is none.
	slotsBy, causeBy, cancelBy, appendAt, commitAt, restartAt int64

	actions []action
}

// newCore makes the core of a job that was submitted now. committed is what an earlier JobMaster of the job has recorded
// as its output, nil if nothing.
func newCore(g *graph.JobGraph, s settings, committed *linkpb.TaskUpdate, now int64) (*core, error) {
	x, err := newExecutionGraph(g, now)
	if err != nil {
		return nil, fmt.Errorf("make the execution graph of job %q: %w", g.GetName(), err)
	}
	c := &core{executionGraph: x, settings: s, g: g, id: g.ID(), status: initializing, modified: now}
	c.timestamps[initializing] = now
	c.byHost = map[string]*host{}
	c.requests = map[int64]request{}
	c.sentCommits = map[operator.ID]int64{}
	c.recovered = committed
	if c.restart == nil {
		c.restart = checkpoint.NewRestartStrategy(conf.Configuration{}, false)
	}
	c.cp = checkpoint.New(s.checkpoints, g, s.run, nil, nil)
	return c, nil
}

func (c *core) emit(a action) { c.actions = append(c.actions, a) }

func (c *core) note(format string, args ...any) {
	c.emit(noteAction{text: fmt.Sprintf(format, args...)})
}

// take returns the actions of the events since the last call.
func (c *core) take() []action {
	a := c.actions
	c.actions = nil
	return a
}

// start begins the job: its need is declared.
func (c *core) start(now int64) {
	c.setStatus(now, created)
	c.setStatus(now, running)
	if c.uncheckpointed {
		c.note("no checkpoints are taken: the job runs as a batch, and after a failure begins anew; execution.runtime-mode STREAMING takes them")
	}
	if c.whole {
		c.note("checkpoints are not incremental (execution.checkpointing.incremental), since there is no directory for them: set execution.checkpointing.dir")
	}
	if c.recovered != nil {
		c.resumeCommit(now)
		return
	}
	err := c.bound(now)
	if err == nil {
		err = c.assign(now)
	}
	if err != nil {
		c.each(func(e *execution) { c.transition(now, e, execScheduled) })
		c.refuse(now, err)
		return
	}
	c.each(func(e *execution) { c.transition(now, e, execScheduled) })
	c.require(now)
}

// refuse fails a job that can't be started: another attempt would fail as well.
func (c *core) refuse(now int64, err error) {
	c.failures = slices.Insert(c.failures, 0, c.jobFailure(now, err.Error()))
	c.note("job fails: %s", err)
	c.setStatus(now, failing)
	c.stopTasks(now)
}

// active says that the job runs and nothing has gone wrong.
func (c *core) active() bool {
	return c.status == initializing || c.status == created || c.status == running || c.status == restarting
}

// next is when tick has something to do; ok is false while nothing is.
func (c *core) next() (at int64, ok bool) {
	cp, _ := c.cp.Next()
	for _, t := range []int64{c.slotsBy, c.causeBy, c.cancelBy, c.appendAt, c.commitAt, c.restartAt, c.stableAt, c.rescaleAt, c.rescaleBy, cp} {
		if t != 0 && (!ok || t < at) {
			at, ok = t, true
		}
	}
	return at, ok
}

// tick does what has become due.
func (c *core) tick(now int64) {
	due := func(deadline *int64) bool {
		if *deadline == 0 || now < *deadline {
			return false
		}
		*deadline = 0
		return true
	}
	if due(&c.slotsBy) {
		c.slotsTimedOut(now)
	}
	if due(&c.causeBy) && c.suspect != nil {
		c.failIn(now, *c.suspect, c.suspectIn)
	}
	if due(&c.cancelBy) {
		c.cancellationTimedOut(now)
	}
	if due(&c.appendAt) {
		c.appendAgain()
	}
	if due(&c.commitAt) {
		if c.committing() {
			c.sendCommits()
		} else {
			c.sendCheckpointCommits()
		}
	}
	if due(&c.restartAt) {
		c.redeploy(now)
	}
	if due(&c.stableAt) {
		c.stabilized(now)
	}
	if due(&c.rescaleAt) {
		c.prepareRescale(now)
	}
	if due(&c.rescaleBy) {
		c.rescaleOverdue(now)
	}
	c.cp.Tick(now)
	c.checkpointActions(now)
}

// defect stops a job whose core has contradicted itself. Its output isn't committed and no result recorded.
func (c *core) defect(now int64, err error) { c.suspend(now, fmt.Errorf("internal error: %w", err)) }

// suspend gives the job up without a result, so that another JobManager may go on with it.
func (c *core) suspend(now int64, err error) {
	if c.done {
		return
	}
	c.note("job %s → %s: %s", c.status, suspended, err)
	c.status = suspended
	c.timestamps[suspended], c.modified = now, now
	c.cp.Stopped(now, err.Error())
	c.checkpointActions(now)
	c.tellStopped(err.Error())
	c.clearDeadlines()
	c.done = true
	c.emit(releaseAction{reason: "the job is suspended: " + err.Error()})
	c.emit(endAction{err: err})
}

func (c *core) clearDeadlines() {
	c.slotsBy, c.causeBy, c.cancelBy, c.appendAt, c.commitAt, c.restartAt = 0, 0, 0, 0, 0, 0
	c.stableAt, c.rescaleAt, c.rescaleBy = 0, 0, 0
}

// operatorOf shows an operator by name.
func (c *core) operatorOf(id operator.ID) string {
	if n := c.operatorName[id]; n != "" {
		return n
	}
	return id.String()
}
