package state

import "unsafe"

// A table whose changes are tracked leaves in every slot a stamp for the checkpoint behind which its value may have changed
// last. Stamps go round: a very old one may now and then be taken for a new one, which writes an entry that needn't be
// written; the other way about is impossible, since a base isn't older than maxLag.
const (
	// clean is the stamp of a value that is as it was read from the store.
	clean uint16 = 0
	// untracked is that of one that changed before the first checkpoint that changes are known behind.
	untracked  uint16 = 1
	firstStamp        = 2
	stamps            = 1<<16 - firstStamp
)

// maxLag is how much older than a checkpoint its base may be, in checkpoints. Behind an older one all counts as changed.
const maxLag = 64

// minLog is how many entries a Log may have, however little there is besides.
const minLog = 1024

// stampOf is the stamp of what changes behind a checkpoint.
func stampOf(checkpoint int64) uint16 { return uint16(firstStamp + checkpoint%stamps) }

// behind is the checkpoint behind which a slot with that stamp changed last, 0 if it isn't known; last is the last one.
func behind(stamp uint16, last int64) int64 {
	if stamp < firstStamp {
		return 0
	}
	return last - (last%stamps-int64(stamp-firstStamp)+stamps)%stamps
}

// Log keeps what has happened since a checkpoint that may still be a base, in order. It is bounded: where too much happens
// it forgets all, and what is asked for is then unknown up to the next checkpoint. The zero value keeps nothing until the
// first Since.
type Log[E any] struct {
	entries []E
	marks   []logMark // of the checkpoints since the base
	last    int64     // the last checkpoint; 0: there was none
	base    int64     // the last base
	since   int64     // the first checkpoint behind which everything is known
}

// logMark is where the entries behind a checkpoint begin.
type logMark struct {
	checkpoint int64
	at         int
}

// On says that Add may keep something.
func (l *Log[E]) On() bool { return l.last != 0 && l.since <= l.last }

// Add appends e. live is how much there is of what the log is about: a longer log isn't worth its memory.
func (l *Log[E]) Add(e E, live int) {
	switch {
	case !l.On():
	case len(l.entries) >= max(live, minLog):
		l.Forget()
	default:
		l.entries = append(l.entries, e)
	}
}

// Forget makes everything unknown up to the next checkpoint.
func (l *Log[E]) Forget() {
	l.entries, l.marks = nil, nil
	if l.last != 0 {
		l.since = l.last + 1
	}
}

// Since is called at each checkpoint, whose numbers grow, and so do those of bases. It returns what was added since base,
// and whether that is all there was; the entries must not be changed.
func (l *Log[E]) Since(checkpoint, base int64) (entries []E, known bool) {
	if l.last == 0 {
		l.since = checkpoint
	}
	l.base = max(l.base, base)
	if checkpoint-l.low() > maxLag {
		l.Forget()
		l.since = checkpoint
	}
	l.trim()
	if len(l.marks) != 0 && l.marks[0].checkpoint == base {
		entries, known = l.entries[:len(l.entries):len(l.entries)], true
	}
	l.last = checkpoint
	l.marks = append(l.marks, logMark{checkpoint, len(l.entries)})
	return entries, known
}

// trim drops what came before the base.
func (l *Log[E]) trim() {
	gone := 0
	for gone < len(l.marks) && l.marks[gone].checkpoint < l.base {
		gone++
	}
	l.marks = l.marks[gone:]
	if len(l.marks) == 0 {
		return
	}
	at := l.marks[0].at
	l.entries = l.entries[at:]
	for i := range l.marks {
		l.marks[i].at -= at
	}
}

// low is the earliest checkpoint that may still be a base.
func (l *Log[E]) low() int64 { return max(l.base, l.since) }

// removal is a key that was deleted.
type removal[K comparable] struct {
	group int
	key   K
}

// SnapshotSince is Snapshot for a checkpoint that may hold no more than what has changed since checkpoint base, for which
// SnapshotSince was called before; 0: there is none. Numbers of checkpoints and of bases grow. With the first call the table
// begins to keep track of its changes.
func (t *Table[K, V]) SnapshotSince(checkpoint, base int64) *Frozen[K, V] {
	last := t.removed.last
	removed, known := t.removed.Since(checkpoint, base)
	f := t.Snapshot()
	if known {
		c := &changes[K]{base: base, last: last, removed: removed, touched: make([]bool, len(t.groups)), logged: make([]bool, len(t.groups))}
		for i := range t.groups {
			c.touched[i], c.logged[i] = t.groups[i].touched >= base, t.groups[i].logged >= base
		}
		f.since = c
	}
	for i := range t.groups {
		t.groups[i].frozen = true // the first change will tell, also where there was nothing
	}
	t.stamp = stampOf(checkpoint)
	if t.spill != nil {
		t.trimStored()
	}
	return f
}

// Forget makes everything count as changed at the next checkpoint, for a table that means something else from now on.
func (t *Table[K, V]) Forget() { t.removed.Forget() }

// deleted notes that k, which owns its memory, is gone from group i. Before a store the notes get a small share of the
// memory.
func (t *Table[K, V]) deleted(i int, k K) {
	r, live := removal[K]{i, k}, t.n
	if t.spill != nil {
		live = min(live, int(t.spill.space.store.Share()/16/int64(unsafe.Sizeof(r))))
	}
	t.removed.Add(r, live)
}
