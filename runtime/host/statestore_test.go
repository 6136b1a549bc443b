package host_test

import (
	"io"
	"os"
	"strings"
	"testing"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/operator"
	"github.com/weftstream/weft/runtime/host"
	"github.com/weftstream/weft/runtime/network/networktest"
	"github.com/weftstream/weft/runtime/state/pebblestore"
	. "github.com/weftstream/weft/runtime/task/tasktest"
)

// watched is the pebble backend, which notes what it was opened with.
type watched struct {
	pebblestore.Backend
	opened []operator.StateBackendOptions
}

func (w *watched) Open(o operator.StateBackendOptions) (operator.ClosableStateStore, error) {
	w.opened = append(w.opened, o)
	return w.Backend.Open(o)
}

// TestStateBackend: a host opens the backend that the configuration names with the memory that it says, and leaves nothing
// in its directory; a backend that the application doesn't link is an error that tells what to do.
func TestStateBackend(t *testing.T) {
	networktest.NoLeak(t)
	for _, test := range []struct {
		config map[string]string
		linked bool
		memory int64 // it is opened with; 0: it isn't opened
		err    string
	}{
		{map[string]string{}, true, 0, ""},
		{map[string]string{"state.backend.type": "pebble"}, true, 40 << 20, ""},
		{map[string]string{"state.backend.type": "pebble", "state.backend.pebble.memory.fixed-per-host": "64 mb"}, true, 64 << 20, ""},
		{map[string]string{"state.backend.type": "pebble"}, false, 0, "Env.StateBackend"},
		{map[string]string{"state.backend.type": "pebble", "state.backend.pebble.memory.fixed-per-host": "1 mb"}, true, 1 << 20, "needs at least"},
	} {
		job := func() *Job {
			j := &Job{}
			j.Node("source", nil, 0, generate(1))
			return j
		}
		backend, dir := &watched{}, t.TempDir()
		start := &linkpb.HostStart{Graph: job().Graph(t, 1), ResourceId: "a", JobKey: key, Memory: 100 << 20, TempDir: dir, Config: test.config}
		p := host.NewPipe(t.Context())
		for _, m := range []*linkpb.ToHost{{Message: &linkpb.ToHost_Start{Start: start}}, {Message: &linkpb.ToHost_Shutdown{Shutdown: &linkpb.HostShutdown{}}}} {
			if err := p.Tell(m); err != nil && err != io.EOF {
				t.Fatal(err)
			}
		}
		err := host.Run(t.Context(), p, host.Options{Log: quiet, Build: func(string, []byte) (*graph.StreamGraph, error) {
			j := job()
			j.Name = "test"
			if test.linked {
				j.StateBackends = []operator.StateBackend{backend}
			}
			return &j.StreamGraph, nil
		}})
		if (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
			t.Errorf("%v: %v, want %q", test.config, err, test.err)
		}
		if test.memory == 0 && len(backend.opened) != 0 || test.memory != 0 && (len(backend.opened) != 1 || backend.opened[0].Memory != test.memory) {
			t.Errorf("%v: opened with %v, want %d bytes", test.config, backend.opened, test.memory)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
			t.Errorf("%v: %v is left (%v)", test.config, left, err)
		}
	}
}
