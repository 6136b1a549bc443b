//go:build !linux

package taskmanager

import "runtime"

// residentMemory is what the Go runtime has from the system, for this process (0); unknown for others.
func residentMemory(pid int) int64 {
	if pid != 0 {
		return 0
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.Sys)
}
