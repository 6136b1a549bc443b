package resourcemanager

import "github.com/weftstream/weft/graph"

// TaskManagerInfo is a snapshot of a registered TaskManager.
type TaskManagerInfo struct {
	// ResourceID names it: the container id on YARN.
	ResourceID string
	// Host is where it runs; DataAddress the host:port of its data port; Pid its process there.
	Host, DataAddress string
	Pid               int
	// Slots and FreeSlots count its slots; Allocated names the jobs of the others, one entry a slot.
	Slots, FreeSlots int
	Allocated        []graph.JobID
	// SlotMemory is the budget of the task host per slot, PhysicalMemory that of the machine, in bytes.
	SlotMemory, PhysicalMemory int64
	// Resident is the resident memory of the TaskManager process and HostsResident that of its task hosts, in bytes, as
	// of the last heartbeat.
	Resident, HostsResident int64
	// CPU is its number of cores.
	CPU float64
	// Platform is GOOS/GOARCH; LogDir where its logs are.
	Platform, LogDir string
	// LastHeartbeat and Registered are in Unix milliseconds.
	LastHeartbeat, Registered int64
}

// Overview counts TaskManagers and slots.
type Overview struct {
	TaskManagers, SlotsTotal, SlotsFree int
	// SlotsMissing is what jobs need and don't have; WorkersStarting counts workers granted whose TaskManagers haven't
	// registered, WorkersDeclared those asked for and not granted.
	SlotsMissing, WorkersStarting, WorkersDeclared int
}

func (t *taskManager) info() TaskManagerInfo {
	r := t.reg
	i := TaskManagerInfo{ResourceID: r.GetResourceId(), Host: r.GetHost(), DataAddress: r.GetDataAddress(), Pid: int(r.GetPid()),
		Slots: len(t.slots), FreeSlots: t.free, SlotMemory: r.GetSlotMemory(), PhysicalMemory: r.GetPhysicalMemory(),
		Resident: t.resident, HostsResident: t.hostsResident, CPU: r.GetCpu(), Platform: r.GetPlatform(), LogDir: r.GetLogDir(),
		LastHeartbeat: t.heard, Registered: t.registered}
	for _, s := range t.slots {
		if s.taken {
			i.Allocated = append(i.Allocated, s.job)
		}
	}
	return i
}
