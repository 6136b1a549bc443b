package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weftstream/weft/conf"
)

func TestPageIsUpToDate(t *testing.T) {
	if err := run(&bytes.Buffer{}, filepath.Join("..", "..", "docs", "configuration.md"), ""); err != nil {
		t.Error(err)
	}
}

func TestCheckNoticesAStalePage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "page.md")
	var page bytes.Buffer
	if err := run(&page, "", ""); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(page.Bytes(), 'x'), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := run(&page, path, ""); !errors.Is(err, errStale) {
		t.Errorf("a page that differs: %v", err)
	}
	if err := run(&page, path+".missing", ""); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a page that is missing: %v", err)
	}
}

func TestPageHoldsEveryKeyAndDifference(t *testing.T) {
	page := string(render(conf.Options()))
	differences, _, _ := strings.Cut(page[strings.Index(page, "## Differences"):], "\n## YARN")
	for _, m := range conf.Options() {
		if !strings.Contains(page, "`"+m.Key) {
			t.Errorf("%s is not on the page", m.Key)
		}
		if m.FlinkDefault != "" && !strings.Contains(differences, "`"+m.Key+"`") {
			t.Errorf("%s is not among the differences", m.Key)
		}
	}
	if strings.Contains(page, "## Restart strategies\n\n| key | type | default | scope | meaning | older names, stand-ins |\n|---|---|---|---|---|---|\n\n") {
		t.Error("a section is empty")
	}
}

func TestUnreadListsOptionsNobodyMentions(t *testing.T) {
	root := t.TempDir()
	for path, text := range map[string]string{
		"conf/a.go":      "package conf\n\nvar (\n\tA = f(\"a\")\n\tB = f(\"b\", \"x\").or(\"y\")\n\tC = f(\"c\")\n\tD = f(\"d\")\n)\n\nfunc g() int { return C }\n",
		"yarn/x.go":      "package yarn\n\nimport c \"github.com/weftstream/weft/conf\"\n\nvar x = c.A\n",
		"yarn/x_test.go": "package yarn\n\nimport \"github.com/weftstream/weft/conf\"\n\nvar y = conf.B\n",
		"cli/x.go":       "package cli\n\nvar conf struct{ D int }\n\nvar z = conf.D\n",
	} {
		file := filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	if err := run(&out, "", root); err != nil || out.String() != "b\nd\n" {
		t.Errorf("unread: %q, %v; want b and d", out.String(), err)
	}
}
