package rest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// maxOperations bounds the operations that are under way or remembered.
const maxOperations = 1000

// errUnknownOperation is answered with 404, as by Flink.
var errUnknownOperation = &failure{status: http.StatusNotFound, message: "Operation not found: it was never triggered, or its result has expired"}

// operations are what was triggered and takes its time: each runs in a goroutine of its own, and its outcome is kept for a
// while. Triggering one again with the same id is no second one. Safe for concurrent use.
type operations struct {
	keep time.Duration
	now  func() time.Time
	ctx  context.Context // of the operations; ends with close
	stop context.CancelFunc
	wg   sync.WaitGroup

	mu     sync.Mutex
	all    map[string]*operation
	unread chan struct{} // closed and replaced when an outcome is read for the first time
}

type operation struct {
	ended  chan struct{} // closed when done
	done   bool
	read   bool
	result any
	err    error
	end    time.Time
}

func newOperations(keep time.Duration, now func() time.Time) *operations {
	o := &operations{keep: keep, now: now, all: map[string]*operation{}, unread: make(chan struct{})}
	o.ctx, o.stop = context.WithCancel(context.Background())
	return o
}

// start begins an operation, unless the one of that kind and id has begun already. "" is a new id.
func (o *operations) start(kind, id string, run func(context.Context) (any, error)) (string, error) {
	if id == "" {
		var b [16]byte
		rand.Read(b[:]) // never fails
		id = hex.EncodeToString(b[:])
	}
	id = strings.ToLower(id)
	if b, err := hex.DecodeString(id); err != nil || len(b) != 16 {
		return "", badRequest("triggerId is %q; it takes 32 hex digits", id)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.prune()
	key := kind + "/" + id
	switch {
	case o.all[key] != nil:
		return id, nil
	case o.ctx.Err() != nil:
		return "", unavailable("the JobManager is shutting down")
	case len(o.all) >= maxOperations:
		return "", unavailable("%d operations are under way or wait to be asked for; try again later", len(o.all))
	}
	op := &operation{ended: make(chan struct{})}
	o.all[key] = op
	o.wg.Go(func() {
		result, err := run(o.ctx)
		o.mu.Lock()
		defer o.mu.Unlock()
		op.done, op.result, op.err, op.end = true, result, err, o.now()
		close(op.ended)
	})
	return id, nil
}

func (o *operations) prune() {
	for key, op := range o.all {
		if op.done && o.now().Sub(op.end) > o.keep {
			delete(o.all, key)
		}
	}
}

// look says how far an operation is; err is its own, or errUnknownOperation.
func (o *operations) look(kind, id string) (done bool, result any, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.prune()
	op := o.all[kind+"/"+strings.ToLower(id)]
	switch {
	case op == nil:
		return false, nil, errUnknownOperation
	case op.done && !op.read:
		op.read = true
		close(o.unread)
		o.unread = make(chan struct{})
	}
	return op.done, op.result, op.err
}

// await waits for the end of an operation, or of ctx.
func (o *operations) await(ctx context.Context, kind, id string) {
	o.mu.Lock()
	op := o.all[kind+"/"+strings.ToLower(id)]
	o.mu.Unlock()
	if op == nil {
		return
	}
	select {
	case <-op.ended:
	case <-ctx.Done():
	}
}

// drain waits until every outcome has been asked for, or until ctx ends.
func (o *operations) drain(ctx context.Context) error {
	for {
		o.mu.Lock()
		left := 0
		for _, op := range o.all {
			if !op.read {
				left++
			}
		}
		changed := o.unread
		o.mu.Unlock()
		if left == 0 {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%d operations were not asked for: %w", left, errors.Join(ctx.Err()))
		}
	}
}

// close ends what runs and waits for it.
func (o *operations) close() {
	o.stop()
	o.wg.Wait()
}
