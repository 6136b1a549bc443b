package checkpoint

import (
	"slices"
	"strings"
	"testing"

	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/runtime/checkpoint/checkpointpb"
)

// complete takes checkpoint id into directory chk-<id>, and returns the actions that follow.
func (b *bench) complete(id int64) string {
	b.t.Helper()
	now := id * 1000
	b.Tick(now)
	b.Prepared(now, id, "hdfs://nn/c/chk-"+string(rune('0'+id)), nil)
	b.CoordinatorsSnapshot(now, &linkpb.CoordinatorSnapshots{Checkpoint: id})
	b.did()
	b.ack(now+1, id, b.source)
	b.ack(now+1, id, b.sink)
	b.Stored(now+2, id, b.stored().Pointer, nil)
	return b.did()
}

// TestClaimModes: a claimed savepoint goes as a checkpoint of the job would, another one never.
func TestClaimModes(t *testing.T) {
	const initial = "hdfs://nn/sp/savepoint-1"
	md := &checkpointpb.Metadata{Checkpoint: 40, Savepoint: true, Directory: initial}
	started := func(claim bool, change func(*Config)) *bench {
		b := newBench(t, change)
		b.StartFrom(md, claim)
		b.Restored(0, md)
		b.Started(0, b.tasksOf())
		return b
	}
	for _, claim := range []bool{false, true} {
		b := started(claim, nil)
		if text := b.complete(1); strings.Contains(text, `discard ["`+initial+`"]`) != claim {
			t.Errorf("claim %v: after checkpoint 1: %s", claim, text)
		}
		if text := b.complete(2); strings.Contains(text, initial) || !strings.Contains(text, "chk-1") {
			t.Errorf("claim %v: after checkpoint 2: %s", claim, text)
		}
		if clean, _ := b.Ended(9000, linkpb.JobStatus_FINISHED); strings.Contains(strings.Join(clean.Directories, " "), initial) {
			t.Errorf("claim %v: at the end: %s", claim, clean)
		}
	}
	// It counts among those that are retained.
	b := started(true, func(c *Config) { c.Retained = 2 })
	if text := b.complete(1); strings.Contains(text, "discard") {
		t.Errorf("of two that are retained: %s", text)
	}
	if p := b.Pointer(); len(p.GetOlder()) != 1 || p.GetOlder()[0].GetPath() != initial || p.GetOlder()[0].GetSavepoint() {
		t.Errorf("the record doesn't say that it is the job's: %v", p)
	}
	if text := b.complete(2); !strings.Contains(text, `discard ["`+initial+`"]`) {
		t.Errorf("it isn't superseded: %s", text)
	}
	// The next JobMaster has the record, and what the job was started from is none of its business any more.
	b = started(true, func(c *Config) { c.Retained = 2 })
	b.complete(1)
	next := New(b.cfg, b.g, "abc", b.Pointer(), b.Latest())
	if clean, _ := next.Ended(9000, linkpb.JobStatus_FINISHED); strings.Join(clean.Directories, " ") != "hdfs://nn/c/chk-1 "+initial {
		t.Errorf("the next JobMaster removes %s", clean)
	}
}

// TestClaimedUnlessAllThereIs: a job that has no checkpoint of its own yet removes what it claimed only when it has finished.
func TestClaimedUnlessAllThereIs(t *testing.T) {
	md := &checkpointpb.Metadata{Checkpoint: 40, Directory: "hdfs://nn/c/old/chk-40"}
	for _, claim := range []bool{false, true} {
		for status, goes := range map[linkpb.JobStatus]bool{linkpb.JobStatus_FINISHED: claim, linkpb.JobStatus_CANCELED: false, linkpb.JobStatus_FAILED: false} {
			b := newBench(t, nil)
			b.StartFrom(md, claim)
			clean, _ := b.Ended(10, status)
			if (len(clean.Directories) == 1) != goes || (len(clean.Keep) == 0) != goes {
				t.Errorf("claim %v, %s: %s", claim, status, clean)
			}
		}
	}
}

func (b *bench) tasksOf() []Task { return []Task{{ID: b.source, Source: true}, {ID: b.sink}} }

// TestAbortedDrain: the states in which tasks ended stay when the savepoint is given up for which they were written, since
// later checkpoints refer to them. They go with the job.
func TestAbortedDrain(t *testing.T) {
	const dir = "hdfs://nn/sp/savepoint-1"
	for _, ended := range []bool{false, true} {
		b := newBench(t, func(c *Config) { c.Interval = 0 })
		b.Trigger(1, Request{ID: 1, Savepoint: true, Directory: "/sp", Stop: true, Drain: true})
		b.Prepared(1, 1, dir, nil)
		b.CoordinatorsSnapshot(1, &linkpb.CoordinatorSnapshots{Checkpoint: 1})
		if ended {
			b.TaskFinished(2, b.source, &linkpb.TaskState{Files: []string{dir + "/f"}}, nil)
		}
		b.did()
		b.Tick(5000)
		if text := b.did(); !strings.Contains(text, "savepoint 1 aborted") || strings.Contains(text, "discard") == ended {
			t.Errorf("ended %v: %s", ended, text)
		}
		if clean, _ := b.Ended(6000, linkpb.JobStatus_FINISHED); (len(clean.Aborted) == 1) != ended {
			t.Errorf("ended %v: %s", ended, clean)
		}
	}
}

// TestNothingToClean: a job that wrote nothing asks no file system at its end.
func TestNothingToClean(t *testing.T) {
	b := newBench(t, func(c *Config) { c.Interval = 0 })
	if clean, ok := b.Ended(1, linkpb.JobStatus_FINISHED); ok {
		t.Errorf("to clean: %s", clean)
	}
	b = newBench(t, nil)
	if clean, ok := b.Ended(1, linkpb.JobStatus_FAILED); !ok || clean.Base != "hdfs:///c" {
		t.Errorf("ended tasks of a job with checkpoints may have left their states: %s", clean)
	}
}

// TestEndWhileStoring: a job ends while a checkpoint is being stored. That may be complete then without anybody hearing of it:
// it goes with the others.
func TestEndWhileStoring(t *testing.T) {
	for status, retention := range map[linkpb.JobStatus]string{linkpb.JobStatus_CANCELED: DeleteOnCancel, linkpb.JobStatus_FAILED: RetainNone} {
		for _, first := range []bool{false, true} {
			b := newBench(t, func(c *Config) { c.Retention = retention })
			id := int64(1)
			if !first {
				b.complete(1)
				id++
			}
			b.Tick(2000)
			b.triggeredWhole(id)
			b.ackCommits(id)
			b.stored()
			if clean, ok := b.Ended(2500, status); !ok || !slices.Contains(clean.Directories, dirOf(id)) || len(clean.Directories) != int(id) {
				t.Errorf("%s: %s", status, clean)
			}
		}
	}
	b := newBench(t, func(c *Config) { c.Retention = RetainOnCancel })
	b.Tick(1000)
	b.triggeredWhole(1)
	b.ackCommits(1)
	b.stored()
	if clean, _ := b.Ended(1500, linkpb.JobStatus_CANCELED); len(clean.Directories) > 0 {
		t.Errorf("retained: %s", clean)
	}
	b = newBench(t, nil)
	b.Trigger(1000, Request{ID: 7, Savepoint: true, Directory: "/sp"})
	b.triggeredWhole(1)
	b.ackCommits(1)
	b.stored()
	if clean, _ := b.Ended(1500, linkpb.JobStatus_CANCELED); !slices.Contains(clean.Aborted, dirOf(1)) {
		t.Errorf("a savepoint of which nobody is told: %s", clean)
	}
}
