package hadooptest

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// lockPatience bounds the wait for other tests. It is far above what they take; a test that waits for itself ends with it.
const lockPatience = 15 * time.Minute

// holders are the names of this process's tests that hold the cluster.
var holders struct {
	sync.Mutex
	names map[string]bool
}

// lock makes the test a holder of the cluster until it ends: one of several, or the only one. Locks are on files, so that
// they hold between test processes and end with them. Who waits to be the only one keeps the gate, through which all pass:
// so a stream of other tests can't keep him waiting for ever.
func (c *Cluster) lock(t testing.TB, exclusive bool) {
	t.Helper()
	if held(t.Name()) {
		if exclusive {
			t.Fatal("RequireExclusive: this test, or the one it belongs to, holds the cluster already")
		}
		return
	}
	how := syscall.LOCK_SH
	if exclusive {
		how = syscall.LOCK_EX
	}
	gate := c.flock(t, "test-gate", syscall.LOCK_EX)
	file := c.flock(t, "test-lock", how)
	_ = gate.Close()

	name := t.Name()
	setHeld(name, true)
	t.Cleanup(func() {
		setHeld(name, false)
		_ = file.Close()
	})
}

// flock locks a file in the cluster's data directory; closing the file unlocks it.
func (c *Cluster) flock(t testing.TB, name string, how int) *os.File {
	t.Helper()
	path := filepath.Join(c.Dir, "data", name)
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o666)
	if err != nil {
		t.Fatalf("lock the cluster: %v", err)
	}
	deadline := time.Now().Add(lockPatience)
	for {
		err := syscall.Flock(int(file.Fd()), how|syscall.LOCK_NB)
		if err == nil {
			return file
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			_ = file.Close()
			t.Fatalf("lock %s: %v", path, err)
		}
		if time.Now().After(deadline) {
			_ = file.Close()
			t.Fatalf("lock %s: other tests have held it for %v", path, lockPatience)
		}
		time.Sleep(pollInterval)
	}
}

// held says whether a test, or one that it is a subtest of, is a holder.
func held(name string) bool {
	holders.Lock()
	defer holders.Unlock()
	for {
		if holders.names[name] {
			return true
		}
		i := strings.LastIndexByte(name, '/')
		if i < 0 {
			return false
		}
		name = name[:i]
	}
}

func setHeld(name string, yes bool) {
	holders.Lock()
	defer holders.Unlock()
	if holders.names == nil {
		holders.names = map[string]bool{}
	}
	if yes {
		holders.names[name] = true
	} else {
		delete(holders.names, name)
	}
}
