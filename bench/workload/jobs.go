package workload

import (
	"strings"
	"time"

	"github.com/weftstream/weft/bench/bare"
	"github.com/weftstream/weft/bench/gen"
	"github.com/weftstream/weft/stream"
)

// ---- stateless ----

type numbers struct{ gen.Rand }

func (g *numbers) next(v *int64) { *v = int64(g.Next() >> 1) }

type sumNumbers struct{ tally }

func (w *sumNumbers) Write(v *int64, _ stream.Time) error {
	w.sum += uint64(*v)
	return nil
}

var stateless = stream.Define("stateless", func(env *stream.Env, p Params) error {
	env.Parallelism(p.Parallelism)
	s := stream.From(env, &source[int64]{p.Records, func(subtask int) generator[int64] { return &numbers{gen.New(subtask)} }})
	s = stream.Map(s, func(x int64) int64 { return x*31 + 7 }).Filter(func(x int64) bool { return x%2 == 0 })
	s = stream.Map(s, func(x int64) int64 { return x ^ int64(uint64(x)>>7) }).Filter(func(x int64) bool { return x%3 != 0 })
	stream.Map(s, func(x int64) int64 { return x + 1 }).
		To(sink[int64]{func(t tally) stream.SinkWriter[int64] { return &sumNumbers{t} }})
	return nil
})

// ---- wordcount ----

type lines struct {
	gen.Rand
	buf []byte
}

func (g *lines) next(v *string) {
	g.buf = g.AppendLine(g.buf[:0])
	*v = string(g.buf)
}

// Count is a word and how often it was seen.
type Count struct {
	Word string
	N    int64
}

type sumCounts struct{ tally }

func (w *sumCounts) Write(v *Count, _ stream.Time) error {
	w.sum += bare.WordSum(v.Word, v.N)
	return nil
}

// split emits the words of a line.
func split(line string, emit func(Count)) {
	line = strings.ToLower(line)
	for start := 0; start < len(line); {
		end := start
		for end < len(line) && bare.InWord(line[end]) {
			end++
		}
		if end > start {
			emit(Count{line[start:end], 1})
		}
		start = end + 1
	}
}

var wordcount = stream.Define("wordcount", func(env *stream.Env, p Params) error {
	env.Parallelism(p.Parallelism)
	text := stream.From(env, &source[string]{p.Records / gen.WordsPerLine,
		func(subtask int) generator[string] { return &lines{Rand: gen.New(subtask)} }})
	words := stream.FlatMap(text, split)
	stream.KeyBy(words, func(c Count) string { return c.Word }).
		Reduce(func(a, b Count) Count { a.N += b.N; return a }).
		To(sink[Count]{func(t tally) stream.SinkWriter[Count] { return &sumCounts{t} }})
	return nil
})

// ---- window ----

// Event is a record of the window workload.
type Event struct {
	gen.Event
	At stream.Time
}

type events struct {
	gen.Rand
	keys uint64
	made int64
}

func (g *events) next(v *Event) {
	v.Event, v.At = g.Rand.Event(g.keys), stream.Time(g.made/1000)
	g.made++
}

// Pane is a result of the window workload.
type Pane struct {
	Key, Count, Sum int64
	Start           stream.Time
}

type sumPanes struct{ tally }

func (w *sumPanes) Write(v *Pane, _ stream.Time) error {
	w.sum += bare.PaneSum(v.Key, v.Count, v.Sum, int64(v.Start))
	return nil
}

type total struct{ Count, Sum int64 }

var window = stream.Define("window", func(env *stream.Env, p Params) error {
	env.Parallelism(p.Parallelism)
	in := stream.From(env, &source[Event]{p.Records,
		func(subtask int) generator[Event] { return &events{Rand: gen.New(subtask), keys: p.Keys} }}).
		Timestamps(func(e Event) stream.Time { return e.At })
	stream.Aggregate(stream.KeyBy(in, func(e Event) int64 { return e.Key }).Window(stream.Tumbling(time.Second)),
		func(a *total, e Event) { a.Count++; a.Sum += e.Value },
		func(p stream.Pane[int64], a *total) Pane { return Pane{p.Key, a.Count, a.Sum, p.Start} }).
		To(sink[Pane]{func(t tally) stream.SinkWriter[Pane] { return &sumPanes{t} }})
	return nil
})

// ---- topspeed ----

type cars struct{ *gen.Traffic }

func (g cars) next(v *gen.Car) { *v = g.Next() }

type sumCars struct{ tally }

func (w *sumCars) Write(v *gen.Car, _ stream.Time) error {
	w.sum += bare.CarSum(v)
	return nil
}

func faster(a, b gen.Car) gen.Car {
	if b.Speed > a.Speed {
		return b
	}
	return a
}

var topspeed = stream.Define("topspeed", func(env *stream.Env, p Params) error {
	env.Parallelism(p.Parallelism)
	in := stream.From(env, &source[gen.Car]{p.Records, func(subtask int) generator[gen.Car] { return cars{gen.NewTraffic(subtask)} }}).
		Timestamps(func(c gen.Car) stream.Time { return stream.Time(c.At) })
	stream.KeyBy(in, func(c gen.Car) int32 { return c.ID }).
		Window(stream.Global()).
		EvictTime(bare.EvictMillis*time.Millisecond).
		TriggerDelta(bare.TriggerMetres, func(last, c gen.Car) float64 { return c.Distance - last.Distance }).
		Reduce(faster).
		To(sink[gen.Car]{func(t tally) stream.SinkWriter[gen.Car] { return &sumCars{t} }})
	return nil
})
