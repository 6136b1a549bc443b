package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weftstream/weft/bench/gen"
	"github.com/weftstream/weft/connector/datagen"
	"github.com/weftstream/weft/connector/discard"
	"github.com/weftstream/weft/stream"
)

// pair is a record of 16 bytes.
type pair struct{ A, B int64 }

// exchange sends records from one subtask to another, in a slot of its own.
var exchange = stream.Define("exchange", func(env *stream.Env, p params) error {
	env.Parallelism(1)
	made := stream.From(env, datagen.New(p.Records, func(rt *stream.Runtime) func(int64) pair {
		produces(rt, p.Marker)
		return func(i int64) pair { return pair{i, i ^ 0x55} }
	})).SlotGroup("producer")
	made.Rebalance().To(collector[pair]{p.Marker, func() measure[pair] { return &rate{} }}).SlotGroup("consumer")
	return nil
})

// stamped is a record and when it was made, in Unix nanoseconds.
type stamped struct{ At, Key int64 }

// latency sends records through a keyed exchange.
var latency = stream.Define("latency", func(env *stream.Env, p params) error {
	env.Parallelism(1)
	made := stream.From(env, datagen.New(p.Records, func(rt *stream.Runtime) func(int64) stamped {
		produces(rt, p.Marker)
		return func(i int64) stamped { return stamped{time.Now().UnixNano(), i % p.Keys} }
	}, datagen.Rate(p.Rate))).SlotGroup("producer")
	stream.KeyBy(made, func(s stamped) int64 { return s.Key }).Reduce(func(_, b stamped) stamped { return b }).SlotGroup("consumer").
		To(collector[stamped]{p.Marker, func() measure[stamped] { return &delays{skip: int(p.Records / 5)} }}).SlotGroup("consumer")
	return nil
})

// produces writes the id of this process to the file "producer".
func produces(rt *stream.Runtime, dir string) {
	if err := put(dir, "producer", strconv.Itoa(os.Getpid())); err != nil {
		rt.Log().Error("the producer's process id is not written", "error", err)
	}
}

// measure sees the records of one subtask and says at the end what it made of them.
type measure[T any] interface {
	write(v *T)
	result() string
}

// collector writes the id of its process and the result of a measure to the file "result".
type collector[T any] struct {
	dir  string
	open func() measure[T]
}

func (c collector[T]) Open(*stream.Runtime) (stream.SinkWriter[T], error) {
	return &collecting[T]{c.dir, c.open()}, nil
}
func (c collector[T]) Commit(*stream.Runtime, [][]byte) error { return nil }
func (c collector[T]) Commits() bool                          { return false }

type collecting[T any] struct {
	dir string
	m   measure[T]
}

func (w *collecting[T]) Write(v *T, _ stream.Time) error {
	w.m.write(v)
	return nil
}

func (w *collecting[T]) Flush() ([][]byte, error) { return nil, nil }
func (w *collecting[T]) Close() error {
	return put(w.dir, "result", strconv.Itoa(os.Getpid())+" "+w.m.result())
}

// rate is records per second, taken from the first hundredth on.
type rate struct {
	n, from int64
	began   time.Time
}

func (r *rate) write(*pair) {
	if r.n++; r.n == 1_000_000 {
		r.began, r.from = time.Now(), r.n
	}
}

func (r *rate) result() string {
	return fmt.Sprintf("%d", int64(float64(r.n-r.from)/time.Since(r.began).Seconds()))
}

// delays are the times from making a record to its arrival, without those of the first records.
type delays struct {
	skip int
	of   []int64 // nanoseconds
}

func (d *delays) write(v *stamped) { d.of = append(d.of, time.Now().UnixNano()-v.At) }

// result is the median, the 99th and the 99.9th percentile, and the maximum, in microseconds.
func (d *delays) result() string {
	of := d.of[min(d.skip, len(d.of)-1):]
	slices.Sort(of)
	at := func(p float64) int64 { return of[int(float64(len(of)-1)*p)] / 1000 }
	return fmt.Sprintf("%d %d %d %d", at(.5), at(.99), at(.999), at(1))
}

// event is a record of the state job.
type event struct{ Key, Value int64 }

// row is the value of a key.
type row [10]int64

// state makes each key once and then random ones.
var state = stream.Define("state", func(env *stream.Env, p params) error {
	env.Parallelism(p.Parallelism)
	made := stream.From(env, datagen.New(p.Records, func(rt *stream.Runtime) func(int64) event {
		random := gen.New(rt.Subtask)
		return func(i int64) event {
			key := i
			if i >= p.Keys {
				key = int64(random.Below(uint64(p.Keys)))
			}
			return event{key, i}
		}
	}, datagen.Rate(p.Rate)))
	stream.Process(stream.KeyBy(made, func(e event) int64 { return e.Key }), func(rt *stream.Runtime) *rows {
		return &rows{dir: p.Marker, name: fmt.Sprintf("pauses-%d", rt.Subtask), row: stream.ValueState[row](rt, "row"), last: time.Now()}
	}).To(discard.Sink[int64]())
	return nil
})

// rows rewrites the values, and notes the longest time between two records in each tenth of a second.
type rows struct {
	dir, name string
	row       *stream.Value[row]
	last      time.Time
	longest   time.Duration
	tenth     int64 // Unix time of the present one, in tenths of a second
	pauses    strings.Builder
	written   int64
}

func (r *rows) Element(_ *stream.Context[int64, int64], e event) error {
	r.row.Update(func(v *row) {
		for i := range v {
			v[i] += e.Value
		}
	})
	now := time.Now()
	r.longest = max(r.longest, now.Sub(r.last))
	r.last = now
	if t := now.UnixMilli() / 100; t != r.tenth {
		fmt.Fprintf(&r.pauses, "%d %d\n", r.tenth, r.longest.Microseconds())
		r.tenth, r.longest = t, 0
		r.written++
	}
	return nil
}

// Close writes a line for each tenth of a second: when, and its longest pause in microseconds.
func (r *rows) Close() error { return put(r.dir, r.name, r.pauses.String()) }

// slow has a consumer that waits a millisecond behind every ten records.
var slow = stream.Define("slow", func(env *stream.Env, p params) error {
	env.Parallelism(p.Parallelism)
	made := stream.From(env, datagen.New(p.Records, func(*stream.Runtime) func(int64) event {
		return func(i int64) event { return event{i % p.Keys, i} }
	}))
	stream.Process(stream.KeyBy(made, func(e event) int64 { return e.Key }), func(rt *stream.Runtime) *waits {
		return &waits{n: stream.ValueState[int64](rt, "n")}
	}).To(discard.Sink[int64]())
	return nil
})

// waits counts the records of a key.
type waits struct {
	n    *stream.Value[int64]
	seen int
}

func (w *waits) Element(_ *stream.Context[int64, int64], e event) error {
	w.n.Update(func(n *int64) { *n++ })
	if w.seen++; w.seen%10 == 0 {
		time.Sleep(time.Millisecond)
	}
	return nil
}
