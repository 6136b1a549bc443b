package taskmanager

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
)

var pageSize = int64(os.Getpagesize())

// Fields of statm, in pages.
const (
	statmResident = 1
	statmData     = 5
)

// residentMemory is the resident memory of a process in bytes, 0 for this process; 0 if it is gone.
func residentMemory(pid int) int64 { return statm(pid)[statmResident] * pageSize }

// unusedData is the bytes that a process has mapped to write to and doesn't use, about; 0 if it is gone.
func unusedData(pid int) int64 {
	m := statm(pid)
	return max(0, m[statmData]-m[statmResident]) * pageSize
}

// statm is /proc/<pid>/statm, zeros if the process is gone.
func statm(pid int) (out [statmData + 1]int64) {
	name := "/proc/self/statm"
	if pid != 0 {
		name = fmt.Sprintf("/proc/%d/statm", pid)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return out
	}
	for i, field := range bytes.Fields(b) {
		if i >= len(out) {
			break
		}
		if out[i], err = strconv.ParseInt(string(field), 10, 64); err != nil {
			return [statmData + 1]int64{}
		}
	}
	return out
}
