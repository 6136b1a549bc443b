package host_test

import (
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/internal/testkit"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/runtime/host"
	. "github.com/weftstream/weft/runtime/task/tasktest"
)

// TestLimitsReachTheGoRuntime: what HostStart says, and HostLimits later, is what the Go runtime keeps to; but not in a
// process that others share.
func TestLimitsReachTheGoRuntime(t *testing.T) {
	testkit.NoLeak(t)
	processors, memory := runtime.GOMAXPROCS(0), debug.SetMemoryLimit(-1)
	defer func() {
		runtime.GOMAXPROCS(processors)
		debug.SetMemoryLimit(memory)
	}()
	job := func() *Job {
		j := &Job{}
		j.Node("source", nil, 0, generate(1))
		return j
	}
	start := &linkpb.HostStart{Graph: job().Graph(t, 1), ResourceId: "a", JobKey: key, Memory: 3 << 30, Processors: 3}
	limits := &linkpb.HostLimits{Memory: 6 << 30, Processors: 6}
	for _, test := range []struct {
		process    bool
		limits     *linkpb.HostLimits
		processors int
		memory     int64
	}{
		{false, limits, processors, memory},
		{true, nil, 3, 3 << 30},
		{true, limits, 6, 6 << 30},
	} {
		p := host.NewPipe(t.Context())
		messages := []*linkpb.ToHost{{Message: &linkpb.ToHost_Start{Start: start}}}
		if test.limits != nil {
			messages = append(messages, &linkpb.ToHost{Message: &linkpb.ToHost_Limits{Limits: test.limits}})
		}
		for _, m := range append(messages, &linkpb.ToHost{Message: &linkpb.ToHost_Shutdown{Shutdown: &linkpb.HostShutdown{}}}) {
			if err := p.Tell(m); err != nil {
				t.Fatal(err)
			}
		}
		err := host.Run(t.Context(), p, host.Options{Log: quiet, Process: test.process, Build: func(string, []byte) (*graph.StreamGraph, error) {
			j := job()
			j.Name = "test"
			return &j.StreamGraph, nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		if n, m := runtime.GOMAXPROCS(0), debug.SetMemoryLimit(-1); n != test.processors || m != test.memory {
			t.Errorf("process %v, limits %v: GOMAXPROCS %d, GOMEMLIMIT %d, want %d and %d", test.process, test.limits, n, m, test.processors, test.memory)
		}
	}
}
