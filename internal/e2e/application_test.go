//go:build hadoop

package e2e

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/weftstream/weft/internal/hadooptest"
)

// inApplication are the arguments that run an executable in a cluster of its own.
func inApplication(more ...string) []string {
	return append([]string{"run-application", "-t", "yarn-application"}, more...)
}

// text makes files of words below an HDFS directory, and counts the words independently of wordcount's way: by fields of
// the whole text, not by bytes of lines.
func text(t testing.TB, c *hadooptest.Cluster, dir string) map[string]int64 {
	t.Helper()
	random := rand.New(rand.NewPCG(3, 5))
	separators := []string{" ", "\n", ", ", "-", "\t", ".\n", " (", ") ", "é", "\r\n"}
	counts := map[string]int64{}
	for file := range 5 {
		var b strings.Builder
		for range 20000 {
			word := strconv.FormatUint(random.Uint64N(1<<random.Uint64N(20)), 36)
			counts[word]++
			if random.IntN(3) == 0 {
				word = strings.ToUpper(word)
			}
			b.WriteString(word + separators[random.IntN(len(separators))])
		}
		c.WriteFile(t, path.Join(dir, fmt.Sprintf("part-%d.txt", file)), []byte(b.String()))
	}
	return counts
}

// counted reads wordcount's output: every line is a word that no other line has. Nothing but visible files may be there.
func counted(t testing.TB, c *hadooptest.Cluster, dir string) map[string]int64 {
	t.Helper()
	counts := map[string]int64{}
	for _, name := range c.Walk(t, dir) {
		if strings.HasPrefix(path.Base(name), ".") || strings.HasPrefix(path.Base(name), "_") {
			t.Errorf("left in the output: %s", name)
		}
		for line := range strings.Lines(string(c.ReadFile(t, name))) {
			word, number, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
			n, err := strconv.ParseInt(number, 10, 64)
			if _, twice := counts[word]; err != nil || twice {
				t.Fatalf("line %q of %s: twice %v, %v", line, name, twice, err)
			}
			counts[word] = n
		}
	}
	return counts
}

func sameCounts(t testing.TB, got, want map[string]int64) {
	t.Helper()
	if maps.Equal(got, want) {
		return
	}
	shown := 0
	for _, word := range slices.Sorted(maps.Keys(want)) {
		if got[word] != want[word] && shown < 5 {
			shown++
			t.Errorf("%q was counted %d times, it is there %d times", word, got[word], want[word])
		}
	}
	t.Errorf("%d words, want %d", len(got), len(want))
}

// TestWordcount: text in HDFS over several TaskManagers, output as counted independently, and a second submission uploads
// nothing and touches nothing in the cache.
func TestWordcount(t *testing.T) {
	t.Parallel()
	c := hadooptest.Require(t)
	u := newUser(t, c)
	dir := c.TestDir(t)
	want := text(t, c, dir+"/in")

	first := u.Start(inApplication("-p", "3", wordcount(t), "--input", c.URI(dir+"/in"), "--output", c.URI(dir+"/out"))...)
	id := first.App()
	first.Ended(0, "has finished")
	app := u.YARNSays(id, "SUCCEEDED")
	if app.State != "FINISHED" || app.User != u.Name {
		t.Errorf("YARN reports %v of user %s", app, app.User)
	}
	sameCounts(t, counted(t, c, dir+"/out"), want)
	hosts := 0
	for name := range c.ContainerLogs(t, id) {
		if path.Base(name) == "taskmanager.log" {
			hosts++
		}
	}
	if hosts < 2 {
		t.Errorf("%d TaskManagers for parallelism 3 with a slot each", hosts)
	}

	before := u.cached()
	if len(before) != 2 {
		t.Errorf("the cache holds %v, want weft and the application", before)
	}
	u.Run(inApplication("-p", "2", wordcount(t), "--input", dir+"/in/*.txt", "--output", dir+"/out2")...).Ended(0)
	sameCounts(t, counted(t, c, dir+"/out2"), want)
	if after := u.cached(); !maps.Equal(before, after) {
		t.Errorf("the second submission changed the cache from %v to %v", before, after)
	}
}

// TestDetachedApplication: -d returns while the application runs, and leaves it running to its own end.
func TestDetachedApplication(t *testing.T) {
	t.Parallel()
	c := hadooptest.Require(t)
	u := newUser(t, c)
	dir := c.TestDir(t)
	w := u.Run(inApplication("-d", topspeed(t), "--events", "400", "--rate", "80", "--output", c.URI(dir+"/out"))...).Ended(0)
	id := w.App()
	if strings.Contains(w.All(), "has finished") {
		t.Error("-d has waited for the end")
	}
	u.YARNSays(id, "SUCCEEDED")
	if len(c.Walk(t, dir+"/out")) == 0 {
		t.Error("no output")
	}
}

// TestTopSpeedBounded: the same bounded stream gives the same lines at parallelism 1 and 2.
func TestTopSpeedBounded(t *testing.T) {
	t.Parallel()
	c := hadooptest.Require(t)
	u := newUser(t, c)
	dir := c.TestDir(t)
	var lines [2][]string
	for i := range lines {
		out := fmt.Sprint(dir, "/out-", i)
		u.Run(inApplication("-p", fmt.Sprint(i+1), topspeed(t), "--events", "5000", "--output", c.URI(out))...).Ended(0)
		for _, name := range c.Walk(t, out) {
			lines[i] = append(lines[i], strings.Split(strings.TrimSpace(string(c.ReadFile(t, name))), "\n")...)
		}
		slices.Sort(lines[i])
	}
	if len(lines[0]) < 100 || !slices.Equal(lines[0], lines[1]) {
		t.Errorf("%d lines with parallelism 1, %d with 2, or others", len(lines[0]), len(lines[1]))
	}
}

// TestChained: one job's result is the next one's params, in one application, with --json for programs.
func TestChained(t *testing.T) {
	t.Parallel()
	c := hadooptest.Require(t)
	u := newUser(t, c)
	dir := c.TestDir(t)
	w := u.Run(inApplication("--json", "-p", "2", chainedApp(t), "--events", "10000", "--output", c.URI(dir+"/out"))...).Ended(0)
	var text string
	for _, name := range c.Walk(t, dir+"/out") {
		text += string(c.ReadFile(t, name))
	}
	if text != "primes\t1229\n" { // below 10000
		t.Errorf("output %q", text)
	}
	ended := 0
	for _, e := range events(t, w.Out()) {
		if e["event"] == "job-ended" {
			ended++
		}
	}
	if ended != 2 {
		t.Errorf("%d jobs ended, want 2", ended)
	}
}

// TestPackageDirectory: weft builds the package of a module for the cluster, and runs it.
func TestPackageDirectory(t *testing.T) {
	t.Parallel()
	u := newUser(t, hadooptest.Require(t))
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(u.Env, map[string]string{"HOME": os.Getenv("HOME"), "GOFLAGS": "-mod=mod", "GOPATH": os.Getenv("GOPATH"), "GOCACHE": os.Getenv("GOCACHE")})
	u.Start(inApplication(path.Join(here, "apps/faulty"), "--do", "result")...).Ended(0, "seen (int64): 100")
}

// TestApplicationInHDFS: an executable that is in HDFS already is used where it is.
func TestApplicationInHDFS(t *testing.T) {
	t.Parallel()
	c := hadooptest.Require(t)
	u := newUser(t, c)
	dir := c.TestDir(t)
	data, err := os.ReadFile(faulty(t))
	if err != nil {
		t.Fatal(err)
	}
	c.WriteFile(t, dir+"/faulty", data)
	u.Run(inApplication(c.URI(dir+"/faulty"), "--events", "50")...).Ended(0, "seen (int64): 50")
	if cached := u.cached(); len(cached) != 1 {
		t.Errorf("cached %v, want weft alone", cached)
	}
}

// TestTwoSubmissionsAtOnce: both fill the same empty cache, and both run.
func TestTwoSubmissionsAtOnce(t *testing.T) {
	t.Parallel()
	u := newUser(t, hadooptest.Require(t))
	a := u.Start(inApplication(faulty(t), "--events", "11")...)
	b := u.Start(inApplication(faulty(t), "--events", "12")...)
	a.Ended(0, "seen (int64): 11")
	b.Ended(0, "seen (int64): 12")
	if a.App() == b.App() {
		t.Error("one application for both")
	}
	if cached := u.cached(); len(cached) != 2 {
		t.Errorf("cached %v, want weft and the application", cached)
	}
}

// TestLocal: the same executable in one process, under weft and without it.
func TestLocal(t *testing.T) {
	t.Parallel()
	u := newUser(t, hadooptest.Require(t))
	if err := os.WriteFile(path.Join(u.Dir, "in.txt"), []byte("One fish, two fish\nred fish\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	u.Run("run", "-t", "local", wordcount(t), "--input", "in.txt", "--output", "out").Ended(0, "has finished")
	var lines []string
	entries, err := os.ReadDir(path.Join(u.Dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		data, err := os.ReadFile(path.Join(u.Dir, "out", e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, strings.Fields(string(data))...)
	}
	slices.Sort(lines)
	if got := strings.Join(lines, " "); got != "1 1 1 3 fish one red two" {
		t.Errorf("output %q in %v", got, entries)
	}
	u.Run("run", "-t", "local", faulty(t), "--do", "panic").Ended(1, "assignment to entry in nil map", "main.explode")
}
