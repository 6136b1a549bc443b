package stream

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/weftstream/weft/operator"
)

// Align keeps the sources of a job that name the same group together: a split whose watermark is more than maxDrift ahead of
// the group's lowest is not read until the others have caught up, so that the state of what joins them stays small. The
// group's lowest is that of all subtasks of all its sources, except for those that are idle or have ended; until each has a
// watermark, all wait with the first records that they have read. It is for EventTime and EventTimeWith. A reader that
// reads several splits at once and doesn't ask SplitTracker.Paused is only stopped when all of them are too far.
func Align(group string, maxDrift time.Duration) TimeOption {
	return TimeOption{func(s *timeSpec) { s.aligned, s.group, s.drift = true, group, maxDrift }}
}

// AlignEvery sets how often the subtasks of a source with Align tell each other where they are. Default 1 s.
func AlignEvery(d time.Duration) TimeOption { return TimeOption{func(s *timeSpec) { s.every = d }} }

// defaultAlignEvery is Flink's.
const defaultAlignEvery = time.Second

// alignment is a group of sources, in the process that coordinates the job. Safe for concurrent use: each source has a
// coordinator.
type alignment struct {
	mu    sync.Mutex
	marks map[aligned]int64 // what each subtask has reached
}

type aligned struct {
	source  operator.ID
	subtask int
}

// alignment is the group of that name.
func (e *Env) alignment(group string) *alignment {
	if e.groups[group] == nil {
		e.groups[group] = &alignment{marks: map[aligned]int64{}}
	}
	return e.groups[group]
}

// join makes the group wait for all subtasks of a source.
func (a *alignment) join(source operator.ID, subtasks int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range subtasks {
		a.marks[aligned{source, i}] = operator.NoWatermark
	}
}

func (a *alignment) leave(source operator.ID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for m := range a.marks {
		if m.source == source {
			delete(a.marks, m)
		}
	}
}

// lost takes out a subtask until it is heard of again.
func (a *alignment) lost(source operator.ID, subtask int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.marks, aligned{source, subtask})
}

// reached notes the watermark of a subtask and returns the lowest of those that aren't idle.
func (a *alignment) reached(source operator.ID, subtask int, mark int64) (low int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.marks[aligned{source, subtask}] = mark
	low = operator.MaxWatermark
	for _, m := range a.marks {
		if m != operator.IdleWatermark {
			low = min(low, m)
		}
	}
	return low
}

// alignedSplits is the coordinator of a source that is aligned: besides handing out splits it takes reports, which are a
// watermark of 8 bytes, and answers them with the group's lowest.
type alignedSplits struct {
	*splitCoordinator
	group *alignment
	id    operator.ID
}

func (c *alignedSplits) Handle(subtask int, request []byte) ([]byte, error) {
	switch len(request) {
	case 0:
		return c.splitCoordinator.Handle(subtask, nil)
	case 8:
		low := c.group.reached(c.id, subtask, int64(binary.LittleEndian.Uint64(request)))
		return binary.LittleEndian.AppendUint64(nil, uint64(low)), nil
	}
	return nil, fmt.Errorf("a report of %d bytes is not understood", len(request))
}

func (c *alignedSplits) Lost(subtask int) error {
	c.group.lost(c.id, subtask)
	return c.splitCoordinator.Lost(subtask)
}

func (c *alignedSplits) Close() error {
	c.group.leave(c.id)
	return c.splitCoordinator.Close()
}

// sourceAlign is the part of a subtask in its group.
type sourceAlign struct {
	drift, every int64
	due          int64 // of the next report
	told         int64 // by the last one
	asked        bool  // an answer is due
}

// report tells the coordinator what the source has reached, when it is time for that, and its first watermark at once: all
// wait for it. The answer moves t's limit.
func (a *sourceAlign) report(env *operator.Env, t *SplitTracker, now, mark int64) {
	if a.asked || now < a.due && (a.told != operator.NoWatermark || mark == operator.NoWatermark) {
		return
	}
	a.asked, a.due, a.told = true, now+a.every, mark
	env.Runtime.Ask(reportOf(mark), func(b []byte, err error) error {
		a.asked = false
		if err == nil && len(b) != 8 {
			err = errors.New("the answer is not understood")
		}
		if err != nil {
			env.Log.Warn("no word of the alignment group; asked again with the next report", "error", err)
			return nil
		}
		low := int64(binary.LittleEndian.Uint64(b))
		t.limit = operator.MaxWatermark
		if low < operator.MaxWatermark-a.drift {
			t.limit = low + a.drift
		}
		return nil
	})
}

// end tells the group not to wait for this subtask any more.
func (a *sourceAlign) end(env *operator.Env) {
	env.Runtime.Ask(reportOf(operator.MaxWatermark), func([]byte, error) error { return nil })
}

func reportOf(mark int64) []byte { return binary.LittleEndian.AppendUint64(nil, uint64(mark)) }
