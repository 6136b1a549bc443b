package task_test

import (
	goruntime "runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/operator"
	"github.com/weftstream/weft/runtime/task"
	. "github.com/weftstream/weft/runtime/task/tasktest"
)

func exit() { goruntime.Goexit() }

// trickle is a source that emits one record and then waits, n times.
func trickle(n int, wait time.Duration) operator.Factory {
	return func(env *operator.Env) (operator.Operator, error) {
		sent := 0
		return &Source{Func: Func{Base: NewBase(env)}, OnPoll: func(s *Source, v *Vec) (time.Duration, bool, error) {
			if sent == n {
				return 0, true, nil
			}
			sent++
			v.V = append(v.V, Record{N: int64(sent)})
			return wait, false, nil
		}}, nil
	}
}

// arrivals runs a trickle of 5 records, a second apart, over an exchange and returns when they came, since the start.
func arrivals(t *testing.T, s task.Settings) (at []time.Duration) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		j := &Job{}
		src := j.Node("source", nil, 0, trickle(5, time.Second))
		j.Node("sink", src, rebalance, func(env *operator.Env) (operator.Operator, error) {
			return &Func{Base: NewBase(env), OnBatch: func(_ *Func, v *Vec) error {
				for range v.V {
					at = append(at, time.Since(begin))
				}
				return nil
			}}, nil
		})
		r := start(t, j, 1, s, nil)
		r.wait()
		expectFinished(t, r)
	})
	return at
}

func TestBufferTimeout(t *testing.T) {
	s := time.Second
	for name, c := range map[string]struct {
		timeout time.Duration
		want    []time.Duration
	}{
		"interval":       {100 * time.Millisecond, []time.Duration{s / 10, s + s/10, 2*s + s/10, 3*s + s/10, 4*s + s/10}},
		"longer":         {2500 * time.Millisecond, []time.Duration{5 * s / 2, 5 * s / 2, 5 * s / 2, 5 * s, 5 * s}},
		"0: every batch": {0, []time.Duration{0, s, 2 * s, 3 * s, 4 * s}},
		"disabled":       {-1, []time.Duration{5 * s, 5 * s, 5 * s, 5 * s, 5 * s}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := arrivals(t, task.Settings{BufferTimeout: c.timeout}); !slices.Equal(got, c.want) {
				t.Errorf("records came at %v, want %v", got, c.want)
			}
		})
	}
}

func TestProcessingTimeTimersAndWake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		var fired, polled []time.Duration
		j := &Job{}
		src := j.Node("source", nil, 0, func(env *operator.Env) (operator.Operator, error) {
			done := false
			time.AfterFunc(90*time.Second, func() { done = true; env.Runtime.Wake() })
			return &Source{Func: Func{Base: NewBase(env)}, OnPoll: func(*Source, *Vec) (time.Duration, bool, error) {
				polled = append(polled, time.Since(begin))
				return time.Hour, done, nil
			}}, nil
		})
		j.Node("timer", src, forward, func(env *operator.Env) (operator.Operator, error) {
			env.Runtime.WakeAt(env.Runtime.Now() + 10_000)
			env.Runtime.WakeAt(env.Runtime.Now() + 5_000) // earlier: replaces
			env.Runtime.WakeAt(env.Runtime.Now() + 7_000) // later: doesn't
			return &Func{Base: NewBase(env), OnTime: func(_ *Func, now int64) error {
				if now != time.Now().UnixMilli() {
					t.Errorf("called with %d at %d", now, time.Now().UnixMilli())
				}
				fired = append(fired, time.Since(begin))
				if len(fired) == 1 {
					env.Runtime.WakeAt(now + 20_000)
				}
				return nil
			}}, nil
		})
		r := start(t, j, 1, task.Settings{}, nil)
		r.wait()
		expectFinished(t, r)
		if want := []time.Duration{5 * time.Second, 25 * time.Second}; !slices.Equal(fired, want) {
			t.Errorf("timers fired at %v, want %v", fired, want)
		}
		if want := []time.Duration{0, 90 * time.Second}; !slices.Equal(polled, want) {
			t.Errorf("polled at %v, want %v", polled, want)
		}
	})
}

func TestBusyIdleBackpressured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &Job{}
		src := j.Node("source", nil, 0, count(1000, 3))
		j.Node("sink", src, rebalance, func(env *operator.Env) (operator.Operator, error) {
			return &Func{Base: NewBase(env), OnBatch: func(*Func, *Vec) error { time.Sleep(100 * time.Millisecond); return nil }}, nil
		})
		r := start(t, j, 1, task.Settings{BatchSize: 10, BufferTimeout: -1}, nil)
		r.wait()
		expectFinished(t, r)
		io := func(vertex string) *linkpb.TaskIO { return r.final(r.graph)[vertex][0].Io }
		// 100 batches of 0.1 s each; the source runs ahead by the credits of the channel.
		if got := io("sink"); got.BusyMs != 10_000 || got.IdleMs != 0 || got.ReadRecords != 1000 {
			t.Errorf("sink %v", got)
		}
		if got := io("source"); got.BackpressuredMs < 7000 || got.BackpressuredMs > 10_000 || got.BusyMs != 0 || got.WriteRecords != 1000 {
			t.Errorf("source %v", got)
		}
	})
}
