package yarn

import (
	"strings"
	"testing"

	"github.com/weftstream/weft/hadoop/records"
	"github.com/weftstream/weft/yarn/webservice"
)

func TestShortage(t *testing.T) {
	size := records.Resource{MemoryMB: 512, VCores: 1}
	node := func(free int64, state string) webservice.Node {
		return webservice.Node{Host: "n", State: state, AvailMemoryMB: free, UsedMemoryMB: 4096 - free, AvailableVirtualCores: 2}
	}
	roomy := []webservice.Node{node(1024, "RUNNING"), node(4096, "LOST")}
	for _, c := range []struct {
		name   string
		queue  *webservice.Queue
		nodes  []webservice.Node
		n      int
		master bool
		want   string // "" for none
	}{
		{"room", nil, roomy, 2, false, ""},
		{"some room", nil, roomy, 3, false, "room for 2 of 3"},
		{"full", nil, []webservice.Node{node(100, "RUNNING"), node(200, "RUNNING")}, 1, false, "has 200 MiB"},
		{"no node", nil, []webservice.Node{node(4096, "UNHEALTHY")}, 1, false, "no NodeManager is running"},
		{"stopped", &webservice.Queue{Path: "root.q", State: "STOPPED"}, roomy, 1, false, "root.q is STOPPED"},
		{"masters", &webservice.Queue{Path: "root.q", NumActive: 2, AMLimit: records.Resource{MemoryMB: 1024},
			AMUsed: records.Resource{MemoryMB: 768}}, roomy, 1, true, "maximum-am-resource-percent"},
		{"first master", &webservice.Queue{Path: "root.q", AMLimit: records.Resource{MemoryMB: 100}}, roomy, 1, true, ""},
		{"not a master", &webservice.Queue{Path: "root.q", NumActive: 2, AMLimit: records.Resource{MemoryMB: 1024},
			AMUsed: records.Resource{MemoryMB: 768}}, roomy, 1, false, ""},
		{"queue full", &webservice.Queue{Path: "root.q", AbsoluteMaxCapacity: 50, AbsoluteUsedCapacity: 49.5}, roomy, 1, false, "root.q is full"},
	} {
		got := shortage(c.queue, c.nodes, c.n, size, c.master)
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
