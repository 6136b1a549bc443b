package view

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/operator"
	"github.com/weftstream/weft/rest/api"
	"github.com/weftstream/weft/runtime/jobmaster"
)

// unassigned is what Flink shows for the host of a subtask without a slot.
const unassigned = "(unassigned)"

// Vertex is GET /jobs/:jobid/vertices/:vertexid.
func Vertex(v *jobmaster.VertexDetails, now int64) api.Vertex {
	out := api.Vertex{ID: v.ID.String(), Name: v.Name, Parallelism: v.Parallelism, MaxParallelism: v.MaxParallelism, Now: now,
		Subtasks: make([]api.Subtask, 0, len(v.Subtasks)), Aggregated: aggregate(pointers(v.Subtasks), now)}
	for i := range v.Subtasks {
		out.Subtasks = append(out.Subtasks, subtask(&v.Subtasks[i], now))
	}
	return out
}

func subtask(s *jobmaster.SubtaskDetails, now int64) api.Subtask {
	return api.Subtask{Subtask: s.Subtask, Status: api.StateName(s.State), Attempt: s.Attempt,
		Host: cmp.Or(s.Host, unassigned), Endpoint: cmp.Or(s.Endpoint, unassigned),
		StartTime: s.Start, EndTime: s.End, Duration: s.Duration(now), Metrics: metrics(&s.IO),
		TaskManagerID: cmp.Or(s.ResourceID, unassigned), StatusDuration: durations(s, now), StartTimeOld: s.Start}
}

func durations(s *jobmaster.SubtaskDetails, now int64) map[string]int64 {
	named := map[string]int64{}
	for state, ms := range s.StateDurations(now) {
		named[api.StateName(state)] = ms
	}
	return named
}

// SubtaskTimes is GET /jobs/:jobid/vertices/:vertexid/subtasktimes.
func SubtaskTimes(v *jobmaster.VertexDetails, now int64) api.SubtaskTimes {
	out := api.SubtaskTimes{ID: v.ID.String(), Name: v.Name, Now: now, Subtasks: make([]api.SubtaskTime, 0, len(v.Subtasks))}
	for i := range v.Subtasks {
		s := &v.Subtasks[i]
		t := api.SubtaskTime{Subtask: s.Subtask, Host: cmp.Or(s.Host, unassigned), Endpoint: cmp.Or(s.Endpoint, unassigned),
			Duration: -1, Timestamps: api.StateTimes(s.Timestamps[:])}
		// As in Flink, this duration counts from when the subtask was scheduled.
		if scheduled := s.Timestamps[linkpb.ExecutionState_EXECUTION_SCHEDULED]; scheduled > 0 {
			end := s.End
			if end < 0 {
				end = now
			}
			t.Duration = max(0, end-scheduled)
		}
		out.Subtasks = append(out.Subtasks, t)
	}
	return out
}

// VertexTaskManagers is GET /jobs/:jobid/vertices/:vertexid/taskmanagers, ordered by the lowest subtask.
func VertexTaskManagers(v *jobmaster.VertexDetails, now int64) api.VertexTaskManagers {
	out := api.VertexTaskManagers{ID: v.ID.String(), Name: v.Name, Now: now, TaskManagers: []api.VertexTaskManager{}}
	var order []string
	groups := map[string][]*jobmaster.SubtaskDetails{}
	for i := range v.Subtasks {
		s := &v.Subtasks[i]
		id := cmp.Or(s.ResourceID, unassigned)
		if groups[id] == nil {
			order = append(order, id)
		}
		groups[id] = append(groups[id], s)
	}
	for _, id := range order {
		out.TaskManagers = append(out.TaskManagers, onTaskManager(id, groups[id], now))
	}
	return out
}

func onTaskManager(id string, subtasks []*jobmaster.SubtaskDetails, now int64) api.VertexTaskManager {
	var counts jobmaster.TaskCounts
	total := jobmaster.IOMetrics{Complete: true}
	start, end, ended := int64(-1), int64(-1), true
	for _, s := range subtasks {
		counts[s.State]++
		add(&total, &s.IO)
		if s.Start >= 0 && (start < 0 || s.Start < start) {
			start = s.Start
		}
		if s.End < 0 {
			ended = false
		}
		end = max(end, s.End)
	}
	out := api.VertexTaskManager{Endpoint: cmp.Or(subtasks[0].Endpoint, unassigned), Status: api.StateName(combined(counts)),
		StartTime: start, EndTime: -1, Duration: -1, Metrics: metrics(&total), StatusCounts: api.StateCounts(counts[:]),
		TaskManagerID: id, Aggregated: aggregate(subtasks, now)}
	out.Host = out.Endpoint // Flink's field holds host and port too
	if ended {
		out.EndTime = end
	}
	if start >= 0 {
		out.Duration = max(0, cmp.Or(max(0, out.EndTime), now)-start)
	}
	return out
}

func add(total, m *jobmaster.IOMetrics) {
	total.ReadRecords += m.ReadRecords
	total.WriteRecords += m.WriteRecords
	total.ReadBytes += m.ReadBytes
	total.WriteBytes += m.WriteBytes
	total.BusyMS += m.BusyMS
	total.IdleMS += m.IdleMS
	total.BackpressuredMS += m.BackpressuredMS
	total.Complete = total.Complete && m.Complete
}

// Backpressure is GET /jobs/:jobid/vertices/:vertexid/backpressure. A vertex is as backpressured as its worst subtask.
func Backpressure(v *jobmaster.VertexDetails, now int64) api.Backpressure {
	out := api.Backpressure{Status: "ok", EndTimestamp: now, Subtasks: make([]api.SubtaskBackpressure, 0, len(v.Subtasks))}
	worst := 0.0
	for i := range v.Subtasks {
		s := &v.Subtasks[i]
		worst = max(worst, s.Load.Backpressured)
		level := backpressureLevel(s.Load.Backpressured)
		out.Subtasks = append(out.Subtasks, api.SubtaskBackpressure{Subtask: s.Subtask, Attempt: s.Attempt, Level: level, LevelOld: level,
			Ratio: s.Load.Backpressured, IdleRatio: s.Load.Idle, BusyRatio: s.Load.Busy})
	}
	out.Level = backpressureLevel(worst)
	out.LevelOld = out.Level
	return out
}

// backpressureLevel has the bounds of Flink's JobVertexBackPressureHandler.
func backpressureLevel(ratio float64) string {
	switch {
	case ratio <= 0.10:
		return "ok"
	case ratio <= 0.5:
		return "low"
	}
	return "high"
}

// Watermarks is GET /jobs/:jobid/vertices/:vertexid/watermarks: the subtasks that have one.
func Watermarks(v *jobmaster.VertexDetails) []api.Watermark {
	out := []api.Watermark{}
	for i := range v.Subtasks {
		if w := v.Subtasks[i].IO.Watermark; w != operator.NoWatermark {
			out = append(out, api.Watermark{ID: fmt.Sprintf("%d.currentInputWatermark", v.Subtasks[i].Subtask), Value: strconv.FormatInt(w, 10)})
		}
	}
	return out
}

// combined is Flink's state of several subtasks: the first that any of them is in, and FINISHED if all are.
func combined(counts jobmaster.TaskCounts) linkpb.ExecutionState {
	for _, s := range []linkpb.ExecutionState{
		linkpb.ExecutionState_EXECUTION_FAILED, linkpb.ExecutionState_EXECUTION_CANCELING,
		linkpb.ExecutionState_EXECUTION_CANCELED, linkpb.ExecutionState_EXECUTION_INITIALIZING,
		linkpb.ExecutionState_EXECUTION_RUNNING,
	} {
		if counts[s] > 0 {
			return s
		}
	}
	if n := counts[linkpb.ExecutionState_EXECUTION_FINISHED]; n > 0 && n == counts.Total() {
		return linkpb.ExecutionState_EXECUTION_FINISHED
	}
	for _, s := range []linkpb.ExecutionState{linkpb.ExecutionState_EXECUTION_DEPLOYING, linkpb.ExecutionState_EXECUTION_SCHEDULED} {
		if counts[s] > 0 {
			return s
		}
	}
	return linkpb.ExecutionState_EXECUTION_CREATED
}

func aggregate(subtasks []*jobmaster.SubtaskDetails, now int64) api.Aggregated {
	byMetric, byState := map[string][]int64{}, map[string][]int64{}
	for _, s := range subtasks {
		for name, n := range map[string]int64{
			"read-bytes": s.IO.ReadBytes, "write-bytes": s.IO.WriteBytes,
			"read-records": s.IO.ReadRecords, "write-records": s.IO.WriteRecords,
			"accumulated-backpressured-time": s.IO.BackpressuredMS, "accumulated-idle-time": s.IO.IdleMS,
			"accumulated-busy-time": s.IO.BusyMS,
		} {
			byMetric[name] = append(byMetric[name], n)
		}
		for state, ms := range durations(s, now) {
			byState[state] = append(byState[state], ms)
		}
	}
	out := api.Aggregated{Metrics: map[string]map[string]int64{}, StatusDuration: map[string]map[string]int64{}}
	for name, values := range byMetric {
		out.Metrics[name] = statistics(values)
	}
	for name, values := range byState {
		out.StatusDuration[name] = statistics(values)
	}
	return out
}

// statistics of at least one value.
func statistics(values []int64) map[string]int64 {
	slices.Sort(values)
	sum := int64(0)
	for _, v := range values {
		sum += v
	}
	return map[string]int64{"min": values[0], "max": values[len(values)-1], "sum": sum, "avg": sum / int64(len(values)),
		"median": quantile(values, 50), "p25": quantile(values, 25), "p75": quantile(values, 75), "p95": quantile(values, 95)}
}

// quantile interpolates between the values next to the position percent/100 · (n+1), as the library does that Flink uses.
func quantile(sorted []int64, percent int) int64 {
	n := len(sorted)
	position := float64(percent) * float64(n+1) / 100
	i := int(position)
	switch {
	case i < 1:
		return sorted[0]
	case i >= n:
		return sorted[n-1]
	}
	low, high := float64(sorted[i-1]), float64(sorted[i])
	return int64(low + (position-float64(i))*(high-low))
}

func pointers(subtasks []jobmaster.SubtaskDetails) []*jobmaster.SubtaskDetails {
	p := make([]*jobmaster.SubtaskDetails, len(subtasks))
	for i := range subtasks {
		p[i] = &subtasks[i]
	}
	return p
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
