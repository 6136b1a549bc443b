package operator_test

import (
	"slices"
	"testing"

	"github.com/weftstream/weft/codec"
	"github.com/weftstream/weft/operator"
)

// recorder keeps what was sent on a channel, in order.
type recorder struct {
	t     operator.Type
	v     []int64
	ts    []int64
	h     []uint32
	marks []int64
	ends  int
	sends int
	mixed bool
}

func (r *recorder) Send(b operator.Batch) (operator.Batch, error) {
	v := b.(*operator.Vec[int64])
	r.v, r.ts, r.h = append(r.v, v.V...), append(r.ts, v.TS...), append(r.h, v.H...)
	if v.WM != operator.NoWatermark {
		r.marks = append(r.marks, v.WM)
	}
	r.sends++
	r.mixed = r.mixed || len(v.TS) != 0 && len(v.TS) != len(v.V)
	r.t.Reset(b)
	return b, nil
}

func (r *recorder) Event(operator.Event) error { r.ends++; return nil }

func route(t *testing.T, f operator.RouterFactory, n int) (operator.Router, []*recorder) {
	typ, err := codec.Of[int64]()
	if err != nil {
		t.Fatal(err)
	}
	recs := make([]*recorder, n)
	out := make([]operator.Writer, n)
	for i := range out {
		recs[i] = &recorder{t: typ}
		out[i] = recs[i]
	}
	return f(operator.RouterEnv{MaxParallelism: 128, BatchSize: 16, Type: typ}, out), recs
}

func batch(from, to int64) *operator.Vec[int64] {
	v := operator.NewVec[int64](8)
	for i := from; i < to; i++ {
		v.V, v.TS = append(v.V, i), append(v.TS, i*10)
	}
	return v
}

func TestKeyedRouterSendsKeyToTheOwnerOfItsGroup(t *testing.T) {
	key, _ := codec.KeyOf[int64]()
	hash := func(b *operator.Vec[int64]) {
		b.H = b.H[:0]
		for _, v := range b.V {
			b.H = append(b.H, key.Hash(v))
		}
	}
	r, recs := route(t, operator.NewKeyedRouter(hash), 3)
	for i := int64(0); i < 10; i++ {
		if err := r.Batch(batch(i*20, i*20+20)); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Watermark(77); err != nil {
		t.Fatal(err)
	}
	if !r.Pending() {
		t.Fatal("nothing pending after a watermark")
	}
	if err := r.End(); err != nil {
		t.Fatal(err)
	}
	var all []int64
	for i, rec := range recs {
		for j, v := range rec.v {
			if want := operator.SubtaskFor(operator.KeyGroup(key.Hash(v), 128), 128, 3); want != i {
				t.Errorf("key %d went to %d, its owner is %d", v, i, want)
			}
			if rec.h[j] != key.Hash(v) || rec.ts[j] != v*10 {
				t.Errorf("key %d arrived with hash %x, time %d", v, rec.h[j], rec.ts[j])
			}
		}
		if !slices.Equal(rec.marks, []int64{77}) || rec.ends != 1 {
			t.Errorf("channel %d: watermarks %v, %d ends", i, rec.marks, rec.ends)
		}
		all = append(all, rec.v...)
	}
	slices.Sort(all)
	if len(all) != 200 || all[0] != 0 || all[199] != 199 {
		t.Fatalf("%d records arrived", len(all))
	}
	if r.Pending() {
		t.Fatal("pending after the end")
	}
}

func TestWatermarkDoesNotFlush(t *testing.T) {
	r, recs := route(t, operator.NewRebalanceRouter[int64](), 2)
	for i := int64(0); i < 3; i++ {
		r.Batch(batch(i, i+1))
		r.Watermark(i)
	}
	if recs[0].sends+recs[1].sends != 0 {
		t.Fatal("a watermark flushed a partial batch")
	}
	r.Flush()
	for i, rec := range recs {
		if !slices.Equal(rec.marks, []int64{2}) {
			t.Errorf("channel %d got watermarks %v, want the last one", i, rec.marks)
		}
	}
}

// TestIdlenessDoesNotReplaceAWatermark: what a sender said before it became idle holds.
func TestIdlenessDoesNotReplaceAWatermark(t *testing.T) {
	r, recs := route(t, operator.NewRebalanceRouter[int64](), 2)
	r.Batch(batch(0, 1))
	r.Watermark(5)
	r.Watermark(operator.IdleWatermark)
	r.Watermark(operator.IdleWatermark)
	r.Flush()
	r.Watermark(operator.IdleWatermark)
	r.Watermark(6)
	r.Flush()
	for i, rec := range recs {
		if !slices.Equal(rec.marks, []int64{5, operator.IdleWatermark, 6}) {
			t.Errorf("channel %d got watermarks %v, want 5, idleness and 6", i, rec.marks)
		}
	}
}

func TestRebalanceUsesAllAndBroadcastReachesAll(t *testing.T) {
	r, recs := route(t, operator.NewRebalanceRouter[int64](), 3)
	for i := int64(0); i < 12; i++ {
		r.Batch(batch(i*16, i*16+16))
	}
	for i, rec := range recs {
		if len(rec.v) != 64 {
			t.Errorf("channel %d got %d records of 192", i, len(rec.v))
		}
	}
	b, recs := route(t, operator.NewBroadcastRouter[int64](), 3)
	b.Batch(batch(0, 20))
	b.End()
	for i, rec := range recs {
		if len(rec.v) != 20 {
			t.Errorf("channel %d got %d records of 20", i, len(rec.v))
		}
	}
}

// A union of a stream with event time and one without reaches routers batch by batch: what is sent has a timestamp for
// every record or for none.
func TestTimedAndUntimedRecordsAreNeverInOneBatch(t *testing.T) {
	key, _ := codec.KeyOf[int64]()
	hash := func(b *operator.Vec[int64]) {
		b.H = b.H[:0]
		for _, v := range b.V {
			b.H = append(b.H, key.Hash(v))
		}
	}
	for name, f := range map[string]operator.RouterFactory{"keyed": operator.NewKeyedRouter(hash),
		"rebalance": operator.NewRebalanceRouter[int64](), "broadcast": operator.NewBroadcastRouter[int64]()} {
		for _, n := range []int{1, 3} {
			r, recs := route(t, f, n)
			for i := int64(0); i < 6; i++ {
				b := batch(i*5, i*5+5)
				if i%2 == 1 {
					b.TS = b.TS[:0]
				}
				if err := r.Batch(b); err != nil {
					t.Fatal(err)
				}
			}
			if err := r.End(); err != nil {
				t.Fatal(err)
			}
			for _, rec := range recs {
				if rec.mixed {
					t.Errorf("%s over %d channels: a batch holds records with and without timestamps", name, n)
				}
			}
		}
	}
}

// spoiler changes what it is given, as an in-place map does.
type spoiler struct {
	operator.Drop
	seen []int64
}

func (s *spoiler) Batch(b operator.Batch) error {
	v := b.(*operator.Vec[int64])
	s.seen = append(s.seen, v.V...)
	for i := range v.V {
		v.V[i] = -1
	}
	return nil
}

func TestTeeProtectsConsumersFromEachOther(t *testing.T) {
	typ, _ := codec.Of[int64]()
	a, b, c := &spoiler{}, &spoiler{}, &spoiler{}
	tee := operator.NewTee(typ, []operator.Input{a, b, c})
	tee.Batch(batch(0, 5))
	for _, s := range []*spoiler{a, b, c} {
		if !slices.Equal(s.seen, []int64{0, 1, 2, 3, 4}) {
			t.Errorf("a consumer saw %v", s.seen)
		}
	}
}

func TestKeyGroupRangesCoverAllGroups(t *testing.T) {
	for _, maxPar := range []int{1, 7, 128, 1024} {
		for par := 1; par <= min(maxPar, 40); par++ {
			next := 0
			for s := range par {
				from, to := operator.KeyGroupRange(s, maxPar, par)
				if from != next {
					t.Fatalf("max %d par %d: subtask %d starts at %d, want %d", maxPar, par, s, from, next)
				}
				for g := from; g < to; g++ {
					if operator.SubtaskFor(g, maxPar, par) != s {
						t.Fatalf("max %d par %d: group %d in the range of %d, owned by %d", maxPar, par, g, s, operator.SubtaskFor(g, maxPar, par))
					}
				}
				next = to
			}
			if next != maxPar {
				t.Fatalf("max %d par %d: %d groups owned", maxPar, par, next)
			}
		}
	}
}
