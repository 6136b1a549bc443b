package conf

import (
	"slices"
	"strings"
	"sync"
)

// catalog is the declared options, indexed. It is made on first use and never changes.
type catalog struct {
	byKey    map[string]declaration   // options by their key
	byOlder  map[string][]declaration // options by their older names
	families []string                 // prefixes, and map options' keys with a dot
	ignored  map[string]*Meta         // keys without effect
	patterns []*Meta                  // keys without effect that hold a <placeholder>
	names    []string                 // all that a typing error may have meant, in order
}

var options = sync.OnceValue(func() *catalog { return newCatalog(declared, withoutEffect) })

func newCatalog(declared []declaration, withoutEffect []Meta) *catalog {
	c := &catalog{byKey: map[string]declaration{}, byOlder: map[string][]declaration{}, ignored: map[string]*Meta{}}
	for _, d := range declared {
		c.index(d)
	}
	for i := range withoutEffect {
		m := &withoutEffect[i]
		if strings.Contains(m.Key, "<") {
			c.patterns = append(c.patterns, m)
			continue
		}
		for _, key := range append([]string{m.Key}, m.Older...) {
			c.ignored[key] = m
		}
		c.names = append(c.names, m.Key)
	}
	slices.Sort(c.names)
	return c
}

func (c *catalog) index(d declaration) {
	m := d.describe()
	if m.Prefix {
		c.families = append(c.families, m.Key)
		return
	}
	c.byKey[m.Key] = d
	c.names = append(c.names, m.Key)
	for _, key := range m.Older {
		c.byOlder[key] = append(c.byOlder[key], d)
	}
	if m.Type == mapKind.name {
		c.families = append(c.families, m.Key+".")
	}
}

func (c *catalog) inFamily(key string) bool {
	return slices.ContainsFunc(c.families, func(f string) bool { return strings.HasPrefix(key, f) && key != f })
}

// noEffect finds the description of a key that does nothing: one that is listed as such, even if it is declared, or one
// that fits a pattern and is not declared.
func (c *catalog) noEffect(key string) (*Meta, bool) {
	if m, ok := c.ignored[key]; ok {
		return m, true
	}
	if _, isOption := c.byKey[key]; isOption || len(c.byOlder[key]) > 0 {
		return nil, false
	}
	for _, m := range c.patterns {
		if matches(m.Key, key) {
			return m, true
		}
	}
	return nil, false
}

// matches says whether key is pattern with every <placeholder> replaced by some text.
func matches(pattern, key string) bool {
	literal, rest, found := strings.Cut(pattern, "<")
	if !strings.HasPrefix(key, literal) {
		return false
	}
	key = key[len(literal):]
	if !found {
		return key == ""
	}
	_, rest, _ = strings.Cut(rest, ">")
	for i := 1; i <= len(key); i++ {
		if matches(rest, key[i:]) {
			return true
		}
	}
	return false
}

// nearest is the known key that key was most likely meant to be; empty if none is near.
func (c *catalog) nearest(key string) string {
	lower := strings.ToLower(key)
	best, bestDistance := "", max(2, len(key)/5)+1
	for _, name := range c.names {
		if d := distance(lower, strings.ToLower(name), bestDistance); d < bestDistance {
			best, bestDistance = name, d
		}
	}
	return best
}

// distance is the number of bytes to insert, delete, replace or swap with their neighbour to turn a into b; once it is
// known to reach limit, limit is the answer.
func distance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	older, old, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range old {
		old[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		lowest := i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(old[j]+1, row[j-1]+1, old[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], older[j-2]+1)
			}
			lowest = min(lowest, row[j])
		}
		if lowest >= limit {
			return limit
		}
		older, old, row = old, row, older
	}
	return old[len(b)]
}
