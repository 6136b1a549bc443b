package host

import (
	"bytes"
	"os"
	"strconv"
	"time"

	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/runtime/task"
)

// deploy starts coordinators, then tasks.
func (h *host) deploy(d *linkpb.Deploy) error {
	for _, c := range d.GetCoordinators() {
		if err := h.startCoordinator(c); err != nil {
			return err
		}
	}
	var made []*task.Task
	for _, spec := range d.GetTasks() {
		t, err := task.New(h.job, spec, h)
		if err != nil {
			h.Update(&linkpb.TaskUpdate{Id: spec.GetId(), State: linkpb.ExecutionState_EXECUTION_FAILED, Failure: task.FailureOf(err)})
			continue
		}
		made = append(made, t)
	}
	h.mu.Lock()
	for _, t := range made {
		h.running[executionOf(t.ID())] = t
	}
	h.mu.Unlock()
	for _, t := range made {
		h.tasks.Go(func() {
			// Deferred, for a goroutine that user code ends.
			defer h.ended(t)
			t.Run()
		})
	}
	return nil
}

func (h *host) ended(t *task.Task) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.running, executionOf(t.ID()))
}

func (h *host) cancel(ids []*linkpb.ExecutionID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, id := range ids {
		// One that has ended has reported so.
		if t := h.running[executionOf(id)]; t != nil {
			t.Cancel()
		}
	}
}

// Update implements task.Host. A task has finished only when the coordinators of this host have opened: one that can't
// (its output exists, for instance) fails the job, and must do so before the job's output is complete.
func (h *host) Update(u *linkpb.TaskUpdate) {
	if u.GetState() == linkpb.ExecutionState_EXECUTION_FINISHED {
		h.awaitOpen()
	}
	h.out.put(&linkpb.FromHost{Message: &linkpb.FromHost_Task{Task: u}})
}

func (h *host) awaitOpen() {
	h.mu.Lock()
	opening := h.opening
	h.mu.Unlock()
	for _, c := range opening {
		select {
		case <-c.opened:
		case <-c.ctx.Done():
		}
	}
}

// reportMetrics is the goroutine that reports metrics, and subtasks that ignore their cancellation, while tasks run.
func (h *host) reportMetrics(stop <-chan struct{}) {
	tick := time.NewTicker(metricsInterval)
	defer tick.Stop()
	reported := map[*task.Task]time.Time{}
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		h.mu.Lock()
		m := &linkpb.TaskMetrics{}
		for _, t := range h.running {
			m.Tasks = append(m.Tasks, t.Metric())
		}
		h.mu.Unlock()
		h.reportStuck(time.Now(), reported)
		if len(m.Tasks) == 0 {
			continue
		}
		m.Resident = resident()
		// Not worth waiting for: the next ones say the same and more.
		h.out.offer(&linkpb.FromHost{Message: &linkpb.FromHost_Metrics{Metrics: m}})
	}
}

// resident is the resident memory of this process in bytes, 0 where it isn't known.
func resident() int64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := bytes.Fields(text)
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(string(fields[1]), 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}
