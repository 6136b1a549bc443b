package stream

import (
	"fmt"

	"github.com/weftstream/weft/codec"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/operator"
	"github.com/weftstream/weft/runtime/state"
)

// Keyed is a stream whose records belong to keys. All records of a key come to the same subtask, in the order in which one
// sender sent them.
type Keyed[K comparable, T any] struct {
	in  Stream[T]
	key func(T) K
	kt  *codec.Key[K]
	at  string
}

// KeyBy sends records by key. key is a pure function of the record. K holds no pointers, interfaces, channels or floats.
func KeyBy[T any, K comparable](s Stream[T], key func(T) K) Keyed[K, T] {
	at := caller()
	e := s.env.check(at, "KeyBy")
	if key == nil {
		e.fail(at, "KeyBy with a nil function")
	}
	kt, err := codec.KeyOf[K]()
	if err != nil {
		e.fail(at, "%v", err)
		kt = nil
	}
	return Keyed[K, T]{in: s, key: key, kt: kt, at: at}
}

// connectKeyed makes s the given input of n, by the hash of its key.
func connectKeyed[K comparable, T any](s Keyed[K, T], n *graph.Node, input int) {
	key, kt := s.key, s.kt
	router := operator.NewKeyedRouter(func(b *operator.Vec[T]) {
		h := grown(b.H, len(b.V))
		for i := range b.V {
			h[i] = kt.Hash(key(b.V[i]))
		}
		b.H = h
	})
	for _, p := range s.in.parts {
		s.in.env.edge(p, graph.Partitioning_HASH, n, input, asType(s.in.typ), router)
	}
}

// cloneOf makes a kept key own its strings; nil for keys without any.
func cloneOf[K comparable](kt *codec.Key[K]) func(K) K {
	if !kt.Pins() {
		return nil
	}
	return kt.Clone
}

// groupsOf is the range of key groups of a subtask.
func groupsOf(env *operator.Env) state.Range {
	from, to := operator.KeyGroupRange(env.Subtask, env.MaxParallelism, env.Parallelism)
	return state.Range{From: from, To: to, Max: env.MaxParallelism}
}

// Reduce combines every record with the result so far of its key and emits the new result: one record for each. In a batch
// (execution.runtime-mode) it emits the last result of each key at the end of the input, with the event time of the key's
// last record.
func (s Keyed[K, T]) Reduce(f func(a, b T) T) Stream[T] {
	at := caller()
	e := s.in.env.check(at, "Reduce")
	if f == nil {
		e.fail(at, "Reduce with a nil function")
	}
	typ := s.in.typ
	n := e.node(at, "reduce", "Keyed Reduce", asType(typ), func(env *operator.Env) (operator.Operator, error) {
		pairs, err := newPairCodec[K, T](rollingState, s.kt)
		if env.Batch {
			if err != nil {
				return nil, err
			}
			return newRollingBatch(env, s, reduceFold(f, typ), pairs)
		}
		table, space := newTable(groupsOf(env), cloneOf(s.kt), copierOf(typ)), state.NewSpace(env.Store)
		table.Spill(space, formatOf(s.kt, typ))
		return &rolling[K, T]{forward: forwardTo(env), name: env.Name, key: s.key, fold: reduceFold(f, typ), groups: groupsOf(env), pairs: pairs,
			table: table, space: space}, err
	})
	connectKeyed(s, n, 0)
	return streamOf(e, n, typ)
}

type rolling[K comparable, T any] struct {
	forward
	name   string
	key    func(T) K
	fold   fold[T, T]
	table  *state.Table[K, T]
	space  *state.Space // nil where the table is all in memory
	groups state.Range
	pairs  pairCodec[K, T]
}

func (o *rolling[K, T]) Input(int) operator.Input { return o }

func (o *rolling[K, T]) Batch(b operator.Batch) error {
	v := b.(*operator.Vec[T])
	for i := range v.V {
		acc, fresh := o.table.At(v.H[i], o.key(v.V[i]))
		o.fold.add(acc, &v.V[i], fresh)
		v.V[i] = *acc
	}
	v.H = v.H[:0]
	if err := o.space.Err(); err != nil {
		return err
	}
	return o.out.get().Batch(v)
}

func (o *rolling[K, T]) Close() error {
	o.space.Close()
	return nil
}

// Snapshot freezes the results so far.
func (o *rolling[K, T]) Snapshot(int64) (operator.StateSnapshot, error) {
	return o.snapshot(increment{})
}

// SnapshotSince is Snapshot that writes what has changed since base.
func (o *rolling[K, T]) SnapshotSince(checkpoint, base int64) (operator.StateSnapshot, error) {
	return o.snapshot(increment{checkpoint, base})
}

func (o *rolling[K, T]) snapshot(inc increment) (operator.StateSnapshot, error) {
	if err := o.space.Err(); err != nil {
		return nil, err
	}
	return tableSnapshot(inc, o.pairs, o.groups, o.table, everyTrigger{}, func(v *T, put func(*T)) { put(v) }), nil
}

// Restore goes on from the results so far.
func (o *rolling[K, T]) Restore(r operator.StateReader) error {
	err := o.pairs.read(r, func(h uint32, k K, v *T) error {
		acc, _ := o.table.At(h, k)
		*acc = *v
		return nil
	})
	if err != nil {
		return fmt.Errorf("reduce %q: %w", o.name, err)
	}
	return nil
}
