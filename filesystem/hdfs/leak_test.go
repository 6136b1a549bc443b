package hdfs_test

import (
	"runtime"
	"strings"
	"testing"
	"time"
)

// noGoroutines waits until none runs code of this package or of the library. The library's end by themselves, a moment
// after they are told to.
func noGoroutines(t *testing.T) {
	t.Helper()
	buf := make([]byte, 1<<20)
	deadline := time.Now().Add(10 * time.Second)
	for {
		left := 0
		stacks := string(buf[:runtime.Stack(buf, true)])
		for g := range strings.SplitSeq(stacks, "\n\n") {
			if strings.Contains(g, "colinmarc/hdfs") || strings.Contains(g, "filesystem/hdfs.") {
				left++
			}
		}
		if left == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines are left:\n%s", left, stacks)
		}
		runtime.Gosched()
	}
}
