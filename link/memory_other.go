//go:build !linux

package link

import "runtime"

// LimitData does nothing where another process can't be limited.
func LimitData(int, int64) error { return nil }

// UnusedData isn't known here.
func UnusedData(int) int64 { return 0 }

// ResidentMemory is what the Go runtime has from the system, for this process (0); unknown for others.
func ResidentMemory(pid int) int64 {
	if pid != 0 {
		return 0
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.Sys)
}
