package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/weftstream/weft/streamtest"
)

// oracle counts the words of files with Go's regular expressions.
func oracle(text string) []string {
	counts := map[string]int{}
	for _, w := range regexp.MustCompile(`[A-Za-z0-9]+`).FindAllString(text, -1) {
		counts[strings.ToLower(w)]++
	}
	var lines []string
	for w, n := range counts {
		lines = append(lines, fmt.Sprintf("%s\t%d", w, n))
	}
	slices.Sort(lines)
	return lines
}

func output(t *testing.T, dir string) []string {
	t.Helper()
	parts, err := filepath.Glob(filepath.Join(dir, "part-*"))
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, p := range parts {
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")...)
	}
	slices.Sort(lines)
	return lines
}

func TestCountsAgainstOracle(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	pieces := []string{"Go", "go", "ABC123", "x", "é", "K", " ", " ", "\n", "\r\n", "\t", "-", "can't", "42", "über"}
	dir := t.TempDir()
	var all strings.Builder
	for i := range 5 {
		var s strings.Builder
		for range 3000 {
			s.WriteString(pieces[r.IntN(len(pieces))])
		}
		if err := os.WriteFile(fmt.Sprintf("%s/%d.txt", dir, i), []byte(s.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		all.WriteString(s.String() + "\n")
	}
	for _, p := range []int{1, 3} {
		out := filepath.Join(t.TempDir(), "out")
		if _, err := streamtest.RunJob(t, wordcount, Params{dir + "/*.txt", out}, streamtest.Parallelism(p)); err != nil {
			t.Fatal(err)
		}
		if got, want := output(t, out), oracle(all.String()); !slices.Equal(got, want) {
			t.Fatalf("parallelism %d: got %d words, want %d: %q, %q", p, len(got), len(want), got, want)
		}
	}
}

func TestBundledText(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	if _, err := streamtest.RunJob(t, wordcount, Params{"", out}); err != nil {
		t.Fatal(err)
	}
	if got, want := output(t, out), oracle(strings.Join(text, "\n")); !slices.Equal(got, want) {
		t.Fatalf("got %q, want %q", got, want)
	}
}

func TestRebuild(t *testing.T) {
	streamtest.Rebuild(t, wordcount, Params{"/in", "/out"})
}
