package stream

import (
	"fmt"
	"iter"
	"time"

	"github.com/weftstream/weft/codec"
	"github.com/weftstream/weft/operator"
)

type windowKind uint8

const (
	tumbling windowKind = iota
	sliding
	session
	global
	atEnd
)

func (k windowKind) String() string {
	return [...]string{"tumbling", "sliding", "session", "global", "at-end"}[k]
}

// Assigner says which windows a record belongs to. It is an immutable value.
type Assigner struct {
	kind   windowKind
	size   time.Duration // of a tumbling or sliding window; the gap of a session
	slide  time.Duration
	offset time.Duration
	proc   bool // of processing time
}

// Tumbling are windows of one size that follow each other, aligned to the epoch: [n·size, (n+1)·size).
func Tumbling(size time.Duration) Assigner {
	return Assigner{kind: tumbling, size: size, slide: size}
}

// Sliding are windows of one size that begin every slide.
func Sliding(size, slide time.Duration) Assigner {
	return Assigner{kind: sliding, size: size, slide: slide}
}

// Session windows end when a key has no record for gap.
func Session(gap time.Duration) Assigner { return Assigner{kind: session, size: gap} }

// Global is one window that never ends: a trigger (TriggerCount, TriggerDelta) makes it fire.
func Global() Assigner { return Assigner{kind: global} }

// AtEnd is one window that fires once, when a bounded input ends. It needs no event time.
func AtEnd() Assigner { return Assigner{kind: atEnd} }

// Offset moves the bounds of tumbling and sliding windows by d.
func (a Assigner) Offset(d time.Duration) Assigner {
	a.offset = d
	return a
}

// ProcessingTime makes tumbling, sliding and session windows of the time at which a record is processed instead of its
// event time: they need no timestamps, nothing is late for them, and they fire when their end has come. Those that are
// open when the input ends don't fire.
func (a Assigner) ProcessingTime() Assigner {
	a.proc = true
	return a
}

// windowSpec is what doesn't depend on types.
type windowSpec struct {
	at       string
	a        Assigner
	lateness time.Duration
	lateTo   bool
	count    int
	purge    bool
	keep     time.Duration
	keepN    int
	every    time.Duration
	everyOn  bool // every is of processing time
	all      bool // not keyed by the user
	used     bool
}

// String describes the windows to people.
func (a Assigner) String() string {
	text := a.kind.String() + " windows"
	switch a.kind {
	case tumbling:
		text = fmt.Sprintf("tumbling windows of %v", a.size)
	case sliding:
		text = fmt.Sprintf("sliding windows of %v every %v", a.size, a.slide)
	}
	if a.proc {
		text += " of processing time"
	}
	return text
}

// Windowed is a keyed stream cut into windows. It becomes a stream again by Reduce, Aggregate or Apply.
type Windowed[K comparable, T any] struct {
	in    Keyed[K, T]
	spec  *windowSpec
	over  float64
	delta func(last, v T) float64
	late  Tag[T]
}

// Window cuts the stream into windows.
func (s Keyed[K, T]) Window(a Assigner) Windowed[K, T] {
	at := caller()
	e := s.in.env.check(at, "Window")
	return windowed(e, at, s, windowSpec{at: at, a: a})
}

func windowed[K comparable, T any](e *Env, at string, s Keyed[K, T], spec windowSpec) Windowed[K, T] {
	a := spec.a
	w := Windowed[K, T]{in: s, spec: &spec}
	e.windows = append(e.windows, w.spec)
	if a.proc && (a.kind == global || a.kind == atEnd) {
		e.fail(at, "ProcessingTime on %v windows: it is for tumbling, sliding and session windows", a.kind)
	}
	switch a.kind {
	case tumbling, sliding:
		if a.size < time.Millisecond || a.slide < time.Millisecond {
			e.fail(at, "%s: at least 1 ms is needed", a)
		}
		if a.size%time.Millisecond != 0 || a.slide%time.Millisecond != 0 {
			e.fail(at, "%s: only whole milliseconds are possible", a)
		}
	case session:
		if a.size < time.Millisecond {
			e.fail(at, "session window with gap %v: the gap is at least 1 ms", a.size)
		}
	case atEnd:
		if s.in.endless() {
			e.fail(at, "AtEnd on a stream that never ends: it would never fire; use a bounded source or another window")
		}
	}
	return w
}

// with returns w with a copy of its spec, so that two windows made of one don't change each other.
func (w Windowed[K, T]) with(at, what string, change func(*windowSpec)) Windowed[K, T] {
	e := w.in.in.env.check(at, what)
	s := *w.spec
	w.spec.used = true
	s.used = false
	change(&s)
	w.spec = &s
	e.windows = append(e.windows, w.spec)
	return w
}

// AllowedLateness keeps a window for d of event time after it has fired: a late record fires it again at once. Default 0.
func (w Windowed[K, T]) AllowedLateness(d time.Duration) Windowed[K, T] {
	at := caller()
	w = w.with(at, "AllowedLateness", func(s *windowSpec) { s.lateness = d })
	if k := w.spec.a.kind; d < 0 || k == global || k == atEnd {
		w.in.in.env.fail(at, "allowed lateness %v on a %v window: it is positive, and for tumbling, sliding and session windows", d, k)
	}
	return w.onEventTime(at, "AllowedLateness")
}

// LateTo sends records that came too late to the side output t instead of dropping them.
func (w Windowed[K, T]) LateTo(t Tag[T]) Windowed[K, T] {
	at := caller()
	w = w.with(at, "LateTo", func(s *windowSpec) { s.lateTo = true })
	if t.name == "" {
		w.in.in.env.fail(at, "the tag of a side output needs a name: make it with stream.NewTag")
	}
	w.late = t
	return w.onEventTime(at, "LateTo")
}

// onEventTime records a mistake for what windows of processing time don't have.
func (w Windowed[K, T]) onEventTime(at, what string) Windowed[K, T] {
	if w.spec.a.proc {
		w.in.in.env.fail(at, "%s on %v: nothing is late in processing time", what, w.spec.a)
	}
	return w
}

// onGlobal records a mistake for what only a global window has.
func (w Windowed[K, T]) onGlobal(at, what string) Windowed[K, T] {
	if w.spec.a.kind != global {
		w.in.in.env.fail(at, "%s on a %v window: it is for stream.Global()", what, w.spec.a.kind)
	}
	return w
}

// Pane says for which key and which window a result is. Global and AtEnd reach from NoTime to MaxTime.
type Pane[K comparable] struct {
	Key K
	// Start is the first time in the window, End the first one behind it.
	Start, End Time
}

// Reduce combines the records of a window two by two; one result for each key and window.
func (w Windowed[K, T]) Reduce(f func(a, b T) T) Stream[T] {
	at := caller()
	e := w.in.in.env.check(at, "Reduce")
	if f == nil {
		e.fail(at, "Reduce with a nil function")
	}
	typ := w.in.in.typ
	return windowNode(w, at, typ, nil, func(rec *codec.Type[T]) windowFunc[K, T, T, T] {
		return windowFunc[K, T, T, T]{fold: reduceFold(f, rec), copy: copierOf(rec),
			fire: func(_ Pane[K], a *T, to *collector[T], t int64) { to.add(*a, t) }}
	})
}

// Aggregate adds the records of a window to an accumulator A, whose zero value is the empty one, and makes the result of
// it. add doesn't keep its pointer; out leaves the accumulator as it is. A session window needs A to have a method Merge(*A).
func Aggregate[K comparable, T, A, O any](w Windowed[K, T], add func(*A, T), out func(Pane[K], *A) O) Stream[O] {
	at := caller()
	e := w.in.in.env.check(at, "Aggregate")
	if add == nil || out == nil {
		e.fail(at, "Aggregate with a nil function")
	}
	acc := typeOf[A](e, at)
	if _, ok := any((*A)(nil)).(merger[A]); !ok && w.spec.a.kind == session {
		var zero A
		e.fail(at, "sessions merge, so the accumulator needs a method: func (a *%T) Merge(o *%T)", zero, zero)
	}
	return windowNode(w, at, typeOf[O](e, at), acc, func(rec *codec.Type[T]) windowFunc[K, T, A, O] {
		return windowFunc[K, T, A, O]{fold: aggregateFold(add, rec, acc), copy: copierOf(acc),
			fire: func(p Pane[K], a *A, to *collector[O], t int64) { to.add(out(p, a), t) }}
	})
}

// Apply keeps all records of a window and calls f with them when it fires. in is good until f returns, and for one key
// and window it yields the records in the order of their arrival.
func Apply[K comparable, T, O any](w Windowed[K, T], f func(p Pane[K], in iter.Seq[T], emit func(O))) Stream[O] {
	at := caller()
	e := w.in.in.env.check(at, "Apply")
	if f == nil {
		e.fail(at, "Apply with a nil function")
	}
	return windowNode(w, at, typeOf[O](e, at), nil, func(rec *codec.Type[T]) windowFunc[K, T, []T, O] {
		var records []T
		all := func(yield func(T) bool) {
			for i := range records {
				if !yield(records[i]) {
					return
				}
			}
		}
		var to *collector[O]
		var t int64
		emit := func(v O) { to.add(v, t) }
		return windowFunc[K, T, []T, O]{fold: listFold(rec),
			fire: func(p Pane[K], a *[]T, c *collector[O], at int64) {
				records, to, t = *a, c, at
				f(p, all, emit)
				records = nil
			}}
	})
}

// windowFunc is what a window does with its records: made per subtask.
type windowFunc[K comparable, T, A, O any] struct {
	fold fold[T, A]
	// copy makes *a own what it points to and what is changed in place; nil where there is no such thing (records of
	// Apply are only ever appended).
	copy func(a *A)
	// fire emits the results of *a at time t.
	fire func(p Pane[K], a *A, to *collector[O], t int64)
}

// windowNode adds the operator of a window.
func windowNode[K comparable, T, A, O any](w Windowed[K, T], at string, out *codec.Type[O], acc *codec.Type[A], f func(*codec.Type[T]) windowFunc[K, T, A, O]) Stream[O] {
	e := w.in.in.env
	w.spec.used = true
	s := *w.spec
	if s.a.kind == global && s.count == 0 && s.every == 0 && w.delta == nil {
		e.fail(at, "a global window without a trigger never fires: add TriggerCount, TriggerDelta or TriggerEvery, or use stream.AtEnd()")
	}
	kind := "window " + s.a.kind.String()
	n := e.node(at, kind, "Window("+s.a.kind.String()+")", asType(out), func(env *operator.Env) (operator.Operator, error) {
		switch fn := f(w.in.in.typ); s.a.kind {
		case session:
			return newSessionWindow(env, w, s, fn)
		case global:
			return newGlobalWindow(env, w, s, fn)
		default:
			return newAlignedWindow(env, w, s, fn)
		}
	})
	if s.all {
		n.Parallelism, n.MaxParallelism = 1, 1 // nor may it be rescaled
	}
	if s.lateTo {
		e.useTag(at, n, w.late.name, asType(w.in.in.typ))
	}
	connectKeyed(w.in, n, 0)
	return streamOf(e, n, out)
}
