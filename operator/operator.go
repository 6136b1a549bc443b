package operator

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"
)

// ErrCancelled is returned by Writer and Runtime calls of a subtask that is being cancelled; an operator passes it on.
var ErrCancelled = errors.New("subtask cancelled")

// Permanent marks an error that another attempt would only meet again, such as output that exists: the job fails instead of
// being restarted. The text stays as it is; nil stays nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return permanent{err}
}

// IsPermanent says whether err, or one that it wraps, was marked by Permanent.
func IsPermanent(err error) bool {
	var p permanent
	return errors.As(err, &p)
}

type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// ID identifies an operator or a vertex: 16 bytes, shown as 32 lower-case hex digits.
type ID [16]byte

// String returns the 32 hex digits.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// ParseID reads what String wrote.
func ParseID(s string) (ID, error) {
	var id ID
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(id) {
		return id, fmt.Errorf("parse id %q: want 32 hex digits", s)
	}
	copy(id[:], b)
	return id, nil
}

// Input is the head of an operator or of a chain; it is also what an operator emits to.
type Input interface {
	// Batch processes the records of b; the watermark in b is not looked at. See the package comment for who owns b.
	Batch(b Batch) error
	// Watermark says that event time has reached t; t only grows, except that IdleWatermark may come between, and the last
	// t again after it.
	Watermark(t int64) error
	// End says that the bounded input is complete. Watermark(MaxWatermark) was called before it.
	End() error
}

// Operator is one instance of an operator in one subtask.
type Operator interface {
	// Input returns input i (0 for one-input operators); nil for sources.
	Input(i int) Input
	// ProcessingTime is called at or soon after the time last asked for by Runtime.WakeAt, with the current time.
	ProcessingTime(now int64) error
	// Close releases what the operator holds. It is called once, after End or when the subtask fails or is cancelled.
	Close() error
}

// Source is an operator without inputs; the subtask calls Poll in its loop between mails.
type Source interface {
	Operator
	// Poll reads at most one batch and emits it to the output. It does not block. wait is how long the subtask may sleep
	// before it polls again (0: at once; Runtime.Wake ends the sleep early). ended says that no more will come; Poll is
	// not called again and the subtask sends Watermark(MaxWatermark) and End down the chain itself.
	Poll() (wait time.Duration, ended bool, err error)
}

// Committer is an operator whose output becomes visible by a commit: a sink. At the barrier of a checkpoint and after End
// the subtask hands Committables, opaque to the runtime, to the JobMaster, which records them (in the checkpoint, or at
// the end of the job in the epoch log) and then has the operator's coordinator commit them.
type Committer interface {
	// Committables makes everything written since the last call durable and describes it. It is called before Snapshot.
	Committables() ([][]byte, error)
}

// Coordinator is job-wide user code of one operator (split assignment, global commit). It runs once per job, in one task
// host, outside of slots. Its methods are called one at a time.
type Coordinator interface {
	// Handle answers a request that the operator's subtask sent with Runtime.Ask.
	Handle(subtask int, request []byte) ([]byte, error)
	// Lost says that subtask was lost and will run again: what it was assigned since the last checkpoint is given back.
	Lost(subtask int) error
	// Commit makes committables visible. It is idempotent: after a failure it is called again with the same ones.
	Commit(committables [][]byte) error
	// Snapshot is the coordinator's state, taken before the source barriers of a checkpoint; answers given after it reach
	// the subtasks behind the barrier. It is what Env.Snapshot holds when the coordinator is made again.
	Snapshot(checkpoint int64) ([]byte, error)
	// Close releases what the coordinator holds.
	Close() error
}

// Finisher is a Coordinator that wants to know that the job has finished: Finish is called behind the last Commit, and not
// at all for a job that fails, is cancelled or is stopped.
type Finisher interface {
	Finish() error
}

// Factory makes the instance of an operator for one subtask. It may emit nothing yet.
type Factory func(env *Env) (Operator, error)

// CoordinatorFactory makes an operator's coordinator. env.Subtask is -1.
type CoordinatorFactory func(env *Env) (Coordinator, error)

// Env is what an operator instance is told about its place, and its way to the runtime.
type Env struct {
	// Job is the job's id in hex, JobName its name.
	Job, JobName string
	// ID, Name: the operator's.
	ID   ID
	Name string
	// Subtask is the index of the subtask, 0 <= Subtask < Parallelism.
	Subtask, Parallelism, MaxParallelism int
	// Epoch numbers the JobManagers under which the job has run, in their order; there may be gaps.
	Epoch uint64
	// Attempt counts executions of the subtask under this JobManager, from 0.
	Attempt int
	// BatchSize is the number of records after which a batch is handed on.
	BatchSize int
	// WatermarkInterval is pipeline.auto-watermark-interval in milliseconds; 0: never.
	WatermarkInterval int64
	// Batch says that the job is executed as a batch: the only watermark is the one at the end of the input, before which
	// nothing is emitted for the sake of time alone. WakeAt has no effect; what waits for a processing time is due with
	// that watermark.
	Batch bool
	// Log has job, operator and subtask bound.
	Log *slog.Logger
	// CachedFiles are the local copies of the job's cached files, by name; shared, and not to be changed.
	CachedFiles map[string]string
	// Store is where keyed state goes that doesn't fit into memory; nil where it must fit, and for coordinators.
	Store StateStore
	// Runtime is nil for coordinators, except for its Context and Counter.
	Runtime Runtime
	// Snapshot is for coordinators: what Coordinator.Snapshot returned at the checkpoint to start from, nil at first.
	Snapshot []byte
	// CommitsOnly is for coordinators: all subtasks have finished, and the last commits are all that is left to do.
	CommitsOnly bool
}

// Runtime is what a subtask offers to its operators.
type Runtime interface {
	// Context ends when the subtask is cancelled or ends.
	Context() context.Context
	// Output is where records for tag go ("" is the main output). Without a consumer they are dropped.
	Output(tag string) Input
	// Now is the processing time in Unix milliseconds.
	Now() int64
	// WakeAt asks for Operator.ProcessingTime at or after t; an earlier t replaces a later one. In a batch (Env.Batch) it
	// does nothing.
	WakeAt(t int64)
	// Wake ends the wait of Source.Poll; safe for concurrent use.
	Wake()
	// Ask sends request to the operator's coordinator; reply runs in the subtask's mailbox.
	Ask(request []byte, reply func(response []byte, err error) error)
	// Mail is the way back into the subtask's goroutine for an operator that has goroutines of its own. post has do run
	// there, between two batches and when there is room for output; posts before that count as one, so that nothing
	// piles up. An error of do fails the subtask. post doesn't block, is safe for concurrent use, and does nothing once
	// the subtask has ended.
	Mail(do func() error) (post func())
	// Hold(true) keeps further input from the operator until Hold(false): none is taken, and a source isn't polled. Mails
	// and processing time go on, and so do barriers that overtake. It has no effect on the batch that is being delivered.
	Hold(on bool)
	// Protect calls f and turns a panic into an error that holds this goroutine's stack: for the goroutines of an
	// operator. Safe for concurrent use.
	Protect(f func() error) error
	// Counter returns the operator's counter of that name; counters of the same name are summed into the job's result.
	Counter(name string) *Counter
}

// Counter is a number that only grows. Safe for concurrent use.
type Counter struct{ n atomic.Int64 }

// Add adds n.
func (c *Counter) Add(n int64) { c.n.Add(n) }

// Value returns the count.
func (c *Counter) Value() int64 { return c.n.Load() }
