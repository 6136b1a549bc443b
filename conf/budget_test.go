package conf

import (
	"errors"
	"strings"
	"testing"
)

func TestTaskManagerMemory(t *testing.T) {
	for _, test := range []struct {
		name  string
		pairs []string
		want  TaskManagerBudget
	}{
		{"defaults", nil, TaskManagerBudget{512 * Mebibyte, 48 * Mebibyte, 1,
			SlotBudget{464 * Mebibyte, 47513 * Kibibyte, 190054 * Kibibyte, 237569 * Kibibyte}}},
		{"four slots of 1g", []string{"taskmanager.memory.process.size", "1072m", "taskmanager.numberOfTaskSlots", "4"},
			TaskManagerBudget{1072 * Mebibyte, 48 * Mebibyte, 4, SlotBudget{256 * Mebibyte,
				26214 * Kibibyte, 104857 * Kibibyte, 256*Mebibyte - 26214*Kibibyte - 104857*Kibibyte}}},
		{"sizes", []string{"taskmanager.memory.process.size", "148m", "taskmanager.memory.network.max", "5m",
			"taskmanager.memory.managed.size", "0"},
			TaskManagerBudget{148 * Mebibyte, 48 * Mebibyte, 1, SlotBudget{100 * Mebibyte, 5 * Mebibyte, 0, 95 * Mebibyte}}},
		{"smallest", []string{"taskmanager.memory.process.size", "72m", "taskmanager.memory.managed.fraction", "0"},
			TaskManagerBudget{72 * Mebibyte, 48 * Mebibyte, 1, SlotBudget{24 * Mebibyte, 4 * Mebibyte, 0, 20 * Mebibyte}}},
		{"Flink's size", []string{"taskmanager.memory.flink.size", "148m", "taskmanager.memory.managed.size", "20m"},
			TaskManagerBudget{148 * Mebibyte, 48 * Mebibyte, 1, SlotBudget{100 * Mebibyte, 10 * Mebibyte, 20 * Mebibyte, 70 * Mebibyte}}},
	} {
		c, _ := build(t, test.pairs...)
		got, err := TaskManagerMemory(c)
		if err != nil || got != test.want {
			t.Errorf("%s:\n got %+v, %v\nwant %+v", test.name, got, err, test.want)
		}
	}
}

// The parts never exceed the container, whatever the sizes.
func TestTaskManagerMemoryAddsUp(t *testing.T) {
	for _, size := range []string{"100m", "333m", "1g", "7777m", "1000000000"} {
		for _, slots := range []string{"1", "2", "3", "7", "16"} {
			c, _ := build(t, "taskmanager.memory.process.size", size, "taskmanager.numberOfTaskSlots", slots)
			b, err := TaskManagerMemory(c)
			if err != nil {
				continue
			}
			if sum := b.Slot.Network + b.Slot.Managed + b.Slot.Heap; sum != b.Slot.Total || b.Slot.Heap < minSlotHeap {
				t.Errorf("%s, %s slots: slot %+v", size, slots, b.Slot)
			}
			if sum := b.Framework + MemorySize(b.Slots)*b.Slot.Total; sum > b.Process || b.Process-sum >= MemorySize(b.Slots)*Kibibyte {
				t.Errorf("%s, %s slots: %s in all of %s", size, slots, sum, b.Process)
			}
		}
	}
}

func TestMemoryThatDoesNotFit(t *testing.T) {
	for _, test := range []struct {
		name  string
		pairs []string
		want  []string
	}{
		{"too many slots", []string{"taskmanager.memory.process.size", "100m", "taskmanager.numberOfTaskSlots", "4"},
			[]string{"taskmanager.memory.process.size=100m (-D)", "taskmanager.numberOfTaskSlots=4 (-D)", "at least 24 mb each, 144 mb in all"}},
		{"framework larger than the container", []string{"taskmanager.memory.framework.heap.size", "600m"},
			[]string{"taskmanager.memory.process.size=512 mb (default)", "taskmanager.memory.framework.heap.size=600m (-D)"}},
		{"framework too small", []string{"taskmanager.memory.framework.heap.size", "1m"}, []string{"at least 16 mb"}},
		{"network bounds", []string{"taskmanager.memory.network.min", "64m", "taskmanager.memory.network.max", "32m"},
			[]string{"taskmanager.memory.network.min=64m", "taskmanager.memory.network.max=32m"}},
		{"nothing left", []string{"taskmanager.memory.managed.size", "460m"},
			[]string{"taskmanager.memory.managed.size=460m (-D)", "leave less than 12 mb"}},
		{"managed memory without bound", []string{"taskmanager.memory.managed.size", "unlimited"}, []string{"taskmanager.memory.managed.size=unlimited (-D)", "leave less than"}},
		{"container without bound", []string{"taskmanager.memory.process.size", "unlimited"}, []string{"process.size=unlimited"}},
	} {
		c, _ := build(t, test.pairs...)
		_, err := TaskManagerMemory(c)
		checkBudgetError(t, test.name, err, test.want)
	}
	for _, test := range []struct {
		name  string
		pairs []string
		want  []string
	}{
		{"small", []string{"jobmanager.memory.process.size", "32m"}, []string{"jobmanager.memory.process.size=32m (-D)", "to 64 mb"}},
		{"no driver", []string{"weft.driver.memory.fraction", "0.01"},
			[]string{"jobmanager.memory.process.size=256 mb (default)", "weft.driver.memory.fraction=0.01 (-D)"}},
		{"no JobManager", []string{"weft.driver.memory.fraction", "0.99"}, []string{"the JobManager"}},
	} {
		c, _ := build(t, test.pairs...)
		_, err := JobManagerMemory(c)
		checkBudgetError(t, test.name, err, test.want)
	}
}

func checkBudgetError(t *testing.T, name string, err error, want []string) {
	t.Helper()
	var budget *BudgetError
	if !errors.As(err, &budget) {
		t.Errorf("%s: %v is no BudgetError", name, err)
		return
	}
	for _, part := range want {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%s: %v does not say %q", name, err, part)
		}
	}
}

func TestJobManagerMemory(t *testing.T) {
	b, err := JobManagerMemory(Configuration{})
	if err != nil || b.Process != 256*Mebibyte || b.JobManager+b.Driver != b.Process || b.Driver != 104857*Kibibyte {
		t.Errorf("budget %+v, %v", b, err)
	}
	if got := GoMemoryLimit(200 * Mebibyte); got != 180*Mebibyte {
		t.Errorf("limit of 200 MiB is %s", got)
	}
	if got := GoMemoryLimit(6 * Mebibyte); got != 3*Mebibyte {
		t.Errorf("limit of 6 MiB is %s", got)
	}
}
