package jobmaster

import (
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/operator"
	"github.com/weftstream/weft/runtime/ha"
)

// Attempts and pauses of what is repeated at the end of a job; the pause doubles up to maxPause.
const (
	maxAppends = 10
	maxCommits = 10
	firstPause = 100
	maxPause   = 10_000
)

// incomplete ends the message of a job that fails while its output is being committed.
const incomplete = "; the output is complete and recorded, but part of it may not be visible"

func pause(attempts int) int64 { return min(maxPause, int64(firstPause)<<min(attempts-1, 20)) }

// commitment is the part of the core that makes the output of a job visible: once all tasks have finished, one record
// with everything that is to be committed is appended to the epoch log; only then are coordinators told to commit. What
// happens after the record, the output is committed: a coordinator that is lost is deployed again elsewhere, and a new
// JobManager that finds the record and no result goes on from here.
type commitment struct {
	// recovered is an earlier JobMaster's record.
	recovered *linkpb.TaskUpdate
	// decided is the record once it is appended or being appended.
	decided     *linkpb.TaskUpdate
	recorded    bool
	outstanding []*linkpb.OperatorCommit // not acknowledged
	attempts    int
	lastError   string
	// commitSeq numbers the commits that are sent, those of checkpoints too; sentCommits has the latest of each operator.
	commitSeq   int64
	sentCommits map[operator.ID]int64
	ending      linkpb.JobStatus // the final status whose result is being recorded
}

// committing says that all tasks have finished and the job's end is decided.
func (c *core) committing() bool { return c.decided != nil }

// allFinished begins the commit.
func (c *core) allFinished(now int64) {
	c.cp.Stopped(now, "the job has finished")
	c.checkpointActions(now)
	c.decided = &linkpb.TaskUpdate{State: execFinished, Commits: c.lastCommits(), Counters: c.sumCounters()}
	if len(c.decided.Commits) == 0 {
		c.end(now, finished)
		return
	}
	payload, err := proto.MarshalOptions{Deterministic: true}.Marshal(c.decided)
	if err != nil {
		c.defect(now, fmt.Errorf("encode the committed output: %w", err))
		return
	}
	c.append(ha.Record{Kind: ha.KindCommittedOutput, Key: c.id.String(), Payload: payload})
}

// committables gathers what the subtasks handed over, an entry for each operator that commits.
func (c *core) committables() []*linkpb.OperatorCommit {
	byOperator := map[operator.ID]*linkpb.OperatorCommit{}
	var all []*linkpb.OperatorCommit
	for _, k := range c.coordinators {
		if k.commits {
			o := &linkpb.OperatorCommit{Operator: k.id[:]}
			byOperator[k.id] = o
			all = append(all, o)
		}
	}
	c.each(func(e *execution) {
		for _, o := range e.commits {
			t := byOperator[idOf(o.GetOperator())]
			t.Committables = append(t.Committables, o.GetCommittables()...)
		}
	})
	return all
}

// lastCommits are what is left to commit when the job has finished: an entry for each operator that commits, since each is
// told that it is the last.
func (c *core) lastCommits() []*linkpb.OperatorCommit {
	all := c.cp.Uncommitted(c.committables())
	for _, k := range c.coordinators {
		if k.commits && !slices.ContainsFunc(all, func(o *linkpb.OperatorCommit) bool { return idOf(o.GetOperator()) == k.id }) {
			all = append(all, &linkpb.OperatorCommit{Operator: k.id[:]})
		}
	}
	return all
}

// resumeCommit goes on where an earlier JobMaster of the job was lost: nothing runs again.
func (c *core) resumeCommit(now int64) {
	c.each(func(e *execution) { c.transition(now, e, execFinished) })
	c.decided, c.recorded = c.recovered, true
	c.outstanding = slices.Clone(c.decided.GetCommits())
	if len(c.outstanding) == 0 {
		c.end(now, finished)
		return
	}
	c.requireOne(now)
}

// deployCoordinators brings the coordinators that commit to a host and has them commit what is outstanding.
func (c *core) deployCoordinators(now int64, h *host) {
	c.coordinator = h
	c.command(h, &linkpb.ToHost{Message: &linkpb.ToHost_Deploy{Deploy: &linkpb.Deploy{Coordinators: c.coordinatorTasks(true)}}})
	c.sendCommits()
}

func (c *core) sendCommits() {
	c.attempts++
	for _, o := range c.outstanding {
		c.sendCommit(o, true)
	}
}

// sendCommit has an operator's coordinator commit.
func (c *core) sendCommit(o *linkpb.OperatorCommit, last bool) {
	c.commitSeq++
	c.sentCommits[idOf(o.GetOperator())] = c.commitSeq
	c.command(c.coordinator, &linkpb.ToHost{Message: &linkpb.ToHost_Commit{
		Commit: &linkpb.Commit{Operator: o.GetOperator(), Committables: o.GetCommittables(), Last: last, Seq: c.commitSeq}}})
}

// commitDone is a coordinator's answer. A commit that failed is repeated. An answer to anything but the latest commit that the
// operator was sent is left alone: it is late, and would be taken for one to that commit.
func (c *core) commitDone(now int64, h *host, d *linkpb.CommitDone) {
	if d.GetSeq() == 0 || d.GetSeq() != c.sentCommits[idOf(d.GetOperator())] {
		return
	}
	if !c.committing() {
		c.checkpointCommitDone(now, h, d)
		return
	}
	if !c.recorded || h != c.coordinator || c.status != running {
		return
	}
	i := slices.IndexFunc(c.outstanding, func(o *linkpb.OperatorCommit) bool { return string(o.GetOperator()) == string(d.GetOperator()) })
	if i < 0 {
		return
	}
	if d.GetError() == "" {
		c.outstanding = slices.Delete(c.outstanding, i, i+1)
		if len(c.outstanding) == 0 {
			c.commitAt = 0
			c.end(now, finished)
		}
		return
	}
	name := c.operatorOf(idOf(d.GetOperator()))
	c.note("commit of %s failed, attempt %d: %s", name, c.attempts, d.GetError())
	c.lastError = fmt.Sprintf("commit of %s: %s", name, d.GetError())
	if c.attempts >= maxCommits {
		f := c.hostFailure(now, h, fmt.Sprintf("%s (%d attempts)%s", c.lastError, c.attempts, incomplete))
		f.Operator = name
		c.fail(now, f)
		return
	}
	if c.commitAt == 0 {
		c.commitAt = now + pause(c.attempts)
	}
}

// committerGone finds another host for the coordinators if theirs is gone before everything is committed: one the job
// still has, or a new one.
func (c *core) committerGone(now int64, h *host, f FailureDetails) {
	if h != c.coordinator || c.ending != 0 || c.status != running {
		return
	}
	if !c.recorded { // appended goes on from here
		return
	}
	c.commitAt = 0
	if c.attempts >= maxCommits {
		f.Message += incomplete
		c.fail(now, f)
		return
	}
	c.note("the output is to be committed from another host: %s", f.Message)
	for _, other := range c.hosts {
		if !other.gone && c.byHost[other.loc.ResourceID] == other {
			c.deployCoordinators(now, other)
			return
		}
	}
	c.pool, c.deployed = nil, false
	c.emit(releaseAction{reason: "the task host that committed the output has gone"})
	c.requireOne(now)
}

// pendingAppend is the record that is being appended; there is at most one.
type pendingAppend struct {
	record   ha.Record
	attempts int
}

func (c *core) append(r ha.Record) {
	c.appending = &pendingAppend{record: r}
	c.appendAgain()
}

func (c *core) appendAgain() {
	c.appending.attempts++
	c.emit(appendAction{record: c.appending.record})
}

// appended is the outcome of an append. After an error other than ErrFenced and ErrTooLarge the record may be there or
// not, so the same one is appended again; if that keeps failing the job is given up.
func (c *core) appended(now int64, err error) {
	if c.done || c.appending == nil {
		return
	}
	r := c.appending
	switch {
	case err == nil:
		c.appending = nil
		c.recordedNow(now, r.record.Kind)
	case errors.Is(err, ha.ErrTooLarge) && r.record.Kind == ha.KindCommittedOutput:
		c.appending, c.decided = nil, nil
		c.fail(now, c.jobFailure(now, err.Error()))
		c.settle(now)
	case errors.Is(err, ha.ErrFenced) || errors.Is(err, ha.ErrTooLarge) || r.attempts >= maxAppends:
		c.suspend(now, err)
	default:
		c.note("append to the epoch log failed, attempt %d: %s", r.attempts, err)
		c.appendAt = now + pause(r.attempts)
	}
}

func (c *core) recordedNow(now int64, kind ha.Kind) {
	if kind == ha.KindJobResult {
		c.ended(now)
		return
	}
	c.recorded = true
	c.outstanding = slices.Clone(c.decided.GetCommits())
	if c.status != running { // it failed while the record was on its way: a coordinator that can't commit, for instance
		c.failures[0].Message += incomplete
		c.settle(now)
		return
	}
	if c.coordinator.gone {
		c.committerGone(now, c.coordinator, c.hostFailure(now, c.coordinator, "the coordinators' host is gone"))
		return
	}
	c.sendCommits()
}

// end frees what the job holds and records its result.
func (c *core) end(now int64, status linkpb.JobStatus) {
	if c.done || c.appending != nil {
		return
	}
	c.clearDeadlines()
	c.ending = status
	c.emit(releaseAction{reason: "the job is " + status.String()})
	payload, err := proto.Marshal(c.result(now))
	if err != nil {
		c.defect(now, fmt.Errorf("encode the job's result: %w", err))
		return
	}
	c.append(ha.Record{Kind: ha.KindJobResult, Key: c.id.String(), Payload: payload})
}

// ended is the end, with the result recorded.
func (c *core) ended(now int64) {
	result := c.result(now)
	if clean, ok := c.cp.Ended(now, c.ending); ok {
		c.emit(cleanAction{clean})
	}
	c.checkpointActions(now)
	whyNot := ""
	if c.ending != finished {
		whyNot = fmt.Sprintf("it is %s", c.ending)
	}
	c.tellStopped(whyNot)
	c.setStatus(now, c.ending)
	if c.done {
		return // an illegal transition has suspended the job
	}
	c.done = true
	c.clearDeadlines()
	c.emit(endAction{result: result})
}

func (c *core) result(now int64) *linkpb.JobResult {
	start := c.timestamps[initializing]
	r := &linkpb.JobResult{JobId: c.id[:], Status: c.ending, Name: c.g.GetName(), StartMs: start, EndMs: now, RuntimeMs: max(0, now-start),
		Counters: c.sumCounters()}
	if c.ending == failed && len(c.failures) > 0 {
		r.Failure = c.failures[0].proto()
	}
	return r
}

// sumCounters adds the counters of all subtasks by name.
func (c *core) sumCounters() map[string]int64 {
	if c.recovered != nil {
		return c.recovered.GetCounters()
	}
	sum := map[string]int64{}
	c.each(func(e *execution) {
		for name, n := range e.counters {
			sum[name] += n
		}
	})
	return sum
}
