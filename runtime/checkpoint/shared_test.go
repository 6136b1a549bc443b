package checkpoint

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/runtime/checkpoint/checkpointpb"
)

const sharedAt = "hdfs://nn/c/job/shared/"

// newShared is a bench of a job with incremental checkpoints, of which two may be under way.
func newShared(t *testing.T, change func(*Config)) *bench {
	t.Helper()
	return newBench(t, func(c *Config) {
		c.Incremental, c.MaxConcurrent, c.Tolerable, c.Timeout = true, 2, 10, 1<<40
		if change != nil {
			change(c)
		}
	})
}

func dirOf(id int64) string { return "hdfs://nn/c/chk-" + string(rune('0'+id)) }

// under takes checkpoint id to where its subtasks have to acknowledge it, and checks what it builds on; 0 for nothing.
func (b *bench) under(id, base int64) {
	b.t.Helper()
	b.Tick(id * 1000)
	b.triggered(id, base)
}

func (b *bench) triggered(id, base int64) {
	b.t.Helper()
	b.Prepared(id*1000, id, dirOf(id), nil)
	b.CoordinatorsSnapshot(id*1000, &linkpb.CoordinatorSnapshots{Checkpoint: id})
	for _, a := range b.Take() {
		if a, ok := a.(TriggerTasks); ok {
			if a.ID != id || a.Options.GetBase() != base || a.Options.GetIncremental() == a.Options.GetSavepoint() {
				b.t.Fatalf("checkpoint %d: it is to build on %d: %v", id, base, a.Options)
			}
			return
		}
	}
	b.t.Fatalf("checkpoint %d isn't triggered", id)
}

// state is one in a file of the checkpoint's own and in shared ones, which are named by letters.
func state(id int64, shared string) *linkpb.TaskState {
	s := &linkpb.TaskState{Files: []string{dirOf(id) + "/own"}, Bytes: 10, Written: 4}
	for _, name := range shared {
		s.Files = append(s.Files, sharedAt+string(name))
	}
	return s
}

func (b *bench) acked(id int64, who *linkpb.ExecutionID, shared string) {
	b.Acknowledged(id*1000+1, &linkpb.CheckpointAck{Id: who, Checkpoint: id, State: state(id, shared)})
}

// full has both subtasks acknowledge a checkpoint, and stores it.
func (b *bench) full(id int64, source, sink string) *checkpointpb.Metadata {
	b.t.Helper()
	b.acked(id, b.source, source)
	b.acked(id, b.sink, sink)
	s := b.stored()
	b.Stored(id*1000+2, id, s.Pointer, nil)
	return s.Metadata
}

// gone checks which shared files the actions since the last call remove, and that others' are asked about.
func (b *bench) gone(when, files, others string) {
	b.t.Helper()
	var own, asked []string
	for _, a := range b.Take() {
		if d, ok := a.(Discard); ok {
			for _, f := range d.Files {
				if name, shared := strings.CutPrefix(f, sharedAt); shared {
					own = append(own, name)
				}
				if inShared(f) && d.Directory {
					b.t.Errorf("%s: the directory of shared files goes", when)
				}
			}
			for _, f := range d.Shared {
				asked = append(asked, strings.TrimPrefix(f, sharedAt))
			}
		}
	}
	slices.Sort(own)
	if strings.Join(own, "") != files || strings.Join(asked, "") != others {
		b.t.Errorf("%s: %q are removed, and %q unless needed; want %q and %q", when, own, asked, files, others)
	}
}

func TestIncrementalIsConfigured(t *testing.T) {
	for text, want := range map[string]bool{"": false, "execution.checkpointing.dir=/c": true, "execution.checkpointing.dir=/c execution.checkpointing.storage=jobmanager": false} {
		pairs := map[string]string{"execution.checkpointing.incremental": "true"}
		for _, p := range strings.Fields(text) {
			k, v, _ := strings.Cut(p, "=")
			pairs[k] = v
		}
		c, err := conf.FromMap(pairs)
		if err != nil {
			t.Fatal(err)
		}
		if got := ConfigOf(c).Incremental; got != want {
			t.Errorf("%q: incremental %v", text, got)
		}
	}
	if ConfigOf(conf.Configuration{}).Incremental {
		t.Error("checkpoints are incremental though nobody asked for that")
	}
}

// TestSharedFilesGoWhenSuperseded: a file goes with the last checkpoint that needs it.
func TestSharedFilesGoWhenSuperseded(t *testing.T) {
	b := newShared(t, nil)
	b.under(1, 0)
	md := b.full(1, "a", "b")
	if !slices.Equal(md.GetShared(), []string{sharedAt + "a", sharedAt + "b"}) {
		t.Errorf("checkpoint 1 says that it shares %q", md.GetShared())
	}
	b.gone("after 1", "", "")
	b.under(2, 1)
	b.full(2, "ac", "b")
	b.gone("after 2", "", "")
	b.under(3, 2)
	b.full(3, "cd", "e")
	b.gone("after 3", "ab", "")
	r := b.Stats().LatestCompleted
	if r.StateSize != 20 || r.Written != 8 || r.Vertices[0].Subtasks[0].Written != 4 {
		t.Errorf("the statistics of checkpoint 3: %+v", r)
	}
	b = newShared(t, func(c *Config) { c.Retained = 2 })
	b.under(1, 0)
	b.full(1, "a", "b")
	b.under(2, 1)
	b.full(2, "c", "d")
	b.gone("after 2 of two that are kept", "", "")
	b.under(3, 2)
	b.full(3, "ce", "")
	b.gone("after 3 of two that are kept", "ab", "")
}

// TestSharedFilesOfAbortedCheckpoints: those that a checkpoint has written go with it, and what it builds on stays.
func TestSharedFilesOfAbortedCheckpoints(t *testing.T) {
	b := newShared(t, nil)
	b.under(1, 0)
	b.full(1, "a", "b")
	b.did()
	b.under(2, 1)
	b.acked(2, b.source, "ac")
	b.Declined(2500, &linkpb.CheckpointDecline{Id: b.sink, Checkpoint: 2, Failure: &linkpb.Failure{Message: "no"}})
	b.gone("aborted", "c", "")
	b.acked(2, b.sink, "bd")
	b.gone("the late acknowledgement", "d", "")
	b.Acknowledged(2600, &linkpb.CheckpointAck{Id: &linkpb.ExecutionID{Vertex: opID(2), Attempt: 7}, Checkpoint: 9, State: state(9, "ae")})
	b.gone("an acknowledgement of nobody", "e", "")
	b.under(3, 1)
	b.acked(3, b.source, "af")
	b.acked(3, b.sink, "bg")
	b.stored()
	b.Stored(3500, 3, nil, errors.New("disk full"))
	b.gone("storing fails", "fg", "")
	b.under(4, 1)
	b.full(4, "h", "i")
	b.gone("after 4", "ab", "")
}

// TestBaseOfPendingStays: a checkpoint that is superseded is kept as long as one under way builds on it.
func TestBaseOfPendingStays(t *testing.T) {
	for _, aborted := range []bool{false, true} {
		b := newShared(t, nil)
		b.under(1, 0)
		b.full(1, "a", "b")
		b.did()
		b.under(2, 1)
		b.under(3, 1)
		b.full(2, "c", "d")
		b.gone("2 supersedes 1, which 3 builds on", "", "")
		b.under(4, 2)
		if aborted {
			b.Declined(3500, &linkpb.CheckpointDecline{Id: b.sink, Checkpoint: 3, Failure: &linkpb.Failure{Message: "no"}})
			b.gone("3 is aborted", "ab", "")
		} else {
			b.full(3, "ae", "f")
			b.gone("3 is complete", "b", "")
		}
		b.full(4, "c", "g")
		if aborted {
			b.gone("4 after 3 was aborted", "d", "")
		} else {
			b.gone("4 after 3 is complete", "adef", "")
		}
	}
}

// TestSavepointsBetween: a savepoint supersedes a checkpoint, on which the next one builds all the same.
func TestSavepointsBetween(t *testing.T) {
	b := newShared(t, nil)
	b.under(1, 0)
	b.full(1, "a", "b")
	b.did()
	b.Trigger(2000, Request{ID: 1, Savepoint: true, Directory: "/sp"})
	b.triggered(2, 0)
	if md := b.full(2, "", ""); len(md.GetShared()) > 0 {
		t.Errorf("a savepoint shares %q", md.GetShared())
	}
	text := strings.Join(b.clean().Keep, " ")
	b.gone("after the savepoint", "", "")
	if strings.Contains(text, "chk-1") {
		t.Errorf("the savepoint doesn't supersede it: %s", text)
	}
	b.under(3, 1)
	b.full(3, "ac", "d")
	b.gone("after 3", "b", "")
}

// clean is what would be done at the end of the job, without ending it.
func (b *bench) clean() Clean {
	c := *b.Coordinator
	c.actions, c.pending = nil, nil
	clean, _ := c.Ended(9, linkpb.JobStatus_CANCELED)
	return clean
}

// TestBaseNeverGoesBack: a checkpoint that was asked for is given up when a newer one is complete; tasks have forgotten what it
// builds on.
func TestBaseNeverGoesBack(t *testing.T) {
	b := newShared(t, nil)
	b.Trigger(1000, Request{ID: 1})
	b.triggered(1, 0)
	b.under(2, 0)
	b.acked(1, b.source, "c")
	b.full(2, "a", "b")
	b.gone("after 2", "c", "")
	b.acked(1, b.sink, "d")
	b.gone("the rest of 1", "d", "")
	b.under(3, 2)
	b.full(3, "a", "e")
	b.gone("after 3", "b", "")
}

// TestRestartsBeginAnew: after a restart of all nobody has taken a base, after that of a region some have.
func TestRestartsBeginAnew(t *testing.T) {
	for _, region := range []bool{false, true} {
		b := newShared(t, nil)
		b.under(1, 0)
		b.full(1, "a", "b")
		b.under(2, 1)
		b.acked(2, b.source, "ac")
		b.did()
		b.Stopped(2500, "restart")
		b.gone("stopped", "c", "")
		base := int64(0)
		if region {
			base = 1
			b.RegionRestored(2600, b.Latest())
		} else {
			b.Restored(2600, b.Latest())
		}
		b.sink = &linkpb.ExecutionID{Vertex: opID(2), Attempt: 1}
		b.Started(2700, b.tasksOf())
		b.under(3, base)
		b.full(3, "d", "e")
		b.gone("after 3", "ab", "")
	}
}

// TestSharedFilesOfEndedTasks: the state in which a task ended is needed while it stands for the task, also while a checkpoint is
// stored in which it does.
func TestSharedFilesOfEndedTasks(t *testing.T) {
	b := newShared(t, nil)
	b.under(1, 0)
	b.acked(1, b.sink, "a")
	b.TaskFinished(1500, b.source, &linkpb.TaskState{Files: []string{sharedAt + "z"}}, nil)
	b.stored()
	b.Stored(1600, 1, nil, errors.New("disk full"))
	b.gone("1 isn't stored", "a", "")
	b.Trigger(2000, Request{ID: 1, Savepoint: true, Directory: "/sp"})
	b.triggered(2, 0)
	b.acked(2, b.sink, "")
	s := b.stored()
	if len(s.Metadata.GetShared()) > 0 {
		t.Errorf("a savepoint, which gets copies, shares %q", s.Metadata.GetShared())
	}
	b.Stored(2600, 2, s.Pointer, nil)
	b.gone("after the savepoint", "", "")
	b.under(3, 0)
	b.acked(3, b.sink, "c")
	s = b.stored()
	b.Restored(3500, b.Latest())
	b.Started(3600, b.tasksOf()) // the source runs again; 3 holds its end
	b.under(4, 0)
	b.acked(4, b.sink, "d")
	b.Declined(4700, &linkpb.CheckpointDecline{Id: b.source, Checkpoint: 4, Failure: &linkpb.Failure{Message: "no"}})
	b.gone("while 3 is stored", "d", "")
	b.Stored(4800, 3, s.Pointer, nil)
	b.gone("after 3", "", "")
	b.under(5, 3)
	b.full(5, "e", "f")
	b.gone("after 5", "cz", "")
}

// TestSharedFilesOfAnotherJobMaster: who takes over removes what the checkpoints share that are superseded by its own, unless
// others need it.
func TestSharedFilesOfAnotherJobMaster(t *testing.T) {
	b := newShared(t, func(c *Config) { c.Retained = 2 })
	b.under(1, 0)
	b.full(1, "a", "b")
	b.under(2, 1)
	b.full(2, "ac", "d")
	b.did()
	next := &bench{t: t, Coordinator: New(b.cfg, b.g, "abc", b.Pointer(), b.Latest()), source: b.source, sink: b.sink}
	next.Needs(dirOf(1), []string{sharedAt + "a", sharedAt + "b"})
	next.Restored(2500, next.Latest())
	next.Started(2500, next.tasksOf())
	next.under(3, 0)
	next.full(3, "e", "f")
	next.gone("after 3", "", "b")
	next.under(4, 3)
	next.full(4, "e", "f")
	next.gone("after 4", "", "acd")
	next.under(5, 4)
	next.full(5, "e", "f")
	next.gone("after 5", "", "")
}

// TestClaimedSharedFiles: what a claimed checkpoint shares goes with it, if nobody else needs it; another one's is never
// touched.
func TestClaimedSharedFiles(t *testing.T) {
	md := &checkpointpb.Metadata{Checkpoint: 40, Directory: "hdfs://nn/c/old/chk-40", Vertices: []*checkpointpb.Vertex{{Subtasks: []*linkpb.TaskState{
		{Files: []string{"hdfs://nn/c/old/chk-40/own", sharedAt + "x", sharedAt + "y"}}}}}}
	for _, claim := range []bool{false, true} {
		want := ""
		if claim {
			want = "xy"
		}
		b := newShared(t, nil)
		b.StartFrom(md, claim)
		b.Restored(0, md)
		for status, goes := range map[linkpb.JobStatus]bool{linkpb.JobStatus_FINISHED: claim, linkpb.JobStatus_CANCELED: false} {
			c := *b.Coordinator
			if clean, _ := c.Ended(10, status); len(clean.Shared) == 2 != goes {
				t.Errorf("claim %v, %s: %s", claim, status, clean)
			}
		}
		b.under(1, 0)
		b.full(1, "a", "b")
		b.gone("after 1", "", want)
		b.under(2, 1)
		b.full(2, "c", "d")
		b.gone("after 2", "ab", "")
	}
}

// TestNextJobMasterRemovesWhatIsSuperseded: the JobMaster before may have ended between a record and the removal of what it
// supersedes.
func TestNextJobMasterRemovesWhatIsSuperseded(t *testing.T) {
	b := newShared(t, nil)
	b.under(1, 0)
	first := b.full(1, "ab", "c")
	b.under(2, 1)
	b.full(2, "ad", "e")
	if got := b.Pointer().GetSuperseded(); !slices.Equal(got, []string{dirOf(1)}) {
		t.Fatalf("the record of checkpoint 2 supersedes %q", got)
	}
	next := &bench{t: t, Coordinator: New(b.cfg, b.g, "next", b.Pointer(), b.Latest())}
	next.Needs(dirOf(1), Outside(first))
	next.RemoveSuperseded()
	actions := next.Take()
	if len(actions) != 1 {
		t.Fatalf("the next JobMaster does %v", actions)
	}
	d, ok := actions[0].(Discard)
	if !ok || !slices.Equal(d.Directories, []string{dirOf(1)}) || len(d.Files) != 0 || !slices.Equal(d.Shared, []string{sharedAt + "b", sharedAt + "c"}) {
		t.Errorf("the next JobMaster does %v", actions[0])
	}
}
