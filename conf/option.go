package conf

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Scope says where an option is read, and so where setting it has an effect.
type Scope string

const (
	// ScopeCluster options are read by the cluster's processes; they are fixed when the cluster is deployed.
	ScopeCluster Scope = "cluster"
	// ScopeJob options belong to a job: they may differ between the jobs of one session.
	ScopeJob Scope = "job"
	// ScopeClient options are read by the command line before or while it talks to a cluster.
	ScopeClient Scope = "client"
)

// Meta is what is known of a key besides its value: the raw material of --help and of the reference page.
type Meta struct {
	Key         string
	Type        string // "integer", "memory size", …
	Default     string // as it would be written; empty if there is none
	HasDefault  bool
	Unit        string   // what a bare number counts; empty if the type says it
	Values      []string // an enum's values
	Description string   // one sentence
	Older       []string // keys read in its place if the key itself is absent, best first
	Scope       Scope
	// FlinkDefault and Reason are set where Weft's default is not Flink's.
	FlinkDefault, Reason string
	// NoEffect is set for keys that are accepted because Flink has them; it says why they do nothing.
	NoEffect string
	// Prefix says that Key is the beginning of a family of keys.
	Prefix bool
	// Own says that Flink has no such key.
	Own bool
}

// Option is a declared configuration key with values of type T. The exported variables of this package are all there
// are; they are read with Get and Lookup.
type Option[T any] struct {
	meta  Meta
	kind  kind[T]
	def   T
	form  string // what is expected, if check narrows the kind's form
	check func(T) bool
}

// declaration is an Option without its type.
type declaration interface {
	describe() *Meta
	expected() string
	valid(value string) bool
}

// declared lists every option of the package. It is appended to by the package's own variable declarations, before any
// other code runs, and only read afterwards.
var declared []declaration

// Key is the option's full key.
func (o *Option[T]) Key() string { return o.meta.Key }

// Default is the value when none is set; the zero value if the option has no default.
func (o *Option[T]) Default() T { return o.cloned(o.def) }

// Meta is the option's description.
func (o *Option[T]) Meta() Meta { return o.meta }

// Format writes v as the option's parser reads it.
func (o *Option[T]) Format(v T) string { return o.kind.format(v) }

// Parse reads value, which is not in any Configuration yet; its error is a *ValueError.
func (o *Option[T]) Parse(value string) (T, error) {
	v, err := o.kind.parse(strings.TrimSpace(value))
	if err != nil || o.check != nil && !o.check(v) {
		var zero T
		return zero, &ValueError{Key: o.meta.Key, Value: value, Expected: o.expected()}
	}
	return v, nil
}

func (o *Option[T]) describe() *Meta { return &o.meta }

func (o *Option[T]) valid(value string) bool {
	_, err := o.Parse(value)
	return err == nil
}

func (o *Option[T]) expected() string {
	if o.form != "" {
		return o.form
	}
	return o.kind.form
}

func (o *Option[T]) cloned(v T) T {
	if o.kind.clone == nil {
		return v
	}
	return o.kind.clone(v)
}

func declare[T any](key string, k kind[T], text string) *Option[T] {
	o := &Option[T]{kind: k, meta: Meta{Key: key, Type: k.name, Description: text, Scope: ScopeCluster}}
	o.meta.Own = strings.HasPrefix(key, "weft.")
	declared = append(declared, o)
	return o
}

// The methods below complete a declaration; they are called in variable declarations only.

// or sets the default.
func (o *Option[T]) or(v T) *Option[T] {
	o.def, o.meta.HasDefault, o.meta.Default = v, true, o.kind.format(v)
	return o
}

func (o *Option[T]) older(keys ...string) *Option[T] { o.meta.Older = keys; return o }
func (o *Option[T]) unit(u string) *Option[T]        { o.meta.Unit = u; return o }
func (o *Option[T]) in(s Scope) *Option[T]           { o.meta.Scope = s; return o }
func (o *Option[T]) own() *Option[T]                 { o.meta.Own = true; return o }

// differs notes Flink's default and why Weft's is another.
func (o *Option[T]) differs(flinkDefault, reason string) *Option[T] {
	o.meta.FlinkDefault, o.meta.Reason = flinkDefault, reason
	return o
}

// where narrows the values accepted; form completes "expected …".
func (o *Option[T]) where(form string, check func(T) bool) *Option[T] {
	o.form, o.check = form, check
	return o
}

func textOption(key, text string) *Option[string]     { return declare(key, stringKind, text) }
func boolOption(key, text string) *Option[bool]       { return declare(key, boolKind, text) }
func intOption(key, text string) *Option[int]         { return declare(key, intKind, text) }
func listOption(key, text string) *Option[[]string]   { return declare(key, listKind, text) }
func portsOption(key, text string) *Option[PortRange] { return declare(key, portsKind, text) }
func mapOption(key, text string) *Option[map[string]string] {
	return declare(key, mapKind, text)
}

func countOption(key, text string) *Option[int] {
	return intOption(key, text).where("a whole number, 0 or more", atLeast(0))
}

func positiveOption(key, text string) *Option[int] {
	return intOption(key, text).where("a whole number of at least 1", atLeast(1))
}

func portOption(key, text string) *Option[int] {
	return intOption(key, text).where("a port from 0 to 65535", func(p int) bool { return p >= 0 && p <= 65535 })
}

func numberOption(key, text string) *Option[float64] {
	return declare(key, floatKind, text).where("a number greater than 0", func(f float64) bool { return f > 0 })
}

func fractionOption(key, text string) *Option[float64] {
	return declare(key, floatKind, text).
		where("a fraction from 0 to 1, like 0.4", func(f float64) bool { return f >= 0 && f <= 1 })
}

func durationOption(key, text string) *Option[time.Duration] {
	return declare(key, durationKind, text).
		where(durationForm+", not negative", atLeast(time.Duration(0)))
}

func memoryOption(key, text string) *Option[MemorySize] { return declare(key, memoryKind, text) }

func enumOption(key, text string, values ...string) *Option[string] {
	o := declare(key, enumKind(values, nil), text)
	o.meta.Values = values
	return o
}

// enumSynonyms is enumOption with further spellings, in lower case, of its values.
func enumSynonyms(key, text string, synonyms map[string]string, values ...string) *Option[string] {
	o := enumOption(key, text, values...)
	o.kind = enumKind(values, synonyms)
	return o
}

func atLeast[T cmp.Ordered](lowest T) func(T) bool { return func(v T) bool { return v >= lowest } }

// Prefix is a declared family of keys: what follows the prefix is a name of the user's.
type Prefix struct{ meta Meta }

// Key is the prefix itself, with its final dot.
func (p *Prefix) Key() string { return p.meta.Key }

// Meta is the family's description.
func (p *Prefix) Meta() Meta { return p.meta }

func (p *Prefix) describe() *Meta   { return &p.meta }
func (p *Prefix) expected() string  { return stringKind.form }
func (p *Prefix) valid(string) bool { return true }

func prefix(key, text string) *Prefix {
	p := &Prefix{Meta{Key: key, Type: "string", Description: text, Scope: ScopeCluster, Prefix: true}}
	declared = append(declared, p)
	return p
}

// Options describes every declared key, those without effect included, ordered by key.
func Options() []Meta {
	all := make([]Meta, 0, len(declared)+len(withoutEffect))
	for _, d := range declared {
		if _, ignored := options().ignored[d.describe().Key]; !ignored {
			all = append(all, *d.describe())
		}
	}
	all = append(all, withoutEffect...)
	slices.SortFunc(all, func(a, b Meta) int { return strings.Compare(a.Key, b.Key) })
	return all
}
