package link

import (
	"fmt"
	"regexp"
)

// MemoryMargin is how much an application may have above its budget before it is killed: the heap's fragmentation and
// what the Go runtime holds beside the heap, which a busy heap was seen to need 37 MiB for. The limit is a wall against
// leaks; GOMEMLIMIT, within the budget, is what keeps a sane application within it.
func MemoryMargin(budget int64) int64 { return 48<<20 + budget/16 }

// UnusedReserve is the address space in bytes that a process may count as data without using it, until it has attached
// and UnusedData measures that: tables of the Go runtime, thread stacks of C.
const UnusedReserve = 256 << 20

// outOfMemory is what the Go runtime writes when the system gives it no memory.
var outOfMemory = regexp.MustCompile(`out of memory|cannot allocate memory|cannot allocate heap metadata|failed to (allocate|reserve)`)

// MemoryDeath says of a process that has ended with its exit code (and the beginning of the Go runtime's crash report),
// and that had the budget in bytes and the wall of LimitData around it, that it was that: "killed by its memory limit of
// 96 MiB". It is "" if it was something else, or the budget is 0: there was no limit.
func MemoryDeath(exitCode int, crash string, budget int64) string {
	if budget == 0 || exitCode != 2 || !outOfMemory.MatchString(crash) {
		return ""
	}
	return "killed by its memory limit of " + people(budget)
}

// people writes a number of bytes as people read it, 96 MiB.
func people(bytes int64) string {
	const mebibyte, gibibyte = 1 << 20, 1 << 30
	switch {
	case bytes >= 10*gibibyte:
		return fmt.Sprintf("%.1f GiB", float64(bytes)/gibibyte)
	case bytes >= mebibyte:
		return fmt.Sprintf("%d MiB", bytes/mebibyte)
	}
	return fmt.Sprintf("%d bytes", bytes)
}
