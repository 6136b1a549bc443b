package conf

import (
	"fmt"
	"strings"
)

// Least memory with which the parts of a cluster work, from what idle processes use with room for a small job.
const (
	MinSlotMemory       = 24 * Mebibyte // a task host: 11 MB of process, its buffers, its records
	MinFrameworkMemory  = 16 * Mebibyte // a TaskManager process
	MinJobManagerMemory = 48 * Mebibyte // a JobManager process
	MinDriverMemory     = 16 * Mebibyte // a driver

	// minSlotHeap is what must be left of a slot's memory beside its network buffers and state backend.
	minSlotHeap = 12 * Mebibyte
)

// TaskManagerBudget divides a TaskManager's container. Process = Framework + Slots × Slot.Total + what rounding leaves.
type TaskManagerBudget struct {
	Process   MemorySize // the container
	Framework MemorySize // the TaskManager process
	Slots     int
	Slot      SlotBudget // of each slot; the task host of a job with n slots has n times this
}

// SlotBudget divides the memory of one slot. Total = Network + Managed + Heap.
type SlotBudget struct {
	Total   MemorySize
	Network MemorySize // network buffers
	Managed MemorySize // state backend
	Heap    MemorySize // user code and the process itself
}

// JobManagerBudget divides a JobManager's container. Process = JobManager + Driver. Where no driver runs beside the
// JobManager (session, per-job) the JobManager may use all of Process.
type JobManagerBudget struct {
	Process    MemorySize // the container
	JobManager MemorySize // the JobManager process if a driver runs beside it
	Driver     MemorySize // the driver of application mode
}

// BudgetError is returned when memory options don't fit each other. It names them all, with values and origins.
type BudgetError struct {
	Settings []string // "key=value (origin)"
	Problem  string   // what doesn't fit, and what to do
}

// Error is the settings and the problem.
func (e *BudgetError) Error() string {
	return "memory does not fit: " + strings.Join(e.Settings, ", ") + ": " + e.Problem
}

// TaskManagerMemory divides taskmanager.memory.process.size among the TaskManager process and its slots. The error is
// a *BudgetError.
func TaskManagerMemory(c Configuration) (TaskManagerBudget, error) {
	b := TaskManagerBudget{
		Process:   Get(c, TaskManagerMemoryProcessSize),
		Framework: Get(c, TaskManagerMemoryFrameworkHeapSize),
		Slots:     Get(c, TaskManagerNumberOfTaskSlots),
	}
	fail := func(problem string, more ...shown) (TaskManagerBudget, error) {
		all := append([]shown{
			show(c, TaskManagerMemoryProcessSize), show(c, TaskManagerMemoryFrameworkHeapSize), show(c, TaskManagerNumberOfTaskSlots),
		}, more...)
		return TaskManagerBudget{}, budgetError(problem, all)
	}
	if b.Framework < MinFrameworkMemory {
		return fail(fmt.Sprintf("the TaskManager process needs at least %s; raise %s",
			MinFrameworkMemory, TaskManagerMemoryFrameworkHeapSize.Key()))
	}
	if need := b.Framework + MemorySize(b.Slots)*MinSlotMemory; b.Process == Unlimited || b.Process < need {
		return fail(fmt.Sprintf("%d slots need at least %s each, %s in all; raise %s to that or lower %s",
			b.Slots, MinSlotMemory, need, TaskManagerMemoryProcessSize.Key(), TaskManagerNumberOfTaskSlots.Key()))
	}
	forSlots := b.Process - b.Framework
	network, err := networkMemory(c, forSlots)
	if err != nil {
		return TaskManagerBudget{}, err
	}
	managed, managedIsSet := Lookup(c, TaskManagerMemoryManagedSize)
	if !managedIsSet {
		managed = share(forSlots, Get(c, TaskManagerMemoryManagedFraction))
	}
	each := func(m MemorySize) MemorySize { return m / MemorySize(b.Slots) / Kibibyte * Kibibyte }
	b.Slot = SlotBudget{Total: each(forSlots), Network: each(network), Managed: each(managed)}
	// Their sum may overflow, so each part is compared with what the other leaves.
	rest := b.Slot.Total - minSlotHeap
	if b.Slot.Network > rest || b.Slot.Managed > rest-b.Slot.Network {
		return fail(fmt.Sprintf("of the %s of a slot, network buffers (%s) and managed memory (%s) leave less than %s to user code; "+
			"raise the container's size or lower their share", b.Slot.Total, b.Slot.Network, b.Slot.Managed, minSlotHeap),
			show(c, TaskManagerMemoryNetworkFraction), show(c, TaskManagerMemoryNetworkMin),
			show(c, TaskManagerMemoryManagedFraction), show(c, TaskManagerMemoryManagedSize))
	}
	b.Slot.Heap = b.Slot.Total - b.Slot.Network - b.Slot.Managed
	return b, nil
}

func networkMemory(c Configuration, forSlots MemorySize) (MemorySize, error) {
	low, high := Get(c, TaskManagerMemoryNetworkMin), Get(c, TaskManagerMemoryNetworkMax)
	if low > high {
		return 0, budgetError("the least network memory is more than the most; lower one or raise the other",
			[]shown{show(c, TaskManagerMemoryNetworkMin), show(c, TaskManagerMemoryNetworkMax)})
	}
	return min(max(share(forSlots, Get(c, TaskManagerMemoryNetworkFraction)), low), high), nil
}

// JobManagerMemory divides jobmanager.memory.process.size between the JobManager process and the driver of application
// mode. The error is a *BudgetError.
func JobManagerMemory(c Configuration) (JobManagerBudget, error) {
	process := Get(c, JobManagerMemoryProcessSize)
	fail := func(problem string) (JobManagerBudget, error) {
		return JobManagerBudget{}, budgetError(problem,
			[]shown{show(c, JobManagerMemoryProcessSize), show(c, WeftDriverMemoryFraction)})
	}
	if need := MinJobManagerMemory + MinDriverMemory; process == Unlimited || process < need {
		return fail(fmt.Sprintf("the JobManager needs at least %s and the driver %s; raise %s to %s",
			MinJobManagerMemory, MinDriverMemory, JobManagerMemoryProcessSize.Key(), need))
	}
	driver := share(process, Get(c, WeftDriverMemoryFraction))
	b := JobManagerBudget{Process: process, JobManager: process - driver, Driver: driver}
	if b.Driver < MinDriverMemory || b.JobManager < MinJobManagerMemory {
		return fail(fmt.Sprintf("the driver gets %s of at least %s and the JobManager %s of at least %s; change the fraction or raise the size",
			b.Driver, MinDriverMemory, b.JobManager, MinJobManagerMemory))
	}
	return b, nil
}

// GoMemoryLimit is the GOMEMLIMIT of a process that may occupy budget: a tenth, at least 4 MiB and at most half, is left
// to what the limit doesn't count, such as the executable's own pages, of which YARN does count those in memory.
func GoMemoryLimit(budget MemorySize) MemorySize {
	return budget - min(max(budget/10, 4*Mebibyte), budget/2)
}

// share is a fraction of m in whole kibibytes, so that budgets read well.
func share(m MemorySize, fraction float64) MemorySize {
	return MemorySize(float64(m/Kibibyte)*fraction) * Kibibyte
}

// shown is an option as an error names it; empty if it has no value.
type shown string

func show[T any](c Configuration, o *Option[T]) shown {
	key, isSet := c.keyOf(&o.meta)
	if !isSet {
		if !o.meta.HasDefault {
			return ""
		}
		return shown(fmt.Sprintf("%s=%s (default)", o.meta.Key, o.meta.Default))
	}
	s := c.values[key]
	if s.origin == "" {
		return shown(key + "=" + s.value)
	}
	return shown(fmt.Sprintf("%s=%s (%s)", key, s.value, s.origin))
}

func budgetError(problem string, settings []shown) *BudgetError {
	e := &BudgetError{Problem: problem}
	for _, s := range settings {
		if s != "" {
			e.Settings = append(e.Settings, string(s))
		}
	}
	return e
}
