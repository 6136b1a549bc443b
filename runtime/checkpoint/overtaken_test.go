package checkpoint

import (
	"fmt"
	"strings"
	"testing"

	"github.com/weftstream/weft/link/linkpb"
)

// ackCommits has both subtasks acknowledge a checkpoint; the sink hands these over.
func (b *bench) ackCommits(id int64, commits ...string) {
	for who, what := range map[*linkpb.ExecutionID][]string{b.source: nil, b.sink: commits} {
		a := &linkpb.CheckpointAck{Id: who, Checkpoint: id, State: state(id, "")}
		if len(what) > 0 {
			o := &linkpb.OperatorCommit{Operator: who.GetVertex()}
			for _, c := range what {
				o.Committables = append(o.Committables, []byte(c))
			}
			a.Commits = []*linkpb.OperatorCommit{o}
		}
		b.Acknowledged(id*1000+1, a)
	}
}

// TestOvertakenSavepoint: a savepoint, which has more to write, is complete after a checkpoint that was begun later. The job
// restarts from that one all the same: its sinks have committed what came between the two. The savepoint has what its own tasks
// handed over and nothing of later.
func TestOvertakenSavepoint(t *testing.T) {
	for _, done := range []bool{false, true} { // checkpoint 2 is committed when the savepoint comes
		b := newBench(t, func(c *Config) { c.Timeout = 1 << 40 })
		b.Trigger(1000, Request{ID: 7, Savepoint: true, Directory: "/sp"})
		b.triggered(1, 0)
		b.Tick(2000)
		b.Prepared(2000, 2, dirOf(2), nil)
		b.CoordinatorsSnapshot(2000, &linkpb.CoordinatorSnapshots{Checkpoint: 2})
		b.did()
		b.ackCommits(2, "part-a", "part-b")
		s := b.stored()
		b.Stored(2002, 2, s.Pointer, nil)
		b.want("commit 2: 1 operators", "notify 2 complete")
		if done {
			b.Committed(2)
		}
		b.ackCommits(1, "part-a")
		sp := b.stored()
		want := "part-a"
		if done {
			want = ""
		}
		if got := committed(sp.Metadata); got != want {
			t.Errorf("committed %v: the savepoint commits %q, want %q", done, got, want)
		}
		if sp.Pointer.GetCheckpoint() != 2 || sp.Pointer.GetPath() != dirOf(2) || sp.Pointer.GetNext() != 3 {
			t.Errorf("the record that comes with the savepoint: %v", sp.Pointer)
		}
		b.Stored(2500, 1, sp.Pointer, nil)
		text := b.did()
		if !strings.Contains(text, "answer 7: checkpoint 1") || strings.Contains(text, "discard") {
			t.Errorf("the savepoint is complete: %s", text)
		}
		if b.Latest() != s.Metadata || b.Pointer().GetCheckpoint() != 2 {
			t.Fatalf("after the savepoint the job restarts from checkpoint %d, recorded %d", b.Latest().GetCheckpoint(), b.Pointer().GetCheckpoint())
		}
		if own := strings.Join(b.clean().Directories, " "); own != dirOf(2) {
			t.Errorf("the job's own checkpoints: %q", own)
		}
		b.Tick(3000)
		b.Prepared(3000, 3, dirOf(3), nil)
		b.CoordinatorsSnapshot(3000, &linkpb.CoordinatorSnapshots{Checkpoint: 3})
		b.did()
		b.ackCommits(3)
		b.Stored(3002, 3, b.stored().Pointer, nil)
		b.want(`discard ["` + dirOf(2) + `"]`)
	}
}

// TestOvertakenRequest: who asks for a checkpoint gets a newer one if that is complete first.
func TestOvertakenRequest(t *testing.T) {
	b := newBench(t, func(c *Config) { c.Timeout = 1 << 40 })
	b.Trigger(1000, Request{ID: 7})
	b.triggeredWhole(1)
	b.Tick(2000)
	b.triggeredWhole(2)
	b.ackCommits(2)
	b.Stored(2002, 2, b.stored().Pointer, nil)
	b.want("answer 7: checkpoint 2", "note checkpoint 1 aborted: checkpoint 2 completed before it", "notify 1 aborted", dirOf(1))
	b.ackCommits(1)
	if text := b.did(); strings.Contains(text, "store") || b.Latest().GetCheckpoint() != 2 {
		t.Errorf("checkpoint 1 is complete after 2: %s", text)
	}
}

// triggeredWhole takes checkpoint id to where its subtasks have to acknowledge it.
func (b *bench) triggeredWhole(id int64) {
	b.t.Helper()
	b.Prepared(id*1000, id, dirOf(id), nil)
	b.CoordinatorsSnapshot(id*1000, &linkpb.CoordinatorSnapshots{Checkpoint: id})
	b.want(fmt.Sprintf("trigger %d", id))
}
