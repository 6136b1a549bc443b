package file

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/weftstream/weft/stream"
	"github.com/weftstream/weft/streamtest"
)

func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return strings.Join(out, " ")
}

func put(t *testing.T, w stream.SinkWriter[string], lines ...string) {
	t.Helper()
	for _, l := range lines {
		if err := w.Write(&l, stream.NoTime); err != nil {
			t.Fatal(err)
		}
	}
}

type preparer interface{ Prepare(*stream.Runtime) error }

func TestPartsAppearWithTheCommitOnly(t *testing.T) {
	dir := t.TempDir() + "/new/out"
	s := Text(dir)
	co := streamtest.NewRuntime(t, -1, 2)
	if err := s.(preparer).Prepare(co); err != nil {
		t.Fatal(err)
	}
	var all [][]byte
	for i := range 3 { // the third writes nothing
		w, err := s.Open(streamtest.NewRuntime(t, i, 3))
		if err != nil {
			t.Fatal(err)
		}
		if i < 2 {
			put(t, w, "a", "b")
		}
		c, err := w.Flush()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c...)
		if err := w.(interface{ Close() error }).Close(); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(strings.Fields(names(t, dir))); n != 3 {
		t.Fatalf("%d hidden files, want two parts and the marker", n)
	}
	for _, n := range strings.Fields(names(t, dir)) {
		if !strings.HasPrefix(n, ".part-") {
			t.Fatalf("%s is visible before the commit", n)
		}
	}
	for range 2 { // a commit is repeated after a failure, by a coordinator that was started again
		if err := s.(preparer).Prepare(co); err != nil {
			t.Fatal(err)
		}
		if err := s.Commit(co, all); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.(interface{ Release(*stream.Runtime) error }).Release(co); err != nil {
		t.Fatal(err)
	}
	if got := names(t, dir); got != "part-0-0 part-1-0" {
		t.Fatalf("after the commit: %s", got)
	}
	b, err := os.ReadFile(dir + "/part-1-0")
	if err != nil || string(b) != "a\nb\n" {
		t.Fatalf("part-1-0 is %q, %v", b, err)
	}
}

func TestCommitGoesOnWhereItWasBrokenOff(t *testing.T) {
	dir := t.TempDir()
	s := Text(dir)
	co := streamtest.NewRuntime(t, -1, 2)
	var all [][]byte
	for i := range 2 {
		w, _ := s.Open(streamtest.NewRuntime(t, i, 2))
		put(t, w, "x")
		c, err := w.Flush()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c...)
	}
	if err := s.Commit(co, all[:1]); err != nil { // and a crash before the other one
		t.Fatal(err)
	}
	if err := s.Commit(co, all); err != nil {
		t.Fatal(err)
	}
	if got := names(t, dir); got != "part-0-0 part-1-0" {
		t.Fatalf("got %s", got)
	}
	if err := os.Remove(dir + "/part-1-0"); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(co, all); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("a lost part gave %v", err)
	}
}

func TestExistingOutputIsRefused(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/part-0-0", "old")
	err := Text(dir).(preparer).Prepare(streamtest.NewRuntime(t, -1, 1))
	if !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), "nothing is overwritten") || !strings.Contains(err.Error(), dir) {
		t.Fatalf("got %v", err)
	}
	if err := Text(dir + "/part-0-0").(preparer).Prepare(streamtest.NewRuntime(t, -1, 1)); !errors.Is(err, fs.ErrExist) {
		t.Fatalf("a file as output gave %v", err)
	}
}

func TestWriterThatIsClosedWithoutFlushLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	w, err := Text(dir).Open(streamtest.NewRuntime(t, 0, 1))
	if err != nil {
		t.Fatal(err)
	}
	put(t, w, "a")
	if names(t, dir) == "" {
		t.Fatal("nothing was written: the test tests nothing")
	}
	if err := w.(interface{ Close() error }).Close(); err != nil {
		t.Fatal(err)
	}
	if got := names(t, dir); got != "" {
		t.Fatalf("left behind: %s", got)
	}
}

func TestLeftoversOfEarlierJobsGo(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/.part-0-0-feedbeef-0.inprogress", "old")
	if err := Text(dir).(preparer).Prepare(streamtest.NewRuntime(t, -1, 1)); err != nil {
		t.Fatal(err)
	}
	if got := names(t, dir); strings.Contains(got, "feedbeef") {
		t.Fatalf("left: %s", got)
	}
}
