package conf

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Builder makes a Configuration out of layers: a later Set replaces an earlier one. The zero value is ready. It is used
// by one goroutine.
type Builder struct {
	values map[string]setting
}

// Set sets key to value as written; origin says where, for messages: "config.yaml:12", "-D", "--parallelism".
// It replaces what an earlier layer set under an older name of the same option.
func (b *Builder) Set(key, value, origin string) *Builder {
	if b.values == nil {
		b.values = map[string]setting{}
	}
	put(b.values, key, setting{value, origin})
	return b
}

// Merge sets everything c holds, with the origins it has there.
func (b *Builder) Merge(c Configuration) *Builder {
	for _, key := range c.Keys() {
		s := c.values[key]
		b.Set(key, s.value, s.origin)
	}
	return b
}

// Build checks every value and returns the Configuration, what the user should know about it, and all bad values as
// *ValueErrors joined. The Builder may be used further; the Configuration doesn't change with it.
func (b *Builder) Build() (Configuration, []Warning, error) {
	var errs []error
	var warnings []Warning
	for _, key := range slices.Sorted(maps.Keys(b.values)) {
		s := b.values[key]
		if err := checkValue(key, s); err != nil {
			errs = append(errs, err)
			continue
		}
		if w, ok := warningFor(key, s.origin); ok {
			warnings = append(warnings, w)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return Configuration{}, warnings, err
	}
	slices.SortStableFunc(warnings, func(a, b Warning) int { return cmp.Compare(a.Kind, b.Kind) })
	return Configuration{maps.Clone(b.values)}, warnings, nil
}

// put sets key and keeps a lower layer from hiding it: if key is only an older name, the newer names are dropped.
// A name that is an option of its own and merely stands in for another leaves that other alone.
func put(values map[string]setting, key string, s setting) {
	c := options()
	if _, isOption := c.byKey[key]; !isOption {
		for _, d := range c.byOlder[key] {
			delete(values, d.describe().Key)
		}
	}
	values[key] = s
}

// checkValue checks a value against every option that would read it.
func checkValue(key string, s setting) error {
	c := options()
	readers := c.byOlder[key]
	if d, ok := c.byKey[key]; ok {
		readers = []declaration{d}
	}
	for _, d := range readers {
		if !d.valid(s.value) {
			return &ValueError{Key: key, Value: s.value, Expected: d.expected(), Origin: s.origin}
		}
	}
	return nil
}

func warningFor(key, origin string) (Warning, bool) {
	c := options()
	_, isOption := c.byKey[key]
	newer := c.byOlder[key]
	switch m, ignored := c.noEffect(key); {
	case ignored:
		return Warning{NoEffect, key, origin, "has no effect: " + m.NoEffect}, true
	case isOption || c.inFamily(key):
		return Warning{}, false
	case len(newer) > 0:
		names := make([]string, len(newer))
		for i, d := range newer {
			names[i] = d.describe().Key
		}
		return Warning{OlderKey, key, origin, "this is an older name of " + strings.Join(names, " and ")}, true
	}
	text := "unknown key"
	if near := c.nearest(key); near != "" {
		text = fmt.Sprintf("unknown key; did you mean %s?", near)
	}
	return Warning{UnknownKey, key, origin, text}, true
}
