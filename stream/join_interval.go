package stream

import (
	"errors"
	"slices"
	"sort"
	"time"

	"github.com/weftstream/weft/codec"
	"github.com/weftstream/weft/operator"
)

// IntervalOption changes an IntervalJoin.
type IntervalOption struct {
	lowerOpen, upperOpen bool
	left, right          string // tags
	typ                  string // of the tag's records
}

// LowerExclusive leaves out the pairs whose distance is the lower bound.
func LowerExclusive() IntervalOption { return IntervalOption{lowerOpen: true} }

// UpperExclusive leaves out the pairs whose distance is the upper bound.
func UpperExclusive() IntervalOption { return IntervalOption{upperOpen: true} }

// LateLeftTo sends the left records that are older than the watermark when they come to a side output.
func LateLeftTo[L any](t Tag[L]) IntervalOption {
	return IntervalOption{left: t.name, typ: typeName[L]()}
}

// LateRightTo is LateLeftTo for right records.
func LateRightTo[R any](t Tag[R]) IntervalOption {
	return IntervalOption{right: t.name, typ: typeName[R]()}
}

// IntervalJoin pairs the records of two streams that have the same key and lie close together in time: every left record
// of time t with every right one from t+lower to t+upper, both included. Results have the later time of the two. Records
// need event times; one that is late, older than the watermark, is dropped and counted (numLateRecordsDropped), or goes to a
// side output. A record is kept until the watermark has come to the time of the last partner it may have.
func IntervalJoin[K comparable, L, R, O any](l Keyed[K, L], r Keyed[K, R], lower, upper time.Duration, f func(L, R) O, options ...IntervalOption) Stream[O] {
	at := caller()
	e := l.in.env.check(at, "IntervalJoin")
	j := intervalJoin[K, L, R, O]{lower: lower.Milliseconds(), upper: upper.Milliseconds(), f: f}
	for _, o := range options {
		switch {
		case o.lowerOpen:
			j.lower = lower.Milliseconds() + 1
		case o.upperOpen:
			j.upper = upper.Milliseconds() - 1
		case o.left != "":
			if j.lateLeft = (Tag[L]{name: o.left}); o.typ != typeName[L]() {
				e.fail(at, "IntervalJoin with LateLeftTo a tag of %s: the left records are %s", o.typ, typeName[L]())
			}
		case o.right != "":
			if j.lateRight = (Tag[R]{name: o.right}); o.typ != typeName[R]() {
				e.fail(at, "IntervalJoin with LateRightTo a tag of %s: the right records are %s", o.typ, typeName[R]())
			}
		case o.typ != "":
			e.fail(at, "the tag of a side output needs a name: make it with stream.NewTag")
		}
	}
	switch {
	case f == nil:
		e.fail(at, "IntervalJoin with a nil function")
	case lower%time.Millisecond != 0 || upper%time.Millisecond != 0:
		e.fail(at, "IntervalJoin from %v to %v: event time has milliseconds", lower, upper)
	case j.lower > j.upper:
		e.fail(at, "IntervalJoin from %v to %v: nothing lies between them", lower, upper)
	}
	joined := CoProcess(l, r, func(rt *Runtime) *intervalJoin[K, L, R, O] {
		own := j
		own.left = bindTimed[L](rt, "left")
		own.right = bindTimed[R](rt, "right")
		own.dropped = rt.Counter("numLateRecordsDropped")
		return &own
	})
	if joined.named != nil {
		joined.named.Name = "Interval Join"
	}
	return joined
}

var errUntimed = errors.New("an interval join works in event time, but a record without a timestamp came in: call Timestamps on the stream before KeyBy")

// timedRecords are a key's records of one side, by time.
type timedRecords[T any] struct {
	c    *cells[[]timedState[T]]
	keep keeper[T]
}

func bindTimed[T any](rt *Runtime, name string) timedRecords[T] {
	s := timedRecords[T]{c: bind[[]timedState[T]](rt, "IntervalJoin", name, nil, encodable[T]())}
	s.c.own = func(l *[]timedState[T]) { *l = slices.Clone(*l) } // what is inserted moves others
	if t, err := codec.Of[T](); err == nil {
		s.keep = keeperOf(t)
	}
	return s
}

// insert puts a record behind those of its time, and says whether it is the first of all.
func (s *timedRecords[T]) insert(v T, t int64) (first bool) {
	l := s.c.touch()
	i := len(*l)
	for i > 0 && (*l)[i-1].T > t {
		i--
	}
	*l = slices.Insert(*l, i, timedState[T]{v, t})
	s.keep.keep(&(*l)[i].V)
	return i == 0
}

// between are the records of the times from to to.
func (s *timedRecords[T]) between(from, to int64) []timedState[T] {
	l := s.c.get()
	if l == nil {
		return nil
	}
	begin := sort.Search(len(*l), func(i int) bool { return (*l)[i].T >= from })
	end := begin + sort.Search(len(*l)-begin, func(i int) bool { return (*l)[begin+i].T > to })
	return (*l)[begin:end]
}

// drop removes the records up to a time, and returns that of the first one left.
func (s *timedRecords[T]) drop(to int64) (first int64, some bool) {
	l := s.c.get()
	if l == nil {
		return 0, false
	}
	n := sort.Search(len(*l), func(i int) bool { return (*l)[i].T > to })
	if n == len(*l) {
		s.c.clear(s.c.ks.slot)
		return 0, false
	}
	if n > 0 {
		l = s.c.change()
		*l = slices.Delete(*l, 0, n)
	}
	return (*l)[0].T, true
}

// intervalJoin is the function of IntervalJoin.
type intervalJoin[K comparable, L, R, O any] struct {
	lower, upper int64 // ms, included
	f            func(L, R) O
	lateLeft     Tag[L]
	lateRight    Tag[R]
	left         timedRecords[L]
	right        timedRecords[R]
	dropped      *Counter
}

// A left record of time t can have partners up to t+upper, a right one up to t-lower; each is kept at least until its own
// time.
func (j *intervalJoin[K, L, R, O]) leftLife() int64  { return max(j.upper, 0) }
func (j *intervalJoin[K, L, R, O]) rightLife() int64 { return max(-j.lower, 0) }

// timely is the time of the record that c is of, and says whether that is late: then it has gone to the side output to, or
// was counted. As with Flink's interval join a record of the watermark's own time is not late, though a partner whose last
// chance was that time has been dropped already.
func timely[K comparable, O, T any](c *Context[K, O], dropped *Counter, to Tag[T], v T) (t int64, late bool, err error) {
	switch t = c.time; {
	case t == operator.NoWatermark:
		return t, false, errUntimed
	case t >= int64(c.Watermark()):
		return t, false, nil
	case to.name == "":
		dropped.Add(1)
	default:
		EmitSide(c, to, v)
	}
	return t, true, nil
}

func (j *intervalJoin[K, L, R, O]) Left(c *Context[K, O], v L) error {
	t, late, err := timely(c, j.dropped, j.lateLeft, v)
	if late || err != nil {
		return err
	}
	if j.left.insert(v, t) {
		c.EventTimer(Time(later(t, j.leftLife())))
	}
	for _, r := range j.right.between(moved(t, j.lower), moved(t, j.upper)) {
		c.p.out.add(j.f(v, r.V), max(t, r.T))
	}
	return nil
}

func (j *intervalJoin[K, L, R, O]) Right(c *Context[K, O], v R) error {
	t, late, err := timely(c, j.dropped, j.lateRight, v)
	if late || err != nil {
		return err
	}
	if j.right.insert(v, t) {
		c.EventTimer(Time(later(t, j.rightLife())))
	}
	for _, l := range j.left.between(moved(t, -j.upper), moved(t, -j.lower)) {
		c.p.out.add(j.f(l.V, v), max(t, l.T))
	}
	return nil
}

// OnTimer lets go what has no partners any more. There is a timer for the first record of each side.
func (j *intervalJoin[K, L, R, O]) OnTimer(c *Context[K, O], at Time) error {
	if t, some := j.left.drop(lifeless(int64(at), j.leftLife())); some {
		c.EventTimer(Time(later(t, j.leftLife())))
	}
	if t, some := j.right.drop(lifeless(int64(at), j.rightLife())); some {
		c.EventTimer(Time(later(t, j.rightLife())))
	}
	return nil
}

// lifeless is the latest time of the records that are of no use any more at time at. At the end of time none is.
func lifeless(at, life int64) int64 {
	if at == operator.MaxWatermark {
		return at
	}
	return earlier(at, life)
}

// moved is t + d without overflow.
func moved(t, d int64) int64 {
	if d < 0 {
		return earlier(t, -d)
	}
	return later(t, d)
}
