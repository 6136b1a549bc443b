package dispatcher

import (
	"context"
	"errors"
	"maps"
	"sync"
	"testing"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/runtime/ha"
	"github.com/weftstream/weft/runtime/resourcemanager"
)

// memoryLog keeps records in the order of appending.
type memoryLog struct {
	nothing
	mu      sync.Mutex
	records []ha.Record
	fails   bool
}

func (l *memoryLog) Append(_ context.Context, r ha.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fails {
		return errors.New("the disk is full")
	}
	l.records = append(l.records, r)
	return nil
}

func bounds(g *graph.JobGraph, lower, upper int) Requirements {
	r := Requirements{}
	for _, v := range g.GetVertices() {
		id, _ := idOf(v.GetId())
		r[id] = Bounds{Lower: lower, Upper: upper}
	}
	return r
}

// TestRequirementsOutliveTheJobManager: what was required last is what a new JobManager's job has; what could not be recorded
// doesn't hold.
func TestRequirementsOutliveTheJobManager(t *testing.T) {
	log := &memoryLog{}
	start := func() *Dispatcher {
		return newDispatcher(t, nil, func(c *Config) { c.Log, c.Records = log, append([]ha.Record(nil), log.records...) })
	}
	g := pipeline()
	first := start()
	id, err := first.Submit(t.Context(), g)
	if err != nil {
		t.Fatal(err)
	}
	want := func(d *Dispatcher, r Requirements) {
		t.Helper()
		if got, err := d.Requirements(id); err != nil || !maps.Equal(got, r) {
			t.Fatalf("requirements %v, %v; want %v", got, err, r)
		}
	}
	want(first, bounds(g, 2, 2))
	for _, n := range []int{5, 3} {
		if err := first.Require(t.Context(), id, bounds(g, 1, n)); err != nil {
			t.Fatal(err)
		}
		want(first, bounds(g, 1, n))
	}
	if err := first.Require(t.Context(), id, bounds(g, 1, 1000)); !errors.Is(err, ErrRequirements) {
		t.Errorf("more than the max parallelism: %v", err)
	}
	log.fails = true
	if err := first.Require(t.Context(), id, bounds(g, 1, 4)); err == nil {
		t.Error("requirements that could not be recorded were accepted")
	}
	log.fails = false
	want(first, bounds(g, 1, 3))
	first.Shutdown(t.Context(), resourcemanager.StatusUndefined)

	second := start()
	if err := second.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	want(second, bounds(g, 1, 3))
	if d, _ := second.Job(id); d.Vertices[0].Parallelism != 3 {
		t.Errorf("parallelism %d, want 3", d.Vertices[0].Parallelism)
	}
	if err := second.Cancel(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if _, err := second.Await(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if err := second.Require(t.Context(), id, bounds(g, 1, 1)); !errors.Is(err, ErrEnded) {
		t.Errorf("of a job that has ended: %v", err)
	}
}

func TestSchedulerModeIsTheClusters(t *testing.T) {
	d := newDispatcher(t, nil, nil)
	g := pipeline()
	g.Config = map[string]string{"scheduler-mode": "reactive"}
	if _, err := d.Submit(t.Context(), g); !errors.Is(err, ErrInvalidGraph) {
		t.Errorf("a job that sets scheduler-mode: %v", err)
	}
}
