package stream_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/weftstream/weft/connector/console"
	"github.com/weftstream/weft/connector/datagen"
	"github.com/weftstream/weft/connector/file"
	"github.com/weftstream/weft/stream"
	"github.com/weftstream/weft/streamtest"
)

// What follows are the programs that the interface was designed with, as users would write them.

type car struct {
	ID       int32
	Speed    int32
	Distance float64
	At       stream.Time
}

type carParams struct{ Events int64 }

type topSpeed struct {
	Max int32
	N   int64
}

// newCars makes one generator per subtask: what it remembers of each car belongs to that subtask alone.
func newCars(rt *stream.Runtime) func(i int64) car {
	speed := make([]int32, 1000)
	return func(i int64) car { id := i % 1000; speed[id]++; return car{ID: int32(id), Speed: speed[id]} }
}

func (t *topSpeed) Merge(o *topSpeed) { t.Max = max(t.Max, o.Max); t.N += o.N }

var topspeed = stream.Define("test-topspeed", func(env *stream.Env, p carParams) error {
	cars := stream.From(env, datagen.New(p.Events, newCars)).
		Timestamps(func(c car) stream.Time { return c.At }, stream.OutOfOrder(time.Second), stream.Idle(time.Minute))
	byCar := stream.KeyBy(cars, func(c car) int32 { return c.ID })

	byCar.Window(stream.Global()).
		EvictTime(10*time.Second).
		TriggerDelta(50, func(last, c car) float64 { return c.Distance - last.Distance }).
		Reduce(func(a, b car) car {
			if b.Speed > a.Speed {
				return b
			}
			return a
		}).UID("top").To(console.Print[car]())

	late := stream.NewTag[car]("late")
	perMinute := stream.Aggregate(
		byCar.Window(stream.Session(time.Minute)).AllowedLateness(5*time.Second).LateTo(late),
		func(a *topSpeed, c car) { a.Max = max(a.Max, c.Speed); a.N++ },
		func(p stream.Pane[int32], a *topSpeed) car { return car{ID: p.Key, Speed: a.Max, At: p.End} })
	perMinute.To(console.Print[car]())
	stream.Side(perMinute, late).To(console.Print[car]())
	return nil
})

type order struct{ ID, Item string }
type payment struct {
	Order string
	Cents int64
}
type paid struct {
	Order order
	Cents int64
}

var unpaid = stream.NewTag[order]("unpaid")

// matcher joins an order with its payment, whichever comes first; an order unpaid after an hour goes to the side.
type matcher struct {
	order *stream.Value[order]
	money *stream.Value[int64]
	paid  *stream.Counter
}

func newMatcher(rt *stream.Runtime) *matcher {
	return &matcher{stream.ValueState[order](rt, "order"), stream.ValueState[int64](rt, "money", stream.TTL(24*time.Hour)), rt.Counter("paid")}
}

func (m *matcher) Left(c *stream.Context[string, paid], o order) error {
	if cents, ok := m.money.Get(); ok {
		m.money.Clear()
		m.paid.Add(1)
		c.Emit(paid{o, cents})
		return nil
	}
	m.order.Set(o)
	c.EventTimer(c.Time().Add(time.Hour))
	return nil
}

func (m *matcher) Right(c *stream.Context[string, paid], p payment) error {
	if o, ok := m.order.Get(); ok {
		m.order.Clear()
		m.paid.Add(1)
		c.Emit(paid{o, p.Cents})
		return nil
	}
	m.money.Update(func(n *int64) { *n += p.Cents })
	return nil
}

func (m *matcher) OnTimer(c *stream.Context[string, paid], at stream.Time) error {
	if o, ok := m.order.Get(); ok {
		m.order.Clear()
		stream.EmitSide(c, unpaid, o)
	}
	return nil
}

type dedup struct{ seen *stream.Value[bool] }

func newDedup(rt *stream.Runtime) *dedup { return &dedup{stream.ValueState[bool](rt, "seen")} }
func (d *dedup) Element(c *stream.Context[string, order], o order) error {
	if _, ok := d.seen.Get(); !ok {
		d.seen.Set(true)
		c.Emit(o)
	}
	return nil
}

type matchParams struct{ Orders, Payments, Paid, Unpaid string }

var match = stream.Define("test-match", func(env *stream.Env, p matchParams) error {
	byID := func(o order) string { return o.ID }
	at := func(order) stream.Time { return 0 }
	orders := stream.Map(stream.From(env, file.Lines(p.Orders)), func(l string) order { return order{ID: l} }).Timestamps(at)
	orders = stream.Process(stream.KeyBy(orders, byID), newDedup).UID("dedup")
	pays := stream.Map(stream.From(env, file.Lines(p.Payments)), func(l string) payment { return payment{Order: l, Cents: int64(len(l))} })
	done := stream.CoProcess(stream.KeyBy(orders, byID), stream.KeyBy(pays, func(p payment) string { return p.Order }), newMatcher).UID("match")
	stream.Map(done, func(x paid) string { return fmt.Sprint(x.Order.ID, x.Cents) }).To(file.Text(p.Paid))
	stream.Map(stream.Side(done, unpaid), func(o order) string { return o.ID }).To(file.Text(p.Unpaid))
	return nil
})

// report depends on the first job's result: an ordinary Go value in its params.
var report = stream.Define("test-report", func(env *stream.Env, total int64) error {
	stream.From(env, datagen.New(1, func(*stream.Runtime) func(int64) string { return func(int64) string { return fmt.Sprint(total) } })).To(console.Print[string]())
	return nil
})

func TestSketchedJobsBuildTheSameGraphElsewhere(t *testing.T) {
	t.Run("topspeed", func(t *testing.T) { streamtest.Rebuild(t, topspeed, carParams{1e6}) })
	t.Run("match", func(t *testing.T) { streamtest.Rebuild(t, match, matchParams{"o", "p", "x", "y"}) })
	t.Run("report", func(t *testing.T) { streamtest.Rebuild(t, report, 7) })
}

func lines(t *testing.T, dir string) []string {
	t.Helper()
	parts, err := filepath.Glob(dir + "/part-*")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, p := range parts {
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		for l := range splitLines(string(b)) {
			out = append(out, l)
		}
	}
	return out
}

func splitLines(s string) func(func(string) bool) {
	return func(yield func(string) bool) {
		start := 0
		for i := range len(s) {
			if s[i] == '\n' {
				if !yield(s[start:i]) {
					return
				}
				start = i + 1
			}
		}
	}
}

func TestStatefulJoinOfFilesWithTimersAndSideOutput(t *testing.T) {
	dir := t.TempDir()
	var orders, pays string
	var wantPaid, wantUnpaid []string
	for i := range 500 {
		id := fmt.Sprint("order-", i)
		orders += id + "\n"
		if i%3 == 0 {
			orders += id + "\n" // twice: the second is dropped
		}
		if i%5 == 0 {
			wantUnpaid = append(wantUnpaid, id)
			continue
		}
		pays += id + "\n"
		wantPaid = append(wantPaid, fmt.Sprint(id, len(id)))
	}
	p := matchParams{dir + "/orders", dir + "/pays", dir + "/paid", dir + "/unpaid"}
	for path, s := range map[string]string{p.Orders: orders, p.Payments: pays} {
		if err := os.WriteFile(path, []byte(s), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r, err := streamtest.RunJob(t, match, p)
	if err != nil {
		t.Fatal(err)
	}
	same(t, lines(t, p.Paid), wantPaid)
	same(t, lines(t, p.Unpaid), wantUnpaid)
	if n := r.Counter("paid"); n != int64(len(wantPaid)) {
		t.Fatalf("counted %d paid, want %d", n, len(wantPaid))
	}
	if _, err := streamtest.RunJob(t, match, p); err == nil {
		t.Fatal("existing output was overwritten")
	}
}
