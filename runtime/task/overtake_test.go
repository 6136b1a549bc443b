package task_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/internal/testkit"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/operator"
	"github.com/weftstream/weft/runtime/task"
	. "github.com/weftstream/weft/runtime/task/tasktest"
)

var unalignedSettings = task.Settings{Unaligned: true, BufferTimeout: time.Millisecond}

// inFlightOf decodes the records in flight of a state.
func inFlightOf(t *testing.T, s *linkpb.TaskState) (all []int64) {
	t.Helper()
	for _, ch := range s.GetChannels() {
		for _, b := range ch.GetBatches() {
			v := Type.New(0)
			if len(b.GetData()) > 8 {
				if err := Type.Decode(v, b.GetData()[8:]); err != nil {
					t.Fatal(err)
				}
			}
			for _, r := range v.(*Vec).V {
				all = append(all, r.N)
			}
		}
	}
	slices.Sort(all)
	return all
}

func upTo(n int64) (all []int64) {
	for i := range n {
		all = append(all, i+1)
	}
	return all
}

// TestBarrierOvertakesWhatIsQueued: the checkpoint of a task that has done one batch of many completes, what was queued is
// in it, and a task that starts from it has everything once, in the order of the channel, before new input.
func TestBarrierOvertakesWhatIsQueued(t *testing.T) {
	testkit.NoLeak(t)
	r := newRig(t, rigOptions{channels: 2, settings: unalignedSettings, slow: true})
	r.send(0, 1)
	<-r.op.got // and stands still
	for n := range int64(9) {
		r.send(int(n%2), n+2)
	}
	r.unaligned(1)
	r.urgent(1, 0, 1)
	r.send(0, 100)
	r.send(1, 101)
	r.op.pass <- struct{}{}
	r.holds(1, 1)
	r.cut(1, 1)
	a := r.ack(1)
	if got := inFlightOf(t, a.State); !slices.Equal(got, upTo(10)[1:]) {
		t.Errorf("in flight are %v, want 2 to 10", got)
	}
	if !a.Unaligned || a.PersistedBytes == 0 {
		t.Errorf("the acknowledgement says unaligned %v, %d bytes persisted", a.Unaligned, a.PersistedBytes)
	}

	restored := newRig(t, rigOptions{channels: 2, settings: unalignedSettings, restore: a.State})
	restored.send(0, 200)
	restored.out(200)
	if got := restored.seen; len(got) != 10 || got[9] != any(int64(200)) {
		t.Errorf("after the restore came %v, want what was in flight, and then 200", got)
	}
	restored.trigger(2)
	restored.barrier(2, 0, 1)
	restored.holds(2, append(upTo(10), 200)...)
}

// TestOvertakenChannelIsKeptUntilItsBarrier: what arrives on a channel after the task has passed the barrier on belongs to
// the checkpoint until the channel's own barrier.
func TestOvertakenChannelIsKeptUntilItsBarrier(t *testing.T) {
	testkit.NoLeak(t)
	r := newRig(t, rigOptions{channels: 3, settings: unalignedSettings})
	r.send(0, 1)
	r.out(1)
	r.unaligned(1)
	r.urgent(1, 0)
	r.cut(1, 1) // without the other barriers
	r.send(0, 100)
	r.send(1, 2)
	r.send(2, 3)
	r.out(2)
	r.out(3)
	r.out(100) // nothing is blocked
	r.urgent(1, 1)
	r.send(1, 101)
	r.out(101)
	r.send(2, 4)
	if got := r.acked(); len(got) > 0 {
		t.Errorf("acknowledged %v with a barrier missing", got)
	}
	r.end(2) // as good as a barrier
	r.holds(1, 1)
	if got := inFlightOf(t, r.ack(1).State); !slices.Equal(got, []int64{2, 3, 4}) {
		t.Errorf("in flight are %v, want 2 to 4", got)
	}
}

// TestEndInTheQueueIsABarrier: a channel whose end is queued isn't waited for.
func TestEndInTheQueueIsABarrier(t *testing.T) {
	testkit.NoLeak(t)
	r := newRig(t, rigOptions{channels: 2, settings: unalignedSettings, slow: true})
	r.send(0, 1)
	<-r.op.got
	r.send(1, 2)
	r.send(1, 3)
	r.end(1)
	r.unaligned(1)
	r.urgent(1, 0)
	r.op.pass <- struct{}{}
	r.holds(1, 1)
	if got := inFlightOf(t, r.ack(1).State); !slices.Equal(got, []int64{2, 3}) {
		t.Errorf("in flight are %v, want 2 and 3", got)
	}
}

// TestAlignmentBecomesUnalignedAfterItsTimeout: a checkpoint whose barriers are there in time is aligned, one that lacks
// one is not.
func TestAlignmentBecomesUnalignedAfterItsTimeout(t *testing.T) {
	testkit.NoLeak(t)
	r := newRig(t, rigOptions{channels: 2, settings: unalignedSettings})
	options := &linkpb.CheckpointOptions{InlineThreshold: 1 << 20, Unaligned: true, AlignedTimeoutMs: time.Hour.Milliseconds(), TimestampMs: time.Now().UnixMilli()}
	r.task.Trigger(1, options, false)
	r.urgent(1, 0)
	r.send(0, 100)
	r.send(1, 1)
	r.out(1)
	r.absent(100)
	r.urgent(1, 1)
	r.holds(1, 1)
	r.out(100)
	r.task.Trigger(2, &linkpb.CheckpointOptions{InlineThreshold: 1 << 20, Unaligned: true, AlignedTimeoutMs: 20, TimestampMs: time.Now().UnixMilli()}, false)
	r.urgent(2, 0)
	r.send(0, 101)
	r.cut(2, 1, 100)
	r.out(101)
	r.send(1, 2)
	r.urgent(2, 1)
	r.holds(2, 1, 100)
	if got := inFlightOf(t, r.ack(2).State); !slices.Equal(got, []int64{2}) {
		t.Errorf("in flight is %v, want 2", got)
	}
	if r.ack(1).Unaligned || !r.ack(2).Unaligned {
		t.Errorf("the first is unaligned: %v, the second: %v; want no and yes", r.ack(1).Unaligned, r.ack(2).Unaligned)
	}
}

// TestUnalignedCheckpointIsGivenUp: by a notice, by a newer barrier, and for the size of what is in flight. None leaves
// anything behind in the next one.
func TestUnalignedCheckpointIsGivenUp(t *testing.T) {
	testkit.NoLeak(t)
	r := newRig(t, rigOptions{channels: 2, settings: unalignedSettings})
	r.unaligned(1)
	r.urgent(1, 0)
	r.cut(1)
	r.send(1, 1)
	r.out(1)
	r.task.Notice(1, false)
	r.unaligned(2)
	r.urgent(2, 0)
	r.cut(2, 1)
	r.send(1, 2)
	r.out(2)
	r.unaligned(3)
	r.urgent(3, 1) // channel 1 has skipped the second
	r.cut(3, 1, 2)
	r.await("the second is declined", func() bool { return slices.Equal(r.declined(), []int64{2}) })
	r.send(0, 3)
	r.urgent(3, 0)
	r.holds(3, 1, 2)
	if got := inFlightOf(t, r.ack(3).State); !slices.Equal(got, []int64{3}) {
		t.Errorf("in flight is %v, want 3", got)
	}
	r.unaligned(4)
	r.urgent(4, 0)
	r.cut(4, 1, 2, 3)
	v := operator.NewVec[Record](1)
	v.V = append(v.V, Record{Key: strings.Repeat("x", 2<<20), N: 4})
	if _, err := r.in[1].Send(v); err != nil {
		t.Fatal(err)
	}
	r.await("the fourth is declined", func() bool { return slices.Equal(r.declined(), []int64{2, 4}) })
	r.unaligned(5)
	r.urgent(4, 1)
	r.urgent(5, 0, 1)
	r.holds(5, 1, 2, 3, 4)
	if got := slices.Sorted(slices.Values(r.acked())); !slices.Equal(got, []int64{3, 5}) {
		t.Errorf("acknowledged %v, want 3 and 5", got)
	}
}

// TestSavepointsAndBroadcastAreAligned: whatever the job says.
func TestSavepointsAndBroadcastAreAligned(t *testing.T) {
	for name, o := range map[string]struct {
		partitioning graph.Partitioning
		options      *linkpb.CheckpointOptions
	}{
		"savepoint": {hash, &linkpb.CheckpointOptions{InlineThreshold: 1 << 20, Unaligned: true, Savepoint: true}},
		"broadcast": {broadcast, &linkpb.CheckpointOptions{InlineThreshold: 1 << 20, Unaligned: true}},
	} {
		t.Run(name, func(t *testing.T) {
			testkit.NoLeak(t)
			r := newRig(t, rigOptions{channels: 2, settings: unalignedSettings, partitioning: o.partitioning})
			r.task.Trigger(1, o.options, false)
			r.urgent(1, 0)
			r.send(0, 100)
			r.send(1, 1)
			r.out(1)
			r.absent(100)
			r.send(1, 2)
			r.urgent(1, 1)
			r.holds(1, 1, 2)
			r.cut(1, 1, 2)
			if got := inFlightOf(t, r.ack(1).State); len(got) > 0 {
				t.Errorf("in flight are %v, want none", got)
			}
		})
	}
}

// TestBarrierLeavesATaskWhoseReceiversStandStill: it takes no more input than they have room for, and passes the barrier
// on without any.
func TestBarrierLeavesATaskWhoseReceiversStandStill(t *testing.T) {
	testkit.NoLeak(t)
	r := newRig(t, rigOptions{channels: 2, settings: task.Settings{Unaligned: true, BatchSize: 1}})
	const n = 22 // more than the output takes, and no more than the input holds
	for i := range int64(n) {
		r.send(0, i+1)
	}
	r.unaligned(1)
	r.urgent(1, 0, 1)
	for deadline := time.After(30 * time.Second); len(r.acked()) == 0; {
		select {
		case <-r.host.changed:
		case <-deadline:
			t.Fatal("no acknowledgement while nothing is taken from the output")
		}
	}
	a := r.ack(1)
	state, flying := numbersOf(a.State), inFlightOf(t, a.State)
	if len(flying) == 0 || !slices.Equal(append(slices.Clone(state), flying...), upTo(n)) {
		t.Errorf("the state has %v, in flight are %v, want 1 to %d together", state, flying, n)
	}
	r.out(n)
	r.cut(1, state...)
}
