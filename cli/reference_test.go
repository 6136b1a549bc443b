package cli

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/cli.md anew")

// docs/cli.md shows the options that there are.
func TestReference(t *testing.T) {
	path := filepath.Join("..", "docs", "cli.md")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const marker = "-update -->\n"
	head, have, ok := strings.Cut(string(b), marker)
	if !ok {
		t.Fatalf("%s has no line that ends with %q", path, marker)
	}
	want := reference()
	if *update {
		if err := os.WriteFile(path, []byte(head+marker+want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if have != want {
		t.Errorf("%s isn't what the options say: run go test ./cli -run TestReference -update", path)
	}
	for _, code := range []int{ExitOK, ExitError, ExitFailed, ExitCanceled, ExitConfiguration} {
		if !strings.Contains(head, fmt.Sprintf("\n| %d | ", code)) {
			t.Errorf("%s doesn't list exit code %d", path, code)
		}
	}
}

// reference is the options of all actions.
func reference() string {
	var b strings.Builder
	for _, v := range verbs(&Env{}) {
		c := v.command
		if c.Hidden {
			continue
		}
		fmt.Fprintf(&b, "\n### %s\n\n`%s`: %s.\n", c.Name, strings.TrimSpace("weft "+c.Name+" "+c.ArgsUsage), c.Usage)
		if c.Description != "" {
			text, examples, _ := strings.Cut(c.Description, "Examples:\n")
			fmt.Fprintf(&b, "\n%s\n", strings.TrimSpace(text))
			b.WriteString("\n```\n")
			for line := range strings.Lines(examples) {
				b.WriteString(strings.TrimPrefix(line, "  "))
			}
			b.WriteString("\n```\n")
		}
		if len(c.Flags) == 0 {
			continue
		}
		b.WriteString("\n| option | |\n|---|---|\n")
		for _, o := range visibleOptions(c) {
			fmt.Fprintf(&b, "| `%s` | %s |\n", o.names, strings.ReplaceAll(o.usage, "|", `\|`))
		}
	}
	return b.String()
}
