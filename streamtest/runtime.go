package streamtest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/weftstream/weft/filesystem"
	"github.com/weftstream/weft/operator"
	"github.com/weftstream/weft/stream"
)

// NewRuntime makes the Runtime of a subtask (-1: of the coordinator) of an operator with that many subtasks, for testing a
// Source or Sink alone. It knows the local file system.
func NewRuntime(t testing.TB, subtask, parallelism int) *stream.Runtime {
	t.Helper()
	files, err := filesystem.NewSet(filesystem.SetConfig{})
	if err != nil {
		t.Fatal(err)
	}
	return stream.NewRuntime(&operator.Env{Job: "0123456789abcdef0123456789abcdef", JobName: t.Name(), Name: "test", Subtask: subtask, Parallelism: parallelism,
		MaxParallelism: operator.DefaultMaxParallelism(parallelism), BatchSize: 64, Runtime: &lone{t: t, counters: map[string]*operator.Counter{}}}, files)
}

// lone is a runtime without a task around it.
type lone struct {
	t        testing.TB
	mu       sync.Mutex // guards counters
	counters map[string]*operator.Counter
}

func (l *lone) Context() context.Context              { return l.t.Context() }
func (l *lone) Output(string) operator.Input          { return operator.Drop{} }
func (l *lone) Now() int64                            { return time.Now().UnixMilli() }
func (l *lone) WakeAt(int64)                          {}
func (l *lone) Wake()                                 {}
func (l *lone) Ask([]byte, func([]byte, error) error) {}
func (l *lone) Mail(func() error) (post func())       { return func() {} }
func (l *lone) Hold(bool)                             {}
func (l *lone) Protect(f func() error) error          { return f() }

func (l *lone) Counter(name string) *operator.Counter {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.counters[name] == nil {
		l.counters[name] = &operator.Counter{}
	}
	return l.counters[name]
}
