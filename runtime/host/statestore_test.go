package host_test

import (
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/internal/testkit"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/operator"
	"github.com/weftstream/weft/runtime/host"
	"github.com/weftstream/weft/runtime/state"
	. "github.com/weftstream/weft/runtime/task/tasktest"
)

// watched is a state backend that keeps one file, and notes what it was opened with.
type watched struct {
	opened []operator.StateBackendOptions
	closed int
}

func (*watched) Name() string { return "watched" }

func (w *watched) Open(o operator.StateBackendOptions) (operator.ClosableStateStore, error) {
	w.opened = append(w.opened, o)
	if o.Memory < 4<<20 {
		return nil, errors.New("needs at least 4 mb")
	}
	return &watchedStore{dir: o.Dir, closed: &w.closed}, os.Mkdir(o.Dir, 0o700)
}

type watchedStore struct {
	operator.StateStore
	dir    string
	closed *int
}

func (s *watchedStore) Close() error {
	*s.closed++
	return os.Remove(s.dir)
}

// TestStateBackend: a host opens the backend that the configuration names with the memory that it says, and leaves nothing
// in its directory; a backend that the application doesn't link is an error that says what to import.
func TestStateBackend(t *testing.T) {
	testkit.NoLeak(t)
	backend := &watched{}
	state.Register(backend)
	for _, test := range []struct {
		config map[string]string
		memory int64 // it is opened with; 0: it isn't opened
		err    string
	}{
		{map[string]string{}, 0, ""},
		{map[string]string{"state.backend.type": "watched"}, 40 << 20, ""},
		{map[string]string{"state.backend.type": "watched", "state.backend.pebble.memory.fixed-per-host": "64 mb"}, 64 << 20, ""},
		{map[string]string{"state.backend.type": "watched", "taskmanager.memory.process.size": "164 mb", "taskmanager.memory.framework.heap.size": "64 mb",
			"taskmanager.memory.managed.size": "25 mb"}, 25 << 20, ""},
		{map[string]string{"state.backend.type": "pebble"}, 0, `import _ "github.com/weftstream/weft/statebackend/pebble"`},
		{map[string]string{"state.backend.type": "rocksdb"}, 0, "there are hashmap, pebble, watched"},
		{map[string]string{"state.backend.type": "watched", "state.backend.pebble.memory.fixed-per-host": "1 mb"}, 1 << 20, "needs at least"},
	} {
		job := func() *Job {
			j := &Job{}
			j.Node("source", nil, 0, generate(1))
			return j
		}
		dir := t.TempDir()
		*backend = watched{}
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
			return &j.StreamGraph, nil
		}})
		if (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
			t.Errorf("%v: %v, want %q", test.config, err, test.err)
		}
		if test.memory == 0 && len(backend.opened) != 0 || test.memory != 0 && (len(backend.opened) != 1 || backend.opened[0].Memory != test.memory) {
			t.Errorf("%v: opened with %v, want %d bytes", test.config, backend.opened, test.memory)
		}
		if test.err == "" && backend.closed != len(backend.opened) {
			t.Errorf("%v: opened %d times, closed %d times", test.config, len(backend.opened), backend.closed)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
			t.Errorf("%v: %v is left (%v)", test.config, left, err)
		}
	}
}
