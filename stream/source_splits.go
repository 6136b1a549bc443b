package stream

import (
	"errors"

	"github.com/weftstream/weft/operator"
)

// SplitReader is a SourceReader that says which split its records are of. A source with EventTime then has a watermark
// for each of the splits that a reader has open, and its own is the lowest of them: a split whose records are older than
// those of another one holds the watermark back until it has caught up, and none of its records is late. Without it all
// splits of a reader share one watermark.
type SplitReader interface {
	// Track is called once, before Add, if the source has EventTime.
	Track(t *SplitTracker)
}

// SplitTracker is told by a SplitReader what it reads. Its methods are called by the subtask's goroutine only, from Add and
// Poll. On a nil *SplitTracker they do nothing, so that a reader need not ask whether there is one.
type SplitTracker struct {
	splits    []splitTime // by id
	runs      []splitRun  // of the batch that is being read
	emitted   func() int  // records of that batch
	current   int         // the split that is emitted from; -1 for none
	closing   bool        // a split was closed since the last release
	generator func() Watermarks
	clock     int64 // milliseconds that count for idleness
	limit     int64 // of alignment: splits whose watermark is higher are paused
}

// splitTime is the event time of one split.
type splitTime struct {
	open, closing bool
	idle          bool
	high, mark    int64
	active        int64 // by clock, when the last records came
	gen           Watermarks
}

// splitRun is the records of a batch that are of one split: from from on to the next run.
type splitRun struct{ split, from int }

var errNoSplit = errors.New("the reader emitted a record without saying of which split: a SplitReader calls SplitTracker.Select before")

// Open says that there is a split more and returns its id. From now on the source's watermark waits for it. Ids are used
// again when their split has been closed.
func (t *SplitTracker) Open() (id int) {
	if t == nil {
		return 0
	}
	s := splitTime{open: true, high: operator.NoWatermark, mark: operator.NoWatermark, active: t.clock}
	if t.generator != nil {
		s.gen = t.generator()
	}
	for i := range t.splits {
		if !t.splits[i].open {
			t.splits[i] = s
			return i
		}
	}
	t.splits = append(t.splits, s)
	return len(t.splits) - 1
}

// Select says that what is emitted from now on, also by later calls of Poll, is of split id.
func (t *SplitTracker) Select(id int) {
	if t == nil || t.current == id {
		return
	}
	if t.current = id; t.emitted == nil {
		return // the zero value: a reader is tested by itself
	}
	t.runs = append(t.runs, splitRun{id, t.emitted()})
}

// Close says that split id has been read to its end: it holds the watermark back no more.
func (t *SplitTracker) Close(id int) {
	if t == nil {
		return
	}
	t.splits[id].closing, t.closing = true, true
	if t.current == id {
		t.current = -1
	}
}

// Paused says that split id is too far ahead of others to be read now (Align). A reader that reads several splits at once
// leaves it out; when all are paused, the reader isn't polled at all. It does not change during a Poll.
func (t *SplitTracker) Paused(id int) bool { return t != nil && t.splits[id].mark > t.limit }

// begin begins a batch.
func (t *SplitTracker) begin() {
	t.runs = t.runs[:0]
	if t.current >= 0 {
		t.runs = append(t.runs, splitRun{t.current, 0})
	}
}

// paused says that there are splits and none of them may be read.
func (t *SplitTracker) paused() bool {
	some := false
	for i := range t.splits {
		if s := &t.splits[i]; s.open {
			if s.mark <= t.limit {
				return false
			}
			some = true
		}
	}
	return some
}

// low is the lowest watermark of the open splits that aren't idle. none: there is no open split; awake: one isn't idle.
func (t *SplitTracker) low() (mark int64, none, awake bool) {
	mark, none = operator.MaxWatermark, true
	for i := range t.splits {
		s := &t.splits[i]
		if s.open {
			none = false
			if !s.idle {
				mark, awake = min(mark, s.mark), true
			}
		}
	}
	if !awake {
		mark = operator.NoWatermark
	}
	return mark, none, awake
}

// release takes the splits out that have been closed and says whether there were any.
func (t *SplitTracker) release() bool {
	if !t.closing {
		return false
	}
	t.closing = false
	for i := range t.splits {
		if t.splits[i].closing {
			t.splits[i] = splitTime{}
		}
	}
	return true
}

// doze declares those splits idle that had no records for idle ms, and returns the time until the next one will be, 0 for
// none. A paused split isn't asked for records.
func (t *SplitTracker) doze(idle int64) (next int64) {
	for i := range t.splits {
		s := &t.splits[i]
		if !s.open || s.idle {
			continue
		}
		if s.mark > t.limit {
			s.active = t.clock
		}
		left := s.active + idle - t.clock
		if s.idle = left <= 0; !s.idle && (next == 0 || left < next) {
			next = left
		}
	}
	return next
}

// wake notes that a split has records.
func (t *SplitTracker) wake(s *splitTime) { s.active, s.idle = t.clock, false }
