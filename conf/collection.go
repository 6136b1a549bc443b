package conf

import (
	"maps"
	"slices"
	"strings"
)

const (
	listForm = "a list, like a;b;c"
	mapForm  = "a map, like key1:value1,key2:value2"
)

// ParseList reads a list: elements separated by ";", or YAML's short form "[a, b]". An element that holds a separator
// is put in single or double quotes, within which the quote itself is doubled. The empty text is the empty list.
func ParseList(s string) ([]string, error) {
	v, err := parseList(s)
	return v, named(err, s, listForm)
}

func parseList(s string) ([]string, error) {
	separator := byte(';')
	if inner, ok := brackets(s, '[', ']'); ok {
		s, separator = inner, ','
	}
	return splitQuoted(s, separator)
}

// FormatList writes elements in the form ParseList reads.
func FormatList(elements []string) string {
	quoted := make([]string, len(elements))
	for i, e := range elements {
		quoted[i] = quote(e, ";")
	}
	if len(quoted) > 0 && len(quoted[0]) > 0 && quoted[0][0] == '[' {
		quoted[0] = quoteAlways(elements[0])
	}
	return strings.Join(quoted, ";")
}

// ParseMap reads a map: "key:value" pairs separated by ",", or YAML's short form "{key: value}"; quotes as in
// ParseList. A key without a value and a key given twice are errors.
func ParseMap(s string) (map[string]string, error) {
	v, err := parseMap(s)
	return v, named(err, s, mapForm)
}

func parseMap(s string) (map[string]string, error) {
	if inner, ok := brackets(s, '{', '}'); ok {
		s = inner
	}
	pairs, err := splitKeepingQuotes(s, ',')
	if err != nil {
		return nil, err
	}
	m := make(map[string]string, len(pairs))
	for _, pair := range pairs {
		kv, err := splitQuoted(pair, ':')
		if err != nil {
			return nil, err
		}
		if len(kv) != 2 || kv[0] == "" {
			return nil, errForm
		}
		if _, twice := m[kv[0]]; twice {
			return nil, errForm
		}
		m[kv[0]] = kv[1]
	}
	return m, nil
}

// FormatMap writes m in the form ParseMap reads, ordered by key.
func FormatMap(m map[string]string) string {
	pairs := make([]string, 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		pairs = append(pairs, quote(k, ",:{")+":"+quote(m[k], ",:"))
	}
	return strings.Join(pairs, ",")
}

func brackets(s string, open, end byte) (string, bool) {
	s = strings.TrimSpace(s)
	if len(s) < 2 || s[0] != open || s[len(s)-1] != end {
		return "", false
	}
	return s[1 : len(s)-1], true
}

// splitQuoted cuts s at separators outside quotes, trims the parts and takes their quotes off.
func splitQuoted(s string, separator byte) ([]string, error) {
	parts, err := splitKeepingQuotes(s, separator)
	if err != nil {
		return nil, err
	}
	for i, p := range parts {
		if p != "" && (p[0] == '\'' || p[0] == '"') {
			q := p[:1]
			parts[i] = strings.ReplaceAll(p[1:len(p)-1], q+q, q)
		}
	}
	return parts, nil
}

// splitKeepingQuotes cuts s at separators outside quotes and trims the parts. A quote opens only at the start of a part
// or of one side of a pair, so that an apostrophe within a word stands for itself.
func splitKeepingQuotes(s string, separator byte) ([]string, error) {
	if strings.TrimSpace(s) == "" {
		return nil, nil
	}
	var parts []string
	start, quoted, atStart := 0, byte(0), true
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case quoted != 0 && c == quoted && i+1 < len(s) && s[i+1] == quoted:
			i++ // a doubled quote stands for itself
		case quoted != 0 && c == quoted:
			quoted = 0
			if !endsPart(s[i+1:], separator) {
				return nil, errForm
			}
		case quoted != 0:
		case c == separator:
			parts = append(parts, strings.TrimSpace(s[start:i]))
			start, atStart = i+1, true
		case atStart && (c == '\'' || c == '"'):
			quoted = c
		case c == ' ' || c == '\t':
		default:
			atStart = separator == ',' && c == ':'
		}
	}
	if quoted != 0 {
		return nil, errForm
	}
	return append(parts, strings.TrimSpace(s[start:])), nil
}

// endsPart says whether what follows a closing quote is a separator or the end.
func endsPart(rest string, separator byte) bool {
	rest = strings.TrimLeft(rest, " \t")
	return rest == "" || rest[0] == separator || separator == ',' && rest[0] == ':'
}

// quote puts s in quotes if it would be read differently without them.
func quote(s, separators string) string {
	if s == "" || strings.ContainsAny(s, separators+"'\"") || strings.TrimSpace(s) != s {
		return quoteAlways(s)
	}
	return s
}

func quoteAlways(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
