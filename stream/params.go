package stream

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"time"
)

// maxParams bounds a job's params: they travel in the JobGraph to every task host.
const maxParams = 16 << 20

// encodeParams writes p as JSON and checks that nothing of it is lost: what works in one process must work in several.
func encodeParams[P any](job string, p P) ([]byte, error) {
	b, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("params of job %q: they travel as JSON: %w", job, err)
	}
	if len(b) > maxParams {
		return nil, fmt.Errorf("params of job %q: %d bytes of JSON, at most %d: pass the location of the data instead", job, len(b), maxParams)
	}
	var back P
	if err := json.NewDecoder(bytes.NewReader(b)).Decode(&back); err != nil {
		return nil, fmt.Errorf("params of job %q: they travel as JSON, which can't be read back: %w", job, err)
	}
	if field := difference(reflect.ValueOf(&p).Elem(), reflect.ValueOf(&back).Elem(), "params"); field != "" {
		return nil, fmt.Errorf("params of job %q: %s doesn't survive JSON: params hold exported fields of plain data only", job, field)
	}
	return b, nil
}

// difference names the first part in which a and b differ; "" when they are equal.
func difference(a, b reflect.Value, path string) string {
	if a.IsValid() != b.IsValid() || a.IsValid() && a.Type() != b.Type() {
		return path
	}
	if !a.IsValid() {
		return ""
	}
	switch a.Kind() {
	case reflect.Struct:
		return differentField(a, b, path)
	case reflect.Pointer, reflect.Interface:
		if a.IsNil() || b.IsNil() {
			return unless(a.IsNil() == b.IsNil(), path)
		}
		return difference(a.Elem(), b.Elem(), path)
	case reflect.Slice, reflect.Array:
		if a.Len() != b.Len() {
			return path
		}
		for i := range a.Len() {
			if d := difference(a.Index(i), b.Index(i), fmt.Sprintf("%s[%d]", path, i)); d != "" {
				return d
			}
		}
		return ""
	case reflect.Map:
		if a.Len() != b.Len() {
			return path
		}
		for _, k := range a.MapKeys() {
			if d := difference(a.MapIndex(k), b.MapIndex(k), fmt.Sprintf("%s[%v]", path, k)); d != "" {
				return d
			}
		}
		return ""
	case reflect.Func, reflect.Chan, reflect.UnsafePointer:
		return unless(a.IsNil() && b.IsNil(), path)
	}
	return unless(a.Equal(b), path)
}

func differentField(a, b reflect.Value, path string) string {
	if a.Type() == reflect.TypeFor[time.Time]() && a.CanInterface() {
		return unless(a.Interface().(time.Time).Equal(b.Interface().(time.Time)), path)
	}
	for i := range a.NumField() {
		if d := difference(a.Field(i), b.Field(i), path+"."+a.Type().Field(i).Name); d != "" {
			return d
		}
	}
	return ""
}

func unless(equal bool, path string) string {
	if equal {
		return ""
	}
	return path
}
