// Package testkit has what the tests of many packages need: waiting for a condition, and finding goroutines that a test has
// left behind. Only tests import it.
package testkit

import (
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"
)

// Patience bounds every wait. What works takes far less, on the slowest machine and beside other tests.
const Patience = 90 * time.Second

// The pause between two looks grows from the first to the second.
const (
	minPause = time.Millisecond
	maxPause = 50 * time.Millisecond
)

// Eventually waits until ok returns true, and ends the test if that takes longer than Patience. It is called by the test's
// goroutine, and so is ok.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	if !within(Patience, ok) {
		t.Fatalf("%s: not within %v", what, Patience)
	}
}

func within(d time.Duration, ok func() bool) bool {
	pause := minPause
	for deadline := time.Now().Add(d); !ok(); pause = min(2*pause, maxPause) {
		if time.Now().After(deadline) {
			return false
		}
		<-time.After(pause)
	}
	return true
}

// NoGoroutinesLeft fails the test when more goroutines run at its end than when NoGoroutinesLeft was called, which is first: what
// is cleaned up later is done before. Goroutines get a while to end, idle connections of the default HTTP transport are closed.
// It counts those of all tests that run at the same time: NoLeak for parallel ones.
func NoGoroutinesLeft(t testing.TB) {
	t.Helper()
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		if t.Failed() { // then some are expected
			return
		}
		http.DefaultClient.CloseIdleConnections()
		if !within(leakPatience, func() bool { runtime.GC(); return runtime.NumGoroutine() <= before }) { // a finalizer may close something
			t.Errorf("%d goroutines before, %d after:\n%s", before, runtime.NumGoroutine(), strings.Join(stacks(), "\n\n"))
		}
	})
}

// leakPatience is how long goroutines may take to end.
const leakPatience = 10 * time.Second

// NoLeak fails the test when, at its end, more goroutines run code of this module than did when NoLeak was called, those of the
// testing package's making not counted. They get a while to end.
func NoLeak(t testing.TB) {
	t.Helper()
	before := len(ours())
	t.Cleanup(func() {
		if !within(leakPatience, func() bool { return len(ours()) <= before }) {
			t.Errorf("goroutines left behind:\n\n%s", strings.Join(ours(), "\n\n"))
		}
	})
}

func stacks() []string {
	buf := make([]byte, 4<<20)
	return strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n")
}

func ours() (found []string) {
	for _, g := range stacks() {
		if strings.Contains(g, "weftstream/weft") && !strings.Contains(g, "testing.tRunner") && !strings.Contains(g, "testkit.ours") {
			found = append(found, g)
		}
	}
	return found
}
