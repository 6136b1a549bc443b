//go:build hadoop

package e2e

import (
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/weftstream/weft/internal/hadooptest"
	"github.com/weftstream/weft/internal/soak"
)

// failures are what an application can do wrong, with what its user must be told.
var failures = []struct {
	do    string
	texts []string
}{
	{"panic", []string{"panic: assignment to entry in nil map", "main.explode", "main.go:", "work (1/1)"}},
	{"error", []string{"no luck with 7", "counting (1/1)"}},
	{"leak", []string{"memory limit", "taskmanager.memory.process.size"}},
	{"exit", []string{"going away with 3", "exit"}},
	{"driver-exit", []string{"exit status 7", "nothing to be done"}},
	{"driver-error", []string{"the weather is bad"}},
	{"driver-panic", []string{"panic: assignment to entry in nil map", "main.explode"}},
	{"no-run", []string{"didn't contain a Weft job"}},
	{"build-panic", []string{"panic: assignment to entry in nil map", "main.explode", "main.go:"}},
	{"build-error", []string{"no graph today"}},
	{"impure", []string{`uid="work-1"`, `uid="work-2"`, "pure function of its params"}},
	{"impure-host", []string{"pure function of its params", `uid="work-`}},
}

// sample returns n of the failures' numbers, or all with WEFT_SOAK=1; the seed is printed.
func sample(t *testing.T, of, n int) []int {
	if soak.On() {
		n = of
	}
	return soak.Dice(t).Perm(of)[:n]
}

// TestFailingApplication: FAILED at YARN with the reason, exit code 2, and the same reason for the user, once.
func TestFailingApplication(t *testing.T) {
	t.Parallel()
	c := hadooptest.Require(t)
	for _, i := range sample(t, len(failures), 7) {
		test := failures[i]
		t.Run(test.do, func(t *testing.T) {
			t.Parallel()
			u := newUser(t, c)
			w := u.Start(inApplication("-p", "1", faulty(t), "--do", test.do)...)
			id := w.App()
			w.Ended(2, append(test.texts, id, "yarn logs -applicationId "+id)...)
			u.YARNSays(id, "FAILED", test.texts...)
			told := w.Err()
			if i := strings.Index(told, "The program finished with the following exception:"); i < 0 {
				t.Error("no exception is shown")
			} else if n := strings.Count(told[i:], test.texts[0]); n != 1 {
				t.Errorf("the final message says %q %d times", test.texts[0], n)
			}
		})
	}
}

// TestFailingDetached: the application's end is YARN's to tell.
func TestFailingDetached(t *testing.T) {
	t.Parallel()
	u := newUser(t, hadooptest.Require(t))
	w := u.Run(inApplication("-d", faulty(t), "--do", "panic", "--rate", "4", "--events", "0")...).Ended(0)
	u.YARNSays(w.App(), "FAILED", "panic: assignment to entry in nil map", "main.explode")
}

// TestMissingInput: nothing is read from nowhere, and the message names the path.
func TestMissingInput(t *testing.T) {
	t.Parallel()
	c := hadooptest.Require(t)
	u := newUser(t, c)
	dir := c.TestDir(t)
	w := u.Start(inApplication(wordcount(t), "--input", c.URI(dir+"/absent"), "--output", c.URI(dir+"/out"))...)
	w.Ended(2, dir+"/absent")
	u.YARNSays(w.App(), "FAILED", dir+"/absent")
	if left := visible(c.Walk(t, dir+"/out")); len(left) > 0 {
		t.Errorf("output of nothing: %v", left)
	}
}

// TestOutputIsNeverOverwritten: what is in the output directory stays as it is, whatever it is.
func TestOutputIsNeverOverwritten(t *testing.T) {
	t.Parallel()
	c := hadooptest.Require(t)
	u := newUser(t, c)
	dir := c.TestDir(t)
	c.WriteFile(t, dir+"/out/mine", []byte("mine"))
	w := u.Start(inApplication(wordcount(t), "--output", c.URI(dir+"/out"))...)
	w.Ended(2, dir+"/out")
	u.YARNSays(w.App(), "FAILED", dir+"/out")
	if files := visible(c.Walk(t, dir)); len(files) != 1 || string(c.ReadFile(t, dir+"/out/mine")) != "mine" {
		t.Errorf("there is now %v", files)
	}
}

// visible leaves out hidden files: parts that were never committed, which the next job that writes there removes.
func visible(files []string) []string {
	return slices.DeleteFunc(files, func(f string) bool { return strings.HasPrefix(path.Base(f), ".") })
}

// TestFailedJobLeavesNoOutput: nothing of a failed job's output is visible, and the next job's output is only its own.
func TestFailedJobLeavesNoOutput(t *testing.T) {
	t.Parallel()
	c := hadooptest.Require(t)
	u := newUser(t, c)
	dir := c.TestDir(t)
	w := u.Start(inApplication("-p", "2", faulty(t), "--do", "error", "--output", c.URI(dir+"/out"))...)
	w.Ended(2, "no luck with 7")
	u.YARNSays(w.App(), "FAILED")
	if left := visible(c.Walk(t, dir+"/out")); len(left) > 0 {
		t.Errorf("left in the output: %v", left)
	}
	u.Run(inApplication("-p", "2", faulty(t), "--output", c.URI(dir+"/out"))...).Ended(0)
	lines := 0
	for _, file := range c.Walk(t, dir+"/out") {
		if strings.HasPrefix(path.Base(file), ".") {
			t.Errorf("left in the output: %s", file)
		}
		lines += strings.Count(string(c.ReadFile(t, file)), "\n")
	}
	if lines != 100 {
		t.Errorf("%d lines, want 100", lines)
	}
}
