package network_test

import (
	"sync"
	"testing"

	"github.com/weftstream/weft/operator"
	"github.com/weftstream/weft/runtime/network/networktest"
)

const benchBatch = 512

// benchmarkExchange moves b.N records; allocations are per record.
func benchmarkExchange(b *testing.B, from, to *node, typ operator.Type) {
	o, _, cancel := from.producer(b, 0, 0, typ)
	defer cancel()
	g, w := to.gate(b, "a", from.address, typ, 0)
	var sum int64
	var consumer sync.WaitGroup
	consumer.Go(func() {
		for {
			e, err := next(g, w)
			if err != nil {
				b.Error(err)
				return
			}
			if e.Batch == nil {
				return
			}
			for _, r := range e.Batch.(*networktest.Vec).V {
				sum += r.N
			}
		}
	})
	v := operator.NewVec[networktest.Record](benchBatch)
	b.ReportAllocs()
	b.ResetTimer()
	for n := 0; n < b.N; n += benchBatch {
		for i := range benchBatch {
			v.V = append(v.V, networktest.Record{Key: "word", N: int64(n + i)})
			v.H = append(v.H, uint32(i))
		}
		e, err := o.Send(v)
		if err != nil {
			b.Fatal(err)
		}
		v = e.(*networktest.Vec)
	}
	if err := o.Event(operator.Event{Kind: operator.EndOfInput}); err != nil {
		b.Fatal(err)
	}
	consumer.Wait()
}

func BenchmarkLocal(b *testing.B) {
	a := newNode(b, "a", nil)
	benchmarkExchange(b, a, a, networktest.Type{})
}

func BenchmarkRemote(b *testing.B) {
	benchmarkExchange(b, newNode(b, "a", nil), newNode(b, "b", nil), networktest.Type{Alias: true})
}
