package yarn

import (
	"fmt"
	"strings"

	"github.com/weftstream/weft/hadoop/records"
	"github.com/weftstream/weft/yarn/webservice"
)

// shortage says what keeps YARN from granting n containers of a size in a queue, as far as the numbers show it; "" if
// they don't. master says that it is about an application master's container. queue may be nil.
func shortage(queue *webservice.Queue, nodes []webservice.Node, n int, size records.Resource, master bool) string {
	var reasons []string
	if queue != nil {
		reasons = append(reasons, queueShortage(queue, size, master)...)
	}
	return strings.Join(append(reasons, nodeShortage(nodes, n, size)...), "; ")
}

func queueShortage(q *webservice.Queue, size records.Resource, master bool) []string {
	var out []string
	if q.State != "" && q.State != "RUNNING" {
		out = append(out, fmt.Sprintf("queue %s is %s", q.Path, q.State))
	}
	if limit := q.AMLimit; master && limit.MemoryMB > 0 && q.AMUsed.Add(size).MemoryMB > limit.MemoryMB && q.NumActive > 0 {
		out = append(out, fmt.Sprintf("queue %s lets application masters use %s and %d of them use %s, this one needs %s "+
			"(yarn.scheduler.capacity.maximum-am-resource-percent)", q.Path, limit, q.NumActive, q.AMUsed, size))
	}
	if q.AbsoluteMaxCapacity > 0 && q.AbsoluteUsedCapacity >= q.AbsoluteMaxCapacity-1 {
		out = append(out, fmt.Sprintf("queue %s is full: it uses %.0f%% of the cluster, of at most %.0f%%",
			q.Path, q.AbsoluteUsedCapacity, q.AbsoluteMaxCapacity))
	}
	return out
}

// nodeShortage counts how many containers fit where.
func nodeShortage(nodes []webservice.Node, n int, size records.Resource) []string {
	live, fit := 0, int64(0)
	var most webservice.Node
	for _, node := range nodes {
		if node.State != "RUNNING" {
			continue
		}
		live++
		if node.AvailMemoryMB > most.AvailMemoryMB || live == 1 {
			most = node
		}
		if node.AvailMemoryMB >= size.MemoryMB {
			fit += node.AvailMemoryMB / max(1, size.MemoryMB)
		}
	}
	switch {
	case live == 0:
		return []string{"no NodeManager is running"}
	case fit >= int64(n):
		return nil
	case fit > 0:
		return []string{fmt.Sprintf("the cluster has room for %d of %d containers of %s", fit, n, size)}
	}
	return []string{fmt.Sprintf("the cluster is full: no node has room for a container of %s, the emptiest (%s) has %d MiB "+
		"and %d vcores free", size, most.Host, most.AvailMemoryMB, most.AvailableVirtualCores)}
}

// largestNode is the whole memory and the vcores of the largest running node, each for itself.
func largestNode(nodes []webservice.Node) (largest records.Resource, live int) {
	for _, n := range nodes {
		if n.State != "RUNNING" {
			continue
		}
		live++
		largest.MemoryMB = max(largest.MemoryMB, n.UsedMemoryMB+n.AvailMemoryMB)
		largest.VCores = max(largest.VCores, int32(n.UsedVirtualCores+n.AvailableVirtualCores))
	}
	return largest, live
}

// leafQueue finds a queue by the name a report or a user gives it; nil if there is none.
func leafQueue(s webservice.Scheduler, name string) *webservice.Queue {
	if q, ok := s.Leaf(name); ok {
		return &q
	}
	return nil
}
