package task

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/operator"
)

// checkpoints is what a task knows of checkpoints. It belongs to the subtask's goroutine, but for uploads.
type checkpoints struct {
	options map[int64]*linkpb.CheckpointOptions // of those under way
	done    int64                               // ids up to this one are taken, aborted or overtaken
	aborted map[int64]bool                      // above done

	aligning    *alignment   // nil between checkpoints
	last        []int64      // by channel: the checkpoint whose barrier was announced last
	overtakable bool         // the inputs' exchanges let barriers overtake
	over        *overtaking  // the checkpoint whose in-flight data is being collected
	counting    []*alignment // in a job whose checkpoints take effect at least once, by id
	blocked     []bool       // by channel
	ended       []bool       // by channel
	left        int          // channels that have not ended

	held    []heldCommit // in no checkpoint that is known to be complete
	stopped int64        // the savepoint that stops the job, behind which a source emits nothing more; 0: none
	drained bool         // a source that ends now
	drain   string       // directory of the savepoint that drains the job
	drainID int64

	uploads sync.WaitGroup
	mu      sync.Mutex                   // guards cancel
	cancel  map[int64]context.CancelFunc // of uploads under way

	bases bases
}

// heldCommit is what an operator handed out at a barrier. It goes into every acknowledgement until a checkpoint that holds
// it is complete: the one that it was made for may never be.
type heldCommit struct {
	checkpoint int64
	at         int
	what       [][]byte
}

// Trigger tells the task that a checkpoint has begun, and how it is to be taken; source says that this task is to begin it.
// Safe for concurrent use; it must be called in the order of the JobMaster's messages.
func (t *Task) Trigger(id int64, o *linkpb.CheckpointOptions, source bool) {
	t.mail.put(func() error { return t.triggered(id, o, source) })
}

// Notice tells the task that a checkpoint is complete or aborted. Safe for concurrent use.
func (t *Task) Notice(id int64, complete bool) {
	if !complete {
		t.cp.mu.Lock()
		if cancel := t.cp.cancel[id]; cancel != nil {
			cancel()
		}
		t.cp.mu.Unlock()
	}
	t.mail.put(func() error { return t.noticed(id, complete) })
}

func (t *Task) triggered(id int64, o *linkpb.CheckpointOptions, source bool) error {
	c := &t.cp
	if o.GetDrain() {
		c.drain, c.drainID = o.GetDirectory(), id
		c.drained = source
		return nil
	}
	if id <= c.done || c.aborted[id] {
		return nil
	}
	c.options[id] = o
	if source && t.source != nil {
		return t.take(id, o, time.Now(), 0)
	}
	return t.aligned()
}

func (t *Task) noticed(id int64, complete bool) error {
	c := &t.cp
	delete(c.options, id)
	if complete {
		kept := c.held[:0]
		for _, h := range c.held {
			if h.checkpoint > id {
				kept = append(kept, h)
			}
		}
		clear(c.held[len(kept):])
		c.held = kept
	} else {
		if id > c.done {
			c.aborted[id] = true
		}
		c.bases.drop(id)
		if c.aligning != nil && c.aligning.id == id {
			t.unblock()
		}
		if c.over != nil && c.over.share.ack.GetCheckpoint() == id {
			t.dropOvertaking()
		}
		c.counting = slices.DeleteFunc(c.counting, func(a *alignment) bool { return a.id == id })
		if c.stopped == id {
			c.stopped = 0 // the job goes on
		}
		if c.drainID == id {
			c.drain = "" // its directory is removed
		}
	}
	for i, l := range t.chain {
		listener, ok := l.op.(operator.CheckpointListener)
		if !ok {
			continue
		}
		t.current = i
		tell := listener.CheckpointAborted
		if complete {
			tell = listener.CheckpointComplete
		}
		if err := tell(id); err != nil {
			return t.blame(i, fmt.Errorf("hear of the end of checkpoint %d: %w", id, err))
		}
		t.current = -1
	}
	return nil
}

// share is the task's part of a checkpoint.
type share struct {
	options     *linkpb.CheckpointOptions
	ack         *linkpb.CheckpointAck
	incremental bool
	base        *base // what its snapshots build on; nil for nothing
	snapshots   []captured
	channels    []*inFlight
}

// take takes a checkpoint: the barrier goes on, the operators' state is captured, and a goroutine writes and acknowledges
// it while the subtask goes on.
func (t *Task) take(id int64, o *linkpb.CheckpointOptions, begun time.Time, processed int64) error {
	s, err := t.cut(id, o, begun, processed)
	if err == nil {
		t.hand(s)
	}
	return err
}

// cut passes the barrier on and captures the operators' state.
func (t *Task) cut(id int64, o *linkpb.CheckpointOptions, begun time.Time, processed int64) (*share, error) {
	c := &t.cp
	start := time.Now()
	c.done = id
	t.taken.Store(id)
	for other := range c.aborted {
		if other <= id {
			delete(c.aborted, other)
		}
	}
	for other := range c.options {
		if other <= id {
			delete(c.options, other)
		}
	}
	for _, out := range t.outlets {
		if err := out.unblamed(out.router.Event(operator.Event{Kind: operator.Barrier, ID: id, Urgent: t.job.Settings.Unaligned})); err != nil {
			return nil, err
		}
	}
	s := &share{options: o, incremental: o.GetIncremental() && !o.GetSavepoint() && t.job.Settings.SharedDirectory != ""}
	if s.incremental {
		s.base = c.bases.take(o.GetBase())
	}
	commits, snapshots, err := t.capture(id, s)
	if err != nil {
		return nil, err
	}
	s.snapshots = snapshots
	s.ack = &linkpb.CheckpointAck{Id: t.ID(), Checkpoint: id, Commits: commits, ProcessedBytes: processed,
		StartDelayMs: max(0, begun.UnixMilli()-o.GetTimestampMs()), AlignmentMs: start.Sub(begun).Milliseconds(), SyncMs: time.Since(start).Milliseconds()}
	if o.GetStop() && t.source != nil {
		c.stopped = id
	}
	return s, nil
}

// hand has a goroutine write the share and acknowledge the checkpoint.
func (t *Task) hand(s *share) {
	c, id := &t.cp, s.ack.GetCheckpoint()
	ctx, cancel := context.WithCancel(t.ctx)
	c.mu.Lock()
	c.cancel[id] = cancel
	c.mu.Unlock()
	c.uploads.Go(func() {
		defer func() {
			cancel()
			c.mu.Lock()
			delete(c.cancel, id)
			c.mu.Unlock()
		}()
		t.upload(ctx, s)
	})
}

// captured is the state of one operator at a barrier.
type captured struct {
	at       int
	snapshot operator.StateSnapshot
	changes  bool // it may be written as changes
}

// capture has the operators hand out what they have written and take their snapshots, in the order of the chain: for s, or
// at the end of the task, where s is nil.
func (t *Task) capture(id int64, s *share) (commits []*linkpb.OperatorCommit, snapshots []captured, err error) {
	defer func() {
		if err != nil {
			release(snapshots)
		}
	}()
	for i, l := range t.chain {
		t.current = i
		if k, ok := l.op.(operator.Committer); ok {
			what, err := k.Committables()
			if err != nil {
				return nil, snapshots, t.blame(i, fmt.Errorf("collect what is to be committed: %w", err))
			}
			if len(what) > 0 {
				t.cp.held = append(t.cp.held, heldCommit{checkpoint: id, at: i, what: what})
			}
		}
		if k, ok := l.op.(operator.Checkpointed); ok {
			c, err := snapshotOf(k, id, s)
			if err != nil {
				return nil, snapshots, t.blame(i, fmt.Errorf("take a snapshot: %w", err))
			}
			if c.at = i; c.snapshot != nil {
				snapshots = append(snapshots, c)
			}
		}
	}
	t.current = -1
	return t.heldCommits(), snapshots, nil
}

// snapshotOf has an operator take its snapshot. Its base is the checkpoint that the writer builds on, too.
func snapshotOf(op operator.Checkpointed, id int64, s *share) (c captured, err error) {
	inc, ok := op.(operator.Incremental)
	if !ok || s == nil || !s.incremental {
		c.snapshot, err = op.Snapshot(id)
		return c, err
	}
	base := int64(0)
	if s.base != nil {
		base = s.options.GetBase()
	}
	c.changes = true
	c.snapshot, err = inc.SnapshotSince(id, base)
	return c, err
}

// heldCommits is everything that no complete checkpoint is known to hold, by operator.
func (t *Task) heldCommits() []*linkpb.OperatorCommit {
	by := map[int]*linkpb.OperatorCommit{}
	var all []*linkpb.OperatorCommit
	for _, h := range t.cp.held {
		o := by[h.at]
		if o == nil {
			id := t.chain[h.at].node.OperatorID()
			o = &linkpb.OperatorCommit{Operator: id[:]}
			by[h.at] = o
			all = append(all, o)
		}
		o.Committables = append(o.Committables, h.what...)
	}
	return all
}

func release(snapshots []captured) {
	for _, s := range snapshots {
		s.snapshot.Release()
	}
}

// upload writes the state and acknowledges the checkpoint, or declines it. It runs in a goroutine of its own.
func (t *Task) upload(ctx context.Context, s *share) {
	start, ack := time.Now(), s.ack
	w := t.newStateWriter(ctx, s.options.GetDirectory(), s.options.GetInlineThreshold())
	if s.incremental {
		w.share = t.newSharing(w, s.base)
	}
	if t.job.Settings.LocalBackup && !s.options.GetSavepoint() {
		for _, f := range w.stateFiles() {
			f.local, f.checkpoint = t.job.Local, ack.GetCheckpoint()
		}
	}
	state, err := t.write(w, s.snapshots, s.channels)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		if derr := w.discard(); derr != nil {
			t.log.Warn("checkpoint file left behind", "checkpoint", ack.GetCheckpoint(), "error", derr)
		}
		if ctx.Err() == nil {
			t.decline(ack.GetCheckpoint(), err)
		}
		return
	}
	ack.State, ack.AsyncMs = state, time.Since(start).Milliseconds()
	if s.incremental {
		t.cp.bases.add(ack.GetCheckpoint(), &base{state, w.share.sizes()})
		if t.job.Settings.LocalBackup {
			t.job.Local.Needs(ack.GetCheckpoint(), slices.Collect(maps.Keys(w.share.sizes())))
		}
	}
	t.host.Acknowledge(ack)
}

// write has the snapshots and the records in flight written, and releases the snapshots.
func (t *Task) write(w *stateWriter, snapshots []captured, channels []*inFlight) (state *linkpb.TaskState, err error) {
	defer release(snapshots)
	err = Protect(func() error {
		for _, s := range snapshots {
			w.operator(t.chain[s.at].node.OperatorID())
			var to operator.StateWriter = w
			if s.changes {
				to = &changeWriter{stateWriter: w}
			}
			if err := s.snapshot.Write(to); err != nil {
				return fmt.Errorf("write the state of %q: %w", t.chain[s.at].node.Name, err)
			}
		}
		for _, ch := range channels {
			if err := w.channel(ch); err != nil {
				return err
			}
		}
		state, err = w.finish()
		return err
	})
	return state, err
}

func (t *Task) decline(id int64, err error) {
	t.host.Decline(&linkpb.CheckpointDecline{Id: t.ID(), Checkpoint: id, Failure: FailureOf(err)})
}

// errFinalState says that the state in which a task ended has no place.
var errFinalState = errors.New("the state in which the subtask ended is too large for a job without a checkpoint directory (execution.checkpointing.dir)")

// maxInlineState bounds the final state of a task that has no directory to go to.
const maxInlineState = 2 << 20

// finalState writes the state in which the task has ended: it stands for the task in all later checkpoints.
func (t *Task) finalState() (commits []*linkpb.OperatorCommit, state *linkpb.TaskState, err error) {
	commits, snapshots, err := t.capture(t.cp.done+1, nil)
	if err != nil {
		return nil, nil, err
	}
	if len(snapshots) == 0 {
		return commits, &linkpb.TaskState{}, nil
	}
	directory := t.cp.drain
	if directory == "" {
		directory = t.job.Settings.SharedDirectory
	}
	if directory != "" && t.job.Files != nil {
		f, p, err := t.job.Files.Resolve(directory)
		if err == nil {
			err = f.MkdirAll(t.ctx, p, 0o755)
		}
		if err != nil {
			release(snapshots)
			return nil, nil, fmt.Errorf("make the directory for the state of ended subtasks: %w", err)
		}
	}
	w := t.newStateWriter(t.ctx, directory, 20<<10)
	if state, err = t.write(w, snapshots, nil); err != nil {
		if derr := w.discard(); derr != nil {
			t.log.Warn("checkpoint file left behind", "error", derr)
		}
		return nil, nil, err
	}
	if directory == "" && state.GetBytes() > maxInlineState {
		t.log.Warn("no later checkpoint can complete", "error", errFinalState)
		return commits, nil, nil
	}
	return commits, state, nil
}
