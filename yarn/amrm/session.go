package amrm

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/weftstream/weft/hadoop/ipc"
	"github.com/weftstream/weft/hadoop/records"
)

// ErrShutdown is returned by Run when YARN has ended the attempt: the process
// should exit without unregistering.
var ErrShutdown = errors.New("YARN ended the application attempt")

// ErrNotRunning is returned by Finish when Run has returned before it could
// unregister.
var ErrNotRunning = errors.New("the heartbeat is not running")

// finishInterval is the time between two tries to unregister, which YARN
// confirms only after it has stored the end of the application.
const finishInterval = 20 * time.Millisecond

// invalidTokens is how many refusals of the token in a row, on each address,
// are taken for final. One may be due to a YARN ResourceManager that is still
// recovering.
const invalidTokens = 3

// Session is an application master's standing with the YARN ResourceManager.
// Run does the work; the other methods may be called at any time and from any
// goroutine, and return without waiting for the network, except Finish.
type Session struct {
	cfg   SessionConfig
	wake  chan struct{} // capacity 1: something is in the inbox
	ended chan struct{} // closed when Run returns

	// The books and the counters belong to Run's goroutine.
	books    *books
	hurry    time.Time // until then heartbeats come at the fast interval
	failures int       // failed calls in a row
	invalid  int       // refusals of the token in a row

	mu    sync.Mutex // guards inbox and started; no call-outs while held
	inbox inbox
	ran   bool
}

// inbox holds what callers want changed. Of absolute values only the last one
// counts, so that it doesn't grow while the network is down.
type inbox struct {
	wants     []Want
	newWants  bool
	releases  []records.ContainerID
	blacklist []string
	newList   bool
	progress  float32
	newProg   bool
	hurry     time.Time
	finish    *finish
}

// finish is a request to unregister.
type finish struct {
	status      records.FinalStatus
	diagnostics string
	trackingURL string
	done        chan error // capacity 1
}

// NewSession checks the configuration and starts nothing.
func NewSession(cfg SessionConfig) (*Session, error) {
	if cfg.Client == nil {
		return nil, errors.New("create AMRM session: no client given")
	}
	cfg.setDefaults()
	if cfg.SlowInterval < cfg.FastInterval {
		return nil, fmt.Errorf("create AMRM session: the slow interval %s is below the fast interval %s",
			cfg.SlowInterval, cfg.FastInterval)
	}
	return &Session{
		cfg: cfg, wake: make(chan struct{}, 1), ended: make(chan struct{}), books: newBooks(),
	}, nil
}

// SetWants declares, for every kind of container, how many more are wanted than
// have been handed out by Allocated; kinds that are left out are not wanted. A
// change is sent at once. Containers that were granted while the caller made up
// its mind may make the count too high for a moment; the next SetWants corrects
// that, and what came too much is released.
func (s *Session) SetWants(wants []Want) error {
	if err := checkWants(wants); err != nil {
		return err
	}
	s.post(func(in *inbox) { in.wants, in.newWants = slices.Clone(wants), true })
	return nil
}

// Release gives containers back. Their end is reported by Completed. It doesn't
// stop their processes as quickly as a call to the NodeManager does.
func (s *Session) Release(ids ...records.ContainerID) {
	s.post(func(in *inbox) { in.releases = append(in.releases, ids...) })
}

// SetBlacklist declares all hosts on which no containers are wanted.
func (s *Session) SetBlacklist(hosts []string) {
	s.post(func(in *inbox) { in.blacklist, in.newList = slices.Clone(hosts), true })
}

// SetProgress sets what YARN shows as the application's progress, from 0 to 1.
// It is 1 at first and travels with the next heartbeat.
func (s *Session) SetProgress(progress float32) {
	s.post(func(in *inbox) { in.progress, in.newProg = progress, true })
}

// Hurry keeps heartbeats at the fast interval for d from now on. It is for what is awaited without being asked for: the
// start of granted containers, whose failure YARN tells with a heartbeat.
func (s *Session) Hurry(d time.Duration) {
	until := time.Now().Add(d)
	s.post(func(in *inbox) { in.hurry = until })
}

func (s *Session) post(change func(*inbox)) {
	s.mu.Lock()
	change(&s.inbox)
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default: // Run has not looked since the last one
	}
}

// Finish unregisters the application master: Run repeats the call until YARN
// has confirmed it, and then returns nil. Finish returns when that is done. If
// ctx ends first, Run goes on trying until its own context ends.
func (s *Session) Finish(ctx context.Context, status records.FinalStatus, diagnostics, trackingURL string) error {
	f := &finish{status, diagnostics, trackingURL, make(chan error, 1)}
	s.post(func(in *inbox) {
		if in.finish == nil {
			in.finish = f
		} else {
			f = in.finish
		}
	})
	select {
	case err := <-f.done:
		f.done <- err // for another caller
		return err
	case <-ctx.Done():
		return fmt.Errorf("unregister the application master: %w", ctx.Err())
	case <-s.ended:
	}
	select {
	case err := <-f.done:
		f.done <- err
		return err
	default:
		return fmt.Errorf("unregister the application master: %w", ErrNotRunning)
	}
}

// drain moves the inbox into the books. It returns the request to finish, which
// stays in the inbox.
func (s *Session) drain() *finish {
	s.mu.Lock()
	in := s.inbox
	s.inbox = inbox{finish: in.finish}
	s.mu.Unlock()
	if in.newWants {
		s.books.setWants(in.wants)
	}
	if in.newList {
		s.books.setBlacklist(in.blacklist)
	}
	if in.newProg {
		s.books.progress = in.progress
	}
	if in.hurry.After(s.hurry) {
		s.hurry = in.hurry
	}
	s.books.release(in.releases)
	return in.finish
}

func (s *Session) emit(events ...Event) {
	for _, e := range events {
		s.cfg.OnEvent(e)
	}
}

// fatal reports whether err ends the attempt, and counts refused tokens.
func (s *Session) fatal(err error) bool {
	if !errors.Is(err, ipc.ErrInvalidToken) {
		s.invalid = 0
	} else {
		s.invalid++
	}
	return s.invalid >= invalidTokens*len(s.cfg.Client.cfg.Addresses) ||
		errors.Is(err, ipc.ErrApplicationAttemptNotFound) ||
		// The response id is wrong: somebody else speaks for this attempt.
		errors.Is(err, ipc.ErrInvalidApplicationMasterRequest)
}
