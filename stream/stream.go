package stream

import (
	"time"

	"github.com/weftstream/weft/codec"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/operator"
)

// Time is an event time in Unix milliseconds.
type Time int64

// The ends of event time.
const (
	// NoTime is the event time of a record without one.
	NoTime Time = Time(operator.NoWatermark)
	// MaxTime is the watermark at the end of a bounded input, and the end of the windows Global and AtEnd.
	MaxTime Time = Time(operator.MaxWatermark)
)

// Add returns t moved by d, which is rounded towards zero to milliseconds.
func (t Time) Add(d time.Duration) Time { return t + Time(d.Milliseconds()) }

// Stream is a handle on an operator's output. Its methods keep T; package functions change it.
type Stream[T any] struct {
	env   *Env
	parts []part
	// named is what UID, Name, Parallelism and the like apply to; nil where there is no operator of its own.
	named *graph.Node
	typ   *codec.Type[T]
}

// part is one output that feeds a stream; a union has several.
type part struct {
	node         *graph.Node
	tag          string
	partitioning graph.Partitioning
	// exact: the user called Forward, so that another parallelism behind is a mistake.
	exact bool
	// router is that of PartitionCustom.
	router operator.RouterFactory
}

func streamOf[T any](e *Env, n *graph.Node, t *codec.Type[T]) Stream[T] {
	return Stream[T]{env: e, parts: []part{{node: n}}, named: n, typ: t}
}

// connect makes s the given input of n.
func connect[T any](s Stream[T], n *graph.Node, input int) {
	for _, p := range s.parts {
		s.env.edge(p, p.partitioning, n, input, asType(s.typ), routerOf[T](p))
	}
}

func (e *Env) edge(p part, how graph.Partitioning, to *graph.Node, input int, t operator.Type, r operator.RouterFactory) {
	if e.endless[p.node] {
		e.endless[to] = true
	}
	e.g.AddEdge(&graph.Edge{From: p.node, To: to, Input: input, Tag: p.tag, Partitioning: how,
		Exact: p.exact && how == graph.Partitioning_FORWARD, Type: t, Router: r})
}

// endless says that some source of s never ends.
func (s Stream[T]) endless() bool {
	for _, p := range s.parts {
		if s.env.endless[p.node] {
			return true
		}
	}
	return false
}

// own is the operator that a property is set on, nil with a recorded mistake where there is none.
func (s Stream[T]) own(at, what string) *graph.Node {
	e := s.env.check(at, what)
	if s.named == nil {
		e.fail(at, "%s on nothing: a union, a side output or a redistribution is no operator; call it on the operator itself", what)
	}
	return s.named
}

// UID gives the operator a stable name for its state and its place in the graph. It must be unique in the job.
func (s Stream[T]) UID(id string) Stream[T] {
	at := caller()
	if n := s.own(at, "UID"); n != nil {
		switch {
		case id == "":
			s.env.fail(at, "the uid is empty")
		case n.UID != "" && n.UID != id:
			s.env.fail(at, "uid %q: the operator made at %s already has the uid %q", id, n.At, n.UID)
		}
		n.UID = id
		if !s.env.named[n] {
			n.Name = prefixOf(n) + id
		}
	}
	return s
}

// Name is what people are shown; without one it is the uid, or the kind of operator.
func (s Stream[T]) Name(name string) Stream[T] {
	if n := s.own(caller(), "Name"); n != nil {
		s.env.named[n] = true
		n.Name = prefixOf(n) + name
	}
	return s
}

func prefixOf(n *graph.Node) string {
	switch n.Kind {
	case "source":
		return "Source: "
	case "sink":
		return "Sink: "
	}
	return ""
}

// Parallelism sets the number of the operator's subtasks; at least 1.
func (s Stream[T]) Parallelism(n int) Stream[T] {
	at := caller()
	if o := s.own(at, "Parallelism"); o != nil {
		if n < 1 {
			s.env.fail(at, "parallelism %d: an operator needs at least 1", n)
			return s
		}
		o.Parallelism = n
	}
	return s
}

// SlotGroup sets the slot sharing group: operators of different groups never share a slot. Default "default".
func (s Stream[T]) SlotGroup(name string) Stream[T] {
	if n := s.own(caller(), "SlotGroup"); n != nil {
		n.SlotGroup = name
	}
	return s
}

// Union merges streams of one type into one. Its watermark is the lowest of theirs.
func (s Stream[T]) Union(others ...Stream[T]) Stream[T] {
	at := caller()
	e := s.env.check(at, "Union")
	u := Stream[T]{env: e, typ: s.typ, parts: append([]part(nil), s.parts...)}
	for _, o := range others {
		if o.env != e {
			e.fail(at, "Union with a stream of another Env: a job is one graph")
			continue
		}
		u.parts = append(u.parts, o.parts...)
	}
	return u
}

// Rebalance spreads the records evenly over the subtasks of whatever reads the stream.
func (s Stream[T]) Rebalance() Stream[T] {
	return s.redistribute(caller(), "Rebalance", graph.Partitioning_REBALANCE)
}

// Broadcast gives every record to every subtask of whatever reads the stream.
func (s Stream[T]) Broadcast() Stream[T] {
	return s.redistribute(caller(), "Broadcast", graph.Partitioning_BROADCAST)
}

func (s Stream[T]) redistribute(at, what string, p graph.Partitioning) Stream[T] {
	s.env.check(at, what)
	r := Stream[T]{env: s.env, typ: s.typ, parts: append([]part(nil), s.parts...)}
	for i := range r.parts {
		r.parts[i].partitioning, r.parts[i].exact, r.parts[i].router = p, false, nil
	}
	return r
}

// Tag names a side output and the type of its records.
type Tag[T any] struct{ name string }

// NewTag makes a tag. Names are unique per operator, and not empty.
func NewTag[T any](name string) Tag[T] { return Tag[T]{name} }

// Side is the side output that the operator of the stream emits to with tag: late records (LateTo) or what a process
// function gives to EmitSide.
func Side[O, T any](of Stream[O], tag Tag[T]) Stream[T] {
	at := caller()
	if of.named != nil && of.named.Kind == "sink" && len(of.parts) == 1 && of.parts[0].tag == "" {
		of.named = of.parts[0].node // the stream that To has returned is still that of the operator
	}
	n := of.own(at, "Side")
	typ := typeOf[T](of.env, at)
	if n == nil {
		return Stream[T]{env: of.env, typ: typ}
	}
	of.env.useTag(at, n, tag.name, asType(typ))
	return Stream[T]{env: of.env, typ: typ, parts: []part{{node: n, tag: tag.name}}}
}

func (e *Env) useTag(at string, n *graph.Node, name string, t operator.Type) {
	if name == "" {
		e.fail(at, "the tag of a side output needs a name: make it with stream.NewTag")
		return
	}
	if t == nil {
		return
	}
	key := tagKey{n, name}
	if first, ok := e.tags[key]; ok && first.signature != t.Signature() {
		e.fail(at, "side output %q has records of type %s here and of type %s at %s", name, t.Signature(), first.signature, first.at)
		return
	}
	e.tags[key] = tagUse{t.Signature(), at}
}
