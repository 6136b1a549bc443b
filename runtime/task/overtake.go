package task

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/operator"
)

// reserve is what a channel takes beyond the room that subtasks look at before they begin with more input: enough for what
// one batch of input makes of common operators, and for the flush in front of a barrier. Whoever emits more waits inside
// the operator, and barriers wait with it.
const reserve = 8

// maxInFlight bounds the bytes of records in flight that a subtask has in one checkpoint, maxInFlightInline those of a job
// without a checkpoint directory.
const (
	maxInFlight       = 64 << 20
	maxInFlightInline = 1 << 20
)

// overtaking is an unaligned checkpoint after the subtask has passed its barrier on: what the channels have in front of
// theirs belongs to it.
type overtaking struct {
	share   *share
	begun   time.Time
	read    int64
	waits   []bool // by channel: its barrier has not been heard of
	left    int    // how many do
	flights []*inFlight
	bytes   int64
	limit   int64
	err     error // why it can't be completed
}

// inFlight is what a barrier has overtaken on one channel.
type inFlight struct {
	state *linkpb.ChannelState
	data  []byte
	ends  []int // of the batches in data
}

// announced handles what the gate hears of ahead of its queues.
func (t *Task) announced() error {
	if !t.job.Settings.Unaligned || t.gate == nil || t.replay != nil {
		return nil
	}
	c := &t.cp
	if c.over != nil && c.over.err != nil {
		t.decline(c.over.share.ack.GetCheckpoint(), c.over.err)
		t.dropOvertaking()
	}
	for {
		channel, e, ok := t.gate.Announced()
		if !ok {
			return nil
		}
		if err := t.hear(channel, e); err != nil {
			return err
		}
	}
}

// hear notes a barrier that waits in a channel's queue, or that an overtaken channel's end does.
func (t *Task) hear(channel int, e operator.Event) error {
	c := &t.cp
	if o := c.over; o != nil && o.waits[channel] {
		id := o.share.ack.GetCheckpoint()
		if e.Kind == operator.EndOfInput || e.ID == id {
			if t.gate.Overtake(channel, id, o.keep) {
				t.arrived(channel)
			}
			return nil
		}
		t.reached(channel, e.ID)
	}
	if e.Kind != operator.Barrier {
		return nil
	}
	before := c.last[channel]
	c.last[channel] = e.ID
	if e.ID <= c.done || c.aborted[e.ID] || !c.overtakable {
		return nil
	}
	if a := c.aligning; a != nil && a.id < e.ID && before < a.id {
		// The channel skips the other one: whoever sends it has given that up.
		t.decline(a.id, fmt.Errorf("checkpoint %d overtook it", e.ID))
		c.done = a.id
		t.unblock()
	}
	if c.aligning == nil {
		c.aligning = t.newAlignment(e.ID)
	}
	return t.overtake()
}

// overtake makes the checkpoint that is being aligned an unaligned one, once it may be: the barrier goes on ahead of
// everything that is queued, and what it overtakes is collected.
func (t *Task) overtake() error {
	c := &t.cp
	a := c.aligning
	if !c.overtakable || a == nil || a.missing == 0 || c.over != nil || t.replay != nil {
		return nil
	}
	o := c.options[a.id]
	if !o.GetUnaligned() || o.GetSavepoint() {
		return nil
	}
	if timeout := time.Duration(o.GetAlignedTimeoutMs()) * time.Millisecond; timeout > 0 {
		// The time runs from the trigger on, as in Flink; clocks of hosts may differ.
		at := time.UnixMilli(o.GetTimestampMs()).Add(timeout)
		if late := a.begun.Add(timeout); late.Before(at) {
			at = late
		}
		if time.Now().Before(at) {
			t.clock.set(at)
			return nil
		}
	}
	s, err := t.cut(a.id, o, a.begun, 0)
	if err != nil {
		return err
	}
	s.ack.Unaligned = true
	over := &overtaking{share: s, begun: a.begun, read: a.read, waits: make([]bool, len(t.ports)), limit: maxInFlight, flights: make([]*inFlight, len(t.ports))}
	if o.GetDirectory() == "" {
		over.limit = maxInFlightInline
	}
	for i, p := range t.ports {
		if over.waits[i] = !c.blocked[i] && !c.ended[i]; over.waits[i] {
			over.left++
			id := p.edge.To.OperatorID()
			over.flights[i] = &inFlight{state: &linkpb.ChannelState{Edge: int32(p.edge.ID), Producer: p.producer, Consumer: t.ID().GetSubtask(),
				Operator: id[:], Input: int32(p.edge.Input), Signature: p.edge.Type.Signature(), Partitioning: int32(p.edge.Partitioning)}}
		}
	}
	c.over = over
	t.unblock()
	for i := range t.ports {
		if c.over == over && over.waits[i] && t.gate.Overtake(i, a.id, over.keep) {
			t.arrived(i)
		}
	}
	return nil
}

// keep takes a copy of records that were overtaken.
func (o *overtaking) keep(channel int, mark int64, records []byte) {
	if o.err != nil {
		return
	}
	if o.bytes += int64(len(records)) + 8; o.bytes > o.limit {
		o.err = fmt.Errorf("more than %d MiB of records are in flight, which is too much for an unaligned checkpoint (execution.checkpointing.unaligned.enabled)", o.limit>>20)
		clear(o.flights)
		return
	}
	f := o.flights[channel]
	f.data = binary.BigEndian.AppendUint64(f.data, uint64(mark))
	f.data = append(f.data, records...)
	f.ends = append(f.ends, len(f.data))
}

// reached notes that everything in front of a barrier has been delivered on a channel; id 0 is its end. A barrier newer
// than the one awaited says that its sender has given the awaited one up.
func (t *Task) reached(channel int, id int64) {
	o := t.cp.over
	if o == nil || !o.waits[channel] {
		return
	}
	own := o.share.ack.GetCheckpoint()
	switch {
	case id == 0 || id == own:
		t.gate.Forget(channel)
		t.arrived(channel)
	case id > own:
		t.decline(own, fmt.Errorf("checkpoint %d overtook it", id))
		t.dropOvertaking()
	}
}

// arrived has the checkpoint written when the last channel's barrier was heard of.
func (t *Task) arrived(channel int) {
	c := &t.cp
	o := c.over
	o.waits[channel] = false
	if o.left--; o.left > 0 || o.err != nil {
		return // with an error the next step declines it
	}
	s := o.share
	s.ack.AlignmentMs = time.Since(o.begun).Milliseconds()
	s.ack.ProcessedBytes, s.ack.PersistedBytes = t.gate.BytesRead()-o.read, o.bytes
	for _, f := range o.flights {
		if f != nil && len(f.ends) > 0 {
			s.channels = append(s.channels, f)
		}
	}
	c.over = nil
	t.hand(s)
}

// dropOvertaking gives the unaligned checkpoint up that is under way, if there is one.
func (t *Task) dropOvertaking() {
	o := t.cp.over
	if o == nil {
		return
	}
	t.cp.over = nil
	release(o.share.snapshots)
	for i, waits := range o.waits {
		if waits {
			t.gate.Forget(i)
		}
	}
}
