package stream

import (
	"fmt"
	"slices"

	"github.com/weftstream/weft/codec"
	"github.com/weftstream/weft/operator"
	"github.com/weftstream/weft/runtime/state"
)

// sessionWindow is the operator of session windows. A record opens a window [t, t+gap); windows of a key that overlap or
// touch are merged.
type sessionWindow[K comparable, T, A, O any] struct {
	windowBase[K, T, A, O]
	gap, lateness int64
	clone         func(K) K                      // may be nil
	keys          *state.Table[K, []session1[A]] // the open sessions of a key, by start
	timers        timerHeap[K]
	free          [][]session1[A] // empty lists, for reuse
	groups        state.Range
	pairs         pairCodec[K, paneState[A]]
}

// session1 is one open session.
type session1[A any] struct {
	start, end int64 // [start, end)
	fired      bool
	// timer is when the session's one timer runs. It is never later than due, but a session that grew leaves it alone: it
	// is set anew when it runs.
	timer int64
	acc   A
}

// due is when the watermark does something with s: it fires, and is dropped when no record can join it any more.
func (s *session1[A]) due(lateness int64) int64 {
	if s.fired {
		return later(s.end-1, lateness)
	}
	return s.end - 1
}

// maxFreeLists bounds the lists kept for reuse.
const maxFreeLists = 1024

func newSessionWindow[K comparable, T, A, O any](env *operator.Env, w Windowed[K, T], s windowSpec, fn windowFunc[K, T, A, O]) (operator.Operator, error) {
	pairs, err := newPairCodec[K, paneState[A]](windowState, w.in.kt)
	if err != nil {
		return nil, err
	}
	o := &sessionWindow[K, T, A, O]{windowBase: newWindowBase(env, w, s, fn), gap: s.a.size.Milliseconds(), lateness: s.lateness.Milliseconds(),
		clone: cloneOf(w.in.kt), groups: groupsOf(env), pairs: pairs}
	o.keys = newTable(o.groups, o.clone, copySessions(fn.copy))
	format, err := sessionFormat[K, A](w.in.kt)
	if err != nil {
		return nil, err
	}
	o.keys.Spill(o.space, format)
	return o, nil
}

// copySessions makes a list of sessions own its memory.
func copySessions[A any](copy func(*A)) func(*[]session1[A]) {
	return func(list *[]session1[A]) {
		*list = slices.Clone(*list)
		if copy == nil {
			return
		}
		for i := range *list {
			copy(&(*list)[i].acc)
		}
	}
}

func (o *sessionWindow[K, T, A, O]) Input(int) operator.Input { return o }

func (o *sessionWindow[K, T, A, O]) Batch(b operator.Batch) error {
	v := b.(*operator.Vec[T])
	if len(v.V) == 0 {
		return nil
	}
	if o.proc {
		o.fill(v)
	}
	if len(v.TS) == 0 {
		return o.untimed()
	}
	for i, t := range v.TS {
		if t == operator.NoWatermark {
			return o.untimed()
		}
		o.add(&v.V[i], v.H[i], t)
	}
	o.wakeSessions()
	return o.flush()
}

func (o *sessionWindow[K, T, A, O]) add(v *T, h uint32, t int64) {
	k := o.key(*v)
	start, end := t, later(t, o.gap)
	list := o.keys.Find(h, k)
	if list != nil {
		if first, last := touching(*list, start, end); first < last {
			s := o.merge(list, first, last)
			s.start, s.end = min(s.start, start), max(s.end, end)
			o.fn.fold.add(&s.acc, v, false)
			o.settle(s, k, h, false)
			return
		}
	}
	if later(end-1, o.lateness) <= o.mark {
		o.late.add(*v, t)
		return
	}
	if list == nil {
		list, _ = o.keys.At(h, k)
		if n := len(o.free); n != 0 {
			*list, o.free = o.free[n-1], o.free[:n-1]
		}
	}
	at := 0
	for at < len(*list) && (*list)[at].start < start {
		at++
	}
	*list = slices.Insert(*list, at, session1[A]{start: start, end: end})
	s := &(*list)[at]
	o.fn.fold.add(&s.acc, v, true)
	o.settle(s, k, h, true)
}

// touching finds the sessions first..last-1 that overlap or touch [start, end).
func touching[A any](list []session1[A], start, end int64) (first, last int) {
	for first < len(list) && list[first].end < start {
		first++
	}
	for last = first; last < len(list) && list[last].start <= end; last++ {
	}
	return first, last
}

// merge makes one session of the sessions first..last-1.
func (o *sessionWindow[K, T, A, O]) merge(list *[]session1[A], first, last int) *session1[A] {
	s := &(*list)[first]
	for j := first + 1; j < last; j++ {
		from := &(*list)[j]
		s.end = max(s.end, from.end)
		o.fn.fold.merge(&s.acc, &from.acc)
	}
	if last > first+1 {
		*list = slices.Delete(*list, first+1, last)
	}
	return s
}

// settle fires a session that the watermark has passed already, and sees to its timer.
func (o *sessionWindow[K, T, A, O]) settle(s *session1[A], k K, h uint32, fresh bool) {
	s.fired = s.end-1 <= o.mark
	if s.fired {
		o.fire(s, k)
	}
	if d := s.due(o.lateness); fresh || d < s.timer {
		s.timer = d
		if o.clone != nil {
			k = o.clone(k)
		}
		o.timers.push(timer[K]{at: d, hash: h, key: k})
	}
}

func (o *sessionWindow[K, T, A, O]) fire(s *session1[A], k K) {
	o.fn.fire(Pane[K]{k, Time(s.start), Time(s.end)}, &s.acc, &o.out, s.end-1)
}

// wakeSessions asks to be called when the next session of processing time may end.
func (o *sessionWindow[K, T, A, O]) wakeSessions() {
	if o.proc && o.timers.len() != 0 {
		o.env.Runtime.WakeAt(o.timers.first().at + 1)
	}
}

// Watermark runs the timers up to t, in the order of their times.
func (o *sessionWindow[K, T, A, O]) Watermark(t int64) error {
	if t == operator.IdleWatermark || o.proc {
		if o.endsBatch(t) {
			o.advance(t)
		}
		return o.passMark(t)
	}
	o.mark = t
	o.advance(t)
	if !o.every.proc && o.every.passed(t) {
		o.early()
	}
	return o.passMark(t)
}

// ProcessingTime does what is due by the clock.
func (o *sessionWindow[K, T, A, O]) ProcessingTime(now int64) error {
	if o.proc {
		o.mark = max(o.mark, now-1)
		o.advance(o.mark)
		o.wakeSessions()
	}
	if o.every.proc && o.every.passed(now) {
		o.early()
	}
	o.wakeEvery()
	return o.flush()
}

func (o *sessionWindow[K, T, A, O]) advance(t int64) {
	for o.timers.due(t) && o.out.err == nil {
		o.run(o.timers.pop())
	}
}

// early fires the sessions that have not fired.
func (o *sessionWindow[K, T, A, O]) early() {
	o.keys.PeekAll(func(_ uint32, k *K, list *[]session1[A]) bool {
		for i := range *list {
			if s := &(*list)[i]; !s.fired {
				o.fire(s, *k)
			}
		}
		return o.out.err == nil
	})
}

// run does what a timer is for. A timer whose session was merged into another one finds none and is forgotten.
func (o *sessionWindow[K, T, A, O]) run(tm timer[K]) {
	list := o.keys.Find(tm.hash, tm.key)
	if list == nil {
		return
	}
	for i := range *list {
		s := &(*list)[i]
		if s.timer != tm.at {
			continue
		}
		if !s.fired && s.end-1 <= tm.at {
			s.fired = true
			o.fire(s, tm.key)
		}
		if d := s.due(o.lateness); d > tm.at {
			s.timer = d
			o.timers.push(timer[K]{at: d, hash: tm.hash, key: tm.key})
			return
		}
		*list = slices.Delete(*list, i, i+1)
		break
	}
	if len(*list) == 0 {
		if len(o.free) < maxFreeLists {
			o.free = append(o.free, *list)
		}
		o.keys.Delete(tm.hash, tm.key)
	}
}

// storedSession is how a session is stored that doesn't fit into memory. Timers stay in memory.
type storedSession[A any] struct {
	Start, End, Timer int64
	Fired             bool
	Acc               A
}

// sessionFormat is how the sessions of a key are stored.
func sessionFormat[K comparable, A any](kt *codec.Key[K]) (f state.Format[K, []session1[A]], err error) {
	list, err := codec.Of[[]storedSession[A]]()
	if err != nil {
		return f, err
	}
	var scratch []storedSession[A]
	read := ownedReader(list)
	return state.Format[K, []session1[A]]{
		Hash: kt.Hash, AppendKey: kt.EncodeValue, ReadKey: ownedReader(kt.Type),
		Append: func(dst []byte, v *[]session1[A]) []byte {
			scratch = scratch[:0]
			for i := range *v {
				s := &(*v)[i]
				scratch = append(scratch, storedSession[A]{s.start, s.end, s.timer, s.fired, s.acc})
			}
			dst = list.EncodeValue(dst, &scratch)
			clear(scratch)
			return dst
		},
		Read: func(v *[]session1[A], src []byte) error {
			var stored []storedSession[A]
			err := read(&stored, src)
			for _, s := range stored {
				*v = append(*v, session1[A]{s.Start, s.End, s.Fired, s.Timer, s.Acc})
			}
			return err
		},
		Extra: func(n int) int64 { return int64(n) + 2*entryOverhead },
	}, nil
}

// Snapshot freezes the sessions; their timers follow from them.
func (o *sessionWindow[K, T, A, O]) Snapshot(int64) (operator.StateSnapshot, error) {
	return o.snapshot(increment{})
}

// SnapshotSince is Snapshot that writes what has changed since base, with all sessions of a key that has a change.
func (o *sessionWindow[K, T, A, O]) SnapshotSince(checkpoint, base int64) (operator.StateSnapshot, error) {
	return o.snapshot(increment{checkpoint, base})
}

func (o *sessionWindow[K, T, A, O]) snapshot(inc increment) (operator.StateSnapshot, error) {
	if err := o.space.Err(); err != nil {
		return nil, err
	}
	var p paneState[A]
	return tableSnapshot(inc, o.pairs, o.groups, o.keys, o.every, func(list *[]session1[A], put func(*paneState[A])) {
		for i := range *list {
			s := &(*list)[i]
			p = paneState[A]{Start: s.start, End: s.end, Fired: s.fired, Acc: s.acc}
			put(&p)
		}
	}), nil
}

// Restore opens the sessions that were open, and sets their timers.
func (o *sessionWindow[K, T, A, O]) Restore(r operator.StateReader) error {
	err := o.pairs.read(r, func(h uint32, k K, p *paneState[A]) error {
		if p.Start > p.End { // at the end of time they may be equal
			return fmt.Errorf("a session from %d to %d", p.Start, p.End)
		}
		list, _ := o.keys.At(h, k)
		at := 0
		for at < len(*list) && (*list)[at].start < p.Start {
			at++
		}
		s := session1[A]{start: p.Start, end: p.End, fired: p.Fired, acc: p.Acc}
		s.timer = s.due(o.lateness)
		*list = slices.Insert(*list, at, s)
		o.timers.push(timer[K]{at: s.timer, hash: h, key: k})
		return nil
	})
	if err != nil {
		return fmt.Errorf("window %q: %w", o.env.Name, err)
	}
	o.wakeSessions()
	return o.every.restore(r)
}
