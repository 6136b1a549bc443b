package codec

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/cespare/xxhash/v2"

	"github.com/weftstream/weft/operator"
)

type inner struct {
	On   bool
	Tags []string
}

type everything struct {
	A     int8
	B     uint64
	C     float32
	Name  string
	Raw   []byte
	In    inner
	Ptr   *inner
	M     map[string]int32
	Arr   [3]int16
	When  time.Time
	Took  time.Duration
	inner int // unexported fields travel too
}

func sample(r *rand.Rand) everything {
	e := everything{A: int8(r.Int()), B: r.Uint64(), C: r.Float32(), Name: strconv.Itoa(r.Int()), In: inner{On: r.IntN(2) == 0},
		Arr: [3]int16{1, int16(r.Int()), 3}, When: time.Unix(r.Int64N(1<<33), r.Int64N(1e9)).UTC(), Took: time.Duration(r.Int64()), inner: r.Int()}
	if r.IntN(2) == 0 {
		e.Raw = []byte{1, 2, byte(r.Int())}
		e.In.Tags = []string{"x", "", strconv.Itoa(r.Int())}
		e.Ptr = &inner{Tags: []string{}}
		e.M = map[string]int32{"a": 1, "b": int32(r.Int()), "": 3}
	}
	return e
}

func TestValuesRoundTripAndAreDeterministic(t *testing.T) {
	typ, err := Of[everything]()
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		in := sample(r)
		b := typ.EncodeValue(nil, &in)
		if again := typ.EncodeValue(nil, &in); string(again) != string(b) {
			t.Fatal("the same value was encoded in two ways")
		}
		var out everything
		rest, err := typ.DecodeValue(&out, append(b, 7))
		if err != nil || len(rest) != 1 {
			t.Fatalf("decode: %v, %d bytes left", err, len(rest))
		}
		if !reflect.DeepEqual(in, out) {
			t.Fatalf("got %+v, want %+v", out, in)
		}
		for cut := range b {
			if _, err := typ.DecodeValue(&out, b[:cut]); !errors.Is(err, ErrCorrupt) {
				t.Fatalf("cut at %d of %d: %v", cut, len(b), err)
			}
		}
	}
}

func TestCloneOwnsItsStrings(t *testing.T) {
	typ, _ := Of[everything]()
	in := sample(rand.New(rand.NewPCG(3, 4)))
	in.Name, in.In.Tags, in.Raw = "hello", []string{"a", "b"}, []byte("raw")
	src := typ.EncodeValue(nil, &in)
	var out everything
	if _, err := typ.DecodeValue(&out, src); err != nil {
		t.Fatal(err)
	}
	typ.Clone(&out)
	for i := range src {
		src[i] = 0xff
	}
	if !reflect.DeepEqual(in, out) {
		t.Fatalf("a clone changed with its frame: %+v", out)
	}
}

func batchOf[T any](typ *Type[T], v []T, times, hashes bool) *operator.Vec[T] {
	b := typ.New(len(v)).(*operator.Vec[T])
	for i := range v {
		b.V = append(b.V, v[i])
		if times {
			b.TS = append(b.TS, int64(i*10))
		}
		if hashes {
			b.H = append(b.H, uint32(i*7))
		}
	}
	return b
}

func testBatches[T any](t *testing.T, v []T) {
	typ, err := Of[T]()
	if err != nil {
		t.Fatal(err)
	}
	for mode := range 4 {
		in := batchOf(typ, v, mode&1 != 0, mode&2 != 0)
		out := typ.New(0).(*operator.Vec[T])
		for _, span := range [][2]int{{0, 0}, {0, 3}, {3, len(v)}} {
			if err := typ.Decode(out, typ.Encode(nil, in, span[0], span[1])); err != nil {
				t.Fatal(err)
			}
		}
		if !reflect.DeepEqual(in.V, out.V) || len(in.TS) != len(out.TS) || len(in.H) != len(out.H) ||
			len(in.TS) > 0 && !reflect.DeepEqual(in.TS, out.TS) || len(in.H) > 0 && !reflect.DeepEqual(in.H, out.H) {
			t.Fatalf("mode %d: got %+v, want %+v", mode, out, in)
		}
	}
}

func TestBatchesRoundTrip(t *testing.T) {
	testBatches(t, []int64{1, -2, 3, 4, 5})
	testBatches(t, []string{"a", "", "ccc", "dd", "e"})
	testBatches(t, []struct {
		A int8
		B bool
		C int64
	}{{1, true, 2}, {3, false, 4}, {5, true, 6}, {7, true, 8}})
	r := rand.New(rand.NewPCG(5, 6))
	testBatches(t, []everything{sample(r), sample(r), sample(r), sample(r)})
	testBatches(t, []struct{}{{}, {}, {}, {}})
}

func FuzzDecode(f *testing.F) {
	typ, _ := Of[everything]()
	r := rand.New(rand.NewPCG(7, 8))
	f.Add(typ.Encode(nil, batchOf(typ, []everything{sample(r), sample(r)}, true, true), 0, 2))
	f.Add([]byte{1, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		out := typ.New(0).(*operator.Vec[everything])
		if err := typ.Decode(out, b); err == nil && len(out.TS) != 0 && len(out.TS) != len(out.V) {
			t.Fatalf("%d records, %d timestamps", len(out.V), len(out.TS))
		}
		_ = typ.EncodeValue(nil, &everything{})
	})
}

type loop struct{ Next *loop }

func TestRefusedTypesNameTheField(t *testing.T) {
	check := func(err error, want string) {
		t.Helper()
		if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want ErrUnsupported naming %s", err, want)
		}
	}
	_, err := Of[struct{ In struct{ F func() } }]()
	check(err, ".In.F")
	_, err = Of[map[string]any]()
	check(err, "map value")
	_, err = Of[loop]()
	check(err, ".Next")
	_, err = KeyOf[struct{ P *int }]()
	check(err, ".P")
	_, err = KeyOf[float64]()
	check(err, "float64")
	_, err = KeyOf[[2]any]()
	check(err, "[]")
	_, err = KeyOf[time.Time]()
	check(err, "UnixMilli")
}

func hashes(t *testing.T) map[string]uint32 {
	out := map[string]uint32{}
	add := func(name string, h uint32) { out[name] = h }
	ints, _ := KeyOf[int64]()
	small, _ := KeyOf[int32]()
	strs, _ := KeyOf[string]()
	type pair struct {
		A string
		B int32
	}
	pairs, err := KeyOf[pair]()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range []int64{0, 1, -1, 42, 1 << 40} {
		add(fmt.Sprintf("int64:%d", i), ints.Hash(i))
	}
	add("int32:-7", small.Hash(-7))
	for _, s := range []string{"", "a", "hello", strings.Repeat("weft", 20)} {
		add("string:"+s, strs.Hash(s))
	}
	add("pair:a,1", pairs.Hash(pair{"a", 1}))
	return out
}

func TestHashesNeverChange(t *testing.T) {
	f, err := os.Open("testdata/hashes.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got := hashes(t)
	lines := 0
	for s := bufio.NewScanner(f); s.Scan(); lines++ {
		name, value, _ := strings.Cut(s.Text(), "\t")
		want, err := strconv.ParseUint(value, 16, 32)
		if err != nil || got[name] != uint32(want) {
			t.Errorf("%s: got %08x, want %s: state written before can't be found any more", name, got[name], value)
		}
	}
	if lines != len(got) {
		t.Errorf("%d golden hashes for %d cases", lines, len(got))
	}
}

func TestIntegersHashAsTheirEightBytes(t *testing.T) {
	ints, _ := KeyOf[int64]()
	for _, v := range []int64{0, 1, -5, 1 << 50} {
		b := make([]byte, 8)
		for i := range b {
			b[i] = byte(uint64(v) >> (8 * i))
		}
		h := xxhash.Sum64(b)
		if got, want := ints.Hash(v), uint32(h>>32)^uint32(h); got != want {
			t.Errorf("%d: got %08x, want XXH64's %08x", v, got, want)
		}
	}
}

func TestStringKeysDontPinTheirFrame(t *testing.T) {
	k, _ := KeyOf[string]()
	b := []byte("key")
	typ, _ := Of[string]()
	var s string
	if _, err := typ.DecodeValue(&s, append([]byte{3}, b...)); err != nil {
		t.Fatal(err)
	}
	c := k.Clone(s)
	if c != "key" {
		t.Fatalf("got %q", c)
	}
}

func BenchmarkEncodePlain(b *testing.B) {
	type rec struct{ K, V int64 }
	typ, _ := Of[rec]()
	in := batchOf(typ, make([]rec, 1000), true, true)
	var dst []byte
	out := typ.New(1000)
	b.ReportAllocs()
	for b.Loop() {
		dst = typ.Encode(dst[:0], in, 0, 1000)
		typ.Reset(out)
		if err := typ.Decode(out, dst); err != nil {
			b.Fatal(err)
		}
	}
}

// Structs of strings and plain memory are written by a shorter way: the same bytes, and the same errors.
func TestFlatStructsAreWrittenLikeOthers(t *testing.T) {
	type mixed struct {
		A    int8
		B    string
		C, D uint64
		E    uint32
		_    int64
		F    string
		G    float32
		H    [0]byte
	}
	type flat struct {
		A    int8
		B    string
		C, D uint64
		E    uint32
		F    string
		G    float32
	}
	if p, err := planOf(reflect.TypeFor[mixed]()); err != nil || p.flat != nil {
		t.Errorf("an array is part of a flat plan (error %v)", err)
	}
	p, err := planOf(reflect.TypeFor[flat]())
	if err != nil || p.flat == nil {
		t.Fatalf("no flat plan (error %v)", err)
	}
	slow := *p
	slow.flat = nil
	for _, length := range []int{0, 1, 127, 128, 20000} {
		v := flat{-3, strings.Repeat("x", length), 1 << 60, 7, 9, strings.Repeat("y", length/2), 2.5}
		fast, want := p.encode(nil, unsafe.Pointer(&v)), slow.encode(nil, unsafe.Pointer(&v))
		if !bytes.Equal(fast, want) {
			t.Fatalf("strings of %d bytes: % x, want % x", length, fast, want)
		}
		var got flat
		if rest, err := p.decode(unsafe.Pointer(&got), append(fast, 42)); err != nil || len(rest) != 1 || got != v {
			t.Errorf("strings of %d bytes: read %v with %d bytes left, error %v", length, got, len(rest), err)
		}
		if length > 127 {
			continue
		}
		for n := range fast {
			_, err := p.decode(unsafe.Pointer(&got), fast[:n])
			_, slowErr := slow.decode(unsafe.Pointer(&got), fast[:n])
			if !errors.Is(err, ErrCorrupt) || err.Error() != slowErr.Error() {
				t.Errorf("the first %d bytes of %d: error %v, want %v", n, len(fast), err, slowErr)
			}
		}
	}
}
