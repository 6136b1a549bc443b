package jobmaster

import (
	"context"
	"errors"
	"fmt"
	"path"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/runtime/checkpoint"
	"github.com/weftstream/weft/runtime/checkpoint/checkpointpb"
	"github.com/weftstream/weft/runtime/ha"
)

// discardTimeout bounds the removal of what a job that has ended leaves; the next ones needn't wait for it for ever.
const discardTimeout = 30 * time.Second

// begin reads what the job starts from and starts it.
func (m *JobMaster) begin(ctx context.Context) {
	pointer, md, err := m.load(ctx)
	var older map[string][]string
	if err == nil {
		older = m.needsOf(ctx, pointer)
	}
	now := time.Now().UnixMilli()
	switch {
	case err == nil:
		if md != nil {
			m.core.takeOver(md)
			m.core.startFrom(now, pointer, md)
			for dir, files := range older {
				m.core.cp.Needs(dir, files)
			}
			m.core.cp.RemoveSuperseded()
			m.core.checkpointActions(now)
		}
		m.core.start(now)
	case m.c.Checkpoint != nil:
		// Not the user's mistake: a later JobManager may be able to.
		m.core.suspend(now, err)
	default:
		m.core.setStatus(now, created)
		m.core.setStatus(now, running)
		m.core.refuse(now, err)
	}
}

// load reads the checkpoint that the job starts from: the latest of an earlier JobMaster, or the one that is configured.
func (m *JobMaster) load(ctx context.Context) (*checkpointpb.Pointer, *checkpointpb.Metadata, error) {
	p, location := m.c.Checkpoint, conf.Get(m.c.Conf, conf.ExecutionStateRecoveryPath)
	switch {
	case m.c.Committed != nil:
		return m.ofCommitted(ctx)
	case p != nil && len(p.GetInline()) > 0:
		md, err := checkpoint.DecodeMetadata(p.GetInline())
		return p, md, err
	case p != nil:
		location = p.GetPath()
	case location == "":
		return nil, nil, nil
	}
	if m.storage == nil {
		return nil, nil, fmt.Errorf("start from checkpoint %s: this JobManager has no file systems", location)
	}
	md, err := m.storage.Load(ctx, location)
	if err != nil {
		return nil, nil, fmt.Errorf("start the job from a savepoint or checkpoint: %w", err)
	}
	if err := m.storage.Check(ctx, md); err != nil {
		return nil, nil, fmt.Errorf("start the job from a savepoint or checkpoint: %w", err)
	}
	return p, md, nil
}

// needsOf reads which files the checkpoints need that were taken before the latest one, so that they go with them. What one needs
// that can't be read stays until the job ends.
func (m *JobMaster) needsOf(ctx context.Context, p *checkpointpb.Pointer) map[string][]string {
	all := map[string][]string{}
	read := func(dir string) {
		if m.storage == nil || dir == "" {
			return
		}
		md, err := m.storage.Load(ctx, dir)
		if err == nil {
			all[dir] = checkpoint.Outside(md)
		} else if !errors.Is(err, checkpoint.ErrNotACheckpoint) { // else it is removed already
			m.c.Logger.Warn("what an earlier checkpoint shares with others stays until the job ends", "error", err)
		}
	}
	for _, r := range p.GetOlder() {
		if !r.GetSavepoint() {
			read(r.GetPath())
		}
	}
	for _, dir := range p.GetSuperseded() {
		read(dir)
	}
	return all
}

// ofCommitted reads the latest checkpoint of a job whose output is only to be committed any more. It isn't needed for that,
// but to remove it, and those before it, in the end: one that can't be read stays.
func (m *JobMaster) ofCommitted(ctx context.Context) (*checkpointpb.Pointer, *checkpointpb.Metadata, error) {
	p := m.c.Checkpoint
	if p.GetPath() == "" || m.storage == nil {
		return nil, nil, nil
	}
	md, err := m.storage.Load(ctx, p.GetPath())
	if err != nil {
		m.c.Logger.Warn("the job's checkpoints stay", "error", err)
		return nil, nil, nil
	}
	return p, md, nil
}

// takeOver gives vertices the max parallelism that their keyed state has.
func (c *core) takeOver(md *checkpointpb.Metadata) {
	want := checkpoint.MaxParallelism(md, c.g)
	for _, v := range c.vertices {
		if n := want[v.id]; n != 0 && n != int(v.pb.GetMaxParallelism()) {
			c.note("max parallelism of %s is %d, as in the checkpoint, instead of %d", v.name(), n, v.pb.GetMaxParallelism())
			v.pb.MaxParallelism = int32(n)
		}
	}
}

// checkpointIO carries out an action of the checkpoint coordinator on a goroutine of its own; the outcome comes back as an
// event.
func (m *JobMaster) checkpointIO(ctx context.Context, a checkpoint.Action) {
	m.appends.Go(func() {
		switch a := a.(type) {
		case checkpoint.Prepare:
			dir, err := m.prepare(ctx, a.Directory)
			heard := m.box.Post(func(c *core, now int64) {
				c.cp.Prepared(now, a.ID, dir, err)
				c.checkpointActions(now)
			})
			if !heard && err == nil { // the job has ended meanwhile
				m.discard(ctx, checkpoint.Discard{Directories: []string{dir}})
			}
		case checkpoint.Store:
			logged, err := m.store(ctx, a)
			m.box.Post(func(c *core, now int64) { c.stored(now, a.Metadata.GetCheckpoint(), a.Pointer, err, logged) })
		case checkpoint.Discard:
			m.discard(ctx, a)
		}
	})
}

var errNoFiles = errors.New("this JobManager has no file systems")

func (m *JobMaster) prepare(ctx context.Context, dir string) (string, error) {
	if m.storage == nil {
		return "", fmt.Errorf("make checkpoint directory %s: %w", dir, errNoFiles)
	}
	return m.storage.Prepare(ctx, dir)
}

// store completes a checkpoint: only with the record in the epoch log it counts. logged says that it is the record that
// failed, which is appended again for a while: after an error it may be there or not.
func (m *JobMaster) store(ctx context.Context, a checkpoint.Store) (logged bool, err error) {
	if a.Metadata.GetDirectory() != "" {
		if a.Metadata.GetSavepoint() {
			if err := m.storage.Adopt(ctx, a.Metadata); err != nil {
				return false, err
			}
		}
		if err := m.storage.WriteMetadata(ctx, a.Metadata); err != nil {
			return false, err
		}
	}
	payload, err := proto.MarshalOptions{Deterministic: true}.Marshal(a.Pointer)
	if err != nil {
		return false, fmt.Errorf("encode the record of checkpoint %d: %w", a.Metadata.GetCheckpoint(), err)
	}
	record := ha.Record{Kind: ha.KindCheckpoint, Key: m.core.id.String(), Payload: payload}
	for attempt := 1; ; attempt++ {
		err = m.append(ctx, record)
		switch {
		case err == nil:
			return false, nil
		case errors.Is(err, ha.ErrTooLarge):
			return false, fmt.Errorf("keep checkpoint %d in the high-availability log: %w; set execution.checkpointing.dir", a.Metadata.GetCheckpoint(), err)
		case errors.Is(err, ha.ErrFenced) || attempt == maxAppends:
			return true, err
		}
		timer := time.NewTimer(time.Duration(pause(attempt)) * time.Millisecond)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return true, ctx.Err()
		}
	}
}

// discard removes what isn't needed. Nothing depends on it, so an error is only logged; the end of the job doesn't keep it
// from being done.
func (m *JobMaster) discard(ctx context.Context, a checkpoint.Discard) {
	if m.storage == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), discardTimeout)
	defer cancel()
	for _, dir := range a.Directories {
		if err := m.storage.Discard(ctx, dir); err != nil {
			m.c.Logger.Warn("checkpoint left behind", "directory", dir, "error", err)
		}
	}
	if len(a.Files) > 0 {
		if err := m.storage.RemoveFiles(ctx, a.Files); err != nil {
			m.c.Logger.Warn("checkpoint files left behind", "first", path.Base(a.Files[0]), "error", err)
		}
	}
	if err := m.storage.RemoveShared(ctx, a.Shared); err != nil {
		m.c.Logger.Warn("files that checkpoints shared left behind", "error", err)
	}
	if a.Directory {
		if err := m.storage.RemoveEmpty(ctx, a.Files); err != nil {
			m.c.Logger.Warn("directory of a checkpoint left behind", "error", err)
		}
	}
}

// clean removes what the job needn't leave, when nothing else is under way any more. What stays behind after an error does no
// harm, so that is only logged.
func (m *JobMaster) clean() {
	if m.cleaning == nil || m.storage == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), discardTimeout)
	defer cancel()
	if err := m.storage.Clean(ctx, *m.cleaning); err != nil {
		m.c.Logger.Warn("files of the job's checkpoints left behind", "error", err)
	}
}

// requestsForCheckpoints are those that wait for their answer.
type requestsForCheckpoints struct {
	mu     sync.Mutex
	last   int64
	open   map[int64]chan checkpoint.Answer
	closed bool
}

func (r *requestsForCheckpoints) add() (int64, chan checkpoint.Answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.open == nil {
		r.open = map[int64]chan checkpoint.Answer{}
	}
	r.last++
	ch := make(chan checkpoint.Answer, 1)
	if r.closed {
		ch <- checkpoint.Answer{Err: errEnded}
		return r.last, ch
	}
	r.open[r.last] = ch
	return r.last, ch
}

func (r *requestsForCheckpoints) answer(a checkpoint.Answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if ch := r.open[a.Request]; ch != nil {
		ch <- a
		delete(r.open, a.Request)
	}
}

var errEnded = fmt.Errorf("%w: the job has ended", checkpoint.ErrNotRunning)

func (r *requestsForCheckpoints) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	for id, ch := range r.open {
		ch <- checkpoint.Answer{Request: id, Err: errEnded}
	}
	r.open = nil
}

// SavepointRequest asks for a savepoint.
type SavepointRequest struct {
	// Directory is where the savepoint's own directory is made; "": execution.checkpointing.savepoint-dir.
	Directory string
	// Stop ends the job with the savepoint; with Drain its sources end first, and everything that waits for the end of input
	// is done. Cancel cancels the job once the savepoint is complete.
	Stop, Drain, Cancel bool
}

// TriggerSavepoint takes a savepoint and returns its path once it is complete, with Stop once the job has ended. Errors wrap
// checkpoint.ErrNotRunning, ErrNoDirectory, ErrAborted or ErrNotStopped.
func (m *JobMaster) TriggerSavepoint(ctx context.Context, r SavepointRequest) (string, error) {
	a, err := m.trigger(ctx, checkpoint.Request{Savepoint: true, Directory: r.Directory, Stop: r.Stop, Drain: r.Drain})
	if err != nil {
		return "", fmt.Errorf("take a savepoint of job %s: %w", m.ID(), err)
	}
	if r.Cancel {
		m.Cancel()
	}
	return a.Path, nil
}

// TriggerCheckpoint takes a checkpoint now and returns its id once it is complete.
func (m *JobMaster) TriggerCheckpoint(ctx context.Context) (int64, error) {
	a, err := m.trigger(ctx, checkpoint.Request{})
	if err != nil {
		return 0, fmt.Errorf("take a checkpoint of job %s: %w", m.ID(), err)
	}
	return a.ID, nil
}

func (m *JobMaster) trigger(ctx context.Context, r checkpoint.Request) (checkpoint.Answer, error) {
	id, answer := m.asked.add()
	r.ID = id
	m.box.Post(func(c *core, now int64) { c.trigger(now, r) })
	select {
	case a := <-answer:
		return a, a.Err
	case <-ctx.Done():
		return checkpoint.Answer{}, ctx.Err()
	}
}

// Checkpoints is what there is to tell about the job's checkpoints.
func (m *JobMaster) Checkpoints() (s checkpoint.Stats) {
	if !m.ask(func(c *core, now int64) { s = c.cp.Stats() }) {
		<-m.ended
		return m.core.cp.Stats()
	}
	return s
}
