package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/weftstream/weft/stream"
	"github.com/weftstream/weft/streamtest"
)

// oracle follows Flink's GlobalWindows with TimeEvictor, DeltaTrigger and maxBy, keeping every record.
func oracle(t *testing.T, events int64) []string {
	next := newCars(streamtest.NewRuntime(t, 0, 1))
	var all, last [cars][]Car
	var out []string
	for i := range events {
		c := next(i)
		id := c.ID
		all[id] = append(all[id], c)
		if len(last[id]) == 0 {
			last[id] = []Car{c}
			continue
		}
		if c.Distance-last[id][0].Distance <= distance {
			continue
		}
		last[id][0] = c
		var high stream.Time
		for _, x := range all[id] {
			high = max(high, x.At)
		}
		var top *Car
		for _, x := range all[id] {
			if x.At > high.Add(-keep) && (top == nil || x.Speed > top.Speed) {
				top = &x
			}
		}
		out = append(out, top.String())
	}
	slices.Sort(out)
	return out
}

func TestTopSpeedAgainstOracle(t *testing.T) {
	const events = 4000
	for _, p := range []int{1, 2} {
		out := filepath.Join(t.TempDir(), "out")
		if _, err := streamtest.RunJob(t, topSpeed, Params{Events: events, Output: out}, streamtest.Parallelism(p)); err != nil {
			t.Fatal(err)
		}
		parts, err := filepath.Glob(out + "/part-*")
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range parts {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")...)
		}
		slices.Sort(got)
		want := oracle(t, events)
		if !slices.Equal(got, want) || len(want) < 50 {
			t.Fatalf("parallelism %d: got %d lines, want %d\n%q\n%q", p, len(got), len(want), got, want)
		}
	}
}

func TestRebuild(t *testing.T) {
	streamtest.Rebuild(t, topSpeed, Params{Events: 10})
}
