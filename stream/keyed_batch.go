package stream

import (
	"errors"
	"fmt"

	"github.com/weftstream/weft/codec"
	"github.com/weftstream/weft/operator"
	"github.com/weftstream/weft/runtime/state"
)

// rollingBatch is rolling in a batch: of each key only the last result is emitted.
type rollingBatch[K comparable, T any] struct {
	env    *operator.Env
	out    collector[T]
	key    func(T) K
	fold   fold[T, T]
	table  *state.Table[K, timed[T]]
	space  *state.Space // nil where the table is all in memory
	groups state.Range
	pairs  pairCodec[K, T]
}

// timed is a result and its time.
type timed[T any] struct {
	v T
	t int64
}

func newRollingBatch[K comparable, T any](env *operator.Env, s Keyed[K, T], f fold[T, T], pairs pairCodec[K, T]) (*rollingBatch[K, T], error) {
	format, err := timedFormat[K, T](s.kt)
	if err != nil {
		return nil, err
	}
	var own func(*timed[T])
	if copy := copierOf(s.in.typ); copy != nil {
		own = func(r *timed[T]) { copy(&r.v) }
	}
	o := &rollingBatch[K, T]{env: env, out: newCollector[T](env, ""), key: s.key, fold: f, groups: groupsOf(env), pairs: pairs,
		table: newTable(groupsOf(env), cloneOf(s.kt), own), space: state.NewSpace(env.Store)}
	o.table.Spill(o.space, format)
	return o, nil
}

// timedFormat is how a result and its time are stored.
func timedFormat[K comparable, T any](kt *codec.Key[K]) (f state.Format[K, timed[T]], err error) {
	vt, err := codec.Of[timedState[T]]()
	if err != nil {
		return f, err
	}
	of := formatOf(kt, vt)
	return state.Format[K, timed[T]]{Hash: of.Hash, AppendKey: of.AppendKey, ReadKey: of.ReadKey, Extra: of.Extra,
		Append: func(dst []byte, r *timed[T]) []byte { return of.Append(dst, &timedState[T]{r.v, r.t}) },
		Read: func(r *timed[T], src []byte) error {
			var s timedState[T]
			err := of.Read(&s, src)
			*r = timed[T]{s.V, s.T}
			return err
		},
	}, nil
}

func (o *rollingBatch[K, T]) Input(int) operator.Input   { return o }
func (o *rollingBatch[K, T]) ProcessingTime(int64) error { return nil }
func (o *rollingBatch[K, T]) End() error                 { return o.out.out.get().End() }

func (o *rollingBatch[K, T]) Close() error {
	o.space.Close()
	return nil
}

func (o *rollingBatch[K, T]) Batch(b operator.Batch) error {
	v := b.(*operator.Vec[T])
	t := operator.NoWatermark
	for i := range v.V {
		if len(v.TS) != 0 {
			t = v.TS[i]
		}
		r, fresh := o.table.At(v.H[i], o.key(v.V[i]))
		o.fold.add(&r.v, &v.V[i], fresh)
		r.t = t
	}
	return o.space.Err()
}

// Watermark emits the results at the end of the input.
func (o *rollingBatch[K, T]) Watermark(t int64) error {
	if t == operator.MaxWatermark {
		o.table.PeekAll(func(_ uint32, _ *K, r *timed[T]) bool {
			o.out.add(r.v, r.t)
			return o.out.err == nil
		})
		if err := errors.Join(o.space.Err(), o.out.flush()); err != nil {
			return err
		}
	}
	return o.out.out.get().Watermark(t)
}

// Snapshot freezes the results so far, as rolling's: a savepoint of a batch is good for a stream.
func (o *rollingBatch[K, T]) Snapshot(int64) (operator.StateSnapshot, error) {
	if err := o.space.Err(); err != nil {
		return nil, err
	}
	return tableSnapshot(increment{}, o.pairs, o.groups, o.table, everyTrigger{}, func(r *timed[T], put func(*T)) { put(&r.v) }), nil
}

// Restore goes on from the results so far.
func (o *rollingBatch[K, T]) Restore(r operator.StateReader) error {
	err := o.pairs.read(r, func(h uint32, k K, v *T) error {
		acc, _ := o.table.At(h, k)
		*acc = timed[T]{*v, operator.NoWatermark}
		return nil
	})
	if err != nil {
		return fmt.Errorf("reduce %q: %w", o.env.Name, err)
	}
	return nil
}
