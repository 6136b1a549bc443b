package conf

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// kind is how values of one Go type are written and read.
type kind[T any] struct {
	name   string                  // the type's name on the reference page
	form   string                  // the form expected, for error texts: completes "expected …"
	parse  func(string) (T, error) // the text is trimmed
	format func(T) string          // what parse reads back as the same value
	clone  func(T) T               // nil where T holds no reference
}

// errForm is a parser's answer when the text is not of the kind's form; the form itself is said by ValueError.
var errForm = errors.New("not of the expected form")

// named turns errForm into what an exported parser answers.
func named(err error, value, form string) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("bad value %q: expected %s", value, form)
}

var stringKind = kind[string]{
	name:   "string",
	form:   "text",
	parse:  func(s string) (string, error) { return s, nil },
	format: func(s string) string { return s },
}

var boolKind = kind[bool]{
	name: "boolean",
	form: "true or false",
	parse: func(s string) (bool, error) {
		switch {
		case strings.EqualFold(s, "true"):
			return true, nil
		case strings.EqualFold(s, "false"):
			return false, nil
		}
		return false, errForm
	},
	format: strconv.FormatBool,
}

var intKind = kind[int]{
	name:   "integer",
	form:   "a whole number, like 4",
	parse:  parseInt,
	format: strconv.Itoa,
}

// parseInt reads Flink's Integer: decimal and 32 bits wide, so that a value means the same on every machine.
func parseInt(s string) (int, error) {
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil {
		return 0, errForm
	}
	return int(n), nil
}

var int64Kind = kind[int64]{
	name: "long",
	form: "a whole number, like 10000",
	parse: func(s string) (int64, error) {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return 0, errForm
		}
		return n, nil
	},
	format: func(n int64) string { return strconv.FormatInt(n, 10) },
}

var floatKind = kind[float64]{
	name: "double",
	form: "a number, like 0.5",
	parse: func(s string) (float64, error) {
		f, err := strconv.ParseFloat(s, 64)
		if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			return 0, errForm
		}
		return f, nil
	},
	format: func(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) },
}

var durationKind = kind[time.Duration]{
	name:   "duration",
	form:   durationForm,
	parse:  parseDuration,
	format: FormatDuration,
}

var memoryKind = kind[MemorySize]{
	name:   "memory size",
	form:   memoryForm,
	parse:  func(s string) (MemorySize, error) { return parseMemorySize(s, Byte) },
	format: MemorySize.String,
}

var portsKind = kind[PortRange]{
	name:   "port range",
	form:   portsForm,
	parse:  parsePortRange,
	format: PortRange.String,
	clone:  func(r PortRange) PortRange { return slices.Clone(r) },
}

var listKind = kind[[]string]{
	name:   "list",
	form:   listForm,
	parse:  parseList,
	format: FormatList,
	clone:  func(l []string) []string { return slices.Clone(l) },
}

var mapKind = kind[map[string]string]{
	name:   "map",
	form:   mapForm,
	parse:  parseMap,
	format: FormatMap,
	clone:  func(m map[string]string) map[string]string { return maps.Clone(m) },
}

// enumKind reads one of values in any case and answers with the spelling given here; synonyms maps other accepted
// spellings (in lower case) to values.
func enumKind(values []string, synonyms map[string]string) kind[string] {
	return kind[string]{
		name: "enum",
		form: "one of " + strings.Join(values, ", "),
		parse: func(s string) (string, error) {
			for _, v := range values {
				if strings.EqualFold(s, v) {
					return v, nil
				}
			}
			if v, ok := synonyms[strings.ToLower(s)]; ok {
				return v, nil
			}
			return "", errForm
		},
		format: func(s string) string { return s },
	}
}
