package checkpoint

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/runtime/checkpoint/checkpointpb"
)

var (
	// ErrNotRunning answers a request while the job's tasks don't all run.
	ErrNotRunning = errors.New("the job's tasks aren't all running")
	// ErrNoDirectory answers a savepoint request without a directory where none is configured.
	ErrNoDirectory = errors.New("no savepoint directory: name one, or set execution.checkpointing.savepoint-dir")
	// ErrAborted answers a request whose checkpoint was given up.
	ErrAborted = errors.New("the checkpoint was aborted")
	// ErrNotStopped answers a request for a savepoint that ends the job: it is complete, and the job didn't end with it.
	ErrNotStopped = errors.New("the savepoint is complete, but the job didn't end with it")
)

// Request asks for a savepoint, or for a checkpoint now.
type Request struct {
	// ID is the asker's; Answer carries it.
	ID        int64
	Savepoint bool
	// Directory is where a savepoint's own directory is made; "": the configured one.
	Directory string
	// Stop: the job ends with the savepoint. Drain: its sources end first, and with them everything.
	Stop, Drain bool
	// Tolerated: a checkpoint that fails doesn't count as a failed one.
	Tolerated bool
}

// Task is a subtask that takes part.
type Task struct {
	ID     *linkpb.ExecutionID
	Source bool
}

// Coordinator decides when checkpoints begin and when they are complete. Every event comes with a time in Unix
// milliseconds; what follows from it is in the actions that Take returns.
type Coordinator struct {
	cfg Config
	g   *graph.JobGraph
	run string

	running bool
	tasks   []*task
	byKey   map[key]*task

	next      int64 // id of the next checkpoint
	pending   []*pending
	storing   *pending
	latest    *checkpointpb.Metadata
	pointer   *checkpointpb.Pointer
	triggerAt int64 // when the next periodic one is due; 0: not
	lastEnd   int64
	failures  int                    // in a row
	committed map[string]int64       // what was committed, and before which checkpoint it came last: tasks may hand it over again
	owed      []owed                 // what completed checkpoints have yet to commit, oldest first
	stopping  bool                   // a savepoint that ends the job is complete or under way
	initial   string                 // directory of what the job was started from; "": nothing, or a record
	claimed   *checkpointpb.Retained // the same if it is the job's own, until there is a newer one
	left      []string               // directories of savepoints that were given up, with states of ended tasks in them
	broken    string                 // why there can be no more checkpoints of this run
	shared    sharedFiles
	stats     Stats
	actions   []Action
}

type key struct {
	vertex  string
	subtask int32
}

func keyOf(id *linkpb.ExecutionID) key { return key{string(id.GetVertex()), id.GetSubtask()} }

type task struct {
	Task
	finished bool
	final    *linkpb.TaskState
	commits  []*linkpb.OperatorCommit // of one that has finished
}

// phase is how far a checkpoint has come.
type phase int

const (
	preparing phase = iota
	prepared        // waits until those before it are triggered: subtasks ignore the barrier of one that is older than the last
	coordinating
	acknowledging
	storable
	storing
)

// owed is what a completed checkpoint has sinks commit, until they have. Every later checkpoint holds it, too: whoever starts
// from that one can't tell.
type owed struct {
	id      int64
	commits []*linkpb.OperatorCommit
}

type pending struct {
	id       int64
	request  *Request // nil for a periodic one
	options  *linkpb.CheckpointOptions
	phase    phase
	deadline int64
	expired  bool // its deadline has passed
	// hidden acknowledgements by subtask; finished tasks have none.
	acks         map[key]*linkpb.CheckpointAck
	coordinators []*linkpb.CoordinatorSnapshot
	record       *Record
	metadata     *checkpointpb.Metadata
	commits      []*linkpb.OperatorCommit
	base         *base    // what it builds on; nil for nothing
	needs        []string // of what is stored, the files outside of its directory
}

func (p *pending) savepoint() bool { return p.options.GetSavepoint() }

// committedMemory is for how many checkpoints it is remembered what was committed and isn't handed over any more: by far longer
// than a task takes to hear of a completed one.
const committedMemory = 64

// New makes the Coordinator of a job. run names this JobMaster among those of the job, "" for the first. pointer is the
// record of an earlier one, with its metadata; both nil at first.
func New(cfg Config, g *graph.JobGraph, run string, pointer *checkpointpb.Pointer, md *checkpointpb.Metadata) *Coordinator {
	c := &Coordinator{cfg: cfg, g: g, run: run, byKey: map[key]*task{}, next: 1, committed: map[string]int64{}}
	c.stats.Config = cfg
	if pointer != nil {
		c.pointer, c.latest, c.next = pointer, md, max(pointer.GetNext(), pointer.GetCheckpoint()+1)
		c.Needs(pointer.GetPath(), Outside(md))
	}
	return c
}

// Take returns the actions since the last call.
func (c *Coordinator) Take() []Action {
	a := c.actions
	c.actions = nil
	return a
}

func (c *Coordinator) emit(a Action) { c.actions = append(c.actions, a) }

// Rescaled says that the job goes on as g, whose vertices have another parallelism. No checkpoint is pending.
func (c *Coordinator) Rescaled(g *graph.JobGraph) { c.g = g }

// Latest is the newest completed checkpoint; nil when there is none.
func (c *Coordinator) Latest() *checkpointpb.Metadata { return c.latest }

// Restored notes that the job starts from a checkpoint.
func (c *Coordinator) Restored(now int64, md *checkpointpb.Metadata) {
	c.RegionRestored(now, md)
	c.shared.base = nil // no task has taken it
	c.owed = []owed{{id: c.restoredID(md), commits: md.GetCommits()}}
}

// RegionRestored notes that a part of the job starts from a checkpoint again. What the others are about to commit is still owed.
func (c *Coordinator) RegionRestored(now int64, md *checkpointpb.Metadata) {
	c.stats.Counts.Restored++
	c.stats.Restored = &Restored{ID: md.GetCheckpoint(), Time: now, Savepoint: md.GetSavepoint(), Path: md.GetDirectory()}
}

// restoredID is the id under which the commits of the checkpoint that the job started from are owed: its own, or 0 for one of
// another job.
func (c *Coordinator) restoredID(md *checkpointpb.Metadata) int64 {
	if md == c.latest {
		return md.GetCheckpoint()
	}
	return 0
}

// Started says that all tasks run: from now on checkpoints are taken.
func (c *Coordinator) Started(now int64, tasks []Task) {
	c.tasks, c.running, c.stopping, c.broken = nil, true, false, ""
	clear(c.byKey)
	for _, t := range tasks {
		n := &task{Task: t}
		c.tasks = append(c.tasks, n)
		c.byKey[keyOf(t.ID)] = n
	}
	if c.cfg.Interval > 0 {
		c.triggerAt = now + c.cfg.Interval
	}
}

// Stopped says that the tasks no longer all run: what is pending is given up. A checkpoint that is being stored may
// still complete.
func (c *Coordinator) Stopped(now int64, reason string) {
	c.running, c.triggerAt = false, 0
	for _, p := range slices.Clone(c.pending) {
		if p.phase != storing {
			c.abort(now, p, reason, false)
		}
	}
}

// Running says that checkpoints are being taken.
func (c *Coordinator) Running() bool { return c.running }

// Stopping says that a savepoint that ends the job is under way or complete; Started begins anew.
func (c *Coordinator) Stopping() bool { return c.stopping }

// Storing says that a checkpoint is being stored.
func (c *Coordinator) Storing() bool { return c.storing != nil }

// Next is when Tick has something to do.
func (c *Coordinator) Next() (at int64, ok bool) {
	note := func(t int64) {
		if t != 0 && (!ok || t < at) {
			at, ok = t, true
		}
	}
	if c.mayTrigger() {
		note(c.due())
	}
	for _, p := range c.pending {
		if p.phase < storable {
			note(p.deadline)
		}
	}
	return at, ok
}

// due is when the next periodic checkpoint may begin.
func (c *Coordinator) due() int64 { return max(c.triggerAt, c.lastEnd+c.cfg.MinPause) }

func (c *Coordinator) mayTrigger() bool {
	if !c.running || c.triggerAt == 0 || c.stopping || c.broken != "" {
		return false
	}
	n, live := 0, false
	for _, p := range c.pending {
		if p.request == nil {
			n++
		}
	}
	for _, t := range c.tasks {
		live = live || !t.finished
	}
	return n < c.cfg.MaxConcurrent && live && (c.cfg.AfterFinish || !c.someFinished())
}

func (c *Coordinator) someFinished() bool {
	return slices.ContainsFunc(c.tasks, func(t *task) bool { return t.finished })
}

// Tick does what has become due.
func (c *Coordinator) Tick(now int64) {
	for _, p := range slices.Clone(c.pending) {
		if p.phase < storable && now >= p.deadline {
			p.expired = true
			c.abort(now, p, fmt.Sprintf("it wasn't complete after %d ms (execution.checkpointing.timeout); %s", c.cfg.Timeout, c.missing(p)), true)
		}
	}
	if c.mayTrigger() && now >= c.due() {
		c.triggerAt = now + c.cfg.Interval
		c.begin(now, nil)
	}
}

// missing says whom a checkpoint waits for.
func (c *Coordinator) missing(p *pending) string {
	switch p.phase {
	case preparing:
		return "its directory isn't made"
	case prepared:
		return "one before it isn't triggered"
	case coordinating:
		return "the coordinator tasks have not answered"
	}
	var first *task
	n := 0
	for _, t := range c.tasks {
		if !t.finished && p.acks[keyOf(t.ID)] == nil {
			if n++; first == nil {
				first = t
			}
		}
	}
	if first == nil {
		return "nothing is missing"
	}
	return fmt.Sprintf("%d of %d subtasks have not acknowledged it, the first is subtask %d of %q", n, len(c.tasks), first.ID.GetSubtask(), c.vertexName(first.ID.GetVertex()))
}

func (c *Coordinator) vertexName(id []byte) string {
	for _, v := range c.g.GetVertices() {
		if bytes.Equal(v.GetId(), id) {
			return v.GetName()
		}
	}
	return fmt.Sprintf("%x", id)
}

// Trigger begins a savepoint, or a checkpoint, that was asked for. Its end is in an Answer.
func (c *Coordinator) Trigger(now int64, r Request) {
	switch {
	case !c.running:
		c.emit(Answer{Request: r.ID, Err: ErrNotRunning})
	case c.broken != "":
		c.emit(Answer{Request: r.ID, Err: fmt.Errorf("%w: %s", ErrNotRunning, c.broken)})
	case c.stopping:
		c.emit(Answer{Request: r.ID, Err: fmt.Errorf("%w: it is being stopped with a savepoint", ErrNotRunning)})
	case r.Savepoint && r.Directory == "" && c.cfg.SavepointDirectory == "":
		c.emit(Answer{Request: r.ID, Err: ErrNoDirectory})
	default:
		c.stopping = r.Stop
		c.begin(now, &r)
	}
}

func (c *Coordinator) begin(now int64, r *Request) {
	p := &pending{id: c.next, request: r, deadline: now + c.cfg.Timeout, acks: map[key]*linkpb.CheckpointAck{},
		options: &linkpb.CheckpointOptions{TimestampMs: now, InlineThreshold: c.cfg.InlineThreshold}}
	c.next++
	dir := ""
	if r != nil && r.Savepoint {
		p.options.Savepoint, p.options.Stop, p.options.Drain = true, r.Stop, r.Stop && r.Drain
		base := r.Directory
		if base == "" {
			base = c.cfg.SavepointDirectory
		}
		dir = SavepointDirectory(base, c.g.ID())
	} else {
		p.options.Unaligned, p.options.AlignedTimeoutMs = c.cfg.Unaligned, c.cfg.AlignedTimeout
	}
	if !p.options.GetSavepoint() && c.cfg.Directory != "" {
		dir = CheckpointDirectory(c.cfg.Directory, c.cfg.PerJob, c.g.ID(), p.id, c.run)
		p.options.Incremental = c.cfg.Incremental
	}
	p.record = &Record{ID: p.id, Status: InProgress, Savepoint: p.savepoint(), Trigger: now, Tasks: len(c.tasks), Path: dir}
	c.stats.Counts.Total++
	c.stats.Counts.InProgress++
	c.stats.History = slices.Insert(c.stats.History, 0, p.record)
	c.trim()
	c.pending = append(c.pending, p)
	if dir != "" {
		c.emit(Prepare{ID: p.id, Directory: dir})
		return
	}
	c.Prepared(now, p.id, "", nil)
}

// trim forgets the oldest records beyond the history, but none in progress.
func (c *Coordinator) trim() {
	for i := len(c.stats.History) - 1; i > 0 && len(c.stats.History) > c.cfg.History; i-- {
		if c.stats.History[i].Status != InProgress {
			c.stats.History = slices.Delete(c.stats.History, i, i+1)
		}
	}
}

func (c *Coordinator) find(id int64) *pending {
	for _, p := range c.pending {
		if p.id == id {
			return p
		}
	}
	return nil
}

// Prepared is the outcome of Prepare; dir is the directory's full URI.
func (c *Coordinator) Prepared(now int64, id int64, dir string, err error) {
	p := c.find(id)
	switch {
	case p == nil || p.phase != preparing:
		if err == nil && dir != "" {
			c.emit(Discard{Directories: []string{dir}})
		}
		return
	case err != nil:
		c.abort(now, p, err.Error(), true)
		return
	}
	p.options.Directory, p.record.Path = dir, dir
	p.phase = prepared
	c.advance(now)
}

// advance goes on with the oldest checkpoint that isn't triggered, if its directory is made, and then with the next one.
func (c *Coordinator) advance(now int64) {
	for {
		i := slices.IndexFunc(c.pending, func(p *pending) bool { return p.phase < acknowledging })
		if i < 0 || c.pending[i].phase != prepared {
			return
		}
		c.coordinate(now, c.pending[i])
	}
}

// coordinate has the coordinator tasks take their snapshots; without any it triggers the checkpoint at once.
func (c *Coordinator) coordinate(now int64, p *pending) {
	p.phase = coordinating
	if slices.ContainsFunc(c.g.GetVertices(), func(v *graph.JobVertex) bool {
		return slices.ContainsFunc(v.GetOperators(), func(o *graph.ChainedOperator) bool { return o.GetCoordinator() })
	}) {
		c.emit(SnapshotCoordinators{ID: p.id})
		return
	}
	c.triggerTasks(now, p)
}

// CoordinatorsSnapshot is what the coordinator tasks answered.
func (c *Coordinator) CoordinatorsSnapshot(now int64, m *linkpb.CoordinatorSnapshots) {
	p := c.find(m.GetCheckpoint())
	switch {
	case p == nil || p.phase != coordinating:
	case m.GetError() != "":
		c.abort(now, p, m.GetError(), true)
	default:
		p.coordinators = m.GetSnapshots()
		c.triggerTasks(now, p)
		c.advance(now)
	}
}

func (c *Coordinator) triggerTasks(now int64, p *pending) {
	p.phase = acknowledging
	if p.options.GetIncremental() && c.shared.base != nil {
		p.base, p.options.Base = c.shared.base, c.shared.base.id
	}
	a := TriggerTasks{ID: p.id, Options: p.options}
	for _, t := range c.tasks {
		if t.Source && !t.finished {
			a.Sources = append(a.Sources, t.ID)
		}
	}
	c.emit(a)
	c.check(now, p)
}

// Acknowledged takes the state of a subtask.
func (c *Coordinator) Acknowledged(now int64, a *linkpb.CheckpointAck) {
	p, t := c.find(a.GetCheckpoint()), c.byKey[keyOf(a.GetId())]
	if p == nil || p.phase != acknowledging || t == nil || t.ID.GetAttempt() != a.GetId().GetAttempt() {
		if p == nil || p.phase < storable {
			c.late(a.GetState().GetFiles(), p == nil)
		}
		return
	}
	p.acks[keyOf(a.GetId())] = a
	c.shared.note(outsideOf(p.options.GetDirectory(), slices.Values(a.GetState().GetFiles())), true)
	r := p.record
	r.LatestAck = now
	r.StateSize += a.GetState().GetBytes()
	r.Written += a.GetState().GetWritten()
	r.Processed += a.GetProcessedBytes()
	r.Persisted += a.GetPersistedBytes()
	r.Unaligned = r.Unaligned || a.GetUnaligned()
	r.Acknowledged++
	c.recordTask(r, t, SubtaskRecord{Index: int(a.GetId().GetSubtask()), Acknowledged: now, StateSize: a.GetState().GetBytes(), Written: a.GetState().GetWritten(),
		StartDelay: a.GetStartDelayMs(), Alignment: a.GetAlignmentMs(), Sync: a.GetSyncMs(), Async: a.GetAsyncMs(),
		Processed: a.GetProcessedBytes(), Persisted: a.GetPersistedBytes(), Unaligned: a.GetUnaligned()})
	c.check(now, p)
}

// recordTask puts what is known of a subtask into the record.
func (c *Coordinator) recordTask(r *Record, t *task, s SubtaskRecord) {
	if len(r.Vertices) == 0 {
		for _, v := range c.g.GetVertices() {
			r.Vertices = append(r.Vertices, VertexRecord{ID: fmt.Sprintf("%x", v.GetId()), Subtasks: make([]SubtaskRecord, v.GetParallelism())})
		}
		for _, v := range r.Vertices {
			for i := range v.Subtasks {
				v.Subtasks[i].Index = i
			}
		}
	}
	for i, v := range c.g.GetVertices() {
		if bytes.Equal(v.GetId(), t.ID.GetVertex()) && s.Index < len(r.Vertices[i].Subtasks) {
			r.Vertices[i].Subtasks[s.Index] = s
		}
	}
}

// Declined gives a checkpoint up that a subtask couldn't take. Of one that has expired it says where the subtask is that had no part
// in it: the first one goes into the checkpoint's failure.
func (c *Coordinator) Declined(now int64, d *linkpb.CheckpointDecline) {
	p, t := c.find(d.GetCheckpoint()), c.byKey[keyOf(d.GetId())]
	if p == nil {
		c.explain(d)
	}
	if p == nil || p.phase != acknowledging || t == nil || t.ID.GetAttempt() != d.GetId().GetAttempt() {
		return
	}
	c.abort(now, p, fmt.Sprintf("subtask %d of %q declined it: %s", d.GetId().GetSubtask(), c.vertexName(d.GetId().GetVertex()), d.GetFailure().GetMessage()), true)
}

// explain adds to an expired checkpoint's failure where a subtask is stuck.
func (c *Coordinator) explain(d *linkpb.CheckpointDecline) {
	for _, r := range c.stats.History {
		if r.ID == d.GetCheckpoint() && r.Expired && !r.explained && d.GetFailure().GetStack() != "" {
			r.explained = true
			r.Failure += ": " + d.GetFailure().GetMessage() + "\n" + d.GetFailure().GetStack()
			c.emit(Note{Text: fmt.Sprintf("checkpoint %d expired: %s\n%s", r.ID, d.GetFailure().GetMessage(), d.GetFailure().GetStack())})
		}
	}
}

// TaskFinished says that a subtask has come to its end: final stands for it in all checkpoints from now on. Without one
// there are no more checkpoints.
func (c *Coordinator) TaskFinished(now int64, id *linkpb.ExecutionID, final *linkpb.TaskState, commits []*linkpb.OperatorCommit) {
	t := c.byKey[keyOf(id)]
	if t == nil || t.ID.GetAttempt() != id.GetAttempt() {
		return
	}
	t.finished, t.final, t.commits = true, final, commits
	c.shared.note(final.GetFiles(), true) // it may be that no checkpoint ever has it
	if final == nil {
		c.broken = fmt.Sprintf("subtask %d of %q has finished without leaving its state", id.GetSubtask(), c.vertexName(id.GetVertex()))
		for _, p := range slices.Clone(c.pending) {
			if p.phase < storable && p.acks[keyOf(id)] == nil {
				c.abort(now, p, c.broken, false)
			}
		}
		return
	}
	for _, p := range slices.Clone(c.pending) {
		c.check(now, p)
	}
}

func (c *Coordinator) remove(p *pending) {
	c.pending = slices.DeleteFunc(c.pending, func(o *pending) bool { return o == p })
	c.stats.Counts.InProgress--
}

// abort gives a checkpoint up. counts says that it counts as a failed one.
func (c *Coordinator) abort(now int64, p *pending, reason string, counts bool) {
	c.remove(p)
	c.lastEnd = now
	r := p.record
	r.Status, r.End, r.Failure, r.FailedAt, r.Expired = Failed, now, reason, now, p.expired
	c.stats.Counts.Failed++
	c.stats.LatestFailed = r
	kind := "checkpoint"
	if p.savepoint() {
		kind = "savepoint"
	}
	c.emit(Note{Text: fmt.Sprintf("%s %d aborted: %s", kind, p.id, reason)})
	if p.phase > coordinating {
		c.emit(Notify{ID: p.id, Expired: p.expired})
	}
	switch dir := p.options.GetDirectory(); {
	case dir == "":
	case c.endedIn(dir):
		c.left = append(c.left, dir)
	default:
		c.emit(Discard{Directories: []string{dir}})
	}
	c.sweep(Discard{})
	if p.request != nil {
		if p.options.GetStop() {
			c.stopping = false
		}
		c.emit(Answer{Request: p.request.ID, ID: p.id, Err: fmt.Errorf("%w: %s", ErrAborted, reason)})
	}
	if counts && !p.savepoint() && (p.request == nil || !p.request.Tolerated) {
		if c.failures++; c.failures > c.cfg.Tolerable {
			c.failures = 0
			c.emit(Fail{Reason: fmt.Sprintf("checkpoint %d failed, and execution.checkpointing.tolerable-failed-checkpoints is %d: %s", p.id, c.cfg.Tolerable, reason)})
		}
	}
	if c.running {
		c.advance(now)
	}
}
