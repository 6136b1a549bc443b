package task_test

import (
	"io/fs"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/weftstream/weft/filesystem"
	"github.com/weftstream/weft/filesystem/fstest"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/operator"
	"github.com/weftstream/weft/runtime/checkpoint"
	"github.com/weftstream/weft/runtime/checkpoint/checkpointpb"
	"github.com/weftstream/weft/runtime/network"
	"github.com/weftstream/weft/runtime/task"
	. "github.com/weftstream/weft/runtime/task/tasktest"
)

const registerGroups = 8

// world is a job of subtasks with registers, its coordinator and its storage. The test carries out what the coordinator
// wants, at once, but hands acknowledgements on when it likes.
type world struct {
	*testing.T
	rnd     *rand.Rand
	files   *filesystem.Set
	storage *checkpoint.Storage
	local   *checkpoint.LocalCopies
	cfg     checkpoint.Config
	g       *graph.JobGraph
	cp      *checkpoint.Coordinator
	now     int64
	runs    int
	attempt int32
	tasks   []*member
	expect  map[int64]map[place]uint64
	taken   map[int64][]map[place]uint64 // of pending checkpoints
	acks    []*linkpb.CheckpointAck      // that the coordinator hasn't got
	heard   chan struct{}
	mu      sync.Mutex
	built   int
	made    map[int]*registers // by subtask; guarded by mu
	job     *Job
	written int64
	held    int64
	regular bool  // one checkpoint at a time, none is asked for, and no JobMaster is lost: all copies are kept
	newest  int64 // of the completed checkpoints since the last start
	leaky   bool  // a JobMaster has taken with it what it knew of files
}

// member is a subtask.
type member struct {
	w    *world
	op   *registers
	task *task.Task
	exch *network.Exchange
	done sync.WaitGroup
	open []int64 // checkpoints that may not be written yet
	up   chan struct{}
}

func (m *member) Update(u *linkpb.TaskUpdate) {
	if u.State == linkpb.ExecutionState_EXECUTION_FAILED {
		m.w.Errorf("a subtask fails: %v", u.Failure)
		close(m.op.taken)
	}
	if u.State == linkpb.ExecutionState_EXECUTION_RUNNING {
		close(m.up)
	}
}
func (m *member) Ask(*linkpb.CoordinatorRequest, func([]byte, error)) {}
func (m *member) Decline(d *linkpb.CheckpointDecline) {
	if !strings.Contains(d.Failure.Message, "no such file") { // it was aborted, and its directory is gone
		m.w.Errorf("checkpoint %d is declined: %v", d.Checkpoint, d.Failure)
	}
}
func (m *member) Acknowledge(a *linkpb.CheckpointAck) {
	m.w.mu.Lock()
	defer m.w.mu.Unlock()
	data, err := proto.Marshal(a)
	if err != nil {
		m.w.Error(err)
	}
	a = &linkpb.CheckpointAck{}
	if err := proto.Unmarshal(data, a); err != nil {
		m.w.Error(err)
	}
	m.w.acks = append(m.w.acks, a)
	select {
	case m.w.heard <- struct{}{}:
	default:
	}
}

// acked waits for an acknowledgement that isn't delivered.
func (m *member) acked(t *testing.T) {
	for {
		m.w.mu.Lock()
		n := len(m.w.acks)
		m.w.mu.Unlock()
		if n > 0 {
			return
		}
		select {
		case <-m.w.heard:
		case <-time.After(30 * time.Second):
			t.Fatal("nothing is acknowledged")
		}
	}
}

func newWorld(t *testing.T, rnd *rand.Rand) *world {
	w := &world{T: t, rnd: rnd, regular: rnd.IntN(2) == 0}
	w.init("file://" + w.TempDir())
	if w.regular {
		w.cfg.MaxConcurrent = 1
	}
	w.start(1+rnd.IntN(3), nil)
	for range 100 {
		w.tasks[rnd.IntN(len(w.tasks))].op.change()
	}
	t.Cleanup(func() {
		if t.Failed() {
			w.stop(w.tasks...)
		}
	})
	return w
}

// init makes all but the job. memory: is a file system, too.
func (w *world) init(dir string) {
	memory := named{fstest.NewMemory("alice")}
	files, err := filesystem.NewSet(filesystem.SetConfig{Schemes: map[string]filesystem.Opener{
		"memory": func(string) (filesystem.FileSystem, error) { return memory, nil }}})
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = files.Close() })
	w.files, w.storage, w.now, w.local = files, checkpoint.NewStorage(files), 1, checkpoint.NewLocalCopies(w.TempDir(), quiet)
	w.heard = make(chan struct{}, 1)
	w.expect, w.taken = map[int64]map[place]uint64{}, map[int64][]map[place]uint64{}
	w.cfg = checkpoint.Config{Interval: 1, Timeout: 1 << 40, MaxConcurrent: 3, Retained: 1 + w.rnd.IntN(3), Retention: checkpoint.RetainOnCancel, History: 100,
		Tolerable: 1 << 30, AfterFinish: true, Incremental: true, Directory: dir + "/checkpoints", SavepointDirectory: dir + "/savepoints",
		PerJob: w.rnd.IntN(4) > 0, InlineThreshold: []int64{0, 100, 1 << 20}[w.rnd.IntN(3)]}
}

// start starts the job at a parallelism from a checkpoint, nil for nothing.
func (w *world) start(parallelism int, md *checkpointpb.Metadata) {
	j := &Job{}
	j.MaxParallelism = registerGroups
	w.job, w.made = j, map[int]*registers{}
	src := j.Node("registers", nil, 0, func(env *operator.Env) (operator.Operator, error) {
		from, to := operator.KeyGroupRange(env.Subtask, env.MaxParallelism, env.Parallelism)
		w.mu.Lock()
		defer w.mu.Unlock()
		o := w.made[env.Subtask]
		o.Base, o.from, o.to = NewBase(env), from, to
		return o, nil
	})
	src.Parallelism = parallelism
	j.Node("sink", src, forward, pass).Parallelism = parallelism
	g := j.Graph(w, parallelism)
	if w.g != nil {
		g.JobId = w.g.JobId
	}
	w.g = g
	if w.cp == nil {
		w.cp = checkpoint.New(w.cfg, g, "", nil, nil)
	} else {
		w.cp.Rescaled(g)
	}
	var a *checkpoint.Assignment
	if md != nil {
		var err error
		if a, err = checkpoint.Assign(md, g, false); err != nil {
			w.Fatal(err)
		}
		w.cp.Restored(w.now, md)
	}
	w.newest = 0
	w.attempt++
	w.tasks = make([]*member, parallelism)
	for i, spec := range Deploy(g, Place{Resource: "a"})["a"].Tasks {
		spec.Id.Attempt = w.attempt
		if a != nil {
			spec.Restore = a.Tasks[operator.ID(spec.Id.Vertex)][i]
		}
		w.tasks[i] = w.run(spec)
	}
	for _, m := range w.tasks {
		w.await(m)
	}
	w.started()
}

// await waits until a subtask runs.
func (w *world) await(m *member) {
	select {
	case <-m.up:
	case <-time.After(30 * time.Second):
		w.Fatal("a subtask doesn't start")
	}
}

func (w *world) register() *registers {
	return &registers{rnd: rand.New(rand.NewPCG(w.rnd.Uint64(), 0)), state: map[place]uint64{}, changed: map[place]int64{}, barriers: map[int64]int64{},
		views: map[int64]map[place]uint64{}, gates: map[int64]chan struct{}{}, taken: make(chan struct{}, 100), built: &w.built, shared: &w.mu}
}

// run runs a subtask.
func (w *world) run(spec *linkpb.Task) *member {
	op, g := w.register(), w.g
	w.mu.Lock()
	w.made[int(spec.Id.Subtask)] = op
	w.mu.Unlock()
	x, err := network.NewExchange(network.Config{Job: g.ID(), Resource: "a", Log: quiet})
	if err != nil {
		w.Fatal(err)
	}
	m := &member{w: w, op: op, exch: x, up: make(chan struct{})}
	job := &task.Job{Graph: g, Stream: &w.job.StreamGraph, Nodes: map[operator.ID]*graph.Node{}, Exchange: x, Resource: "a", Files: w.files, Local: w.local, Log: quiet,
		Settings: task.Settings{Checkpoints: true, LocalBackup: true, LocalRecovery: w.rnd.IntN(2) == 0, SharedDirectory: checkpoint.SharedDirectory(w.cfg.Directory, g.ID())}}
	for _, n := range w.job.Nodes {
		job.Nodes[n.OperatorID()] = n
	}
	if m.task, err = task.New(job, spec, m); err != nil {
		w.Fatal(err)
	}
	m.done.Go(m.task.Run)
	return m
}

// started tells the coordinator that all run.
func (w *world) started() {
	var all []checkpoint.Task
	for _, m := range w.tasks {
		all = append(all, checkpoint.Task{ID: m.task.ID(), Source: true})
	}
	w.cp.Started(w.now, all)
}

// stop stops subtasks and waits for them; what they have acknowledged is on its way still.
func (w *world) stop(tasks ...*member) {
	for _, m := range tasks {
		m.task.Cancel()
		m.done.Wait()
		m.exch.Close()
	}
}

// act carries out what the coordinator wants.
func (w *world) act() {
	w.Helper()
	ok := func(err error) {
		w.Helper()
		if err != nil {
			w.Fatal(err)
		}
	}
	for actions := w.cp.Take(); len(actions) > 0; actions = w.cp.Take() {
		for _, a := range actions {
			switch a := a.(type) {
			case checkpoint.Prepare:
				dir, err := w.storage.Prepare(w.Context(), a.Directory)
				w.cp.Prepared(w.now, a.ID, dir, err)
			case checkpoint.TriggerTasks:
				w.trigger(a)
			case checkpoint.Store:
				md := a.Metadata
				if md.GetSavepoint() {
					ok(w.storage.Adopt(w.Context(), md))
				}
				ok(w.storage.WriteMetadata(w.Context(), md))
				w.expect[md.GetCheckpoint()] = merged(w.taken[md.GetCheckpoint()])
				if !md.GetSavepoint() {
					w.newest = max(w.newest, md.GetCheckpoint())
				}
				w.cp.Stored(w.now, md.GetCheckpoint(), a.Pointer, nil)
				w.check(md.GetDirectory(), md.GetCheckpoint())
			case checkpoint.Discard:
				for _, dir := range a.Directories {
					ok(w.storage.Discard(w.Context(), dir))
				}
				ok(w.storage.RemoveFiles(w.Context(), a.Files))
				ok(w.storage.RemoveShared(w.Context(), a.Shared))
				if a.Directory {
					ok(w.storage.RemoveEmpty(w.Context(), a.Files))
				}
			case checkpoint.Notify:
				for _, m := range w.tasks {
					m.task.Notice(a.ID, a.Complete)
				}
				if !a.Complete {
					w.local.Aborted(a.ID)
				} else if w.local.Completed(a.ID); w.regular {
					w.copied(w.cp.Latest())
				}
			case checkpoint.Answer:
				if a.Err != nil && !strings.Contains(a.Err.Error(), "aborted") {
					w.Fatal(a.Err)
				}
			case checkpoint.Fail:
				w.Fatal(a)
			}
		}
	}
}

// copied checks that there are copies of all files of a checkpoint.
func (w *world) copied(md *checkpointpb.Metadata) {
	w.Helper()
	for _, s := range md.Vertices[0].Subtasks {
		for _, uri := range s.Files {
			f, err := w.local.Open(uri)
			if err != nil {
				w.Fatalf("checkpoint %d: %v", md.Checkpoint, err)
			}
			_ = f.Close()
		}
	}
}

// trigger has all subtasks take a checkpoint, one by one, while they go on.
func (w *world) trigger(a checkpoint.TriggerTasks) {
	w.taken[a.ID] = nil // another JobMaster may have begun one of that id
	for _, m := range w.tasks {
		m.task.Trigger(a.ID, a.Options, true)
		select {
		case _, ok := <-m.op.taken:
			if !ok {
				w.Fatal("a subtask has failed")
			}
		case <-time.After(30 * time.Second):
			w.Fatalf("checkpoint %d isn't taken", a.ID)
		}
		m.op.mu.Lock()
		w.taken[a.ID] = append(w.taken[a.ID], m.op.views[a.ID])
		m.op.mu.Unlock()
		m.open = append(m.open, a.ID)
		if w.rnd.IntN(2) == 0 {
			m.op.change()
		}
	}
}

func merged(views []map[place]uint64) map[place]uint64 {
	all := map[place]uint64{}
	for _, v := range views {
		maps.Copy(all, v)
	}
	return all
}

// check reads a checkpoint.
func (w *world) check(dir string, id int64) *checkpointpb.Metadata {
	w.Helper()
	md, err := w.storage.Load(w.Context(), dir)
	if err != nil {
		w.Fatal(err)
	}
	if err := w.storage.Check(w.Context(), md); err != nil {
		w.Fatal(err)
	}
	got := map[place]uint64{}
	for e, err := range w.storage.Entries(w.Context(), md, operator.ID(md.Operators[0].Id), "registers") {
		if err == nil {
			err = addPairs(got, e.Raw)
		}
		if err != nil {
			w.Fatalf("checkpoint %d: %v", id, err)
		}
	}
	if !maps.Equal(got, w.expect[id]) {
		w.Fatalf("checkpoint %d holds\n%v, want\n%v", id, got, w.expect[id])
	}
	return md
}

// retained are the completed checkpoints that the job keeps, and their directories.
func (w *world) retained() map[int64]string {
	all := map[int64]string{}
	if p := w.cp.Pointer(); p != nil {
		all[p.Checkpoint] = p.Path
		for _, o := range p.Older {
			all[o.Checkpoint] = o.Path
		}
	}
	return all
}

// named is a file system under a scheme of its own.
type named struct{ filesystem.FileSystem }

func (n named) URI(p string) string { return "memory://x" + p }

// left are the files in the directory of checkpoints.
func (w *world) left() (all []string) {
	err := filepath.WalkDir(strings.TrimPrefix(w.cfg.Directory, "file://"), func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			all = append(all, "file://"+p)
		}
		return nil
	})
	if err != nil {
		w.Fatal(err)
	}
	slices.Sort(all)
	return all
}
