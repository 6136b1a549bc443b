package host

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/operator"
)

// unlimitedStateMemory is the memory of the state backend in a host without a memory budget.
const unlimitedStateMemory = 256 << 20

// stateBackend is what the configuration says about keyed state.
type stateBackend struct {
	name       string
	memory     int64   // 0: the managed share of the host's
	managed    float64 // that share
	cacheRatio float64
}

func stateBackendOf(c conf.Configuration) stateBackend {
	memory, _ := conf.Lookup(c, conf.StateBackendPebbleMemoryFixedPerHost)
	return stateBackend{name: conf.Get(c, conf.StateBackendType), memory: int64(memory),
		managed: conf.Get(c, conf.TaskManagerMemoryManagedFraction), cacheRatio: conf.Get(c, conf.StateBackendPebbleMemoryCacheRatio)}
}

// open makes the store of the backend; nil for hashmap, which needs none.
func (b stateBackend) open(g *graph.StreamGraph, s *linkpb.HostStart) (operator.ClosableStateStore, error) {
	if b.name == "hashmap" {
		return nil, nil
	}
	for _, have := range g.StateBackends {
		if have.Name() != b.name {
			continue
		}
		if s.GetTempDir() == "" {
			return nil, errors.New("open the state backend: the host has no local directory")
		}
		o := operator.StateBackendOptions{Dir: filepath.Join(s.GetTempDir(), "state"), Memory: b.memory, CacheRatio: b.cacheRatio}
		if o.Memory == 0 {
			o.Memory = int64(float64(s.GetMemory()) * b.managed)
		}
		if o.Memory == 0 {
			o.Memory = unlimitedStateMemory
		}
		return have.Open(o)
	}
	return nil, operator.Permanent(fmt.Errorf("%s is %q, which the application doesn't link: call Env.StateBackend in its build function, or set hashmap",
		conf.StateBackendType.Key(), b.name))
}
