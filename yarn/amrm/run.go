package amrm

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/weftstream/weft/hadoop/ipc"
)

// Run registers and sends heartbeats until ctx ends, Finish has unregistered
// the application master (it returns nil then), or YARN has ended the attempt
// (ErrShutdown). Every other failure is retried. It may be called once.
func (s *Session) Run(ctx context.Context) error {
	s.mu.Lock()
	again := s.ran
	s.ran = true
	s.mu.Unlock()
	if again {
		return errors.New("run the AMRM heartbeat: it ran before")
	}
	defer close(s.ended)
	for {
		if f := s.drain(); f != nil {
			return s.unregister(ctx, f)
		}
		err := s.beat(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil && s.fatal(err) {
			s.emit(ShutdownRequested{err})
			return fmt.Errorf("%w: %w", ErrShutdown, err)
		}
		if err != nil {
			err = s.backOff(ctx, err)
		} else {
			s.failures, s.invalid = 0, 0
			err = s.rest(ctx)
		}
		if err != nil {
			return err
		}
	}
}

// errCommanded is the cause of a shutdown that YARN ordered.
var errCommanded = fmt.Errorf("%w: the YARN ResourceManager ordered a shutdown", ipc.ErrApplicationAttemptNotFound)

// beat makes one call: a registration or a heartbeat.
func (s *Session) beat(ctx context.Context) error {
	if !s.books.registered {
		return s.register(ctx)
	}
	resp, err := s.cfg.Client.Allocate(ctx, s.books.request())
	switch {
	case errors.Is(err, ipc.ErrApplicationMasterNotRegistered):
		s.forgotten(err)
		return nil
	case errors.Is(err, ipc.ErrInvalidResourceRequest):
		s.emit(s.books.refused(err)...)
		return nil
	case err != nil:
		return err
	case resp.Command == CommandResync:
		s.forgotten(errors.New("the YARN ResourceManager ordered a resync"))
		return nil
	}
	s.emit(s.books.replied(resp)...)
	if resp.Command == CommandShutdown {
		return errCommanded
	}
	return nil
}

func (s *Session) forgotten(cause error) {
	s.cfg.Log.Debug("register again with YARN", "cause", cause)
	s.books.forgotten()
}

func (s *Session) register(ctx context.Context) error {
	resp, err := s.cfg.Client.Register(ctx, s.cfg.Registration)
	if errors.Is(err, ipc.ErrInvalidApplicationMasterRequest) {
		// An earlier try had arrived, only its reply had not.
		resp, err = nil, nil
	}
	if err != nil {
		return err
	}
	s.emit(s.books.joined(resp)...)
	return nil
}

// rest waits until the next heartbeat is due, or there is something to say.
func (s *Session) rest(ctx context.Context) error {
	started := time.Now()
	for {
		finishing := s.drain() != nil
		if finishing || !s.books.registered || s.books.dirty() {
			return ctx.Err()
		}
		interval := s.cfg.SlowInterval
		if s.books.pending() || time.Now().Before(s.hurry) {
			interval = s.cfg.FastInterval
		}
		left := interval - time.Since(started)
		if left <= 0 {
			return ctx.Err()
		}
		if err := s.sleep(ctx, left); err != nil {
			return err
		}
	}
}

// backOff waits after a failure, longer from time to time. Only Finish cuts it
// short: new wants would meet the same failure.
func (s *Session) backOff(ctx context.Context, cause error) error {
	s.failures++
	s.emit(CallFailed{Err: cause, Failures: s.failures})
	wait := s.cfg.MaxBackoff
	if shift := s.failures - 1; shift < 20 {
		wait = min(wait, s.cfg.MinBackoff<<shift)
	}
	until := time.Now().Add(wait)
	for left := wait; left > 0; left = time.Until(until) {
		if err := s.sleep(ctx, left); err != nil {
			return err
		}
		if s.drain() != nil {
			return nil
		}
	}
	return nil
}

// sleep waits for d, a message in the inbox, or the end of ctx.
func (s *Session) sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-s.wake:
	case <-t.C:
	}
	return nil
}

// unregister repeats finishApplicationMaster until YARN confirms it.
func (s *Session) unregister(ctx context.Context, f *finish) error {
	err := s.tryUnregister(ctx, f)
	f.done <- err
	return err
}

func (s *Session) tryUnregister(ctx context.Context, f *finish) error {
	accepted := false // a try may have arrived
	for {
		done, err := s.cfg.Client.Finish(ctx, f.status, f.diagnostics, f.trackingURL)
		gone := err != nil && s.fatal(err)
		switch {
		case done:
			return nil
		case gone && accepted:
			return nil // YARN has forgotten the attempt because it ended
		case gone:
			s.emit(ShutdownRequested{err})
			return fmt.Errorf("unregister the application master: %w: %w", ErrShutdown, err)
		case errors.Is(err, ipc.ErrApplicationMasterNotRegistered):
			s.forgotten(err)
			err = s.register(ctx)
		case err == nil:
			accepted, s.failures = true, 0
		case errors.Is(err, ipc.ErrConnectionLost) || errors.Is(err, context.DeadlineExceeded):
			accepted = true
		}
		wait := finishInterval
		if err != nil {
			s.failures++
			s.emit(CallFailed{Err: err, Failures: s.failures})
			wait = min(s.cfg.MaxBackoff, s.cfg.MinBackoff<<min(s.failures-1, 20))
		}
		if err := pause(ctx, wait); err != nil {
			return fmt.Errorf("unregister the application master: %w", err)
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
