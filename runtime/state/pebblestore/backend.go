package pebblestore

import "github.com/weftstream/weft/operator"

// Backend is the state backend "pebble". A job's build function hands it to stream.Env.StateBackend, so that only the
// applications that want it link it; state.backend.type: pebble switches it on.
type Backend struct{}

// Name implements operator.StateBackend.
func (Backend) Name() string { return "pebble" }

// Open implements operator.StateBackend.
func (Backend) Open(o operator.StateBackendOptions) (operator.ClosableStateStore, error) {
	s, err := Open(Config{Dir: o.Dir, Memory: o.Memory, CacheRatio: o.CacheRatio})
	if err != nil {
		return nil, err
	}
	return s, nil
}
