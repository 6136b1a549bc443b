package cli

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/rest/api"
)

func TestWaitsAreToldOnceForEachReason(t *testing.T) {
	var told []string
	reason, err := "queue is full", error(nil)
	w := &waits{jobs: map[string]*wait{},
		reason: func(context.Context, graph.JobID) (string, error) { return reason, err },
		tell:   func(j api.JobOverview, r string) { told = append(told, j.ID+": "+r) }}
	now := time.Unix(0, 0)
	see := func(state string, waiting, total int) {
		t.Helper()
		now = now.Add(waitsAfter)
		w.observe(t.Context(), now, graph.JobID{}, api.JobOverview{ID: "j", State: state, Tasks: map[string]int{"scheduled": waiting, "total": total}})
	}
	see("RUNNING", 2, 2) // may be over in a moment
	see("RUNNING", 2, 2)
	see("RUNNING", 2, 2)
	reason = "node lost"
	see("RUNNING", 2, 2)
	err = errors.New("no answer")
	reason = "unknown"
	see("RUNNING", 2, 2)
	err = nil
	see("RUNNING", 0, 2) // it has its slots
	see("FAILING", 2, 2)
	if want := []string{"j: queue is full", "j: node lost"}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
	if len(w.jobs) != 0 {
		t.Errorf("%d jobs remembered", len(w.jobs))
	}
}
