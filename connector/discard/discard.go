// Package discard is the sink that drops every record, for measuring what comes before it.
package discard

import "github.com/weftstream/weft/stream"

// Sink drops every record.
func Sink[T any]() stream.Sink[T] { return sink[T]{} }

type sink[T any] struct{}

func (sink[T]) String() string                                     { return "Discard" }
func (sink[T]) Commits() bool                                      { return false }
func (sink[T]) Open(*stream.Runtime) (stream.SinkWriter[T], error) { return sink[T]{}, nil }
func (sink[T]) Commit(*stream.Runtime, [][]byte) error             { return nil }
func (sink[T]) Write(*T, stream.Time) error                        { return nil }
func (sink[T]) Flush() ([][]byte, error)                           { return nil, nil }
