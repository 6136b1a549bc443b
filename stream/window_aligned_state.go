package stream

import (
	"fmt"
	"maps"
	"slices"

	"github.com/weftstream/weft/operator"
	"github.com/weftstream/weft/runtime/state"
)

// frozenPane is one open window at a barrier.
type frozenPane[K comparable, A any] struct {
	start, end int64
	fired      bool
	again      map[K]uint32
	accs       *state.Frozen[K, A]
}

// name is the window's as a part of the state.
func (f *frozenPane[K, A]) name() []byte { return appendInt64(appendInt64(nil, f.start), f.end) }

// Snapshot freezes the tables of the open windows.
func (o *alignedWindow[K, T, A, O]) Snapshot(int64) (operator.StateSnapshot, error) {
	return o.snapshot(increment{})
}

// SnapshotSince is Snapshot that writes what has changed since base. Each window is a part.
func (o *alignedWindow[K, T, A, O]) SnapshotSince(checkpoint, base int64) (operator.StateSnapshot, error) {
	return o.snapshot(increment{checkpoint, base})
}

func (o *alignedWindow[K, T, A, O]) snapshot(inc increment) (operator.StateSnapshot, error) {
	if err := o.space.Err(); err != nil {
		return nil, err
	}
	open := o.open
	if o.kind == atEnd {
		if o.last.accs == nil { // fired: there is nothing more to come
			return nil, nil
		}
		open = []*paneTable[K, A]{o.last}
	}
	panes := make([]frozenPane[K, A], len(open))
	for i, w := range open {
		panes[i] = frozenPane[K, A]{w.start, w.end, w.fired, maps.Clone(w.again), freezeTable(w.accs, inc)}
	}
	every, pairs, groups := o.every, o.pairs, o.groups
	return &snapshotOf{
		write: func(w operator.StateWriter) error {
			if err := every.snapshot(w); err != nil {
				return err
			}
			p, err := inc.writer(w)
			if err == nil {
				err = pairs.begin(w)
			}
			if err != nil {
				return err
			}
			return writePanes(p, &pairs, groups, panes)
		},
		release: func() {
			for i := range panes {
				panes[i].accs.Release()
			}
		},
	}, nil
}

// writePanes writes the windows group by group, or as parts one after the other.
func writePanes[K comparable, A any](p *pairWriter, c *pairCodec[K, paneState[A]], r state.Range, panes []frozenPane[K, A]) error {
	if p.parts == nil {
		return p.groups(r, func(group int) {
			for i := range panes {
				panes[i].put(p, c, group)
			}
		})
	}
	for i := range panes {
		f := &panes[i]
		if err := p.part(r, f.name(), f.accs, func(group int) { f.put(p, c, group) }); err != nil {
			return err
		}
	}
	return nil
}

// put writes what a window has of a key group.
func (f *frozenPane[K, A]) put(p *pairWriter, c *pairCodec[K, paneState[A]], group int) {
	s := paneState[A]{Start: f.start, End: f.end}
	pairsOf(p, f.accs, group, c.key.EncodeValue, func(k *K, a *A) {
		s.Fired = f.fired
		if len(f.again) != 0 && s.Fired {
			_, due := f.again[*k]
			s.Fired = !due
		}
		s.Acc = *a
		putPair(p, c, k, &s)
	})
}

// Restore opens the windows that were open. The watermark starts from the beginning, so a key that has fired does it again
// only if it gets another record.
func (o *alignedWindow[K, T, A, O]) Restore(r operator.StateReader) error {
	err := o.pairs.read(r, func(h uint32, k K, s *paneState[A]) error {
		w := o.last
		if o.kind != atEnd {
			if s.Start > s.End { // at the ends of time they may be equal
				return fmt.Errorf("a window from %d to %d", s.Start, s.End)
			}
			w = o.find(s.Start, s.End)
		}
		acc, fresh := w.accs.At(h, k)
		if !fresh {
			return fmt.Errorf("the window from %d to %d holds a key twice", s.Start, s.End)
		}
		*acc = s.Acc
		w.fired, w.waiting = w.fired || s.Fired, w.waiting || !s.Fired
		return nil
	})
	if err == nil {
		err = o.restoreAgain(r)
	}
	if err != nil {
		return fmt.Errorf("window %q: %w", o.env.Name, err)
	}
	return o.every.restore(r)
}

// restoreAgain notes the keys that have not fired, of windows in which others have. It reads the state a second time for
// that: few jobs have such windows, and of all others the keys needn't be kept in memory.
func (o *alignedWindow[K, T, A, O]) restoreAgain(r operator.StateReader) error {
	if !slices.ContainsFunc(o.open, func(w *paneTable[K, A]) bool { return w.fired && w.waiting }) {
		return nil
	}
	return o.pairs.read(r, func(h uint32, k K, s *paneState[A]) error {
		if w := o.find(s.Start, s.End); w.fired && !s.Fired {
			w.fireAgain(h, k)
		}
		return nil
	})
}
