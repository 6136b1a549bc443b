package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// The names of the fields are a contract with whoever reads the file of results.
func TestRowFields(t *testing.T) {
	second := []time.Duration{time.Second, 3 * time.Second, 2 * time.Second}
	cases := []struct {
		row  row
		want []string
	}{
		{&workloadRow{}, []string{"name", "case", "parallelism", "processes", "records", "wall_s", "records_per_s", "cpu_s_per_million",
			"bare_cpu_s_per_million", "ratio", "rss_mb", "checksum", "oracle_ok"}},
		{newLatencyRow("submit", "", second, second), []string{"name", "case", "median_ms", "min_ms", "max_ms", "runs", "floor_median_ms", "ratio"}},
	}
	for _, c := range cases {
		path := filepath.Join(t.TempDir(), "out", "results.jsonl")
		var printed bytes.Buffer
		for range 2 { // a second run appends
			table := newTable(&printed, path)
			if err := table.add(c.row); err != nil {
				t.Fatal(err)
			}
			if err := table.close(); err != nil {
				t.Fatal(err)
			}
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(string(b)), "\n")
		if len(lines) != 2 {
			t.Fatalf("%d lines in the file, want 2", len(lines))
		}
		var fields map[string]any
		if err := json.Unmarshal([]byte(lines[1]), &fields); err != nil {
			t.Fatal(err)
		}
		for _, name := range c.want {
			if _, ok := fields[name]; !ok {
				t.Errorf("%T has no field %s: %s", c.row, name, lines[1])
			}
		}
	}
}

func TestLatencyRow(t *testing.T) {
	took := []time.Duration{40 * time.Millisecond, 10 * time.Millisecond, 30 * time.Millisecond}
	floor := []time.Duration{5 * time.Millisecond, 15 * time.Millisecond}
	want := latencyRow{Name: "x", Case: "y", MedianMS: 30, MinMS: 10, MaxMS: 40, Runs: 3, FloorMedianMS: 10, Ratio: 3}
	if got := *newLatencyRow("x", "y", took, floor); got != want {
		t.Errorf("row %+v, want %+v", got, want)
	}
}

func TestNames(t *testing.T) {
	for _, want := range []string{"wordcount", "window", "stateless", "topspeed", "submit", "submit-async", "ramp", "session-submit", "many-jobs", "memory"} {
		if !slices.Contains(names(), want) {
			t.Errorf("-only does not know %s", want)
		}
	}
	if err := run(t.Context(), options{only: []string{"nothing"}, runs: 1, latencyRuns: 1, scale: 1}); err == nil {
		t.Error("-only with an unknown name gave no error")
	}
}

// A marker may be seen before its content is there; what counts is the latest time of all.
func TestMarkers(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("0", "2000\n")
	write("1", "")
	got := make(chan time.Time, 1)
	go func() {
		last, err := markers(t.Context(), dir, 2)
		if err != nil {
			t.Error(err)
		}
		got <- last
	}()
	write("1", "1000")
	if last := <-got; last.UnixNano() != 2000 {
		t.Errorf("the last time is %d, want 2000", last.UnixNano())
	}
}
