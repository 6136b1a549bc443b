package resourcemanager

import (
	"context"
	"fmt"

	"github.com/weftstream/weft/conf"
)

// WorkerSpec describes a worker: a process, usually in a container, that runs one TaskManager.
type WorkerSpec struct {
	// MemoryMB is the memory of the whole process tree in MiB.
	MemoryMB int64
	// VCores is the number of virtual cores.
	VCores int
	// Slots is the number of task slots the TaskManager offers.
	Slots int
}

// String describes the spec to people.
func (s WorkerSpec) String() string {
	return fmt.Sprintf("%d MiB, %d vcores, %d slots", s.MemoryMB, s.VCores, s.Slots)
}

// WorkerSpecOf is the worker that c describes: taskmanager.memory.process.size, taskmanager.cpu.cores (default: as many
// as slots) and taskmanager.numberOfTaskSlots. A provider with vcore options of its own replaces VCores.
func WorkerSpecOf(c conf.Configuration) WorkerSpec {
	s := WorkerSpec{Slots: conf.Get(c, conf.TaskManagerNumberOfTaskSlots)}
	s.VCores = s.Slots
	if cores, ok := conf.Lookup(c, conf.TaskManagerCpuCores); ok {
		s.VCores = max(1, int(cores+0.999))
	}
	s.MemoryMB = int64((conf.Get(c, conf.TaskManagerMemoryProcessSize) + conf.Mebibyte - 1) / conf.Mebibyte)
	return s
}

// FinalStatus is how the cluster's work ended, in YARN's words.
type FinalStatus int

// The final statuses.
const (
	// StatusUndefined: the cluster ends without saying how (another attempt may follow).
	StatusUndefined FinalStatus = iota
	StatusSucceeded
	StatusFailed
	StatusKilled
)

// String returns YARN's name.
func (s FinalStatus) String() string {
	switch s {
	case StatusSucceeded:
		return "SUCCEEDED"
	case StatusFailed:
		return "FAILED"
	case StatusKilled:
		return "KILLED"
	}
	return "UNDEFINED"
}

// WorkerDriver brings and removes workers. The ResourceManager calls its methods from one goroutine, never concurrently,
// except that Deregister may overlap with none of them: it is the last call.
type WorkerDriver interface {
	// Start registers the cluster with what provides workers (YARN: registerApplicationMaster) and reports the workers
	// of an earlier JobManager through events.Granted before it returns. It may block until ctx ends. What it starts runs
	// until Deregister, or until ctx ends.
	Start(ctx context.Context, events WorkerEvents) error
	// Declare says how many workers of spec are wanted that have not been granted yet. n is absolute and the call
	// idempotent: it replaces what was declared before. It never blocks.
	Declare(spec WorkerSpec, n int)
	// Stop releases one worker; an unknown id is ignored. Ended follows with EndReleased, or not at all. It never blocks.
	Stop(id string, reason string)
	// Deregister ends the driver: workers that are left are released. It may block until ctx ends.
	Deregister(ctx context.Context, status FinalStatus, diagnostics string) error
}

// WorkerEvents is what a WorkerDriver reports to: the ResourceManager. Its methods are safe for concurrent use and take
// effect in the order of the calls; none of them calls back into the driver before it returns.
type WorkerEvents interface {
	// Granted says that a worker was granted and is being started. id is the resource id with which its TaskManager will
	// register; node is where it runs, for people. Each grant takes one off the number last declared. spec.Slots may be
	// more than was asked for a worker: then the grant stands for that many slots.
	Granted(id string, node string, spec WorkerSpec)
	// Ended says that a worker, or an attempt to start it, has ended.
	Ended(id string, end WorkerEnd)
	// Waiting says why declared workers haven't been granted yet ("queue etl is full"); "" takes it back. The text goes
	// into the message of a job that fails for lack of slots.
	Waiting(reason string)
	// Fatal says that the driver can't go on: the cluster ends with this error.
	Fatal(err error)
}

// EndKind is why a worker ended.
type EndKind int

// The kinds of ends.
const (
	// EndFailed: it failed or couldn't be started; counted by resourcemanager.start-worker.max-failure-rate if its
	// TaskManager hadn't registered.
	EndFailed EndKind = iota
	// EndReleased: the ResourceManager stopped it.
	EndReleased
	// EndPreempted: taken away by the scheduler.
	EndPreempted
	// EndNodeLost: its node was lost or is unusable.
	EndNodeLost
)

// String names the kind for people.
func (k EndKind) String() string {
	switch k {
	case EndReleased:
		return "released"
	case EndPreempted:
		return "preempted"
	case EndNodeLost:
		return "node lost"
	}
	return "failed"
}

// WorkerEnd says how a worker ended.
type WorkerEnd struct {
	Kind EndKind
	// ExitCode is the process' exit code, or the provider's code for the end; 0 where there is none.
	ExitCode int
	// Diagnostics is the provider's text.
	Diagnostics string
}

// String describes the end in one line.
func (e WorkerEnd) String() string {
	s := e.Kind.String()
	if e.ExitCode != 0 {
		s += fmt.Sprintf(" with exit code %d", e.ExitCode)
	}
	if e.Diagnostics != "" {
		s += ": " + oneLine(e.Diagnostics, 1000)
	}
	return s
}

// StaticDriver is the driver of a standalone cluster: TaskManagers come by themselves, none can be asked for and none is
// stopped.
type StaticDriver struct{}

// Start does nothing.
func (StaticDriver) Start(context.Context, WorkerEvents) error { return nil }

// Declare does nothing: what is missing waits for registrations.
func (StaticDriver) Declare(WorkerSpec, int) {}

// Stop does nothing.
func (StaticDriver) Stop(string, string) {}

// Deregister does nothing.
func (StaticDriver) Deregister(context.Context, FinalStatus, string) error { return nil }

// IsStatic says whether d is a StaticDriver: TaskManagers are not d's to end.
func IsStatic(d WorkerDriver) bool {
	switch d.(type) {
	case StaticDriver, *StaticDriver:
		return true
	}
	return false
}
