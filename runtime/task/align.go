package task

import (
	"fmt"
	"slices"
	"time"
)

// maxCounted bounds the checkpoints whose barriers are counted at the same time; the oldest is given up for one more
// (Flink's CheckpointBarrierTracker.MAX_CHECKPOINTS_TO_TRACK).
const maxCounted = 50

// alignment is a checkpoint whose barriers are arriving.
type alignment struct {
	id      int64
	missing int // channels that have neither sent it nor ended
	begun   time.Time
	read    int64  // bytes read when it began
	had     []bool // by channel: has sent it, while barriers are counted
}

func (t *Task) newAlignment(id int64) *alignment {
	return &alignment{id: id, missing: t.cp.left, begun: time.Now(), read: t.gate.BytesRead()}
}

// barrier notes a barrier that came on a channel.
func (t *Task) barrier(channel int, id int64) error {
	c := &t.cp
	t.reached(channel, id)
	if id <= c.done || c.aborted[id] {
		return nil
	}
	if t.job.Settings.AtLeastOnce {
		return t.count(channel, id)
	}
	if c.aligning != nil && c.aligning.id < id {
		// Whoever sent this one has given the other up.
		t.decline(c.aligning.id, fmt.Errorf("checkpoint %d overtook it", id))
		c.done = c.aligning.id
		t.unblock()
	}
	if c.aligning == nil {
		c.aligning = t.newAlignment(id)
	}
	if c.aligning.id != id || c.blocked[channel] {
		return nil
	}
	c.blocked[channel] = true
	t.gate.Block(channel)
	c.aligning.missing--
	return t.aligned()
}

// channelEnded notes the end of a channel, which has had every barrier.
func (t *Task) channelEnded(channel int) error {
	c := &t.cp
	c.ended[channel] = true
	c.left--
	t.reached(channel, 0)
	for _, a := range c.counting {
		if !a.had[channel] {
			a.missing--
		}
	}
	if len(c.counting) > 0 {
		return t.counted()
	}
	if c.aligning != nil && !c.blocked[channel] {
		c.aligning.missing--
		return t.aligned()
	}
	return nil
}

// aligned takes the checkpoint whose last barrier has come, once its options have come, too.
func (t *Task) aligned() error {
	c := &t.cp
	if t.job.Settings.AtLeastOnce {
		return t.counted()
	}
	a := c.aligning
	if a == nil || c.options[a.id] == nil {
		return nil
	}
	if a.missing > 0 {
		return t.overtake()
	}
	err := t.take(a.id, c.options[a.id], a.begun, t.gate.BytesRead()-a.read)
	t.unblock()
	return err
}

func (t *Task) unblock() {
	c := &t.cp
	c.aligning = nil
	for i, b := range c.blocked {
		if b {
			c.blocked[i] = false
			t.gate.Unblock(i)
		}
	}
}

// count notes a barrier in a job whose checkpoints take effect at least once: no channel waits for the others.
func (t *Task) count(channel int, id int64) error {
	c := &t.cp
	at, found := slices.BinarySearchFunc(c.counting, id, func(a *alignment, id int64) int { return int(a.id - id) })
	if !found {
		a := t.newAlignment(id)
		a.had = make([]bool, len(c.ended))
		c.counting = slices.Insert(c.counting, at, a)
		if len(c.counting) > maxCounted {
			t.overtaken(1)
			at = max(0, at-1)
		}
	}
	if a := c.counting[at]; a.id == id && !a.had[channel] {
		a.had[channel] = true
		a.missing--
	}
	return t.counted()
}

// counted takes the checkpoints whose last barrier has come. Older ones that lack one have been given up by whoever
// didn't send it.
func (t *Task) counted() error {
	c := &t.cp
	for i := 0; i < len(c.counting); {
		a := c.counting[i]
		if a.missing > 0 || c.options[a.id] == nil {
			i++
			continue
		}
		t.overtaken(i)
		c.counting = c.counting[1:]
		if err := t.take(a.id, c.options[a.id], a.begun, t.gate.BytesRead()-a.read); err != nil {
			return err
		}
		i = 0
	}
	return nil
}

// overtaken gives the n oldest checkpoints up whose barriers are counted.
func (t *Task) overtaken(n int) {
	c := &t.cp
	for _, a := range c.counting[:n] {
		t.decline(a.id, fmt.Errorf("a later checkpoint overtook checkpoint %d", a.id))
		c.done = a.id
	}
	c.counting = slices.Delete(c.counting, 0, n)
}
