//go:build hadoop

package faults

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/weftstream/weft/internal/hadooptest"
)

// sumsOf is what sums must write.
func sumsOf(events, keys int64) map[string]int64 {
	want := map[string]int64{}
	for i := range events {
		want[strconv.FormatInt(i%keys, 10)] += i
	}
	return want
}

// text makes files of words below an HDFS directory, and counts the words as they are made.
func text(t testing.TB, c *hadooptest.Cluster, dir string, files, words int) map[string]int64 {
	t.Helper()
	random := rand.New(rand.NewPCG(3, 5))
	separators := []string{" ", "\n", ", ", "-", "\t", ".\n", " (", ") ", "é", "\r\n"}
	counts := map[string]int64{}
	for file := range files {
		var b strings.Builder
		for range words {
			word := strconv.FormatUint(random.Uint64N(1<<random.Uint64N(16)), 36)
			counts[word]++
			b.WriteString(word + separators[random.IntN(len(separators))])
		}
		c.WriteFile(t, path.Join(dir, fmt.Sprintf("part-%d.txt", file)), []byte(b.String()))
	}
	return counts
}

func hidden(name string) bool {
	base := path.Base(name)
	return strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_")
}

// visible lists the files of an output directory that its readers see.
func visible(t testing.TB, c *hadooptest.Cluster, dir string) []string {
	t.Helper()
	return slices.DeleteFunc(c.Walk(t, dir), hidden)
}

// written reads an output directory: every line is a key that no other line has, and a number.
func written(t testing.TB, c *hadooptest.Cluster, dir string) map[string]int64 {
	t.Helper()
	got := map[string]int64{}
	for _, name := range visible(t, c, dir) {
		for line := range strings.Lines(string(c.ReadFile(t, name))) {
			key, number, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
			n, err := strconv.ParseInt(number, 10, 64)
			if _, twice := got[key]; err != nil || twice {
				t.Fatalf("line %q of %s: twice %v, %v", line, name, twice, err)
			}
			got[key] = n
		}
	}
	return got
}

// complete checks that an output directory holds what it must, and nothing else.
func complete(t testing.TB, c *hadooptest.Cluster, dir string, want map[string]int64) {
	t.Helper()
	got := written(t, c, dir)
	if !maps.Equal(got, want) {
		t.Errorf("the output has %d records, want %d, or others", len(got), len(want))
	}
	for _, name := range c.Walk(t, dir) {
		if hidden(name) {
			t.Errorf("left in the output: %s", name)
		}
	}
}

// nothing checks that the readers of an output directory see nothing.
func nothing(t testing.TB, c *hadooptest.Cluster, dir string) {
	t.Helper()
	if left := visible(t, c, dir); len(left) > 0 {
		t.Errorf("visible in the output of a job that failed: %v", left)
	}
}
