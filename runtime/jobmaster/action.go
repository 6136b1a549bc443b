package jobmaster

import (
	"fmt"
	"strings"

	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/runtime/checkpoint"
	"github.com/weftstream/weft/runtime/ha"
	"github.com/weftstream/weft/runtime/rpc/rpcpb"
)

// action is what the core wants done. String is what scripts show.
type action interface{ String() string }

// sendAction sends m to a TaskManager.
type sendAction struct {
	to string
	m  *rpcpb.ToTaskManager
}

func (a sendAction) String() string {
	if r := a.m.GetRelease(); r != nil {
		return "send " + a.to + " release: " + r.GetReason()
	}
	return "send " + a.to + " " + commandString(a.m.GetHost().GetCommand())
}

func commandString(m *linkpb.ToHost) string {
	switch m := m.GetMessage().(type) {
	case *linkpb.ToHost_Deploy:
		return fmt.Sprintf("deploy %d tasks, %d coordinators", len(m.Deploy.GetTasks()), len(m.Deploy.GetCoordinators()))
	case *linkpb.ToHost_Cancel:
		var ids []string
		for _, id := range m.Cancel.GetIds() {
			ids = append(ids, fmt.Sprintf("%x.%d", id.GetVertex()[:1], id.GetSubtask()))
		}
		return "cancel " + strings.Join(ids, " ")
	case *linkpb.ToHost_CoordinatorRequest:
		return fmt.Sprintf("request seq %d from subtask %d: %s", m.CoordinatorRequest.GetSeq(), m.CoordinatorRequest.GetSubtask(), m.CoordinatorRequest.GetPayload())
	case *linkpb.ToHost_CoordinatorResponse:
		return fmt.Sprintf("response seq %d: %s%s", m.CoordinatorResponse.GetSeq(), m.CoordinatorResponse.GetPayload(), m.CoordinatorResponse.GetError())
	case *linkpb.ToHost_CloseCoordinators:
		s := "close coordinators"
		for _, op := range m.CloseCoordinators.GetOperators() {
			s += fmt.Sprintf(" %x", op[:1])
		}
		return s
	case *linkpb.ToHost_SnapshotCoordinators:
		return fmt.Sprintf("snapshot coordinators for checkpoint %d", m.SnapshotCoordinators.GetCheckpoint())
	case *linkpb.ToHost_TriggerCheckpoint:
		return fmt.Sprintf("trigger checkpoint %d at %d sources", m.TriggerCheckpoint.GetCheckpoint(), len(m.TriggerCheckpoint.GetSources()))
	case *linkpb.ToHost_CheckpointNotice:
		s := fmt.Sprintf("checkpoint %d complete: %v", m.CheckpointNotice.GetCheckpoint(), m.CheckpointNotice.GetComplete())
		if m.CheckpointNotice.GetExpired() {
			s += ", expired"
		}
		return s
	case *linkpb.ToHost_Commit:
		return fmt.Sprintf("commit %x: %s", m.Commit.GetOperator()[:1], m.Commit.GetCommittables())
	}
	return fmt.Sprintf("%T", m.GetMessage())
}

// declareAction tells the ResourceManager how many slots the job wants, and how many of them it can't run without.
type declareAction struct{ slots, least int }

func (a declareAction) String() string {
	if a.least < a.slots {
		return fmt.Sprintf("declare %d slots, at least %d", a.slots, a.least)
	}
	return fmt.Sprintf("declare %d slots", a.slots)
}

// releaseAction has the ResourceManager end the job on all TaskManagers.
type releaseAction struct{ reason string }

func (a releaseAction) String() string { return "release: " + a.reason }

// returnAction gives one slot back.
type returnAction struct {
	resourceID string
	allocation []byte
}

func (a returnAction) String() string {
	return fmt.Sprintf("return %s of %s", a.allocation, a.resourceID)
}

// appendAction appends to the epoch log; core.appended is called with the outcome.
type appendAction struct{ record ha.Record }

func (a appendAction) String() string { return "append " + a.record.Kind.String() }

// checkpointAction is one of the checkpoint coordinator's that takes I/O: checkpoint.Prepare, Store or Discard.
type checkpointAction struct{ checkpoint.Action }

// cleanAction is what is to be removed once nothing else of the job is under way.
type cleanAction struct{ checkpoint.Clean }

// answerAction ends a request for a savepoint or checkpoint.
type answerAction struct{ checkpoint.Answer }

// endAction is the last one: the job has ended, with a result or with an error.
type endAction struct {
	result *linkpb.JobResult
	err    error
}

func (a endAction) String() string {
	if a.err != nil {
		return "end: " + a.err.Error()
	}
	s := fmt.Sprintf("end: %s after %d ms", a.result.GetStatus(), a.result.GetRuntimeMs())
	if f := a.result.GetFailure(); f != nil {
		s += ": " + f.GetMessage()
	}
	return s
}

// noteAction is something to log.
type noteAction struct{ text string }

func (a noteAction) String() string { return "note " + a.text }
