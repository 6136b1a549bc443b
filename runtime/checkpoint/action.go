package checkpoint

import (
	"fmt"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/runtime/checkpoint/checkpointpb"
)

// Action is something that the Coordinator wants done; String is what scripts show.
type Action interface{ String() string }

// Prepare has the directory of a checkpoint made; Coordinator.Prepared is called with the outcome.
type Prepare struct {
	ID        int64
	Directory string
}

// SnapshotCoordinators has the coordinator tasks take their snapshots; Coordinator.CoordinatorsSnapshot gets them.
type SnapshotCoordinators struct{ ID int64 }

// TriggerTasks goes to every host of the job: sources take the checkpoint, the others learn its options.
type TriggerTasks struct {
	ID      int64
	Options *linkpb.CheckpointOptions
	Sources []*linkpb.ExecutionID
}

// Store has a checkpoint completed: its metadata is written to Metadata.Directory (where it has one) and then Pointer is
// appended to the epoch log. Coordinator.Stored is called with the outcome. There is one at a time.
type Store struct {
	Metadata *checkpointpb.Metadata
	Pointer  *checkpointpb.Pointer
}

// Notify tells all tasks that a checkpoint is complete or aborted.
type Notify struct {
	ID       int64
	Complete bool
	// Expired: aborted for its timeout. Subtasks that had no part in it are to say where they are.
	Expired bool
}

// Commit has sinks commit; they come in the order of checkpoints.
type Commit struct {
	ID      int64
	Commits []*linkpb.OperatorCommit
}

// Discard has directories removed, of checkpoints that are superseded or never became complete, and single files.
type Discard struct {
	Directories []string
	Files       []string
	// Shared are files that this JobMaster's checkpoints haven't made: they go when no completed checkpoint beside them needs
	// them, once the directories are removed.
	Shared []string
	// Directory: the files came too late for their checkpoint, whose directory goes with the last of them.
	Directory bool
}

// Clean has removed what a job that has ended needn't leave.
type Clean struct {
	// Base is the configured directory of checkpoints; "": the job has written nothing there. PerJob: the job's are below a
	// directory of its own.
	Base   string
	PerJob bool
	Job    graph.JobID
	// Directories of completed checkpoints that go. Aborted are those of savepoints that were given up; they go unless a
	// checkpoint that is kept needs a file of theirs.
	Directories, Aborted []string
	// Shared are files of Directories that are outside of the job's own directory, or were there before: they go unless a
	// completed checkpoint beside them needs them.
	Shared []string
	// Keep are the directories of completed checkpoints that stay, with all that they refer to.
	Keep []string
}

// Answer ends a Request.
type Answer struct {
	Request int64
	ID      int64
	Path    string
	Err     error
}

// Fail has the job fail: more checkpoints in a row have failed than are tolerated.
type Fail struct{ Reason string }

// Note is something to log.
type Note struct{ Text string }

func (a Prepare) String() string              { return fmt.Sprintf("prepare %d: %s", a.ID, a.Directory) }
func (a SnapshotCoordinators) String() string { return fmt.Sprintf("snapshot coordinators %d", a.ID) }
func (a TriggerTasks) String() string {
	s := fmt.Sprintf("trigger %d: %d sources", a.ID, len(a.Sources))
	switch o := a.Options; {
	case o.GetDrain():
		s += ", drain"
	case o.GetStop():
		s += ", stop"
	case o.GetSavepoint():
		s += ", savepoint"
	}
	return s
}
func (a Store) String() string {
	s := fmt.Sprintf("store %d: %d vertices, %d commits", a.Metadata.GetCheckpoint(), len(a.Metadata.GetVertices()), len(a.Metadata.GetCommits()))
	for _, o := range a.Pointer.GetOlder() {
		s += fmt.Sprintf(", keeps %d", o.GetCheckpoint())
	}
	return s
}
func (a Notify) String() string {
	if a.Complete {
		return fmt.Sprintf("notify %d complete", a.ID)
	}
	return fmt.Sprintf("notify %d aborted", a.ID)
}
func (a Commit) String() string { return fmt.Sprintf("commit %d: %d operators", a.ID, len(a.Commits)) }
func (a Discard) String() string {
	s := fmt.Sprintf("discard %q %q", a.Directories, a.Files)
	if len(a.Shared) > 0 {
		s += fmt.Sprintf(", unless needed %q", a.Shared)
	}
	return s
}
func (a Clean) String() string {
	s := fmt.Sprintf("clean %q: discard %q %q, keep %q", a.Base, a.Directories, a.Aborted, a.Keep)
	if len(a.Shared) > 0 {
		s += fmt.Sprintf(", unless needed %q", a.Shared)
	}
	return s
}
func (a Answer) String() string {
	if a.Err != nil {
		return fmt.Sprintf("answer %d: %s", a.Request, a.Err)
	}
	return fmt.Sprintf("answer %d: checkpoint %d at %s", a.Request, a.ID, a.Path)
}
func (a Fail) String() string { return "fail: " + a.Reason }
func (a Note) String() string { return "note " + a.Text }
