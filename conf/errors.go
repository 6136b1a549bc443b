package conf

import "fmt"

// ValueError is returned for a value that is not of the form its key expects.
type ValueError struct {
	Key      string
	Value    string
	Expected string // completes "expected …"
	Origin   string // where the value was set, like config.yaml:12 or -D; empty if unknown
}

// Error names the origin, the key, the value (unless the key is a secret's) and the form expected.
func (e *ValueError) Error() string {
	at := ""
	if e.Origin != "" {
		at = e.Origin + ": "
	}
	return fmt.Sprintf("%s%s: bad value %q: expected %s", at, e.Key, displayed(e.Key, e.Value), e.Expected)
}

// WarningKind says what a Warning is about.
type WarningKind int

const (
	// UnknownKey warns of a key that neither Weft nor Flink has: most often a typing error.
	UnknownKey WarningKind = iota
	// OlderKey warns of a key that still works and has a newer name.
	OlderKey
	// NoEffect warns of a key of Flink's that does nothing here.
	NoEffect
)

// Warning is something a user should know about a setting that doesn't make it an error.
type Warning struct {
	Kind   WarningKind
	Key    string
	Origin string // where the key was set; empty if unknown
	Text   string // without key and origin
}

// String is the warning as one line.
func (w Warning) String() string {
	if w.Origin == "" {
		return w.Key + ": " + w.Text
	}
	return w.Origin + ": " + w.Key + ": " + w.Text
}
