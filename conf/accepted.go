package conf

import "strings"

// group is keys of Flink that are accepted and do nothing, for one reason. Each line of keys is a key and its older
// names; <text> in a key stands for any text.
type group struct {
	reason string // completes "has no effect: …"
	keys   string
}

// withoutEffect describes the keys of the groups in accepted_keys.go. Like declared it is never changed after the
// package's variables are initialised.
var withoutEffect = ungroup(acceptedGroups)

func ungroup(groups []group) []Meta {
	var all []Meta
	for _, g := range groups {
		for line := range strings.Lines(g.keys) {
			if names := strings.Fields(line); len(names) > 0 {
				all = append(all, Meta{Key: names[0], Older: names[1:], NoEffect: g.reason})
			}
		}
	}
	return all
}
