package records

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Resource is what a container is given or a node has.
type Resource struct {
	// MemoryMB is in MiB. YARN rounds requests up to a multiple of its minimum
	// allocation.
	MemoryMB int64
	VCores   int32
	// Extra holds further resource types by their YARN name, such as
	// yarn.io/gpu, in the unit that the cluster declares for them.
	Extra map[string]int64
}

// String is canonical: equal resources have equal strings.
func (r Resource) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "<memory:%d, vCores:%d", r.MemoryMB, r.VCores)
	for _, name := range slices.Sorted(maps.Keys(r.Extra)) {
		if r.Extra[name] != 0 {
			fmt.Fprintf(&b, ", %s:%d", name, r.Extra[name])
		}
	}
	b.WriteByte('>')
	return b.String()
}

// Equal reports whether both are the same amounts.
func (r Resource) Equal(o Resource) bool { return r.FitsIn(o) && o.FitsIn(r) }

// FitsIn reports whether no amount of r is larger than in o.
func (r Resource) FitsIn(o Resource) bool {
	if r.MemoryMB > o.MemoryMB || r.VCores > o.VCores {
		return false
	}
	for name, v := range r.Extra {
		if v > o.Extra[name] {
			return false
		}
	}
	return true
}

// Add returns the sum of both.
func (r Resource) Add(o Resource) Resource { return r.combine(o, 1) }

// Sub returns r less o; amounts may become negative.
func (r Resource) Sub(o Resource) Resource { return r.combine(o, -1) }

func (r Resource) combine(o Resource, sign int64) Resource {
	out := Resource{
		MemoryMB: r.MemoryMB + sign*o.MemoryMB,
		VCores:   r.VCores + int32(sign)*o.VCores,
		Extra:    maps.Clone(r.Extra),
	}
	for name, v := range o.Extra {
		if out.Extra == nil {
			out.Extra = make(map[string]int64)
		}
		out.Extra[name] += sign * v
	}
	return out
}
