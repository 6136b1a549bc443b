// Package workload holds the benchmark workloads as Weft jobs, written as a user would write them: sources of their own,
// the public stream API, and sinks that discard the results except for a checksum.
//
// Each job's checksum is the counter Checksum of its result, to be compared with the bare loop's of the same name in
// package bare. Jobs maps the names to jobs. The package has no state and starts no goroutine.
package workload

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/weftstream/weft/graph"
	_ "github.com/weftstream/weft/statebackend/pebble" // for the workloads on it
	"github.com/weftstream/weft/stream"
)

// Checksum is the name of the counter that holds a job's checksum, modulo 2^64.
const Checksum = "checksum"

// Params are the params of every workload.
type Params struct {
	// Records is how many records (of wordcount: words) the source subtasks make together.
	Records int64
	// Keys is how many different keys the window workload has.
	Keys uint64 `json:",omitempty"`
	// Parallelism of the whole job; at least 1.
	Parallelism int
}

// Jobs are the workloads by name.
var Jobs = map[string]*stream.Job[Params]{
	"stateless": stateless,
	"topspeed":  topspeed,
	// The window workload again, on the state backend pebble: with room for all keys in memory, and without.
	"pebble10k":   window,
	"pebble1m":    window,
	"pebblespill": window,
	"window":      window,
	"wordcount":   wordcount,
}

// pebbleMemory is the memory of the workloads on the state backend pebble, in bytes.
var pebbleMemory = map[string]int64{"pebble10k": 256 << 20, "pebble1m": 256 << 20, "pebblespill": 32 << 20}

// settings are the configuration that a workload runs with.
func settings(name string) map[string]string {
	memory, ok := pebbleMemory[name]
	if !ok {
		return nil
	}
	return map[string]string{"state.backend.type": "pebble", "state.backend.pebble.memory.fixed-per-host": strconv.FormatInt(memory, 10)}
}

// Build makes the graph of a job in a task host that doesn't go through stream.Main.
func Build(name string, params []byte) (*graph.StreamGraph, error) {
	j := Jobs[name]
	if j == nil {
		return nil, fmt.Errorf("build job %q: there is no such workload", name)
	}
	var p Params
	if err := json.Unmarshal(params, &p); err != nil {
		return nil, fmt.Errorf("build job %q: read its params: %w", name, err)
	}
	return j.Graph(p)
}
