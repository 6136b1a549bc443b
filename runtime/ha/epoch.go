package ha

import (
	"context"
	"errors"
	"fmt"
)

// maxGarbage bounds the superseded records that a failing store makes an Epoch remember. What is dropped here is
// removed by the next Acquire.
const maxGarbage = 1024

// Epoch is the right to append to a Log, until somebody takes a newer one. It is safe for concurrent use; appends take
// effect one after the other.
type Epoch struct {
	where string

	// turn holds one token: whoever has it may use the fields below. A channel and not a mutex, so that a caller whose
	// ctx ends need not wait for a slow store.
	turn    chan struct{}
	store   epochStore
	current map[identity]string
	garbage []string
	fenced  bool
}

func newEpoch(es epochStore, where string, current []entry, superseded []string) *Epoch {
	e := &Epoch{
		where: where, turn: make(chan struct{}, 1),
		store: es, current: make(map[identity]string, len(current)), garbage: superseded,
	}
	for _, c := range current {
		e.current[c.identity()] = c.ref
	}
	e.turn <- struct{}{}
	return e
}

// Number is the epoch's number: higher than that of every epoch that was sealed when this one was taken.
func (e *Epoch) Number() uint64 { return e.store.number() }

// Append adds a record durably. When it returns nil, every later Acquire returns the record or one that supersedes it.
// It returns ErrFenced, now and from then on, once a newer epoch exists. After any other error the outcome is unknown:
// append the same record again, or give the epoch up.
func (e *Epoch) Append(ctx context.Context, r Record) error {
	if len(r.Payload) > MaxPayload || len(r.Key) > MaxKey {
		return fmt.Errorf("append %s record to high-availability log: key of %d bytes (at most %d), payload of %d (at most %d): %w",
			r.Kind, len(r.Key), MaxKey, len(r.Payload), MaxPayload, ErrTooLarge)
	}
	err := e.exclusively(ctx, func() error {
		ref, err := e.store.append(ctx, r)
		if err != nil {
			return err
		}
		if old, ok := e.current[r.identity()]; ok && old != ref {
			e.garbage = append(e.garbage, old)
		}
		e.current[r.identity()] = ref
		e.discard(ctx)
		return nil
	})
	if err != nil {
		return fmt.Errorf("append %s record %q to high-availability log %s, epoch %d: %w",
			r.Kind, r.Key, e.where, e.Number(), err)
	}
	return nil
}

// Check returns ErrFenced once a newer epoch exists, nil if there was none during the call, and another error if that
// can't be told. It is a way to learn early; only Append is a fence.
func (e *Epoch) Check(ctx context.Context) error {
	if err := e.exclusively(ctx, func() error { return e.store.check(ctx) }); err != nil {
		return fmt.Errorf("check epoch %d of high-availability log %s: %w", e.Number(), e.where, err)
	}
	return nil
}

func (e *Epoch) exclusively(ctx context.Context, f func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-e.turn:
		defer func() { e.turn <- struct{}{} }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if e.fenced {
		return ErrFenced
	}
	err := f()
	if errors.Is(err, ErrFenced) {
		e.fenced = true
	}
	return err
}

// discard removes superseded records. Failure costs room and nothing else: what remains is tried again at the next
// append and removed by the next epoch. It is called with the turn, or before the Epoch is handed out.
func (e *Epoch) discard(ctx context.Context) {
	kept := e.garbage[:0]
	for _, ref := range e.garbage {
		if err := e.store.discard(ctx, ref); err != nil {
			kept = append(kept, ref)
		}
	}
	if len(kept) > maxGarbage {
		kept = kept[len(kept)-maxGarbage:]
	}
	e.garbage = kept
}
