package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// workloadRow is the medians of a workload. The names of the fields are read by others.
type workloadRow struct {
	Name        string  `json:"name"`
	Case        string  `json:"case"`
	Parallelism int     `json:"parallelism"`
	Processes   int     `json:"processes"` // TaskManagers
	Layout      string  `json:"layout"`
	Records     int64   `json:"records"`
	WallS       float64 `json:"wall_s"`
	Rate        float64 `json:"records_per_s"`
	CPU         float64 `json:"cpu_s_per_million"`
	BareCPU     float64 `json:"bare_cpu_s_per_million"`
	Ratio       float64 `json:"ratio"`
	RSSMB       float64 `json:"rss_mb"`
	Checksum    string  `json:"checksum"`
	OracleOK    bool    `json:"oracle_ok"`
	Note        string  `json:"note,omitempty"`
}

func (r *workloadRow) header() string {
	return fmt.Sprintf("%-10s %-13s %-15s %11s %7s %10s %9s %9s %6s %7s  %-16s %s", "workload", "case", "layout", "records", "wall s",
		"records/s", "CPU s/M", "bare s/M", "ratio", "RSS MB", "checksum", "oracle")
}

func (r *workloadRow) text() string {
	oracle := map[bool]string{true: "ok", false: "WRONG"}[r.OracleOK]
	if r.Note != "" {
		oracle = "-"
	}
	return fmt.Sprintf("%-10s %-13s %-15s %11d %7.2f %10.0f %9.4f %9.4f %6.2f %7.0f  %-16s %s", r.Name, r.Case, r.Layout, r.Records,
		r.WallS, r.Rate, r.CPU, r.BareCPU, r.Ratio, r.RSSMB, r.Checksum, oracle)
}

// latencyRow is how long something took.
type latencyRow struct {
	Name          string  `json:"name"`
	Case          string  `json:"case"`
	MedianMS      float64 `json:"median_ms"`
	MinMS         float64 `json:"min_ms"`
	MaxMS         float64 `json:"max_ms"`
	Runs          int     `json:"runs"`
	FloorMedianMS float64 `json:"floor_median_ms,omitempty"`
	Ratio         float64 `json:"ratio,omitempty"`
}

// newLatencyRow makes a row of what was measured; floor may be nil.
func newLatencyRow(name, of string, took, floor []time.Duration) *latencyRow {
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	r := &latencyRow{Name: name, Case: of, MedianMS: median(took, ms), MinMS: ms(slices.Min(took)), MaxMS: ms(slices.Max(took)), Runs: len(took)}
	if floor != nil {
		r.FloorMedianMS = median(floor, ms)
		r.Ratio = r.MedianMS / r.FloorMedianMS
	}
	return r
}

func (r *latencyRow) header() string {
	return fmt.Sprintf("%-15s %-18s %9s %8s %8s %5s %9s %6s", "latency", "case", "median ms", "min ms", "max ms", "runs", "floor ms", "ratio")
}

func (r *latencyRow) text() string {
	floor := fmt.Sprintf("%9s %6s", "-", "-")
	if r.Ratio != 0 {
		floor = fmt.Sprintf("%9.0f %6.2f", r.FloorMedianMS, r.Ratio)
	}
	return fmt.Sprintf("%-15s %-18s %9.0f %8.0f %8.0f %5d %s", r.Name, r.Case, r.MedianMS, r.MinMS, r.MaxMS, r.Runs, floor)
}

// valueRow is any other number.
type valueRow struct {
	Name  string  `json:"name"`
	Case  string  `json:"case"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
}

func (r *valueRow) header() string { return fmt.Sprintf("%-18s %-26s %10s", "figure", "case", "value") }

func (r *valueRow) text() string {
	return fmt.Sprintf("%-18s %-26s %10.1f %s", r.Name, r.Case, r.Value, r.Unit)
}

// row is one line of the table.
type row interface {
	header() string
	text() string
}

// table prints rows and appends them to a file.
type table struct {
	w    io.Writer
	path string
	last string
	file *os.File
}

func newTable(w io.Writer, path string) *table { return &table{w: w, path: path} }

// addResult is add for a function that makes a row or fails.
func (t *table) addResult(r *latencyRow, err error) error {
	if err != nil {
		return err
	}
	return t.add(r)
}

func (t *table) add(r row) error {
	if h := r.header(); h != t.last {
		t.last = h
		fmt.Fprintf(t.w, "%s\n", h)
	}
	fmt.Fprintf(t.w, "%s\n", r.text())
	if t.file == nil {
		if err := os.MkdirAll(filepath.Dir(t.path), 0o755); err != nil {
			return err
		}
		f, err := os.OpenFile(t.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			return err
		}
		t.file = f
	}
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if _, err := t.file.Write(append(b, '\n')); err != nil {
		return fmt.Errorf("append to %s: %w", t.path, err)
	}
	return nil
}

func (t *table) close() error {
	if t.file == nil {
		return nil
	}
	return errors.Join(t.file.Close())
}
