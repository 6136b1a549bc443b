package link

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// LimitData sets RLIMIT_DATA of a child that runs: the hard wall around its memory, which counts at the allocation what
// it has mapped to write to, used or not. A child that has ended already has no limits; that is no error.
func LimitData(pid int, bytes int64) error {
	var now unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_DATA, nil, &now); err != nil {
		return ignoreGone(fmt.Errorf("read RLIMIT_DATA of process %d: %w", pid, err))
	}
	// The soft limit only: the hard one could not be raised again when the budget grows.
	now.Cur = min(uint64(bytes), now.Max)
	if err := unix.Prlimit(pid, unix.RLIMIT_DATA, &now, nil); err != nil {
		return ignoreGone(fmt.Errorf("set RLIMIT_DATA of process %d: %w", pid, err))
	}
	return nil
}

func ignoreGone(err error) error {
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	return err
}

// UnusedData is the bytes that a process has mapped to write to and doesn't use, about; 0 if it is gone.
func UnusedData(pid int) int64 {
	m := statm(pid)
	return max(0, m[statmData]-m[statmResident]) * pageSize
}

// ResidentMemory is the resident memory of a process in bytes, 0 for this process; 0 if it is gone.
func ResidentMemory(pid int) int64 { return statm(pid)[statmResident] * pageSize }

var pageSize = int64(os.Getpagesize())

// Fields of statm, in pages.
const (
	statmResident = 1
	statmData     = 5
)

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
