package conf

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Configuration is an immutable set of key-value pairs, kept as they were written. The zero value is empty: every
// option has its default. Copies share their pairs and may be used from any goroutine.
type Configuration struct {
	values map[string]setting
}

// setting is a raw value and where it comes from.
type setting struct{ value, origin string }

// Get is o's value in c, or o's default.
func Get[T any](c Configuration, o *Option[T]) T {
	v, _ := Lookup(c, o)
	return v
}

// Lookup is Get that also says whether the value was set, under the option's key or an older name of it.
func Lookup[T any](c Configuration, o *Option[T]) (value T, isSet bool) {
	if key, ok := c.keyOf(&o.meta); ok {
		// A Configuration is only ever built from values that were checked, so the error cannot happen; should a
		// declaration be changed so that it does, the default is the answer that harms least.
		if v, err := o.Parse(c.values[key].value); err == nil {
			return v, true
		}
		return o.cloned(o.def), false
	}
	if m, ok := any(&value).(*map[string]string); ok {
		if *m = c.WithPrefix(o.meta.Key + "."); len(*m) > 0 {
			return value, true
		}
	}
	return o.cloned(o.def), false
}

// keyOf finds the key under which an option is set.
func (c Configuration) keyOf(m *Meta) (string, bool) {
	if _, ok := c.values[m.Key]; ok {
		return m.Key, true
	}
	for _, key := range m.Older {
		if _, ok := c.values[key]; ok {
			return key, true
		}
	}
	return "", false
}

// With is c with o set to v; v must be a value o accepts (which With checks by what it writes, so that what Get answers
// always parses; a value that doesn't leaves c unchanged and is returned as a *ValueError).
func With[T any](c Configuration, o *Option[T], v T) (Configuration, error) {
	return c.WithRaw(o.meta.Key, o.kind.format(v))
}

// WithRaw is c with key set to value as written. A bad value of a declared key is a *ValueError.
func (c Configuration) WithRaw(key, value string) (Configuration, error) {
	if err := checkValue(key, setting{value: value}); err != nil {
		return c, err
	}
	values := maps.Clone(c.values)
	if values == nil {
		values = map[string]setting{}
	}
	put(values, key, setting{value: value})
	return Configuration{values}, nil
}

// Without is c with key unset.
func (c Configuration) Without(key string) Configuration {
	values := maps.Clone(c.values)
	delete(values, key)
	return Configuration{values}
}

// Raw is the value of exactly this key as it was written.
func (c Configuration) Raw(key string) (value string, isSet bool) {
	s, ok := c.values[key]
	return s.value, ok
}

// Origin says where key was set: a file and line, "-D", a flag; empty if it isn't set or that isn't known.
func (c Configuration) Origin(key string) string { return c.values[key].origin }

// Keys lists the keys that are set, in order.
func (c Configuration) Keys() []string { return slices.Sorted(maps.Keys(c.values)) }

// WithPrefix returns the pairs whose keys begin with prefix, the prefix taken off; the map is the caller's.
func (c Configuration) WithPrefix(prefix string) map[string]string {
	found := map[string]string{}
	for key, s := range c.values {
		if name, ok := strings.CutPrefix(key, prefix); ok && name != "" {
			found[name] = s.value
		}
	}
	return found
}

// Map returns all pairs; the map is the caller's. Show Masked to people instead.
func (c Configuration) Map() map[string]string { return c.WithPrefix("") }

// Masked returns all pairs with the values of secrets replaced by Mask: what logs and the REST endpoint may show.
func (c Configuration) Masked() map[string]string {
	m := c.Map()
	for key := range m {
		m[key] = displayed(key, m[key])
	}
	return m
}

// Equal says whether both hold the same pairs; origins don't count.
func (c Configuration) Equal(other Configuration) bool {
	return maps.EqualFunc(c.values, other.values, func(a, b setting) bool { return a.value == b.value })
}

// FromMap makes a Configuration of pairs. Every bad value is reported, as *ValueErrors joined.
func FromMap(pairs map[string]string) (Configuration, error) {
	var errs []error
	values := make(map[string]setting, len(pairs))
	for _, key := range slices.Sorted(maps.Keys(pairs)) {
		values[key] = setting{value: pairs[key]}
		errs = append(errs, checkValue(key, values[key]))
	}
	if err := errors.Join(errs...); err != nil {
		return Configuration{}, err
	}
	return Configuration{values}, nil
}

// MarshalJSON writes c as one object of strings; this is how a Configuration travels to the cluster. It holds secrets.
func (c Configuration) MarshalJSON() ([]byte, error) { return json.Marshal(c.Map()) }

// UnmarshalJSON reads what MarshalJSON wrote and checks every value.
func (c *Configuration) UnmarshalJSON(data []byte) error {
	var pairs map[string]string
	if err := json.Unmarshal(data, &pairs); err != nil {
		return fmt.Errorf("read configuration as an object of strings: %w", err)
	}
	read, err := FromMap(pairs)
	if err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	*c = read
	return nil
}
