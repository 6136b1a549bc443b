package task

import (
	"sync"
	"sync/atomic"

	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/operator"
	"github.com/weftstream/weft/runtime/network"
)

// meter is what a task measures of itself. Written by the subtask's goroutine, read by any.
type meter struct {
	read, written, watermark atomic.Int64
	idle, running            *network.Stopwatch
	gate                     atomic.Pointer[network.Gate] // once it is open

	mu       sync.Mutex
	counters map[counterKey]*operator.Counter
}

type counterKey struct {
	at   int // position of the operator in the chain
	name string
}

func (m *meter) init() {
	m.idle, m.running = network.NewStopwatch(), network.NewStopwatch()
	m.watermark.Store(operator.NoWatermark)
	m.counters = map[counterKey]*operator.Counter{}
}

// stop ends the measuring; without a start it does nothing.
func (m *meter) stop() {
	if m.running.Running() {
		m.running.Stop()
	}
}

func (m *meter) counter(at int, name string) *operator.Counter {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.counters[counterKey{at, name}]
	if c == nil {
		c = &operator.Counter{}
		m.counters[counterKey{at, name}] = c
	}
	return c
}

// bytes is what the gate has read.
func (m *meter) bytes() int64 {
	if g := m.gate.Load(); g != nil {
		return g.BytesRead()
	}
	return 0
}

// counters sums the counters of all operators by name.
func (t *Task) counters() map[string]int64 {
	t.meter.mu.Lock()
	defer t.meter.mu.Unlock()
	sums := make(map[string]int64, len(t.meter.counters))
	for k, c := range t.meter.counters {
		sums[k.name] += c.Value()
	}
	return sums
}

func (t *Task) io() *linkpb.TaskIO {
	running, idle, blocked := t.meter.running.Total(), t.meter.idle.Total(), t.producer.Backpressured.Total()
	return &linkpb.TaskIO{
		ReadRecords: t.meter.read.Load(), WriteRecords: t.meter.written.Load(),
		ReadBytes: t.meter.bytes(), WriteBytes: t.producer.BytesWritten(),
		BusyMs: max(0, running-idle-blocked).Milliseconds(), IdleMs: idle.Milliseconds(), BackpressuredMs: blocked.Milliseconds(),
		Watermark: t.meter.watermark.Load(),
	}
}

// Metric is what the task has measured so far. Safe for concurrent use.
func (t *Task) Metric() *linkpb.TaskMetric {
	return &linkpb.TaskMetric{Id: t.ID(), Io: t.io(), Counters: t.counters()}
}
