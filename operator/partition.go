package operator

import (
	"fmt"
	"math/rand/v2"
)

// scatterRouter sends every record to the channel that pick names.
type scatterRouter[T any] struct {
	channels[T]
	pick func(v T, n int) (int, error)
}

func (r *scatterRouter[T]) Batch(b Batch) error {
	v := b.(*Vec[T])
	timed, err := r.take(v)
	if err != nil {
		return err
	}
	for i := range v.V {
		t, err := r.pick(v.V[i], len(r.out))
		if err != nil {
			return err
		}
		p := r.pending[t]
		p.V = append(p.V, v.V[i])
		if timed {
			p.TS = append(p.TS, v.TS[i])
		}
		if len(p.V) >= r.size {
			if err := r.send(t); err != nil {
				return err
			}
		}
	}
	return nil
}

// NewShuffleRouter makes the factory of routers that send every record to a random channel, all equally likely.
func NewShuffleRouter[T any]() RouterFactory {
	return func(env RouterEnv, out []Writer) Router {
		random := rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
		return &scatterRouter[T]{newChannels[T](env, out), func(_ T, n int) (int, error) { return random.IntN(n), nil }}
	}
}

// NewCustomRouter makes the factory of routers that send every record to the channel that part names among n: a result
// outside 0 to n-1 is an error that names the partitioner by name. Routers of several subtasks call part concurrently.
func NewCustomRouter[T any](name string, part func(v T, n int) int) RouterFactory {
	return func(env RouterEnv, out []Writer) Router {
		return &scatterRouter[T]{newChannels[T](env, out), func(v T, n int) (int, error) {
			t := part(v, n)
			if t < 0 || t >= n {
				return 0, fmt.Errorf("partition a record: %s returned %d for %d subtasks; it must return 0 to %d", name, t, n, n-1)
			}
			return t, nil
		}}
	}
}

// globalRouter sends every record to the first channel; watermarks and events go to all.
type globalRouter[T any] struct{ channels[T] }

// NewGlobalRouter makes the factory of routers that send every record to the first receiving subtask.
func NewGlobalRouter[T any]() RouterFactory {
	return func(env RouterEnv, out []Writer) Router { return &globalRouter[T]{newChannels[T](env, out)} }
}

func (r *globalRouter[T]) Batch(b Batch) error {
	v := b.(*Vec[T])
	if _, err := r.take(v); err != nil {
		return err
	}
	p := r.pending[0]
	p.V = append(p.V, v.V...)
	p.TS = append(p.TS, v.TS...)
	if len(p.V) < r.size {
		return nil
	}
	return r.send(0)
}
