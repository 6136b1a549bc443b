package hadoop

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Site is the effective client configuration of a Hadoop cluster: the values
// of its site files over Hadoop's own defaults for the keys that Weft needs.
// It is immutable and safe for concurrent use; the With methods return copies.
type Site struct {
	values    map[string]property
	variables map[string]string
	sources   []string
}

// property is one value with where it came from.
type property struct {
	value  string
	final  bool
	source string
}

// maxExpansion bounds how deep ${…} may nest, as in Hadoop.
const maxExpansion = 20

// NewSite returns a site of these values alone, over the built-in defaults.
func NewSite(values map[string]string) *Site {
	return (&Site{}).WithOverrides(values)
}

// WithOverrides returns a copy in which these values win, also over values
// that a file marks final, as flink.hadoop.* options do in Flink.
func (s *Site) WithOverrides(values map[string]string) *Site {
	out := s.clone()
	for name, v := range values {
		out.values[name] = property{value: v, final: out.values[name].final, source: "override"}
	}
	return out
}

// WithVariables returns a copy that expands ${name} by these names too, after
// the site's own properties. Hadoop defines user.name, user.home,
// java.io.tmpdir and env.X for an environment variable X; the caller, who owns
// the environment, passes what it wants to have expanded.
func (s *Site) WithVariables(variables map[string]string) *Site {
	out := s.clone()
	if out.variables == nil {
		out.variables = make(map[string]string)
	}
	maps.Copy(out.variables, variables)
	return out
}

func (s *Site) clone() *Site {
	out := &Site{
		values:    maps.Clone(s.values),
		variables: maps.Clone(s.variables),
		sources:   slices.Clone(s.sources),
	}
	if out.values == nil {
		out.values = make(map[string]property)
	}
	return out
}

// Sources lists the files that were read, in order. It is empty when the
// directories held no site file, of which a client should warn: it then talks
// to a cluster on this machine.
func (s *Site) Sources() []string { return slices.Clone(s.sources) }

// Values returns the properties that files or overrides set, expanded; the map is
// the caller's. Built-in defaults are not among them.
func (s *Site) Values() map[string]string {
	values := make(map[string]string, len(s.values))
	for name := range s.values {
		values[name] = s.Get(name)
	}
	return values
}

// Names lists the properties that files or overrides set, sorted. Built-in
// defaults are not among them.
func (s *Site) Names() []string { return slices.Sorted(maps.Keys(s.values)) }

// Get returns the expanded value of name, or "" if it has none.
func (s *Site) Get(name string) string {
	v, _ := s.Lookup(name)
	return v
}

// Lookup returns the expanded value of name and whether it has one, by a file,
// an override or a built-in default. Unknown variables are left as they stand.
func (s *Site) Lookup(name string) (string, bool) {
	raw, ok := s.raw(name)
	if !ok {
		return "", false
	}
	return strings.TrimSpace(s.expand(raw)), true
}

func (s *Site) raw(name string) (string, bool) {
	if p, ok := s.values[name]; ok {
		return p.value, true
	}
	v, ok := defaults[name]
	return v, ok
}

// Origin says where the value of name was set, for messages: a file, "override"
// or "default".
func (s *Site) Origin(name string) string {
	if p, ok := s.values[name]; ok {
		return p.source
	}
	return "default"
}

// GetInt returns the value of name as an integer, or def if it has none. As in
// Hadoop, a value may be hexadecimal (0x…).
func (s *Site) GetInt(name string, def int) (int, error) {
	v, ok := s.Lookup(name)
	if !ok || v == "" {
		return def, nil
	}
	n, err := strconv.ParseInt(v, 0, 0)
	if err != nil {
		// A leading zero is decimal to Hadoop and octal to Go's base 0.
		n, err = strconv.ParseInt(v, 10, 0)
	}
	if strings.HasPrefix(v, "0") && !strings.HasPrefix(strings.ToLower(v), "0x") {
		n, err = strconv.ParseInt(v, 10, 0)
	}
	if err != nil {
		return 0, fmt.Errorf("read %s from %s: %q is not an integer", name, s.Origin(name), v)
	}
	return int(n), nil
}

// GetBool returns the value of name, or def if it is neither true nor false,
// which is what Hadoop does.
func (s *Site) GetBool(name string, def bool) bool {
	switch v, _ := s.Lookup(name); strings.ToLower(v) {
	case "true":
		return true
	case "false":
		return false
	}
	return def
}

// durationUnits are Hadoop's suffixes, longest first where one ends another.
var durationUnits = []struct {
	suffix string
	unit   time.Duration
}{
	{"ns", time.Nanosecond}, {"us", time.Microsecond}, {"ms", time.Millisecond},
	{"s", time.Second}, {"m", time.Minute}, {"h", time.Hour}, {"d", 24 * time.Hour},
}

// GetDuration returns the value of name, or def if it has none. A value
// without a suffix (ns, us, ms, s, m, h, d) counts in unit, which differs from
// key to key.
func (s *Site) GetDuration(name string, unit, def time.Duration) (time.Duration, error) {
	v, ok := s.Lookup(name)
	if !ok || v == "" {
		return def, nil
	}
	number := strings.ToLower(v)
	for _, u := range durationUnits {
		if rest, found := strings.CutSuffix(number, u.suffix); found {
			number, unit = strings.TrimSpace(rest), u.unit
			break
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n != 0 && time.Duration(n)*unit/unit != time.Duration(n) {
		return 0, fmt.Errorf("read %s from %s: %q is not a duration such as 10s", name, s.Origin(name), v)
	}
	return time.Duration(n) * unit, nil
}

// GetStrings returns the value of name split at commas, without blanks and
// empty parts.
func (s *Site) GetStrings(name string) []string {
	var out []string
	for part := range strings.SplitSeq(s.Get(name), ",") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}

// expand replaces ${name} and ${env.X:-default}, innermost first, until nothing
// changes.
func (s *Site) expand(v string) string {
	for range maxExpansion {
		end := strings.IndexByte(v, '}')
		replaced := false
		for end >= 0 && !replaced {
			start := strings.LastIndex(v[:end], "${")
			if start >= 0 {
				if value, ok := s.variable(v[start+2 : end]); ok {
					v, replaced = v[:start]+value+v[end+1:], true
					continue
				}
			}
			next := strings.IndexByte(v[end+1:], '}')
			if next < 0 {
				return v
			}
			end += 1 + next
		}
		if !replaced {
			return v
		}
	}
	return v
}

func (s *Site) variable(name string) (string, bool) {
	if strings.HasPrefix(name, "env.") {
		return s.environment(name)
	}
	if v, ok := s.variables[name]; ok {
		return v, true
	}
	return s.raw(name)
}

// environment resolves env.X, env.X-default (if X is unset) and env.X:-default
// (if X is unset or empty).
func (s *Site) environment(name string) (string, bool) {
	key, def, hasDefault, emptyToo := name, "", false, false
	if i := strings.IndexByte(name, '-'); i >= 0 {
		key, def, hasDefault = name[:i], name[i+1:], true
		if k, ok := strings.CutSuffix(key, ":"); ok {
			key, emptyToo = k, true
		}
	}
	v, ok := s.variables[key]
	if hasDefault && (!ok || emptyToo && v == "") {
		return def, true
	}
	return v, ok
}
