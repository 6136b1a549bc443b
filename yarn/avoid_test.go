package yarn

import (
	"slices"
	"testing"
	"time"
)

func TestNodesAreAvoidedForAWhileAfterFailedStarts(t *testing.T) {
	a, now := avoided{}, time.Now()
	is := func(at time.Time, want ...string) {
		t.Helper()
		if got := a.hosts(at); !slices.Equal(got, want) {
			t.Errorf("avoided %v, want %v", got, want)
		}
	}
	a.failed("n1", now)
	is(now)
	a.failed("n1", now.Add(time.Second))
	a.failed("n0", now)
	a.failed("n0", now)
	is(now.Add(time.Second), "n0", "n1")
	a.failed("n0", now.Add(avoidTime))
	a.failed("n0", now.Add(avoidTime))
	is(now.Add(avoidTime), "n0") // of n1 one failure is left that counts
}

func TestFailuresLongAgoAreForgotten(t *testing.T) {
	a, now := avoided{}, time.Now()
	a.failed("n1", now)
	a.failed("n1", now)
	if got := a.hosts(now.Add(avoidTime)); len(got) != 0 || len(a) != 0 {
		t.Errorf("still avoided after %s: %v, remembered %v", avoidTime, got, a)
	}
}
