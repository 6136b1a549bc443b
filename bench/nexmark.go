package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/weftstream/weft/bench/nexmark"
	"github.com/weftstream/weft/bench/workload"
	"github.com/weftstream/weft/stream"
)

const (
	// nexmarkEvents are read by a query, at this many per second of event time from each generator.
	nexmarkEvents = 5_000_000
	nexmarkRate   = 100_000
	nexmarkCount  = 23
)

// runNexmark measures Nexmark's queries at parallelism 2. There is no bare loop beside them.
func runNexmark(ctx context.Context, o options, t *table) error {
	if !o.wanted("nexmark") {
		return nil
	}
	var errs []error
	for i := range nexmarkCount {
		m := measurement{Name: "nexmark", TaskManagers: 1, Query: fmt.Sprintf("q%d", i),
			Params: workload.Params{Records: int64(nexmarkEvents * o.scale), Parallelism: 2}}
		if o.profile != "" {
			m.Profile = filepath.Join(o.profile, "nexmark-"+m.Query+".pprof")
		}
		var results []result
		for range o.runs {
			r, err := measure(ctx, m)
			if err != nil {
				errs = append(errs, fmt.Errorf("nexmark %s: %w", m.Query, err))
				break
			}
			results = append(results, r)
		}
		if len(results) < o.runs {
			continue
		}
		row := &workloadRow{Name: m.Name, Case: m.Query, Layout: "2 slots", Parallelism: 2, Processes: 1, Records: m.Params.Records, Note: "none",
			WallS: median(results, func(r result) float64 { return r.Wall.Seconds() }),
			CPU:   median(results, func(r result) float64 { return r.cpu.Seconds() }) / float64(m.Params.Records) * 1e6,
			RSSMB: median(results, func(r result) float64 { return r.RSSMB })}
		row.Rate = float64(row.Records) / row.WallS
		errs = append(errs, t.add(row))
	}
	return errors.Join(errs...)
}

// runQuery runs one query in this process.
func runQuery(ctx context.Context, m measurement) (o workload.Outcome, err error) {
	p := nexmark.Params{Query: m.Query, Events: m.Params.Records, Rate: nexmarkRate, Parallelism: m.Params.Parallelism}
	if m.Query == "q10" { // which writes files
		if p.Dir, err = os.MkdirTemp("", "weft-nexmark-"); err != nil {
			return o, err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(p.Dir)) }()
	}
	d := stream.NewLocalDriver(stream.LocalOptions{})
	defer func() { err = errors.Join(err, d.Close()) }()
	r, err := nexmark.Job.Run(ctx, d, p)
	if err != nil {
		return o, err
	}
	return workload.Outcome{Wall: r.Runtime}, nil
}
