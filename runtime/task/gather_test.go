package task_test

import (
	"math/rand/v2"
	"testing"

	"github.com/weftstream/weft/internal/testkit"
	"github.com/weftstream/weft/runtime/checkpoint"
)

// TestFewFilesOfEarlierCheckpoints: however many checkpoints a state was changed in, it is in few files, which hold little else.
func TestFewFilesOfEarlierCheckpoints(t *testing.T) {
	testkit.NoLeak(t)
	w := &world{T: t, rnd: rand.New(rand.NewPCG(1, 2))}
	w.init("memory://x")
	w.cfg.Retained, w.cfg.InlineThreshold, w.cfg.MaxConcurrent = 1, 0, 1
	w.start(1, nil)
	defer func() { w.stop(w.tasks...) }()
	m := w.tasks[0]
	m.op.tidy = true
	put := func(p place) {
		m.op.mu.Lock()
		defer m.op.mu.Unlock()
		m.op.seq++
		m.op.state[p], m.op.changed[p] = w.rnd.Uint64(), m.op.seq
	}
	all := func(do func(place)) {
		for group := range byte(registerGroups) {
			for part := range byte(3) {
				for key := range byte(40) {
					do(place{group, part, key})
				}
			}
		}
	}
	taken := func() {
		w.now++
		w.cp.Tick(w.now)
		w.act()
		for len(m.open) > 0 {
			w.release(m, 0)
		}
		for w.cp.Stats().Counts.InProgress > 0 {
			m.acked(t)
			w.deliver(1)
		}
	}
	// A file with little that is still there.
	all(put)
	taken()
	all(func(p place) {
		if p.group != 0 || p.part != 0 {
			m.op.mu.Lock()
			m.op.seq++
			m.op.changed[p] = m.op.seq
			delete(m.op.state, p)
			m.op.mu.Unlock()
		}
	})
	put(place{})
	taken()
	if shared := checkpoint.Outside(w.cp.Latest()); len(shared) != 1 {
		t.Errorf("for a twentieth of the first checkpoint's file the second refers to %q", shared)
	}
	all(put)
	most := 0
	for range 130 {
		// One group of a part in each checkpoint; the rest stays as it is for long.
		for range 2 {
			put(place{byte(w.rnd.IntN(registerGroups)), byte(w.rnd.IntN(3)), byte(w.rnd.IntN(40))})
		}
		taken()
		most = max(most, len(w.cp.Latest().Vertices[0].Subtasks[0].Files))
	}
	if most < 20 || most > 66 { // its own, that which it shares, and 64
		t.Errorf("a checkpoint refers to up to %d files", most)
	}
	p := w.cp.Pointer()
	md := w.check(p.Path, p.Checkpoint)
	size := int64(0)
	for _, uri := range checkpoint.Outside(md) {
		f, name, err := w.files.Resolve(uri)
		if err != nil {
			t.Fatal(err)
		}
		info, err := f.Stat(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		size += info.Size
	}
	if held := md.Vertices[0].Subtasks[0].Bytes; size > 4*held {
		t.Errorf("the files have %d bytes for a state of %d", size, held)
	}
	w.count()
	if w.written*5 > w.held {
		t.Errorf("of %d bytes %d were written", w.held, w.written)
	}
}
