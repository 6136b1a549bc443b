package checkpoint

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/runtime/checkpoint/checkpointpb"
)

// check goes on with a checkpoint that has everything.
func (c *Coordinator) check(now int64, p *pending) {
	if p.phase != acknowledging {
		return
	}
	for _, t := range c.tasks {
		if !t.finished && p.acks[keyOf(t.ID)] == nil {
			return
		}
	}
	p.phase = storable
	c.storeNext(now)
}

// storeNext stores the oldest checkpoint that has everything; those before it that haven't are superseded.
func (c *Coordinator) storeNext(now int64) {
	if c.storing != nil {
		return
	}
	for _, p := range c.pending {
		if p.phase == storable {
			c.store(now, p)
			return
		}
	}
}

func (c *Coordinator) store(now int64, p *pending) {
	c.storing, p.phase = p, storing
	md := &checkpointpb.Metadata{Version: FormatVersion, Checkpoint: p.id, JobId: c.g.GetJobId(), JobName: c.g.GetName(), Savepoint: p.savepoint(),
		TimestampMs: p.options.GetTimestampMs(), CompletedMs: now, Directory: p.options.GetDirectory(), Coordinators: p.coordinators}
	var commits []*linkpb.OperatorCommit
	for _, v := range c.g.GetVertices() {
		out := &checkpointpb.Vertex{Id: v.GetId(), Parallelism: v.GetParallelism(), MaxParallelism: v.GetMaxParallelism()}
		for i := range v.GetParallelism() {
			state, committable := c.stateOf(p, key{string(v.GetId()), i}, now)
			if state == nil {
				state = &linkpb.TaskState{}
			}
			out.Subtasks = append(out.Subtasks, state)
			commits = append(commits, committable...)
		}
		md.Vertices = append(md.Vertices, out)
		for _, o := range v.GetOperators() {
			md.Operators = append(md.Operators, &checkpointpb.Operator{Id: o.GetId(), Uid: o.GetUid(), Name: o.GetName(),
				Parallelism: v.GetParallelism(), MaxParallelism: v.GetMaxParallelism()})
		}
	}
	p.commits = c.fresh(commits)
	md.Commits = c.withOwed(p, commits)
	p.metadata, p.needs = md, Outside(md)
	c.shared.note(p.needs, true)
	if !p.savepoint() { // which will have copies of its own
		md.Shared = p.needs
	}
	p.record.StateSize = bytesOf(md)
	pointer := c.record(p)
	if md.GetDirectory() == "" {
		data, err := EncodeMetadata(md)
		if err != nil {
			c.storing = nil
			c.abort(now, p, err.Error(), true)
			return
		}
		pointer.Inline = data
	}
	c.emit(Store{Metadata: md, Pointer: pointer})
}

// record is what the epoch log is to say with a new checkpoint: that it is the latest, or once more which one is.
func (c *Coordinator) record(p *pending) *checkpointpb.Pointer {
	if c.overtook(p) {
		same := c.Pointer()
		same.Next = c.next
		return same
	}
	pointer := &checkpointpb.Pointer{Path: p.metadata.GetDirectory(), Checkpoint: p.id, Next: c.next, Older: c.retained()}
	pointer.Superseded = c.superseded(pointer)
	return pointer
}

// overtook says that a newer checkpoint completed before p, which is a savepoint then. The job must not go on from p: what came
// between the two, sinks have committed and sources have let go.
func (c *Coordinator) overtook(p *pending) bool { return p.id < c.pointer.GetCheckpoint() }

// stateOf is what a subtask contributes: its acknowledgement, or the state in which it finished.
func (c *Coordinator) stateOf(p *pending, k key, now int64) (*linkpb.TaskState, []*linkpb.OperatorCommit) {
	if a := p.acks[k]; a != nil {
		return a.GetState(), a.GetCommits()
	}
	t := c.byKey[k]
	if t == nil {
		return nil, nil
	}
	c.recordTask(p.record, t, SubtaskRecord{Index: int(k.subtask), Acknowledged: now, StateSize: t.final.GetBytes(), Finished: true})
	p.record.Acknowledged++
	return t.final, t.commits
}

// fresh merges commits by operator and leaves out what an earlier checkpoint has committed: tasks repeat committables until
// they hear that a checkpoint with them is complete.
func (c *Coordinator) fresh(all []*linkpb.OperatorCommit) []*linkpb.OperatorCommit {
	var merged []*linkpb.OperatorCommit
	by := map[string]*linkpb.OperatorCommit{}
	seen := map[string]bool{}
	for _, o := range all {
		for _, what := range o.GetCommittables() {
			k := string(o.GetOperator()) + string(what)
			if c.committed[k] != 0 {
				c.committed[k] = c.next - 1 // a task that has ended does so as long as the job runs
				continue
			}
			if seen[k] {
				continue
			}
			seen[k] = true
			m := by[string(o.GetOperator())]
			if m == nil {
				m = &linkpb.OperatorCommit{Operator: o.GetOperator()}
				by[string(o.GetOperator())] = m
				merged = append(merged, m)
			}
			m.Committables = append(m.Committables, what)
		}
	}
	return merged
}

// Uncommitted is what of all that finished tasks handed over no checkpoint has committed: what the end of the job commits.
func (c *Coordinator) Uncommitted(all []*linkpb.OperatorCommit) []*linkpb.OperatorCommit {
	return c.fresh(all)
}

// withOwed adds to p's commits what earlier checkpoints have yet to commit, in front. Of what newer ones have, it is what p's
// tasks handed over, too: all.
func (c *Coordinator) withOwed(p *pending, all []*linkpb.OperatorCommit) []*linkpb.OperatorCommit {
	var owed []*linkpb.OperatorCommit
	add := func(list []*linkpb.OperatorCommit) {
		for _, o := range list {
			i := slices.IndexFunc(owed, func(a *linkpb.OperatorCommit) bool { return bytes.Equal(a.GetOperator(), o.GetOperator()) })
			if i < 0 {
				i = len(owed)
				owed = append(owed, &linkpb.OperatorCommit{Operator: o.GetOperator()})
			}
			owed[i].Committables = append(owed[i].Committables, o.GetCommittables()...)
		}
	}
	for _, o := range c.owed {
		if o.id > p.id {
			add(among(o.commits, all))
			continue
		}
		add(o.commits)
	}
	add(p.commits)
	return owed
}

// among are those of some commits that are in all.
func among(some, all []*linkpb.OperatorCommit) (both []*linkpb.OperatorCommit) {
	in := map[string]bool{}
	for _, o := range all {
		for _, what := range o.GetCommittables() {
			in[string(o.GetOperator())+string(what)] = true
		}
	}
	for _, o := range some {
		k := &linkpb.OperatorCommit{Operator: o.GetOperator()}
		for _, what := range o.GetCommittables() {
			if in[string(o.GetOperator())+string(what)] {
				k.Committables = append(k.Committables, what)
			}
		}
		if len(k.Committables) > 0 {
			both = append(both, k)
		}
	}
	return both
}

// Stored is the outcome of Store.
func (c *Coordinator) Stored(now int64, id int64, pointer *checkpointpb.Pointer, err error) {
	p := c.storing
	if p == nil || p.id != id {
		return
	}
	c.storing = nil
	if err != nil {
		c.abort(now, p, err.Error(), true)
		c.storeNext(now)
		return
	}
	c.remove(p)
	c.failures, c.lastEnd = 0, now
	overtaken := c.overtook(p)
	if c.pointer = pointer; !overtaken {
		c.latest = p.metadata
	}
	c.shared.completed(p)
	for _, o := range p.commits {
		for _, what := range o.GetCommittables() {
			c.committed[string(o.GetOperator())+string(what)] = id
		}
	}
	for k, in := range c.committed {
		if in < id-committedMemory {
			delete(c.committed, k)
		}
	}
	r := p.record
	r.Status, r.End = Completed, now
	c.stats.Counts.Completed++
	c.stats.LatestCompleted = r
	if p.savepoint() {
		c.stats.LatestSavepoint = r
	}
	c.owed = append(c.owed, owed{id: id, commits: p.commits})
	c.emit(Commit{ID: id, Commits: p.commits})
	c.emit(Notify{ID: id, Complete: true})
	if !overtaken {
		c.RemoveSuperseded()
	}
	answer := func(r *Request) {
		if r != nil {
			c.emit(Answer{Request: r.ID, ID: id, Path: p.metadata.GetDirectory()})
		}
	}
	answer(p.request)
	for _, older := range slices.Clone(c.pending) {
		if older.id < id && !older.savepoint() {
			answer(older.request) // this one was begun after it was asked for
			older.request = nil
			c.abort(now, older, fmt.Sprintf("checkpoint %d completed before it", id), false)
		}
	}
	c.storeNext(now)
}

// Recommit is what is to be committed again after Restored, as a Commit.
func (c *Coordinator) Recommit() (id int64, commits []*linkpb.OperatorCommit) {
	if len(c.owed) == 0 {
		return 0, nil
	}
	return c.owed[0].id, c.owed[0].commits
}

// Committed says that sinks have committed what checkpoint id, and those before it, hold.
func (c *Coordinator) Committed(id int64) {
	c.owed = slices.DeleteFunc(c.owed, func(o owed) bool { return o.id <= id })
}

// Pointer is the record of the latest checkpoint; nil when there is none.
func (c *Coordinator) Pointer() *checkpointpb.Pointer {
	if c.pointer == nil {
		return nil
	}
	return proto.CloneOf(c.pointer)
}

// StartFrom says that the job is started from a checkpoint that no JobMaster of it has recorded. With claim it is the job's
// own from now on: it goes when it is superseded, savepoint or not. Otherwise nothing of it is ever touched.
func (c *Coordinator) StartFrom(md *checkpointpb.Metadata, claim bool) {
	c.initial = md.GetDirectory()
	if claim && c.pointer == nil {
		c.claimed = &checkpointpb.Retained{Path: md.GetDirectory(), Checkpoint: md.GetCheckpoint()}
		c.Needs(md.GetDirectory(), Outside(md))
	}
}

// completed are the checkpoints that the latest record keeps, newest first; before there is one, that which was claimed.
func (c *Coordinator) completed() []*checkpointpb.Retained {
	switch {
	case c.pointer != nil:
		latest := &checkpointpb.Retained{Path: c.pointer.GetPath(), Checkpoint: c.pointer.GetCheckpoint(), Savepoint: c.latest.GetSavepoint()}
		return append([]*checkpointpb.Retained{latest}, c.pointer.GetOlder()...)
	case c.claimed != nil:
		return []*checkpointpb.Retained{c.claimed}
	}
	return nil
}

// retained lists what is kept beside the checkpoint that is being stored.
func (c *Coordinator) retained() []*checkpointpb.Retained {
	var kept []*checkpointpb.Retained
	n := 1
	for _, r := range c.completed() {
		if r.GetSavepoint() || r.GetPath() == "" {
			continue // the user's, or gone with its record
		}
		if n < c.cfg.Retained {
			kept = append(kept, r)
			n++
		}
	}
	return kept
}

// superseded lists what the record of a new checkpoint no longer keeps.
func (c *Coordinator) superseded(next *checkpointpb.Pointer) []string {
	keep := map[string]bool{next.GetPath(): true}
	for _, r := range next.GetOlder() {
		keep[r.GetPath()] = true
	}
	var gone []string
	for _, r := range c.completed() {
		if !r.GetSavepoint() && r.GetPath() != "" && !keep[r.GetPath()] {
			gone = append(gone, r.GetPath())
		}
	}
	return gone
}

// RemoveSuperseded removes what the latest record has superseded. A JobMaster that takes a job over calls it, when it has said what
// those checkpoints need: the one before may have ended between the record and the removal.
func (c *Coordinator) RemoveSuperseded() {
	gone := c.pointer.GetSuperseded()
	for _, r := range c.stats.History {
		r.Discarded = r.Discarded || slices.Contains(gone, r.Path)
	}
	c.sweep(Discard{Directories: slices.Clone(gone)})
}

// Ended says that the job has ended with a status, and what of its checkpoints goes with it. Savepoints stay; ok is false if
// there can be nothing to remove.
func (c *Coordinator) Ended(now int64, status linkpb.JobStatus) (clean Clean, ok bool) {
	c.Stopped(now, "the job has ended")
	clean = Clean{Base: c.cfg.Directory, PerJob: c.cfg.PerJob, Job: c.g.ID(), Aborted: slices.Clone(c.left)}
	if c.cfg.Interval == 0 && c.stats.Counts.Total == 0 {
		clean.Base = "" // nobody has written anything there
	}
	if !c.retains(status) {
		clean.Directories = c.superseded(&checkpointpb.Pointer{})
	}
	if p := c.storing; p != nil && p.options.GetDirectory() != "" { // it may be complete, and nobody hears of that any more
		switch {
		case p.savepoint():
			clean.Aborted = append(clean.Aborted, p.options.GetDirectory())
		case !c.keeps(status):
			clean.Directories = append(clean.Directories, p.options.GetDirectory())
		}
	}
	if c.initial != "" {
		clean.Keep = append(clean.Keep, c.initial)
	}
	for _, r := range c.completed() {
		if !r.GetSavepoint() && r.GetPath() != "" { // a savepoint needs nothing outside of its directory
			clean.Keep = append(clean.Keep, r.GetPath())
		}
	}
	clean.Keep = slices.DeleteFunc(clean.Keep, func(dir string) bool { return slices.Contains(clean.Directories, dir) })
	clean.Shared = c.disowned(clean.Keep)
	return clean, clean.Base != "" || len(clean.Directories)+len(clean.Aborted) > 0
}

// retains says that checkpoints outlive a job that ends with status. What was claimed also does unless the job has finished
// or superseded it: it may be all that there is of the state.
func (c *Coordinator) retains(status linkpb.JobStatus) bool {
	return c.pointer == nil && status != linkpb.JobStatus_FINISHED || c.keeps(status)
}

// keeps says that the job's own checkpoints outlive it.
func (c *Coordinator) keeps(status linkpb.JobStatus) bool {
	switch c.cfg.Retention {
	case RetainOnCancel:
		return status != linkpb.JobStatus_FINISHED
	case DeleteOnCancel:
		return status == linkpb.JobStatus_FAILED
	}
	return false
}

// endedIn says that the state in which a task ended is in a directory. It stands for the task in later checkpoints.
func (c *Coordinator) endedIn(dir string) bool {
	return slices.ContainsFunc(c.tasks, func(t *task) bool {
		return slices.ContainsFunc(t.final.GetFiles(), func(file string) bool { return strings.HasPrefix(file, dir+"/") })
	})
}
