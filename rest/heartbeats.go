package rest

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/rest/api"
	"github.com/weftstream/weft/runtime/dispatcher"
)

// cancelAgain is the pause after a cancellation that failed for a passing reason.
const cancelAgain = 5 * time.Second

// heartbeats cancels jobs whose clients fell silent. It holds an entry for each job that has such a client and hasn't
// ended.
type heartbeats struct {
	log  *slog.Logger
	now  func() time.Time
	wake chan struct{} // capacity 1: deadlines changed

	mu        sync.Mutex
	deadlines map[graph.JobID]time.Time
}

func newHeartbeats(log *slog.Logger, now func() time.Time) *heartbeats {
	return &heartbeats{log: log, now: now, wake: make(chan struct{}, 1), deadlines: map[graph.JobID]time.Time{}}
}

// expect has the job cancelled at deadline, unless it is called again before.
func (h *heartbeats) expect(id graph.JobID, deadline time.Time) {
	h.mu.Lock()
	h.deadlines[id] = deadline
	h.mu.Unlock()
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

func (h *heartbeats) forget(id graph.JobID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.deadlines, id)
}

// due returns the jobs whose time has come, and when the next one's does (zero: there is none).
func (h *heartbeats) due() (silent []graph.JobID, next time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.now()
	for id, at := range h.deadlines {
		switch {
		case !at.After(now):
			silent = append(silent, id)
		case next.IsZero() || at.Before(next):
			next = at
		}
	}
	return silent, next
}

// run calls cancel for silent jobs until ctx ends. cancel says whether the job is done with.
func (h *heartbeats) run(ctx context.Context, cancel func(context.Context, graph.JobID) bool) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		silent, next := h.due()
		for _, id := range silent {
			if cancel(ctx, id) {
				h.forget(id)
			} else {
				h.expect(id, h.now().Add(cancelAgain))
			}
		}
		if len(silent) > 0 {
			continue
		}
		wait := time.Hour
		if !next.IsZero() {
			wait = next.Sub(h.now())
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return
		case <-h.wake:
		case <-timer.C:
		}
	}
}

// ExpectHeartbeats has a job cancelled whose client doesn't send a heartbeat within d, for a job that didn't come with a
// request that says so. It may be called before Serve.
func (s *Server) ExpectHeartbeats(id graph.JobID, d time.Duration) {
	s.heartbeats.expect(id, s.now().Add(d))
}

// cancelSilent cancels a job whose client fell silent; false to try again.
func (s *Server) cancelSilent(ctx context.Context, id graph.JobID) bool {
	b := s.backend.Load()
	if b == nil {
		return true
	}
	err := b.Jobs.Cancel(ctx, id)
	switch {
	case err == nil:
		s.log.Warn("job cancelled: its client sent no heartbeat in time", "job", id)
		if s.c.ResultDelivered != nil {
			s.c.ResultDelivered(id)
		}
		return true
	case errors.Is(err, dispatcher.ErrEnded), errors.Is(err, dispatcher.ErrUnknownJob), errors.Is(err, dispatcher.ErrShutdown):
		return true
	}
	s.log.Warn("job of a silent client couldn't be cancelled", "job", id, "error", err)
	return false
}

// heartbeat takes the time that the client names. One that has passed already shows that its clock is behind ours: then
// the job lives on for client.heartbeat.timeout.
func (s *Server) heartbeat(c *call) (any, error) {
	id, err := c.jobID()
	if err != nil {
		return nil, err
	}
	var beat api.Heartbeat
	if err := c.readJSON(&beat); err != nil {
		return nil, err
	}
	r, ok := c.Jobs.Result(id)
	if !ok {
		return nil, unknownJob(id)
	}
	if r != nil {
		s.heartbeats.forget(id)
		return with(http.StatusAccepted, api.Empty{}), nil
	}
	deadline, now := time.UnixMilli(beat.Expires), s.now()
	if !deadline.After(now) {
		deadline = now.Add(conf.Get(s.c.Conf, conf.ClientHeartbeatTimeout))
	}
	s.heartbeats.expect(id, deadline)
	return with(http.StatusAccepted, api.Empty{}), nil
}
