package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/weftstream/weft/filesystem"
	"github.com/weftstream/weft/operator"
)

// Runtime tells user code where it runs. One belongs to one subtask (or to one coordinator) of one operator.
type Runtime struct {
	// Subtask is the index of the subtask, 0 <= Subtask < Parallelism; -1 in a coordinator.
	Subtask, Parallelism int

	env      *operator.Env
	files    *filesystem.Set
	restored bool
	state    *keyedState     // nil where state has no key to belong to
	operator *operatorStates // nil where there is no process function
	errs     []error         // mistakes made in open
}

// runtime makes the Runtime of an operator instance of e's graph.
func (e *Env) runtime(env *operator.Env) *Runtime {
	return &Runtime{Subtask: env.Subtask, Parallelism: env.Parallelism, env: env, files: e.files, restored: env.Snapshot != nil}
}

// NewRuntime makes a Runtime by hand, for testing a Source or Sink without a job. Package streamtest has a simpler way.
func NewRuntime(env *operator.Env, files *filesystem.Set) *Runtime {
	return (&Env{files: files}).runtime(env)
}

// Counter is a number that only grows. Safe for concurrent use.
type Counter = operator.Counter

// Restored says, on a coordinator task, that the job starts from a checkpoint or savepoint, its own or another's.
func (rt *Runtime) Restored() bool { return rt.restored }

// Counter returns the operator's counter of that name: a metric, and summed over all subtasks and operators into Result.
func (rt *Runtime) Counter(name string) *Counter { return rt.env.Runtime.Counter(name) }

// Context ends when the subtask is cancelled or ends.
func (rt *Runtime) Context() context.Context { return rt.env.Runtime.Context() }

// Log has job, operator and subtask bound.
func (rt *Runtime) Log() *slog.Logger {
	if rt.env.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return rt.env.Log
}

// Job is the job's id in hex.
func (rt *Runtime) Job() string { return rt.env.Job }

// Operator is the operator's name.
func (rt *Runtime) Operator() string { return rt.env.Name }

// Attempt counts the executions of this subtask under one JobManager, from 0. Together with Epoch it says which of two
// executions is the later one.
func (rt *Runtime) Attempt() int { return rt.env.Attempt }

// Epoch is the number of the JobManager that the subtask or coordinator runs under: with high availability a newer one has a
// higher number. One that has lost the lead, and what runs under it, may live on for a while without knowing: whatever user
// code removes or overwrites outside must not be that of a higher epoch.
func (rt *Runtime) Epoch() uint64 { return rt.env.Epoch }

// Now is the processing time. It is not for coordinators.
func (rt *Runtime) Now() Time { return Time(rt.env.Runtime.Now()) }

// Wake makes a source reader that had nothing to read be polled again at once. Safe for concurrent use.
func (rt *Runtime) Wake() { rt.env.Runtime.Wake() }

// Files are the file systems that this process knows: file: and hdfs:.
func (rt *Runtime) Files() *filesystem.Set { return rt.files }

func (rt *Runtime) fail(format string, args ...any) {
	rt.errs = append(rt.errs, fmt.Errorf(format, args...))
}

// opened is the error of an open function that used rt.
func (rt *Runtime) opened() error {
	if err := errors.Join(rt.errs...); err != nil {
		return fmt.Errorf("open %q: %w", rt.env.Name, err)
	}
	return nil
}

// Permanent marks an error of a source, sink or function that another attempt would only meet again: the job fails instead of
// being restarted from its latest checkpoint. The text stays as it is; nil stays nil.
func Permanent(err error) error { return operator.Permanent(err) }
