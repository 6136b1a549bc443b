package conf

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParseDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"5 s":            5 * time.Second,
		"5s":             5 * time.Second,
		"500 ms":         500 * time.Millisecond,
		"1 min":          time.Minute,
		"1m":             time.Minute,
		"2 h":            2 * time.Hour,
		"1 d":            24 * time.Hour,
		"3 Days":         72 * time.Hour,
		"7500":           7500 * time.Millisecond,
		"0":              0,
		"-1 ms":          -time.Millisecond,
		"10 µs":          10 * time.Microsecond,
		"1 nanosecond":   1,
		"PT5S":           5 * time.Second,
		"pt1h30m":        90 * time.Minute,
		"P1DT0.5S":       24*time.Hour + 500*time.Millisecond,
		"PT-1.5S":        -1500 * time.Millisecond,
		"-PT1M":          -time.Minute,
		"106751 d":       106751 * 24 * time.Hour,
		"  15 seconds  ": 15 * time.Second,
		"PT0.000000001S": 1,
	} {
		got, err := ParseDuration(text)
		if err != nil || got != want {
			t.Errorf("ParseDuration(%q) = %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "s", "5 parsecs", "1.5 s", "1 h 30 min", "P", "PT", "P1DT", "PT5", "PT1.5H", "PT1S1H",
		"--5 s", "106752 d", "9223372036854776 s", "PT9223372036854775807H", "PT1.0000000001S", "5 s s", "0x10 s", "+ 5"} {
		if got, err := ParseDuration(text); err == nil {
			t.Errorf("ParseDuration(%q) = %v, want an error", text, got)
		} else if !strings.Contains(err.Error(), "expected a duration, like 500 ms") {
			t.Errorf("ParseDuration(%q): %v does not say the form expected", text, err)
		}
	}
}

func TestFormatDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 ms", 200 * time.Millisecond: "200 ms", 90 * time.Second: "90 s", 24 * time.Hour: "1 d", 5 * time.Minute: "5 min", 3: "3 ns",
		-time.Hour: "-1 h",
	} {
		if got := FormatDuration(d); got != want {
			t.Errorf("FormatDuration(%d) = %q, want %q", d, got, want)
		}
	}
}

func TestMemorySize(t *testing.T) {
	for text, want := range map[string]MemorySize{
		"256m": 256 << 20, "256 MB": 256 << 20, "1g": 1 << 30, "1 gb": 1 << 30, "64 kb": 64 << 10, "64k": 64 << 10,
		"1 tebibytes": 1 << 40, "100": 100, "0 bytes": 0, "12 b": 12, " 3 kibibytes ": 3 << 10, "Unlimited": Unlimited,
	} {
		if got, err := ParseMemorySize(text); err != nil || got != want {
			t.Errorf("ParseMemorySize(%q) = %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "m", "1.5g", "-1m", "1 pb", "8388608 tb", "1 m b", "1e3"} {
		if got, err := ParseMemorySize(text); err == nil {
			t.Errorf("ParseMemorySize(%q) = %d, want an error", text, got)
		} else if !strings.Contains(err.Error(), "expected a memory size, like 256m") {
			t.Errorf("ParseMemorySize(%q): %v does not say the form expected", text, err)
		}
	}
	if got, err := ParseMemorySizeUnit("1024", Mebibyte); err != nil || got != Gibibyte {
		t.Errorf("1024 in mebibytes = %d, %v", got, err)
	}
	for m, want := range map[MemorySize]string{
		0: "0 bytes", 1500: "1500 bytes", 32 << 10: "32 kb", 256 << 20: "256 mb", 1 << 30: "1 gb", Unlimited: "unlimited",
	} {
		if got := m.String(); got != want {
			t.Errorf("%d.String() = %q, want %q", int64(m), got, want)
		}
	}
	if got := (Mebibyte + 1).Mebibytes(); got != 2 {
		t.Errorf("one byte over a mebibyte rounds to %d, want 2", got)
	}
}

func TestParsePortRange(t *testing.T) {
	r, err := ParsePortRange("50100-50102, 50200")
	if err != nil || !slices.Equal(slices.Collect(r.All()), []int{50100, 50101, 50102, 50200}) {
		t.Fatalf("ports %v, %v", r, err)
	}
	if got := r.String(); got != "50100-50102,50200" {
		t.Errorf("String() = %q", got)
	}
	for _, text := range []string{"", "65536", "-1", "10-5", "a", "1,,2", "0-9"} {
		if got, err := ParsePortRange(text); err == nil {
			t.Errorf("ParsePortRange(%q) = %v, want an error", text, got)
		}
	}
}

func TestParseList(t *testing.T) {
	for text, want := range map[string][]string{
		"":                    nil,
		"a":                   {"a"},
		"a;b; c ":             {"a", "b", "c"},
		"a,b":                 {"a,b"},
		"'a;b';c":             {"a;b", "c"},
		`"say ""hi"";";b`:     {`say "hi";`, "b"},
		"it's;b":              {"it's", "b"},
		"[a, 'b, c', \"d\"]":  {"a", "b, c", "d"},
		"[]":                  nil,
		"hdfs:///x;file:///y": {"hdfs:///x", "file:///y"},
		"a;;b":                {"a", "", "b"},
	} {
		if got, err := ParseList(text); err != nil || !slices.Equal(got, want) {
			t.Errorf("ParseList(%q) = %q, %v; want %q", text, got, err, want)
		}
	}
	for _, text := range []string{"'a", `"a`, "'a'b"} {
		if got, err := ParseList(text); err == nil {
			t.Errorf("ParseList(%q) = %q, want an error", text, got)
		}
	}
}

func TestParseMap(t *testing.T) {
	for text, want := range map[string]map[string]string{
		"":                      {},
		"k1:v1,k2:v2":           {"k1": "v1", "k2": "v2"},
		"'a:b':'c,d', e : f":    {"a:b": "c,d", "e": "f"},
		"{OPERATOR: 70, B: 30}": {"OPERATOR": "70", "B": "30"},
		"k:":                    {"k": ""},
	} {
		if got, err := ParseMap(text); err != nil || !maps.Equal(got, want) {
			t.Errorf("ParseMap(%q) = %q, %v; want %q", text, got, err, want)
		}
	}
	for _, text := range []string{"k", "a:b:c", "a:1,a:2", ":v", "a:'b", "a:1,,b:2"} {
		if got, err := ParseMap(text); err == nil {
			t.Errorf("ParseMap(%q) = %q, want an error", text, got)
		}
	}
}

func FuzzParseDuration(f *testing.F) {
	for _, seed := range []string{"5 s", "PT1H30M0.5S", "-P1D", "7500", "1 µs", "P"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := ParseDuration(text)
		if err != nil {
			return
		}
		if again, err := ParseDuration(FormatDuration(d)); err != nil || again != d {
			t.Errorf("%q is %d, written %q, read again as %d, %v", text, d, FormatDuration(d), again, err)
		}
	})
}

func FuzzParseMemorySize(f *testing.F) {
	for _, seed := range []string{"256m", "64 kb", "unlimited", "100", "8388607 tb"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		m, err := ParseMemorySize(text)
		if err != nil {
			return
		}
		if m < 0 {
			t.Fatalf("%q is %d", text, m)
		}
		if again, err := ParseMemorySize(m.String()); err != nil || again != m {
			t.Errorf("%q is %d, written %q, read again as %d, %v", text, m, m, again, err)
		}
	})
}

func FuzzListRoundTrip(f *testing.F) {
	f.Add("a", "b;c", "it's")
	f.Add("", "[x]", " '\"")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		list := []string{a, b, c}
		text := FormatList(list)
		if got, err := ParseList(text); err != nil || !slices.Equal(got, list) {
			t.Errorf("%q written %q, read again as %q, %v", list, text, got, err)
		}
	})
}

func FuzzMapRoundTrip(f *testing.F) {
	f.Add("a", "b:c", "it's", "x,y")
	f.Fuzz(func(t *testing.T, k1, v1, k2, v2 string) {
		if k1 == "" || k2 == "" {
			return // a map's key is never empty
		}
		m := map[string]string{k1: v1, k2: v2}
		text := FormatMap(m)
		if got, err := ParseMap(text); err != nil || !maps.Equal(got, m) {
			t.Errorf("%q written %q, read again as %q, %v", m, text, got, err)
		}
	})
}
