package view

import (
	"net"
	"strconv"

	"github.com/weftstream/weft/rest/api"
	"github.com/weftstream/weft/runtime/resourcemanager"
)

const mebibyte = 1 << 20

// TaskManager is an entry of GET /taskmanagers.
func TaskManager(t *resourcemanager.TaskManagerInfo) api.TaskManager {
	used := t.Resident + t.HostsResident
	budget := t.SlotMemory * int64(t.Slots)
	out := api.TaskManager{ID: t.ResourceID, Path: t.Host, DataPort: dataPort(t.DataAddress), JMXPort: -1,
		LastHeartbeat: t.LastHeartbeat, Slots: t.Slots, FreeSlots: t.FreeSlots,
		TotalResource: resource(t, t.Slots), FreeResource: resource(t, t.FreeSlots),
		Hardware: api.Hardware{CPUCores: int(t.CPU), PhysicalMemory: t.PhysicalMemory, FreeMemory: max(0, t.PhysicalMemory-used)},
		Memory:   api.MemoryConfiguration{TaskHeap: budget, TotalFlinkMemory: budget, TotalProcessMemory: budget}}
	return out
}

// TaskManagerDetails is GET /taskmanagers/:taskmanagerid.
func TaskManagerDetails(t *resourcemanager.TaskManagerInfo) api.TaskManagerDetails {
	used := t.Resident + t.HostsResident
	out := api.TaskManagerDetails{TaskManager: TaskManager(t), AllocatedSlots: []api.AllocatedSlot{},
		Metrics: api.TaskManagerMetrics{HeapUsed: used, HeapCommitted: used, HeapMax: t.SlotMemory * int64(t.Slots),
			GarbageCollectors: []api.GarbageCollector{}}}
	for _, job := range t.Allocated {
		out.AllocatedSlots = append(out.AllocatedSlots, api.AllocatedSlot{JobID: job.String(), Resource: resource(t, 1)})
	}
	return out
}

// resource is what so many of t's slots have.
func resource(t *resourcemanager.TaskManagerInfo, slots int) api.ResourceProfile {
	p := api.ResourceProfile{TaskHeapMemory: int(t.SlotMemory / mebibyte * int64(slots)), ExtendedResources: map[string]float64{}}
	if t.Slots > 0 {
		p.CPUCores = t.CPU * float64(slots) / float64(t.Slots)
	}
	return p
}

// dataPort is the port of address; -1 if it has none.
func dataPort(address string) int {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return -1
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return -1
	}
	return n
}
