package file

import (
	"bufio"
	"encoding"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
)

// Text writes each record and a \n. See FileSink for where, when and how often.
func Text(dir string) *FileSink[string] {
	return newSink(dir, format[string]{name: "Text", check: func() error { return nil },
		open: func(w *bufio.Writer) (func(*string) error, error) {
			return func(v *string) error {
				if _, err := w.WriteString(*v); err != nil {
					return err
				}
				return w.WriteByte('\n')
			}, nil
		}})
}

// JSONLines writes each record as encoding/json does, without escaping <, > and &, and a \n: the exported fields of a
// struct, under their names or json tags. A record that has no JSON form (a NaN) fails the job.
func JSONLines[T any](dir string) *FileSink[T] {
	return newSink(dir, format[T]{name: "JSON Lines", check: func() error { return nil },
		open: func(w *bufio.Writer) (func(*T) error, error) {
			e := json.NewEncoder(w)
			e.SetEscapeHTML(false)
			return func(v *T) error { return e.Encode(v) }, nil
		}})
}

// CSV writes each record as a line of comma-separated values (encoding/csv, RFC 4180 with \n): the exported fields of a
// struct in their order. Fields are strings, bools, numbers, or have a MarshalText (time.Time has); a field with the tag
// csv:"-" is left out. Any other field fails the job before it writes anything. CSVWithHeader writes names, too.
func CSV[T any](dir string) *FileSink[T] { return newCSV[T](dir, false) }

// CSVWithHeader is CSV with a first line in each part that has the fields' names, or their tags csv:"name".
func CSVWithHeader[T any](dir string) *FileSink[T] { return newCSV[T](dir, true) }

func newCSV[T any](dir string, header bool) *FileSink[T] {
	columns, wrong := columnsOf(reflect.TypeFor[T]())
	return newSink(dir, format[T]{name: "CSV", check: func() error { return wrong },
		open: func(w *bufio.Writer) (func(*T) error, error) {
			out := csv.NewWriter(w) // writes into w itself: it is a bufio.Writer that is large enough
			row := make([]string, len(columns))
			if header {
				for i := range columns {
					row[i] = columns[i].name
				}
				if err := out.Write(row); err != nil {
					return nil, err
				}
			}
			return func(v *T) error {
				rv := reflect.ValueOf(v).Elem()
				for i := range columns {
					var err error
					if row[i], err = columns[i].text(rv.Field(columns[i].index)); err != nil {
						return fmt.Errorf("field %s: %w", columns[i].name, err)
					}
				}
				return out.Write(row)
			}, nil
		}})
}

// column is a field of a CSV record.
type column struct {
	name  string
	index int
	text  func(reflect.Value) (string, error)
}

var textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()

func columnsOf(t reflect.Type) ([]column, error) {
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("a record of CSV is a struct, and %s is none", t)
	}
	var columns []column
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("csv")
		if !f.IsExported() || tag == "-" {
			continue
		}
		c := column{name: f.Name, index: i, text: textOf(f.Type)}
		if tag != "" {
			c.name = tag
		}
		if c.text == nil {
			return nil, fmt.Errorf("field %s of %s is a %s: CSV has strings, bools, numbers and what has a MarshalText; leave it out with the tag csv:\"-\"", f.Name, t, f.Type)
		}
		columns = append(columns, c)
	}
	if len(columns) == 0 {
		return nil, errors.New("a record of CSV needs an exported field, and " + t.String() + " has none")
	}
	return columns, nil
}

func textOf(t reflect.Type) func(reflect.Value) (string, error) {
	// A pointer may be nil, and an interface anything.
	if t.Kind() != reflect.Pointer && t.Kind() != reflect.Interface && t.Implements(textMarshaler) {
		return func(v reflect.Value) (string, error) {
			b, err := v.Interface().(encoding.TextMarshaler).MarshalText()
			return string(b), err
		}
	}
	switch t.Kind() {
	case reflect.String:
		return func(v reflect.Value) (string, error) { return v.String(), nil }
	case reflect.Bool:
		return func(v reflect.Value) (string, error) { return strconv.FormatBool(v.Bool()), nil }
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return func(v reflect.Value) (string, error) { return strconv.FormatInt(v.Int(), 10), nil }
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return func(v reflect.Value) (string, error) { return strconv.FormatUint(v.Uint(), 10), nil }
	case reflect.Float32, reflect.Float64:
		bits := t.Bits()
		return func(v reflect.Value) (string, error) { return strconv.FormatFloat(v.Float(), 'g', -1, bits), nil }
	}
	return nil
}
