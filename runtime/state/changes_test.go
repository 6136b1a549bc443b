package state

import (
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"
)

// TestStampsGoRound: what changed since a base that isn't too old is never taken for unchanged, and what is much older is
// seldom taken for changed.
func TestStampsGoRound(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	wrong := 0
	for range 100000 {
		last := 1 + r.Int64N(300000)
		at := max(1, last-r.Int64N(maxLag+1))
		if got := behind(stampOf(at), last); got != at {
			t.Fatalf("what changed behind %d seems to have behind %d, after %d", at, got, last)
		}
		if old := last - stamps - r.Int64N(stamps); old > 0 && behind(stampOf(old), last) >= at {
			wrong++
		}
	}
	if wrong > 200 {
		t.Errorf("%d of 100000 old changes are taken for new ones", wrong)
	}
	if behind(clean, 77777) != 0 || behind(untracked, 77777) != 0 {
		t.Error("a slot that hasn't changed behind any checkpoint seems to have")
	}
	if size := unsafe.Sizeof(slot[int64, [2]int64]{}); size != 32 {
		t.Errorf("a slot has %d bytes", size)
	}
}

// TestLog: entries are those since the base, in order; one that has grown too long knows nothing up to the next checkpoint.
func TestLog(t *testing.T) {
	var l Log[int]
	l.Add(1, 1<<20)
	since := func(id, base int64, known bool, want ...int) {
		t.Helper()
		if got, ok := l.Since(id, base); ok != known || !slices.Equal(got, want) {
			t.Fatalf("checkpoint %d on %d: %v, %v; want %v, %v", id, base, got, ok, want, known)
		}
	}
	since(10, 0, false)
	l.Add(2, 0)
	since(11, 0, false)
	l.Add(3, 0)
	since(12, 10, true, 2, 3)
	l.Add(4, 0)
	since(13, 10, true, 2, 3, 4)
	since(14, 12, true, 4)
	since(15, 14, true)
	for i := range minLog + 1 {
		l.Add(i, 5)
	}
	if l.On() || len(l.entries) != 0 {
		t.Fatal("the log is longer than it may be")
	}
	since(16, 15, false)
	l.Add(9, 0)
	since(17, 16, true, 9)
	since(18+maxLag, 17, false)
	l.Add(10, 0)
	since(19+maxLag, 18+maxLag, true, 10)
	l.Forget()
	since(20+maxLag, 19+maxLag, false)
}

// TestUntouchedGroupsAreNotLookedAt: a view looks at the places of those groups only of which something has changed.
func TestUntouchedGroupsAreNotLookedAt(t *testing.T) {
	table := NewTable[int, int](Range{0, 128, 128}, nil)
	for k := range 10000 {
		table.At(spread(k), k)
	}
	table.SnapshotSince(1, 0).Release()
	f := table.SnapshotSince(2, 1)
	f.Release()
	for id := int64(3); id < 6; id++ {
		touched := map[int]bool{}
		for k := range 5 {
			table.At(spread(k), k)
			touched[int(uint64(spread(k))*128>>32)] = true
		}
		for k := range 10000 {
			table.Peek(spread(k), k)
		}
		f := table.SnapshotSince(id, id-1)
		n := 0
		for g := range 128 {
			if f.since.touched[g] != touched[g] {
				t.Errorf("checkpoint %d: group %d is touched: %v", id, g, f.since.touched[g])
			}
			for range f.Changed(g) {
				n++
			}
		}
		if n != 5 {
			t.Errorf("checkpoint %d: %d changes, want 5", id, n)
		}
		f.Release()
	}
}

// TestDiscardLeavesNoRemoval: keys that come and go between two snapshots cost nothing.
func TestDiscardLeavesNoRemoval(t *testing.T) {
	table := NewTable[int, int](Range{0, 16, 16}, nil)
	table.SnapshotSince(1, 0).Release()
	for k := range 100 {
		table.At(spread(k), k)
		table.Discard(spread(k), k)
	}
	table.At(spread(7), 7)
	table.Delete(spread(7), 7)
	f := table.SnapshotSince(2, 1)
	defer f.Release()
	var removed []int
	for g := range 16 {
		for k := range f.Removed(g) {
			removed = append(removed, *k)
		}
	}
	if !slices.Equal(removed, []int{7}) || table.Len() != 0 {
		t.Errorf("removed are %v, and %d are left", removed, table.Len())
	}
}

// Touch finds, inserts and notes changes as At does, and copies a frozen group only to note one.
func TestTouch(t *testing.T) {
	table := NewTable[int, int](Range{0, 1, 1}, nil)
	if v, inserted := table.Touch(spread(1), 1); !inserted {
		t.Error("the key was there before")
	} else {
		*v = 10
	}
	at := func(f *Frozen[int, int]) (at *int) {
		for _, v := range f.Group(0) {
			at = v
		}
		return at
	}
	touch := func() *int {
		t.Helper()
		v, inserted := table.Touch(spread(1), 1)
		if inserted || *v != 10 {
			t.Errorf("touched %d, inserted: %v", *v, inserted)
		}
		return v
	}
	f := table.Snapshot()
	if touch() != at(f) {
		t.Error("the group was copied, though nothing in it changes")
	}
	f.Release()
	f = table.SnapshotSince(1, 0)
	if first := touch(); first == at(f) {
		t.Error("the change was noted in the view's group")
	} else if touch() != first {
		t.Error("the group was copied twice")
	}
	f.Release()
	f = table.SnapshotSince(2, 1)
	defer f.Release()
	n := 0
	for range f.Changed(0) {
		n++
	}
	if n != 1 {
		t.Errorf("%d changes, want the touched one", n)
	}
}

// TestTouchAfterStampsWentRound: a key that changed as many checkpoints ago as there are stamps looks as if the present change were
// noted already.
func TestTouchAfterStampsWentRound(t *testing.T) {
	table := NewTable[int, int](Range{0, 1, 1}, nil)
	table.SnapshotSince(5, 0).Release()
	table.Touch(spread(1), 1)
	for id := int64(6); id <= 5+stamps; id++ {
		table.SnapshotSince(id, id-1).Release()
	}
	table.Touch(spread(1), 1)
	f := table.SnapshotSince(6+stamps, 5+stamps)
	defer f.Release()
	n := 0
	for range f.Changed(0) {
		n++
	}
	if n != 1 || !f.Known() {
		t.Errorf("%d changes, want the touched one", n)
	}
}
