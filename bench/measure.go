package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weftstream/weft/bench/workload"
)

// measurement is one execution of a workload, run in a child process.
type measurement struct {
	Name         string
	Bare         bool
	TaskManagers int
	Params       workload.Params
	// Query is one of Nexmark's, run instead of a workload; "": none.
	Query string `json:",omitempty"`
	// Profile is the file that a CPU profile is written to; "": none.
	Profile string
}

// result is what the child says, and what its parent sees of it.
type result struct {
	workload.Outcome
	// RSSMB is the peak resident size of the process in MiB; 0 where the system doesn't tell.
	RSSMB float64
	cpu   time.Duration // user and system, of the whole process
}

// measure executes m in a process of its own.
func measure(ctx context.Context, m measurement) (r result, err error) {
	self, err := os.Executable()
	if err != nil {
		return r, err
	}
	arg, err := json.Marshal(m)
	if err != nil {
		return r, err
	}
	var out, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, self, "-child", string(arg))
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Run(); err != nil {
		return r, fmt.Errorf("measure %s: %w: %s", arg, err, strings.TrimSpace(stderr.String()))
	}
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		return r, fmt.Errorf("measure %s: what the process printed isn't a result: %w", arg, err)
	}
	r.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return r, nil
}

// runChild is the process of one measurement.
func runChild(ctx context.Context, arg string) (err error) {
	var m measurement
	if err := json.Unmarshal([]byte(arg), &m); err != nil {
		return fmt.Errorf("-child %q: %w", arg, err)
	}
	if m.Profile != "" {
		stop, err := startProfile(m.Profile)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, stop()) }()
	}
	var r result
	switch {
	case m.Query != "":
		r.Outcome, err = runQuery(ctx, m)
	case m.Bare:
		r.Outcome, err = workload.Bare(m.Name, m.Params)
	case m.TaskManagers > 1:
		r.Outcome, err = workload.RunSpread(ctx, m.Name, m.Params)
	default:
		r.Outcome, err = workload.Run(ctx, m.Name, m.Params)
	}
	if err != nil {
		return err
	}
	r.RSSMB = peakRSS()
	return json.NewEncoder(os.Stdout).Encode(r)
}

func startProfile(path string) (stop func() error, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		return f.Close()
	}, nil
}

// peakRSS is the peak resident size of this process in MiB.
func peakRSS() float64 { return residentOf("self", "VmHWM:") }

// residentOf reads a field of a process' status; 0 where there is none.
func residentOf(pid, field string) float64 {
	b, err := os.ReadFile("/proc/" + pid + "/status")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(b), field)
	kb, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	n, err := strconv.ParseFloat(kb, 64)
	if err != nil {
		return 0
	}
	return n / 1024
}

func median[T any](of []T, value func(T) float64) float64 {
	v := make([]float64, len(of))
	for i := range of {
		v[i] = value(of[i])
	}
	slices.Sort(v)
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}
