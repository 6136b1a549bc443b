package pebble

import (
	"github.com/weftstream/weft/operator"
	"github.com/weftstream/weft/runtime/state"
)

func init() { state.Register(backend{}) }

// backend implements operator.StateBackend.
type backend struct{}

func (backend) Name() string { return "pebble" }

func (backend) Open(o operator.StateBackendOptions) (operator.ClosableStateStore, error) {
	s, err := Open(Config{Dir: o.Dir, Memory: o.Memory, CacheRatio: o.CacheRatio})
	if err != nil {
		return nil, err
	}
	return s, nil
}
