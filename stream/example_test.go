package stream_test

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/weftstream/weft/stream"
	"github.com/weftstream/weft/streamtest"
)

type wordCount struct {
	Word string
	N    int64
}

// A job is a value at package level; a program's main hands its driver function to stream.Main, a test runs the job on
// a driver of its own.
func ExampleDefine() {
	results := streamtest.Collect[wordCount]()
	job := stream.Define("example-words", func(env *stream.Env, lines []string) error {
		words := stream.FlatMap(stream.From(env, streamtest.From(lines...)), func(line string, emit func(wordCount)) {
			for _, w := range strings.Fields(line) {
				emit(wordCount{w, 1})
			}
		})
		stream.KeyBy(words, func(c wordCount) string { return c.Word }).
			Window(stream.AtEnd()).
			Reduce(func(a, b wordCount) wordCount { a.N += b.N; return a }).
			To(results)
		return nil
	})

	driver := stream.NewLocalDriver(stream.LocalOptions{})
	defer driver.Close()
	if _, err := job.Run(context.Background(), driver, []string{"to be or", "not to be"}); err != nil {
		fmt.Println(err)
	}
	counts := results.Records()
	slices.SortFunc(counts, func(a, b wordCount) int { return cmp.Compare(a.Word, b.Word) })
	for _, c := range counts {
		fmt.Println(c.Word, c.N)
	}
	// Output:
	// be 2
	// not 1
	// or 1
	// to 2
}

type sample struct {
	Sensor string
	Value  int64
	At     stream.Time
}

type mean struct{ Sum, N int64 }

// Event time comes from the records; a window fires when the watermark has passed its end.
func ExampleAggregate() {
	results := streamtest.Collect[string]()
	job := stream.Define("example-means", func(env *stream.Env, _ struct{}) error {
		readings := stream.From(env, streamtest.From(
			sample{"a", 10, 1_000}, sample{"a", 30, 59_000}, sample{"a", 7, 61_000}, sample{"a", 20, 30_000})).
			Timestamps(func(r sample) stream.Time { return r.At }, stream.OutOfOrder(time.Minute))
		stream.Aggregate(stream.KeyBy(readings, func(r sample) string { return r.Sensor }).Window(stream.Tumbling(time.Minute)),
			func(m *mean, r sample) { m.Sum += r.Value; m.N++ },
			func(p stream.Pane[string], m *mean) string {
				return fmt.Sprintf("%s from %d s: mean of %d readings is %d", p.Key, p.Start/1000, m.N, m.Sum/m.N)
			}).To(results)
		return nil
	})

	driver := stream.NewLocalDriver(stream.LocalOptions{})
	defer driver.Close()
	if _, err := job.Run(context.Background(), driver, struct{}{}); err != nil {
		fmt.Println(err)
	}
	for _, line := range slices.Sorted(slices.Values(results.Records())) {
		fmt.Println(line)
	}
	// Output:
	// a from 0 s: mean of 3 readings is 20
	// a from 60 s: mean of 1 readings is 7
}

// Where a source's records tell their time, the source gets it with From: each of its splits has a watermark of its own.
func ExampleEventTime() {
	results := streamtest.Collect[string]()
	job := stream.Define("example-event-time", func(env *stream.Env, _ struct{}) error {
		source := streamtest.From(sample{"a", 10, 1_000}, sample{"a", 7, 61_000}, sample{"a", 20, 59_000})
		readings := stream.From(env, source, stream.EventTime(func(r sample) stream.Time { return r.At },
			stream.OutOfOrder(5*time.Second), stream.Idle(time.Minute)))
		stream.KeyBy(readings, func(r sample) string { return r.Sensor }).
			Window(stream.Tumbling(time.Minute)).
			Reduce(func(a, b sample) sample { a.Value += b.Value; return a }).
			To(streamtest.Collect[sample]())
		stream.Map(readings, func(r sample) string { return fmt.Sprint(r.Sensor, r.Value) }).To(results)
		return nil
	})

	driver := stream.NewLocalDriver(stream.LocalOptions{})
	defer driver.Close()
	if _, err := job.Run(context.Background(), driver, struct{}{}); err != nil {
		fmt.Println(err)
	}
	fmt.Println(slices.Sorted(slices.Values(results.Records())))
	// Output:
	// [a10 a20 a7]
}
