package testkit

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
)

// recorder is a test whose end the test decides.
type recorder struct {
	testing.TB
	cleanups []func()
	said     []string
}

func (r *recorder) Helper()          {}
func (r *recorder) Failed() bool     { return len(r.said) > 0 }
func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }

func (r *recorder) Errorf(format string, args ...any) {
	r.said = append(r.said, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatalf(format string, args ...any) { r.Errorf(format, args...) }

func (r *recorder) end() {
	for _, f := range r.cleanups {
		f()
	}
}

func forgotten(until <-chan struct{}) { <-until }

// Time is virtual here, so that the waits that end in a failure take none.
func TestGoroutinesThatAreLeftFailTheTest(t *testing.T) {
	for name, check := range map[string]func(testing.TB){"NoLeak": NoLeak, "NoGoroutinesLeft": NoGoroutinesLeft} {
		synctest.Test(t, func(t *testing.T) {
			good, bad := &recorder{TB: t}, &recorder{TB: t}
			until := make(chan struct{})
			check(good)
			go forgotten(until)
			close(until)
			good.end()
			if len(good.said) > 0 {
				t.Errorf("%s: a goroutine that has ended is reported: %v", name, good.said)
			}
			until = make(chan struct{})
			check(bad)
			go forgotten(until)
			bad.end()
			close(until)
			if len(bad.said) != 1 || !strings.Contains(bad.said[0], "testkit.forgotten") {
				t.Errorf("%s: reported is %v", name, bad.said)
			}
		})
	}
}

func TestEventually(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, looks := &recorder{TB: t}, 0
		Eventually(r, "it comes", func() bool { looks++; return looks == 100 })
		if looks != 100 || len(r.said) > 0 {
			t.Errorf("%d looks, %v", looks, r.said)
		}
		Eventually(r, "it never comes", func() bool { return false })
		if len(r.said) != 1 || !strings.Contains(r.said[0], "it never comes: not within") {
			t.Errorf("%v", r.said)
		}
	})
}
