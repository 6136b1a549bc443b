package codec

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"
)

func schemaOf[T any](t testing.TB) *Schema {
	t.Helper()
	typ, err := Of[T]()
	if err != nil {
		t.Fatal(err)
	}
	return typ.Schema()
}

func encoded[T any](t testing.TB, v T) []byte {
	t.Helper()
	typ, err := Of[T]()
	if err != nil {
		t.Fatal(err)
	}
	return typ.EncodeValue(nil, &v)
}

type named struct {
	ID    int `weft:"was=Key,was=Number"`
	Parts map[string][]*struct{ N [2]uint16 }
	When  time.Time
	Wait  time.Duration
	C     complex64
	none  struct{} //nolint:unused // unexported fields are part of a schema
}

func TestSchemasTravel(t *testing.T) {
	for want, s := range map[string]*Schema{
		"bool": schemaOf[bool](t), "int64": schemaOf[int](t), "uint64": schemaOf[uint](t), "time": schemaOf[time.Time](t),
		"[]string": schemaOf[[]string](t), "[3]float32": schemaOf[[3]float32](t), "*complex128": schemaOf[*complex128](t),
		"struct{}": schemaOf[struct{}](t), "map[int8]uint8": schemaOf[map[int8]byte](t),
		`struct{ID int64 "was=Key,was=Number"; Parts map[string][]*struct{N [2]uint16}; When time; Wait int64; C complex64; none struct{}}`: schemaOf[named](t),
	} {
		if s.String() != want {
			t.Errorf("got %s, want %s", s, want)
		}
		b, err := s.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		var back Schema
		if err := back.UnmarshalBinary(b); err != nil {
			t.Fatalf("%s: %v", want, err)
		}
		if again, err := back.MarshalBinary(); err != nil || string(again) != string(b) || back.String() != want || !back.Equal(s) {
			t.Errorf("%s came back as %s (%v)", want, &back, err)
		}
		for n := range b {
			if err := new(Schema).UnmarshalBinary(b[:n]); !errors.Is(err, ErrSchema) {
				t.Errorf("%s: its first %d of %d bytes: %v", want, n, len(b), err)
			}
		}
		if err := new(Schema).UnmarshalBinary(append(b, 0)); !errors.Is(err, ErrSchema) {
			t.Errorf("%s and a byte more: %v", want, err)
		}
	}
}

// Savepoints hold these bytes.
func TestSchemaBytesNeverChange(t *testing.T) {
	b, err := schemaOf[named](t).MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	const want = "0114060249440203" + "4b6579064e756d62657205" + "05506172747300130e101214" + "01014e0011" + "0207" +
		"045768656e000f0457616974000501430" + "00c046e6f6e65001400"
	if got := hex.EncodeToString(b); got != want {
		t.Errorf("got %s, want %s: schemas written before can't be read any more", got, want)
	}
}

// The encoding of values is in savepoints, too: the same on every platform and for ever.
func TestValueBytesNeverChange(t *testing.T) {
	type all struct {
		B  bool
		I  int
		S  int16
		F  float32
		T  string
		L  []uint16
		N  []int8
		M  map[string]int8
		P  *uint8
		At time.Time
		A  [2]uint32
	}
	one := uint8(7)
	got := hex.EncodeToString(encoded(t, all{true, -2, 258, 1.5, "ab", []uint16{1, 2}, nil, map[string]int8{"y": 1, "x": -1}, &one,
		time.Unix(1, 2), [2]uint32{1, 1 << 24}}))
	const want = "01" + "feffffffffffffff" + "0201" + "0000c03f" + "026162" + "0301000200" + "00" + "03" + "0178ff" + "017901" + "0107" +
		"010000000000000002000000" + "0100000000000001"
	if got != want {
		t.Errorf("got %s, want %s: state written before can't be read any more", got, want)
	}
}

func TestSchemasAreEqualByNamesAndKinds(t *testing.T) {
	type a struct {
		X int
		Y []string
	}
	base := schemaOf[a](t)
	same := schemaOf[struct {
		X time.Duration `weft:"was=Z"`
		Y []string
	}](t)
	if !base.Equal(same) {
		t.Error("names of Go types or tags count")
	}
	for _, o := range []*Schema{
		nil, {}, schemaOf[struct{ X int }](t),
		schemaOf[struct {
			Y []string
			X int
		}](t),
		schemaOf[struct {
			X int
			Y [1]string
		}](t),
		schemaOf[struct {
			X uint
			Y []string
		}](t),
	} {
		if base.Equal(o) {
			t.Errorf("%s is equal to %s", base, o)
		}
	}
}

func TestBadTagsAreRefused(t *testing.T) {
	check := func(_ any, err error, want string) {
		t.Helper()
		if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), ".F") {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	a, err := Of[struct {
		F int `weft:"name=X"`
	}]()
	check(a, err, "not understood")
	b, err := Of[struct {
		F int `weft:"was="`
	}]()
	check(b, err, "not understood")
	c, err := Of[struct {
		F int `weft:"was=F"`
	}]()
	check(c, err, "itself")
	d, err := Of[struct {
		F int `weft:"was=A,was=A"`
	}]()
	check(d, err, "twice")
}

func TestHostileSchemas(t *testing.T) {
	deep := append([]byte{1}, strings.Repeat(string(rune(shapePointer)), 100)...)
	for name, b := range map[string][]byte{
		"empty":        {},
		"version":      {2, 1},
		"kind 0":       {1, 0},
		"kind beyond":  {1, byte(shapeEnd)},
		"deep":         append(deep, 1),
		"array length": {1, byte(shapeArray), 0xff, 0xff, 0xff, 0xff, 0xff, 1, 1},
		"fields":       {1, byte(shapeStruct), 0xff, 0xff, 0xff, 0xff, 0x0f},
		"two of a name": {1, byte(shapeStruct), 2, 1, 'A', 0, 1,
			1, 'A', 0, 1},
		"empty name":   {1, byte(shapeStruct), 1, 0, 0, 1},
		"no UTF-8":     {1, byte(shapeStruct), 1, 1, 0xff, 0, 1},
		"name too far": {1, byte(shapeStruct), 1, 100, 'A', 0, 1},
		"size":         make([]byte, maxSchema+1),
	} {
		s := schemaOf[int8](t)
		if err := s.UnmarshalBinary(b); !errors.Is(err, ErrSchema) {
			t.Errorf("%s: %v", name, err)
		}
		if s.String() != "int8" {
			t.Errorf("%s: the schema was changed to %s", name, s)
		}
	}
	if _, err := new(Schema).MarshalBinary(); !errors.Is(err, ErrSchema) {
		t.Errorf("an empty schema was written: %v", err)
	}
	if _, _, err := new(Schema).Value([]byte{1}); !errors.Is(err, ErrSchema) {
		t.Errorf("an empty schema decoded: %v", err)
	}
}

func TestValuesWithoutTheirType(t *testing.T) {
	type item struct {
		Z    string
		A    *uint64
		F    float32
		None []int
		Raw  []byte
		In   struct{ X, B int16 }
		M    map[string]int8
		K    map[[1]uint16]bool
		I    map[int32]string
		L    []*float64
		T    time.Time
		C    complex128
		E    [2]struct{}
		hide bool
	}
	u, nan := uint64(math.MaxUint64), math.NaN()
	v := item{Z: "z\"", A: &u, F: 0.1, Raw: []byte("hi"), M: map[string]int8{"q": -1, "a": 2}, K: map[[1]uint16]bool{{7}: true},
		I: map[int32]string{-5: "x"}, L: []*float64{nil, &nan}, T: time.Unix(0, 0), C: 1 + 2i, hide: true}
	s := schemaOf[item](t)
	src := encoded(t, v)
	got, rest, err := s.Value(append(src, 9))
	if err != nil || len(rest) != 1 {
		t.Fatalf("%v, %d bytes left", err, len(rest))
	}
	clear(src)
	b, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"Z":"z\"","A":18446744073709551615,"F":0.1,"None":null,"Raw":"aGk=","In":{"X":0,"B":0},"M":{"a":2,"q":-1},` +
		`"K":[{"key":[7],"value":true}],"I":{"-5":"x"},"L":[null,"NaN"],"T":"1970-01-01T00:00:00Z","C":"(1+2i)","E":[{},{}],"hide":true}`
	if string(b) != want {
		t.Errorf("got\n%s, want\n%s", b, want)
	}
	if z, ok := got.(Object).Get("Z"); !ok || z != "z\"" {
		t.Errorf("Z is %v", z)
	}
	if _, ok := got.(Object).Get("None such"); ok {
		t.Error("found what isn't there")
	}
}

func TestScalarsWithoutTheirType(t *testing.T) {
	check := func(s *Schema, src []byte, want any) {
		t.Helper()
		got, rest, err := s.Value(src)
		if err != nil || len(rest) != 0 || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %T %v (%v), want %T %v", s, got, got, err, want, want)
		}
	}
	check(schemaOf[int8](t), encoded(t, int8(-3)), int64(-3))
	check(schemaOf[int16](t), encoded(t, int16(-300)), int64(-300))
	check(schemaOf[int32](t), encoded(t, int32(-70000)), int64(-70000))
	check(schemaOf[int](t), encoded(t, -1<<60), int64(-1<<60))
	check(schemaOf[uint8](t), encoded(t, uint8(255)), int64(255))
	check(schemaOf[uint32](t), encoded(t, uint32(math.MaxUint32)), int64(math.MaxUint32))
	check(schemaOf[uint](t), encoded(t, uint(1)), uint64(1))
	check(schemaOf[float64](t), encoded(t, math.Inf(-1)), "-Inf")
	check(schemaOf[float64](t), encoded(t, math.Inf(1)), "Inf")
	check(schemaOf[[2]uint8](t), encoded(t, [2]uint8{1, 2}), []byte{1, 2})
	check(schemaOf[[]string](t), encoded(t, []string{}), []any{})
	check(schemaOf[map[string]int](t), encoded(t, map[string]int(nil)), nil)
}

// Few bytes can't cost much: lengths are checked against what is left, values without bytes are counted.
func TestHostileValues(t *testing.T) {
	huge := []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0x0f}
	for _, s := range []*Schema{schemaOf[[]int64](t), schemaOf[[]struct{}](t), schemaOf[map[struct{}]struct{}](t), schemaOf[string](t),
		schemaOf[map[string]string](t), schemaOf[[1 << 29][1 << 29]struct{}](t), schemaOf[[][1 << 20]*int](t)} {
		if v, _, err := s.Value(huge); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v, %v", s, v, err)
		}
	}
}

func FuzzSchema(f *testing.F) {
	for _, s := range []*Schema{schemaOf[named](f), schemaOf[everything](f), schemaOf[map[string][]int](f)} {
		b, err := s.MarshalBinary()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, encoded(f, sample(rand.New(rand.NewPCG(1, 1)))))
	}
	f.Fuzz(func(t *testing.T, b, src []byte) {
		var s Schema
		if err := s.UnmarshalBinary(b); err != nil {
			if !errors.Is(err, ErrSchema) {
				t.Fatal(err)
			}
			return
		}
		again, err := s.MarshalBinary()
		if err != nil {
			t.Fatalf("%s was read, but not written: %v", &s, err)
		}
		var back Schema
		if err := back.UnmarshalBinary(again); err != nil || !back.Equal(&s) || back.String() != s.String() {
			t.Fatalf("%s came back as %s (%v)", &s, &back, err)
		}
		v, rest, err := s.Value(src)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		if _, err := json.Marshal(v); err != nil {
			t.Fatalf("%s: value without JSON: %v", &s, err)
		}
		if passed, err := s.root.pass(src); err != nil || len(passed) != len(rest) {
			t.Fatalf("%s: passing leaves %d bytes (%v), decoding %d", &s, len(passed), err, len(rest))
		}
		_, _ = ReaderOf[everything](&s)
	})
}
