package stream

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/operator"
)

// asyncRig is one async operator and what came out of it.
type asyncRig[T, U any] struct {
	t      *testing.T
	op     operator.Operator
	rt     *fakeRuntime
	events []event
}

func newAsyncRig[T, U any](t *testing.T, o AsyncOptions, f func(context.Context, T) (U, error), more ...AsyncOption[T, U]) *asyncRig[T, U] {
	t.Helper()
	env := newEnv("test", nil)
	n := AsyncMap(From(env, fakeSource[T]{}), o, f, more...).named
	env.sinks++
	env.finish()
	if err := env.g.Check(); err != nil {
		t.Fatal(err)
	}
	r := &asyncRig[T, U]{t: t}
	r.rt = &fakeRuntime{outputs: map[string]operator.Input{"": capture[U]{&r.events}}, counters: map[string]*operator.Counter{}}
	op, err := n.Factory(&operator.Env{Name: n.Name, Parallelism: 1, MaxParallelism: testGroups, BatchSize: 8, Runtime: r.rt})
	if err != nil {
		t.Fatal(err)
	}
	r.op = op
	return r
}

func (r *asyncRig[T, U]) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// batch hands vs on, with no event time.
func (r *asyncRig[T, U]) batch(vs ...T) {
	r.t.Helper()
	r.must(r.op.Input(0).Batch(&operator.Vec[T]{V: vs, WM: operator.NoWatermark}))
}

func (r *asyncRig[T, U]) mark(t int64) {
	r.t.Helper()
	r.must(r.op.Input(0).Watermark(t))
}

// settle waits until nothing moves and runs the mails: in a synctest bubble only.
func (r *asyncRig[T, U]) settle() error {
	synctest.Wait()
	return r.rt.runMails()
}

// pass lets d of virtual time pass, then settles.
func (r *asyncRig[T, U]) pass(d time.Duration) error {
	time.Sleep(d)
	return r.settle()
}

func (r *asyncRig[T, U]) end() {
	r.t.Helper()
	r.must(r.op.Input(0).End())
	r.must(r.op.Close())
}

// text is what came out: records, w<watermark>, idle, end.
func (r *asyncRig[T, U]) text() string {
	var out []string
	for _, e := range r.events {
		switch {
		case e.end:
			out = append(out, "end")
		case e.mark && e.at == operator.IdleWatermark:
			out = append(out, "idle")
		case e.mark:
			out = append(out, fmt.Sprint("w", e.at))
		default:
			out = append(out, fmt.Sprint(e.rec))
		}
	}
	return strings.Join(out, " ")
}

func (r *asyncRig[T, U]) want(text string) {
	r.t.Helper()
	if got := r.text(); got != text {
		r.t.Fatalf("came out: %s\nwant:     %s", got, text)
	}
}

// slow answers a number after that many milliseconds.
func slow(ctx context.Context, ms int) (int, error) {
	select {
	case <-time.After(time.Duration(ms) * time.Millisecond):
		return ms, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

func TestAsyncOrdered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newAsyncRig(t, AsyncOptions{}, slow)
		r.batch(30, 10)
		r.mark(1)
		r.batch(20)
		r.must(r.pass(25 * time.Millisecond))
		r.want("")
		r.must(r.pass(10 * time.Millisecond))
		r.want("30 10 w1 20")
		r.end()
	})
}

func TestAsyncUnorderedKeepsToWatermarks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newAsyncRig(t, AsyncOptions{Unordered: true}, slow)
		r.batch(30, 10)
		r.mark(1)
		r.mark(2) // nothing between: one watermark
		r.mark(operator.IdleWatermark)
		r.batch(20, 50, 5)
		r.mark(3)
		r.must(r.pass(12 * time.Millisecond))
		r.want("10")
		r.must(r.pass(13 * time.Millisecond))
		r.want("10") // 5 and 20 have come, but don't overtake watermark 2
		r.must(r.pass(10 * time.Millisecond))
		r.want("10 30 w2 idle 20 5")
		r.end() // waits for the last result
		r.want("10 30 w2 idle 20 5 50 w3 end")
	})
}

func TestAsyncCapacity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running, high atomic.Int32
		r := newAsyncRig(t, AsyncOptions{Capacity: 3}, func(ctx context.Context, ms int) (int, error) {
			defer running.Add(-1)
			for n := running.Add(1); ; {
				if h := high.Load(); n <= h || high.CompareAndSwap(h, n) {
					break
				}
			}
			return slow(ctx, ms)
		})
		r.batch(10, 10, 10, 10, 10)
		if !r.rt.holds {
			t.Fatal("the operator takes more input while records wait")
		}
		synctest.Wait()
		if n := running.Load(); n != 3 {
			t.Fatalf("%d calls are under way, want 3", n)
		}
		r.must(r.pass(11 * time.Millisecond))
		if r.rt.holds {
			t.Fatal("the operator takes no input though no record waits")
		}
		// A batch of any size is taken at once, so that a checkpoint needn't wait for calls and has the records.
		r.must(r.pass(11 * time.Millisecond))
		begin := time.Now()
		r.batch(slices.Repeat([]int{7}, 40)...)
		if d := time.Since(begin); d != 0 || !r.rt.holds {
			t.Fatalf("the batch was taken after %v, more input is held: %v", d, r.rt.holds)
		}
		if n := asyncStateSize(t, r.op); n != 40 {
			t.Fatalf("%d records are in a checkpoint, want 40", n)
		}
		// What comes nevertheless waits until there is room, and nothing is lost.
		r.batch(slices.Repeat([]int{6}, 40)...)
		if d := time.Since(begin); d == 0 {
			t.Fatal("batch after batch was taken while records waited")
		}
		r.end()
		r.want(strings.Repeat("10 ", 5) + strings.Repeat("7 ", 40) + strings.Repeat("6 ", 40) + "end")
		if n := high.Load(); n != 3 {
			t.Fatalf("%d calls were under way at once, want 3", n)
		}
	})
}

// countBlocks counts what a snapshot writes.
type countBlocks struct {
	operator.StateWriter
	n int
}

func (c *countBlocks) Begin(operator.StateDescriptor) error { return nil }
func (c *countBlocks) Block(int, []byte) error              { c.n++; return nil }

// asyncStateSize is how many records a checkpoint of the operator has.
func asyncStateSize(t *testing.T, op operator.Operator) int {
	t.Helper()
	s, err := op.(operator.Checkpointed).Snapshot(1)
	if err != nil {
		t.Fatal(err)
	}
	var c countBlocks
	if err := s.Write(&c); err != nil {
		t.Fatal(err)
	}
	return c.n
}

func TestAsyncTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newAsyncRig(t, AsyncOptions{Timeout: 20 * time.Millisecond}, slow)
		r.batch(10, 100)
		if err := r.pass(25 * time.Millisecond); err == nil || !strings.Contains(err.Error(), "no result within 20ms") {
			t.Fatalf("a record that took too long: %v", err)
		}
		r.must(r.op.Close())

		o := OnTimeout(func(v int) (int, error) { return -v, nil })
		r = newAsyncRig(t, AsyncOptions{Timeout: 20 * time.Millisecond}, slow, o)
		r.batch(10, 100, 15)
		r.must(r.pass(25 * time.Millisecond))
		r.want("10 -100 15")
		r.end()

		// A function that doesn't heed its context keeps its place among the calls until it returns.
		deaf := func(_ context.Context, ms int) (int, error) {
			time.Sleep(time.Duration(ms) * time.Millisecond)
			return ms, nil
		}
		r = newAsyncRig(t, AsyncOptions{Timeout: 20 * time.Millisecond, Capacity: 1}, deaf, o)
		r.batch(100, 15)
		r.must(r.pass(25 * time.Millisecond))
		r.want("-100")
		r.must(r.pass(60 * time.Millisecond))
		r.want("-100")
		r.end()
		r.want("-100 15 end")
	})
}

func TestAsyncRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Duration
		begin := time.Now()
		bad := errors.New("not now")
		f := func(_ context.Context, v int) (int, error) {
			at = append(at, time.Since(begin)/time.Millisecond)
			if len(at) < v {
				return 0, bad
			}
			return len(at), nil
		}
		again := AsyncRetry{Attempts: 6, Delay: 10 * time.Millisecond, Multiplier: 2, MaxDelay: 50 * time.Millisecond}
		r := newAsyncRig(t, AsyncOptions{Retry: again}, f)
		r.batch(5)
		r.end()
		r.want("5 end")
		if want := []time.Duration{0, 10, 30, 70, 120}; !slices.Equal(at, want) {
			t.Fatalf("attempts at %v ms, want %v", at, want)
		}
		at = nil
		r = newAsyncRig(t, AsyncOptions{Retry: again}, f)
		r.batch(7)
		if err := r.pass(time.Second); !errors.Is(err, bad) || len(at) != 6 {
			t.Fatalf("after %d attempts: %v", len(at), err)
		}
		r.must(r.op.Close())
		at = nil
		again.If = func(err error) bool { return !errors.Is(err, bad) }
		r = newAsyncRig(t, AsyncOptions{Retry: again}, f)
		// The call may have failed before Batch returns.
		err := r.op.Input(0).Batch(&operator.Vec[int]{V: []int{7}, WM: operator.NoWatermark})
		if err := errors.Join(err, r.pass(time.Second)); !errors.Is(err, bad) || len(at) != 1 {
			t.Fatalf("an error that isn't retried, after %d attempts: %v", len(at), err)
		}
		r.must(r.op.Close())
		at = nil
		r = newAsyncRig(t, AsyncOptions{Retry: again}, f, RetryResult[int](func(n int) bool { return n < 4 }))
		r.batch(0)
		r.end()
		r.want("4 end")
	})
}

func TestAsyncCloseEndsCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var returned atomic.Int32
		r := newAsyncRig(t, AsyncOptions{Timeout: time.Hour, Retry: AsyncRetry{Attempts: 100, Delay: time.Hour}}, func(ctx context.Context, v int) (int, error) {
			defer returned.Add(1)
			if v == 0 {
				return 0, errors.New("again in an hour")
			}
			<-ctx.Done()
			return 0, ctx.Err()
		})
		r.batch(0, 1, 2)
		synctest.Wait()
		r.must(r.op.Close())
		if n := returned.Load(); n != 3 {
			t.Fatalf("%d calls have returned when the operator is closed, want 3", n)
		}
	})
}

func TestAsyncMistakes(t *testing.T) {
	for want, o := range map[string]AsyncOptions{
		"capacity -1":                 {Capacity: -1},
		"negative duration":           {Timeout: -1},
		"-1 attempts":                 {Retry: AsyncRetry{Attempts: -1}},
		"retry multiplier of 0.5":     {Retry: AsyncRetry{Multiplier: 0.5}},
		"OnTimeout but without a Tim": {},
	} {
		env := newEnv("test", nil)
		AsyncMap(From(env, fakeSource[int]{}), o, slow, OnTimeout(func(v int) (int, error) { return v, nil }))
		if err := env.g.Check(); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "async_test.go:") {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// hasty answers after a random, short while.
func hasty(_ context.Context, v rec) ([]rec, error) {
	for range rand.IntN(4) {
		runtime.Gosched()
	}
	if v.N%5 == 0 {
		return nil, nil
	}
	return []rec{{v.Key, v.N * 2, v.Name}, {v.Key, v.N*2 + 1, v.Name + "b"}}, nil
}

func TestAsyncRestores(t *testing.T) {
	for _, unordered := range []bool{false, true} {
		for _, capacity := range []int{1, 7, 100} {
			t.Run(fmt.Sprint(unordered, capacity), func(t *testing.T) {
				checkRestore(t, rigCase{
					build: func(env *Env) *graph.Node {
						return AsyncFlatMap(From(env, fakeSource[rec]{}), AsyncOptions{Unordered: unordered, Capacity: capacity}, hasty).named
					},
					in:    []rigInput{rigSpread[rec]()},
					steps: rigSteps(randomSteps(3, 600, 7, 4000)),
				})
			})
		}
	}
}

// TestAsyncOracle compares order and watermarks with a plain program's over the same random input.
func TestAsyncOracle(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 5))
			unordered := seed%2 == 1
			r := newAsyncRig(t, AsyncOptions{Unordered: unordered, Capacity: 1 + random.IntN(20)}, func(ctx context.Context, v [2]int) (int, error) {
				_, err := slow(ctx, v[0])
				return v[1], err
			})
			var want []event
			mark := int64(0)
			for i := range 400 {
				if random.IntN(8) == 0 {
					mark++
					r.mark(mark)
					want = append(want, event{mark: true, at: mark})
				}
				r.batch([2]int{random.IntN(40), i})
				want = append(want, event{rec: i, at: operator.NoWatermark})
				if random.IntN(3) == 0 {
					r.must(r.pass(time.Duration(random.IntN(30)) * time.Millisecond))
				}
			}
			r.end()
			want = append(want, event{end: true})
			got := r.events
			if unordered { // between two watermarks any order will do
				got = bySegment(got)
			}
			if !slices.Equal(got, want) {
				t.Fatalf("seed %d: came out\n%v\nwant\n%v", seed, got, want)
			}
		})
	}
}

// bySegment sorts the records between watermarks.
func bySegment(es []event) []event {
	es = slices.Clone(es)
	from := 0
	for i, e := range es {
		if e.mark || e.end {
			slices.SortFunc(es[from:i], func(a, b event) int { return a.rec.(int) - b.rec.(int) })
			from = i + 1
		}
	}
	return es
}
