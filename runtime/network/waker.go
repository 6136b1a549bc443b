package network

import (
	"sync/atomic"
	"time"
)

// Waker ends the sleep of one goroutine. A Wake costs an atomic load while that goroutine is awake.
//
// The sleeper calls Prepare, looks once more whether there is something to do, and then either receives from C or calls
// Abandon. Whoever makes something to do calls Wake after that.
type Waker struct {
	asleep atomic.Bool
	c      chan struct{}
}

// NewWaker makes a Waker.
func NewWaker() *Waker { return &Waker{c: make(chan struct{}, 1)} }

// Prepare announces the sleep.
func (w *Waker) Prepare() { w.asleep.Store(true) }

// C yields a value when the prepared sleep is over.
func (w *Waker) C() <-chan struct{} { return w.c }

// Abandon takes the announcement back.
func (w *Waker) Abandon() {
	if !w.asleep.CompareAndSwap(true, false) {
		<-w.c // a Wake got in between: its value is in the channel or about to be
	}
}

// Wake ends the sleep, if there is one. Safe for concurrent use.
func (w *Waker) Wake() {
	if w.asleep.Load() && w.asleep.CompareAndSwap(true, false) {
		w.c <- struct{}{} // room for one, and one was announced
	}
}

// Stopwatch sums up the time between Start and Stop. Start and Stop belong to one goroutine, Total to any. Make it with
// NewStopwatch.
type Stopwatch struct {
	origin       time.Time
	total, since atomic.Int64 // since: nanoseconds after origin + 1 while running, else 0
}

// NewStopwatch makes a stopwatch that stands still.
func NewStopwatch() *Stopwatch { return &Stopwatch{origin: time.Now()} }

// Start lets it run.
func (s *Stopwatch) Start() { s.since.Store(int64(time.Since(s.origin)) + 1) }

// Stop halts it.
func (s *Stopwatch) Stop() {
	d := int64(time.Since(s.origin)) + 1 - s.since.Load()
	s.since.Store(0)
	s.total.Add(d)
}

// Total is the time so far, that of a running period included.
func (s *Stopwatch) Total() time.Duration {
	total := s.total.Load()
	if since := s.since.Load(); since != 0 {
		total += max(0, int64(time.Since(s.origin))+1-since)
	}
	return time.Duration(total)
}

// Running says whether it runs.
func (s *Stopwatch) Running() bool { return s.since.Load() != 0 }
