package entrypoint

import "golang.org/x/sys/unix"

// physicalMemory is the node's memory in bytes; 0 if it isn't known.
func physicalMemory() int64 {
	var i unix.Sysinfo_t
	if unix.Sysinfo(&i) != nil {
		return 0
	}
	return int64(i.Totalram) * int64(i.Unit)
}
