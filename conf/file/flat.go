package file

import "strings"

// parseFlat reads the form of Flink before 1.19: a line is "key: value", "#" begins a comment anywhere, of two lines
// with one key the last counts. The value is all behind the first ": ".
func parseFlat(data []byte) ([]setting, error) {
	var settings []setting
	number := 0
	for line := range strings.Lines(string(data)) {
		number++
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		key, value, found := strings.Cut(line, ": ")
		if key = strings.TrimSpace(key); !found && strings.HasSuffix(key, ":") {
			continue // a key without a value leaves the default
		}
		if !found || key == "" {
			return nil, &SyntaxError{Line: number, Problem: "expected key: value"}
		}
		settings = append(settings, setting{key, strings.TrimSpace(value), number})
	}
	return settings, nil
}
