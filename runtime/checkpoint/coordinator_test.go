package checkpoint

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/runtime/checkpoint/checkpointpb"
)

// bench is a Coordinator of a job with a source, which has a coordinator task, and a sink, a subtask each.
type bench struct {
	t *testing.T
	*Coordinator
	source, sink *linkpb.ExecutionID
}

func newBench(t *testing.T, change func(*Config)) *bench {
	t.Helper()
	cfg := Config{Interval: 100, Timeout: 1000, MaxConcurrent: 1, Retained: 1, History: 5, AfterFinish: true, Directory: "hdfs:///c", PerJob: true, Retention: RetainNone}
	if change != nil {
		change(&cfg)
	}
	id := graph.JobID{1}
	g := &graph.JobGraph{JobId: id[:], Name: "job", Vertices: []*graph.JobVertex{
		{Id: opID(1), Name: "source", Parallelism: 1, MaxParallelism: 8, Source: true, Operators: []*graph.ChainedOperator{{Id: opID(1), Name: "source", Coordinator: true}}},
		{Id: opID(2), Name: "sink", Parallelism: 1, MaxParallelism: 8, Operators: []*graph.ChainedOperator{{Id: opID(2), Name: "sink", Commits: true}}}}}
	b := &bench{t: t, Coordinator: New(cfg, g, "", nil, nil), source: &linkpb.ExecutionID{Vertex: opID(1)}, sink: &linkpb.ExecutionID{Vertex: opID(2)}}
	b.Started(0, []Task{{ID: b.source, Source: true}, {ID: b.sink}})
	return b
}

// did returns the actions since the last call as lines.
func (b *bench) did() string {
	var lines []string
	for _, a := range b.Take() {
		lines = append(lines, a.String())
	}
	return strings.Join(lines, "\n")
}

// want checks that the actions since the last call hold these texts, in order.
func (b *bench) want(texts ...string) {
	b.t.Helper()
	rest := b.did()
	for _, text := range texts {
		_, after, found := strings.Cut(rest, text)
		if !found {
			b.t.Fatalf("%q isn't in what is left of the actions:\n%s", text, rest)
		}
		rest = after
	}
}

func (b *bench) wantNothing() {
	b.t.Helper()
	if text := b.did(); text != "" {
		b.t.Fatalf("unexpected actions:\n%s", text)
	}
}

// begun takes a checkpoint to where its subtasks have to acknowledge it.
func (b *bench) begun(now, id int64) {
	b.t.Helper()
	b.Tick(now)
	b.Prepared(now, id, "hdfs://nn/c/chk", nil)
	b.CoordinatorsSnapshot(now, &linkpb.CoordinatorSnapshots{Checkpoint: id, Snapshots: []*linkpb.CoordinatorSnapshot{{Operator: opID(1), Snapshot: []byte("s")}}})
	b.want("prepare", "snapshot coordinators", "trigger")
}

func (b *bench) ack(now, id int64, who *linkpb.ExecutionID, commits ...string) {
	a := &linkpb.CheckpointAck{Id: who, Checkpoint: id, State: &linkpb.TaskState{Files: []string{"f"}, Bytes: 10}}
	if len(commits) > 0 {
		o := &linkpb.OperatorCommit{Operator: who.GetVertex()}
		for _, c := range commits {
			o.Committables = append(o.Committables, []byte(c))
		}
		a.Commits = []*linkpb.OperatorCommit{o}
	}
	b.Acknowledged(now, a)
}

// stored returns what the last Store action wants stored.
func (b *bench) stored() Store {
	b.t.Helper()
	for _, a := range b.Take() {
		if s, ok := a.(Store); ok {
			return s
		}
	}
	b.t.Fatal("nothing is stored")
	return Store{}
}

func committed(md *checkpointpb.Metadata) string {
	var all []string
	for _, o := range md.GetCommits() {
		for _, c := range o.GetCommittables() {
			all = append(all, string(c))
		}
	}
	return strings.Join(all, " ")
}

func TestCheckpointCompletes(t *testing.T) {
	b := newBench(t, nil)
	if at, ok := b.Next(); !ok || at != 100 {
		t.Fatalf("the first one is due at %d, %v", at, ok)
	}
	b.Tick(99)
	b.wantNothing()
	b.Tick(100)
	b.want("prepare 1: hdfs:///c/" + graph.JobID{1}.String() + "/chk-1")
	b.Prepared(101, 1, "hdfs://nn/c/chk-1", nil)
	b.want("snapshot coordinators 1")
	b.CoordinatorsSnapshot(102, &linkpb.CoordinatorSnapshots{Checkpoint: 1, Snapshots: []*linkpb.CoordinatorSnapshot{{Operator: opID(1), Snapshot: []byte("s")}}})
	b.want("trigger 1: 1 sources")
	b.ack(103, 1, b.source)
	b.wantNothing()
	b.ack(104, 1, b.sink, "part-a")
	s := b.stored()
	if committed(s.Metadata) != "part-a" || len(s.Metadata.GetVertices()) != 2 || s.Metadata.GetDirectory() != "hdfs://nn/c/chk-1" || s.Pointer.GetNext() != 2 {
		t.Fatalf("stored %v with %v", s.Metadata, s.Pointer)
	}
	if b.Latest() != nil {
		t.Fatal("it is complete before it is recorded")
	}
	b.Stored(110, 1, s.Pointer, nil)
	b.want("commit 1: 1 operators", "notify 1 complete")
	if b.Latest() != s.Metadata || b.Stats().Counts != (Counts{Total: 1, Completed: 1}) {
		t.Fatalf("stats %+v", b.Stats().Counts)
	}
}

// What an aborted checkpoint's sinks handed out is in the next one, once, and what isn't committed yet stays in later ones.
func TestCommitsAreNeverLost(t *testing.T) {
	b := newBench(t, func(c *Config) { c.Tolerable = 10 })
	b.begun(100, 1)
	b.ack(110, 1, b.sink, "part-a")
	b.Declined(111, &linkpb.CheckpointDecline{Id: b.source, Checkpoint: 1, Failure: &linkpb.Failure{Message: "disk full"}})
	b.want("note checkpoint 1 aborted", "disk full", "notify 1 aborted", "discard")
	b.begun(300, 2)
	b.ack(301, 2, b.source)
	b.ack(302, 2, b.sink, "part-a", "part-b") // the task repeats what no complete checkpoint holds
	s := b.stored()
	if got := committed(s.Metadata); got != "part-a part-b" {
		t.Fatalf("checkpoint 2 commits %q", got)
	}
	b.Stored(303, 2, s.Pointer, nil)
	b.want("commit 2")
	b.begun(500, 3)
	b.ack(501, 3, b.source)
	b.ack(502, 3, b.sink, "part-a", "part-b", "part-c") // the notice of 2 hasn't reached it
	s = b.stored()
	if got := committed(s.Metadata); got != "part-a part-b part-c" {
		t.Fatalf("checkpoint 3 holds %q: what 2 has yet to commit is owed", got)
	}
	b.Stored(503, 3, s.Pointer, nil)
	for _, a := range b.Take() {
		if c, ok := a.(Commit); ok && string(c.Commits[0].GetCommittables()[0]) != "part-c" {
			t.Errorf("commit of 3: %s", c.Commits)
		}
	}
	b.Committed(3)
	b.begun(700, 4)
	b.ack(701, 4, b.source)
	b.ack(702, 4, b.sink, "part-c")
	if got := committed(b.stored().Metadata); got != "" {
		t.Fatalf("checkpoint 4 holds %q, all of which is committed", got)
	}
}

func TestFailedCheckpoints(t *testing.T) {
	b := newBench(t, func(c *Config) { c.Tolerable = 1 })
	b.begun(100, 1)
	b.Tick(1100)
	b.want("note checkpoint 1 aborted", "1000 ms (execution.checkpointing.timeout)", `2 of 2 subtasks`, `"source"`, "notify 1 aborted", "discard", "prepare 2")
	b.Declined(1101, &linkpb.CheckpointDecline{Id: b.sink, Checkpoint: 1, Failure: &linkpb.Failure{Message: "sink is in main.f", Stack: "main.f()"}})
	b.want("note checkpoint 1 expired: sink is in main.f")
	b.Declined(1101, &linkpb.CheckpointDecline{Id: b.source, Checkpoint: 1, Failure: &linkpb.Failure{Message: "source is in main.g", Stack: "main.g()"}})
	b.wantNothing()
	if f := b.Stats().LatestFailed.Failure; !strings.HasSuffix(f, "sink is in main.f\nmain.f()") || !strings.Contains(f, "2 of 2 subtasks") {
		t.Errorf("the failure of checkpoint 1 is %q", f)
	}
	b.ack(1101, 1, b.sink) // too late: its file goes
	if text := b.did(); !strings.Contains(text, `discard [] ["f"]`) {
		t.Fatalf("a late acknowledgement: %s", text)
	}
	b.Prepared(1201, 2, "", errors.New("no space left"))
	b.want("aborted: no space left", "fail: checkpoint 2 failed", "tolerable-failed-checkpoints is 1")
	if b.Stats().Counts.Failed != 2 || b.Stats().LatestFailed.ID != 2 {
		t.Errorf("stats %+v", b.Stats())
	}
}

func TestPauseAndConcurrency(t *testing.T) {
	b := newBench(t, nil)
	b.begun(100, 1)
	b.Tick(200)
	b.wantNothing() // one at a time
	b.ack(250, 1, b.source)
	b.ack(250, 1, b.sink)
	s := b.stored()
	b.Stored(260, 1, s.Pointer, nil)
	b.did()
	b.Tick(260)
	b.want("prepare 2")

	b = newBench(t, func(c *Config) { c.MinPause = 500 })
	b.begun(500, 1)
	b.ack(550, 1, b.source)
	b.ack(550, 1, b.sink)
	b.Stored(560, 1, b.stored().Pointer, nil)
	b.did()
	if at, _ := b.Next(); at != 1060 {
		t.Errorf("after a pause of 500 the next is due at %d", at)
	}
}

func TestRetention(t *testing.T) {
	b := newBench(t, func(c *Config) { c.Retained = 2; c.Retention = RetainOnCancel })
	for id := int64(1); id <= 3; id++ {
		b.Tick(id * 1000)
		b.Prepared(id*1000, id, "chk-"+string(rune('0'+id)), nil)
		b.CoordinatorsSnapshot(id*1000, &linkpb.CoordinatorSnapshots{Checkpoint: id})
		b.did()
		b.ack(id*1000+1, id, b.source)
		b.ack(id*1000+1, id, b.sink)
		b.Stored(id*1000+2, id, b.stored().Pointer, nil)
		if text := b.did(); strings.Contains(text, "discard") != (id == 3) || id == 3 && !strings.Contains(text, `discard ["chk-1"]`) {
			t.Errorf("after checkpoint %d: %s", id, text)
		}
	}
	if clean, ok := b.Ended(9000, linkpb.JobStatus_CANCELED); !ok || clean.String() != `clean "hdfs:///c": discard [] [], keep ["chk-3" "chk-2"]` {
		t.Errorf("cancelled, retained on cancellation: %s", clean)
	}
	if clean, ok := b.Ended(9000, linkpb.JobStatus_FINISHED); !ok || clean.String() != `clean "hdfs:///c": discard ["chk-3" "chk-2"] [], keep []` {
		t.Errorf("finished: %s", clean)
	}
}

// A subtask that has ended counts with its last state; one that left none ends checkpoints.
func TestFinishedTasks(t *testing.T) {
	b := newBench(t, nil)
	b.begun(100, 1)
	b.ack(101, 1, b.sink)
	b.TaskFinished(102, b.source, &linkpb.TaskState{Bytes: 5}, nil)
	s := b.stored()
	if n := s.Metadata.GetVertices()[0].GetSubtasks()[0].GetBytes(); n != 5 {
		t.Fatalf("the source's state has %d bytes", n)
	}
	b.Stored(103, 1, s.Pointer, nil)
	b.did()
	b.TaskFinished(104, b.sink, nil, nil)
	b.Tick(10_000)
	b.wantNothing()
	b.Trigger(10_001, Request{ID: 4, Savepoint: true, Directory: "/sp"})
	b.want("answer 4", "finished without leaving its state")
}

// TestUnalignedOptions: checkpoints are unaligned where the job says so, after its time; savepoints never are.
func TestUnalignedOptions(t *testing.T) {
	for text, want := range map[string]Config{
		"": {MaxConcurrent: 3, ExactlyOnce: true},
		"execution.checkpointing.unaligned.enabled":                                            {MaxConcurrent: 1, ExactlyOnce: true, Unaligned: true, AlignedTimeout: 7000},
		"execution.checkpointing.unaligned.enabled execution.checkpointing.mode=AT_LEAST_ONCE": {MaxConcurrent: 3},
	} {
		pairs := map[string]string{"execution.checkpointing.aligned-checkpoint-timeout": "7 s", "execution.checkpointing.max-concurrent-checkpoints": "3"}
		for _, p := range strings.Fields(text) {
			k, v, found := strings.Cut(p, "=")
			if !found {
				v = "true"
			}
			pairs[k] = v
		}
		c, err := conf.FromMap(pairs)
		if err != nil {
			t.Fatal(err)
		}
		got := ConfigOf(c)
		if got.MaxConcurrent != want.MaxConcurrent || got.ExactlyOnce != want.ExactlyOnce || got.Unaligned != want.Unaligned || got.AlignedTimeout != want.AlignedTimeout {
			t.Errorf("%q gives %+v, want %+v", text, got, want)
		}
		b := newBench(t, func(c *Config) { c.Unaligned, c.AlignedTimeout = got.Unaligned, got.AlignedTimeout })
		b.Tick(100)
		b.Prepared(100, 1, "hdfs://nn/c/chk", nil)
		b.Trigger(100, Request{ID: 1, Savepoint: true, Directory: "/sp"})
		b.Prepared(100, 2, "file:/sp/savepoint-2", nil)
		for id := range int64(2) {
			b.CoordinatorsSnapshot(101, &linkpb.CoordinatorSnapshots{Checkpoint: id + 1, Snapshots: []*linkpb.CoordinatorSnapshot{{Operator: opID(1)}}})
		}
		for _, a := range b.Take() {
			if a, ok := a.(TriggerTasks); ok && (a.Options.GetUnaligned() != (got.Unaligned && a.ID == 1) || a.Options.GetAlignedTimeoutMs() != 0 != (got.Unaligned && a.ID == 1)) {
				t.Errorf("%q: checkpoint %d has options %v", text, a.ID, a.Options)
			}
		}
	}
}

func TestSavepointRequests(t *testing.T) {
	b := newBench(t, func(c *Config) { c.Interval = 0 })
	b.Trigger(1, Request{ID: 1, Savepoint: true})
	b.want("answer 1", "execution.checkpointing.savepoint-dir")
	b.Trigger(1, Request{ID: 2, Savepoint: true, Directory: "/sp/", Stop: true})
	b.want("prepare 1: /sp/savepoint-010000-")
	b.Trigger(1, Request{ID: 3, Savepoint: true, Directory: "/sp"})
	b.want("answer 3", "being stopped")
	b.Prepared(2, 1, "file:/sp/savepoint-1", nil)
	b.CoordinatorsSnapshot(2, &linkpb.CoordinatorSnapshots{Checkpoint: 1})
	b.want("trigger 1: 1 sources, stop")
	b.Stopped(3, "the job is restarted")
	b.want("notify 1 aborted", "answer 2: the checkpoint was aborted: the job is restarted")
	b.Trigger(4, Request{ID: 5, Savepoint: true, Directory: "/sp"})
	b.want("answer 5", "aren't all running")
}

// TestCheckpointsAreTriggeredInOrder: a subtask that has the barrier of one checkpoint ignores those of earlier ones, so that one
// whose directory is made sooner than that of the one before it waits for that.
func TestCheckpointsAreTriggeredInOrder(t *testing.T) {
	b := newBench(t, nil)
	b.Tick(100)
	b.Trigger(101, Request{ID: 7})
	b.want("prepare 1", "prepare 2")
	b.Prepared(102, 2, "hdfs://nn/c/chk-2", nil)
	b.wantNothing()
	b.Prepared(103, 1, "hdfs://nn/c/chk-1", nil)
	b.want("snapshot coordinators 1")
	b.CoordinatorsSnapshot(104, &linkpb.CoordinatorSnapshots{Checkpoint: 1})
	b.want("trigger 1", "snapshot coordinators 2")
	b.CoordinatorsSnapshot(105, &linkpb.CoordinatorSnapshots{Checkpoint: 2})
	b.want("trigger 2")

	b = newBench(t, nil)
	b.Tick(100)
	b.Trigger(101, Request{ID: 7})
	b.Prepared(102, 2, "hdfs://nn/c/chk-2", nil)
	b.want("prepare 1", "prepare 2")
	b.Prepared(103, 1, "", errors.New("no quota")) // then nothing is before it
	b.want("snapshot coordinators 2")
}

// TestEndedSubtaskCommitsOnce: what an ended subtask handed over comes with every later checkpoint. It is committed once, however
// many there are, and not again at the end of the job.
func TestEndedSubtaskCommitsOnce(t *testing.T) {
	b := newBench(t, nil)
	last := []*linkpb.OperatorCommit{{Operator: opID(2), Committables: [][]byte{[]byte("part-last")}}}
	b.TaskFinished(1, b.sink, &linkpb.TaskState{}, last)
	commits := 0
	for id := int64(1); id <= 3*committedMemory; id++ {
		b.Tick(id * 1000)
		b.Prepared(id*1000, id, fmt.Sprint("hdfs://nn/c/chk-", id), nil)
		b.CoordinatorsSnapshot(id*1000, &linkpb.CoordinatorSnapshots{Checkpoint: id})
		b.did()
		b.Acknowledged(id*1000+1, &linkpb.CheckpointAck{Id: b.source, Checkpoint: id, State: &linkpb.TaskState{}})
		b.Stored(id*1000+2, id, b.stored().Pointer, nil)
		for _, a := range b.Take() {
			if c, ok := a.(Commit); ok && len(c.Commits) > 0 {
				commits++
			}
		}
		b.Committed(id)
	}
	if left := b.Uncommitted(last); commits != 1 || len(left) != 0 {
		t.Errorf("it is committed %d times, and at the end %v", commits, left)
	}
}
