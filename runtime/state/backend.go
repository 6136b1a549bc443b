package state

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/weftstream/weft/operator"
)

// Hashmap is the state backend that every application has: all keyed state is in memory.
const Hashmap = "hashmap"

// importPaths are the packages of Weft's state backends, for those who don't link one.
var importPaths = map[string]string{"pebble": "github.com/weftstream/weft/statebackend/pebble"}

// linked are the backends whose packages are part of this program, by name.
var linked struct {
	sync.Mutex
	backends map[string]operator.StateBackend
}

// Register makes a backend known under its name; it is for the init functions of packages below statebackend. The last one
// of a name counts. Safe for concurrent use.
func Register(b operator.StateBackend) {
	linked.Lock()
	defer linked.Unlock()
	if linked.backends == nil {
		linked.backends = map[string]operator.StateBackend{}
	}
	linked.backends[b.Name()] = b
}

// BackendOf finds the backend that option, which is named in errors, calls name. It is nil for Hashmap. The error for a
// backend that the program doesn't link says what to import.
func BackendOf(option, name string) (operator.StateBackend, error) {
	if name == Hashmap {
		return nil, nil
	}
	linked.Lock()
	defer linked.Unlock()
	if b := linked.backends[name]; b != nil {
		return b, nil
	}
	if path := importPaths[name]; path != "" {
		return nil, operator.Permanent(fmt.Errorf("%s is %s, but the application doesn't link that state backend: add the line `import _ %q` to its main package, or set %s to %s",
			option, name, path, option, Hashmap))
	}
	known := slices.Concat([]string{Hashmap}, slices.Collect(maps.Keys(importPaths)), slices.Collect(maps.Keys(linked.backends)))
	slices.Sort(known)
	return nil, operator.Permanent(fmt.Errorf("%s is %q: there are %s", option, name, strings.Join(slices.Compact(known), ", ")))
}
