package checkpoint

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/runtime/checkpoint/checkpointpb"
)

// world is a job around a Coordinator: a disk, subtasks that are slow, fail and end, and storage that fails now and then.
type world struct {
	*testing.T
	*Coordinator
	r     *rand.Rand
	now   int64
	disk  map[string]bool                   // files
	md    map[string]*checkpointpb.Metadata // complete, by directory
	tasks []*worldTask
	late  []func() // what is on its way

	attempt int32
	files   int
	newest  int64          // checkpoint that completed
	done    map[string]int // commits
	answers map[int64]int
	request int64
	counts  [6]int
}

// worldTask is a subtask; it takes checkpoints as a real one does.
type worldTask struct {
	id     *linkpb.ExecutionID
	bases  map[int64][]string
	held   []string // what it has handed over: it doesn't hear of what is complete
	ended  bool
	final  *linkpb.TaskState
	number int
}

func (w *world) file(dir string, of *worldTask) string {
	w.files++
	f := fmt.Sprintf("%s/%d-%d", dir, of.id.GetAttempt(), w.files)
	w.disk[f] = true
	return f
}

const worldShared = "hdfs://nn/c/job/shared"

// take has a subtask take its part in a checkpoint and acknowledge it some time.
func (w *world) take(t *worldTask, id int64, o *linkpb.CheckpointOptions) {
	t.number++
	t.held = append(t.held, fmt.Sprintf("%x-%d-%d", t.id.GetVertex()[:1], t.id.GetAttempt(), t.number))
	var files []string
	if w.r.IntN(4) > 0 {
		files = append(files, w.file(o.GetDirectory(), t))
	}
	own := slices.Clone(files)
	if o.GetIncremental() {
		base, has := t.bases[o.GetBase()]
		for other := range t.bases {
			if other < o.GetBase() {
				delete(t.bases, other)
			}
		}
		shared := []string{w.file(worldShared, t)}
		own = append(own, shared...)
		for _, f := range base {
			if has && w.r.IntN(5) > 0 {
				shared = append(shared, f)
				if !w.disk[f] && w.find(id) != nil {
					w.Fatalf("checkpoint %d builds on %d, of which %s is gone", id, o.GetBase(), f)
				}
			}
		}
		t.bases[id] = shared
		files = append(files, shared...)
	}
	a := &linkpb.CheckpointAck{Id: t.id, Checkpoint: id, State: &linkpb.TaskState{Files: files, Bytes: 1}}
	if string(t.id.GetVertex()) == string(opID(2)) {
		a.Commits = commitsOf(t.held)
	}
	switch w.r.IntN(20) {
	case 0:
		w.late = append(w.late, func() {
			w.Declined(w.now, &linkpb.CheckpointDecline{Id: t.id, Checkpoint: id, Failure: &linkpb.Failure{Message: "no"}})
		})
		for _, f := range own { // the subtask removes what it wrote
			delete(w.disk, f)
		}
	default:
		w.late = append(w.late, func() { w.Acknowledged(w.now, a) })
	}
}

func commitsOf(held []string) []*linkpb.OperatorCommit {
	o := &linkpb.OperatorCommit{Operator: opID(2)}
	for _, h := range held {
		o.Committables = append(o.Committables, []byte(h))
	}
	return []*linkpb.OperatorCommit{o}
}

// act carries out what the Coordinator wants, some of it later.
func (w *world) act() {
	for _, a := range w.Take() {
		switch a := a.(type) {
		case Prepare:
			w.late = append(w.late, func() {
				if w.r.IntN(30) == 0 {
					w.Prepared(w.now, a.ID, "", errors.New("no quota"))
					return
				}
				w.Prepared(w.now, a.ID, strings.Replace(a.Directory, "hdfs:///", "hdfs://nn/", 1), nil)
			})
		case SnapshotCoordinators:
			w.late = append(w.late, func() { w.CoordinatorsSnapshot(w.now, &linkpb.CoordinatorSnapshots{Checkpoint: a.ID}) })
		case TriggerTasks:
			for _, t := range w.tasks {
				if !t.ended {
					w.take(t, a.ID, a.Options)
				}
			}
		case Store:
			w.late = append(w.late, func() { w.store(a) })
		case Notify:
			for _, t := range w.tasks {
				if !a.Complete {
					delete(t.bases, a.ID)
				}
			}
		case Commit:
			for _, o := range a.Commits {
				for _, c := range o.GetCommittables() {
					if w.done[string(c)]++; w.done[string(c)] > 1 {
						w.Fatalf("%s is committed again, by checkpoint %d", c, a.ID)
					}
				}
			}
			if w.r.IntN(3) > 0 {
				w.Committed(a.ID)
			}
		case Discard:
			w.discard(a)
		case Answer:
			w.answers[a.Request]++
		}
	}
}

func (w *world) store(a Store) {
	id := a.Metadata.GetCheckpoint()
	if w.r.IntN(15) == 0 {
		w.Stored(w.now, id, nil, errors.New("disk full"))
		return
	}
	for f := range filesOf(a.Metadata) {
		if !w.disk[f] {
			w.Fatalf("checkpoint %d is complete without %s", id, f)
		}
	}
	w.md[a.Metadata.GetDirectory()] = a.Metadata
	if !a.Metadata.GetSavepoint() {
		w.counts[0]++
		if a.Metadata.GetVertices() != nil && len(a.Metadata.GetShared()) > 2 {
			w.counts[1]++
		}
	} else {
		w.counts[2]++
		if id < w.newest {
			w.counts[3]++
		}
		for _, v := range a.Metadata.GetVertices() { // Adopt
			for i, t := range v.GetSubtasks() {
				var files []string
				for _, f := range t.GetFiles() {
					if !strings.HasPrefix(f, a.Metadata.GetDirectory()+"/") {
						w.files++
						f = fmt.Sprintf("%s/adopted-%d", a.Metadata.GetDirectory(), w.files)
						w.disk[f] = true
					}
					files = append(files, f)
				}
				v.Subtasks[i] = &linkpb.TaskState{Files: files}
			}
		}
	}
	w.Stored(w.now, id, a.Pointer, nil)
	w.newest = max(w.newest, id)
	if w.Latest().GetCheckpoint() < w.newest {
		w.Fatalf("the job went back from checkpoint %d to %d", w.newest, w.Latest().GetCheckpoint())
	}
}

func (w *world) discard(a Discard) {
	for _, dir := range a.Directories {
		if md := w.md[dir]; md.GetSavepoint() {
			w.Fatalf("savepoint %s is removed", dir)
		}
		w.removeAll(dir)
	}
	for _, f := range slices.Concat(a.Files, a.Shared) {
		delete(w.disk, f)
	}
}

func (w *world) removeAll(dir string) {
	delete(w.md, dir)
	for f := range w.disk {
		if strings.HasPrefix(f, dir+"/") {
			delete(w.disk, f)
		}
	}
}

// check: everything is there that may be needed.
func (w *world) check() {
	for dir, md := range w.md {
		for f := range filesOf(md) {
			if !w.disk[f] {
				w.Fatalf("checkpoint %d in %s lacks %s", md.GetCheckpoint(), dir, f)
			}
		}
	}
	if md := w.Latest(); md != nil && w.md[md.GetDirectory()] == nil {
		w.Fatalf("checkpoint %d, the latest, is gone", md.GetCheckpoint())
	}
}

// start deploys the subtasks of a region, or all.
func (w *world) start(which func(i int) bool) {
	w.attempt++
	var tasks []Task
	for i, t := range w.tasks {
		if which(i) {
			*t = worldTask{id: &linkpb.ExecutionID{Vertex: t.id.GetVertex(), Attempt: w.attempt}, bases: map[int64][]string{}}
		}
		tasks = append(tasks, Task{ID: t.id, Source: i == 0})
	}
	w.Started(w.now, tasks)
	for _, t := range w.tasks {
		if t.ended {
			w.end(t)
		}
	}
}

// end ends a subtask, or says once more that it has ended.
func (w *world) end(t *worldTask) {
	if !t.ended {
		t.ended, t.final = true, &linkpb.TaskState{Bytes: 1}
		if w.r.IntN(2) == 0 {
			t.final.Files = []string{w.file(worldShared, t)}
		}
	}
	var commits []*linkpb.OperatorCommit
	if string(t.id.GetVertex()) == string(opID(2)) {
		commits = commitsOf(t.held)
	}
	w.TaskFinished(w.now, t.id, t.final, commits)
}

func (w *world) step() {
	w.now += w.r.Int64N(20)
	switch op := w.r.IntN(100); {
	case op < 10:
		w.request++
		w.Trigger(w.now, Request{ID: w.request, Savepoint: w.r.IntN(3) > 0, Directory: "hdfs://nn/sp", Tolerated: true})
	case op < 11 && w.Running():
		w.Stopped(w.now, "restart")
		w.counts[4]++
	case !w.Running() && !w.Storing() && op < 60: // what is being stored is waited for
		whole := w.r.IntN(2) == 0
		if md := w.Latest(); md != nil && whole {
			w.Restored(w.now, md)
		} else if md != nil {
			w.RegionRestored(w.now, md)
		}
		w.start(func(i int) bool { return whole || i == 0 })
	case op < 12 && w.r.IntN(3) == 0:
		if t := w.tasks[w.r.IntN(len(w.tasks))]; !t.ended && w.idle(t) {
			w.end(t)
			w.counts[5]++
		}
	case op < 80 && len(w.late) > 0:
		i := 0
		if w.r.IntN(2) == 0 {
			i = w.r.IntN(len(w.late))
		}
		f := w.late[i]
		w.late = slices.Delete(w.late, i, i+1)
		f()
	default:
		w.Tick(w.now)
	}
	w.act()
	w.check()
}

// idle says that a subtask has acknowledged all that it took.
func (w *world) idle(t *worldTask) bool {
	for _, p := range w.pending {
		if p.phase >= acknowledging && p.acks[keyOf(t.id)] == nil {
			return false
		}
	}
	return true
}

// TestRandomJobs: whatever happens to checkpoints and subtasks, the job never goes back, nothing is committed twice, no file
// is removed that is needed, and when all is quiet nothing is left but what is needed.
func TestRandomJobs(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	var counts [6]int
	for run := range uint64(100) {
		r := rand.New(rand.NewPCG(run, seed))
		b := newBench(t, func(c *Config) {
			c.Incremental, c.MaxConcurrent, c.Tolerable, c.Timeout, c.Retained = r.IntN(4) > 0, 1+r.IntN(3), 1000, 400, 1+r.IntN(2)
			c.Retention = []string{RetainNone, RetainOnCancel}[r.IntN(2)]
		})
		w := &world{T: t, Coordinator: b.Coordinator, r: r, disk: map[string]bool{}, md: map[string]*checkpointpb.Metadata{}, done: map[string]int{},
			answers: map[int64]int{}}
		w.tasks = []*worldTask{{id: b.source}, {id: b.sink}}
		w.start(func(int) bool { return true })
		for range 600 {
			w.step()
		}
		w.finish()
		for i, n := range w.counts {
			counts[i] += n
		}
		if t.Failed() {
			t.Fatalf("run %d", run)
		}
	}
	if slices.Min(counts[:]) < 10 {
		t.Errorf("checkpoints, those with shared files, savepoints, those overtaken, restarts, ended subtasks: %v", counts)
	}
}

// finish lets the job come to rest and ends it.
func (w *world) finish() {
	for i := range 50 { // until all is quiet
		if !w.Running() && !w.Storing() {
			w.start(func(int) bool { return false })
		}
		for len(w.late) > 0 {
			f := w.late[0]
			w.late = w.late[1:]
			f()
			w.act()
		}
		if i < 49 {
			w.now += 500
			w.Tick(w.now)
			w.act()
		}
	}
	needed := w.needed()
	for _, md := range w.md {
		for f := range filesOf(md) {
			needed[f] = true
		}
	}
	for f := range w.disk {
		if !needed[f] {
			w.Errorf("%s is left while the job runs", f)
		}
	}
	c, _ := w.Ended(w.now, linkpb.JobStatus_CANCELED)
	w.act()
	for _, dir := range c.Directories {
		w.removeAll(dir)
	}
	for dir, md := range w.md {
		if !md.GetSavepoint() && !slices.Contains(c.Keep, dir) {
			w.Errorf("%s is left", dir)
		}
	}
	if w.cfg.Retention == RetainOnCancel {
		w.check()
	} else if len(c.Keep) > 0 {
		w.Errorf("kept: %q", c.Keep)
	}
	for r := int64(1); r <= w.request; r++ {
		if w.answers[r] != 1 {
			w.Errorf("request %d is answered %d times", r, w.answers[r])
		}
	}
}
