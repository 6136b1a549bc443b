package host_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/operator"
	"github.com/weftstream/weft/runtime/network/networktest"
	. "github.com/weftstream/weft/runtime/task/tasktest"
)

// keys are the benchmark's words.
var keys = func() (k [10000]string) {
	for i := range k {
		k[i] = fmt.Sprintf("w%04d", i)
	}
	return k
}()

// generate is a source of n records per subtask over the benchmark's words.
func generate(n int) operator.Factory {
	return func(env *operator.Env) (operator.Operator, error) {
		left := n
		x := uint64(0x9E3779B97F4A7C15) * uint64(env.Subtask+1)
		return &Source{Func: Func{Base: NewBase(env)}, OnPoll: func(s *Source, v *Vec) (time.Duration, bool, error) {
			for range min(left, env.BatchSize) {
				x ^= x >> 12
				x ^= x << 25
				x ^= x >> 27
				v.V = append(v.V, Record{Key: keys[(x*0x2545F4914F6CDD1D>>33)%uint64(len(keys))], N: 1})
			}
			left -= v.Len()
			return 0, left == 0, nil
		}}, nil
	}
}

// tally is a rolling count over a table by hash, which is enough for a benchmark: what it costs is little and the same.
func tally(env *operator.Env) (operator.Operator, error) {
	table := make([]int64, 1<<16)
	return &Func{Base: NewBase(env), OnBatch: func(o *Func, v *Vec) error {
		for i := range v.V {
			slot := &table[v.H[i]&(1<<16-1)]
			*slot += v.V[i].N
			v.V[i].N = *slot
		}
		return o.Out.Batch(v)
	}}, nil
}

func discard(env *operator.Env) (operator.Operator, error) {
	return &Func{Base: NewBase(env), OnBatch: func(*Func, *Vec) error { return nil }}, nil
}

func benchmarkKeyed(b *testing.B, hosts, parallelism int) {
	c := run(b, hosts, parallelism, nil, func() *Job {
		j := &Job{}
		src := j.Node("source", nil, 0, generate(b.N/parallelism+1))
		j.Node("sink", j.Node("tally", src, hash, tally), forward, discard)
		return j
	})
	b.ReportAllocs()
	b.ResetTimer()
	for _, u := range c.final() {
		if u.State != linkpb.ExecutionState_EXECUTION_FINISHED {
			b.Fatal(u)
		}
	}
}

func BenchmarkKeyedLocal1(b *testing.B)  { benchmarkKeyed(b, 1, 1) }
func BenchmarkKeyedLocal2(b *testing.B)  { benchmarkKeyed(b, 1, 2) }
func BenchmarkKeyedRemote2(b *testing.B) { benchmarkKeyed(b, 2, 2) }

// BenchmarkBare is the same work in a loop.
func BenchmarkBare(b *testing.B) {
	table := make([]int64, 1<<16)
	x := uint64(0x9E3779B97F4A7C15)
	v := operator.NewVec[Record](1)
	for range b.N {
		x ^= x >> 12
		x ^= x << 25
		x ^= x >> 27
		v.V = append(v.V[:0], Record{Key: keys[(x*0x2545F4914F6CDD1D>>33)%uint64(len(keys))], N: 1})
		networktest.Hash(v)
		table[v.H[0]&(1<<16-1)] += v.V[0].N
	}
}
