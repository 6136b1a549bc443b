package nexmark

import (
	"fmt"
	"time"

	"github.com/weftstream/weft/connector/discard"
	"github.com/weftstream/weft/stream"
)

// Params are those of Job.
type Params struct {
	// Query is q0 to q22.
	Query string
	// Events is how many are made in all; Rate is how many of a second of event time each generator makes.
	Events, Rate int64
	Parallelism  int
	// Dir is the directory that q10 writes to.
	Dir string `json:",omitempty"`
	// Processing is the size of q12's windows; 0: 10 s.
	Processing time.Duration `json:",omitempty"`
}

// Job runs a query and discards what it gives.
var Job = stream.Define("nexmark", func(env *stream.Env, p Params) error { return Build(env, p, nil) })

// Build adds a query to a graph. lines gets its results as text; nil discards them.
func Build(env *stream.Env, p Params, lines stream.Sink[string]) error {
	build := Queries[p.Query]
	if build == nil {
		return fmt.Errorf("nexmark: there is no query %q", p.Query)
	}
	env.Parallelism(p.Parallelism)
	events := stream.From(env, source{p.Events, p.Rate}).UID("events").
		Timestamps(func(e Event) stream.Time { return e.At() }, stream.OutOfOrder(4*time.Second))
	build(&query{Params: p, events: events, lines: lines})
	return nil
}

// Queries add their operators to a graph.
var Queries = map[string]func(q *query){
	"q0": q0, "q1": q1, "q2": q2, "q3": q3, "q4": q4, "q5": q5, "q6": q6, "q7": q7, "q8": q8, "q9": q9, "q10": q10, "q11": q11,
	"q12": q12, "q13": q13, "q14": q14, "q15": q15, "q16": q16, "q17": q17, "q18": q18, "q19": q19, "q20": q20, "q21": q21, "q22": q22,
}

// query is what a query is built from.
type query struct {
	Params
	events stream.Stream[Event]
	lines  stream.Sink[string]
}

func (q *query) people() stream.Stream[Person] {
	return stream.FlatMap(q.events, func(e Event, emit func(Person)) {
		if e.Kind == IsPerson {
			emit(e.Person)
		}
	}).Name("people")
}

func (q *query) auctions() stream.Stream[Auction] {
	return stream.FlatMap(q.events, func(e Event, emit func(Auction)) {
		if e.Kind == IsAuction {
			emit(e.Auction)
		}
	}).Name("auctions")
}

func (q *query) bids() stream.Stream[Bid] {
	return stream.FlatMap(q.events, func(e Event, emit func(Bid)) {
		if e.Kind == IsBid {
			emit(e.Bid)
		}
	}).Name("bids")
}

// give ends a query: text is the line of a result, which begins with its key and a tab where a key has several results, one
// after another.
func give[T any](q *query, s stream.Stream[T], text func(T) string) {
	if q.lines == nil {
		s.To(discard.Sink[T]())
		return
	}
	stream.Map(s, text).To(q.lines)
}
