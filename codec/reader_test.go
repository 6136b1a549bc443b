package codec

import (
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"
)

// evolve stores old and reads it as a T; the schema takes the way through its bytes.
func evolve[T, F any](t testing.TB, old F) (T, error) {
	t.Helper()
	b, err := schemaOf[F](t).MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	var s Schema
	if err := s.UnmarshalBinary(b); err != nil {
		t.Fatal(err)
	}
	var out T
	r, err := ReaderOf[T](&s)
	if err != nil {
		return out, err
	}
	src := append(encoded(t, old), 0xaa)
	rest, err := r.Read(&out, src)
	if err != nil || len(rest) != 1 {
		t.Fatalf("read %s as %T: %v, %d bytes left", &s, out, err, len(rest))
	}
	for cut := range len(src) - 1 {
		var v T
		if _, err := r.Read(&v, src[:cut:cut]); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("%s cut to %d bytes: %v", &s, cut, err)
		}
	}
	for i := range src {
		src[i] = 0xff // what was read owns its memory
	}
	return out, nil
}

func reads[T, F any](t *testing.T, row string, old F, want T) {
	t.Helper()
	if got, err := evolve[T](t, old); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%s: got %+v (%v), want %+v", row, got, err, want)
	}
}

type orderV1 struct {
	ID    int32
	Item  string
	Price float32
}

// The rows of docs/state-evolution.md, in their order.
func TestWhatMayChange(t *testing.T) {
	v1 := orderV1{7, "nut", 1.5}
	type same struct {
		ID    int32
		Item  string
		Price float32
	}
	reads(t, "nothing", v1, same{7, "nut", 1.5})
	type added struct {
		New   []string
		ID    int32
		Item  string
		Count int
		Price float32
	}
	reads(t, "fields added", v1, added{ID: 7, Item: "nut", Price: 1.5})
	type removed struct{ Price float32 }
	reads(t, "fields removed", v1, removed{1.5})
	type reordered struct {
		Price float32
		Item  string
		ID    int32
	}
	reads(t, "fields in another order", v1, reordered{1.5, "nut", 7})
	type renamed struct {
		Number int32  `weft:"was=ID"`
		Name   string `weft:"was=Title,was=Item"`
		Price  float32
	}
	reads(t, "fields renamed", v1, renamed{7, "nut", 1.5})
	type widened struct {
		ID    int64
		Item  string
		Price float64
	}
	reads(t, "numbers widened", v1, widened{7, "nut", 1.5})
	type (
		line1 struct {
			N int8
			A []byte
		}
		all1 struct {
			L []line1
			M map[string]line1
			P *line1
			A [2]line1
			D map[int8][]*line1
		}
		line2 struct {
			S string
			N int64
		}
		all2 struct {
			D map[int8][]*line2
			L []line2
			M map[string]line2
			P *line2
			A [2]line2
		}
	)
	reads(t, "structs inside", all1{
		[]line1{{1, nil}, {-2, []byte("x")}}, map[string]line1{"k": {3, nil}}, &line1{4, nil}, [2]line1{{5, nil}, {6, nil}},
		map[int8][]*line1{1: {nil, {N: -7}}},
	}, all2{
		map[int8][]*line2{1: {nil, {N: -7}}}, []line2{{N: 1}, {N: -2}}, map[string]line2{"k": {N: 3}}, &line2{N: 4}, [2]line2{{N: 5}, {N: 6}},
	})
	reads(t, "structs inside, nil", all1{L: []line1{}}, all2{L: []line2{}})
	type id int32
	type typed struct {
		ID    id
		Item  string
		Price float32
	}
	reads(t, "names of Go types", v1, typed{7, "nut", 1.5})
}

func TestWideningKeepsTheNumber(t *testing.T) {
	for _, n := range []int8{math.MinInt8, -1, 0, 1, math.MaxInt8} {
		reads(t, "int8", n, int16(n))
		reads(t, "int8", n, int32(n))
		reads(t, "int8", n, int(n))
		reads(t, "int32", int32(n)<<24, int64(n)<<24)
		reads(t, "[]int16", []int16{int16(n)}, []int64{int64(n)})
	}
	for _, n := range []uint8{0, 1, math.MaxUint8} {
		reads(t, "uint8", n, uint16(n))
		reads(t, "uint8", n, uint32(n))
		reads(t, "uint8", n, uint(n))
		reads(t, "uint32", uint32(n)<<24, uint64(n)<<24)
	}
	for _, f := range []float32{0, -1.25, math.MaxFloat32, float32(math.Inf(-1))} {
		reads(t, "float32", f, float64(f))
	}
	reads(t, "map", map[string]int8{"a": -1}, map[string]int64{"a": -1})
	reads(t, "pointer", []*int8{nil}, []*int64{nil})
}

func refuses[T, F any](t *testing.T, want ...string) {
	t.Helper()
	_, err := ReaderOf[T](schemaOf[F](t))
	if !errors.Is(err, ErrIncompatible) {
		t.Errorf("%s: got %v", want, err)
		return
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("got %v, want it to say %q", err, w)
		}
	}
}

type Order struct{ Item int64 }

func TestWhatMayNotChange(t *testing.T) {
	refuses[Order, struct{ Item string }](t, "field Order.Item: stored string, the program has int64")
	refuses[Order, struct{ Item uint32 }](t, "field Order.Item: stored uint32, the program has int64")
	refuses[struct{ In []Order }, struct{ In []struct{ Item bool } }](t, ".In[].Item: stored bool, the program has int64")
	refuses[struct{ In map[string]*Order }, struct {
		In map[string]*struct{ Item float64 }
	}](t, ".In[].Item: stored float64")
	refuses[struct{ N int32 }, struct{ N int64 }](t, "stored int64, the program has int32")
	refuses[struct{ N float32 }, struct{ N float64 }](t, "stored float64, the program has float32")
	refuses[struct{ N float64 }, struct{ N int32 }](t, "stored int32, the program has float64")
	refuses[struct{ N complex128 }, struct{ N complex64 }](t, "stored complex64")
	refuses[struct{ N *int64 }, struct{ N int64 }](t, "stored int64, the program has *int64")
	refuses[struct{ N []int64 }, struct{ N int64 }](t, "the program has []int64")
	refuses[struct{ N [3]int8 }, struct{ N [2]int8 }](t, "stored [2]int8, the program has [3]int8")
	refuses[struct{ N []byte }, struct{ N string }](t, "the program has []uint8")
	refuses[struct{ N time.Time }, struct{ N int64 }](t, "the program has time")
	refuses[struct{ M map[int64]bool }, struct{ M map[int32]bool }](t, "key of map", ".M", "stored int32, the program has int64", "keys can't change")
	refuses[int8, string](t, "value of type int8: stored string")
	refuses[struct {
		A int
		B int `weft:"was=A"`
	}, struct{ A int }](t, ".B", "both A and B want it")
	refuses[struct {
		C int `weft:"was=A,was=B"`
	}, struct{ A, B int }](t, ".C", "stored are both A and B")
}

func TestATagWhoseFieldIsThereUnderItsOwnName(t *testing.T) {
	type now struct {
		B int `weft:"was=A"`
	}
	reads(t, "A is another field, removed since", struct{ A, B int }{1, 2}, now{2})
}

func TestKeysCantChange(t *testing.T) {
	if r, err := KeyReaderOf[string](schemaOf[string](t)); err != nil {
		t.Error(err)
	} else {
		var s string
		if _, err := r.Read(&s, []byte{1, 'x'}); err != nil || s != "x" {
			t.Errorf("read %q, %v", s, err)
		}
	}
	_, err := KeyReaderOf[int64](schemaOf[int32](t))
	if !errors.Is(err, ErrIncompatible) || !strings.Contains(err.Error(), "stored int32, the program has int64") {
		t.Errorf("got %v", err)
	}
	if _, err := KeyReaderOf[float64](schemaOf[float64](t)); !errors.Is(err, ErrUnsupported) {
		t.Errorf("got %v", err)
	}
	k, _ := KeyOf[string]()
	if k.Schema().String() != "string" {
		t.Errorf("a key's schema is %s", k.Schema())
	}
}

func TestNoSchemaIsNoReader(t *testing.T) {
	for _, s := range []*Schema{nil, {}} {
		if _, err := ReaderOf[int](s); !errors.Is(err, ErrSchema) {
			t.Errorf("got %v", err)
		}
		if _, err := KeyReaderOf[int](s); !errors.Is(err, ErrSchema) {
			t.Errorf("got %v", err)
		}
	}
	if _, err := ReaderOf[any](schemaOf[int](t)); !errors.Is(err, ErrUnsupported) {
		t.Errorf("got %v", err)
	}
}

func TestReadOverwritesWhatWasThere(t *testing.T) {
	type now struct {
		Kept int
		New  string
		P    *int
	}
	r, err := ReaderOf[now](schemaOf[struct{ Kept int8 }](t))
	if err != nil {
		t.Fatal(err)
	}
	v := now{1, "old", new(int)}
	if _, err := r.Read(&v, []byte{5}); err != nil || v != (now{Kept: 5}) {
		t.Fatalf("got %+v, %v", v, err)
	}
}

// everythingLater is what became of everything.
type everythingLater struct {
	Added struct{ X []string }
	When  time.Time
	Label string `weft:"was=Name"`
	A     int64
	C     float64
	In    innerLater
	M     map[string]int64
	Arr   [3]int32
	Ptr   *innerLater
	inner int
}

type innerLater struct {
	More map[string]int
	Tags []string
	On   bool
}

func (in inner) later() innerLater { return innerLater{Tags: in.Tags, On: in.On} }

func (e everything) later() everythingLater {
	l := everythingLater{When: e.When, Label: e.Name, A: int64(e.A), C: float64(e.C), In: e.In.later(), inner: e.inner}
	if e.M != nil {
		l.M = map[string]int64{}
	}
	for k, v := range e.M {
		l.M[k] = int64(v)
	}
	for i, v := range e.Arr {
		l.Arr[i] = int32(v)
	}
	if e.Ptr != nil {
		p := e.Ptr.later()
		l.Ptr = &p
	}
	return l
}

func TestRandomValuesEvolve(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	for range 200 {
		in := sample(r)
		if got, err := evolve[everything](t, in); err != nil || !reflect.DeepEqual(got, in) {
			t.Fatalf("seed %d: the same type: got %+v (%v), want %+v", seed, got, err, in)
		}
		if got, err := evolve[everythingLater](t, in); err != nil || !reflect.DeepEqual(got, in.later()) {
			t.Fatalf("seed %d: got %+v (%v), want %+v", seed, got, err, in.later())
		}
	}
}

// Values of random struct types survive fields that come, go and move.
func TestRandomTypesEvolve(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	kinds := []reflect.Type{reflect.TypeFor[int32](), reflect.TypeFor[string](), reflect.TypeFor[[]string](), reflect.TypeFor[map[string]int8](),
		reflect.TypeFor[inner](), reflect.TypeFor[*inner](), reflect.TypeFor[time.Time](), reflect.TypeFor[[2]bool](), reflect.TypeFor[struct{}]()}
	for range 300 {
		var old, now []reflect.StructField
		for i := range r.IntN(8) {
			f := reflect.StructField{Name: string(rune('A' + i)), Type: kinds[r.IntN(len(kinds))]}
			in := r.IntN(3)
			if in != 0 {
				old = append(old, f)
			}
			if in != 1 {
				now = append(now, f)
			}
		}
		r.Shuffle(len(now), func(i, j int) { now[i], now[j] = now[j], now[i] })
		from, to := reflect.StructOf(old), reflect.StructOf(now)
		fp, err := planOf(from)
		if err != nil {
			t.Fatal(err)
		}
		tp, err := planOf(to)
		if err != nil {
			t.Fatal(err)
		}
		c, err := convert(shapeOf(fp), tp, "x")
		if err != nil {
			t.Fatalf("seed %d: %s as %s: %v", seed, from, to, err)
		}
		in, out := reflect.New(from), reflect.New(to)
		for i := range old {
			fill(r, in.Elem().Field(i))
		}
		rest, err := c.read(out.UnsafePointer(), fp.encode(nil, in.UnsafePointer()))
		if err != nil || len(rest) != 0 {
			t.Fatalf("seed %d: %s as %s: %v, %d bytes left", seed, from, to, err, len(rest))
		}
		tp.own(out.UnsafePointer())
		for _, f := range now {
			want := in.Elem().FieldByName(f.Name)
			if !want.IsValid() {
				want = reflect.Zero(f.Type)
			}
			if got := out.Elem().FieldByName(f.Name); !reflect.DeepEqual(got.Interface(), want.Interface()) {
				t.Fatalf("seed %d: %s as %s: %s is %v, want %v", seed, from, to, f.Name, got, want)
			}
		}
	}
}

func fill(r *rand.Rand, v reflect.Value) {
	s := sample(r)
	switch v.Addr().Interface().(type) {
	case *int32:
		v.SetInt(int64(int32(r.Int())))
	case *string:
		v.SetString(s.Name)
	case *[]string:
		v.Set(reflect.ValueOf(s.In.Tags))
	case *map[string]int8:
		v.Set(reflect.ValueOf(map[string]int8{s.Name: s.A}))
	case *inner:
		v.Set(reflect.ValueOf(s.In))
	case **inner:
		v.Set(reflect.ValueOf(s.Ptr))
	case *time.Time:
		v.Set(reflect.ValueOf(s.When))
	case *[2]bool:
		v.Set(reflect.ValueOf([2]bool{r.IntN(2) == 0, true}))
	}
}

func FuzzRead(f *testing.F) {
	var readers []*Reader[everythingLater]
	for _, s := range []*Schema{schemaOf[everything](f), schemaOf[everythingLater](f), schemaOf[struct{ In struct{ Tags []string } }](f)} {
		r, err := ReaderOf[everythingLater](s)
		if err != nil {
			f.Fatal(err)
		}
		readers = append(readers, r)
	}
	r := rand.New(rand.NewPCG(7, 8))
	for range 4 {
		f.Add(encoded(f, sample(r)))
		f.Add(encoded(f, sample(r).later()))
	}
	typ, _ := Of[everythingLater]()
	f.Fuzz(func(t *testing.T, src []byte) {
		for _, r := range readers {
			var v everythingLater
			rest, err := r.Read(&v, src)
			if err != nil {
				if !errors.Is(err, ErrCorrupt) {
					t.Fatal(err)
				}
				continue
			}
			if passed, err := r.root.from.pass(src); err != nil || len(passed) != len(rest) {
				t.Fatalf("passing leaves %d bytes (%v), reading %d", len(passed), err, len(rest))
			}
			_ = typ.EncodeValue(nil, &v)
		}
	})
}

func BenchmarkRead(b *testing.B) {
	type rec struct {
		ID   int64
		Name string
		N    int32
	}
	type later struct {
		ID   int64
		Name string
		N    int64
		More string
	}
	src := encoded(b, rec{1, "some name", 3})
	b.Run("same", func(b *testing.B) { benchmarkRead[rec](b, schemaOf[rec](b), src) })
	b.Run("evolved", func(b *testing.B) { benchmarkRead[later](b, schemaOf[rec](b), src) })
}

func benchmarkRead[T any](b *testing.B, s *Schema, src []byte) {
	r, err := ReaderOf[T](s)
	if err != nil {
		b.Fatal(err)
	}
	var v T
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Read(&v, src); err != nil {
			b.Fatal(err)
		}
	}
}
