package resourcemanager

import (
	"fmt"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/runtime/rpc/rpcpb"
)

// action is what the core wants done. String is what scripts show and logs say.
type action interface{ String() string }

// sendAction sends m to a TaskManager.
type sendAction struct {
	id string
	m  *rpcpb.ToTaskManager
}

func (a sendAction) String() string { return "send " + a.id + " " + messageString(a.m) }

func messageString(m *rpcpb.ToTaskManager) string {
	switch m := m.GetMessage().(type) {
	case *rpcpb.ToTaskManager_Allocate:
		return fmt.Sprintf("allocate slot %d to %s", m.Allocate.GetSlot(), short(m.Allocate.GetJob().GetGraph().ID()))
	case *rpcpb.ToTaskManager_Free:
		return fmt.Sprintf("free a slot of %s: %s", shortBytes(m.Free.GetJobId()), m.Free.GetReason())
	case *rpcpb.ToTaskManager_Release:
		return fmt.Sprintf("release %s: %s", shortBytes(m.Release.GetJobId()), m.Release.GetReason())
	case *rpcpb.ToTaskManager_Shutdown:
		return "shutdown: " + m.Shutdown.GetReason()
	}
	return fmt.Sprintf("%T", m.GetMessage())
}

// closeAction ends a TaskManager's connection whose worker is gone.
type closeAction struct{ id, reason string }

func (a closeAction) String() string { return "close " + a.id + ": " + a.reason }

// declareAction declares to the driver.
type declareAction struct{ n int }

func (a declareAction) String() string { return fmt.Sprintf("declare %d workers", a.n) }

// stopAction has the driver stop a worker.
type stopAction struct{ id, reason string }

func (a stopAction) String() string { return "stop " + a.id + ": " + a.reason }

// lostAction tells all jobs that a TaskManager is gone.
type lostAction struct{ id, reason string }

func (a lostAction) String() string { return "lost " + a.id + ": " + a.reason }

// shortageAction tells a job why it has no slots; fatal: it never will.
type shortageAction struct {
	job    graph.JobID
	reason string
	fatal  bool
}

func (a shortageAction) String() string {
	if a.fatal {
		return fmt.Sprintf("shortage of %s (fatal): %s", short(a.job), a.reason)
	}
	return fmt.Sprintf("shortage of %s: %s", short(a.job), a.reason)
}

// noteAction is something to log.
type noteAction struct{ text string }

func (a noteAction) String() string { return "note " + a.text }

func short(id graph.JobID) string { return id.String()[:8] }

func shortBytes(b []byte) string {
	var id graph.JobID
	copy(id[:], b)
	return short(id)
}
