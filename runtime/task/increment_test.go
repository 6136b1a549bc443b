package task_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/weftstream/weft/internal/testkit"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/operator"
	"github.com/weftstream/weft/runtime/checkpoint"
)

// TestIncrementalCheckpoints: random changes, checkpoints that complete, are aborted, come late or at once, savepoints
// between them, restarts at other parallelisms and of other JobMasters: every completed checkpoint that is kept holds what
// the registers held at its barriers, and no file is left that nobody needs.
func TestIncrementalCheckpoints(t *testing.T) {
	testkit.NoLeak(t)
	seed := rand.Uint64()
	var written, held int64
	built := 0
	for round := range 30 {
		t.Run(fmt.Sprintf("%d/%d", seed, round), func(t *testing.T) {
			w := newWorld(t, rand.New(rand.NewPCG(seed, uint64(round))))
			for range 250 {
				w.step()
			}
			w.finish()
			written, held, built = written+w.written, held+w.held, built+w.built
		})
		if t.Failed() {
			return
		}
	}
	if built == 0 || written >= held {
		t.Errorf("%d groups are written as changes; of %d bytes %d were written", built, held, written)
	}
}

// step does something.
func (w *world) step() {
	w.now++
	m := w.tasks[w.rnd.IntN(len(w.tasks))]
	switch n := w.rnd.IntN(100); {
	case n < 25:
		m.op.change()
	case n < 33:
		w.cp.Tick(w.now)
	case n < 37 && w.regular:
		w.cp.Tick(w.now)
	case n < 35:
		w.cp.Trigger(w.now, checkpoint.Request{ID: w.now})
	case n < 37:
		w.cp.Trigger(w.now, checkpoint.Request{ID: w.now, Savepoint: true})
	case n < 60:
		w.release(m, w.rnd.IntN(len(m.open)+1))
	case n < 95:
		w.deliver(w.rnd.IntN(3))
	case n < 97:
		w.decline()
	case n < 99:
		w.restart(!w.regular && w.rnd.IntN(2) == 0)
	default:
		w.restartOne(w.rnd.IntN(len(w.tasks)))
	}
	w.act()
	if w.rnd.IntN(10) == 0 {
		for id, dir := range w.retained() {
			w.check(dir, id)
		}
	}
}

// release lets a subtask write the i-th of its snapshots.
func (w *world) release(m *member, i int) {
	if i >= len(m.open) {
		return
	}
	m.op.mu.Lock()
	close(m.op.gates[m.open[i]])
	m.op.mu.Unlock()
	m.open = slices.Delete(m.open, i, i+1)
}

// deliver hands acknowledgements on, in any order.
func (w *world) deliver(n int) {
	for range n {
		w.mu.Lock()
		if len(w.acks) == 0 {
			w.mu.Unlock()
			return
		}
		i := w.rnd.IntN(len(w.acks))
		a := w.acks[i]
		w.acks = slices.Delete(w.acks, i, i+1)
		w.mu.Unlock()
		w.cp.Acknowledged(w.now, a)
		w.act()
	}
}

// decline has a subtask decline a checkpoint that may be under way.
func (w *world) decline() {
	id := w.now
	for _, r := range w.cp.Stats().History {
		if r.Status == checkpoint.InProgress && w.rnd.IntN(2) == 0 {
			id = r.ID
		}
	}
	w.cp.Declined(w.now, &linkpb.CheckpointDecline{Id: w.tasks[0].task.ID(), Checkpoint: id, Failure: &linkpb.Failure{Message: "no"}})
}

// restart starts all subtasks from the latest checkpoint; another JobMaster does, who has none of the acknowledgements.
func (w *world) restart(master bool) {
	w.cp.Stopped(w.now, "restart")
	w.act()
	w.stop(w.tasks...)
	w.act()
	if w.cp.Pointer() == nil {
		w.start(1+w.rnd.IntN(3), nil)
		return
	}
	p := w.cp.Pointer()
	md := w.check(p.Path, p.Checkpoint)
	if master {
		w.deliver(1 << 30) // what is lost with a JobMaster stays until the end of the job, see checkpoint.Clean
		w.count()
		w.runs++
		w.leaky = w.leaky || w.savepoint(p.Path) || p.Checkpoint < w.newest
		w.cp = checkpoint.New(w.cfg, w.g, fmt.Sprint("run", w.runs), p, md)
		for _, o := range p.Older {
			older, err := w.storage.Load(w.Context(), o.Path)
			if err != nil {
				w.Fatal(err)
			}
			w.cp.Needs(o.Path, checkpoint.Outside(older))
		}
	}
	w.start(1+w.rnd.IntN(3), md)
	w.restored(p.Checkpoint)
}

// restored checks what the subtasks started from.
func (w *world) restored(id int64) {
	all := map[place]uint64{}
	for _, m := range w.tasks {
		maps.Copy(all, m.op.restored)
	}
	if !maps.Equal(all, w.expect[id]) {
		w.Fatalf("from checkpoint %d the job starts with\n%v, want\n%v", id, all, w.expect[id])
	}
}

// restartOne starts one subtask from the latest checkpoint while the others go on.
func (w *world) restartOne(i int) {
	p := w.cp.Pointer()
	if p == nil {
		return
	}
	w.cp.Stopped(w.now, "a subtask restarts")
	w.act()
	md := w.check(p.Path, p.Checkpoint)
	a, err := checkpoint.Assign(md, w.g, false)
	if err != nil {
		w.Fatal(err)
	}
	w.stop(w.tasks[i])
	old := w.tasks[i]
	w.attempt++
	id := old.task.ID()
	spec := &linkpb.Task{Id: &linkpb.ExecutionID{Vertex: id.Vertex, Subtask: id.Subtask, Attempt: w.attempt}, Restore: a.Tasks[operator.ID(id.Vertex)][i]}
	w.tasks[i] = w.run(spec)
	w.await(w.tasks[i])
	w.cp.RegionRestored(w.now, md)
	w.started()
}

// count adds up what the checkpoints wrote.
func (w *world) count() {
	for _, r := range w.cp.Stats().History {
		if r.Status == checkpoint.Completed && !r.Savepoint {
			w.written += r.Written
			w.held += r.StateSize
		}
	}
}

// finish ends all that is under way and looks at what is left.
func (w *world) finish() {
	w.cp.Stopped(w.now, "the end")
	w.act()
	w.stop(w.tasks...)
	w.deliver(1 << 30)
	w.count()
	needed := map[string]bool{}
	var keep []string
	for id, dir := range w.retained() {
		md := w.check(dir, id)
		keep = append(keep, dir)
		needed[dir+"/"+checkpoint.MetadataFile] = true
		for _, v := range md.Vertices {
			for _, s := range v.Subtasks {
				for _, f := range s.Files {
					needed[f] = true
				}
			}
		}
	}
	clean, _ := w.cp.Ended(w.now, linkpb.JobStatus_CANCELED)
	if p := w.cp.Pointer(); p != nil && p.Checkpoint >= w.newest && !w.savepoint(p.Path) && !w.leaky { // else what the next would have built on is there, too
		w.only(needed, "in the end")
	}
	if err := w.storage.Clean(w.Context(), clean); err != nil {
		w.Fatal(err)
	}
	w.only(needed, "with what is retained")
	for id, dir := range w.retained() {
		w.check(dir, id)
	}
	// Whoever removes the retained ones, in any order, has the others whole.
	for len(keep) > 0 {
		if w.savepoint(keep[0]) {
			keep = keep[1:]
			continue
		}
		i := w.rnd.IntN(len(keep))
		if err := w.storage.Dispose(w.Context(), keep[i]); err != nil {
			w.Fatal(err)
		}
		keep = slices.Delete(keep, i, i+1)
		for id, dir := range w.retained() {
			if slices.Contains(keep, dir) {
				w.check(dir, id)
			}
		}
	}
	w.only(nil, "at last")
}

func (w *world) savepoint(dir string) bool { return strings.Contains(dir, "/savepoints/") }

func (w *world) only(needed map[string]bool, when string) {
	w.Helper()
	var want []string
	for f := range needed {
		if !w.savepoint(f) {
			want = append(want, f)
		}
	}
	slices.Sort(want)
	if left := w.left(); !slices.Equal(left, want) {
		w.Errorf("%s there is\n%s\nwant\n%s", when, strings.Join(left, "\n"), strings.Join(want, "\n"))
	}
}
