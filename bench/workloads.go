package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/weftstream/weft/bench/workload"
)

// workloads are measured in this order. The numbers of records make a run take one to three seconds.
var workloads = []struct {
	name    string
	records int64
	keys    uint64
}{
	{"stateless", 120_000_000, 0},
	{"wordcount", 40_000_000, 0},
	{"window", 60_000_000, 10_000},
	{"window", 16_000_000, 1_000_000},
	{"topspeed", 2_000_000, 0},
	// Fewer, for the sake of the bare loop.
	{"pebble10k", 2_000_000, 10_000},
	{"pebble1m", 1_500_000, 1_000_000},
	{"pebblespill", 1_500_000, 1_000_000},
}

// layout says where the subtasks of a workload run.
type layout struct {
	name         string
	parallelism  int
	taskManagers int
}

var layouts = []layout{
	{"1 slot", 1, 1},
	{"2 slots", 2, 1},
	{"2 TaskManagers", 2, 2},
}

func runWorkloads(ctx context.Context, o options, t *table) error {
	var errs []error
	for _, w := range workloads {
		if !o.wanted(w.name) {
			continue
		}
		for _, l := range layouts {
			m := measurement{Name: w.name, TaskManagers: l.taskManagers, Params: workload.Params{
				Records: int64(float64(w.records) * o.scale), Keys: w.keys, Parallelism: l.parallelism}}
			if o.profile != "" {
				m.Profile = filepath.Join(o.profile, fmt.Sprintf("%s-%d-%d-%d.pprof", w.name, w.keys, l.parallelism, l.taskManagers))
			}
			row, err := compare(ctx, m, o.runs)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s with %s: %w", w.name, l.name, err))
				continue
			}
			row.Layout = l.name
			if err := t.add(row); err != nil {
				errs = append(errs, err)
			}
			if !row.OracleOK {
				errs = append(errs, fmt.Errorf("%s with %s: checksum %s is not the bare loop's", w.name, l.name, row.Checksum))
			}
		}
	}
	return errors.Join(errs...)
}

// compare measures engine and bare loop in turn and makes the row of their medians.
func compare(ctx context.Context, m measurement, runs int) (*workloadRow, error) {
	bareOf := m
	bareOf.Bare, bareOf.Profile = true, ""
	var engine, bare []result
	for range runs {
		e, err := measure(ctx, m)
		if err != nil {
			return nil, err
		}
		b, err := measure(ctx, bareOf)
		if err != nil {
			return nil, err
		}
		engine, bare = append(engine, e), append(bare, b)
	}
	million := float64(m.Params.Records) / 1e6
	row := &workloadRow{Name: m.Name, Case: fmt.Sprintf("keys=%d", m.Params.Keys), Parallelism: m.Params.Parallelism,
		Processes: m.TaskManagers, Records: m.Params.Records,
		WallS:   median(engine, func(r result) float64 { return r.Wall.Seconds() }),
		CPU:     median(engine, func(r result) float64 { return r.cpu.Seconds() }) / million,
		BareCPU: median(bare, func(r result) float64 { return r.cpu.Seconds() }) / million,
		RSSMB:   median(engine, func(r result) float64 { return r.RSSMB }),
	}
	if m.Params.Keys == 0 {
		row.Case = ""
	}
	row.Rate = float64(m.Params.Records) / row.WallS
	row.Ratio = row.CPU / row.BareCPU
	row.Checksum, row.OracleOK = fmt.Sprintf("%016x", engine[0].Checksum), true
	if !workload.Comparable(m.Name, m.Params.Parallelism) {
		row.Note = "the checksum depends on how the subtasks' records interleave"
		return row, nil
	}
	for i := range engine {
		row.OracleOK = row.OracleOK && engine[i].Checksum == bare[i].Checksum
	}
	return row, nil
}
