package file

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/weftstream/weft/conf"
)

// Bounds on what a file may expand to: anchors make a small file large.
const (
	maxDepth    = 64
	maxSettings = 20000
)

// parseYAML flattens a YAML mapping: nested keys are joined by dots, lists become the text conf.ParseList reads, scalars
// are kept as written. A key set twice, nested or not, is an error, as in Flink.
func parseYAML(data []byte) ([]setting, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var document yaml.Node
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		return nil, syntaxError(err)
	}
	var more yaml.Node
	if err := decoder.Decode(&more); err == nil {
		return nil, &SyntaxError{Line: more.Line, Problem: "a second document begins here: expected one"}
	} else if !errors.Is(err, io.EOF) {
		return nil, syntaxError(err)
	}
	f := flattener{seen: map[string]int{}}
	root := document.Content[0]
	if isNull(root) {
		return nil, nil
	}
	if root.Kind != yaml.MappingNode {
		return nil, &SyntaxError{Line: root.Line, Problem: "expected lines of the form key: value"}
	}
	if err := f.mapping("", root, 0); err != nil {
		return nil, err
	}
	return f.settings, nil
}

type flattener struct {
	settings []setting
	seen     map[string]int // the line on which a key is set
}

func (f *flattener) mapping(prefix string, node *yaml.Node, depth int) error {
	if depth > maxDepth {
		return &SyntaxError{Line: node.Line, Problem: fmt.Sprintf("nested deeper than %d levels", maxDepth)}
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], resolve(node.Content[i+1])
		if key.Tag == "!!merge" {
			return &SyntaxError{Line: key.Line, Problem: "merge keys (<<) are not supported: write the keys out"}
		}
		if key = resolve(key); key.Kind != yaml.ScalarNode || key.Value == "" {
			return &SyntaxError{Line: key.Line, Problem: "a key must be text"}
		}
		if err := f.value(prefix+key.Value, key.Line, value, depth); err != nil {
			return err
		}
	}
	return nil
}

func (f *flattener) value(key string, line int, node *yaml.Node, depth int) error {
	switch {
	case isNull(node):
		return nil // "key:" with nothing behind it leaves the default
	case node.Kind == yaml.MappingNode:
		return f.mapping(key+".", node, depth+1)
	case node.Kind == yaml.SequenceNode:
		text, err := list(node)
		if err != nil {
			return err
		}
		return f.set(setting{key, text, line})
	default:
		return f.set(setting{key, node.Value, line})
	}
}

func (f *flattener) set(s setting) error {
	if first, twice := f.seen[s.key]; twice {
		return &SyntaxError{Line: s.line, Problem: fmt.Sprintf("%s is already set on line %d", s.key, first)}
	}
	if len(f.settings) == maxSettings {
		return &SyntaxError{Line: s.line, Problem: fmt.Sprintf("more than %d keys", maxSettings)}
	}
	f.seen[s.key] = s.line
	f.settings = append(f.settings, s)
	return nil
}

// list is a YAML list as conf.ParseList reads it; what is not a scalar in it is kept as YAML's short form.
func list(node *yaml.Node) (string, error) {
	elements := make([]string, len(node.Content))
	for i, e := range node.Content {
		if e = resolve(e); e.Kind == yaml.ScalarNode {
			elements[i] = e.Value
			continue
		}
		short := *e
		short.Style = yaml.FlowStyle
		text, err := yaml.Marshal(&short)
		if err != nil {
			return "", &SyntaxError{Line: e.Line, Problem: "this list element can't be read: " + err.Error()}
		}
		elements[i] = strings.TrimSpace(string(text))
	}
	return conf.FormatList(elements), nil
}

// resolve follows an alias to what it stands for; YAML's parser refuses an alias of an alias.
func resolve(node *yaml.Node) *yaml.Node {
	if node.Kind == yaml.AliasNode {
		return node.Alias
	}
	return node
}

func isNull(node *yaml.Node) bool { return node.Kind == yaml.ScalarNode && node.Tag == "!!null" }

var (
	yamlLine = regexp.MustCompile(`^(?:yaml: )?(?:line (\d+): )?`)
	// The YAML library counts lines from 0 where its parser fails, and leaves 0 out, but from 1 where its scanner does.
	countedFromZero = regexp.MustCompile(`did not find expected (key|node content|'-' indicator|',' or '[\]}]'|<)`)
)

// syntaxError takes the line out of the YAML library's text.
func syntaxError(err error) error {
	text := err.Error()
	m := yamlLine.FindStringSubmatch(text)
	line, _ := strconv.Atoi(m[1]) // 0, which is "unknown", if there is none
	if countedFromZero.MatchString(text) {
		line++
	}
	return &SyntaxError{Line: line, Problem: "not valid YAML: " + text[len(m[0]):]}
}
