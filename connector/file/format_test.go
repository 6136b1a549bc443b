package file

import (
	"math"
	"strings"
	"testing"
	"time"
)

type row struct {
	Name  string
	N     int8 `csv:"number" json:"n"`
	U     uint64
	F     float32
	On    bool
	At    time.Time
	Skip  []int `csv:"-" json:"-"`
	inner int
}

func sampleRows() []row {
	at := time.Date(2026, 11, 21, 1, 2, 3, 0, time.UTC)
	return []row{{"a,\"b\"\nc", -1, math.MaxUint64, 0.1, true, at, nil, 7}, {At: at}}
}

func written[T any](t *testing.T, s *FileSink[T], records ...T) string {
	t.Helper()
	dir := t.TempDir()
	s.dir = dir
	co := runtimeOf(t, jobA, -1, 0, nil)
	must(t, s.Prepare(co))
	w := opened(t, s, runtimeOf(t, jobA, 0, 0, nil))
	put(t, w, records...)
	must(t, s.Commit(co, flush(t, w)))
	return content(t, dir+"/part-0-0-0")
}

func TestFormats(t *testing.T) {
	const csv = "\"a,\"\"b\"\"\nc\",-1,18446744073709551615,0.1,true,2026-11-21T01:02:03Z\n,0,0,0,false,2026-11-21T01:02:03Z\n"
	if got := written(t, CSV[row](""), sampleRows()...); got != csv {
		t.Errorf("CSV: got %q, want %q", got, csv)
	}
	if got, want := written(t, CSVWithHeader[row](""), sampleRows()...), "Name,number,U,F,On,At\n"+csv; got != want {
		t.Errorf("CSV with header: got %q, want %q", got, want)
	}
	const json = `{"Name":"a,\"b\"\nc","n":-1,"U":18446744073709551615,"F":0.1,"On":true,"At":"2026-11-21T01:02:03Z"}` + "\n" +
		`{"Name":"","n":0,"U":0,"F":0,"On":false,"At":"2026-11-21T01:02:03Z"}` + "\n"
	if got := written(t, JSONLines[row](""), sampleRows()...); got != json {
		t.Errorf("JSON: got %q, want %q", got, json)
	}
	if got := written(t, JSONLines[string](""), "<&>"); got != "\"<&>\"\n" {
		t.Errorf("JSON: got %q", got)
	}
	if got := written(t, Text(""), "a", ""); got != "a\n\n" {
		t.Errorf("Text: got %q", got)
	}
}

func TestEveryPartHasTheHeader(t *testing.T) {
	s := CSVWithHeader[struct{ A int }](t.TempDir()).RollSize(3)
	w := opened(t, s, runtimeOf(t, jobA, 0, 0, nil))
	put(t, w, struct{ A int }{1}, struct{ A int }{2})
	must(t, s.Commit(runtimeOf(t, jobA, -1, 0, nil), flush(t, w)))
	if got := content(t, s.dir+"/part-0-0-1"); got != "A\n2\n" {
		t.Errorf("got %q", got)
	}
}

func TestTypesThatAreNoCSV(t *testing.T) {
	rt := runtimeOf(t, jobA, -1, 0, nil)
	for want, err := range map[string]error{
		"is a struct": CSV[int](t.TempDir()).Prepare(rt),
		"field In of": CSV[struct{ In struct{ A int } }](t.TempDir()).Prepare(rt),
		"field P of":  CSV[struct{ P *time.Time }](t.TempDir()).Prepare(rt),
		"an exported": CSV[struct{ a int }](t.TempDir()).Prepare(rt),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestARecordWithoutJSONFails(t *testing.T) {
	w := opened(t, JSONLines[float64](t.TempDir()), runtimeOf(t, jobA, 0, 0, nil))
	v := math.NaN()
	if err := w.Write(&v, 0); err == nil || !strings.Contains(err.Error(), "NaN") {
		t.Errorf("got %v", err)
	}
}
