package amrm

import (
	"maps"
	"slices"
)

// defaultRack is the rack of nodes in a cluster without a topology.
const defaultRack = "/default-rack"

// want is a Want that containers are counted off from.
type want struct {
	Want
	// quota is how many containers are asked of each host; empty unless the
	// want is spread. The sum is Count.
	quota map[string]int
	racks map[string]string // of each host in quota
}

func newWant(w Want) *want {
	out := &want{Want: w}
	out.Spread = slices.Clone(w.Spread)
	// With fewer containers than nodes one heartbeat of each node grants all of
	// them to "any", and asks by host would only make YARN wait for those hosts.
	if w.Count <= len(w.Spread) || w.NodeLabel != "" || len(w.Spread) == 0 {
		return out
	}
	out.quota, out.racks = make(map[string]int), make(map[string]string)
	for i := range w.Count {
		n := w.Spread[i%len(w.Spread)]
		out.quota[n.Host]++
		if out.racks[n.Host] = n.Rack; n.Rack == "" {
			out.racks[n.Host] = defaultRack
		}
	}
	return out
}

// equal reports whether w asks for just what is still open.
func (w *want) equal(o Want) bool {
	return w.Count == o.Count && w.Capability.Equal(o.Capability) &&
		w.NodeLabel == o.NodeLabel && slices.Equal(w.Spread, o.Spread)
}

// granted counts off one container on host. The counts of host, rack and any
// are cut together: if the container came from elsewhere, the host with the
// most still to give is asked for one less.
func (w *want) granted(host string) {
	w.Count--
	if w.quota == nil {
		return
	}
	if w.quota[host] == 0 {
		host = ""
		for _, h := range slices.Sorted(maps.Keys(w.quota)) {
			if w.quota[h] > w.quota[host] {
				host = h
			}
		}
	}
	if w.quota[host]--; w.quota[host] <= 0 {
		delete(w.quota, host)
	}
}

// asks are the resource requests for what is still open.
func (w *want) asks() []Ask {
	ask := func(name string, count int) Ask {
		return Ask{
			Priority: w.Priority, ResourceName: name, Capability: w.Capability,
			Count: count, NodeLabel: w.NodeLabel,
		}
	}
	perRack := make(map[string]int)
	var out []Ask
	for host, n := range w.quota {
		out = append(out, ask(host, n))
		perRack[w.racks[host]] += n
	}
	for rack, n := range perRack {
		out = append(out, ask(rack, n))
	}
	return append(out, ask(AnyHost, w.Count))
}
