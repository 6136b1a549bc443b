// Package console prints records to the standard output of the process that a subtask runs in: the program itself locally,
// the log directory of a TaskManager's container on a cluster.
package console

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"

	"github.com/weftstream/weft/stream"
)

// Print prints each record on a line, as fmt.Println does. With more than one subtask the line begins with the number of
// the subtask from 1, "2> ", as Flink's print does. Lines are written whole, whatever else the process prints.
func Print[T any]() stream.Sink[T] { return To[T](os.Stdout) }

// To prints to w. All sinks of a process that print to the same w take turns.
func To[T any](w io.Writer) stream.Sink[T] { return sink[T]{w} }

// mu keeps lines of different subtasks apart.
var mu sync.Mutex

type sink[T any] struct{ w io.Writer }

func (sink[T]) String() string                         { return "Print to Std. Out" }
func (sink[T]) Commits() bool                          { return false }
func (sink[T]) Commit(*stream.Runtime, [][]byte) error { return nil }

func (s sink[T]) Open(rt *stream.Runtime) (stream.SinkWriter[T], error) {
	w := &writer[T]{out: bufio.NewWriterSize(locked(s), 32<<10)}
	if rt.Parallelism > 1 {
		w.prefix = strconv.Itoa(rt.Subtask+1) + "> "
	}
	return w, nil
}

// locked writes under mu.
type locked struct{ w io.Writer }

func (l locked) Write(p []byte) (int, error) {
	mu.Lock()
	defer mu.Unlock()
	return l.w.Write(p)
}

type writer[T any] struct {
	out    *bufio.Writer
	prefix string
	line   []byte
}

func (w *writer[T]) Write(v *T, _ stream.Time) error {
	w.line = append(w.line[:0], w.prefix...)
	switch x := any(v).(type) {
	case *string:
		w.line = append(w.line, *x...)
	default:
		w.line = fmt.Append(w.line, *v)
	}
	w.line = append(w.line, '\n')
	if w.out.Available() < len(w.line) {
		if err := w.out.Flush(); err != nil {
			return fmt.Errorf("print: %w", err)
		}
	}
	if _, err := w.out.Write(w.line); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}

// EndBatch shows what was printed: people wait for it.
func (w *writer[T]) EndBatch() error {
	if err := w.out.Flush(); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}

func (w *writer[T]) Flush() ([][]byte, error) { return nil, w.EndBatch() }
