// Command bench measures Weft against what the machine needs at least, in one run on one machine: workloads against bare
// loops, submission on a real YARN against a bare ApplicationMaster.
//
//	go run ./bench                                   everything
//	go run ./bench -only wordcount,window            some
//	go run ./bench -only window -profile /tmp/cpu    one measurement, with a CPU profile
//
// Rows are printed, and appended as JSON to bench/out/results.jsonl. Nothing asserts a time; the exit code is 1 when
// something could not be measured or a checksum is wrong.
//
// Each measurement of a workload is a process of its own, which this program starts from its own executable, so that CPU
// time and peak memory are those of the whole process. Engine and bare loop take turns.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
)

type options struct {
	only        []string
	runs        int
	latencyRuns int
	scale       float64
	out         string
	profile     string
	child       string
}

func main() {
	var o options
	var only string
	flag.StringVar(&only, "only", "", "names of benchmarks, comma separated: "+strings.Join(names(), ", ")+" (default: all)")
	flag.IntVar(&o.runs, "runs", 9, "runs of each measurement; the median counts")
	flag.IntVar(&o.latencyRuns, "latency-runs", 9, "runs of each measurement on YARN")
	flag.Float64Var(&o.scale, "scale", 1, "multiplies the number of records")
	flag.StringVar(&o.out, "out", "bench/out/results.jsonl", "file that rows are appended to")
	flag.StringVar(&o.profile, "profile", "", "directory for CPU profiles of the engine")
	flag.StringVar(&o.child, "child", "", "run one measurement given as JSON and print its outcome; used by this program itself")
	flag.Parse()
	if only != "" {
		o.only = strings.Split(only, ",")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1)
	}
}

// names lists everything that -only knows.
func names() []string {
	all := make([]string, 0, len(workloads))
	for _, w := range workloads {
		if !slices.Contains(all, w.name) {
			all = append(all, w.name)
		}
	}
	return append(append(all, "nexmark"), yarnBenchmarks...)
}

func run(ctx context.Context, o options) error {
	if o.child != "" {
		return runChild(ctx, o.child)
	}
	if o.runs < 1 || o.latencyRuns < 1 || o.scale <= 0 {
		return fmt.Errorf("-runs %d -latency-runs %d -scale %v: all must be positive", o.runs, o.latencyRuns, o.scale)
	}
	for _, n := range o.only {
		if !slices.Contains(names(), n) {
			return fmt.Errorf("-only %s: there is no such benchmark; there are %s", n, strings.Join(names(), ", "))
		}
	}
	t := newTable(os.Stdout, o.out)
	return errors.Join(runWorkloads(ctx, o, t), runNexmark(ctx, o, t), runYARN(ctx, o, t), t.close())
}

// wanted says whether a benchmark was asked for.
func (o options) wanted(name string) bool { return len(o.only) == 0 || slices.Contains(o.only, name) }
