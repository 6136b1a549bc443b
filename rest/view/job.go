package view

import (
	"slices"
	"strconv"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/operator"
	"github.com/weftstream/weft/rest/api"
	"github.com/weftstream/weft/runtime/jobmaster"
)

// noMaxParallelism is what Flink shows for a job without a max parallelism of its own.
const noMaxParallelism = -1

// Overview is a job in GET /jobs/overview; now is in Unix milliseconds.
func Overview(s *jobmaster.JobSummary, now int64) api.JobOverview {
	return api.JobOverview{ID: s.ID.String(), Name: s.Name, StartTime: s.Start, EndTime: s.End, Duration: s.Duration(now),
		State: api.JobStatusName(s.Status), LastModified: s.LastModified, Tasks: api.TaskCounts(s.Tasks[:])}
}

// Details is GET /jobs/:jobid.
func Details(d *jobmaster.JobDetails, now int64) api.JobDetails {
	out := api.JobDetails{ID: d.ID.String(), Name: d.Name, State: api.JobStatusName(d.Status), JobType: jobType(d),
		StartTime: d.Start, EndTime: d.End, Duration: d.Duration(now), MaxParallelism: noMaxParallelism, Now: now,
		Timestamps: api.StatusTimes(d.Timestamps[:]), Vertices: make([]api.JobVertex, 0, len(d.Vertices)),
		Plan: Plan(d), PendingSlots: d.Waiting}
	if d.MaxParallelism > 0 {
		out.MaxParallelism = int64(d.MaxParallelism)
	}
	var states jobmaster.TaskCounts
	for i := range d.Vertices {
		v := &d.Vertices[i]
		states[v.State]++
		out.Vertices = append(out.Vertices, api.JobVertex{ID: v.ID.String(), SlotSharingGroupID: groupID(v.SlotSharingGroup),
			Name: v.Name, MaxParallelism: v.MaxParallelism, Parallelism: v.Parallelism, Status: api.StateName(v.State),
			StartTime: v.Start, EndTime: v.End, Duration: v.Duration(now), Tasks: api.StateCounts(v.Tasks[:]),
			Metrics: metrics(&v.IO)})
	}
	out.StatusCounts = api.StateCounts(states[:])
	return out
}

func jobType(d *jobmaster.JobDetails) string {
	if d.Bounded {
		return api.Batch
	}
	return api.Streaming
}

func metrics(m *jobmaster.IOMetrics) api.IOMetrics {
	return api.IOMetrics{
		ReadBytes: m.ReadBytes, ReadBytesComplete: m.Complete,
		WriteBytes: m.WriteBytes, WriteBytesComplete: m.Complete,
		ReadRecords: m.ReadRecords, ReadRecordsComplete: m.Complete,
		WriteRecords: m.WriteRecords, WriteRecordsComplete: m.Complete,
		Backpressured: m.BackpressuredMS, Idle: m.IdleMS, Busy: float64(m.BusyMS)}
}

// Plan is the graph of d's vertices, in Flink's order: what reads comes before what it reads from.
func Plan(d *jobmaster.JobDetails) api.Plan {
	p := api.Plan{JobID: d.ID.String(), Name: d.Name, Type: jobType(d), Nodes: make([]api.PlanNode, 0, len(d.Vertices))}
	inputs := map[operator.ID][]api.PlanInput{}
	for i := range d.Edges {
		e := &d.Edges[i]
		inputs[e.Target] = append(inputs[e.Target], api.PlanInput{Num: len(inputs[e.Target]), ID: e.Source.String(),
			ShipStrategy: shipStrategy(e.Partitioning), Exchange: "pipelined_bounded"})
	}
	for _, v := range slices.Backward(d.Vertices) {
		p.Nodes = append(p.Nodes, api.PlanNode{ID: v.ID.String(), Parallelism: v.Parallelism, Description: v.Description,
			Inputs: inputs[v.ID]})
	}
	return p
}

func shipStrategy(p graph.Partitioning) string { return p.String() }

// Config is GET /jobs/:jobid/config. Values that look like secrets are masked.
func Config(d *jobmaster.JobDetails) api.JobConfig {
	own := make(map[string]string, len(d.Config))
	for key, value := range d.Config {
		if conf.IsSensitive(key) {
			value = conf.Mask
		}
		own[key] = value
	}
	parallelism := 1
	for i := range d.Vertices {
		parallelism = max(parallelism, d.Vertices[i].Parallelism)
	}
	return api.JobConfig{ID: d.ID.String(), Name: d.Name, ExecutionConfig: api.ExecutionConfig{ExecutionMode: "PIPELINED",
		RestartStrategy: "Restarts deactivated.", Parallelism: parallelism, UserConfig: own}}
}

// Accumulators is GET /jobs/:jobid/accumulators, ordered by name.
func Accumulators(d *jobmaster.JobDetails) api.JobAccumulators {
	return api.JobAccumulators{Job: []api.Empty{}, User: userAccumulators(d.Counters), Serialized: map[string]string{}}
}

func userAccumulators(counters map[string]int64) []api.UserAccumulator {
	user := make([]api.UserAccumulator, 0, len(counters))
	for _, name := range sortedKeys(counters) {
		user = append(user, api.UserAccumulator{Name: name, Type: api.LongCounter, Value: strconv.FormatInt(counters[name], 10)})
	}
	return user
}
