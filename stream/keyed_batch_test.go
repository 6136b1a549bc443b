package stream

import (
	"testing"

	"github.com/weftstream/weft/codec"
	"github.com/weftstream/weft/operator"
)

// A savepoint of a batch is good for a batch and for a stream.
func TestResultsOfABatchGoOnAfterARestore(t *testing.T) {
	env := newEnv("test", nil)
	n := KeyBy(From(env, fakeSource[rec]{}), byKey).Reduce(func(a, b rec) rec { a.N += b.N; return a }).named
	kt, _ := codec.KeyOf[int64]()
	stores := rigStores(t)
	open := func(batch bool, events *[]event) operator.Operator {
		var store operator.StateStore // batches are on disk, streams in memory
		if batch {
			store = stores[len(stores)-1]
		}
		rt := &fakeRuntime{outputs: map[string]operator.Input{"": capture[rec]{events}}}
		op, err := n.Factory(&operator.Env{Parallelism: 1, MaxParallelism: testGroups, BatchSize: 8, Batch: batch, Runtime: rt, Store: store})
		if err != nil {
			t.Fatal(err)
		}
		return op
	}
	add := func(op operator.Operator, n int64) {
		for _, k := range []int64{1, 2} {
			if err := op.Input(0).Batch(&operator.Vec[rec]{V: []rec{{Key: k, N: n}}, TS: []int64{n}, H: []uint32{kt.Hash(k)}, WM: operator.NoWatermark}); err != nil {
				t.Fatal(err)
			}
		}
	}
	var events []event
	op := open(true, &events)
	add(op, 5)
	s, err := op.(operator.Checkpointed).Snapshot(1)
	if err != nil {
		t.Fatal(err)
	}
	add(op, 100) // not in the snapshot
	part := &rigPart{}
	if err := s.Write(part); err != nil {
		t.Fatal(err)
	}
	s.Release()
	if len(events) != 0 {
		t.Fatalf("a batch emitted %v before the end", events)
	}
	for _, batch := range []bool{true, false} {
		events = nil
		op := open(batch, &events)
		if err := op.(operator.Checkpointed).Restore(rigReader{&rigImage{parts: []*rigPart{part}}, 0, 1}); err != nil {
			t.Fatal(err)
		}
		add(op, 7)
		if err := op.Input(0).Watermark(operator.MaxWatermark); err != nil {
			t.Fatal(err)
		}
		if len(events) != 3 || events[0].rec.(rec).N != 12 || events[1].rec.(rec).N != 12 || events[0].at != 7 || !events[2].mark {
			t.Errorf("batch %v: %v", batch, events)
		}
	}
}
