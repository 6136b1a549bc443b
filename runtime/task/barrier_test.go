package task_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weftstream/weft/internal/testkit"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/operator"
	"github.com/weftstream/weft/runtime/task"
	. "github.com/weftstream/weft/runtime/task/tasktest"
)

// TestAlignment: a checkpoint holds what came before its barriers and nothing that came after one, and the barrier goes
// out between the two.
func TestAlignment(t *testing.T) {
	testkit.NoLeak(t)
	r := newRig(t, rigOptions{channels: 3})
	r.trigger(1)
	r.send(0, 1)
	r.send(1, 2)
	r.barrier(1, 0)
	r.send(0, 100) // behind the barrier
	r.send(1, 3)
	r.barrier(1, 1)
	r.send(1, 101)
	r.send(2, 4)
	r.out(4)
	r.absent(100, 101)
	r.barrier(1, 2)
	r.holds(1, 1, 2, 3, 4)
	r.cut(1, 1, 2, 3, 4)
	r.out(100)
	r.out(101)
}

// TestOptionsComeAfterTheBarriers: the channels wait for the options that come another way.
func TestOptionsComeAfterTheBarriers(t *testing.T) {
	testkit.NoLeak(t)
	r := newRig(t, rigOptions{channels: 2})
	r.send(0, 1)
	r.barrier(1, 0)
	r.send(0, 100)
	r.send(1, 2)
	r.out(2)
	r.barrier(1, 1)
	r.send(1, 101)
	r.absent(100)
	if got := r.acked(); len(got) > 0 {
		t.Errorf("acknowledged %v without options", got)
	}
	r.trigger(1)
	r.holds(1, 1, 2)
	r.cut(1, 1, 2)
	r.out(100)
	r.out(101)
}

// TestNewerBarrierEndsTheAlignment: whoever sends a newer barrier has given the older checkpoint up.
func TestNewerBarrierEndsTheAlignment(t *testing.T) {
	testkit.NoLeak(t)
	r := newRig(t, rigOptions{channels: 2})
	r.trigger(1)
	r.trigger(2)
	r.barrier(1, 0)
	r.send(0, 1) // belongs to checkpoint 2
	r.barrier(2, 1)
	r.send(1, 100)
	r.out(1)
	r.barrier(2, 0)
	r.holds(2, 1)
	r.cut(2, 1)
	r.out(100)
	if acked, declined := r.acked(), r.declined(); !slices.Equal(acked, []int64{2}) || !slices.Equal(declined, []int64{1}) {
		t.Errorf("acknowledged %v and declined %v, want 2 and 1", acked, declined)
	}
	if slices.Contains(r.seen, any(operator.Event{Kind: operator.Barrier, ID: 1})) {
		t.Error("the barrier of the checkpoint that was given up went on")
	}
}

// TestNoticeOfAbortEndsTheAlignment: channels flow again, and what still comes of that checkpoint means nothing.
func TestNoticeOfAbortEndsTheAlignment(t *testing.T) {
	testkit.NoLeak(t)
	r := newRig(t, rigOptions{channels: 2})
	r.trigger(1)
	r.barrier(1, 0)
	r.send(0, 1)
	r.send(1, 2)
	r.out(2)
	r.absent(1)
	r.task.Notice(1, false)
	r.out(1)
	r.barrier(1, 1)
	r.send(1, 3)
	r.out(3)
	// Checkpoint 2 is aborted before any of its barriers has come.
	r.trigger(2)
	r.task.Notice(2, false)
	r.send(0, 4)
	r.out(4)
	r.barrier(2, 0)
	r.send(0, 5)
	r.out(5)
	r.barrier(2, 1)
	r.trigger(3)
	r.barrier(3, 0, 1)
	r.holds(3, 1, 2, 3, 4, 5)
	if acked, declined := r.acked(), r.declined(); !slices.Equal(acked, []int64{3}) || len(declined) > 0 {
		t.Errorf("acknowledged %v and declined %v, want only 3", acked, declined)
	}
}

// TestEndedChannelsHaveEveryBarrier: before the checkpoint and while it is aligned.
func TestEndedChannelsHaveEveryBarrier(t *testing.T) {
	testkit.NoLeak(t)
	r := newRig(t, rigOptions{channels: 3})
	r.trigger(1)
	r.send(0, 1)
	r.end(0)
	r.barrier(1, 1)
	r.send(1, 100)
	r.send(2, 2)
	r.out(2)
	r.absent(100)
	r.end(2)
	r.holds(1, 1, 2)
	r.cut(1, 1, 2)
	r.out(100)
	// One channel is left.
	r.trigger(2)
	r.barrier(2, 1)
	r.holds(2, 1, 2, 100)
}

// TestFinishedTaskLeavesItsState: it stands for the task in later checkpoints; the end doesn't pass a barrier on the way.
func TestFinishedTaskLeavesItsState(t *testing.T) {
	testkit.NoLeak(t)
	r := newRig(t, rigOptions{channels: 2, settings: task.Settings{Checkpoints: true}})
	r.trigger(1)
	r.send(0, 1)
	r.barrier(1, 0)
	r.end(0)
	r.send(1, 2)
	r.end(1)
	last := r.ends(linkpb.ExecutionState_EXECUTION_FINISHED)
	r.holds(1, 1, 2)
	r.cut(1, 1, 2)
	if got := numbersOf(last.FinalState); !slices.Equal(got, []int64{1, 2}) {
		t.Errorf("the final state holds %v, want 1 and 2", got)
	}
	r.await("the end comes out", func() bool { return slices.Contains(r.seen, any(operator.Event{Kind: operator.EndOfInput})) })
	if r.seen[len(r.seen)-1] != any(operator.Event{Kind: operator.EndOfInput}) {
		t.Errorf("the end isn't last: %v", r.seen)
	}
	r.task.Trigger(2, &linkpb.CheckpointOptions{}, false)
	r.task.Notice(2, false)
	if got := r.acked(); !slices.Equal(got, []int64{1}) {
		t.Errorf("acknowledged %v, want 1", got)
	}
}

// TestFailureToWriteDeclines: the subtask goes on and takes the next checkpoint.
func TestFailureToWriteDeclines(t *testing.T) {
	testkit.NoLeak(t)
	r := newRig(t, rigOptions{channels: 1})
	r.send(0, 1)
	r.out(1)
	r.op.broken = errWrite
	r.trigger(1)
	r.barrier(1, 0)
	r.await("decline", func() bool { return len(r.declined()) > 0 })
	if d := r.host.declines[0]; d.Checkpoint != 1 || !strings.Contains(d.Failure.GetMessage(), "the disk is full") {
		t.Errorf("declined %v", d)
	}
	r.send(0, 2)
	r.trigger(2)
	r.barrier(2, 0)
	r.holds(2, 1, 2)
}

// TestConcurrentCheckpoints: the barriers of the next checkpoint are on their way before the first one is aligned.
func TestConcurrentCheckpoints(t *testing.T) {
	testkit.NoLeak(t)
	r := newRig(t, rigOptions{channels: 2})
	r.trigger(1)
	r.trigger(2)
	r.send(0, 1)
	r.barrier(1, 0)
	r.send(0, 2)
	r.barrier(2, 0)
	r.send(0, 3)
	r.send(1, 10)
	r.barrier(1, 1)
	r.send(1, 20)
	r.holds(1, 1, 10)
	r.barrier(2, 1)
	r.holds(2, 1, 2, 10, 20)
	r.task.Notice(2, true)
	r.task.Notice(1, false)
	r.out(3)
	r.cut(1, 1, 10)
	r.cut(2, 1, 2, 10, 20)
	if got := r.declined(); len(got) > 0 {
		t.Errorf("declined %v", got)
	}
}

// TestBarriersOfTwoInputs: one input waits for the other's barriers.
func TestBarriersOfTwoInputs(t *testing.T) {
	testkit.NoLeak(t)
	r := newRig(t, rigOptions{inputs: 2, channels: 2}) // channels 0 and 1, 2 and 3
	r.trigger(1)
	r.send(0, 1)
	r.barrier(1, 0, 1)
	r.send(0, 100)
	r.send(1, 101)
	r.send(2, 2)
	r.barrier(1, 2)
	r.send(2, 102)
	r.send(3, 3)
	r.out(3)
	r.absent(100, 101, 102)
	r.barrier(1, 3)
	r.holds(1, 1, 2, 3)
	r.cut(1, 1, 2, 3)
	for _, n := range []int64{100, 101, 102} {
		r.out(n)
	}
	// The end of an input is as good as its barriers.
	r.trigger(2)
	r.barrier(2, 0, 1)
	r.end(2, 3)
	r.holds(2, 1, 2, 3, 100, 101, 102)
}

// ticker is a source that has a number in every poll, and remembers how many it gave.
func ticker(polled chan<- int64) operator.Factory {
	return func(env *operator.Env) (operator.Operator, error) {
		m := &memory{}
		return &checkpointedSource{memory: m, Source: Source{Func: Func{Base: NewBase(env)}, OnPoll: func(_ *Source, v *Vec) (time.Duration, bool, error) {
			n := int64(len(m.numbers))
			m.numbers = append(m.numbers, n)
			v.V = append(v.V, Record{N: n})
			select {
			case polled <- n:
			default:
			}
			return 0, false, nil
		}}}, nil
	}
}

type checkpointedSource struct {
	Source
	memory *memory
}

func (s *checkpointedSource) Snapshot(id int64) (operator.StateSnapshot, error) {
	return s.memory.Snapshot(id)
}
func (s *checkpointedSource) Restore(r operator.StateReader) error { return s.memory.Restore(r) }

// TestStopWithSavepoint: what the sink gets is what the source's savepoint says, and the source neither goes on nor ends.
func TestStopWithSavepoint(t *testing.T) {
	testkit.NoLeak(t)
	polled := make(chan int64, 1)
	var got Collected
	j := &Job{}
	j.Node("sink", j.Node("source", nil, 0, ticker(polled)), hash, got.Sink)
	run := start(t, j, 1, task.Settings{Checkpoints: true}, nil)
	<-polled
	for _, tk := range run.tasks {
		tk.Trigger(1, &linkpb.CheckpointOptions{Savepoint: true, Stop: true, InlineThreshold: 64 << 20}, true)
	}
	acks := awaitAcks(t, run, 2)
	want := 0
	for _, a := range acks {
		want = max(want, len(numbersOf(a.State)))
	}
	if n := len(got.Records()); n != want || n == 0 {
		t.Errorf("the sink has %d records at the savepoint, the source gave %d", n, want)
	}
	if n := run.recorder.count(linkpb.ExecutionState_EXECUTION_FINISHED); n > 0 {
		t.Errorf("%d tasks ended on their own", n)
	}
	run.cancel()
	run.wait()
	if n := len(got.Records()); n != want {
		t.Errorf("the sink got %d records behind the savepoint", n-want)
	}
	if n := run.recorder.count(linkpb.ExecutionState_EXECUTION_CANCELED); n != 2 {
		t.Errorf("%d tasks cancelled, want 2", n)
	}
}

// TestAbortedStopGoesOn: the sources of a job that was to be stopped with a savepoint that failed emit again.
func TestAbortedStopGoesOn(t *testing.T) {
	testkit.NoLeak(t)
	polled := make(chan int64, 1)
	var got Collected
	j := &Job{}
	j.Node("sink", j.Node("source", nil, 0, ticker(polled)), hash, got.Sink)
	run := start(t, j, 1, task.Settings{Checkpoints: true}, nil)
	<-polled
	for _, tk := range run.tasks {
		tk.Trigger(1, &linkpb.CheckpointOptions{Savepoint: true, Stop: true, InlineThreshold: 64 << 20}, true)
	}
	awaitAcks(t, run, 2)
	at := len(got.Records())
	for _, tk := range run.tasks {
		tk.Notice(1, false)
	}
	testkit.Eventually(t, "records after the savepoint was given up", func() bool { return len(got.Records()) > at })
	run.cancel()
	run.wait()
}

// TestDrainEndsTheJob: the source ends as if its input had, with the largest watermark, and every task leaves its state.
func TestDrainEndsTheJob(t *testing.T) {
	testkit.NoLeak(t)
	polled := make(chan int64, 1)
	var got Collected
	var marks []int64
	j := &Job{}
	mid := j.Node("mid", j.Node("source", nil, 0, ticker(polled)), hash, func(env *operator.Env) (operator.Operator, error) {
		return &Func{Base: NewBase(env), OnWatermark: func(o *Func, w int64) error {
			marks = append(marks, w)
			return o.Out.Watermark(w)
		}}, nil
	})
	j.Node("sink", mid, hash, got.Sink)
	run := start(t, j, 1, task.Settings{Checkpoints: true}, nil)
	<-polled
	for _, tk := range run.tasks {
		tk.Trigger(1, &linkpb.CheckpointOptions{Savepoint: true, Stop: true, Drain: true}, true)
	}
	run.wait()
	expectFinished(t, run)
	if !slices.Equal(marks, []int64{operator.MaxWatermark}) {
		t.Errorf("watermarks %v, want the largest once", marks)
	}
	if len(run.acks) > 0 {
		t.Errorf("acknowledged %v: a savepoint that drains is made of final states", run.acks)
	}
	for _, u := range run.final(run.graph)["source"] {
		if n := len(numbersOf(u.FinalState)); n == 0 || n != len(got.Records()) {
			t.Errorf("the source's final state holds %d numbers, the sink got %d", n, len(got.Records()))
		}
	}
}

// awaitAcks waits for n acknowledgements of a job that runs.
func awaitAcks(t *testing.T, r *running, n int) []*linkpb.CheckpointAck {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		r.mu.Lock()
		acks := slices.Clone(r.acks)
		r.mu.Unlock()
		if len(acks) >= n {
			return acks
		}
		<-time.After(time.Millisecond)
	}
	t.Fatalf("no %d acknowledgements", n)
	return nil
}

// TestAtLeastOnce: barriers are counted and nothing waits for them, so that a checkpoint holds what came behind one.
func TestAtLeastOnce(t *testing.T) {
	testkit.NoLeak(t)
	r := newRig(t, rigOptions{channels: 3, settings: task.Settings{AtLeastOnce: true}})
	for id := range int64(5) {
		r.trigger(id + 1)
	}
	r.barrier(1, 0)
	r.send(0, 1)
	r.barrier(2, 0)
	r.send(0, 2)
	r.out(2) // neither barrier held it back
	r.barrier(1, 1, 2)
	r.holds(1, 1, 2)
	r.barrier(2, 1)
	r.end(2)
	r.holds(2, 1, 2)
	// The third is given up by whoever sent channel 1; the fifth is aborted while its barriers are counted.
	r.barrier(3, 0)
	r.send(0, 3)
	r.barrier(4, 0, 1)
	r.holds(4, 1, 2, 3)
	r.cut(4, 1, 2, 3)
	r.barrier(5, 0)
	r.send(0, 5)
	r.out(5)
	r.task.Notice(5, false)
	r.barrier(5, 1)
	r.trigger(6)
	r.barrier(6, 1)
	r.end(0)
	r.holds(6, 1, 2, 3, 5)
	if acked, declined := slices.Sorted(slices.Values(r.acked())), r.declined(); !slices.Equal(acked, []int64{1, 2, 4, 6}) || !slices.Equal(declined, []int64{3}) {
		t.Errorf("acknowledged %v and declined %v, want 1, 2, 4, 6 and 3", acked, declined)
	}
}

// TestAtLeastOnceCountsBoundedly: a channel that runs ahead of another by any number of checkpoints costs the oldest.
func TestAtLeastOnceCountsBoundedly(t *testing.T) {
	testkit.NoLeak(t)
	const n = 60
	r := newRig(t, rigOptions{channels: 2, settings: task.Settings{AtLeastOnce: true}})
	for id := range int64(n) {
		r.trigger(id + 1)
		r.barrier(id+1, 0)
	}
	r.await("the oldest are given up", func() bool { return len(r.declined()) == n-50 })
	r.barrier(n-1, 1)
	r.barrier(n, 1)
	r.ack(n - 1)
	r.ack(n)
	if got := slices.Sorted(slices.Values(r.acked())); !slices.Equal(got, []int64{n - 1, n}) {
		t.Errorf("acknowledged %v, want the last two", got)
	}
}
