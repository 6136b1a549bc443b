package jobmaster

import (
	"maps"
	"slices"

	"github.com/weftstream/weft/link/linkpb"
)

func (c *core) summary() JobSummary {
	s := JobSummary{ID: c.id, Name: c.g.GetName(), Status: c.status, Start: c.timestamps[initializing], End: -1,
		LastModified: c.modified, Tasks: c.counts()}
	if Terminal(c.status) {
		s.End = c.timestamps[c.status]
	}
	return s
}

// details copies the whole state.
func (c *core) details() JobDetails {
	d := JobDetails{JobSummary: c.summary(), Bounded: c.g.GetBounded(), MaxParallelism: int(c.g.GetMaxParallelism()),
		Timestamps: c.timestamps, FailuresTruncated: c.truncated, Counters: maps.Clone(c.sumCounters()), Config: maps.Clone(c.g.GetConfig()),
		Definition: c.g.GetDefinition(), Key: c.g.GetKey(), SlotsNeeded: c.slots, SlotsAssigned: len(c.pool)}
	if !c.deployed && c.active() {
		d.Waiting = c.shortage
	}
	d.Failures = slices.Clone(c.failures)
	for i := range d.Failures {
		d.Failures[i].Concurrent = slices.Clone(d.Failures[i].Concurrent)
	}
	for _, v := range c.vertices {
		d.Vertices = append(d.Vertices, v.details())
	}
	for _, e := range c.edges {
		d.Edges = append(d.Edges, EdgeDetails{ID: int(e.pb.GetId()), Source: e.source.id, Target: e.target.id,
			Partitioning: e.pb.GetPartitioning(), Input: int(e.pb.GetInput()), Tag: e.pb.GetTag()})
	}
	return d
}

func (v *vertex) details() VertexDetails {
	d := VertexDetails{ID: v.id, Name: v.name(), Description: v.pb.GetDescription(), SlotSharingGroup: v.pb.GetSlotSharingGroup(),
		Parallelism: len(v.subtasks), MaxParallelism: int(v.pb.GetMaxParallelism()), Source: v.pb.GetSource(), State: v.state(),
		Start: -1, End: -1, Tasks: v.counts, IO: IOMetrics{Complete: true}}
	for _, o := range v.pb.GetOperators() {
		d.Operators = append(d.Operators, OperatorDetails{ID: idOf(o.GetId()), Name: o.GetName(), UID: o.GetUid()})
	}
	allEnded := true
	for i, e := range v.subtasks {
		s := e.details()
		d.Subtasks = append(d.Subtasks, s)
		if s.Start >= 0 && (d.Start < 0 || s.Start < d.Start) {
			d.Start = s.Start
		}
		allEnded = allEnded && s.End >= 0
		d.End = max(d.End, s.End)
		d.IO.add(s.IO, i == 0)
	}
	if !allEnded {
		d.End = -1
	}
	return d
}

func (m *IOMetrics) add(o IOMetrics, first bool) {
	m.ReadRecords += o.ReadRecords
	m.WriteRecords += o.WriteRecords
	m.ReadBytes += o.ReadBytes
	m.WriteBytes += o.WriteBytes
	m.BusyMS += o.BusyMS
	m.IdleMS += o.IdleMS
	m.BackpressuredMS += o.BackpressuredMS
	m.Complete = m.Complete && o.Complete
	if first || o.Watermark < m.Watermark {
		m.Watermark = o.Watermark
	}
}

// state is Flink's aggregate of the subtasks' states: the first of these that a subtask is in decides.
func (v *vertex) state() linkpb.ExecutionState {
	for _, s := range []linkpb.ExecutionState{execFailed, execCanceling, execCanceled, execInitializing, execRunning} {
		if v.counts[s] > 0 {
			return s
		}
	}
	switch n := v.counts[execFinished]; {
	case n == len(v.subtasks):
		return execFinished
	case n > 0:
		return execRunning
	case v.counts[execDeploying] > 0:
		return execDeploying
	case v.counts[execScheduled] > 0:
		return execScheduled
	}
	return execCreated
}

func (e *execution) details() SubtaskDetails {
	d := SubtaskDetails{Subtask: e.subtask, Attempt: e.attempt, State: e.state, Start: e.start(), End: e.end(), Timestamps: e.entered,
		IO: e.io, Load: e.load, Counters: maps.Clone(e.counters), Earlier: slices.Clone(e.earlier)}
	if e.host != nil {
		d.ResourceID, d.Host, d.Endpoint = e.host.loc.ResourceID, e.host.loc.Host, e.host.loc.DataAddress
	}
	if e.failure != nil {
		f := *e.failure
		d.Failure = &f
	}
	return d
}
