//go:build !linux

package entrypoint

// physicalMemory is the node's memory in bytes; 0 where it isn't known.
func physicalMemory() int64 { return 0 }
