package host

import (
	"errors"
	"path/filepath"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/operator"
	"github.com/weftstream/weft/runtime/state"
)

// unlimitedStateMemory is the memory of the state backend in a host without a memory budget.
const unlimitedStateMemory = 256 << 20

// stateDir is where the state backend keeps its files, below the host's directory. The TaskManager removes that when the
// host has ended, whichever way.
const stateDir = "state"

// stateBackend is what the configuration says about keyed state.
type stateBackend struct {
	name       string
	memory     int64   // 0: the managed share of the host's
	managed    float64 // that share
	cacheRatio float64
}

func stateBackendOf(c conf.Configuration) stateBackend {
	memory, _ := conf.Lookup(c, conf.StateBackendPebbleMemoryFixedPerHost)
	managed := conf.Get(c, conf.TaskManagerMemoryManagedFraction)
	if _, isSet := conf.Lookup(c, conf.TaskManagerMemoryManagedSize); isSet {
		if b, err := conf.TaskManagerMemory(c); err == nil { // an error was the TaskManager's
			managed = float64(b.Slot.Managed) / float64(b.Slot.Total)
		}
	}
	return stateBackend{name: conf.Get(c, conf.StateBackendType), memory: int64(memory), managed: managed,
		cacheRatio: conf.Get(c, conf.StateBackendPebbleMemoryCacheRatio)}
}

// open makes the store of the backend; nil for hashmap, which needs none.
func (b stateBackend) open(s *linkpb.HostStart) (operator.ClosableStateStore, error) {
	backend, err := state.BackendOf(conf.StateBackendType.Key(), b.name)
	if backend == nil || err != nil {
		return nil, err
	}
	if s.GetTempDir() == "" {
		return nil, errors.New("open the state backend: the host has no local directory")
	}
	o := operator.StateBackendOptions{Dir: filepath.Join(s.GetTempDir(), stateDir), Memory: b.memory, CacheRatio: b.cacheRatio}
	switch {
	case o.Memory != 0:
	case s.GetMemory() == 0:
		o.Memory = unlimitedStateMemory
	default:
		o.Memory = int64(float64(s.GetMemory()) * b.managed)
	}
	return backend.Open(o)
}
