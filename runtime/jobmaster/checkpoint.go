package jobmaster

import (
	"fmt"
	"slices"

	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/runtime/checkpoint"
	"github.com/weftstream/weft/runtime/checkpoint/checkpointpb"
)

// checkpointing is the part of the core that takes checkpoints: it carries out what the checkpoint coordinator decides.
type checkpointing struct {
	cp *checkpoint.Coordinator
	// initial is the savepoint or checkpoint that the job was started from; nil without.
	initial *checkpointpb.Metadata
	// restore is what the present executions started from.
	restore checkpoint.Assignment
	// checkpointCommits are those of completed checkpoints, oldest first; the first is under way.
	checkpointCommits []*checkpointCommit
	// stopAt is the savepoint after whose commits the job is to end; stopped says that it does.
	stopAt  int64
	stopped bool
	// stopRequest is the latest request for a savepoint that ends the job, and stopAnswer that it is complete: whoever asked is told
	// once the job has ended, or that it doesn't.
	stopRequest int64
	stopAnswer  *checkpoint.Answer
}

// checkpointCommit is what a completed checkpoint has sinks commit.
type checkpointCommit struct {
	id          int64
	outstanding []*linkpb.OperatorCommit
	attempts    int
}

// startFrom makes the job start from a checkpoint: of an earlier JobMaster, with its record, or one that the user names.
func (c *core) startFrom(now int64, pointer *checkpointpb.Pointer, md *checkpointpb.Metadata) {
	if pointer != nil {
		c.cp = checkpoint.New(c.checkpoints, c.g, c.run, pointer, md)
		return
	}
	c.initial = md
}

// state is the checkpoint that a start begins with; nil for none.
func (c *core) state() *checkpointpb.Metadata {
	if md := c.cp.Latest(); md != nil {
		return md
	}
	return c.initial
}

// spread spreads the state over the subtasks.
func (c *core) spread() error {
	c.restore = checkpoint.Assignment{}
	md := c.state()
	if md == nil {
		return nil
	}
	a, err := checkpoint.Assign(md, c.g, c.ignoreUnclaimed)
	if err != nil {
		return fmt.Errorf("start from checkpoint %d in %s: %w", md.GetCheckpoint(), md.GetDirectory(), err)
	}
	c.restore = *a
	return nil
}

// assign spreads the state over the subtasks, and notes that the job starts from it.
func (c *core) assign(now int64) error {
	if err := c.spread(); err != nil || c.state() == nil {
		return err
	}
	md := c.state()
	if md == c.initial {
		c.cp.StartFrom(md, c.claim)
	}
	if c.wholeJob() {
		c.cp.Restored(now, md)
	} else {
		c.cp.RegionRestored(now, md)
	}
	c.note("starts from checkpoint %d in %s", md.GetCheckpoint(), md.GetDirectory())
	return nil
}

// allRunning begins with checkpoints once every task runs, or has come to its end already.
func (c *core) allRunning(now int64) {
	if c.status != running {
		return
	}
	for _, v := range c.vertices {
		if v.counts[execRunning]+v.counts[execFinished] != len(v.subtasks) {
			return
		}
	}
	var tasks []checkpoint.Task
	c.each(func(e *execution) { tasks = append(tasks, checkpoint.Task{ID: e.id(), Source: e.v.pb.GetSource()}) })
	c.cp.Started(now, tasks)
	c.each(func(e *execution) {
		if e.state == execFinished {
			c.cp.TaskFinished(now, e.id(), e.last, e.commits)
		}
	})
	c.checkpointActions(now)
	c.consider(now)
}

func (c *core) taskFinished(now int64, e *execution) {
	c.cp.TaskFinished(now, e.id(), e.last, e.commits)
	c.checkpointActions(now)
	c.allRunning0(now)
}

// allRunning0 covers a task that was the last to come up and has finished at once.
func (c *core) allRunning0(now int64) {
	if !c.cp.Running() && c.unfinished > 0 {
		c.allRunning(now)
	}
}

// checkpointActions carries out what the checkpoint coordinator wants.
func (c *core) checkpointActions(now int64) {
	var rescale *checkpoint.Answer
	defer func() {
		if rescale != nil {
			c.rescalePrepared(now, rescale)
		}
	}()
	for _, a := range c.cp.Take() {
		switch a := a.(type) {
		case checkpoint.Prepare, checkpoint.Store, checkpoint.Discard:
			c.emit(checkpointAction{a})
		case checkpoint.SnapshotCoordinators:
			if c.coordinator != nil && !c.coordinator.gone {
				c.command(c.coordinator, &linkpb.ToHost{Message: &linkpb.ToHost_SnapshotCoordinators{
					SnapshotCoordinators: &linkpb.SnapshotCoordinators{Checkpoint: a.ID}}})
			}
		case checkpoint.TriggerTasks:
			c.triggerTasks(a)
		case checkpoint.Notify:
			if a.ID == c.stopAt && !a.Complete {
				c.stopAt = 0
			}
			c.toHosts(func(*host) *linkpb.ToHost {
				return &linkpb.ToHost{Message: &linkpb.ToHost_CheckpointNotice{CheckpointNotice: &linkpb.CheckpointNotice{Checkpoint: a.ID, Complete: a.Complete, Expired: a.Expired}}}
			})
		case checkpoint.Commit:
			c.commitCheckpoint(now, a.ID, a.Commits)
		case checkpoint.Answer:
			switch {
			case a.Request == rescaleRequest:
				rescale = &a
			case a.Request == c.stopRequest && a.Err == nil:
				c.stopAnswer = &a
			default:
				c.emit(answerAction{a})
			}
		case checkpoint.Fail:
			c.fail(now, c.jobFailure(now, a.Reason))
		case checkpoint.Note:
			c.note("%s", a.Text)
		}
	}
}

// toHosts sends to every host that has tasks.
func (c *core) toHosts(message func(*host) *linkpb.ToHost) {
	seen := map[*host]bool{}
	c.each(func(e *execution) {
		if e.host != nil && !e.host.gone {
			seen[e.host] = true
		}
	})
	if c.coordinator != nil && !c.coordinator.gone {
		seen[c.coordinator] = true
	}
	for _, h := range c.hosts {
		if seen[h] {
			c.command(h, message(h))
		}
	}
}

func (c *core) triggerTasks(a checkpoint.TriggerTasks) {
	sources := map[*host][]*linkpb.ExecutionID{}
	for _, id := range a.Sources {
		e := c.byID[idOf(id.GetVertex())].subtasks[id.GetSubtask()]
		sources[e.host] = append(sources[e.host], id)
	}
	if a.Options.GetStop() && !a.Options.GetDrain() {
		c.stopAt = a.ID
	}
	c.toHosts(func(h *host) *linkpb.ToHost {
		return &linkpb.ToHost{Message: &linkpb.ToHost_TriggerCheckpoint{TriggerCheckpoint: &linkpb.TriggerCheckpoint{
			Checkpoint: a.ID, Options: a.Options, Sources: sources[h]}}}
	})
}

// commitCheckpoint has sinks commit what a completed checkpoint holds, after what earlier ones hold.
func (c *core) commitCheckpoint(now int64, id int64, commits []*linkpb.OperatorCommit) {
	k := &checkpointCommit{id: id}
	for _, o := range commits {
		if op := c.byOperator[idOf(o.GetOperator())]; op != nil && op.commits {
			k.outstanding = append(k.outstanding, o)
		}
	}
	c.checkpointCommits = append(c.checkpointCommits, k)
	if len(c.checkpointCommits) == 1 {
		c.nextCheckpointCommit(now)
	}
}

// nextCheckpointCommit goes on with the first checkpoint that has something left to commit.
func (c *core) nextCheckpointCommit(now int64) {
	for len(c.checkpointCommits) > 0 && len(c.checkpointCommits[0].outstanding) == 0 {
		id := c.checkpointCommits[0].id
		c.cp.Committed(id)
		c.checkpointCommits = slices.Delete(c.checkpointCommits, 0, 1)
		if c.stopAt != 0 && id == c.stopAt && c.status == running {
			c.stopped = true
			c.note("stopped with savepoint %d", id)
			c.stopTasks(now)
			return
		}
	}
	if c.rescaleAfter != 0 && !c.commits(c.rescaleAfter) && c.status == running && !c.committing() {
		c.rescale(now)
		if c.status != running {
			return
		}
	}
	c.sendCheckpointCommits()
}

// commits says that what checkpoint id, or one before it, holds is still being committed.
func (c *core) commits(id int64) bool {
	return slices.ContainsFunc(c.checkpointCommits, func(k *checkpointCommit) bool { return k.id <= id })
}

func (c *core) sendCheckpointCommits() {
	if len(c.checkpointCommits) > 0 {
		c.checkpointCommits[0].attempts++
		c.sendCheckpointCommitsOf(func(*coordinated) bool { return true })
	}
}

// sendCheckpointCommitsOf sends what is under way to those operators whose coordinators run. The others get it when they are
// deployed again.
func (c *core) sendCheckpointCommitsOf(which func(*coordinated) bool) {
	if len(c.checkpointCommits) == 0 {
		return
	}
	for _, o := range c.checkpointCommits[0].outstanding {
		if op := c.byOperator[idOf(o.GetOperator())]; !c.coordinates(op) || !which(op) {
			continue
		}
		c.sendCommit(o, false)
	}
}

// checkpointCommitDone is a coordinator's answer to the commit of a checkpoint. One that failed is repeated; if that keeps
// failing the job does, too.
func (c *core) checkpointCommitDone(now int64, h *host, d *linkpb.CommitDone) {
	op := c.byOperator[idOf(d.GetOperator())]
	if h != c.coordinator || op == nil || !c.coordinates(op) || c.status != running && c.status != restarting || len(c.checkpointCommits) == 0 {
		return
	}
	k := c.checkpointCommits[0]
	i := slices.IndexFunc(k.outstanding, func(o *linkpb.OperatorCommit) bool { return string(o.GetOperator()) == string(d.GetOperator()) })
	if i < 0 {
		return
	}
	if d.GetError() == "" {
		k.outstanding = slices.Delete(k.outstanding, i, i+1)
		if len(k.outstanding) == 0 {
			c.commitAt = 0
			c.nextCheckpointCommit(now)
			c.settle(now)
		}
		return
	}
	name := c.operatorOf(idOf(d.GetOperator()))
	c.note("commit of checkpoint %d at %s failed, attempt %d: %s", k.id, name, k.attempts, d.GetError())
	if k.attempts >= maxCommits {
		f := c.hostFailure(now, h, fmt.Sprintf("commit of checkpoint %d at %s: %s (%d attempts)", k.id, name, d.GetError(), k.attempts))
		f.Operator = name
		c.failIn(now, f, regionSet{op.v.region: true})
		return
	}
	if c.commitAt == 0 {
		c.commitAt = now + pause(k.attempts)
	}
}

// stored is the outcome of storing a checkpoint. logged says that the error is the epoch log's: then the record may be there
// or not, and nobody but the next JobManager can tell.
func (c *core) stored(now int64, id int64, pointer *checkpointpb.Pointer, err error, logged bool) {
	if c.done {
		return
	}
	if err != nil && logged {
		c.suspend(now, err)
		return
	}
	c.cp.Stored(now, id, pointer, err)
	c.checkpointActions(now)
	c.settle(now)
}

// trigger asks for a savepoint or a checkpoint.
func (c *core) trigger(now int64, r checkpoint.Request) {
	if c.done || c.status != running || c.committing() {
		c.emit(answerAction{checkpoint.Answer{Request: r.ID, Err: fmt.Errorf("%w: the job is %s", checkpoint.ErrNotRunning, c.status)}})
		return
	}
	if r.Stop && !c.cp.Stopping() {
		c.stopRequest = r.ID
	}
	c.cp.Trigger(now, r)
	c.checkpointActions(now)
}

// tellStopped answers whoever asked for a savepoint that ends the job, once that is complete: the job has ended so, or why not is
// what happens to it instead.
func (c *core) tellStopped(whyNot string) {
	a := c.stopAnswer
	if a == nil {
		return
	}
	if whyNot != "" {
		a.Err = fmt.Errorf("%w: %s; the savepoint is %s", checkpoint.ErrNotStopped, whyNot, a.Path)
	}
	c.emit(answerAction{*a})
	c.stopAnswer = nil
}
